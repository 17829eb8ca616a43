// Package ledgertest holds every [ledger.Store] to what its interface promises.
package ledgertest

import (
	"context"
	"reflect"
	"slices"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/ledger"
)

// Run runs the suite. open returns a new, empty store, and is called once by each test; the
// suite closes it.
func Run(t *testing.T, open func(t *testing.T) ledger.Store) {
	t.Helper()
	for _, tt := range []struct {
		name string
		test func(t *testing.T, s ledger.Store)
	}{
		{"Empty", testEmpty},
		{"Lossless", testLossless},
		{"RandomRecords", testRandomRecords},
		{"Ownership", testOwnership},
		{"AppendTwice", testAppendTwice},
		{"Revisions", testRevisions},
		{"RevisionsInOneAppend", testRevisionsInOneAppend},
		{"LargeAppend", testLargeAppend},
		{"AppendIsAtomic", testAppendIsAtomic},
		{"ConcurrentAppends", testConcurrentAppends},
		{"ConcurrentRevisions", testConcurrentRevisions},
		{"Order", testOrder},
		{"Filters", testFilters},
		{"Paging", testPaging},
		{"YieldError", testYieldError},
		{"AppendWhileReading", testAppendWhileReading},
		{"Sums", testSums},
		{"Groupings", testGroupings},
		{"UnknownGrouping", testUnknownGrouping},
		{"SumsOfWhatIsFiltered", testSumsOfWhatIsFiltered},
		{"LargeSums", testLargeSums},
		{"SumsMatchRecords", testSumsMatchRecords},
		{"Pending", testPending},
		{"Reprice", testReprice},
		{"RepricedFilter", testRepricedFilter},
		{"Delete", testDelete},
		{"Cancelled", testCancelled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			tt.test(t, s)
		})
	}
}

// RunReopen checks that a store keeps what it was given when it is closed and opened
// again. reopen is called once and returns what opens one and the same store, new and
// empty at first, each time it is called.
func RunReopen(t *testing.T, reopen func(t *testing.T) (open func() ledger.Store)) {
	t.Helper()
	open := reopen(t)
	s := open()
	full, pending := Full(), background("b")
	add(t, s, full, pending)
	repriced := full
	repriced.Cost, repriced.CostState, repriced.PriceVersion = 7, llmproxy.CostEstimated, "v2"
	if err := s.Reprice(t.Context(), []llmproxy.Record{repriced}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = open()
	same(t, "after opening it again", all(t, s, ledger.Filter{}), []llmproxy.Record{pending, repriced})
	now, original := repricedOf(t, s, ledger.Filter{})
	same(t, "as it is", now, []llmproxy.Record{repriced})
	same(t, "as it was", original, []llmproxy.Record{full})
	if r, ok, err := s.Pending(t.Context(), pending.Provider, pending.ResponseID); err != nil || !ok || r.ID != "b" {
		t.Errorf("Pending: got %q, %t, %v", r.ID, ok, err)
	}
	add(t, s, full, pending) // known already
	if got := all(t, s, ledger.Filter{}); len(got) != 2 {
		t.Errorf("appended again: %d records, want 2", len(got))
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// add appends records and fails the test where that fails.
func add(t *testing.T, s ledger.Store, records ...llmproxy.Record) {
	t.Helper()
	if err := s.Append(t.Context(), records); err != nil {
		t.Fatalf("Append: %v", err)
	}
}

// all returns what f selects.
func all(t *testing.T, s ledger.Store, f ledger.Filter) []llmproxy.Record {
	t.Helper()
	got, err := read(t.Context(), s, f)
	if err != nil {
		t.Fatalf("Records(%+v): %v", f, err)
	}
	return got
}

func read(ctx context.Context, s ledger.Store, f ledger.Filter) (got []llmproxy.Record, err error) {
	err = s.Records(ctx, f, func(r *llmproxy.Record) error {
		got = append(got, *r)
		return nil
	})
	return got, err
}

// repricedOf returns what Repriced yields.
func repricedOf(t *testing.T, s ledger.Store, f ledger.Filter) (now, original []llmproxy.Record) {
	t.Helper()
	err := s.Repriced(t.Context(), f, func(n, o *llmproxy.Record) error {
		now, original = append(now, *n), append(original, *o)
		return nil
	})
	if err != nil {
		t.Fatalf("Repriced(%+v): %v", f, err)
	}
	return now, original
}

// same compares records, whatever the zone of their times.
func same(t *testing.T, what string, got, want []llmproxy.Record) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: got %d records %v, want %d %v", what, len(got), ids(got), len(want), ids(want))
		return
	}
	for i := range got {
		g, w := got[i], want[i]
		g.Time, w.Time = g.Time.UTC(), w.Time.UTC()
		if !reflect.DeepEqual(g, w) {
			t.Errorf("%s: record %d:\n got %s\nwant %s", what, i, g.AppendJSON(nil), w.AppendJSON(nil))
		}
	}
}

func ids(records []llmproxy.Record) []string {
	list := make([]string, len(records))
	for i := range records {
		list[i] = records[i].ID
	}
	return list
}

func sameIDs(t *testing.T, what string, got []llmproxy.Record, want ...string) {
	t.Helper()
	if list := ids(got); !slices.Equal(list, want) {
		t.Errorf("%s: got %q, want %q", what, list, want)
	}
}
