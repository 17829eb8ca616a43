package messages_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect"
	"github.com/llmproxy/llmproxy/dialect/dialecttest"
	"github.com/llmproxy/llmproxy/dialect/messages"
	"github.com/llmproxy/llmproxy/wire"
)

const (
	block   = `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`
	ping    = `{"type":"ping"}`
	text    = `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"message_stop \"usage\":{\"output_tokens\":99}"}}`
	blocked = `{"type":"content_block_stop","index":0}`
	stopped = `{"type":"message_stop"}`
)

// started returns a message_start event with usage; the rest is as Anthropic sends it.
func started(usage string) string {
	return `{"type":"message_start","message":{"model":"claude-1-2026","id":"msg_1","type":"message","role":"assistant","content":[],"stop_reason":null,"stop_sequence":null,"usage":` + usage + `}}`
}

// ended returns a message_delta event with a stop reason and usage, both JSON.
func ended(reason, usage string) string {
	return `{"type":"message_delta","delta":{"stop_reason":` + reason + `,"stop_sequence":null},"usage":` + usage + `}`
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

// nameless returns stream without the names of its events.
func nameless(stream string) string { return strings.ReplaceAll(stream, "event: ", ": ") }

// answer is what is known at the end of most answers below.
func answer(outcome llmproxy.Outcome, reason string, u llmproxy.Usage, change ...func(m *llmproxy.ResponseMetadata)) llmproxy.ResponseMetadata {
	m := llmproxy.ResponseMetadata{
		ID: "msg_1", Model: "claude-1-2026", FinishReason: reason, Outcome: outcome,
		Usage: u, UsageReported: true,
	}
	for _, c := range change {
		c(&m)
	}
	return m
}

func unread(m *llmproxy.ResponseMetadata) { m.UsageReported = false }

func fault(kind, code string) func(m *llmproxy.ResponseMetadata) {
	return func(m *llmproxy.ResponseMetadata) { m.ErrorType, m.ErrorCode = kind, code }
}

// plain is the usage of input and output alone.
func plain(in, out int64) llmproxy.Usage {
	return llmproxy.Usage{PromptTokens: in, CompletionTokens: out}
}

const (
	seed   = `{"input_tokens":10,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":1}`
	final  = `{"output_tokens":15}`
	zeroes = `{"input_tokens":0,"output_tokens":0}`
)

func TestStream(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		stream string
		want   llmproxy.ResponseMetadata
		done   bool
	}{
		{"completed", stream(started(seed), block, ping, text, blocked, ended(`"end_turn"`, final), stopped), answer("completed", "end_turn", plain(10, 15)), true},
		{
			"served how and where",
			stream(started(`{"input_tokens":10,"output_tokens":1,"service_tier":"priority","speed":"fast","inference_geo":"us"}`), ended(`"end_turn"`, final), stopped),
			answer("completed", "end_turn", plain(10, 15), func(m *llmproxy.ResponseMetadata) {
				m.ServiceTier, m.Speed, m.Region = "priority", "fast", "us"
			}), true,
		},
		{
			"served how and where, not said",
			stream(started(`{"input_tokens":10,"output_tokens":1,"service_tier":null,"speed":null,"inference_geo":"not_available"}`), ended(`"end_turn"`, final), stopped),
			answer("completed", "end_turn", plain(10, 15)), true,
		},
		{"cut off by max_tokens", stream(started(seed), ended(`"max_tokens"`, final), stopped), answer("completed", "max_tokens", plain(10, 15)), true},
		{"refused", stream(started(seed), text, ended(`"refusal"`, final), stopped), answer("completed", "refusal", plain(10, 15)), true},
		{"paused", stream(started(seed), ended(`"pause_turn"`, final), stopped), answer("completed", "pause_turn", plain(10, 15)), true},
		{
			"several deltas",
			stream(started(seed), ended(`null`, `{"output_tokens":7}`), text, ended(`"tool_use"`, final), stopped),
			answer("completed", "tool_use", plain(10, 15)), true,
		},
		{"ping first", stream(ping, started(seed), ended(`"end_turn"`, final), stopped), answer("completed", "end_turn", plain(10, 15)), true},
		{"CRLF", strings.ReplaceAll(stream(started(seed), ended(`"end_turn"`, final), stopped), "\n", "\r\n"), answer("completed", "end_turn", plain(10, 15)), true},
		{
			"white space after the events",
			strings.ReplaceAll(stream(started(seed), ended(`"end_turn"`, final), stopped), "}\n", "}        \n"),
			answer("completed", "end_turn", plain(10, 15)), true,
		},

		// Streams that break off.
		{"cut", stream(started(seed), block, text), answer("", "", plain(10, 1)), false},
		{"cut between deltas", stream(started(seed), ended(`null`, `{"output_tokens":7}`)), answer("", "", plain(10, 7)), false},
		{"no message_stop", stream(started(seed), ended(`"end_turn"`, final)), answer("completed", "end_turn", plain(10, 15)), false},
		{
			"an error",
			stream(started(seed), text, `{"type":"error","error":{"type":"overloaded_error","message":"secret"},"request_id":"req_1"}`),
			answer("failed", "", plain(10, 1), fault("overloaded_error", "")), true,
		},
		{
			"an error after the usage",
			stream(started(seed), ended(`"end_turn"`, final), `{"type":"error","error":{"type":"api_error","message":"secret"}}`),
			answer("failed", "end_turn", plain(10, 15), fault("api_error", "")), true,
		},
		{
			"an error alone",
			stream(`{"type":"error","error":{"type":"api_error","message":"secret"}}`),
			llmproxy.ResponseMetadata{Outcome: llmproxy.OutcomeFailed, ErrorType: "api_error"},
			true,
		},
		{"an error after the end", stream(started(seed), ended(`"end_turn"`, final), stopped, `{"type":"error","error":{"type":"late"}}`), answer("completed", "end_turn", plain(10, 15)), true},
		{
			"what follows an error",
			stream(started(seed), `{"type":"error","error":{"type":"api_error"}}`, ended(`"end_turn"`, final), stopped),
			answer("failed", "", plain(10, 1), fault("api_error", "")), true,
		},
		{
			"an error without an object",
			"event: error\ndata: {\"type\":\"error\",\"code\":\"internal\",\"message\":\"secret\"}\n\n",
			llmproxy.ResponseMetadata{Outcome: llmproxy.OutcomeFailed, ErrorCode: "internal"},
			true,
		},
		{
			"an error without a name or a type",
			stream(started(seed)) + "data: {\"error\":{\"type\":\"server_error\",\"code\":500,\"message\":\"secret\"}}\n\n",
			answer("failed", "", plain(10, 1), fault("server_error", "500")), true,
		},
		{"an object without a type is no end", stream(started(seed)) + "data: {\"content\":[],\"stop_reason\":\"end_turn\"}\n\n", answer("", "", plain(10, 1)), false},
		{"nothing but a ping", stream(ping), llmproxy.ResponseMetadata{}, false},
		{"[DONE] alone", "data: [DONE]\n\n", llmproxy.ResponseMetadata{}, false},

		// Servers that copied the API.
		{"[DONE] after the end", stream(started(seed), ended(`"end_turn"`, final), stopped) + "data: [DONE]\n\n", answer("completed", "end_turn", plain(10, 15)), true},
		{
			"nothing at the start, all at the end: sgl-project/sglang#20678",
			stream(started(zeroes), text, ended(`"end_turn"`, `{"input_tokens":123,"cache_read_input_tokens":77,"output_tokens":15}`), stopped),
			answer("completed", "end_turn", llmproxy.Usage{PromptTokens: 200, CompletionTokens: 15, CacheRead: 77}), true,
		},
		{
			"all at the start, zeros at the end",
			stream(started(`{"input_tokens":123,"cache_read_input_tokens":77,"output_tokens":0}`), text, ended(`"end_turn"`, `{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":15}`), stopped),
			answer("completed", "end_turn", llmproxy.Usage{PromptTokens: 200, CompletionTokens: 15, CacheRead: 77}), true,
		},
		{
			"usage on message_stop",
			stream(started(zeroes), ended(`"end_turn"`, `null`), `{"type":"message_stop","usage":{"input_tokens":123,"output_tokens":15}}`),
			answer("completed", "end_turn", plain(123, 15)), true,
		},
		{
			"usage inside the delta",
			stream(started(zeroes), `{"type":"message_delta","delta":{"stop_reason":"end_turn","usage":{"input_tokens":123,"output_tokens":15}}}`, stopped),
			answer("completed", "end_turn", plain(123, 15)), true,
		},
		{
			"an empty stop reason at the start",
			stream(strings.Replace(started(seed), `"stop_reason":null`, `"stop_reason":""`, 1), text),
			answer("", "", plain(10, 1)), false,
		},
		{
			"a message that is not nested",
			stream(`{"type":"message_start","id":"msg_1","model":"claude-1-2026","usage":`+seed+`}`, ended(`"end_turn"`, final), stopped),
			answer("completed", "end_turn", plain(10, 15)), true,
		},
		{
			"no usage at all",
			stream(started(`null`), text, ended(`"end_turn"`, `{}`), stopped),
			answer("completed", "end_turn", llmproxy.Usage{}, unread), true,
		},
		{
			"explicit zeros", stream(started(zeroes), ended(`"end_turn"`, zeroes), stopped),
			answer("completed", "end_turn", llmproxy.Usage{}), true,
		},
		{
			"event names that say message",
			strings.ReplaceAll(stream(started(seed), text, ended(`"end_turn"`, final), stopped), "event: ", "event: message\n: "),
			answer("completed", "end_turn", plain(10, 15)), true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, done := dialecttest.Read(t, messages.New, tt.stream)
			if diff := cmp.Diff(tt.want, got); diff != "" || done != tt.done {
				t.Errorf("done = %v, want %v; want - got +:\n%s", done, tt.done, diff)
			}
			if strings.Contains(tt.stream, "event: error\ndata: {\"type\":\"error\",\"code\"") {
				return // a flat error is known by its name alone
			}
			got, done = dialecttest.Read(t, messages.New, nameless(tt.stream))
			if diff := cmp.Diff(tt.want, got); diff != "" || done != tt.done {
				t.Errorf("without names: done = %v, want %v; want - got +:\n%s", done, tt.done, diff)
			}
		})
	}
}

