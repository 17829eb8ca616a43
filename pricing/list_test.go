package pricing_test

import (
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/pricing"
)

func TestAListReadsBack(t *testing.T) {
	t.Parallel()
	const text = `# a note
source test
version 7

[anthropic]
claude-x alias=claude-y from=2026-01-01 until=2026-02-01 hours=weekdays/01:00-04:30 input=3 cache_read=0.3 output=15 web_search=0.01 @>=200001 input=6 output=22.5 @batch>=0 input=1.5 output=7.5 *fast=2/1 *region:us=11/10

[openai]
gpt-x input=0.000001 output=600
`
	l, err := pricing.ParseList(text)
	if err != nil {
		t.Fatal(err)
	}
	if got := l.Text(); got != text {
		t.Errorf("got\n%s\nwant\n%s", got, text)
	}
	if l.Source != "test" || l.Version != "7" || len(l.Prices) != 2 {
		t.Errorf("%s %s, %d prices", l.Source, l.Version, len(l.Prices))
	}
	whole, err := pricing.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	again, err := pricing.ParseList(whole.Text())
	if err != nil || again.Text() != whole.Text() {
		t.Errorf("the embedded list does not read back: %v", err)
	}
}

func TestBrokenListsAreRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ line, want string }{
		{"m input=x", `line 2: m: input: "x" is no price in dollars per million tokens with at most six decimals: not an amount of money`},
		{"m input=1 input=2", "line 2: m: input is stated twice"},
		{"m in=1", `line 2: m: "in" is none of input, `},
		{"m input=1000000.000001", "line 2: m: input: 1000000.000001 is more than a million dollars: not an amount of money"},
		{"m request=1000000.1", "line 2: m: request: 1000000.1 is more than a million dollars: not an amount of money"},
		{"m input", `line 2: m: "input": want name=value`},
		{"m input=", `line 2: m: "input=": want name=value`},
		{"m", "line 2: m: a column without a price"},
		{"m input=1 @>=x input=2", `line 2: m: "@>=x": want @tier>=tokens`},
		{"m input=1 @flex input=2", `line 2: m: "@flex": want @tier>=tokens`},
		{"m input=1 @>=5 input=2 @>=5 input=3", "line 2: m: two columns for the same tier and prompt"},
		{"m input=1 *flex=1/0", `line 2: m: "1/0": want a fraction such as 11/10`},
		{"m input=1 *flex=-1/2", `line 2: m: "-1/2": want a fraction such as 11/10`},
		{"m input=1 from=yesterday", `line 2: m: parsing time "yesterday"`},
		{"m input=1 from=2026-02-01 until=2026-02-01", "line 2: m: until is not after from"},
		{"m input=1 hours=1-2", `line 2: m: "1-2": want hours such as 00:30-16:30`},
		{"m input=1 hours=01:00-01:00", `line 2: m: "01:00-01:00": want hours such as 00:30-16:30`},
	} {
		_, err := pricing.ParseList("[f]\n" + tt.line)
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s:\ngot  %v\nwant %s", tt.line, err, tt.want)
		}
	}
	if _, err := pricing.ParseList("m input=1"); err == nil || err.Error() != `line 1: "m input=1" belongs to no family` {
		t.Errorf("without a family: %v", err)
	}
}

// What can be read is written in one way, and reads back the same.
func FuzzParseList(f *testing.F) {
	f.Add("source s\nversion v\n[f]\nm alias=n from=2026-01-01 input=1 output=2 @flex>=0 input=0.5 *batch=1/2\n")
	f.Add("[f]\nm input=1e-6 hours=weekdays/23:00-01:00\n# x\n[g]\nm request=0.005\n")
	f.Add("[]\nm input=00.10 until=0001-01-02\n")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := pricing.ParseList(text)
		if err != nil {
			return
		}
		first := l.Text()
		again, err := pricing.ParseList(first)
		if err != nil {
			t.Fatalf("%q does not read back: %v", first, err)
		}
		if second := again.Text(); second != first {
			t.Errorf("%q, then %q", first, second)
		}
		b, err := pricing.NewBook(nil, l)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range b.Rows() {
			if c, ok := b.Lookup(llmproxy.CostQuery{Provider: p.Family, Model: p.Model, Time: p.From, ServiceTier: "flex"}); ok && c.Input < 0 {
				t.Errorf("%s: %d", p.Model, c.Input)
			}
		}
	})
}

// What is taken is what the text says, and nothing is taken that says nothing.
func FuzzParseRates(f *testing.F) {
	f.Add("input", "0.075")
	f.Add("request", "1e-3")
	f.Add("output", "1")
	f.Fuzz(func(t *testing.T, name, text string) {
		r, err := pricing.ParseRates(map[string]string{"input": "1", name: text})
		if err != nil {
			return
		}
		found := false
		for item, printed := range r.All() {
			if item.String() != name {
				continue
			}
			found = true
			want, errWant := llmproxy.ParseUSD(text)
			got, errGot := llmproxy.ParseUSD(printed)
			if errWant != nil || errGot != nil || got != want {
				t.Errorf("%s=%s is printed %s", name, text, printed)
			}
		}
		if !found {
			t.Errorf("%s=%s is lost", name, text)
		}
	})
}
