package chat_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/chat"
	"github.com/llmproxy/llmproxy/dialect/dialecttest"
	"github.com/llmproxy/llmproxy/wire"
)

const (
	first  = `data: {"id":"c1","object":"chat.completion.chunk","model":"m-1","service_tier":"default","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}` + "\n\n"
	text   = `data: {"id":"c1","object":"chat.completion.chunk","model":"m-1","service_tier":"default","choices":[{"index":0,"delta":{"content":"\"usage\": 1, \"error\""},"finish_reason":null}],"usage":null}` + "\n\n"
	finish = `data: {"id":"c1","object":"chat.completion.chunk","model":"m-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}` + "\n\n"
	usage  = `data: {"id":"c1","object":"chat.completion.chunk","model":"m-1","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}` + "\n\n"
	done   = "data: [DONE]\n\n"
)

// answer is what is known at the end of most answers below.
func answer(change func(m *llmproxy.ResponseMetadata)) llmproxy.ResponseMetadata {
	m := llmproxy.ResponseMetadata{
		ID: "c1", Model: "m-1", FinishReason: "stop", Outcome: llmproxy.OutcomeCompleted,
		Usage: llmproxy.Usage{PromptTokens: 7, CompletionTokens: 5}, UsageReported: true,
	}
	change(&m)
	return m
}

func tier(m *llmproxy.ResponseMetadata) { m.ServiceTier = "default" }

func unread(m *llmproxy.ResponseMetadata) {
	m.Usage, m.UsageReported = llmproxy.Usage{}, false
}

