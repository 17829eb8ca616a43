package responses_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/dialecttest"
	"github.com/llmproxy/llmproxy/dialect/responses"
	"github.com/llmproxy/llmproxy/wire"
)

const (
	created  = `{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","status":"in_progress","model":"m-1","service_tier":"auto","output":[],"usage":null}}`
	delta    = `{"type":"response.output_text.delta","sequence_number":4,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"response.completed \"usage\"","logprobs":[]}`
	searched = `{"type":"response.output_item.done","sequence_number":5,"output_index":0,"item":{"id":"ws_1","type":"web_search_call","status":"completed"}}`
	counts   = `"usage":{"input_tokens":120,"input_tokens_details":{"cached_tokens":64,"cache_write_tokens":32},"output_tokens":40,"output_tokens_details":{"reasoning_tokens":16},"total_tokens":160}`
)

// terminal returns a terminal event with more members of the response.
func terminal(kind, members string) string {
	return `{"type":"response.` + kind + `","sequence_number":13,"response":{"id":"resp_1","object":"response","model":"m-1-2026","service_tier":"default",` + members + `}}`
}

// stream returns events as a stream, each with its name.
func stream(events ...string) string {
	var b strings.Builder
	for _, e := range events {
		_, name, _ := strings.Cut(e, `"type":"`)
		name, _, _ = strings.Cut(name, `"`)
		b.WriteString("event: " + name + "\ndata: " + e + "\n\n")
	}
	return b.String()
}

// answer is what is known at the end of most answers below.
func answer(outcome llmproxy.Outcome, reason string, change ...func(m *llmproxy.ResponseMetadata)) llmproxy.ResponseMetadata {
	m := llmproxy.ResponseMetadata{
		ID: "resp_1", Model: "m-1-2026", ServiceTier: "default", FinishReason: reason, Outcome: outcome,
		Usage: llmproxy.Usage{
			PromptTokens: 120, CompletionTokens: 40, CacheRead: 64, CacheWrite: 32, Reasoning: 16,
		},
		UsageReported: true,
	}
	for _, c := range change {
		c(&m)
	}
	return m
}

func unread(m *llmproxy.ResponseMetadata) {
	m.Usage, m.UsageReported = llmproxy.Usage{}, false
}

func begun(m *llmproxy.ResponseMetadata) {
	unread(m)
	m.Model, m.ServiceTier = "m-1", ""
}

func searches(n int64) func(m *llmproxy.ResponseMetadata) {
	return func(m *llmproxy.ResponseMetadata) { m.Usage.WebSearches = n }
}

func fault(kind, code string) func(m *llmproxy.ResponseMetadata) {
	return func(m *llmproxy.ResponseMetadata) { m.ErrorType, m.ErrorCode = kind, code }
}

