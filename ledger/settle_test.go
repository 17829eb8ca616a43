package ledger

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"syscall"
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
			// Where the store has it, the drain finds out whether it is pending.
			here := where == "journal" || where == "journal of an earlier process"
			if ok, err := j.Settle(t.Context(), "openai", "resp_a", shown); ok != here || err != nil {
				t.Fatalf("Settle: %t, %v", ok, err)
			}
			settleIt(t, j, "a", "y", false)
			settleIt(t, j, "unknown", "y", false)
			s.set(nil)
			flush(t, j)
			settleIt(t, j, "a", "x", false)
			flush(t, j)
			if b := &j.background; len(b.pending)+len(b.settled) != 0 {
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
			settleIt(t, j, "b", "v", false)
			j.shut(t)
			sameIDs(t, "records", s.ids(t), "a.1", "b.1", "c.0")
			if r := s.all(t)[0]; r.CostState != llmproxy.CostExact || r.Usage != record("z").Usage {
				t.Errorf("settled late: %+v", r)
			}
		}
	})
}

// A store that hangs keeps nobody waiting who settles a response, however short of time,
// and what many show of one response is written down once.
func TestSettleWhileStoreHangs(t *testing.T) {
	t.Parallel()
	for _, durability := range []Durability{DurabilityWrite, DurabilityFsync} {
		synctest.Test(t, func(t *testing.T) {
			s := &waitingStore{Memory: NewMemory(), answer: make(chan struct{})}
			d := newDisk()
			j := started(t, d, s, Options{Durability: durability})
			if err := j.Record(t.Context(), created("a")); err != nil {
				t.Fatal(err)
			}
			flush(t, j)
			settleIt(t, j, "unknown", "z", false) // the drain is at it, and hangs
			synctest.Wait()
			start, before := time.Now(), j.Stats().Written
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					if ok, err := j.Settle(ctx, "openai", "resp_a", record("z")); ok || err != nil {
						t.Errorf("Settle: %t, %v", ok, err)
					}
				})
			}
			wg.Wait()
			if took := time.Since(start); took != 0 {
				t.Errorf("they waited for %s", took)
			}
			shown := record("z")
			shown.ResponseID = "resp_a"
			pooled, _ := encode(kindSettlement, shown)
			if got := j.Stats().Written - before; got != uint64(len(*pooled)) {
				t.Errorf("%d bytes written, want one entry of %d", got, len(*pooled))
			}
			close(s.answer)
			j.shut(t)
			var got []llmproxy.Record
			if err := s.Records(t.Context(), Filter{}, func(r *llmproxy.Record) error { got = append(got, *r); return nil }); err != nil {
				t.Fatal(err)
			}
			if len(got) != 1 || got[0].Revision != 1 || got[0].Usage != record("z").Usage {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// waitingStore answers Pending when it is let.
type waitingStore struct {
	*Memory
	answer chan struct{}
}

func (s *waitingStore) Pending(ctx context.Context, provider, responseID string) (llmproxy.Record, bool, error) {
	select {
	case <-s.answer:
		return s.Memory.Pending(ctx, provider, responseID)
	case <-ctx.Done():
		return llmproxy.Record{}, false, ctx.Err()
	}
}

// A disk that does not keep what it is given is an error, for who is short of time, too.
func TestSettleNotDurable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, s := newDisk(), &testStore{down: errDown}
		j := started(t, d, s, Options{Durability: DurabilityFsync})
		synctest.Wait()
		d.mu.Lock()
		d.syncing = func(string) error { return syscall.EIO }
		d.mu.Unlock()
		if ok, err := j.Settle(t.Context(), "openai", "resp_a", record("z")); ok || !errors.Is(err, ErrNotDurable) {
			t.Errorf("Settle: %t, %v", ok, err)
		}
		j.halt()
	})
}

// What is known of settled responses is bounded, and beyond the bound each is settled once,
// too.
func TestMostSettled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &testStore{}
		j := started(t, newDisk(), s, Options{})
		if err := j.Record(t.Context(), created("a")); err != nil {
			t.Fatal(err)
		}
		flush(t, j)
		s.set(errDown)
		for i := range mostSettled {
			settleIt(t, j, fmt.Sprint("unknown", i), "z", false)
		}
		settleIt(t, j, "a", "z", false)
		settleIt(t, j, "a", "y", false)
		if n := len(j.background.settled); n != mostSettled {
			t.Errorf("%d are kept in memory", n)
		}
		s.set(nil)
		j.shut(t)
		sameIDs(t, "records", s.ids(t), "a.1")
	})
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
		close(winners)
		got := s.all(t)
		if len(got) != 1 || got[0].Revision != 1 {
			t.Fatalf("got %+v", got)
		}
		var won []llmproxy.USD
		for n := range winners {
			won = append(won, llmproxy.USD(n))
		}
		if want := []llmproxy.USD{got[0].Cost}; !inStore && !slices.Equal(won, want) || inStore && won != nil {
			t.Errorf("%v have settled it, want %v", won, want)
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
		settleIt(t, j, "young", "z", false)
		pass(48 * time.Hour) // nothing is revised twice
		j.shut(t)
		sameIDs(t, "records", s.ids(t), append(late, "young.1")...)
	})
}
