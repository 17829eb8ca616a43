package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmproxy/llmproxy"
)

// slow is a holder that answers only at times, and notes what it was told.
type slow struct {
	mu   sync.Mutex
	err  error    // guarded by mu
	told []string // guarded by mu
}

func (s *slow) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// was returns what it was told.
func (s *slow) was() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.told)
}

func (s *slow) Hold(context.Context, Hold) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *slow) Settle(_ context.Context, h Hold, cost llmproxy.USD) error {
	return s.note("settle", h, cost)
}

func (s *slow) Charge(_ context.Context, h Hold, cost llmproxy.USD) error {
	return s.note("charge", h, cost)
}

func (s *slow) note(what string, h Hold, cost llmproxy.USD) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.told = append(s.told, fmt.Sprintf("%s %s %d", what, h.ID, cost))
	}
	return s.err
}

// safeLog is a log that many may write.
type safeLog struct {
	mu sync.Mutex
	b  strings.Builder // guarded by mu
}

func (l *safeLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *safeLog) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// one is the only key there is.
type one struct{ key Key }

func (o *one) Key(id string) (*Key, bool) { return &o.key, id == o.key.ID }

// pass lets time go by, which is virtual.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// What cannot be settled at once is settled when the holder answers again, in order, and
// nothing of it twice.
func TestDebts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slow{}
		var log safeLog
		b := &Budget{Holder: s, Logger: slog.New(slog.NewTextHandler(&log, nil))}
		x := &llmproxy.Exchange{ID: "x"}
		h := Hold{ID: "x", Money: 100}
		settle := func(r llmproxy.Record) {
			b.settled(t.Context(), x, h, "", &r)
		}
		cost := func(id string, n llmproxy.USD) llmproxy.Record {
			return llmproxy.Record{ID: id, Cost: n, CostKnown: true}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { b.Run(ctx) })

		settle(cost("x", 5))
		settle(cost("successor", 0)) // costs nothing: there is nothing to tell
		s.set(errors.New("down"))
		settle(cost("another", 7))
		settle(llmproxy.Record{ID: "unknown"})
		pass(time.Hour)
		if want := []string{"settle x 5"}; !slices.Equal(s.was(), want) {
			t.Errorf("while it is down: told %q, want %q", s.was(), want)
		}
		s.set(nil)
		pass(30 * time.Second)
		want := []string{"settle x 5", "charge another 7", "charge unknown 100"}
		if !slices.Equal(s.was(), want) {
			t.Errorf("when it is back: told %q, want %q", s.was(), want)
		}
		if n := strings.Count(log.text(), "budgets cannot be settled"); n != 1 {
			t.Errorf("logged %d times: %s", n, log.text())
		}
		s.set(errors.New("down"))
		settle(cost("last", 8))
		synctest.Wait()
		s.set(nil)
		cancel()
		wg.Wait()
		if want = append(want, "charge last 8"); !slices.Equal(s.was(), want) {
			t.Errorf("at the end: told %q, want %q", s.was(), want)
		}
	})
}

// Where it is not known whether something is held, it is given back.
func TestHoldThatFailed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slow{err: errors.New("down")}
		k := one{Key{ID: "key_a", Per: Total, Budget: 100}}
		b := &Budget{Keys: &k, Holder: s, AllowStoreDown: true, AllowUnpriced: true, Logger: slog.New(slog.DiscardHandler)}
		x := &llmproxy.Exchange{
			ID: "x", Caller: llmproxy.Caller{Key: "key_a"}, Operation: llmproxy.Operation{Metered: true},
		}
		asked := 0
		next := func(context.Context, *llmproxy.Exchange) (*llmproxy.Reply, error) {
			asked++
			return &llmproxy.Reply{StatusCode: 200}, nil
		}
		if _, err := b.Intercept(t.Context(), x, next); err != nil || asked != 1 {
			t.Errorf("allowed: %v, sent %d times", err, asked)
		}
		s.set(nil)
		b.settled(t.Context(), x, Hold{ID: "x+"}, "", &llmproxy.Record{ID: "x", Cost: 3, CostKnown: true})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { b.Run(ctx) })
		synctest.Wait()
		cancel()
		wg.Wait()
		if want := []string{"charge x+ 3", "settle x 0"}; !slices.Equal(s.was(), want) {
			t.Errorf("told %q, want %q", s.was(), want)
		}
	})
}

func TestDebtsAreBounded(t *testing.T) {
	t.Parallel()
	b := &Budget{}
	for i := range mostDebts + 2 {
		b.owe(debt{cost: llmproxy.USD(i)})
	}
	if list := b.start().debts.list; len(list) != mostDebts || list[0].cost != 2 {
		t.Errorf("%d debts, the first %d", len(list), list[0].cost)
	}
	var p pending
	for i := range mostPending {
		if _, full := p.add(pendingHold{Hold: Hold{ID: fmt.Sprint(i)}}); full {
			t.Fatalf("full after %d", i)
		}
	}
	if oldest, full := p.add(pendingHold{}); !full || oldest.ID != "0" {
		t.Errorf("got %q, %t, want the oldest", oldest.ID, full)
	}
}

// notes is a store of owners that can be down.
type notes struct {
	Memory

	mu  sync.Mutex
	err error // guarded by mu
	n   int   // calls of Own; guarded by mu
}

func (s *notes) Own(ctx context.Context, owned []Owned) error {
	s.mu.Lock()
	s.n++
	err := s.err
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.Memory.Own(ctx, owned)
}

func TestOwnersReachTheirStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &notes{err: errors.New("down")}
		var log safeLog
		o := NewOwners(s, OwnersOptions{Remember: 2, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { o.Run(ctx) })
		is := func(id string, want ...string) {
			t.Helper()
			if got, err := o.of(t.Context(), id); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: got %q, %v, want %q", id, got, err, want)
			}
		}
		o.note("key_b", "a")
		o.note("key_a", "a")
		o.note("key_a", "a")
		o.own(t.Context(), "key_a", []string{"b"})
		is("a", "key_a", "key_b") // known at once
		pass(time.Hour)
		s.mu.Lock()
		if s.n > 200 {
			t.Errorf("a store that is down was asked %d times in an hour", s.n)
		}
		s.err = nil
		s.mu.Unlock()
		pass(time.Minute)
		o.note("key_a", "c")
		o.note("key_a", "d") // now a and b are in the store alone
		is("a", "key_a", "key_b")
		is("b", "key_a")
		is("x")
		if n := strings.Count(log.text(), "cannot be kept"); n != 1 {
			t.Errorf("logged %d times: %s", n, log.text())
		}
		o.note("key_c", "last")
		cancel()
		wg.Wait()
		if got, _ := s.Owners(t.Context(), "last"); !slices.Equal(got, []string{"key_c"}) {
			t.Errorf("at the end the store has %q", got)
		}
	})
}

// Without a store, what was made long ago is forgotten.
func TestOwnersInMemory(t *testing.T) {
	t.Parallel()
	o := NewOwners(nil, OwnersOptions{Remember: 2})
	o.Run(t.Context()) // has nothing to do
	for _, id := range []string{"a", "b", "c"} {
		o.note("key_a", id)
	}
	for id, want := range map[string]int{"a": 0, "b": 1, "c": 1} {
		if got, err := o.of(t.Context(), id); err != nil || len(got) != want {
			t.Errorf("%s: got %q, %v", id, got, err)
		}
	}
}
