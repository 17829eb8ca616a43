package ledger

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/llmproxy/llmproxy"
)

// backgroundKey names a background response.
type backgroundKey struct{ provider, responseID string }

func keyOf(r *llmproxy.Record) backgroundKey { return backgroundKey{r.Provider, r.ResponseID} }

// background is what the journal knows of background responses and the store does not. The
// journal's mu guards it.
type background struct {
	pending  map[backgroundKey]*llmproxy.Record // the records of their creation
	settled  map[backgroundKey]string           // the id; "" where it is not known yet
	settling map[backgroundKey]chan struct{}    // closed when whoever is at it has finished
}

// mostPending bounds the creations that are kept in memory. Those beyond it can be settled
// once the store has them.
const mostPending = 10_000

func newBackground() background {
	return background{
		pending: map[backgroundKey]*llmproxy.Record{}, settled: map[backgroundKey]string{},
		settling: map[backgroundKey]chan struct{}{},
	}
}

// mayBeBackground reports whether a record, as it was encoded, may concern note.
func mayBeBackground(payload []byte) bool {
	return bytes.Contains(payload, []byte(`"outcome":"pending"`)) || bytes.Contains(payload, []byte(`"revision":`))
}

// note takes in a record that has been written and not drained.
func (b *background) note(r *llmproxy.Record) {
	switch key := keyOf(r); {
	case r.ResponseID == "":
	case r.Revision > 0:
		delete(b.pending, key)
		b.settled[key] = r.ID
	case isPending(r) && len(b.pending) < mostPending:
		b.pending[key] = clone(r)
	}
}

// drained forgets a record that the store has.
func (b *background) drained(r *llmproxy.Record) {
	key := keyOf(r)
	if r.Revision > 0 {
		delete(b.settled, key)
	} else if p := b.pending[key]; p != nil && p.ID == r.ID {
		delete(b.pending, key)
	}
}

// Settle settles the pending record of a background response with r, the record of an
// exchange that shows what the response has used: one that retrieves, streams or cancels
// it. The pending record's next revision has its identity (what was asked, when, by whom,
// under which tags) and r's usage, cost and outcome. settled says that this call has done
// it: the response was pending, and of all that show its usage r came first.
//
// Where the store cannot be asked whether the response is pending, r is kept and settles it
// later, as far as it still has to be; settled is false then.
func (j *Journal) Settle(ctx context.Context, provider, responseID string, r *llmproxy.Record) (settled bool, err error) {
	if responseID == "" || isPending(r) {
		return false, nil
	}
	key := backgroundKey{provider, responseID}
	create, known, err := j.claim(ctx, key)
	if err != nil || known {
		return false, err
	}
	defer j.unclaim(key)
	if create == nil {
		found, ok, serr := j.store.Pending(ctx, provider, responseID)
		switch {
		case serr != nil:
			return false, j.settleLater(ctx, key, r)
		case !ok:
			return false, nil
		}
		create = &found
	}
	err = j.Record(ctx, settle(create, r))
	return err == nil, err
}

// claim makes its caller the only one who settles the response of key, and returns the
// record of its creation, if it is here. known says that it has been settled.
func (j *Journal) claim(ctx context.Context, key backgroundKey) (create *llmproxy.Record, known bool, err error) {
	for {
		j.mu.Lock()
		_, known = j.background.settled[key]
		wait := j.background.settling[key]
		if !known && wait == nil {
			j.background.settling[key] = make(chan struct{})
			create = j.background.pending[key]
		}
		j.mu.Unlock()
		if known || wait == nil {
			return create, known, nil
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, false, fmt.Errorf("ledger: settle: %w", context.Cause(ctx))
		}
	}
}

func (j *Journal) unclaim(key backgroundKey) {
	j.mu.Lock()
	defer j.mu.Unlock()
	close(j.background.settling[key])
	delete(j.background.settling, key)
}

