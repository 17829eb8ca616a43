package gemini_test

import (
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/dialecttest"
	"github.com/llmproxy/llmproxy/dialect/gemini"
)

func TestRecordings(t *testing.T) {
	t.Parallel()
	for provider, want := range map[string]int{"google": 94, "vertex": 31} {
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			n := 0
			dialecttest.Recordings(t, "../..", provider, func(r dialecttest.Recording) {
				n++
				got, done := dialecttest.Read(t, gemini.New, r.Response)
				if done {
					t.Errorf("%s: done, without a terminal event", r.ID)
				}
				blocked := strings.Contains(r.Response, `"blockReason"`)
				switch {
				case blocked && got.Outcome == llmproxy.OutcomeIncomplete:
				case !blocked && got.Outcome == llmproxy.OutcomeCompleted:
				default:
					t.Errorf("%s: outcome %q", r.ID, got.Outcome)
				}
				if got.ID == "" || got.FinishReason == "" || !strings.Contains(r.Response, `"`+got.FinishReason+`"`) {
					t.Errorf("%s: id %q, finish reason %q", r.ID, got.ID, got.FinishReason)
				}
				if tier := got.ServiceTier; provider == "vertex" && tier != "ON_DEMAND" || tier != "" && !strings.Contains(r.Response, `"`+tier+`"`) {
					t.Errorf("%s: service tier %q", r.ID, tier)
				}
				if got.UsageReported != strings.Contains(r.Response, `"totalTokenCount"`) {
					t.Errorf("%s: usage reported = %v", r.ID, got.UsageReported)
				}
				if diff := dialecttest.Differences(got.Usage, r.Want); len(diff) > 0 {
					t.Errorf("%s: [ours, the library's] = %v", r.ID, diff)
				}
				if want := r.Want.Model; want != "" && got.Model != want {
					t.Errorf("%s: model %q, want %q", r.ID, got.Model, want)
				}
				if got.Inconsistent {
					t.Errorf("%s: inconsistent", r.ID)
				}
				// The library does not count searches.
				if got.Usage.WebSearches != searched[r.ID] {
					t.Errorf("%s: %d web searches, want %d", r.ID, got.Usage.WebSearches, searched[r.ID])
				}
			})
			if n != want {
				t.Errorf("%d recordings, want %d", n, want)
			}
		})
	}
}

// searched are the recordings of answers that are grounded in web searches: two of Google
// AI with an empty query beside a real one, and one of Vertex AI.
var searched = map[string]int64{"e975adb927e01605": 1, "e698b65e2c1982da": 1, "a9567c69d267d2a9": 1}
