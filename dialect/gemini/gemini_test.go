package gemini_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/dialecttest"
	"github.com/llmproxy/llmproxy/dialect/gemini"
	"github.com/llmproxy/llmproxy/wire"
)

const (
	first = `{"candidates":[{"content":{"parts":[{"text":"hi"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":2,"totalTokenCount":9},"modelVersion":"gemini-2.5-flash","responseId":"r1"}`
	last  = `{"candidates":[{"content":{"parts":[{"text":"!"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":5,"totalTokenCount":12},"modelVersion":"gemini-2.5-flash","responseId":"r1"}`
)

// sse writes chunks the way Google does.
func sse(chunks ...string) string {
	return "data: " + strings.Join(chunks, "\r\n\r\ndata: ") + "\r\n\r\n"
}

// answer is what is known at the end of most answers below.
func answer(changes ...func(m *llmproxy.ResponseMetadata)) llmproxy.ResponseMetadata {
	m := llmproxy.ResponseMetadata{
		ID: "r1", Model: "gemini-2.5-flash", FinishReason: "STOP", Outcome: llmproxy.OutcomeCompleted,
		Usage: llmproxy.Usage{PromptTokens: 7, CompletionTokens: 5}, UsageReported: true,
	}
	for _, change := range changes {
		change(&m)
	}
	return m
}

func unfinished(m *llmproxy.ResponseMetadata) {
	m.FinishReason, m.Outcome = "", llmproxy.OutcomeUnknown
}

func output(n int64) func(m *llmproxy.ResponseMetadata) {
	return func(m *llmproxy.ResponseMetadata) { m.Usage.CompletionTokens = n }
}

