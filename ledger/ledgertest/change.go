package ledgertest

import (
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/ledger"
)

func testPending(t *testing.T, s ledger.Store) {
	a, b, c := background("a"), background("b"), background("c")
	b.Provider = "azure"
	c.Tags, c.Key = map[string]string{"team": "x"}, "key_9"
	done := plain("d", 0)
	done.ResponseID = "resp_d"
	add(t, s, a, b, c, done)
	look := func(provider, responseID string) *llmproxy.Record {
		t.Helper()
		r, ok, err := s.Pending(t.Context(), provider, responseID)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return nil
		}
		return &r
	}
	if r := look("openai", "resp_c"); r == nil {
		t.Error("c is not pending")
	} else {
		same(t, "c", []llmproxy.Record{*r}, []llmproxy.Record{c})
	}
	if r := look("azure", "resp_b"); r == nil || r.ID != "b" {
		t.Errorf("b: got %+v", r)
	}
	for _, tt := range [][2]string{{"openai", "resp_b"}, {"openai", "resp_d"}, {"openai", "resp"}, {"", "resp_a"}, {"openai", ""}} {
		if r := look(tt[0], tt[1]); r != nil {
			t.Errorf("%v: got %s", tt, r.ID)
		}
	}

	settled, given := a, c
	settled.Revision, settled.Outcome, settled.CostState, settled.CostKnown, settled.Cost = 1, llmproxy.OutcomeCompleted, llmproxy.CostExact, true, 5
	// Nobody asked for it in time: its outcome stays, its cost is not waited for any more.
	given.Revision, given.CostState = 1, llmproxy.CostEstimated
	add(t, s, settled, given)
	for _, id := range []string{"resp_a", "resp_c"} {
		if r := look("openai", id); r != nil {
			t.Errorf("%s is pending still: %+v", id, r)
		}
	}
	same(t, "pending by outcome", all(t, s, ledger.Filter{Outcome: llmproxy.OutcomePending}), []llmproxy.Record{b, given})
}

// Reprice changes the cost and nothing else, and what it was first stays known.
func testReprice(t *testing.T, s ledger.Store) {
	a, b, c := Full(), plain("b", 1), plain("c", 2)
	b.Cost, b.CostKnown, b.ListCost, b.ListCostKnown, b.CostState, b.PriceVersion = 0, false, 0, false, llmproxy.CostUnpriced, ""
	add(t, s, a, b, c)
	if now, original := repricedOf(t, s, ledger.Filter{}); len(now)+len(original) != 0 {
		t.Errorf("repriced before anything was: %v, %v", ids(now), ids(original))
	}
	a2, b2 := a, b
	a2.Cost, a2.ListCost, a2.CostState, a2.PriceVersion = 11, 12, llmproxy.CostExact, "v2"
	b2.Cost, b2.CostKnown, b2.ListCost, b2.ListCostKnown, b2.CostState, b2.PriceVersion = 21, true, 22, true, llmproxy.CostExact, "v2"
	sent := b2 // only the ID and the cost of what is sent count
	sent.Model, sent.Usage, sent.Tags, sent.Time = "other", llmproxy.Usage{}, map[string]string{"x": "y"}, noon
	if err := s.Reprice(t.Context(), []llmproxy.Record{a2, sent}); err != nil {
		t.Fatal(err)
	}
	same(t, "repriced", all(t, s, ledger.Filter{}), []llmproxy.Record{a2, b2, c})
	now, original := repricedOf(t, s, ledger.Filter{})
	same(t, "as they are", now, []llmproxy.Record{a2, b2})
	same(t, "as they were", original, []llmproxy.Record{a, b})

	// Again: the first cost stays the original one. A cost can become unknown, too.
	a3 := a2
	a3.Cost, a3.CostKnown, a3.ListCost, a3.ListCostKnown, a3.CostState, a3.PriceVersion = 0, false, 0, false, llmproxy.CostUnpriced, ""
	if err := s.Reprice(t.Context(), []llmproxy.Record{a3}); err != nil {
		t.Fatal(err)
	}
	now, original = repricedOf(t, s, ledger.Filter{})
	same(t, "as they are, again", now, []llmproxy.Record{a3, b2})
	same(t, "as they were, again", original, []llmproxy.Record{a, b})

	got := sumsOf(t, s, ledger.Filter{}, ledger.ByNothing)
	if len(got) != 1 || got[0].Cost != 121 || got[0].ListCost != 112 || got[0].Unpriced != 1 {
		t.Errorf("sums: got %+v", got)
	}
	// What was drained before comes again after a crash: it must not bring the old cost back.
	add(t, s, a, b, c)
	same(t, "appended again", all(t, s, ledger.Filter{}), []llmproxy.Record{a3, b2, c})
}

func testRepricedFilter(t *testing.T, s ledger.Store) {
	var records []llmproxy.Record
	for i, id := range []string{"a", "b", "c", "d"} {
		r := plain(id, i)
		r.Key = "k" + id
		records = append(records, r)
	}
	add(t, s, records...)
	for i := range records {
		records[i].Cost = 1
	}
	if err := s.Reprice(t.Context(), records[1:]); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		f    ledger.Filter
		want []string
	}{
		{ledger.Filter{}, []string{"b", "c", "d"}},
		{ledger.Filter{Since: records[2].Time}, []string{"c", "d"}},
		{ledger.Filter{Until: records[2].Time}, []string{"b"}},
		{ledger.Filter{Key: "kc"}, []string{"c"}},
		{ledger.Filter{ID: "d"}, []string{"d"}},
		{ledger.Filter{Limit: 2}, []string{"b", "c"}},
	} {
		now, _ := repricedOf(t, s, tt.f)
		sameIDs(t, "Repriced", now, tt.want...)
	}
}

func testDelete(t *testing.T, s ledger.Store) {
	a, b, c := plain("a", 0), plain("b", 1), plain("c", 2)
	a.Tags, b.Tags = map[string]string{"team": "x"}, map[string]string{"team": "x"}
	add(t, s, a, b, c)
	repriced := a
	repriced.Cost = 1
	if err := s.Reprice(t.Context(), []llmproxy.Record{repriced}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Delete(t.Context(), b.Time); n != 1 || err != nil {
		t.Errorf("Delete: got %d, %v, want 1", n, err)
	}
	same(t, "left", all(t, s, ledger.Filter{}), []llmproxy.Record{b, c})
	same(t, "left, by tag", all(t, s, ledger.Filter{Tag: "team"}), []llmproxy.Record{b})
	if now, _ := repricedOf(t, s, ledger.Filter{}); len(now) != 0 {
		t.Errorf("repriced still: %v", ids(now))
	}
	if n, err := s.Delete(t.Context(), b.Time); n != 0 || err != nil {
		t.Errorf("Delete again: got %d, %v, want 0", n, err)
	}
	if n, err := s.Delete(t.Context(), c.Time.Add(time.Millisecond)); n != 2 || err != nil {
		t.Errorf("Delete the rest: got %d, %v, want 2", n, err)
	}
	same(t, "nothing left", all(t, s, ledger.Filter{}), nil)
}
