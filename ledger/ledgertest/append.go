package ledgertest

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/ledger"
)

func testEmpty(t *testing.T, s ledger.Store) {
	add(t, s)
	same(t, "no record", all(t, s, ledger.Filter{}), nil)
	for _, by := range []ledger.Grouping{ledger.ByNothing, ledger.ByModel, ledger.ByTag + "team"} {
		if got, err := s.Sums(t.Context(), ledger.Filter{}, by); err != nil || len(got) != 0 {
			t.Errorf("Sums by %q: got %+v, %v, want none", by, got, err)
		}
	}
	if _, ok, err := s.Pending(t.Context(), "openai", "resp_1"); ok || err != nil {
		t.Errorf("Pending: %t, %v", ok, err)
	}
	if n, err := s.Delete(t.Context(), noon); n != 0 || err != nil {
		t.Errorf("Delete: %d, %v", n, err)
	}
}

// A record comes back with everything it had. A field that the suite does not set yet
// fails it too.
func testLossless(t *testing.T, s ledger.Store) {
	full := Full()
	for v := reflect.ValueOf(full); ; {
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				t.Errorf("the suite's full record has no %s", v.Type().Field(i).Name)
			}
		}
		if v = v.FieldByName("Usage"); !v.IsValid() {
			break
		}
	}
	free := llmproxy.Record{ID: "free", Time: noon, CostKnown: true, CostState: llmproxy.CostFree}
	bare := llmproxy.Record{ID: "bare", Time: noon}
	dear := llmproxy.Record{ID: "dear", Time: noon, Cost: 1<<63 - 1, CostKnown: true, ListCost: -1 << 63, ListCostKnown: true}
	add(t, s, full, free, bare, dear)
	same(t, "what came back", all(t, s, ledger.Filter{}), []llmproxy.Record{bare, dear, free, full})
}

func testRandomRecords(t *testing.T, s ledger.Store) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	want := make([]llmproxy.Record, 200)
	for i := range want {
		want[i] = random(r, fmt.Sprintf("id%03d", i))
	}
	add(t, s, want...)
	slices.SortFunc(want, func(a, b llmproxy.Record) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	same(t, "what came back", all(t, s, ledger.Filter{}), want)
}

// The store has copies: what the caller does with its records afterwards is its own
// business.
func testOwnership(t *testing.T, s ledger.Store) {
	mine := Full()
	add(t, s, mine)
	mine.Tags["team"] = "changed"
	mine.Items[0].Model = "changed"
	mine.Attempts[0].Provider = "changed"
	mine.Error.Code = "changed"
	got := all(t, s, ledger.Filter{})
	same(t, "what came back", got, []llmproxy.Record{Full()})
	if len(got) == 1 {
		maps.DeleteFunc(got[0].Tags, func(string, string) bool { return true })
		got[0].Error.Code = "changed"
		same(t, "what came back the second time", all(t, s, ledger.Filter{}), []llmproxy.Record{Full()})
	}
}

func testAppendTwice(t *testing.T, s ledger.Store) {
	first, second := plain("a", 0), plain("b", 1)
	add(t, s, first)
	other := first
	other.Cost, other.Model = 1, "another" // same ID, same revision: the first one stays
	add(t, s, other, second)
	add(t, s, second, second)
	same(t, "appended again", all(t, s, ledger.Filter{}), []llmproxy.Record{first, second})
}

// Of one ID the highest revision stays, in whichever order they come.
func testRevisions(t *testing.T, s ledger.Store) {
	r0 := background("a")
	r1 := r0
	r1.Revision, r1.Outcome, r1.CostState, r1.Cost, r1.CostKnown = 1, llmproxy.OutcomeCompleted, llmproxy.CostExact, 5, true
	add(t, s, r0)
	add(t, s, r1)
	same(t, "0, 1", all(t, s, ledger.Filter{}), []llmproxy.Record{r1})
	add(t, s, r0)
	late := r1
	late.Cost = 6
	add(t, s, late)
	same(t, "0, 1, 0, 1", all(t, s, ledger.Filter{}), []llmproxy.Record{r1})

	b0, b1 := background("b"), r1
	b1.ID, b1.Time = "b", r1.Time.Add(time.Hour) // its place in the order is its own
	add(t, s, b1)
	add(t, s, b0)
	same(t, "1, 0", all(t, s, ledger.Filter{}), []llmproxy.Record{r1, b1})
	b2 := b1
	b2.Revision, b2.Time, b2.Tags = 2, noon.Add(-time.Hour), map[string]string{"team": "b"}
	add(t, s, b2)
	same(t, "1, 0, 2", all(t, s, ledger.Filter{}), []llmproxy.Record{b2, r1})
	same(t, "by its new tag", all(t, s, ledger.Filter{Tag: "team=b"}), []llmproxy.Record{b2})
}

