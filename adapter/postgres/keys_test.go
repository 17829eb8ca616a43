//go:build unix

package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/postgres"
	"github.com/llmproxy/llmproxy/keys"
	"github.com/llmproxy/llmproxy/keys/keystest"
)

// openKeys opens the keys in the database at url until the test ends.
func openKeys(t *testing.T, url string) *postgres.Keys {
	t.Helper()
	s, err := postgres.OpenKeys(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestKeys(t *testing.T) {
	t.Parallel()
	keystest.Run(t, func(t *testing.T) keys.Store { return openKeys(t, newDatabase(t, "ledger")) })
}

func TestKeysShared(t *testing.T) {
	t.Parallel()
	keystest.RunShared(t, func(t *testing.T) (keys.Store, keys.Store) {
		url := newDatabase(t, "ledger")
		return openKeys(t, url), openKeys(t, url)
	})
}

func TestOwners(t *testing.T) {
	t.Parallel()
	keystest.RunOwners(t, func(t *testing.T) keys.OwnerStore { return openKeys(t, newDatabase(t, "ledger")) })
}

func TestHolder(t *testing.T) {
	t.Parallel()
	keystest.RunHolder(t, func(t *testing.T) keys.Holder { return openKeys(t, newDatabase(t, "ledger")) })
}

// nodes is a holder that asks one of several gateways' in turn.
type nodes struct {
	all []keys.Holder

	mu sync.Mutex
	n  int // guarded by mu
}

func (s *nodes) next() keys.Holder {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	return s.all[s.n%len(s.all)]
}

func (s *nodes) Hold(ctx context.Context, h keys.Hold) error { return s.next().Hold(ctx, h) }

func (s *nodes) Settle(ctx context.Context, h keys.Hold, cost llmproxy.USD) error {
	return s.next().Settle(ctx, h, cost)
}

func (s *nodes) Charge(ctx context.Context, h keys.Hold, cost llmproxy.USD) error {
	return s.next().Charge(ctx, h, cost)
}

// Several nodes promise together what one does.
func TestHolderOfSeveralNodes(t *testing.T) {
	t.Parallel()
	keystest.RunHolder(t, func(t *testing.T) keys.Holder {
		url := newDatabase(t, "ledger")
		return &nodes{all: []keys.Holder{openKeys(t, url), openKeys(t, url), openKeys(t, url)}}
	})
}

const dollar llmproxy.USD = 1_000_000_000_000

var day = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

func holdOf(id string, money llmproxy.USD) keys.Hold {
	return keys.Hold{ID: id, Key: "key_a", Since: day, Limit: 10 * dollar, Money: money, Life: time.Hour}
}

// spent returns what s says is spent and held of the budget of h, which is exceeded.
func spent(t *testing.T, s *postgres.Keys, h keys.Hold) (spent, held llmproxy.USD) {
	t.Helper()
	h.ID, h.Limit = "asks", 0
	e, ok := errors.AsType[*keys.ExceededError](s.Hold(t.Context(), h))
	if !ok {
		t.Fatal("a budget of nothing is not exceeded")
	}
	return e.Spent, e.Held
}

func priced(id string, at time.Time, cost llmproxy.USD) llmproxy.Record {
	return llmproxy.Record{ID: id, Key: "key_a", Time: at, Cost: cost, CostKnown: true, CostState: llmproxy.CostExact}
}

// A budget that nobody has asked for begins with what the ledger has of its period.
func TestBudgetBeginsWithTheLedger(t *testing.T) {
	t.Parallel()
	url := newDatabase(t, "ledger")
	l := open(t, url)
	defer l.Close()
	unknown := priced("unknown", day, 0)
	unknown.CostKnown, unknown.CostState = false, llmproxy.CostUnpriced
	other := priced("other", day, 64*dollar)
	other.Key = "key_b"
	if err := l.Append(t.Context(), []llmproxy.Record{
		priced("before", day.Add(-time.Millisecond), 1*dollar), priced("first", day, 2*dollar),
		priced("later", day.AddDate(0, 0, 1), 4*dollar), unknown, other,
	}); err != nil {
		t.Fatal(err)
	}
	s := openKeys(t, url)
	h := holdOf("", dollar)
	for _, tt := range []struct {
		since time.Time
		want  llmproxy.USD
	}{
		{day, 6 * dollar},
		{day.AddDate(0, 0, 1), 4 * dollar},
		{keys.PerMonth.Start(day), 7 * dollar},
		{time.Time{}, 7 * dollar},
		{day.AddDate(0, 0, 2), 0},
	} {
		h.Since = tt.since
		if got, held := spent(t, s, h); got != tt.want || held != 0 {
			t.Errorf("since %v: $%s spent and $%s held, want $%s and nothing", tt.since, got, held, tt.want)
		}
	}
	if err := l.Append(t.Context(), []llmproxy.Record{priced("now", day, dollar)}); err != nil {
		t.Fatal(err)
	}
	h.Since = day
	if got, _ := spent(t, s, h); got != 6*dollar {
		t.Errorf("$%s spent: the ledger was asked again", got)
	}
}

// A node that died leaves holds behind: they cost what the ledger knows of the exchange,
// and later settlements what they change in that.
func TestHoldsOfADeadNode(t *testing.T) {
	t.Parallel()
	url := newDatabase(t, "ledger")
	s := openKeys(t, url)
	if got, _ := spent(t, s, holdOf("", 1)); got != 0 {
		t.Fatalf("$%s spent of an empty ledger", got)
	}
	dead := func(id string, money llmproxy.USD) keys.Hold {
		t.Helper()
		h := holdOf(id, money)
		h.Life = 0
		if err := s.Hold(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		return h
	}
	lost := dead("lost", 2*dollar)
	if got, held := spent(t, s, lost); got != 0 || held != 0 {
		t.Errorf("$%s spent and $%s held by an exchange that no ledger has, want nothing", got, held)
	}
	l := open(t, url)
	defer l.Close()
	unknown := priced("unknown", day, 0)
	unknown.CostKnown, unknown.CostState = false, llmproxy.CostEstimated
	if err := l.Append(t.Context(), []llmproxy.Record{unknown, priced("late", day, dollar)}); err != nil {
		t.Fatal(err)
	}
	dead("unknown", 2*dollar)
	late := dead("late", 3*dollar)
	if got, held := spent(t, s, late); got != 3*dollar || held != 0 {
		t.Errorf("$%s spent and $%s held, want $3 and nothing", got, held)
	}
	for range 2 {
		if err := s.Settle(t.Context(), late, 5*dollar); err != nil {
			t.Fatal(err)
		}
		if err := s.Settle(t.Context(), lost, dollar); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := spent(t, s, late); got != 8*dollar {
		t.Errorf("$%s spent after late settlements, want $8", got)
	}
}

// A hold is one round trip.
func BenchmarkHold(b *testing.B) {
	s, err := postgres.OpenKeys(b.Context(), newDatabase(b, "ledger"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		h := holdOf(fmt.Sprint(n), 1)
		if err := s.Hold(b.Context(), h); err != nil {
			b.Fatal(err)
		}
		if err := s.Settle(b.Context(), h, 0); err != nil {
			b.Fatal(err)
		}
	}
}

// What is over goes, what is not stays.
func TestForgetBudgets(t *testing.T) {
	t.Parallel()
	url := newDatabase(t, "ledger")
	s := openKeys(t, url)
	now := time.Now()
	kept := 0
	for i, since := range []time.Time{{}, keys.PerDay.Start(now), keys.PerMonth.Start(now), now.AddDate(0, -3, 0), now.AddDate(0, -4, 0)} {
		h := holdOf(fmt.Sprint(i), dollar)
		h.Since = since
		if err := s.Hold(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		if i == 4 {
			continue // is not settled
		}
		if err := s.Settle(t.Context(), h, dollar); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Forget(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	if err := connect(t, url).QueryRow(t.Context(), "SELECT count(*) FROM key_budgets").Scan(&kept); err != nil {
		t.Fatal(err)
	}
	if kept != 4 {
		t.Errorf("%d budgets are left, want 4", kept)
	}
}