func TestStream(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, stream string
		want         llmproxy.ResponseMetadata
		done         bool
	}{
		{"usage in a chunk of its own", first + text + finish + usage + done, answer(tier), true},
		{"[DONE] without a space", first + finish + usage + "data:[DONE]\n\n", answer(tier), true},
		{"no [DONE]", first + text + finish + usage, answer(tier), false},
		{"no usage", first + text + finish + done, answer(func(m *llmproxy.ResponseMetadata) {
			tier(m)
			unread(m)
		}), true},
		{"cut in the text", first + text, answer(func(m *llmproxy.ResponseMetadata) {
			tier(m)
			unread(m)
			m.FinishReason, m.Outcome = "", llmproxy.OutcomeUnknown
		}), false},
		{
			"usage beside the finish reason",
			`data: {"id":"c1","model":"m-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}` + "\n\n" + done,
			answer(func(*llmproxy.ResponseMetadata) {}), true,
		},
		{
			"usage on every chunk: the last counts",
			`data: {"id":"c1","model":"m-1","choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":7,"completion_tokens":1,"total_tokens":8}}` + "\n\n" +
				`data: {"id":"c1","model":"m-1","choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}` + "\n\n" + done,
			answer(func(*llmproxy.ResponseMetadata) {}), true,
		},
		{
			"usage after the finish reason, choices null",
			first + finish + `data: {"id":"c1","model":"m-1","choices":null,"usage":{"prompt_tokens":7,"completion_tokens":5}}` + "\n\n" + done,
			answer(tier), true,
		},
		{
			"Groq reports twice and is counted once",
			first + `data: {"id":"c1","model":"m-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"id":"r","usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12,"completion_tokens_details":{"reasoning_tokens":2}}}}` + "\n\n" + usage + done,
			answer(func(m *llmproxy.ResponseMetadata) {
				tier(m)
				m.Usage.Reasoning = 2
			}), true,
		},
		{
			"Groq reports once, in its own place",
			first + `data: {"id":"c1","model":"m-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"id":"r","usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}}` + "\n\n" + done,
			answer(tier), true,
		},
		{
			"usage inside the first choice",
			first + `data: {"id":"c1","model":"m-1","choices":[{"index":0,"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12,"cached_tokens":3}}]}` + "\n\n" + done,
			answer(func(m *llmproxy.ResponseMetadata) {
				tier(m)
				m.Usage.CacheRead = 3
			}), true,
		},
		{
			"zeros beside a text are no report",
			first + text + finish + `data: {"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}` + "\n\n" + done,
			answer(func(m *llmproxy.ResponseMetadata) {
				tier(m)
				unread(m)
			}), true,
		},
		{
			"zeros do not replace counts",
			first + text + finish + usage + `data: {"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}` + "\n\n" + done,
			answer(tier), true,
		},
		{
			"an explicit zero is a report",
			first + finish + `data: {"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}` + "\n\n" + done,
			answer(func(m *llmproxy.ResponseMetadata) {
				tier(m)
				m.Usage = llmproxy.Usage{}
			}), true,
		},
		{
			"an empty object is none",
			first + finish + `data: {"choices":[],"usage":{}}` + "\n\n" + done,
			answer(func(m *llmproxy.ResponseMetadata) {
				tier(m)
				unread(m)
			}), true,
		},
		{
			"Azure names the model late",
			`data: {"id":"","model":"","object":"","choices":[],"prompt_filter_results":[{"prompt_index":0}]}` + "\n\n" + first + finish + usage + done,
			answer(tier), true,
		},
		{
			"comments, and a member named usage elsewhere",
			": PROCESSING\n\n" + first + `data: {"id":"c1","model":"m-1","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":"{}"},"usage":{"prompt_tokens":99}}]},"finish_reason":null}]}` + "\n\n" + finish + usage + done,
			answer(tier), true,
		},
		{
			"length is a completed answer",
			first + `data: {"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}` + "\n\n" + usage + done,
			answer(func(m *llmproxy.ResponseMetadata) {
				tier(m)
				m.FinishReason = "length"
			}), true,
		},
		{
			"a second choice is still open",
			first + `data: {"choices":[{"index":1,"delta":{"content":"b"},"finish_reason":null}]}` + "\n\n" + finish,
			answer(func(m *llmproxy.ResponseMetadata) {
				tier(m)
				unread(m)
				m.Outcome = llmproxy.OutcomeUnknown
			}), false,
		},
		{
			"a second choice begins after the first has ended",
			first + finish + `data: {"choices":[{"index": 1,"delta":{"content":"b"},"finish_reason":null}]}` + "\n\n",
			answer(func(m *llmproxy.ResponseMetadata) {
				tier(m)
				unread(m)
				m.Outcome = llmproxy.OutcomeUnknown
			}), false,
		},
		{
			"two choices end, the first one's reason counts",
			first + `data: {"choices":[{"index":1,"delta":{},"finish_reason":"length"}]}` + "\n\n" + finish + usage,
			answer(tier), false,
		},
		{
			"two choices end, the first one first",
			first + finish + `data: {"choices":[{"index":1,"delta":{},"finish_reason":"length"}]}` + "\n\n" + usage,
			answer(tier), false,
		},
		{
			"[DONE] without a finish reason", first + usage + done,
			answer(func(m *llmproxy.ResponseMetadata) {
				tier(m)
				m.FinishReason = ""
			}), true,
		},
		{
			"nothing counts after [DONE]",
			first + finish + usage + done + `data: {"error":{"code":"late"},"usage":{"prompt_tokens":9}}` + "\n\n",
			answer(tier), true,
		},
		{
			"the first id counts",
			first + finish + strings.Replace(usage, "c1", "c2", 1) + done,
			answer(tier), true,
		},
		{
			"Perplexity repeats the message in each chunk",
			`data: {"id":"c1","model":"m-1","object":"chat.completion","choices":[{"index":0,"finish_reason":null,"message":{"role":"assistant","content":"a"},"delta":{"content":"a"}}],"usage":{"prompt_tokens":7,"completion_tokens":1,"total_tokens":8}}` + "\n\n" +
				`data: {"id":"c1","model":"m-1","object":"chat.completion","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"ab"},"delta":{"content":"b"}}],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}` + "\n\n",
			answer(func(*llmproxy.ResponseMetadata) {}), false,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, done := dialecttest.Read(t, chat.New, tt.stream)
			if diff := cmp.Diff(tt.want, got); diff != "" || done != tt.done {
				t.Errorf("done = %v, want %v; want - got +:\n%s", done, tt.done, diff)
			}
		})
	}
}