func reason(word string) func(m *llmproxy.ResponseMetadata) {
	return func(m *llmproxy.ResponseMetadata) { m.FinishReason = word }
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, answer string
		want         llmproxy.ResponseMetadata
		done         bool
	}{
		{"a body", last, answer(), false},
		{"a body over several lines", strings.ReplaceAll(last, ",", " ,\n  ") + "\n", answer(), false},
		{"a stream", sse(first, last), answer(), false},
		{"a stream, cut", sse(first), answer(unfinished, output(2)), false},
		{"an array", "[" + first + "\n,\r\n" + last + "]\n", answer(), true},
		{"an array, cut between elements", "[" + last + ",\r\n", answer(func(m *llmproxy.ResponseMetadata) { m.Outcome = llmproxy.OutcomeUnknown }), false},
		{"a body, cut", last[:len(last)-len(`responseId":"r1"}`)], answer(unfinished, func(m *llmproxy.ResponseMetadata) { m.ID = "" }), false},
		{
			"older models repeat the finish reason",
			sse(strings.Replace(first, `"index":0`, `"finishReason":"STOP","index":0`, 1), last), answer(), false,
		},
		{"cut by the output limit", strings.Replace(last, "STOP", "MAX_TOKENS", 1), answer(reason("MAX_TOKENS")), false},
		{"an invalid call", strings.Replace(last, "STOP", "UNEXPECTED_TOOL_CALL", 1), answer(reason("UNEXPECTED_TOOL_CALL")), false},
		{"a reason that was not set", strings.Replace(last, "STOP", "FINISH_REASON_UNSPECIFIED", 1), answer(unfinished), false},
		{"the first id counts", sse(first, strings.Replace(last, "r1", "r2", 1)), answer(), false},
		{
			"usage after the finish reason",
			sse(strings.Replace(last, `"candidatesTokenCount":5,"totalTokenCount":12`, `"totalTokenCount":7`, 1), `{"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":5,"totalTokenCount":12}}`),
			answer(), false,
		},
		{
			"two candidates, one of them open",
			sse(strings.Replace(first, `"index":0`, `"index":1`, 1), last),
			answer(func(m *llmproxy.ResponseMetadata) { m.Outcome = llmproxy.OutcomeUnknown }), false,
		},
		{
			"two candidates without an index, the first one's reason counts",
			`{"candidates":[{"finishReason":"STOP"},{"finishReason":"SAFETY"}],"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":5,"totalTokenCount":12},"modelVersion":"gemini-2.5-flash","responseId":"r1"}`,
			answer(), false,
		},
		{
			"a blocked prompt that was counted",
			`{"promptFeedback":{"blockReason":"SAFETY","safetyRatings":[]},"usageMetadata":{"promptTokenCount":7,"totalTokenCount":7},"modelVersion":"gemini-2.5-flash","responseId":"r1"}`,
			answer(reason("SAFETY"), output(0), func(m *llmproxy.ResponseMetadata) { m.Outcome = llmproxy.OutcomeIncomplete }), false,
		},
		{
			"a blocked prompt that was not",
			`{"promptFeedback":{"blockReason":"MODEL_ARMOR"},"usageMetadata":{"trafficType":"ON_DEMAND"},"modelVersion":"gemini-2.5-flash","responseId":"r1"}`,
			answer(reason("MODEL_ARMOR"), func(m *llmproxy.ResponseMetadata) {
				m.Outcome, m.ServiceTier = llmproxy.OutcomeIncomplete, "ON_DEMAND"
				m.Usage, m.UsageReported = llmproxy.Usage{}, false
			}), false,
		},
		{"feedback that blocks nothing", sse(strings.Replace(first, "{", `{"promptFeedback":{"safetyRatings":[]},`, 1), last), answer(), false},
		{
			"no candidates at all",
			`{"usageMetadata":{"promptTokenCount":7,"totalTokenCount":7},"modelVersion":"gemini-2.5-flash","responseId":"r1"}`,
			answer(unfinished, output(0)), false,
		},
		{
			"the tier", strings.Replace(last, `"totalTokenCount"`, `"serviceTier":"priority","trafficType":"ON_DEMAND","totalTokenCount"`, 1),
			answer(func(m *llmproxy.ResponseMetadata) { m.ServiceTier = "priority" }), false,
		},
		{
			"the traffic type on a chunk without counts",
			sse(strings.Replace(first, `"promptTokenCount":7,"candidatesTokenCount":2,"totalTokenCount":9`, `"trafficType":"PROVISIONED_THROUGHPUT"`, 1), last),
			answer(func(m *llmproxy.ResponseMetadata) { m.ServiceTier = "PROVISIONED_THROUGHPUT" }), false,
		},
		{
			"an embedding", `{"embedding":{"values":[0.1,-2e-3]},"usageMetadata":{"promptTokenCount":7,"promptTokenDetails":[{"modality":"IMAGE","tokenCount":3}]}}`,
			llmproxy.ResponseMetadata{
				Outcome: llmproxy.OutcomeCompleted, UsageReported: true,
				Usage: llmproxy.Usage{PromptTokens: 7, InputImage: 3},
			},
			true,
		},
		{"embeddings, uncounted", `{"embeddings":[{"values":[0.1]},{"values":[0.2]}]}`, llmproxy.ResponseMetadata{Outcome: llmproxy.OutcomeCompleted}, true},
		{
			"the Live API's names", `{"usageMetadata":{"promptTokenCount":7,"responseTokenCount":5,"totalTokenCount":12,"responseTokensDetails":[{"modality":"AUDIO","tokenCount":4}]}}`,
			llmproxy.ResponseMetadata{
				UsageReported: true,
				Usage:         llmproxy.Usage{PromptTokens: 7, CompletionTokens: 5, OutputAudio: 4},
			},
			false,
		},
		{
			"an error", `{"error":{"code":429,"message":"secret","status":"RESOURCE_EXHAUSTED","details":[{"@type":"…RetryInfo","retryDelay":"31s"}]}}`,
			llmproxy.ResponseMetadata{Outcome: llmproxy.OutcomeFailed, ErrorType: "RESOURCE_EXHAUSTED", ErrorCode: "429"},
			true,
		},
		{
			"an error in an array", "[{\n  \"error\": {\"code\": 400, \"message\": \"secret\", \"status\": \"INVALID_ARGUMENT\"}\n}]\n",
			llmproxy.ResponseMetadata{Outcome: llmproxy.OutcomeFailed, ErrorType: "INVALID_ARGUMENT", ErrorCode: "400"},
			true,
		},
		{"an error with a word for a code", `{"error":{"message":"secret","code":"not_found"}}`, llmproxy.ResponseMetadata{Outcome: llmproxy.OutcomeFailed, ErrorCode: "not_found"}, true},
		{"an error that is a text", `{"error":"secret"}`, llmproxy.ResponseMetadata{Outcome: llmproxy.OutcomeFailed}, true},
		{
			"an error in a stream keeps what was counted",
			sse(first, `{"error":{"code":503,"message":"secret","status":"UNAVAILABLE"}}`, last),
			answer(func(m *llmproxy.ResponseMetadata) {
				m.Outcome, m.ErrorType, m.ErrorCode = llmproxy.OutcomeFailed, "UNAVAILABLE", "503"
			}), true,
		},
		{"no error", strings.Replace(last, "{", `{"error":null,`, 1), answer(), false},
		{"a relay's [DONE]", sse(first, last, "[DONE]"), answer(), true},
		{"no JSON", `<html>bad gateway</html>`, llmproxy.ResponseMetadata{}, false},
		{"white space", " \n", llmproxy.ResponseMetadata{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, done := dialecttest.Read(t, gemini.New, tt.answer)
			if diff := cmp.Diff(tt.want, got); diff != "" || done != tt.done {
				t.Errorf("done = %v, want %v; want - got +:\n%s", done, tt.done, diff)
			}
		})
	}
}

