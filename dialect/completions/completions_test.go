package completions_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/completions"
	"github.com/llmproxy/llmproxy/dialect/dialecttest"
)

func TestAnswers(t *testing.T) {
	t.Parallel()
	const (
		head  = `{"id":"cmpl-1","object":"text_completion","model":"m-1","choices":[{"text":"a","index":0,"logprobs":null,"finish_reason":`
		usage = `"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}`
		done  = "data: [DONE]\n\n"
	)
	answer := llmproxy.ResponseMetadata{
		ID: "cmpl-1", Model: "m-1", FinishReason: "length", Outcome: llmproxy.OutcomeCompleted,
		Usage: llmproxy.Usage{PromptTokens: 7, CompletionTokens: 5}, UsageReported: true,
	}
	open := answer
	open.FinishReason, open.Outcome = "", llmproxy.OutcomeUnknown
	unread := answer
	unread.Usage, unread.UsageReported = llmproxy.Usage{}, false
	for _, tt := range []struct {
		name, answer string
		want         llmproxy.ResponseMetadata
		done         bool
	}{
		{"body", head + `"length"}],` + usage + `}`, answer, true},
		{"body without usage", head + `"length"}]}`, unread, false},
		{"zeros beside a text", head + `"length"}],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}`, unread, true},
		{
			"zeros after a streamed text", "data: " + head + `null}],"usage":null}` + "\n\ndata: " + head + `"length"}],"usage":null}` + "\n\n" +
				`data: {"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0}}` + "\n\n" + done, unread, true,
		},
		{
			"stream", "data: " + head + `null}],"usage":null}` + "\n\ndata: " + head + `"length"}],"usage":null}` + "\n\n" +
				`data: {"id":"cmpl-1","model":"m-1","choices":[],` + usage + "}\n\n" + done, answer, true,
		},
		{
			"the finish reason is not the end of a stream",
			"data: " + head + `null}]}` + "\n\ndata: " + head + `"length"}],` + usage + "}\n\n", answer, false,
		},
		{"usage on the first chunk", "data: " + head + `null}],` + usage + "}\n\n", open, false},
		{"stream without usage", "data: " + head + `"length"}]}` + "\n\n" + done, unread, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, done := dialecttest.Read(t, completions.New, tt.answer)
			if diff := cmp.Diff(tt.want, got); diff != "" || done != tt.done {
				t.Errorf("done = %v, want %v; want - got +:\n%s", done, tt.done, diff)
			}
		})
	}
}
