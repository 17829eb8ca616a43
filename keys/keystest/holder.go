package keystest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/keys"
)

// RunHolder runs the suite of holders. open returns one of which nothing has been spent or
// held, which it closes at the test's end, and is called once by each test.
func RunHolder(t *testing.T, open func(t *testing.T) keys.Holder) {
	t.Helper()
	suite(t, open, map[string]func(*testing.T, keys.Holder){
		"Hold":          testHold,
		"LastHold":      testLastHold,
		"Nothing":       testNothing,
		"HoldTwice":     testHoldTwice,
		"SettleTwice":   testSettleTwice,
		"SettleUnknown": testSettleUnknown,
		"Charge":        testCharge,
		"Apart":         testApart,
		"Rollover":      testRollover,
		"Dead":          testDead,
		"Huge":          testHuge,
		"Cancelled":     testHoldCancelled,
		"Race":          testRace,
		"Interleaved":   testInterleaved,
	})
}

// dollar is one US dollar.
const dollar llmproxy.USD = 1_000_000_000_000

// of returns a hold of money of a budget of ten dollars.
func of(id string, money llmproxy.USD) keys.Hold {
	return keys.Hold{ID: id, Key: "key_a", Since: day, Limit: 10 * dollar, Money: money, Life: time.Hour}
}

var day = keys.PerDay.Start(moment)

func hold(t *testing.T, s keys.Holder, h keys.Hold) {
	t.Helper()
	if err := s.Hold(t.Context(), h); err != nil {
		t.Fatalf("Hold(%s, $%s): %v", h.ID, h.Money, err)
	}
}

// refused checks that h is not held, and what is spent and held instead.
func refused(t *testing.T, s keys.Holder, h keys.Hold, spent, held llmproxy.USD) {
	t.Helper()
	err := s.Hold(t.Context(), h)
	e, ok := errors.AsType[*keys.ExceededError](err)
	if !ok || !errors.Is(err, keys.ErrBudgetExceeded) {
		t.Fatalf("Hold(%s, $%s): got %v, want %v", h.ID, h.Money, err, keys.ErrBudgetExceeded)
	}
	if e.Spent != spent || e.Held != held {
		t.Errorf("Hold(%s, $%s): $%s spent and $%s held, want $%s and $%s", h.ID, h.Money, e.Spent, e.Held, spent, held)
	}
}

func settle(t *testing.T, s keys.Holder, h keys.Hold, cost llmproxy.USD) {
	t.Helper()
	if err := s.Settle(t.Context(), h, cost); err != nil {
		t.Fatalf("Settle(%s, $%s): %v", h.ID, cost, err)
	}
}

func charge(t *testing.T, s keys.Holder, h keys.Hold, cost llmproxy.USD) {
	t.Helper()
	if err := s.Charge(t.Context(), h, cost); err != nil {
		t.Fatalf("Charge(%s, $%s): %v", h.ID, cost, err)
	}
}

func testHold(t *testing.T, s keys.Holder) {
	a, b := of("a", 4*dollar), of("b", 6*dollar)
	hold(t, s, a)
	hold(t, s, b)
	refused(t, s, of("c", 1), 0, 10*dollar)
	settle(t, s, a, 1*dollar)
	hold(t, s, of("d", 3*dollar))
	refused(t, s, of("e", 1), dollar, 9*dollar)
	settle(t, s, b, 0)
	hold(t, s, of("e", 1))
}

// An exchange that may cost more than what is left is let in alone.
func testLastHold(t *testing.T, s keys.Holder) {
	a, b, last := of("a", 4*dollar), of("b", 5*dollar), of("last", 8*dollar)
	hold(t, s, a)
	hold(t, s, b)
	hold(t, s, last)
	refused(t, s, of("x", 1), 0, 17*dollar)
	settle(t, s, a, 2*dollar)
	refused(t, s, of("x", 1), 2*dollar, 13*dollar)
	settle(t, s, b, 0)
	refused(t, s, of("x", 1), 2*dollar, 8*dollar) // what it may cost is all there is
	settle(t, s, last, 7*dollar)
	hold(t, s, of("x", 1))
}

func testNothing(t *testing.T, s keys.Holder) {
	h := of("a", 1)
	h.Limit = 0
	refused(t, s, h, 0, 0)
	b := of("b", 10*dollar)
	hold(t, s, b)
	settle(t, s, b, 10*dollar)
	refused(t, s, of("c", 1), 10*dollar, 0)
}

func testHoldTwice(t *testing.T, s keys.Holder) {
	a := of("a", 6*dollar)
	hold(t, s, a)
	hold(t, s, a)
	hold(t, s, of("b", 4*dollar))
	hold(t, s, a) // is held, though nothing is left
	refused(t, s, of("c", 1), 0, 10*dollar)
}

func testSettleTwice(t *testing.T, s keys.Holder) {
	a := of("a", 6*dollar)
	hold(t, s, a)
	settle(t, s, a, 4*dollar)
	settle(t, s, a, 4*dollar)
	hold(t, s, of("b", 6*dollar))
	refused(t, s, of("c", 1), 4*dollar, 6*dollar)
}

func testSettleUnknown(t *testing.T, s keys.Holder) {
	settle(t, s, of("a", dollar), 9*dollar)
	hold(t, s, of("b", 10*dollar))
	refused(t, s, of("c", 1), 0, 10*dollar)
}