// settle returns the revision of create that shown leads to.
func settle(create, shown *llmproxy.Record) *llmproxy.Record {
	r, s := clone(create), clone(shown)
	r.Revision = create.Revision + 1
	r.Outcome, r.FinishReason, r.Error = s.Outcome, s.FinishReason, s.Error
	r.Usage, r.UsageSource, r.Items = s.Usage, s.UsageSource, s.Items
	r.Inconsistent, r.Unread = s.Inconsistent, s.Unread
	r.Cost, r.CostKnown, r.CostState = s.Cost, s.CostKnown, s.CostState
	r.ListCost, r.ListCostKnown, r.PriceVersion = s.ListCost, s.ListCostKnown, s.PriceVersion
	for _, f := range []struct {
		to   *string
		from string
	}{{&r.Model, s.Model}, {&r.ServiceTier, s.ServiceTier}, {&r.Speed, s.Speed}, {&r.Region, s.Region}} {
		if f.from != "" {
			*f.to = f.from
		}
	}
	return r
}

// settleLater writes down that r settles the response of key, if it is pending.
func (j *Journal) settleLater(ctx context.Context, key backgroundKey, r *llmproxy.Record) error {
	shown := *r
	shown.Provider, shown.ResponseID = key.provider, key.responseID
	pooled, _ := encode(kindSettlement, &shown)
	defer buffers.Put(pooled)
	b := *pooled
	j.mu.Lock()
	err := errJournalClosed
	if !j.closed {
		err = j.makeRoom(int64(len(b)))
	}
	if err == nil {
		_, err = j.write(b)
	}
	seq := j.written
	if err == nil {
		j.background.settled[key] = ""
		j.wake(j.news)
	}
	j.mu.Unlock()
	if err != nil || j.o.Durability != DurabilityFsync {
		return err
	}
	return j.await(ctx, seq)
}

// settleLate settles a response with what was written down when the store was down. All
// that was written before it is in the store.
func (d *drainer) settleLate(ctx context.Context, shown *llmproxy.Record) error {
	pctx, cancel := context.WithTimeout(ctx, appendTimeout)
	defer cancel()
	create, ok, err := d.store.Pending(pctx, shown.Provider, shown.ResponseID)
	if err != nil || !ok {
		return err
	}
	return d.put(ctx, []llmproxy.Record{*settle(&create, shown)})
}

const (
	firstSweep = time.Minute
	sweepEvery = 24 * time.Hour
	sweepAgain = time.Hour // after one that failed
)

// sweeps ends the wait for the usage of responses that nobody has asked for, once a day. Two
// processes that do so at one store do no harm: a revision counts once.
func (j *Journal) sweeps(ctx context.Context) {
	t := time.NewTimer(firstSweep)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		next := sweepEvery
		if err := j.sweep(ctx, time.Now().Add(-j.o.PendingAge)); err != nil && ctx.Err() == nil {
			j.o.Logger.Warn("old pending responses could not be looked for", "error", err)
			next = sweepAgain
		}
		t.Reset(next)
	}
}

// sweep revises the pending records from before t: their outcome stays pending, their cost
// is an estimate that nobody could make.
func (j *Journal) sweep(ctx context.Context, t time.Time) error {
	const most = 1000 // at a time
	f := Filter{Until: t, Outcome: llmproxy.OutcomePending}
	for {
		var old []*llmproxy.Record
		n := 0
		f.Limit = most
		err := j.store.Records(ctx, f, func(r *llmproxy.Record) error {
			n++
			f.After = r.ID
			if isPending(r) {
				old = append(old, clone(r))
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, r := range old {
			if err := j.giveUp(ctx, r); err != nil {
				return err
			}
		}
		if n < most {
			return nil
		}
	}
}

// giveUp revises one pending record.
func (j *Journal) giveUp(ctx context.Context, r *llmproxy.Record) error {
	key := keyOf(r)
	if r.ResponseID == "" {
		key.responseID = "\x00" + r.ID // nobody can settle it; a key of its own
	}
	_, known, err := j.claim(ctx, key)
	if err != nil || known {
		return err
	}
	defer j.unclaim(key)
	r.Revision++
	r.CostState = llmproxy.CostEstimated
	return j.Record(ctx, r)
}
