package keys

import (
	"context"
	"slices"
	"sync"

	"github.com/llmproxy/llmproxy"
)

// debt is what a holder has still to be told.
type debt struct {
	hold   Hold
	cost   llmproxy.USD
	charge bool // there is no hold
}

func (d *debt) pay(ctx context.Context, h Holder) error {
	if d.charge {
		return h.Charge(ctx, d.hold, d.cost)
	}
	return h.Settle(ctx, d.hold, d.cost)
}

// debts are those that wait for a holder that does not answer.
type debts struct {
	more chan struct{} // signals that there is one; has room for one

	mu   sync.Mutex // guards list
	list []debt
}

// mostDebts bounds what waits. Beyond it the oldest is dropped: its hold ends with its life.
const mostDebts = 100_000

// owe leaves d to [Budget.Run].
func (b *Budget) owe(d debt) {
	q := &b.start().debts
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.list) >= mostDebts {
		q.list = slices.Delete(q.list, 0, 1)
	}
	q.list = append(q.list, d)
	signal(q.more)
}

// Run settles, until ctx ends, what could not be settled at once because the holder did not
// answer. What is left then it tries once more.
func (b *Budget) Run(ctx context.Context) {
	q := &b.start().debts
	wait := pause{}
	for {
		select {
		case <-q.more:
			if !wait.first() {
				continue // its time comes with the others'
			}
		case <-wait.over():
		case <-ctx.Done():
			if err := b.payDebts(context.WithoutCancel(ctx)); err != nil {
				b.log().Error("budgets could not be settled: their holds end by time", "error", err)
			}
			return
		}
		err := b.payDebts(ctx)
		if err != nil && ctx.Err() == nil && wait.first() {
			b.log().Error("budgets cannot be settled: it is tried again", "error", err)
		}
		wait.after(err)
	}
}

// payDebts pays the debts in order, up to the first that cannot be paid.
func (b *Budget) payDebts(ctx context.Context) error {
	q := &b.start().debts
	for {
		q.mu.Lock()
		if len(q.list) == 0 {
			q.mu.Unlock()
			return nil
		}
		d := q.list[0]
		q.list = q.list[1:]
		q.mu.Unlock()
		bounded, cancel := context.WithTimeout(ctx, settleTimeout)
		err := d.pay(bounded, b.Holder)
		cancel()
		if err != nil {
			q.mu.Lock()
			q.list = append([]debt{d}, q.list...)
			q.mu.Unlock()
			return err
		}
	}
}

// pendingHold is that of a background response that has not ended.
type pendingHold struct {
	Hold
	response string // the provider's id
}

// pending are the holds of background responses.
type pending struct {
	mu   sync.Mutex // guards list
	list []pendingHold
}

// mostPending bounds them.
const mostPending = 10_000

// add adds p. Where there are too many, it returns the oldest, which is out.
func (s *pending) add(p pendingHold) (oldest pendingHold, full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, p)
	if len(s.list) <= mostPending {
		return pendingHold{}, false
	}
	oldest = s.list[0]
	s.list = slices.Delete(s.list, 0, 1)
	return oldest, true
}

// some returns a few of those that want selects.
func (s *pending) some(want func(*pendingHold) bool) (found []pendingHold) {
	const most = 16
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.list {
		if want(&s.list[i]) {
			if found = append(found, s.list[i]); len(found) == most {
				break
			}
		}
	}
	return found
}

// remove takes out the one with that ID. It reports whether it was there.
func (s *pending) remove(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.list)
	s.list = slices.DeleteFunc(s.list, func(p pendingHold) bool { return p.ID == id })
	return len(s.list) < n
}

// collect settles the background responses that want selects and that have ended. It
// reports whether there was one.
func (b *Budget) collect(ctx context.Context, want func(*pendingHold) bool) (any bool) {
	if b.Background == nil {
		return false
	}
	waiting := &b.start().pending
	for _, p := range waiting.some(want) {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
		cost, known, err := b.Background.Cost(bounded, p.ID)
		cancel()
		if err != nil {
			b.log().Error("what a background response has cost cannot be found out", "id", p.ID, "error", err)
			return any
		}
		if known && waiting.remove(p.ID) {
			any = true
			b.pay(ctx, debt{hold: p.Hold, cost: max(0, cost)})
		}
	}
	return any
}