func testRevisionsInOneAppend(t *testing.T, s ledger.Store) {
	a0 := background("a")
	a1 := a0
	a1.Revision, a1.Cost, a1.CostKnown = 1, 1, true
	b0, b1 := a0, a1
	b0.ID, b1.ID = "b", "b"
	c := plain("c", 3)
	add(t, s, a0, a1, b1, b0, c, c)
	same(t, "0 1, 1 0, twice", all(t, s, ledger.Filter{}), []llmproxy.Record{a1, b1, c})
}

// 5000 records are more than one statement's worth in any database.
func testLargeAppend(t *testing.T, s ledger.Store) {
	want := make([]llmproxy.Record, 5000)
	for i := range want {
		want[i] = plain(fmt.Sprintf("id%04d", i), i)
	}
	add(t, s, want...)
	same(t, "all", all(t, s, ledger.Filter{}), want)
}

// An Append that fails has kept nothing. A context that ends at any moment makes it fail
// anywhere, or not at all.
func testAppendIsAtomic(t *testing.T, s ledger.Store) {
	for n := range 12 {
		batch := make([]llmproxy.Record, 1000)
		for i := range batch {
			batch[i] = plain(fmt.Sprintf("%02d-%04d", n, i), n)
		}
		err := appendWithin(t, s, time.Duration(n*n)*50*time.Microsecond, batch)
		got := all(t, s, ledger.Filter{Since: batch[0].Time, Until: batch[0].Time.Add(time.Minute)})
		// A commit whose answer is lost may have happened: an error then means that
		// nothing is known. What must not be is half of it.
		if len(got) != 0 && len(got) != len(batch) || err == nil && len(got) == 0 {
			t.Fatalf("Append: %v, with %d of %d records kept", err, len(got), len(batch))
		}
		add(t, s, batch...)
		if got := all(t, s, ledger.Filter{Since: batch[0].Time, Until: batch[0].Time.Add(time.Minute)}); len(got) != len(batch) {
			t.Fatalf("appended again: %d records, want %d", len(got), len(batch))
		}
	}
}

// Many writers, each record from two of them.
func testConcurrentAppends(t *testing.T, s ledger.Store) {
	const writers, batches, size = 8, 10, 20
	errs := make(chan error, writers)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			var faults []error
			for b := range batches {
				batch := make([]llmproxy.Record, size)
				for i := range batch {
					at := (w/2*batches+b)*size + i
					batch[i] = plain(fmt.Sprintf("id%05d", at), at)
				}
				if w%2 == 1 {
					slices.Reverse(batch) // another order of locks
				}
				if err := s.Append(t.Context(), batch); err != nil {
					faults = append(faults, err)
				}
				if _, err := s.Sums(t.Context(), ledger.Filter{}, ledger.ByModel); err != nil {
					faults = append(faults, err)
				}
			}
			errs <- errors.Join(faults...)
		})
	}
	wg.Wait()
	for range writers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	want := make([]llmproxy.Record, writers/2*batches*size)
	for i := range want {
		want[i] = plain(fmt.Sprintf("id%05d", i), i)
	}
	same(t, "all", all(t, s, ledger.Filter{}), want)
}

// Of many that settle one response, whichever comes first stays.
func testConcurrentRevisions(t *testing.T, s ledger.Store) {
	r := background("a")
	add(t, s, r)
	var wg sync.WaitGroup
	errs := make(chan error, 8)
	for n := range 8 {
		wg.Go(func() {
			settled := r
			settled.Revision, settled.CostState, settled.CostKnown, settled.Cost = 1, llmproxy.CostExact, true, llmproxy.USD(n+1)
			errs <- s.Append(t.Context(), []llmproxy.Record{settled})
		})
	}
	wg.Wait()
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	first := all(t, s, ledger.Filter{})
	if len(first) != 1 || first[0].Revision != 1 || first[0].Cost == 0 {
		t.Fatalf("got %d records, %+v", len(first), first)
	}
}
