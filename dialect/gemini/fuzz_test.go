package gemini_test

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/gemini"
	"github.com/llmproxy/llmproxy/wire"
)

// Whatever the frames are, no reader panics, and what it knows is consistent, bounded
// and its own: it must not change with the frame's bytes.
func FuzzFrames(f *testing.F) {
	for _, seed := range []string{
		first, last, "[" + first + "," + last + "]", "[" + last, `[{"error":{"code":5,"status":"S"}}]`, `{"error":"x"}`, `[DONE]`, `[`,
		`{"candidates":[{"index":-1},{"index":99999999999},7],"embedding":{}}`,
		`{"promptFeedback":{"blockReason":"OTHER"},"usageMetadata":{"trafficType":"T"}}`,
		`{"candidates":[{"groundingMetadata":{"webSearchQueries":["a","","a",7]}}],"modelVersion":"gemini-3"}`,
		`{"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":99},"choices":[{"delta":{},"finish_reason":"stop"}]}`,
		`{"usageMetadata":{"promptTokenCount":1125899906842624,"candidatesTokenCount":1125899906842624,"thoughtsTokenCount":1125899906842624,"toolUsePromptTokenCount":1125899906842624,"cachedContentTokenCount":1125899906842624,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":1125899906842624},{"modality":"VIDEO","tokenCount":1125899906842624}]}}`,
	} {
		f.Add([]byte(seed), []byte(`{"usageMetadata":{"promptTokenCount":1,"thoughtsTokenCount":9,"totalTokenCount":3}}`))
		f.Add([]byte(first), []byte(seed))
	}
	f.Fuzz(func(t *testing.T, data, data2 []byte) {
		for i, newReader := range []func() llmproxy.ResponseExtractor{gemini.New, gemini.NewChat} {
			x := newReader()
			for _, frame := range [][]byte{data, data2, data} {
				frame = bytes.Clone(frame)
				x.Frame(wire.Frame{Data: frame})
				before := x.Metadata()
				clear(frame)
				if after := x.Metadata(); !reflect.DeepEqual(before, after) {
					t.Errorf("reader %d keeps a frame: %+v became %+v", i, before, after)
				}
			}
			m := x.Metadata()
			if !m.Usage.Consistent() && !m.Inconsistent {
				t.Errorf("reader %d: %+v", i, m.Usage)
			}
			if u := m.Usage; u.PromptTokens < 0 || u.CompletionTokens < 0 || u.CacheRead < 0 || u.Reasoning < 0 || u.InputTool < 0 || u.WebSearches < 0 {
				t.Errorf("reader %d: negative: %+v", i, u)
			}
			for _, s := range []string{m.ID, m.Model, m.ServiceTier, m.FinishReason, m.ErrorType, m.ErrorCode} {
				if len(s) > 256 {
					t.Errorf("reader %d keeps a string of %d bytes", i, len(s))
				}
			}
		}
	})
}

// Every combination of counts gives usage that is consistent, or says that it is not;
// and where Google's own total can be had, it is met.
func FuzzUsage(f *testing.F) {
	f.Add(int64(100), int64(50), int64(10), int64(20), int64(5), int64(135), int64(30), int64(20), int64(10), int64(5))
	f.Add(int64(100), int64(150), int64(60), int64(20), int64(0), int64(160), int64(30), int64(20), int64(10), int64(5))
	f.Fuzz(func(t *testing.T, prompt, cached, candidates, thoughts, tools, total, sound, picture, cachedSound, soundOut int64) {
		x := gemini.New()
		x.Frame(wire.Frame{Data: usage(prompt, cached, candidates, thoughts, tools, total, sound, picture, cachedSound, soundOut)})
		m := x.Metadata()
		if !m.Usage.Consistent() && !m.Inconsistent {
			t.Errorf("%+v", m.Usage)
		}
		if stated := 0 <= total && total <= 1<<50; stated && m.UsageReported && !m.Inconsistent && m.Usage.TotalTokens() != total {
			t.Errorf("total %d, want %d", m.Usage.TotalTokens(), total)
		}
	})
}
