package ledger

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmproxy/llmproxy"
)

func settleIt(t *testing.T, j *Journal, id, by string, want bool) {
	t.Helper()
	got, err := j.Settle(context.Background(), "openai", "resp_"+id, record(by))
	if err != nil || got != want {
		t.Errorf("Settle(%s) by %s: got %t, %v, want %t", id, by, got, err, want)
	}
}

// The first record that shows usage settles the creation's, once, wherever that is.
func TestSettle(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"journal", "store", "journal of an earlier process", "store of an earlier process"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			d, s := newDisk(), &testStore{}
			if where == "journal" || where == "journal of an earlier process" {
				s.set(errDown)
			}
			j := started(t, d, s, Options{})
			begin(t, j, "a")
			create := created("a")
			create.Tags = map[string]string{"team": "z"}
			if err := j.Record(t.Context(), create); err != nil {
				t.Fatal(err)
			}
			if s.down == nil {
				flush(t, j)
			}
			if where == "journal of an earlier process" || where == "store of an earlier process" {
				j.halt()
				j = started(t, d.crash(), s, Options{})
			}
			shown := record("z")
			shown.Time, shown.Key, shown.Tags, shown.ModelRequested = noon.Add(time.Hour), "key_2", nil, ""
			shown.Model, shown.Outcome, shown.FinishReason, shown.ServiceTier = "gpt-5-mini-2025", llmproxy.OutcomeIncomplete, "max", "flex"
			shown.Items = []llmproxy.Item{{Model: "m", Usage: llmproxy.Usage{PromptTokens: 1}}}
			shown.Error = &llmproxy.RecordError{Code: "c"}
			if ok, err := j.Settle(t.Context(), "openai", "resp_a", shown); !ok || err != nil {
				t.Fatalf("Settle: %t, %v", ok, err)
			}
			settleIt(t, j, "a", "y", false)
			settleIt(t, j, "unknown", "y", false)
			s.set(nil)
			flush(t, j)
			settleIt(t, j, "a", "x", false)
			if b := &j.background; len(b.pending)+len(b.settled)+len(b.settling) != 0 {
				t.Errorf("what the store knows is kept in memory: %+v", b)
			}
			j.shut(t)
			want := *create
			want.Revision = 1
			want.Model, want.Outcome, want.FinishReason, want.ServiceTier = shown.Model, shown.Outcome, shown.FinishReason, shown.ServiceTier
			want.Usage, want.UsageSource, want.Items, want.Error = shown.Usage, shown.UsageSource, shown.Items, shown.Error
			want.Cost, want.CostKnown, want.CostState = shown.Cost, shown.CostKnown, shown.CostState
			want.ListCost, want.ListCostKnown, want.PriceVersion = shown.ListCost, shown.ListCostKnown, shown.PriceVersion
			if got := s.all(t); len(got) != 1 || !reflect.DeepEqual(got[0], want) {
				t.Errorf("\n got %+v\nwant %+v", got, want)
			}
		})
	}
}

// With the store down, what settles a response that only the store knows is kept for
// later: by this process, or by the next.
func TestSettleLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, restart := range []bool{false, true} {
			d, s := newDisk(), &testStore{}
			j := started(t, d, s, Options{})
			for _, id := range []string{"a", "b"} {
				if err := j.Record(t.Context(), created(id)); err != nil {
					t.Fatal(err)
				}
			}
			flush(t, j)
			s.set(errDown)
			settleIt(t, j, "a", "z", false)
			settleIt(t, j, "a", "y", false)       // the second is no more
			settleIt(t, j, "unknown", "z", false) // nobody can tell yet
			finish(t, j, "c")
			if restart {
				j.halt()
				j = started(t, d.crash(), s, Options{})
			}
			s.set(nil)
			settleIt(t, j, "a", "x", false) // the store would say that it is pending
			flush(t, j)
			settleIt(t, j, "a", "w", false)
			settleIt(t, j, "b", "v", true)
			j.shut(t)
			sameIDs(t, "records", s.ids(t), "a.1", "b.1", "c.0")
			if r := s.all(t)[0]; r.CostState != llmproxy.CostExact || r.Usage != record("z").Usage {
				t.Errorf("settled late: %+v", r)
			}
		}
	})
}