func TestStream(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		stream string
		want   llmproxy.ResponseMetadata
		done   bool
	}{
		{"completed", stream(created, delta, terminal("completed", `"status":"completed",`+counts)), answer("completed", "stop"), true},
		{"[DONE] after the end", stream(created, terminal("completed", counts)) + "data: [DONE]\n\n", answer("completed", "stop"), true},
		{"no event names", strings.ReplaceAll(stream(created, delta, terminal("completed", counts)), "event: ", ": "), answer("completed", "stop"), true},
		{
			"incomplete",
			stream(created, terminal("incomplete", `"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},`+counts)),
			answer("incomplete", "max_output_tokens"), true,
		},
		{"incomplete without a reason", stream(terminal("incomplete", `"incomplete_details":null,`+counts)), answer("incomplete", "incomplete"), true},
		{
			"failed, with usage",
			stream(created, terminal("failed", `"status":"failed","error":{"code":"server_error","message":"secret"},`+counts)),
			answer("failed", "error", fault("", "server_error")), true,
		},
		{
			"failed, without usage",
			stream(created, terminal("failed", `"status":"failed","error":{"code":"rate_limit_exceeded","message":"secret"},"usage":null`)),
			answer("failed", "error", unread, fault("", "rate_limit_exceeded")), true,
		},
		{"cancelled", stream(created, terminal("cancelled", `"status":"cancelled","usage":null`)), answer("incomplete", "cancelled", unread), true},
		{"done in place of completed", stream(created, terminal("done", `"status":"completed",`+counts)), answer("completed", "stop"), true},
		{
			"done after incomplete",
			stream(created, terminal("incomplete", `"incomplete_details":{"reason":"content_filter"},`+counts), `{"type":"response.done","response":{"status":"completed","usage":{"input_tokens":1,"output_tokens":1}}}`),
			answer("incomplete", "content_filter"), true,
		},
		{"cut", stream(created, delta), answer("", "", begun), false},
		{"[DONE] alone", "data: [DONE]\n\n", llmproxy.ResponseMetadata{}, false},
		{
			"an object without a type is no end",
			"data: {}\n\n" + stream(created) + "data: {\"object\":\"response\",\"status\":\"completed\"}\n\n",
			answer("", "", begun), false,
		},
		{"queued, then cut", stream(`{"type":"response.queued","response":{"id":"resp_1","model":"m-1","status":"queued"}}`), answer("", "", begun), false},
		{
			"a flat error",
			stream(created, `{"type":"error","sequence_number":3,"code":"rate_limit_exceeded","message":"secret","param":null}`),
			answer("failed", "", begun, fault("", "rate_limit_exceeded")), true,
		},
		{
			"a nested error",
			stream(created, `{"type":"error","status":400,"error":{"type":"invalid_request_error","code":"previous_response_not_found","message":"secret"}}`),
			answer("failed", "", begun, fault("invalid_request_error", "previous_response_not_found")), true,
		},
		{
			"an error after the end", stream(terminal("completed", counts), `{"type":"error","code":"late"}`),
			answer("completed", "stop"), true,
		},
		{
			"searches that are billable",
			stream(created, searched, terminal("completed", `"output":[{"type":"web_search_call"},{"type":"web_search_call"}],"tool_usage":{"image_gen":{"input_tokens":9},"web_search":{"num_requests":1}},`+counts)),
			answer("completed", "stop", searches(1)), true,
		},
		{
			"no search is billable",
			stream(created, searched, terminal("completed", `"output":[{"type":"web_search_call"}],"tool_usage":{"web_search":{"num_requests":0}},`+counts)),
			answer("completed", "stop"), true,
		},
		{
			"calls of the search tool",
			stream(created, searched, terminal("completed", `"output":[{"type":"web_search_call"},{"type":"message"},{"type":"web_search_call"}],`+counts)),
			answer("completed", "stop", searches(2)), true,
		},
		{
			"calls seen on the way, the end leaves the output out",
			stream(created, searched, strings.Replace(searched, "web_search_call", "message", 1), searched, terminal("completed", counts)),
			answer("completed", "stop", searches(2)), true,
		},
		{
			"a terminal event that is the response itself",
			"event: response.completed\ndata: {\"id\":\"resp_1\",\"model\":\"m-1-2026\",\"service_tier\":\"default\",\"status\":\"completed\"," + counts + "}\n\n",
			answer("completed", "stop"), true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, done := dialecttest.Read(t, responses.New, tt.stream)
			if diff := cmp.Diff(tt.want, got); diff != "" || done != tt.done {
				t.Errorf("done = %v, want %v; want - got +:\n%s", done, tt.done, diff)
			}
		})
	}
}

// A message on a WebSocket is a frame without a name.
func TestMessages(t *testing.T) {
	t.Parallel()
	x := responses.New()
	for _, message := range []string{
		`{"type":"codex.rate_limits","rate_limits":{}}`, created, delta,
		`{"sequence_number":2,"type":"keepalive"}`,
		terminal("completed", `"status":"completed",`+counts),
	} {
		if x.Done() {
			t.Fatalf("done before %s", message)
		}
		x.Frame(wire.Frame{Data: []byte(message)})
	}
	if diff := cmp.Diff(answer("completed", "stop"), x.Metadata()); diff != "" || !x.Done() {
		t.Errorf("done = %v; want - got +:\n%s", x.Done(), diff)
	}
}

func TestBody(t *testing.T) {
	t.Parallel()
	object := func(members string) string {
		return `{"id":"resp_1","object":"response","model":"m-1-2026","service_tier":"default",` + members + `}`
	}
	for _, tt := range []struct {
		name, body string
		want       llmproxy.ResponseMetadata
		done       bool
	}{
		{"completed", object(`"status":"completed","error":null,"incomplete_details":null,` + counts), answer("completed", "stop"), true},
		{"incomplete", object(`"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},` + counts), answer("incomplete", "max_output_tokens"), true},
		{"failed", object(`"status":"failed","error":{"code":"server_error","message":"secret"},"usage":null`), answer("failed", "error", unread, fault("", "server_error")), true},
		{"cancelled", object(`"status":"cancelled","usage":null`), answer("incomplete", "cancelled", unread), true},
		{"queued", object(`"status":"queued","usage":null`), answer("pending", "", unread, func(m *llmproxy.ResponseMetadata) { m.ServiceTier = "" }), true},
		{"in progress", object(`"status":"in_progress","usage":null`), answer("pending", "", unread, func(m *llmproxy.ResponseMetadata) { m.ServiceTier = "" }), true},
		{
			"a compaction",
			`{"id":"resp_1","object":"response.compaction","created_at":1,"output":[{"type":"compaction"}],` + counts + `}`,
			answer("completed", "", func(m *llmproxy.ResponseMetadata) { m.Model, m.ServiceTier = "", "" }), true,
		},
		{"an array", ` [{"type":"message"}] `, llmproxy.ResponseMetadata{Outcome: llmproxy.OutcomeCompleted}, true},
		{"a list", `{"object":"list","data":[{"type":"message"}]}`, llmproxy.ResponseMetadata{Outcome: llmproxy.OutcomeCompleted}, true},
		{"a count of input tokens is no usage", `{"object":"response.input_tokens","input_tokens":9}`, llmproxy.ResponseMetadata{Outcome: llmproxy.OutcomeCompleted}, true},
		{
			"an error", `{"error":{"message":"secret","type":"invalid_request_error","param":"model","code":"model_not_found"}}`,
			llmproxy.ResponseMetadata{Outcome: llmproxy.OutcomeFailed, ErrorType: "invalid_request_error", ErrorCode: "model_not_found"},
			true,
		},
		{"cut", object(`"status":"completed",` + counts + `,`)[:len(object(`"status":"completed",`+counts+`,`))-1], answer("", "stop"), false},
		{"an empty object", `{}`, llmproxy.ResponseMetadata{}, false},
		{"no JSON", `<html>`, llmproxy.ResponseMetadata{}, false},
		{"nothing", ``, llmproxy.ResponseMetadata{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, done := dialecttest.Read(t, responses.New, tt.body)
			if diff := cmp.Diff(tt.want, got); diff != "" || done != tt.done {
				t.Errorf("done = %v, want %v; want - got +:\n%s", done, tt.done, diff)
			}
		})
	}
}

