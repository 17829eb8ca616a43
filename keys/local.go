package keys

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/llmproxy/llmproxy"
)

// Local is a [Holder] in memory, for a gateway that is one process. What has been spent
// before it began it asks its books, once for each key and period. One Local has to see all
// exchanges of the process: it outlives a change of the configuration.
type Local struct {
	books Books // nil: nothing has been spent

	mu       sync.Mutex // guards the following, and accounts that are ready
	accounts map[string][]*account
}

var _ Holder = (*Local)(nil)

// NewLocal returns a Local on b; nil means that nothing has been spent before.
func NewLocal(b Books) *Local { return &Local{books: b, accounts: map[string][]*account{}} }

// account is one key's budget of one period.
type account struct {
	since time.Time
	ready chan struct{} // closed when the books have been asked
	err   error         // of asking them; set before ready is closed

	spent, held llmproxy.USD
	holds       map[string]*held
	charged     *recent[bool] // the IDs charged without a hold
}

// held is one hold.
type held struct {
	money   llmproxy.USD // 0 once it has outlived its life
	expires time.Time
}

// booksTimeout bounds the question to the books, which does not depend on who asks first.
const booksTimeout = 10 * time.Second

// Hold implements [Holder].
func (l *Local) Hold(ctx context.Context, h Hold) error {
	a, err := l.account(ctx, &h)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if a.holds[h.ID] != nil {
		return nil
	}
	now := time.Now()
	if sum(a.spent, a.held) >= h.Limit {
		a.expire(now)
	}
	if sum(a.spent, a.held) >= h.Limit {
		return &ExceededError{Spent: a.spent, Held: a.held}
	}
	a.holds[h.ID] = &held{h.Money, now.Add(h.Life)}
	a.held = sum(a.held, h.Money)
	return nil
}

// expire gives back what exchanges hold that are taken for dead.
func (a *account) expire(now time.Time) {
	for _, h := range a.holds {
		if !now.Before(h.expires) {
			a.held -= h.money
			h.money = 0
		}
	}
}

// Settle implements [Holder].
func (l *Local) Settle(_ context.Context, h Hold, cost llmproxy.USD) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.find(&h)
	if a == nil || a.holds[h.ID] == nil {
		return nil
	}
	a.held -= a.holds[h.ID].money
	delete(a.holds, h.ID)
	a.spent = sum(a.spent, cost)
	return nil
}

// Charge implements [Holder]. Of a budget that nobody has asked for yet it does nothing:
// the books have the exchange by then.
func (l *Local) Charge(_ context.Context, h Hold, cost llmproxy.USD) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.find(&h)
	if a == nil {
		return nil
	}
	if _, known := a.charged.get(h.ID); !known {
		a.charged.update(h.ID, func(bool) bool { return true })
		a.spent = sum(a.spent, cost)
	}
	return nil
}

// find returns the account of h, nil if there is none; l.mu is held.
func (l *Local) find(h *Hold) *account {
	for _, a := range l.accounts[h.Key] {
		if a.since.Equal(h.Since) {
			return a
		}
	}
	return nil
}

// account returns the account of h, once the books have been asked.
func (l *Local) account(ctx context.Context, h *Hold) (*account, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	a := l.find(h)
	if a == nil {
		a = l.open(h)
		l.mu.Unlock()
		l.ask(ctx, h, a)
	} else {
		l.mu.Unlock()
	}
	select {
	case <-a.ready:
		return a, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// open adds an account for h, and drops those of periods that are over and settled; l.mu is
// held.
func (l *Local) open(h *Hold) *account {
	a := &account{since: h.Since, ready: make(chan struct{}), holds: map[string]*held{}, charged: newRecent[bool](1000)}
	l.accounts[h.Key] = append(slices.DeleteFunc(l.accounts[h.Key], func(old *account) bool {
		return old.since.Before(h.Since) && len(old.holds) == 0
	}), a)
	return a
}

// ask fills in what the books say. With an error the account is gone again, and the next
// who wants it asks anew.
func (l *Local) ask(ctx context.Context, h *Hold, a *account) {
	var spent llmproxy.USD
	err := fmt.Errorf("asking what key %s has spent: panic", h.Key) // unless it returns
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if a.err = err; err != nil {
			l.accounts[h.Key] = slices.DeleteFunc(l.accounts[h.Key], func(other *account) bool { return other == a })
		}
		a.spent = sum(a.spent, max(0, spent))
		close(a.ready)
	}()
	if l.books == nil {
		err = nil
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), booksTimeout)
	defer cancel()
	if spent, err = l.books.Spent(ctx, h.Key, h.Since); err != nil {
		err = fmt.Errorf("asking what key %s has spent: %w", h.Key, err)
	}
}
