package genaigo

import (
	"strings"
	"testing"

	"google.golang.org/genai"

	"github.com/llmproxy/llmproxy/conformance/rig"
)

// What the real provider has answered is understood by the SDK, and told to it is what the
// record says.
func TestRecordings(t *testing.T) {
	t.Parallel()
	for _, r := range append(rig.Recordings(t, "google"), rig.Recordings(t, "vertex")...) {
		stream := r.Is(":streamGenerateContent")
		if !stream && !r.Is(":generateContent") {
			continue
		}
		t.Run(r.ID, func(t *testing.T) {
			t.Parallel()
			setup := setup()
			setup.Upstream = &r
			s := enter(t, setup, byModel, "")
			var got *genai.GenerateContentResponse
			if stream {
				for chunk, err := range s.Models.GenerateContentStream(t.Context(), flash, genai.Text("hello"), nil) {
					s.Do(err)
					if got == nil || chunk.UsageMetadata != nil && chunk.UsageMetadata.TotalTokenCount > 0 {
						got = chunk
					}
				}
			} else {
				var err error
				got, err = s.Models.GenerateContent(t.Context(), flash, genai.Text("hello"), nil)
				s.Do(err)
			}
			rec, u := s.Rig.Record(), got.UsageMetadata
			if u == nil {
				if rec.Usage.TotalTokens() != 0 {
					t.Errorf("the record has the usage %+v, the SDK was told none", rec.Usage)
				}
				return
			}
			if rec.Usage.PromptTokens != int64(u.PromptTokenCount+u.ToolUsePromptTokenCount) ||
				rec.Usage.CompletionTokens != int64(u.CandidatesTokenCount+u.ThoughtsTokenCount) ||
				rec.Usage.CacheRead+rec.Usage.CacheReadAudio+rec.Usage.CacheReadImage != int64(u.CachedContentTokenCount) ||
				rec.Usage.Reasoning != int64(u.ThoughtsTokenCount) || rec.Usage.TotalTokens() != int64(u.TotalTokenCount) {
				t.Errorf("the record has the usage %+v, the SDK was told %+v", rec.Usage, *u)
			}
			if rec.Model != got.ModelVersion || !strings.HasPrefix(rec.ResponseID, got.ResponseID) {
				t.Errorf("the record has %s, %s, the SDK %s, %s", rec.ResponseID, rec.Model, got.ResponseID, got.ModelVersion)
			}
		})
	}
}
