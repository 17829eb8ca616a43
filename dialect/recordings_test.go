package dialect_test

import (
	"path"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/chat"
	"github.com/llmproxy/llmproxy/dialect/completions"
	"github.com/llmproxy/llmproxy/dialect/dialecttest"
	"github.com/llmproxy/llmproxy/dialect/embeddings"
	"github.com/llmproxy/llmproxy/dialect/images"
	"github.com/llmproxy/llmproxy/dialect/responses"
)

// readerOf returns the reader for answers to the path of a request, nil if there is none.
func readerOf(p string) func() llmproxy.ResponseExtractor {
	p, _, _ = strings.Cut(p, "?")
	switch last := path.Base(p); {
	case strings.HasSuffix(p, "/chat/completions"):
		return chat.New
	case last == "completions":
		return completions.New
	case last == "responses", strings.HasSuffix(p, "/responses/compact"):
		return responses.New
	case last == "embeddings":
		return embeddings.New
	case strings.Contains(p, "/images/"):
		return images.New
	}
	return nil
}

// contradictory are the recordings whose counters contradict each other.
var contradictory = map[string]bool{
	// The answer was cut at 10 tokens by max_tokens; the usage in its error chunk claims
	// 11 reasoning tokens inside 10 completion tokens, with a total of 43 + 10. No reading
	// fits, so all stands as reported.
	"f0496cf09ae8d0c5": true,
}

func TestRecordings(t *testing.T) {
	t.Parallel()
	for _, provider := range []string{
		"openai", "groq", "mistral", "deepseek", "openrouter", "together", "cerebras", "azure",
	} {
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			dialecttest.Recordings(t, "..", provider, func(r dialecttest.Recording) {
				newReader := readerOf(r.Path)
				if newReader == nil {
					t.Errorf("%s: no reader for %s", r.ID, r.Path)
					return
				}
				got, done := dialecttest.Read(t, newReader, r.Response)
				if !done {
					t.Errorf("%s: not done at its end", r.ID)
				}
				if got.Outcome == llmproxy.OutcomeUnknown {
					t.Errorf("%s: no outcome", r.ID)
				}
				if failed := got.Outcome == llmproxy.OutcomeFailed; r.Status >= 400 && !failed {
					t.Errorf("%s: status %d, but outcome %q", r.ID, r.Status, got.Outcome)
				}
				reported := strings.Contains(r.Response, `"total_tokens":`) && got.Outcome != llmproxy.OutcomePending
				if got.UsageReported != reported {
					t.Errorf("%s: usage reported = %v", r.ID, got.UsageReported)
				}
				if diff := dialecttest.Differences(got.Usage, r.Want); len(diff) > 0 {
					t.Errorf("%s: [ours, the library's] = %v", r.ID, diff)
				}
				// A compaction does not name its model; the library takes the request's.
				compaction := strings.HasSuffix(r.Path, "/compact")
				if want := r.Want.Model; want != "" && got.Model != want && !compaction {
					t.Errorf("%s: model %q, want %q", r.ID, got.Model, want)
				}
				if got.Inconsistent != contradictory[r.ID] {
					t.Errorf("%s: inconsistent = %v", r.ID, got.Inconsistent)
				}
			})
		})
	}
}
