package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/llmproxy/llmproxy"
)

// Memory is a [Store] that forgets everything when the process ends: for demonstrations
// and tests. Its zero value is empty and ready.
type Memory struct {
	// Max is how many records are kept, 0 means 100 000: beyond it the oldest go.
	Max int

	mu     sync.Mutex
	kept   []*kept // in order
	byID   map[string]*kept
	closed bool
}

// kept is one record. What it points to is never changed, only replaced.
type kept struct {
	now      *llmproxy.Record
	original *llmproxy.Record // before it was repriced; nil if it was not
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty Memory of the default size.
func NewMemory() *Memory { return &Memory{} }

// errClosed is what a store or a journal says that has been closed.
var errClosed = errors.New("ledger: closed")

func (m *Memory) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return errClosed
	}
	if m.byID == nil {
		m.byID = map[string]*kept{}
	}
	return nil
}

// Append implements [Store].
func (m *Memory) Append(ctx context.Context, records []llmproxy.Record) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	for i := range records {
		r := &records[i]
		k := m.byID[r.ID]
		if k != nil {
			if r.Revision <= k.now.Revision {
				continue
			}
			at, _ := m.find(k.now)
			m.kept = slices.Delete(m.kept, at, at+1)
		}
		k = &kept{now: clone(r)}
		m.byID[r.ID] = k
		at, _ := m.find(r)
		m.kept = slices.Insert(m.kept, at, k)
	}
	most := m.Max
	if most <= 0 {
		most = 100_000
	}
	for len(m.kept) > most {
		delete(m.byID, m.kept[0].now.ID)
		m.kept = slices.Delete(m.kept, 0, 1)
	}
	return nil
}

// find returns the place of r in m.kept.
func (m *Memory) find(r *llmproxy.Record) (int, bool) {
	return slices.BinarySearchFunc(m.kept, r, func(k *kept, r *llmproxy.Record) int { return order(k.now, r) })
}

// view returns what f selects, in its order.
func (m *Memory) view(ctx context.Context, f *Filter) ([]kept, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	from, to := 0, len(m.kept)
	if f.After != "" {
		k := m.byID[f.After]
		if k == nil {
			return nil, fmt.Errorf("ledger: record %s, to go on after, is not there", f.After)
		}
		at, _ := m.find(k.now)
		if f.Newest {
			to = at
		} else {
			from = at + 1
		}
	}
	var view []kept
	take := func(k *kept) bool {
		if f.selects(k.now) {
			view = append(view, *k)
		}
		return f.Limit <= 0 || len(view) < f.Limit
	}
	if f.Newest {
		for i := to - 1; i >= from && take(m.kept[i]); i-- {
		}
	} else {
		for i := from; i < to && take(m.kept[i]); i++ {
		}
	}
	return view, nil
}

// Records implements [Store]. What yield gets is its own to keep.
func (m *Memory) Records(ctx context.Context, f Filter, yield func(*llmproxy.Record) error) error {
	view, err := m.view(ctx, &f)
	if err != nil {
		return err
	}
	for i := range view {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := yield(clone(view[i].now)); err != nil {
			return err
		}
	}
	return nil
}

// Sums implements [Store].
func (m *Memory) Sums(ctx context.Context, f Filter, by Grouping) ([]Sum, error) {
	if _, err := by.group(&llmproxy.Record{}); err != nil {
		return nil, err
	}
	view, err := m.view(ctx, &f)
	if err != nil {
		return nil, err
	}
	s := sums{by: by, groups: map[string]*summing{}}
	for i := range view {
		if err := s.add(view[i].now); err != nil {
			return nil, err
		}
	}
	return s.all()
}

// Pending implements [Store].
func (m *Memory) Pending(ctx context.Context, provider, responseID string) (llmproxy.Record, bool, error) {
	if err := m.lock(ctx); err != nil {
		return llmproxy.Record{}, false, err
	}
	defer m.mu.Unlock()
	for _, k := range m.kept {
		if r := k.now; isPending(r) && r.Provider == provider && r.ResponseID == responseID {
			return *clone(r), true, nil
		}
	}
	return llmproxy.Record{}, false, nil
}

// isPending reports whether the usage of r, a background response, is still to come.
func isPending(r *llmproxy.Record) bool {
	return r.Outcome == llmproxy.OutcomePending && r.CostState == llmproxy.CostPending
}

// Reprice implements [Store]. Records that are not there are skipped.
func (m *Memory) Reprice(ctx context.Context, records []llmproxy.Record) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	for i := range records {
		r := &records[i]
		k := m.byID[r.ID]
		if k == nil {
			continue
		}
		now := *k.now
		now.Cost, now.CostKnown, now.CostState = r.Cost, r.CostKnown, r.CostState
		now.ListCost, now.ListCostKnown, now.PriceVersion = r.ListCost, r.ListCostKnown, r.PriceVersion
		if k.original == nil {
			k.original = k.now
		}
		k.now = &now
	}
	return nil
}

// Repriced implements [Store].
func (m *Memory) Repriced(ctx context.Context, f Filter, yield func(now, original *llmproxy.Record) error) error {
	limit := f.Limit
	f.Limit = 0
	view, err := m.view(ctx, &f)
	if err != nil {
		return err
	}
	seen := 0
	for i := range view {
		if view[i].original == nil {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := yield(clone(view[i].now), clone(view[i].original)); err != nil {
			return err
		}
		if seen++; seen == limit {
			return nil
		}
	}
	return nil
}

// Delete implements [Store].
func (m *Memory) Delete(ctx context.Context, before time.Time) (int64, error) {
	if err := m.lock(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	n := len(m.kept)
	gone := func(k *kept) bool { return k.now.Time.Before(before) }
	m.kept = slices.DeleteFunc(m.kept, gone)
	maps.DeleteFunc(m.byID, func(_ string, k *kept) bool { return gone(k) })
	return int64(n - len(m.kept)), nil
}

// Close implements [Store].
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}