func testCharge(t *testing.T, s keys.Holder) {
	first := of("first", dollar)
	hold(t, s, first)
	charge(t, s, of("a", 0), 4*dollar)
	charge(t, s, of("a", 0), 4*dollar)
	charge(t, s, of("b", 0), 7*dollar)
	refused(t, s, of("c", 1), 11*dollar, dollar)
	settle(t, s, first, 0)
	refused(t, s, of("c", 1), 11*dollar, 0)
}

// Keys and periods do not meet.
func testApart(t *testing.T, s keys.Holder) {
	hold(t, s, of("a", 10*dollar))
	refused(t, s, of("b", 1), 0, 10*dollar)
	other := of("b", 10*dollar)
	other.Key = "key_b"
	hold(t, s, other)
	month := of("c", 10*dollar)
	month.Since = keys.PerMonth.Start(moment)
	hold(t, s, month)
	total := of("d", 10*dollar)
	total.Since = time.Time{}
	hold(t, s, total)
	total.ID = "e"
	refused(t, s, total, 0, 10*dollar)
}

// What was held in a period is settled into it.
func testRollover(t *testing.T, s keys.Holder) {
	late := of("late", 6*dollar)
	hold(t, s, late)
	next := of("next", 10*dollar)
	next.Since = keys.PerDay.Next(moment)
	hold(t, s, next)
	settle(t, s, late, 9*dollar)
	last := of("last", dollar)
	hold(t, s, last)
	refused(t, s, of("x", 1), 9*dollar, dollar)
	settle(t, s, next, 0)
	next.ID = "y"
	hold(t, s, next)
}

// Of a hold nobody settles, the money comes back; who settles it late pays all the same.
func testDead(t *testing.T, s keys.Holder) {
	dead, late := of("dead", 5*dollar), of("late", 5*dollar)
	dead.Life, late.Life = 0, 0
	hold(t, s, dead)
	hold(t, s, late)
	full := of("full", 10*dollar)
	hold(t, s, full)
	refused(t, s, of("x", 1), 0, 10*dollar)
	settle(t, s, late, 4*dollar)
	settle(t, s, late, 4*dollar)
	settle(t, s, full, 0)
	hold(t, s, of("y", 6*dollar))
	refused(t, s, of("x", 1), 4*dollar, 6*dollar)
}

func testHuge(t *testing.T, s keys.Holder) {
	h := of("a", keys.MaxBudget)
	h.Limit = keys.MaxBudget
	hold(t, s, h)
	settle(t, s, h, math.MaxInt64)
	charge(t, s, of("b", 0), math.MaxInt64)
	h.ID = "c"
	refused(t, s, h, math.MaxInt64, 0)
}

func testHoldCancelled(t *testing.T, s keys.Holder) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Hold(ctx, of("a", dollar)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	settle(t, s, of("a", dollar), 0)
	hold(t, s, of("b", 10*dollar))
}

// Of many at once no more is spent than the budget, and the exchange that was let in with
// less left than it may cost.
func testRace(t *testing.T, s keys.Holder) {
	const many, cost = 100, dollar
	var mu sync.Mutex
	served := 0
	var wg sync.WaitGroup
	one := func(id string) {
		h := of(id, 3*dollar/2)
		err := s.Hold(t.Context(), h)
		if errors.Is(err, keys.ErrBudgetExceeded) {
			return
		}
		if err != nil {
			t.Error(err)
			return
		}
		mu.Lock()
		served++
		mu.Unlock()
		if err := s.Settle(t.Context(), h, cost); err != nil {
			t.Error(err)
		}
	}
	for i := range many {
		wg.Go(func() { one(fmt.Sprint(i)) })
	}
	wg.Wait()
	if served < 1 || served > 11 {
		t.Errorf("%d were served at once, of a budget for 10", served)
	}
	for i := range many {
		one(fmt.Sprint("again", i))
	}
	if served != 10 {
		t.Errorf("%d were served in all, of a budget for 10", served)
	}
	refused(t, s, of("x", 1), 10*dollar, 0)
}

// However holds and settlements come between each other, spending passes the budget by one
// exchange at most, and what is told of a budget is what has happened to it.
func testInterleaved(t *testing.T, s keys.Holder) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 0))
		key := fmt.Sprint("key_", seed)
		var spent, held, dearest llmproxy.USD
		var open []keys.Hold
		for i := range 60 {
			if len(open) > 0 && r.IntN(2) == 0 {
				n := r.IntN(len(open))
				h := open[n]
				open = slices.Delete(open, n, n+1)
				cost := llmproxy.USD(r.Int64N(int64(h.Money) + 1))
				settle(t, s, h, cost)
				held -= h.Money
				spent += cost
				continue
			}
			h := of(fmt.Sprint(key, "/", i), 1+llmproxy.USD(r.Int64N(int64(4*dollar))))
			h.Key = key
			if spent+held >= h.Limit {
				refused(t, s, h, spent, held)
				continue
			}
			hold(t, s, h)
			held += h.Money
			dearest = max(dearest, h.Money)
			open = append(open, h)
		}
		if spent+held >= 10*dollar+dearest {
			t.Errorf("seed %d: $%s spent and $%s held, of $10 and exchanges of at most $%s", seed, spent, held, dearest)
		}
	}
}
