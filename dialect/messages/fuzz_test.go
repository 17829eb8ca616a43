package messages_test

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/messages"
	"github.com/llmproxy/llmproxy/wire"
)

// Whatever the frames are, the reader does not panic, and what it knows is consistent,
// bounded and its own: it must not change with the frame's bytes.
func FuzzFrames(f *testing.F) {
	for _, seed := range []string{
		started(`{"input_tokens":1,"cache_creation_input_tokens":5,"cache_creation":{"ephemeral_5m_input_tokens":2,"ephemeral_1h_input_tokens":9},"output_tokens":1,"service_tier":"standard","speed":"fast","inference_geo":"us"}`),
		ended(`"end_turn"`, `{"input_tokens":0,"output_tokens":3,"output_tokens_details":{"thinking_tokens":9},"iterations":[{"type":"compaction","input_tokens":1125899906842624},{"type":"message","input_tokens":4,"output_tokens":1125899906842624}]}`),
		ended(`"refusal"`, `{"output_tokens":3,"iterations":[{"type":"fallback_message","model":"m"},{"type":"advisor_message"},{"type":"x"}]}`),
		ended(`"refusal"`, `{"input_tokens":0,"output_tokens":3,"iterations":[{"type":"fallback_message","model":"m","cache_creation":{"ephemeral_5m_input_tokens":9}},{"type":"advisor_message","model":"m","input_tokens":1,"output_tokens":2,"output_tokens_details":{"thinking_tokens":3}}]}`),
		`{"type":"error","error":{"type":"t","code":5}}`, `[{"error":{"status":"S"}}]`, `{"error":"x"}`, `{"input_tokens":3}`, `[DONE]`, `[`, stopped,
	} {
		f.Add("", []byte(seed), "", []byte(`{"type":"message","usage":{"input_tokens":1,"output_tokens":9}}`))
		f.Add("error", []byte(seed), "message_delta", []byte(seed))
		f.Add("message_start", []byte(seed), "message_stop", []byte(seed))
	}
	f.Fuzz(func(t *testing.T, event string, data []byte, event2 string, data2 []byte) {
		x := messages.New()
		for _, frame := range []struct {
			event string
			data  []byte
		}{{event, data}, {event2, data2}, {event, data}} {
			name, bytes := []byte(frame.event), bytes.Clone(frame.data)
			over := x.Done()
			x.Frame(wire.Frame{Event: name, Data: bytes})
			if over && !x.Done() {
				t.Error("done, and then not")
			}
			before := x.Metadata()
			clear(name)
			clear(bytes)
			if after := x.Metadata(); !reflect.DeepEqual(before, after) {
				t.Errorf("a frame is kept: %+v became %+v", before, after)
			}
		}
		m := x.Metadata()
		if !m.Usage.Consistent() && !m.Inconsistent {
			t.Errorf("%+v", m.Usage)
		}
		for _, i := range m.Items {
			if !i.Usage.Consistent() && !m.Inconsistent || len(i.Model) > 256 {
				t.Errorf("%+v", i)
			}
		}
		if len(m.Items) > 100 {
			t.Errorf("%d items", len(m.Items))
		}
		u := m.Usage
		for _, n := range []int64{u.PromptTokens, u.CompletionTokens, u.TotalTokens(), u.Input(), u.CacheRead, u.CacheWrite, u.CacheWrite1h, u.CacheWrite5m, u.Reasoning, u.WebSearches, u.WebFetches} {
			if n < 0 {
				t.Errorf("a count is negative: %+v", u)
			}
		}
		for _, s := range []string{m.ID, m.Model, m.ServiceTier, m.FinishReason, m.Speed, m.Region, m.ErrorType, m.ErrorCode} {
			if len(s) > 256 {
				t.Errorf("a string of %d bytes is kept", len(s))
			}
		}
	})
}

// What is known at the end of a stream does not depend on how TCP cut its bytes.
func FuzzCuts(f *testing.F) {
	f.Add([]byte(stream(started(seed), text, ended(`"end_turn"`, final), stopped)), uint(5))
	f.Add([]byte(nameless(stream(started(seed), ended(`"end_turn"`, final)))), uint(99))
	f.Add([]byte("event: error\r\ndata: {\"error\":{\"type\":\"t\"}}\r\n\r\n"), uint(7))
	f.Fuzz(func(t *testing.T, stream []byte, cut uint) {
		n := int(cut % uint(len(stream)+1))
		whole, parts := messages.New(), messages.New()
		sse := wire.NewSSE(whole, 0)
		_, _ = sse.Write(stream) // never fails
		sse = wire.NewSSE(parts, 0)
		_, _ = sse.Write(stream[:n])
		_, _ = sse.Write(stream[n:])
		if got, want := parts.Metadata(), whole.Metadata(); !reflect.DeepEqual(got, want) || parts.Done() != whole.Done() {
			t.Errorf("cut at %d: %+v, whole %+v", n, got, want)
		}
	})
}

// Whatever a request holds, reading it changes nothing but lifetimes.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"cache_control":{"ttl":"1h"}}`))
	f.Add([]byte(`"cache_control":{"cache_control":{"cache_control":`))
	f.Add([]byte(`"cache_control"`))
	f.Fuzz(func(t *testing.T, text []byte) {
		body, err := llmproxy.ParseBody(text)
		if err != nil {
			body, _ = llmproxy.ParseBody([]byte(`{}`))
		}
		e := messages.New()
		e.(llmproxy.RequestExtractor).Request(&llmproxy.Exchange{Body: body, Edits: []wire.Edit{{New: text}}})
		e.Frame(wire.Frame{Data: []byte(started(`{"input_tokens":1,"cache_creation_input_tokens":9,"output_tokens":1}`))})
		u := e.Metadata().Usage
		if u.PromptTokens != 10 || u.CacheWrite+u.CacheWrite1h != 9 {
			t.Errorf("got %+v", u)
		}
	})
}