// Zeros throughout are a report where there is no output.
func TestZeros(t *testing.T) {
	t.Parallel()
	const (
		zeros = `"usage":{"input_tokens":0,"output_tokens":0,"total_tokens":0}`
		said  = `"output":[{"type":"message","content":[{"type":"output_text","text":"hi"}]}],`
	)
	for _, tt := range []struct {
		name, answer string
		reported     bool
	}{
		{"a text", `{"object":"response","status":"completed",` + said + zeros + `}`, false},
		{"the call of a tool", `{"object":"response","status":"completed","output":[{"type":"function_call","name":"f"}],` + zeros + `}`, false},
		{"an empty message", `{"object":"response","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":""}]}],` + zeros + `}`, true},
		{"no output", `{"object":"response","status":"completed","output":[],` + zeros + `}`, true},
		{"a streamed text", stream(created, delta, terminal("completed", zeros)), false},
		{"a streamed call", stream(created, `{"type":"response.function_call_arguments.delta","delta":"{"}`, terminal("completed", zeros)), false},
		{"an item", stream(created, searched, terminal("completed", zeros)), false},
		{"output in the end alone", stream(created, terminal("completed", said+zeros)), false},
		{"empty deltas", stream(created, `{"type":"response.output_text.delta","delta":""}`, terminal("completed", zeros)), true},
		{"no deltas", stream(created, terminal("completed", zeros)), true},
		{"a zero in one counter", stream(created, delta, terminal("completed", strings.Replace(zeros, `"input_tokens":0`, `"input_tokens":3`, 1))), true},
	} {
		if m, _ := dialecttest.Read(t, responses.New, tt.answer); m.UsageReported != tt.reported {
			t.Errorf("%s: reported = %v, want %v", tt.name, m.UsageReported, tt.reported)
		}
	}
}

// frames are events without news.
func frames() map[string]wire.Frame {
	return map[string]wire.Frame{
		"delta":               {Event: []byte("response.output_text.delta"), Data: []byte(delta)},
		"delta, no name":      {Data: []byte(delta)},
		"type is not first":   {Data: []byte(`{"sequence_number":4,"type":"response.output_text.delta","delta":"x"}`)},
		"no JSON":             {Event: []byte("response.output_text.delta"), Data: []byte("{{{")},
		"item":                {Event: []byte("response.output_item.done"), Data: []byte(searched)},
		"created, once more":  {Event: []byte("response.created"), Data: []byte(created)},
		"partial image, 1 MB": {Event: []byte("response.image_generation_call.partial_image"), Data: []byte(`{"partial_image_b64":"` + strings.Repeat("A", 1<<20) + `"}`)},
	}
}

func TestNoAllocations(t *testing.T) {
	for name, f := range frames() {
		x := responses.New()
		dialecttest.Write(x, stream(created), 1<<20)
		if n := testing.AllocsPerRun(100, func() { x.Frame(f) }); n != 0 {
			t.Errorf("%s: %v allocations a frame, want 0", name, n)
		}
	}
}

func BenchmarkFrame(b *testing.B) {
	for name, f := range frames() {
		b.Run(name, func(b *testing.B) {
			x := responses.New()
			dialecttest.Write(x, stream(created), 1<<20)
			b.SetBytes(int64(len(f.Data)))
			b.ReportAllocs()
			for b.Loop() {
				x.Frame(f)
			}
		})
	}
}

func BenchmarkTerminal(b *testing.B) {
	f := wire.Frame{
		Event: []byte("response.completed"),
		Data:  []byte(terminal("completed", `"output":[{"type":"message","content":[{"type":"output_text","text":"`+strings.Repeat("word ", 1<<17)+`"}]}],`+counts)),
	}
	b.SetBytes(int64(len(f.Data)))
	b.ReportAllocs()
	for b.Loop() {
		responses.New().Frame(f)
	}
}