// An array may also come element by element, or whole where its framing is unknown.
func TestArrayByElements(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 13, 4096} {
		x := gemini.New()
		elements := wire.NewArrayStream(x, 0)
		for text := "[" + first + "\n,\r\n" + last + "\n]\n"; text != ""; {
			n := min(size, len(text))
			_, _ = elements.Write([]byte(text[:n]))
			text = text[n:]
		}
		elements.End()
		if diff := cmp.Diff(answer(), x.Metadata()); diff != "" {
			t.Errorf("in pieces of %d bytes: want - got +:\n%s", size, diff)
		}
	}
}

func TestHeader(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ header, usage, want string }{
		{"priority", `"trafficType":"ON_DEMAND"`, "priority"},
		{"priority", `"serviceTier":"standard"`, "standard"},
		{"", `"trafficType":"ON_DEMAND_FLEX"`, "ON_DEMAND_FLEX"},
		{strings.Repeat("a", 65), ``, ""},
	} {
		x := gemini.New().(llmproxy.HeaderExtractor)
		x.Header(http.Header{"X-Gemini-Service-Tier": {tt.header}})
		x.Frame(wire.Frame{Data: []byte(`{"usageMetadata":{` + tt.usage + `}}`)})
		if got := x.Metadata().ServiceTier; got != tt.want {
			t.Errorf("header %.20q, usage {%s}: got %q, want %q", tt.header, tt.usage, got, tt.want)
		}
	}
}

func TestSearches(t *testing.T) {
	t.Parallel()
	chunk := func(model, queries string) string {
		return `{"candidates":[{"content":{},"groundingMetadata":{"groundingChunks":[],"webSearchQueries":` + queries + `}}],"modelVersion":"` + model + `"}`
	}
	for _, tt := range []struct {
		name, answer string
		want         int64
	}{
		{"by the query", chunk("gemini-3-flash-preview", `["a","b"]`), 2},
		{"empty ones are free", chunk("gemini-3-flash-preview", `["","a",""]`), 1},
		{"the same one counts once", chunk("gemini-3-pro", `["a","a"]`), 1},
		{"by the prompt before Gemini 3", chunk("gemini-2.5-pro", `["a","b"]`), 1},
		{"also under a longer name", chunk("models/gemini-1.5-pro", `["a","b"]`), 1},
		{"none before Gemini 3", chunk("gemini-2.5-pro", `[""]`), 0},
		{"chunks may repeat them", sse(chunk("gemini-3-pro", `["a"]`), chunk("gemini-3-pro", `["a","b"]`)), 2},
		{"two candidates", `{"candidates":[{"groundingMetadata":{"webSearchQueries":["a"]}},{"groundingMetadata":{"webSearchQueries":["b"]}}],"modelVersion":"gemini-3"}`, 2},
		{"grounded in pages only", `{"candidates":[{"groundingMetadata":{"groundingChunks":[{"web":{}}]}}],"modelVersion":"gemini-2.5-pro"}`, 0},
		{"no list", chunk("gemini-3-pro", `7`), 0},
	} {
		m, _ := dialecttest.Read(t, gemini.New, tt.answer)
		if m.Usage.WebSearches != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, m.Usage.WebSearches, tt.want)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	for name, data := range map[string]string{
		"text":           first,
		"end":            last,
		"searches":       `{"candidates":[{"groundingMetadata":{"webSearchQueries":["a","b"]}}]}`,
		"traffic type":   `{"usageMetadata":{"trafficType":"ON_DEMAND"}}`,
		"inline data":    `{"candidates":[{"content":{"parts":[{"inlineData":{"mimeType":"image/png","data":"` + strings.Repeat("QUJD", 4096) + `"}}]}}]}`,
		"details":        `{"usageMetadata":{"promptTokenCount":9,"promptTokensDetails":[{"modality":"TEXT","tokenCount":1},{"modality":"IMAGE","tokenCount":8}],"totalTokenCount":9}}`,
		"array":          "[" + first + "]",
		"something else": `{"serverContent":{}}`,
	} {
		x := gemini.New()
		frame := wire.Frame{Data: []byte(data)}
		x.Frame(frame)
		if n := testing.AllocsPerRun(100, func() { x.Frame(frame) }); n != 0 {
			t.Errorf("%s: %v allocations a frame, want 0", name, n)
		}
	}
}

func BenchmarkFrame(b *testing.B) {
	x, frame := gemini.New(), wire.Frame{Data: []byte(first)}
	b.SetBytes(int64(len(first)))
	b.ReportAllocs()
	for b.Loop() {
		x.Frame(frame)
	}
}
