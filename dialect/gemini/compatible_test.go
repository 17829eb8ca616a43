package gemini_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/dialecttest"
	"github.com/llmproxy/llmproxy/dialect/gemini"
)

// usage spells counts as Google does. What is negative is no count.
func usage(prompt, cached, candidates, thoughts, tools, total, sound, picture, cachedSound, soundOut int64) []byte {
	return fmt.Appendf(nil, `{"usageMetadata":{"promptTokenCount":%d,"cachedContentTokenCount":%d,"candidatesTokenCount":%d,`+
		`"thoughtsTokenCount":%d,"toolUsePromptTokenCount":%d,"totalTokenCount":%d,`+
		`"promptTokensDetails":[{"modality":"AUDIO","tokenCount":%d},{"modality":"DOCUMENT","tokenCount":%d}],`+
		`"cacheTokensDetails":[{"modality":"AUDIO","tokenCount":%d}],`+
		`"candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":%d}]}}`,
		prompt, cached, candidates, thoughts, tools, total, sound, picture, cachedSound, soundOut)
}

func TestChat(t *testing.T) {
	t.Parallel()
	body := func(usage string) string {
		return `{"id":"c1","object":"chat.completion","model":"gemini-2.5-flash","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":` + usage + `}`
	}
	chunk := func(rest, usage string) string {
		return `{"id":"c1","object":"chat.completion.chunk","model":"gemini-2.5-flash","choices":[{"index":0,"delta":{"content":"hi"}` + rest + `}],"usage":` + usage + `}`
	}
	for _, tt := range []struct {
		name, answer string
		want         llmproxy.Usage
		inconsistent bool
	}{
		{"no thoughts", body(`{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}`), llmproxy.Usage{PromptTokens: 7, CompletionTokens: 5}, false},
		{"thoughts in the total", body(`{"prompt_tokens":7,"completion_tokens":5,"total_tokens":112}`), llmproxy.Usage{PromptTokens: 7, CompletionTokens: 105, Reasoning: 100}, false},
		{
			"thoughts that are said",
			body(`{"prompt_tokens":7,"completion_tokens":5,"total_tokens":112,"completion_tokens_details":{"reasoning_tokens":100}}`),
			llmproxy.Usage{PromptTokens: 7, CompletionTokens: 105, Reasoning: 100},
			false,
		},
		{"too small a total", body(`{"prompt_tokens":7,"completion_tokens":5,"total_tokens":11}`), llmproxy.Usage{PromptTokens: 7, CompletionTokens: 5}, true},
		{
			"another contradiction",
			body(`{"prompt_tokens":7,"completion_tokens":5,"total_tokens":112,"prompt_tokens_details":{"cached_tokens":9}}`),
			llmproxy.Usage{PromptTokens: 7, CacheRead: 9, CompletionTokens: 105, Reasoning: 100},
			true,
		},
		{
			"zeros do not replace thoughts",
			sse(
				chunk(`,"finish_reason":"stop"`, `{"prompt_tokens":7,"completion_tokens":5,"total_tokens":112}`),
				chunk("", `{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}`),
				"[DONE]",
			),
			llmproxy.Usage{PromptTokens: 7, CompletionTokens: 105, Reasoning: 100},
			false,
		},
		{
			"a stream reports on every chunk",
			sse(
				chunk("", `{"prompt_tokens":7,"completion_tokens":1,"total_tokens":58}`),
				chunk(`,"finish_reason":"stop"`, `{"prompt_tokens":7,"completion_tokens":5,"total_tokens":112}`),
				"[DONE]",
			),
			llmproxy.Usage{PromptTokens: 7, CompletionTokens: 105, Reasoning: 100},
			false,
		},
	} {
		got, done := dialecttest.Read(t, gemini.NewChat, tt.answer)
		want := llmproxy.ResponseMetadata{
			ID: "c1", Model: "gemini-2.5-flash", FinishReason: "stop", Outcome: llmproxy.OutcomeCompleted,
			Usage: tt.want, UsageReported: true, Inconsistent: tt.inconsistent,
		}
		if diff := cmp.Diff(want, got); diff != "" || !done {
			t.Errorf("%s: done = %v; want - got +:\n%s", tt.name, done, diff)
		}
	}
}

func TestChatError(t *testing.T) {
	t.Parallel()
	got, done := dialecttest.Read(t, gemini.NewChat, `[{"error":{"code":400,"message":"secret","status":"INVALID_ARGUMENT"}}]`)
	want := llmproxy.ResponseMetadata{Outcome: llmproxy.OutcomeFailed, ErrorCode: "400"}
	if diff := cmp.Diff(want, got); diff != "" || !done {
		t.Errorf("done = %v; want - got +:\n%s", done, diff)
	}
}
