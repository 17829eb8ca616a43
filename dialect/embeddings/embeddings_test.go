package embeddings_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/dialecttest"
	"github.com/llmproxy/llmproxy/dialect/embeddings"
)

func TestBody(t *testing.T) {
	t.Parallel()
	const data = `"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,-2e-3]}],"model":"e-1"`
	answer := llmproxy.ResponseMetadata{
		Model: "e-1", Outcome: llmproxy.OutcomeCompleted,
		Usage: llmproxy.Usage{PromptTokens: 21}, UsageReported: true,
	}
	for _, tt := range []struct {
		name, body string
		want       llmproxy.ResponseMetadata
		done       bool
	}{
		{"OpenAI", `{` + data + `,"usage":{"prompt_tokens":21,"total_tokens":21}}`, answer, true},
		{"Mistral", `{` + data + `,"usage":{"prompt_audio_seconds":null,"prompt_tokens":21,"total_tokens":21,"completion_tokens":0,"request_count":null,"prompt_token_details":null}}`, answer, true},
		{"a total only", `{` + data + `,"usage":{"total_tokens":21}}`, answer, true},
		{"no usage", `{` + data + `}`, llmproxy.ResponseMetadata{Model: "e-1", Outcome: llmproxy.OutcomeCompleted}, true},
		{"zeros", `{` + data + `,"usage":{"prompt_tokens":0,"total_tokens":0}}`, llmproxy.ResponseMetadata{Model: "e-1", Outcome: llmproxy.OutcomeCompleted}, true},
		{
			"zeros for nothing", `{"data":[],"model":"e-1","usage":{"prompt_tokens":0,"total_tokens":0}}`,
			llmproxy.ResponseMetadata{Model: "e-1", Outcome: llmproxy.OutcomeCompleted, UsageReported: true},
			true,
		},
		{
			"an error", `{"error":{"message":"secret","type":"invalid_request_error","code":"model_not_found"}}`,
			llmproxy.ResponseMetadata{Outcome: llmproxy.OutcomeFailed, ErrorType: "invalid_request_error", ErrorCode: "model_not_found"},
			true,
		},
		{"cut", `{"model":"e-1","data":[{"embedding":[0.1`, llmproxy.ResponseMetadata{Model: "e-1"}, false},
		{"cut after the data", `{"model":"e-1","data":[],`, llmproxy.ResponseMetadata{Model: "e-1"}, false},
		{"nothing", ``, llmproxy.ResponseMetadata{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, done := dialecttest.Read(t, embeddings.New, tt.body)
			if diff := cmp.Diff(tt.want, got); diff != "" || done != tt.done {
				t.Errorf("done = %v, want %v; want - got +:\n%s", done, tt.done, diff)
			}
		})
	}
}
