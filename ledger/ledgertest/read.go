package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/ledger"
)

// appendWithin appends under a context that ends after d.
func appendWithin(t *testing.T, s ledger.Store, d time.Duration, records []llmproxy.Record) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	return s.Append(ctx, records)
}

// Records come by time, then by ID, bytes compared: capitals before small letters,
// whatever the database's language is.
func testOrder(t *testing.T, s ledger.Store) {
	add(t, s, plain("d", 2), plain("b", 1), plain("a", 1), plain("B", 1), plain("a_b", 1), plain("a-b", 1), plain("c", 0))
	sameIDs(t, "oldest first", all(t, s, ledger.Filter{}), "c", "B", "a", "a-b", "a_b", "b", "d")
	sameIDs(t, "newest first", all(t, s, ledger.Filter{Newest: true}), "d", "b", "a_b", "a-b", "a", "B", "c")
}

func testFilters(t *testing.T, s ledger.Store) {
	a, b, c, d := plain("a", 0), plain("b", 1), plain("c", 2), plain("d", 3)
	a.Provider, a.Tags = "anthropic", map[string]string{"team": "x", "env": "", "eq": "u=v"}
	b.Model, b.Key = "o9", "key_1"
	b.Tags = map[string]string{"team": "y", "Team": "x", "a'b": `q"\`}
	c.Outcome, c.Status, c.Key = llmproxy.OutcomeError, 502, "key_2"
	c.ConnectionID, c.Turn = "conn_1", 1
	d.Model, d.ConnectionID, d.Tags = "o9", "conn_1", map[string]string{"teams": "x", "te": "am=x"}
	add(t, s, a, b, c, d)
	for _, tt := range []struct {
		f    ledger.Filter
		want []string
	}{
		{ledger.Filter{}, []string{"a", "b", "c", "d"}},
		{ledger.Filter{Since: b.Time}, []string{"b", "c", "d"}},
		{ledger.Filter{Since: b.Time.Add(time.Millisecond)}, []string{"c", "d"}},
		{ledger.Filter{Until: c.Time}, []string{"a", "b"}},
		{ledger.Filter{Until: c.Time.Add(time.Millisecond)}, []string{"a", "b", "c"}},
		{ledger.Filter{Since: b.Time, Until: d.Time}, []string{"b", "c"}},
		{ledger.Filter{Since: b.Time.In(time.FixedZone("east", 7*3600)), Until: d.Time.In(time.FixedZone("west", -7*3600))}, []string{"b", "c"}},
		{ledger.Filter{Since: d.Time, Until: a.Time}, nil},
		{ledger.Filter{Provider: "anthropic"}, []string{"a"}},
		{ledger.Filter{Provider: "open"}, nil},
		{ledger.Filter{Model: "o9"}, []string{"b", "d"}},
		{ledger.Filter{Model: "O9"}, nil},
		{ledger.Filter{Model: "o%"}, nil},
		{ledger.Filter{Key: "key_1"}, []string{"b"}},
		{ledger.Filter{Outcome: llmproxy.OutcomeError}, []string{"c"}},
		{ledger.Filter{ConnectionID: "conn_1"}, []string{"c", "d"}},
		{ledger.Filter{Tag: "team"}, []string{"a", "b"}},
		{ledger.Filter{Tag: "team=x"}, []string{"a"}},
		{ledger.Filter{Tag: "team="}, nil},
		{ledger.Filter{Tag: "env"}, []string{"a"}},
		{ledger.Filter{Tag: "env="}, []string{"a"}},
		{ledger.Filter{Tag: "eq=u=v"}, []string{"a"}},
		{ledger.Filter{Tag: `a'b=q"\`}, []string{"b"}},
		{ledger.Filter{Tag: "nobody"}, nil},
		{ledger.Filter{ID: "c"}, []string{"c"}},
		{ledger.Filter{ID: "C"}, nil},
		{ledger.Filter{Model: "o9", Key: "key_1", Tag: "team=y", Provider: "openai", Outcome: llmproxy.OutcomeCompleted, Since: a.Time, ID: "b"}, []string{"b"}},
		{ledger.Filter{Model: "o9", Key: "key_2"}, nil},
		{ledger.Filter{Limit: 2}, []string{"a", "b"}},
		{ledger.Filter{Limit: 2, Newest: true}, []string{"d", "c"}},
		{ledger.Filter{Limit: 2, Model: "gpt-5-mini"}, []string{"a", "c"}},
		{ledger.Filter{After: "b"}, []string{"c", "d"}},
		{ledger.Filter{After: "c", Newest: true}, []string{"b", "a"}},
		{ledger.Filter{After: "a", Model: "o9", Limit: 1}, []string{"b"}}, // a itself is not selected
		{ledger.Filter{After: "d"}, nil},
	} {
		got := all(t, s, tt.f)
		if len(got) == 0 && len(tt.want) == 0 {
			continue
		}
		sameIDs(t, fmt.Sprintf("%+v", tt.f), got, tt.want...)
	}
}