// Who settles a response keeps others from doing so meanwhile, and only for so long.
func TestSettleOneByOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &waitingStore{Memory: NewMemory(), answer: make(chan error)}
		j := started(t, newDisk(), s, Options{})
		if err := j.Record(t.Context(), created("a")); err != nil {
			t.Fatal(err)
		}
		flush(t, j)
		results := make(chan bool, 3)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				ok, err := j.Settle(t.Context(), "openai", "resp_a", record("z"))
				if err != nil {
					t.Error(err)
				}
				results <- ok
			})
		}
		synctest.Wait()
		if n := s.inside.Load(); n != 1 {
			t.Errorf("%d at once", n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := j.Settle(ctx, "openai", "resp_a", record("z")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who waits no longer gets %v", err)
		}
		s.answer <- nil
		wg.Wait()
		if a, b, c := <-results, <-results, <-results; !a || b || c {
			t.Errorf("got %t, %t, %t", a, b, c)
		}
		j.shut(t)
	})
}

// waitingStore answers Pending when it is let.
type waitingStore struct {
	*Memory
	answer chan error
	inside atomic.Int64
}

func (s *waitingStore) Pending(ctx context.Context, provider, responseID string) (llmproxy.Record, bool, error) {
	s.inside.Add(1)
	defer s.inside.Add(-1)
	if err := <-s.answer; err != nil {
		return llmproxy.Record{}, false, err
	}
	return s.Memory.Pending(ctx, provider, responseID)
}

// Of many that settle one response at once, one does.
func TestSettleConcurrently(t *testing.T) {
	t.Parallel()
	for _, inStore := range []bool{false, true} {
		s := &testStore{}
		j := started(t, newDisk(), s, Options{Durability: DurabilityFsync})
		if err := j.Record(t.Context(), created("a")); err != nil {
			t.Fatal(err)
		}
		if inStore {
			flush(t, j)
		}
		const callers = 16
		var wg sync.WaitGroup
		winners := make(chan int, callers)
		for n := range callers {
			wg.Go(func() {
				r := record("z")
				r.Cost = llmproxy.USD(n)
				ok, err := j.Settle(t.Context(), "openai", "resp_a", r)
				if err != nil {
					t.Error(err)
				}
				if ok {
					winners <- n
				}
			})
		}
		wg.Wait()
		j.shut(t)
		if len(winners) != 1 {
			t.Fatalf("%d have settled it", len(winners))
		}
		if got := s.all(t); len(got) != 1 || got[0].Revision != 1 || got[0].Cost != llmproxy.USD(<-winners) {
			t.Errorf("got %+v", got)
		}
	}
}

// What does not show usage settles nothing.
func TestSettleWithoutUsage(t *testing.T) {
	t.Parallel()
	s := &testStore{}
	j := started(t, newDisk(), s, Options{})
	if err := j.Record(t.Context(), created("a")); err != nil {
		t.Fatal(err)
	}
	if ok, err := j.Settle(t.Context(), "openai", "resp_a", created("z")); ok || err != nil {
		t.Errorf("still pending: %t, %v", ok, err)
	}
	if ok, err := j.Settle(t.Context(), "openai", "", record("z")); ok || err != nil {
		t.Errorf("no response id: %t, %v", ok, err)
	}
	if ok, err := j.Settle(t.Context(), "azure", "resp_a", record("z")); ok || err != nil {
		t.Errorf("another provider's: %t, %v", ok, err)
	}
	settleIt(t, j, "a", "z", true)
	j.shut(t)
	sameIDs(t, "records", s.ids(t), "a.1")
}

// A response that nobody asks for in time is not waited for any longer.
func TestSweep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &testStore{}
		j := started(t, newDisk(), s, Options{PendingAge: 48 * time.Hour})
		var late []string
		for i := range 2500 {
			r := created(fmt.Sprintf("old%04d", i))
			r.Time = time.Now()
			if i == 0 {
				r.ResponseID = "" // it could never be asked for
			}
			if err := j.Record(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			late = append(late, r.ID+".1")
		}
		pass(36 * time.Hour)
		r := created("young")
		r.Time = time.Now()
		if err := j.Record(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Sums(t.Context(), Filter{}, ByNothing); err != nil || got[0].Estimated != 0 {
			t.Errorf("too early: %+v, %v", got, err)
		}
		pass(14 * time.Hour)
		flush(t, j)
		sameIDs(t, "records", s.ids(t), append(late, "young.0")...)
		for _, r := range s.all(t)[:2500] {
			if r.Outcome != llmproxy.OutcomePending || r.CostState != llmproxy.CostEstimated || r.CostKnown {
				t.Fatalf("%+v", r)
			}
		}
		settleIt(t, j, "old0001", "z", false)
		settleIt(t, j, "young", "z", true)
		pass(48 * time.Hour) // nothing is revised twice
		j.shut(t)
		sameIDs(t, "records", s.ids(t), append(late, "young.1")...)
	})
}