func TestStreamThatFails(t *testing.T) {
	t.Parallel()
	failed := func(kind, code string, change func(m *llmproxy.ResponseMetadata)) llmproxy.ResponseMetadata {
		return answer(func(m *llmproxy.ResponseMetadata) {
			tier(m)
			unread(m)
			m.FinishReason, m.Outcome = "", llmproxy.OutcomeFailed
			m.ErrorType, m.ErrorCode = kind, code
			change(m)
		})
	}
	same := func(*llmproxy.ResponseMetadata) {}
	for _, tt := range []struct {
		name, stream string
		want         llmproxy.ResponseMetadata
		done         bool
	}{
		{
			"an error object", first + text + `data: {"error":{"message":"secret","type":"server_error","code":"overloaded","param":null}}` + "\n\n",
			failed("server_error", "overloaded", same), true,
		},
		{
			"Groq names the event", first + "event: error\n" + `data: {"error":{"message":"secret","type":"invalid_request_error","code":"tool_use_failed","status_code":400}}` + "\n\n",
			failed("invalid_request_error", "tool_use_failed", same), true,
		},
		{
			"xAI has the text in error", first + `data: {"code":"overloaded","error":"secret"}` + "\n\n",
			failed("", "overloaded", same), true,
		},
		{
			"an error that is an object itself", first + `data: {"object":"error","message":"secret","type":"BadRequestError","code":400}` + "\n\n",
			failed("BadRequestError", "400", same), true,
		},
		{
			"OpenRouter reports usage beside the error", first + `data: {"id":"c1","error":{"code":502,"message":"secret"},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}` + "\n\n",
			failed("", "502", func(m *llmproxy.ResponseMetadata) {
				m.FinishReason = "error"
				m.Usage, m.UsageReported = llmproxy.Usage{PromptTokens: 7, CompletionTokens: 5}, true
			}), false,
		},
		{
			"an error inside a choice", first + `data: {"choices":[{"index":0,"delta":{},"finish_reason":null,"error":{"code":429,"message":"secret"}}]}` + "\n\n",
			failed("", "429", same), false,
		},
		{
			"an event named error with a flat fault", first + "event: error\n" + `data: {"message":"secret","code":"overloaded"}` + "\n\n",
			failed("", "overloaded", same), true,
		},
		{
			"a finish reason of error", first + `data: {"choices":[{"index":0,"delta":{},"finish_reason":"error"}]}` + "\n\n" + usage + done,
			failed("", "", func(m *llmproxy.ResponseMetadata) {
				m.FinishReason = "error"
				m.Usage, m.UsageReported = llmproxy.Usage{PromptTokens: 7, CompletionTokens: 5}, true
			}), true,
		},
		{
			"an error after usage", first + finish + usage + `data: {"error":{"type":"server_error"}}` + "\n\n",
			failed("server_error", "", func(m *llmproxy.ResponseMetadata) {
				m.FinishReason = "stop"
				m.Usage, m.UsageReported = llmproxy.Usage{PromptTokens: 7, CompletionTokens: 5}, true
			}), true,
		},
		{
			"an error is not undone by [DONE]", first + `data: {"error":{"type":"server_error"}}` + "\n\n" + done,
			failed("server_error", "", same), true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, done := dialecttest.Read(t, chat.New, tt.stream)
			if diff := cmp.Diff(tt.want, got); diff != "" || done != tt.done {
				t.Errorf("done = %v, want %v; want - got +:\n%s", done, tt.done, diff)
			}
		})
	}
}

func TestBody(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body string
		want       llmproxy.ResponseMetadata
		done       bool
	}{
		{
			"completed",
			`{"id":"c1","object":"chat.completion","model":"m-1","service_tier":"default","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}`,
			answer(tier), true,
		},
		{
			"written over several lines, members in another order",
			"{\n \"usage\" : {\"total_tokens\" : 12.0, \"completion_tokens\" : 5, \"prompt_tokens\" : 7e0},\n \"choices\" : [ {\"message\" : {}, \"finish_reason\" : \"stop\", \"index\" : 0} ],\n \"model\" : \"m-1\", \"id\" : \"c1\"\n}\n",
			answer(func(*llmproxy.ResponseMetadata) {}), true,
		},
		{
			"no finish reason",
			`{"id":"c1","model":"m-1","choices":[{"index":0,"message":{}}],"usage":{"prompt_tokens":7,"completion_tokens":5}}`,
			answer(func(m *llmproxy.ResponseMetadata) { m.FinishReason = "" }), true,
		},
		{
			"Groq's cache statistics are no usage",
			`{"id":"c1","model":"m-1","choices":[{"index":0,"message":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12},"x_groq":{"id":"r","usage":{"dram_cached_tokens":4,"sram_cached_tokens":4}}}`,
			answer(func(*llmproxy.ResponseMetadata) {}), true,
		},
		{
			"cut",
			`{"id":"c1","model":"m-1","choices":[{"index":0,"message":{},"finish_reason":null}],"usage":{"prompt_tokens":7,"completion_tokens":5},`,
			answer(func(m *llmproxy.ResponseMetadata) { m.FinishReason, m.Outcome = "", llmproxy.OutcomeUnknown }), false,
		},
		{
			"an error",
			`{"error":{"message":"secret","type":"invalid_request_error","param":null,"code":"model_not_found"}}`,
			llmproxy.ResponseMetadata{Outcome: llmproxy.OutcomeFailed, ErrorType: "invalid_request_error", ErrorCode: "model_not_found"},
			true,
		},
		{
			"an error in an array",
			`[{"error":{"code":400,"message":"secret","status":"INVALID_ARGUMENT"}}]`,
			llmproxy.ResponseMetadata{Outcome: llmproxy.OutcomeFailed, ErrorCode: "400"},
			true,
		},
		{"no JSON", `<html>bad gateway</html>`, llmproxy.ResponseMetadata{}, false},
		{"nothing", ``, llmproxy.ResponseMetadata{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, done := dialecttest.Read(t, chat.New, tt.body)
			if diff := cmp.Diff(tt.want, got); diff != "" || done != tt.done {
				t.Errorf("done = %v, want %v; want - got +:\n%s", done, tt.done, diff)
			}
		})
	}
}

