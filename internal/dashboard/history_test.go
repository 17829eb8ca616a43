package dashboard_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/dashboard"
)

func TestHistoryIsPlausible(t *testing.T) {
	t.Parallel()
	const n = 4000
	records := dashboard.History(noon, n)
	if len(records) != n {
		t.Fatalf("got %d records, want %d", len(records), n)
	}
	if !reflect.DeepEqual(records, dashboard.History(noon, n)) {
		t.Error("the same time and number give other records")
	}
	ids := map[string]bool{}
	seen := map[string]int{}
	for i, r := range records {
		if i > 0 && records[i-1].Time.After(r.Time) {
			t.Fatalf("record %d is before the one before it", i)
		}
		if ids[r.ID] || len(r.ID) != 26 {
			t.Fatalf("the id %q is used twice, or is none", r.ID)
		}
		ids[r.ID] = true
		if r.Time.Add(r.Duration).After(noon) || r.Time.Before(noon.AddDate(0, 0, -31)) || r.TTFT > r.Duration {
			t.Fatalf("record %s is of %v, for %v, its first token after %v", r.ID, r.Time, r.Duration, r.TTFT)
		}
		if !r.Usage.Consistent() {
			t.Fatalf("record %s has the usage %+v", r.ID, r.Usage)
		}
		if r.CostKnown != (r.CostState != llmproxy.CostUnpriced) || r.CostState == llmproxy.CostFree && r.Cost != 0 || r.CostState == llmproxy.CostExact && r.Cost == 0 {
			t.Fatalf("record %s costs %s, %s", r.ID, r.Cost, r.CostState)
		}
		seen["outcome "+string(r.Outcome)]++
		seen["transport "+string(r.Transport)]++
		seen["provider "+r.Provider]++
		seen["key "+r.Key]++
		seen["team "+r.Tags["team"]]++
		seen["state "+string(r.CostState)]++
		if r.Turn > 1 {
			seen["later turn"]++
		}
		if strings.Contains(r.Lane, "review") {
			seen["lane"]++
		}
		if len(r.Attempts) > 1 {
			seen["retried"]++
		}
		if r.Time.After(noon.Add(-time.Hour)) {
			seen["last hour"]++
		}
	}
	for _, what := range []string{
		"outcome completed", "outcome incomplete", "outcome failed", "outcome error", "outcome cancelled", "outcome rejected",
		"transport http", "transport sse", "transport eventstream", "transport websocket",
		"provider openai", "provider anthropic", "provider groq", "provider googleai", "provider bedrock", "provider my-vllm",
		"team search", "team support", "team platform", "team research",
		"state exact", "state free", "state estimated", "state unpriced", "later turn", "lane", "retried",
	} {
		if seen[what] < 5 {
			t.Errorf("%s: %d of %d", what, seen[what], n)
		}
	}
	if seen["last hour"] < 50 || seen["outcome completed"] < n*85/100 {
		t.Errorf("%d in the last hour, %d completed", seen["last hour"], seen["outcome completed"])
	}
}

func TestHistoryOfAnyLength(t *testing.T) {
	t.Parallel()
	var lengths []int
	for _, n := range []int{-1, 0, 1, 2, 60} {
		lengths = append(lengths, len(dashboard.History(noon, n)))
	}
	if want := []int{0, 0, 1, 2, 60}; !slices.Equal(lengths, want) {
		t.Errorf("got %d, want %d", lengths, want)
	}
}