func TestBody(t *testing.T) {
	t.Parallel()
	object := func(reason, usage string) string {
		return `{"id":"msg_1","type":"message","role":"assistant","model":"claude-1-2026","content":[{"type":"text","text":"}"}],"stop_reason":` + reason + `,"stop_sequence":null,"usage":` + usage + `}`
	}
	failed := func(kind, code string) llmproxy.ResponseMetadata {
		return llmproxy.ResponseMetadata{Outcome: llmproxy.OutcomeFailed, ErrorType: kind, ErrorCode: code}
	}
	completed := llmproxy.ResponseMetadata{Outcome: llmproxy.OutcomeCompleted}
	for _, tt := range []struct {
		name, body string
		want       llmproxy.ResponseMetadata
		done       bool
	}{
		{"completed", object(`"end_turn"`, `{"input_tokens":10,"output_tokens":15}`), answer("completed", "end_turn", plain(10, 15)), true},
		{"white space around", " \r\n" + object(`"end_turn"`, `{"input_tokens":10,"output_tokens":15}`) + "\n", answer("completed", "end_turn", plain(10, 15)), true},
		{"max_tokens", object(`"max_tokens"`, `{"input_tokens":10,"output_tokens":15}`), answer("completed", "max_tokens", plain(10, 15)), true},
		{"no stop reason", object(`null`, `{"input_tokens":10,"output_tokens":15}`), answer("completed", "", plain(10, 15)), true},
		{
			"served how and where",
			object(`"end_turn"`, `{"input_tokens":10,"output_tokens":15,"service_tier":"batch","speed":"standard","inference_geo":"global"}`),
			answer("completed", "end_turn", plain(10, 15), func(m *llmproxy.ResponseMetadata) {
				m.ServiceTier, m.Speed, m.Region = "batch", "standard", "global"
			}), true,
		},
		{"no usage", object(`"end_turn"`, `null`), answer("completed", "end_turn", llmproxy.Usage{}, unread), true},
		{"usage without tokens", object(`"end_turn"`, `{"service_tier":"standard","input_tokens":null}`), answer("completed", "end_turn", llmproxy.Usage{}, unread), true},
		{
			"no type", `{"id":"msg_1","model":"claude-1-2026","content":[],"usage":{"input_tokens":10,"output_tokens":15}}`,
			answer("completed", "", plain(10, 15)), true,
		},
		{"cut after the usage", strings.TrimSuffix(object(`"end_turn"`, `{"input_tokens":10,"output_tokens":15}`), "}") + ",", answer("", "end_turn", plain(10, 15)), false},
		{"cut inside the usage", strings.TrimSuffix(object(`"end_turn"`, `{"input_tokens":10,"output_tokens":15}`), "5}}"), answer("", "end_turn", llmproxy.Usage{}, unread), false},

		{"a count of tokens is no usage", `{"input_tokens":671}`, completed, true},
		{"a count of tokens with edits is no usage", `{"input_tokens":671,"context_management":{"original_input_tokens":900}}`, completed, true},

		{
			"an error", `{"type":"error","error":{"type":"invalid_request_error","message":"secret"},"request_id":"req_1"}`,
			failed("invalid_request_error", ""), true,
		},
		{"an error without a type", `{"error":{"type":"rate_limit_error","message":"secret"}}`, failed("rate_limit_error", ""), true},
		{"an error with a type and a status", `{"error":{"type":"rate_limit_error","status":"RESOURCE_EXHAUSTED","message":"secret"}}`, failed("rate_limit_error", ""), true},
		{"an error that is cut", `{"error":{"type":"rate_limit_error","message":"secret"},`, llmproxy.ResponseMetadata{}, false},
		{
			"an error of Google's", `{"error":{"code":429,"message":"secret","status":"RESOURCE_EXHAUSTED"}}`,
			failed("RESOURCE_EXHAUSTED", "429"), true,
		},
		{
			"an error of Google's in an array", `[{"error":{"code":404,"message":"secret","status":"NOT_FOUND"}}]`,
			failed("NOT_FOUND", "404"), true,
		},
		{"an error of AWS", `{"message":"secret"}`, llmproxy.ResponseMetadata{}, false},
		{"an empty object", `{}`, llmproxy.ResponseMetadata{}, false},
		{"an empty array", `[]`, llmproxy.ResponseMetadata{}, false},
		{"no JSON", `<html>`, llmproxy.ResponseMetadata{}, false},
		{"nothing", ``, llmproxy.ResponseMetadata{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, done := dialecttest.Read(t, messages.New, tt.body)
			if diff := cmp.Diff(tt.want, got); diff != "" || done != tt.done {
				t.Errorf("done = %v, want %v; want - got +:\n%s", done, tt.done, diff)
			}
		})
	}
}

