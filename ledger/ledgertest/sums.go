package ledgertest

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/ledger"
)

func sumsOf(t *testing.T, s ledger.Store, f ledger.Filter, by ledger.Grouping) []ledger.Sum {
	t.Helper()
	got, err := s.Sums(t.Context(), f, by)
	if err != nil {
		t.Fatalf("Sums(%+v, %q): %v", f, by, err)
	}
	return got
}

// Every field of a sum, over records of every cost state.
func testSums(t *testing.T, s ledger.Store) {
	full := Full() // incomplete, provider
	exact, unpriced, pending := plain("a", 0), plain("b", 1), background("c")
	unpriced.Cost, unpriced.CostKnown, unpriced.ListCost, unpriced.ListCostKnown, unpriced.CostState = 0, false, 0, false, llmproxy.CostUnpriced
	estimated, unknown := plain("d", 3), plain("e", 4)
	estimated.CostState, estimated.Outcome, estimated.TTFT = llmproxy.CostEstimated, llmproxy.OutcomeCancelled, 5*time.Millisecond
	unknown.CostState, unknown.Outcome, unknown.CostKnown, unknown.Cost = llmproxy.CostEstimated, llmproxy.OutcomeError, false, 0
	unknown.ListCostKnown, unknown.ListCost, unknown.Usage = false, 0, llmproxy.Usage{}
	failed, rejected := plain("f", 5), plain("g", 6)
	failed.Outcome = llmproxy.OutcomeFailed
	rejected.Outcome, rejected.CostState, rejected.Cost, rejected.ListCostKnown, rejected.ListCost = llmproxy.OutcomeRejected, llmproxy.CostFree, 0, false, 0
	rejected.Usage = llmproxy.Usage{}
	add(t, s, full, exact, unpriced, pending, estimated, unknown, failed, rejected)
	want := []ledger.Sum{{
		Exchanges: 8, Errors: 2, Usage: full.Usage,
		Cost: 749_600_000 + 3*100, ListCost: 1 + 3*90,
		Unpriced: 3, Estimated: 1,
		DurationSum: (812 + 1 + 6*20) * time.Millisecond, TTFTSum: 195 * time.Millisecond, TTFTCount: 2,
	}}
	want[0].Usage.PromptTokens += 4 * 10
	want[0].Usage.CompletionTokens += 4 * 3
	if got := sumsOf(t, s, ledger.Filter{}, ledger.ByNothing); !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
}

