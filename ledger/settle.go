package ledger

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/llmproxy/llmproxy"
)

// backgroundKey names a background response.
type backgroundKey struct{ provider, responseID string }

func keyOf(r *llmproxy.Record) backgroundKey { return backgroundKey{r.Provider, r.ResponseID} }

// background is what the journal knows of background responses and the store does not. The
// journal's mu guards it.
type background struct {
	pending map[backgroundKey]*llmproxy.Record // the records of their creation
	settled map[backgroundKey]struct{}         // what settles them is written down already
}

// mostPending and mostSettled bound what is kept in memory. Creations beyond the one are
// settled once the store has them; beyond the other, what settles a response may be written
// down twice, and counts once.
const mostPending, mostSettled = 10_000, 10_000

func newBackground() background {
	return background{pending: map[backgroundKey]*llmproxy.Record{}, settled: map[backgroundKey]struct{}{}}
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
		b.settle(key)
	case isPending(r) && len(b.pending) < mostPending:
		b.pending[key] = clone(r)
	}
}

// settle notes that what settles the response of key has been written and not drained.
func (b *background) settle(key backgroundKey) {
	delete(b.pending, key)
	if len(b.settled) < mostSettled {
		b.settled[key] = struct{}{}
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
// it: the response was pending here, and of all that show its usage r came first.
//
// Where the store may have the pending record, it is not asked while the caller waits: r is
// written down, and settles the response when all before it is in the store, as far as it
// still has to be. settled is false then, and the error nil.
//
// What has been written and is not durable when ctx ends is no error.
func (j *Journal) Settle(ctx context.Context, provider, responseID string, r *llmproxy.Record) (settled bool, err error) {
	if responseID == "" || isPending(r) {
		return false, nil
	}
	key := backgroundKey{provider, responseID}
	j.mu.Lock()
	create := j.background.pending[key]
	j.mu.Unlock()
	if create == nil {
		return false, j.settleLater(ctx, key, r)
	}
	return j.settleNow(ctx, key, create, r)
}

// settleNow writes the revision of create that r leads to, unless somebody else has or the
// store has got create meanwhile.
func (j *Journal) settleNow(ctx context.Context, key backgroundKey, create, r *llmproxy.Record) (settled bool, err error) {
	pooled, revision := encode(kindRecord, settle(create, r))
	defer buffers.Put(pooled)
	j.mu.Lock()
	if j.background.pending[key] != create {
		j.mu.Unlock()
		return false, j.settleLater(ctx, key, r)
	}
	seq, err := j.end(revision, *pooled)
	j.mu.Unlock()
	if err == nil {
		err = j.awaitWhile(ctx, seq)
	}
	if err == nil || errors.Is(err, errJournalClosed) {
		return err == nil, err
	}
	if serr := j.store.Append(ctx, []llmproxy.Record{*revision}); serr != nil {
		return false, errors.Join(err, serr)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.background.pending, key)
	return true, nil
}

// awaitWhile waits as long as the durability asks for, and not beyond the end of ctx.
func (j *Journal) awaitWhile(ctx context.Context, seq uint64) error {
	if j.o.Durability != DurabilityFsync {
		return nil
	}
	err := j.await(ctx, seq)
	if ctx.Err() != nil && !errors.Is(err, ErrNotDurable) {
		return nil
	}
	return err
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

// settleLater writes down that r settles the response of key, if it is pending and nothing
// that settles it has been written yet.
func (j *Journal) settleLater(ctx context.Context, key backgroundKey, r *llmproxy.Record) error {
	shown := *r
	shown.Provider, shown.ResponseID = key.provider, key.responseID
	pooled, _ := encode(kindSettlement, &shown)
	defer buffers.Put(pooled)
	j.mu.Lock()
	seq, err := j.writeSettlement(key, *pooled)
	j.mu.Unlock()
	if err != nil {
		return err
	}
	return j.awaitWhile(ctx, seq)
}

// writeSettlement writes b, a settlement of key. seq is what [Journal.await] waits for, also
// where the settlement was written before. j.mu is held.
func (j *Journal) writeSettlement(key backgroundKey, b []byte) (seq uint64, err error) {
	if j.closed {
		return 0, errJournalClosed
	}
	if _, known := j.background.settled[key]; known {
		return j.written, nil
	}
	if err := j.makeRoom(int64(len(b))); err != nil {
		return 0, err
	}
	if _, err := j.write(b); err != nil {
		return 0, err
	}
	j.background.settle(key)
	j.wake(j.news)
	return j.written, nil
}

// settleLate settles a response with what was written down for it. All that was written
// before it is in the store.
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

// giveUp revises one pending record, unless what settles it is on its way.
func (j *Journal) giveUp(ctx context.Context, r *llmproxy.Record) error {
	if r.ResponseID != "" { // else nobody can settle it
		j.mu.Lock()
		_, settled := j.background.settled[keyOf(r)]
		j.mu.Unlock()
		if settled {
			return nil
		}
	}
	r.Revision++
	r.CostState = llmproxy.CostEstimated
	return j.Record(ctx, r)
}