// Done is true from the terminal event on, and not before.
func TestDone(t *testing.T) {
	t.Parallel()
	x := messages.New()
	for _, event := range []string{started(seed), block, text, ping, blocked, ended(`"end_turn"`, final)} {
		x.Frame(wire.Frame{Data: []byte(event)})
		if x.Done() {
			t.Fatalf("done after %s", event)
		}
	}
	x.Frame(wire.Frame{Event: []byte("message_stop"), Data: []byte(stopped)})
	if !x.Done() {
		t.Error("not done after message_stop")
	}
}

// A reseller may say what it charged, in the last report.
func TestCharge(t *testing.T) {
	t.Parallel()
	newReader := dialect.Charging(messages.New, dialect.Credits)
	const report = `{"input_tokens":10,"output_tokens":15,"cost":0.00125,"is_byok":false}`
	for name, answer := range map[string]string{
		"stream": stream(started(seed), ended(`"end_turn"`, report), stopped),
		"body":   `{"id":"msg_1","type":"message","content":[],"usage":` + report + `}`,
	} {
		m, _ := dialecttest.Read(t, newReader, answer)
		if want := llmproxy.USD(1_250_000_000); !m.CostReported || m.ProviderCost != want || m.Usage != plain(10, 15) {
			t.Errorf("%s: %s, %v, want %s, for %+v", name, m.ProviderCost, m.CostReported, want, m.Usage)
		}
	}
	if m, _ := dialecttest.Read(t, messages.New, stream(started(seed), ended(`"end_turn"`, report), stopped)); m.CostReported {
		t.Error("a charge is read at a provider that states none")
	}
}

