package pricing_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/pricing"
)

// The worked examples of the reference, from the tokens and the rates to the cost. What
// makes the tokens of the raw reports is tested with the dialects.
func TestWorkedExamples(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(shared + "/protocols/usage-accounting.md")
	if err != nil {
		t.Skipf("no reference beside the repository: %v", err)
	}
	n := 0
	for line := range bytes.Lines(text) {
		if !bytes.HasPrefix(line, []byte(`{"id":`)) {
			continue
		}
		var e struct {
			ID    string                    `json:"id"`
			Want  map[string]int64          `json:"want"`
			Rates map[string]json.Number    `json:"usd_per_mtok"`
			Units map[string][2]json.Number `json:"units"`
			Mult  string                    `json:"mult"`
			Pico  int64                     `json:"want_pico_usd"`
			USD   string                    `json:"want_usd"`
		}
		// Units are [count, "price"]: a number and a text.
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		n++
		row := map[string]string{}
		for name, rate := range e.Rates {
			row[itemName(name)] = rate.String()
		}
		u := usageOf(t, e.ID, e.Want)
		for name, unit := range e.Units {
			count, err := unit[0].Int64()
			if err != nil {
				t.Fatalf("%s: %v", e.ID, err)
			}
			row[name] = unit[1].String()
			switch name {
			case "web_search":
				u.WebSearches = count
			case "web_fetch":
				u.WebFetches = count
			default:
				t.Fatalf("%s: unit %s", e.ID, name)
			}
		}
		c := ownPrice(t, row)
		if e.Mult != "" {
			if c.Multiplier = (llmproxy.Ratio{Num: 11, Den: 10}); e.Mult != "11/10" {
				t.Fatalf("%s: multiplier %s", e.ID, e.Mult)
			}
		}
		got, err := c.Cost(u)
		if err != nil || int64(got) != e.Pico || got.String() != e.USD {
			t.Errorf("%s: %d picodollars, $%s, %v; want %d, $%s", e.ID, got, got, err, e.Pico, e.USD)
		}
	}
	if n < 25 {
		t.Errorf("%d examples", n)
	}
}

// itemName returns our name for a bucket of the reference.
func itemName(bucket string) string {
	if bucket == "output_text" {
		return "output"
	}
	return bucket
}

// usageOf returns the buckets as usage, whose totals are their sums.
func usageOf(t *testing.T, id string, buckets map[string]int64) (u llmproxy.Usage) {
	t.Helper()
	parts := map[string]*int64{
		"input_audio": &u.InputAudio, "input_image": &u.InputImage, "input_video": &u.InputVideo, "input_tool": &u.InputTool,
		"citation": &u.Citation, "cache_read": &u.CacheRead, "cache_read_audio": &u.CacheReadAudio, "cache_read_image": &u.CacheReadImage,
		"cache_write": &u.CacheWrite, "cache_write_1h": &u.CacheWrite1h,
		"reasoning": &u.Reasoning, "output_audio": &u.OutputAudio, "output_image": &u.OutputImage,
	}
	for name, n := range buckets {
		if part := parts[name]; part != nil {
			*part = n
		} else if name != "input" && name != "output_text" {
			t.Fatalf("%s: bucket %s", id, name)
		}
		if name == "reasoning" || strings.HasPrefix(name, "output_") {
			u.CompletionTokens += n
		} else {
			u.PromptTokens += n
		}
	}
	return u
}

// ownPrice returns what a model costs whose prices the operator has given as row.
func ownPrice(t testing.TB, row map[string]string) llmproxy.CostInfo {
	t.Helper()
	own, err := pricing.Own(map[string]map[string]map[string]string{"p": {"m": row}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := pricing.NewBook(own, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, ok := b.Lookup(llmproxy.CostQuery{Provider: "p", Model: "m"})
	if !ok {
		t.Fatal("no price")
	}
	return c
}