// Zeros throughout are a report where there is no output.
func TestZeros(t *testing.T) {
	t.Parallel()
	const zeros = `"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}`
	body := func(message string) string {
		return `{"model":"m-1","choices":[{"index":0,"message":` + message + `,"finish_reason":"stop"}],` + zeros + `}`
	}
	streamed := func(deltas ...string) string {
		s := first
		for _, d := range deltas {
			s += `data: {"model":"m-1","choices":[{"index":0,"delta":` + d + `,"finish_reason":null}],"usage":null}` + "\n\n"
		}
		return s + `data: {"choices":[],` + zeros + "}\n\n" + done
	}
	for _, tt := range []struct {
		name, answer string
		reported     bool
	}{
		{"a text", body(`{"role":"assistant","content":"hi"}`), false},
		{"parts", body(`{"content":[{"type":"text","text":"hi"}]}`), false},
		{"reasoning", body(`{"content":null,"reasoning_content":"hm"}`), false},
		{"the call of a tool", body(`{"content":"","tool_calls":[{"id":"c"}]}`), false},
		{"a refusal", body(`{"content":null,"refusal":"no"}`), false},
		{"nothing", body(`{"role":"assistant","content":"","tool_calls":[ ],"refusal":null}`), true},
		{"a streamed text", streamed(`{"content":"hi"}`), false},
		{"a streamed call", streamed(`{"tool_calls":[{"index":0,"function":{"name":"f"}}]}`), false},
		{"a text after chunks of its shape without one", streamed(`{"content":""}`, `{"content":""}`, `{"content":"hi"}`), false},
		{"empty texts", streamed(`{"content":""}`, `{"content":""}`), true},
		{"zeros beside every text", `data: {"model":"m-1","choices":[{"index":0,"delta":{"content":"a"}}],` + zeros + "}\n\n" + done, false},
		{"a zero in one counter", strings.Replace(body(`{"content":"hi"}`), `"prompt_tokens":0`, `"prompt_tokens":3`, 1), true},
	} {
		if m, _ := dialecttest.Read(t, chat.New, tt.answer); m.UsageReported != tt.reported {
			t.Errorf("%s: reported = %v, want %v", tt.name, m.UsageReported, tt.reported)
		}
	}
}

// frames are chunks without news after the first.
func frames() map[string][]byte {
	return map[string][]byte{
		"text":               []byte(text[len("data: ") : len(text)-2]),
		"word usage":         []byte(`{"id":"c1","model":"m-1","choices":[{"index":0,"delta":{"content":"usage"},"finish_reason":null}],"usage" : null}`),
		"two tool calls":     []byte(`{"id":"c1","model":"m-1","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]},"finish_reason":null}]}`),
		"another choice":     []byte(`{"id":"c1","model":"m-1","choices":[{"index":1,"delta":{"content":"b"},"finish_reason":null}]}`),
		"no finish reason":   []byte(`{"id":"c1","model":"m-1","choices":[{"index":0,"delta":{"content":"b"},"finish_reason":""}]}`),
		"same usage as ever": []byte(`{"id":"c1","model":"m-1","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}`),
	}
}

func TestNoAllocations(t *testing.T) {
	for name, data := range frames() {
		x := chat.New()
		dialecttest.Write(x, first, len(first))
		if n := testing.AllocsPerRun(100, func() { x.Frame(wire.Frame{Data: data}) }); n != 0 {
			t.Errorf("%s: %v allocations a frame, want 0", name, n)
		}
	}
}

func BenchmarkFrame(b *testing.B) {
	for name, data := range frames() {
		b.Run(name, func(b *testing.B) {
			x := chat.New()
			dialecttest.Write(x, first, len(first))
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				x.Frame(wire.Frame{Data: data})
			}
		})
	}
}