func testGroupings(t *testing.T, s ledger.Store) {
	a, b, c, d := plain("a", 0), plain("b", 59), plain("c", 60), plain("d", 12*60)
	a.Model, a.Provider, a.Key, a.Tags = "Z", "p1", "k1", map[string]string{"team": "x", "it's": "q"}
	b.Model, b.Provider, b.Key, b.Tags = "a", "p2", "k1", map[string]string{"team": "y"}
	c.Model, c.Provider, c.Key, c.Outcome = "z", "p1", "k2", llmproxy.OutcomeError
	c.Tags = map[string]string{"team": "x"}
	d.Model, d.Provider, d.Tags = "a", "p1", map[string]string{"team": ""}
	add(t, s, a, b, c, d)
	type group struct {
		name      string
		exchanges int64
	}
	for by, want := range map[ledger.Grouping][]group{
		ledger.ByNothing:       {{"", 4}},
		ledger.ByModel:         {{"Z", 1}, {"a", 2}, {"z", 1}},
		ledger.ByProvider:      {{"p1", 3}, {"p2", 1}},
		ledger.ByKey:           {{"", 1}, {"k1", 2}, {"k2", 1}},
		ledger.ByDay:           {{"2026-11-23", 3}, {"2026-11-24", 1}},
		ledger.ByHour:          {{"2026-11-23T12", 2}, {"2026-11-23T13", 1}, {"2026-11-24T00", 1}},
		ledger.ByOutcome:       {{"completed", 3}, {"error", 1}},
		ledger.ByTag + "team":  {{"", 1}, {"x", 2}, {"y", 1}},
		ledger.ByTag + "it's":  {{"", 3}, {"q", 1}},
		ledger.ByTag + "other": {{"", 4}},
	} {
		var got []group
		for _, sum := range sumsOf(t, s, ledger.Filter{}, by) {
			got = append(got, group{sum.Group, sum.Exchanges})
			if sum.Cost != llmproxy.USD(100*sum.Exchanges) {
				t.Errorf("by %q, group %q: cost %s", by, sum.Group, sum.Cost)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("by %q: got %v, want %v", by, got, want)
		}
	}
}

func testUnknownGrouping(t *testing.T, s ledger.Store) {
	add(t, s, plain("a", 0))
	for _, by := range []ledger.Grouping{"colour", "id; DROP TABLE records", ledger.ByTag} {
		if got, err := s.Sums(t.Context(), ledger.Filter{}, by); err == nil {
			t.Errorf("by %q: got %v and no error", by, got)
		}
	}
}

func testSumsOfWhatIsFiltered(t *testing.T, s ledger.Store) {
	for i := range 10 {
		r := plain(fmt.Sprint(i), i)
		r.Key, r.Tags = fmt.Sprintf("k%d", i%2), map[string]string{"n": fmt.Sprint(i % 5)}
		r.Cost = llmproxy.USD(1) << i
		add(t, s, r)
	}
	for _, tt := range []struct {
		f    ledger.Filter
		want llmproxy.USD
	}{
		{ledger.Filter{}, 0x3ff},
		{ledger.Filter{Since: noon.Add(2 * time.Minute), Until: noon.Add(4 * time.Minute)}, 0xc},
		{ledger.Filter{Key: "k1"}, 0x2aa},
		{ledger.Filter{Tag: "n=3"}, 0x108},
		{ledger.Filter{Key: "k0", Tag: "n=3"}, 0x100},
	} {
		got := sumsOf(t, s, tt.f, ledger.ByNothing)
		if len(got) != 1 || got[0].Cost != tt.want {
			t.Errorf("%+v: got %+v, want a cost of %d", tt.f, got, tt.want)
		}
	}
}

// Sums are exact up to the last picodollar that one USD holds, and an error beyond.
func testLargeSums(t *testing.T, s ledger.Store) {
	at := func(id string, day int, cost, list llmproxy.USD) llmproxy.Record {
		r := plain(id, day*24*60)
		r.Cost, r.ListCost = cost, list
		return r
	}
	add(
		t, s,
		at("a", 0, math.MaxInt64-5, math.MaxInt64), at("b", 0, 5, 0),
		at("c", 1, math.MaxInt64, 1), at("d", 1, 1, 1),
		at("e", 2, 1, math.MaxInt64), at("f", 2, 1, math.MaxInt64),
		// A credit: what is too much in between is not.
		at("g", 3, math.MaxInt64, 0), at("h", 3, math.MaxInt64, 0), at("i", 3, -math.MaxInt64, 0), at("j", 3, -4, math.MinInt64),
		at("k", 4, math.MinInt64, 0), at("l", 4, -1, 0),
	)
	day := func(n int) ledger.Filter {
		return ledger.Filter{Since: noon.AddDate(0, 0, n), Until: noon.AddDate(0, 0, n+1)}
	}
	got := sumsOf(t, s, day(0), ledger.ByNothing)
	if len(got) != 1 || got[0].Cost != math.MaxInt64 || got[0].ListCost != math.MaxInt64 {
		t.Errorf("the largest: got %+v", got)
	}
	got = sumsOf(t, s, day(3), ledger.ByNothing)
	if len(got) != 1 || got[0].Cost != math.MaxInt64-4 || got[0].ListCost != math.MinInt64 {
		t.Errorf("with a credit: got %+v", got)
	}
	for _, n := range []int{1, 2, 4} {
		if got, err := s.Sums(t.Context(), day(n), ledger.ByNothing); !errors.Is(err, llmproxy.ErrMoney) {
			t.Errorf("day %d: got %+v, %v, want ErrMoney", n, got, err)
		}
	}
	if got, err := s.Sums(t.Context(), ledger.Filter{}, ledger.ByKey); !errors.Is(err, llmproxy.ErrMoney) {
		t.Errorf("all: got %+v, %v, want ErrMoney", got, err)
	}
}

// Whatever the records, the store's own arithmetic comes to what adding them up does.
func testSumsMatchRecords(t *testing.T, s ledger.Store) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	models := []string{"", "a", "b"}
	want := map[string]*ledger.Sum{}
	for i := range 300 {
		rec := random(r, fmt.Sprint(i))
		rec.Model = models[r.IntN(len(models))]
		add(t, s, rec)
		sum := want[rec.Model]
		if sum == nil {
			sum = &ledger.Sum{Group: rec.Model}
			want[rec.Model] = sum
		}
		sum.Exchanges++
		sum.DurationSum += rec.Duration
		if rec.CostKnown {
			sum.Cost += rec.Cost
		} else {
			sum.Unpriced++
		}
		if rec.ListCostKnown {
			sum.ListCost += rec.ListCost
		}
		if rec.TTFT > 0 {
			sum.TTFTSum += rec.TTFT
			sum.TTFTCount++
		}
		to, from := reflect.ValueOf(&sum.Usage).Elem(), reflect.ValueOf(rec.Usage)
		for f := range to.NumField() {
			to.Field(f).SetInt(to.Field(f).Int() + from.Field(f).Int())
		}
	}
	got := sumsOf(t, s, ledger.Filter{}, ledger.ByModel)
	if len(got) != len(models) {
		t.Fatalf("%d groups, want %d", len(got), len(models))
	}
	for i, model := range models {
		if got[i] != *want[model] {
			t.Errorf("model %q:\n got %+v\nwant %+v", model, got[i], *want[model])
		}
	}
}
