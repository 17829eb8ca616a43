package bedrockgo

import (
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/llmproxy/llmproxy/conformance/rig"
)

// What the real provider has answered is understood by the SDK, and told to it is what the
// record says.
func TestRecordings(t *testing.T) {
	t.Parallel()
	for _, r := range rig.Recordings(t, "bedrock") {
		stream := r.Is("/converse-stream")
		if !stream && !r.Is("/converse") {
			continue
		}
		t.Run(r.ID, func(t *testing.T) {
			t.Parallel()
			setup := setup()
			setup.Upstream = &r
			s := enter(t, setup, byModel)
			id, _, _ := strings.Cut(strings.TrimPrefix(r.Path, "/model/"), "/converse")
			model, err := url.PathUnescape(id)
			s.Do(err)
			messages := []types.Message{user(text("hello"))}
			var usage *types.TokenUsage
			var stop types.StopReason
			if stream {
				out, err := s.ConverseStream(t.Context(), &bedrockruntime.ConverseStreamInput{ModelId: &model, Messages: messages})
				s.Do(err)
				events := out.GetStream()
				defer events.Close()
				for event := range events.Events() {
					switch e := event.(type) {
					case *types.ConverseStreamOutputMemberMessageStop:
						stop = e.Value.StopReason
					case *types.ConverseStreamOutputMemberMetadata:
						usage = e.Value.Usage
					}
				}
				s.Do(events.Err())
			} else {
				out, err := s.Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: &model, Messages: messages})
				s.Do(err)
				usage, stop = out.Usage, out.StopReason
			}
			rec, u := s.Rig.Record(), told(usage)
			if rec.Usage.PromptTokens != u.Prompt || rec.Usage.CompletionTokens != u.Completion || rec.Usage.CacheRead != u.Cached ||
				rec.Usage.CacheWrite+rec.Usage.CacheWrite1h != u.CacheWrite || rec.Usage.CacheWrite1h != u.CacheWrite1h {
				t.Errorf("the record has the usage %+v, the SDK was told %+v", rec.Usage, *u)
			}
			if rec.FinishReason != string(stop) || rec.Model != model {
				t.Errorf("the record has %s, %s, the SDK %s, %s", rec.Model, rec.FinishReason, model, stop)
			}
		})
	}
}
