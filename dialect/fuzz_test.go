package dialect_test

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect"
	"github.com/llmproxy/llmproxy/dialect/chat"
	"github.com/llmproxy/llmproxy/dialect/completions"
	"github.com/llmproxy/llmproxy/dialect/embeddings"
	"github.com/llmproxy/llmproxy/dialect/images"
	"github.com/llmproxy/llmproxy/dialect/responses"
	"github.com/llmproxy/llmproxy/wire"
)

var all = []func() llmproxy.ResponseExtractor{
	chat.New, completions.New, responses.New, embeddings.New, images.New,
}

// Whatever the frames are, no reader panics, and what it knows is consistent, bounded
// and its own: it must not change with the frame's bytes.
func FuzzFrames(f *testing.F) {
	for _, seed := range []string{
		`{"id":"c1","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}`,
		`{"type":"response.completed","response":{"id":"r","status":"completed","usage":{"input_tokens":1,"output_tokens":2},"tool_usage":{"web_search":{"num_requests":1}}}}`,
		`{"error":{"type":"t","code":5}}`, `[{"error":"x"}]`, `{"object":"error","code":"c"}`, `{"data":[],"usage":{"total_tokens":3}}`,
		`[DONE]`, `[`, `{"choices":[{"text":"a","finish_reason":"error"}]}`, `{"choices":[ {"index":-1},{"index":99999999999} ]}`,
	} {
		f.Add("", []byte(seed), "", []byte(`{"usage":{"prompt_tokens":1,"reasoning_tokens":9}}`))
		f.Add("error", []byte(seed), "response.failed", []byte(seed))
		f.Add("image_edit.completed", []byte(seed), "response.incomplete", []byte(seed))
	}
	f.Fuzz(func(t *testing.T, event string, data []byte, event2 string, data2 []byte) {
		for i, newReader := range all {
			x := newReader()
			for _, frame := range []struct {
				event string
				data  []byte
			}{{event, data}, {event2, data2}, {event, data}} {
				name, bytes := []byte(frame.event), bytes.Clone(frame.data)
				x.Frame(wire.Frame{Event: name, Data: bytes})
				before := x.Metadata()
				clear(name)
				clear(bytes)
				if after := x.Metadata(); !reflect.DeepEqual(before, after) {
					t.Errorf("reader %d keeps a frame: %+v became %+v", i, before, after)
				}
			}
			m := x.Metadata()
			if !m.Usage.Consistent() && !m.Inconsistent {
				t.Errorf("reader %d: %+v", i, m.Usage)
			}
			for _, s := range []string{m.ID, m.Model, m.ServiceTier, m.FinishReason, m.ErrorType, m.ErrorCode} {
				if len(s) > 256 {
					t.Errorf("reader %d keeps a string of %d bytes", i, len(s))
				}
			}
		}
	})
}

// What is known at the end of a stream does not depend on how TCP cut its bytes.
func FuzzCuts(f *testing.F) {
	for _, seed := range []string{
		"data: {\"id\":\"c1\",\"model\":\"m\",\"choices\":[{\"index\":0}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n",
		"event: response.created\r\ndata: {\"response\":{\"id\":\"r\"}}\r\n\r\nevent: response.completed\rdata: {\"response\":{\"usage\":{\"input_tokens\":3}}}\r\r",
		"event: error\ndata: {\"error\":{\"type\":\"t\"}}\n\n",
	} {
		f.Add([]byte(seed), uint(5))
	}
	f.Fuzz(func(t *testing.T, stream []byte, cut uint) {
		n := int(cut % uint(len(stream)+1))
		for i, newReader := range all {
			whole, parts := newReader(), newReader()
			write(whole, stream)
			write(parts, stream[:n], stream[n:])
			if got, want := parts.Metadata(), whole.Metadata(); !reflect.DeepEqual(got, want) || parts.Done() != whole.Done() {
				t.Errorf("reader %d, cut at %d: %+v, whole %+v", i, n, got, want)
			}
		}
	})
}

func write(x wire.Sink, parts ...[]byte) {
	sse := wire.NewSSE(x, 0)
	for _, p := range parts {
		_, _ = sse.Write(p) // never fails
	}
}

// Every counter in any combination gives consistent usage, and totals as reported where
// the counts contradict each other.
func FuzzNormalise(f *testing.F) {
	f.Add([]byte(`{"prompt_tokens":10,"completion_tokens":4,"total_tokens":14,"prompt_tokens_details":{"cached_tokens":100,"audio_tokens":3,"cached_tokens_details":{"audio_tokens":2}}}`))
	f.Add([]byte(`{"input_tokens":1,"output_tokens":4,"total_tokens":9,"citation_tokens":4,"reasoning_tokens":5,"output_tokens_details":{"image_tokens":7,"text_tokens":9}}`))
	f.Add([]byte(`{"prompt_tokens":1125899906842624,"completion_tokens":1125899906842624,"citation_tokens":1125899906842624,"num_cached_tokens":1125899906842624,"reasoning_tokens":1125899906842624}`))
	f.Fuzz(func(t *testing.T, usage []byte) {
		for _, convention := range []dialect.Convention{dialect.Text, dialect.Images} {
			u, ok, inconsistent := dialect.Normalise(usage, convention)
			if !u.Consistent() && !inconsistent {
				t.Errorf("%s: %+v", usage, u)
			}
			if !ok && (inconsistent || u != llmproxy.Usage{}) {
				t.Errorf("%s: no report, but %+v", usage, u)
			}
		}
	})
}