// Pages follow each other without a gap and without a record twice, also where many
// records have the same time, and while others are appended.
func testPaging(t *testing.T, s ledger.Store) {
	var want, reversed []string
	for i := range 50 {
		add(t, s, plain(fmt.Sprintf("id%02d", i), i/20))
		want = append(want, fmt.Sprintf("id%02d", i))
		reversed = append(reversed, fmt.Sprintf("id%02d", 49-i))
	}
	for _, newest := range []bool{false, true} {
		var got []llmproxy.Record
		f := ledger.Filter{Limit: 7, Newest: newest}
		for {
			page := all(t, s, f)
			if len(page) == 0 {
				break
			}
			got = append(got, page...)
			f.After = page[len(page)-1].ID
			if newest {
				add(t, s, plain("later"+f.After, 1000)) // ahead of where the pages are
			}
		}
		if newest {
			want = reversed
		}
		sameIDs(t, fmt.Sprintf("pages, newest first: %t", newest), got, want...)
	}
}

func testYieldError(t *testing.T, s ledger.Store) {
	for i := range 10 {
		add(t, s, plain(fmt.Sprint(i), i))
	}
	enough := errors.New("enough")
	n := 0
	err := s.Records(t.Context(), ledger.Filter{}, func(*llmproxy.Record) error {
		if n++; n == 3 {
			return enough
		}
		return nil
	})
	if err != enough || n != 3 { //nolint:errorlint // it is to be returned as it is
		t.Errorf("got %v after %d records", err, n)
	}
}

// Who reads does not keep others, nor itself, from writing.
func testAppendWhileReading(t *testing.T, s ledger.Store) {
	for i := range 20 {
		add(t, s, plain(fmt.Sprintf("id%02d", i), i))
	}
	seen := map[string]int{}
	err := s.Records(t.Context(), ledger.Filter{}, func(r *llmproxy.Record) error {
		seen[r.ID]++
		if r.ID < "jd" {
			return s.Append(t.Context(), []llmproxy.Record{plain("j"+r.ID, 100)})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s came %d times", id, n)
		}
	}
	for i := range 20 {
		if id := fmt.Sprintf("id%02d", i); seen[id] != 1 {
			t.Errorf("%s came %d times", id, seen[id])
		}
	}
	if got := all(t, s, ledger.Filter{}); len(got) != 40 {
		t.Errorf("%d records, want 40", len(got))
	}
}

// A context that has ended ends every call, and nothing has happened.
func testCancelled(t *testing.T, s ledger.Store) {
	a := plain("a", 0)
	add(t, s, a)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	repriced := a
	repriced.Cost = 1
	for name, call := range map[string]func() error{
		"Append":  func() error { return s.Append(ctx, []llmproxy.Record{plain("b", 1)}) },
		"Records": func() error { return s.Records(ctx, ledger.Filter{}, func(*llmproxy.Record) error { return nil }) },
		"Sums":    func() error { _, err := s.Sums(ctx, ledger.Filter{}, ledger.ByModel); return err },
		"Pending": func() error { _, _, err := s.Pending(ctx, "openai", "resp_1"); return err },
		"Reprice": func() error { return s.Reprice(ctx, []llmproxy.Record{repriced}) },
		"Repriced": func() error {
			return s.Repriced(ctx, ledger.Filter{}, func(_, _ *llmproxy.Record) error { return nil })
		},
		"Delete": func() error { _, err := s.Delete(ctx, noon.Add(time.Hour)); return err },
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want context.Canceled", name, err)
		}
	}
	same(t, "afterwards", all(t, s, ledger.Filter{}), []llmproxy.Record{a})
}
