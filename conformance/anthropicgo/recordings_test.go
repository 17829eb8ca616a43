package anthropicgo

import (
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"

	"github.com/llmproxy/llmproxy/conformance/rig"
)

// What the real provider has answered is understood by the SDK, and told to it is what the
// record says.
func TestRecordings(t *testing.T) {
	t.Parallel()
	for _, r := range rig.Recordings(t, "anthropic") {
		if !r.Is("/v1/messages") || r.Is("count_tokens") {
			continue
		}
		t.Run(r.ID, func(t *testing.T) {
			t.Parallel()
			setup := setup()
			setup.Upstream = &r
			s := enter(t, setup, byModel)
			params := anthropic.MessageNewParams{Model: sonnet, MaxTokens: 100, Messages: user("hello")}
			var got *anthropic.Message
			if strings.HasPrefix(r.Response, "event:") {
				got = accumulated(s, s.Messages.NewStreaming(t.Context(), params))
			} else {
				var err error
				got, err = s.Messages.New(t.Context(), params)
				s.Do(err)
			}
			rec, u := s.Rig.Record(), told(got)
			if rec.Usage.PromptTokens != u.Prompt || rec.Usage.CompletionTokens != u.Completion || rec.Usage.CacheRead != u.Cached ||
				rec.Usage.CacheWrite+rec.Usage.CacheWrite1h != u.CacheWrite || rec.Usage.CacheWrite1h != u.CacheWrite1h || rec.Usage.Reasoning != u.Reasoning {
				t.Errorf("the record has the usage %+v, the SDK was told %+v: %s", rec.Usage, *u, got.Usage.RawJSON())
			}
			if rec.Model != got.Model || rec.FinishReason != string(got.StopReason) || rec.ResponseID != got.ID {
				t.Errorf("the record has %s, %s, %s, the SDK %s, %s, %s", rec.ResponseID, rec.Model, rec.FinishReason, got.ID, got.Model, got.StopReason)
			}
		})
	}
}