// Events of content are told by their name, and cost nothing. Allocations can only be
// counted while no other test runs.
func TestEventsWithoutNewsAllocateNothing(t *testing.T) {
	for _, event := range []string{
		block, text, ping, blocked,
		`{"delta":{"type":"text_delta","text":"` + strings.Repeat("a", 1<<12) + `"},"index":0,"type":"content_block_delta"}`,
		`{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"usage\":"}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EvMCCm4"}}`,
	} {
		name := event[strings.LastIndex(event, `"type":"`)+len(`"type":"`):]
		if strings.HasPrefix(event, `{"type":"`) {
			name = event[len(`{"type":"`):]
		}
		name, _, _ = strings.Cut(name, `"`)
		for _, f := range []wire.Frame{
			{Event: []byte(name), Data: []byte(event)}, {Data: []byte(event)},
		} {
			x := messages.New()
			x.Frame(wire.Frame{Data: []byte(started(seed))})
			before := x.Metadata()
			if n := testing.AllocsPerRun(100, func() { x.Frame(f) }); n != 0 {
				t.Errorf("event %q, %.60s: %v allocations", f.Event, f.Data, n)
			}
			if diff := cmp.Diff(before, x.Metadata()); diff != "" {
				t.Errorf("event %q, %.60s changed what is known:\n%s", f.Event, f.Data, diff)
			}
		}
	}
}

func BenchmarkFrame(b *testing.B) {
	for name, f := range map[string]wire.Frame{
		"delta":          {Event: []byte("content_block_delta"), Data: []byte(text)},
		"nameless delta": {Data: []byte(text)},
		"message_delta":  {Event: []byte("message_delta"), Data: []byte(ended(`"end_turn"`, `{"input_tokens":150,"cache_creation_input_tokens":5000,"cache_read_input_tokens":3000,"output_tokens":90}`))},
	} {
		b.Run(name, func(b *testing.B) {
			x := messages.New()
			x.Frame(f)
			b.ReportAllocs()
			for b.Loop() {
				x.Frame(f)
			}
		})
	}
}
