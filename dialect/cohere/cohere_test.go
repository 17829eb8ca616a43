package cohere_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/cohere"
	"github.com/llmproxy/llmproxy/dialect/dialecttest"
	"github.com/llmproxy/llmproxy/wire"
)

func TestBodies(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, answer string
		want         llmproxy.ResponseMetadata
		done         bool
	}{
		{
			"chat", `{"id":"c1","finish_reason":"COMPLETE","message":{"role":"assistant","content":[{"type":"text","text":"Hi"}]},"usage":{"billed_units":{"input_tokens":5,"output_tokens":2},"tokens":{"input_tokens":71,"output_tokens":4},"cached_tokens":64}}`,
			llmproxy.ResponseMetadata{ID: "c1", FinishReason: "COMPLETE", Outcome: llmproxy.OutcomeCompleted, Usage: llmproxy.Usage{PromptTokens: 5, CompletionTokens: 2}, UsageReported: true},
			true,
		},
		{
			"chat with a tool, and counts that are written as fractions", `{"finish_reason":"TOOL_CALL","message":{"tool_calls":[]},"usage":{"billed_units":{"output_tokens":2.0,"input_tokens":5.0}}}`,
			llmproxy.ResponseMetadata{FinishReason: "TOOL_CALL", Outcome: llmproxy.OutcomeCompleted, Usage: llmproxy.Usage{PromptTokens: 5, CompletionTokens: 2}, UsageReported: true},
			true,
		},
		{
			"at the limit", `{"finish_reason":"MAX_TOKENS","message":{},"usage":{"billed_units":{"input_tokens":5,"output_tokens":2}}}`,
			llmproxy.ResponseMetadata{FinishReason: "MAX_TOKENS", Outcome: llmproxy.OutcomeCompleted, Usage: llmproxy.Usage{PromptTokens: 5, CompletionTokens: 2}, UsageReported: true},
			true,
		},
		{
			"failed, and billed", `{"finish_reason":"ERROR","message":{},"usage":{"billed_units":{"input_tokens":5,"output_tokens":2}}}`,
			llmproxy.ResponseMetadata{FinishReason: "ERROR", Outcome: llmproxy.OutcomeFailed, Usage: llmproxy.Usage{PromptTokens: 5, CompletionTokens: 2}, UsageReported: true},
			true,
		},
		{
			"too slow", `{"finish_reason":"TIMEOUT","message":{},"usage":null}`,
			llmproxy.ResponseMetadata{FinishReason: "TIMEOUT", Outcome: llmproxy.OutcomeFailed},
			true,
		},
		{
			"no billed units: those processed", `{"finish_reason":"COMPLETE","usage":{"tokens":{"input_tokens":71,"output_tokens":4}}}`,
			llmproxy.ResponseMetadata{FinishReason: "COMPLETE", Outcome: llmproxy.OutcomeCompleted, Usage: llmproxy.Usage{PromptTokens: 71, CompletionTokens: 4}, UsageReported: true},
			true,
		},
		{
			"nothing was billed", `{"finish_reason":"COMPLETE","usage":{"billed_units":{"input_tokens":0,"output_tokens":0},"tokens":{"input_tokens":71,"output_tokens":4}}}`,
			llmproxy.ResponseMetadata{FinishReason: "COMPLETE", Outcome: llmproxy.OutcomeCompleted, UsageReported: true},
			true,
		},
		{
			"zeros beside a text are no report", `{"finish_reason":"COMPLETE","message":{"role":"assistant","content":[{"type":"text","text":"hi"}]},"usage":{"billed_units":{"input_tokens":0,"output_tokens":0},"tokens":{"input_tokens":0,"output_tokens":0}}}`,
			llmproxy.ResponseMetadata{FinishReason: "COMPLETE", Outcome: llmproxy.OutcomeCompleted},
			true,
		},
		{
			"nor beside a vector", `{"embeddings":{"float":[[0.1]]},"meta":{"billed_units":{"input_tokens":0}}}`,
			llmproxy.ResponseMetadata{Outcome: llmproxy.OutcomeCompleted},
			true,
		},
		{
			"nothing billed of what was processed", `{"finish_reason":"COMPLETE","message":{"content":[{"type":"text","text":"hi"}]},"usage":{"billed_units":{"input_tokens":0,"output_tokens":0},"tokens":{"input_tokens":9,"output_tokens":3}}}`,
			llmproxy.ResponseMetadata{FinishReason: "COMPLETE", Outcome: llmproxy.OutcomeCompleted, UsageReported: true},
			true,
		},
		{
			"zeros without output are a report", `{"finish_reason":"COMPLETE","message":{"content":[{"type":"text","text":""}]},"usage":{"billed_units":{"input_tokens":0,"output_tokens":0}}}`,
			llmproxy.ResponseMetadata{FinishReason: "COMPLETE", Outcome: llmproxy.OutcomeCompleted, UsageReported: true},
			true,
		},
		{
			"what is no count does not spoil the rest", `{"finish_reason":"COMPLETE","usage":{"billed_units":{"input_tokens":-1,"output_tokens":2,"image_tokens":"3"}}}`,
			llmproxy.ResponseMetadata{FinishReason: "COMPLETE", Outcome: llmproxy.OutcomeCompleted, Usage: llmproxy.Usage{CompletionTokens: 2}, UsageReported: true, Inconsistent: true},
			true,
		},
		{
			"embed", `{"id":"e1","texts":["a"],"embeddings":{"float":[[0.1,0.2]]},"meta":{"api_version":{"version":"2"},"billed_units":{"input_tokens":3}},"response_type":"embeddings_by_type"}`,
			llmproxy.ResponseMetadata{ID: "e1", Outcome: llmproxy.OutcomeCompleted, Usage: llmproxy.Usage{PromptTokens: 3}, UsageReported: true},
			true,
		},
		{
			"embed with images, which are counted beside the text", `{"embeddings":{},"meta":{"billed_units":{"input_tokens":3,"image_tokens":280,"images":1}}}`,
			llmproxy.ResponseMetadata{Outcome: llmproxy.OutcomeCompleted, Usage: llmproxy.Usage{PromptTokens: 283, InputImage: 280}, UsageReported: true},
			true,
		},
		{
			"rerank, which is billed in searches", `{"id":"r1","results":[{"index":1,"relevance_score":0.9}],"meta":{"api_version":{"version":"2"},"billed_units":{"search_units":1}}}`,
			llmproxy.ResponseMetadata{ID: "r1", Outcome: llmproxy.OutcomeCompleted, Usage: llmproxy.Usage{SearchUnits: 1}, UsageReported: true},
			true,
		},
		{"an error", `{"id":"x1","message":"invalid api token"}`, llmproxy.ResponseMetadata{ID: "x1", Outcome: llmproxy.OutcomeFailed}, true},
		{"no finish reason", `{"id":"c1","finish_reason":null,"message":{}}`, llmproxy.ResponseMetadata{ID: "c1"}, false},
		{"another kind of finish reason", `{"finish_reason":7}`, llmproxy.ResponseMetadata{}, false},
		{
			"cut", `{"id":"c1","finish_reason":"COMPLETE","usage":{"billed_units":{"input_tokens":5}},"message":{"cont`,
			llmproxy.ResponseMetadata{ID: "c1", FinishReason: "COMPLETE", Usage: llmproxy.Usage{PromptTokens: 5}, UsageReported: true},
			false,
		},
		{"no JSON", `<html>`, llmproxy.ResponseMetadata{}, false},
		{"an array", `[{"message":"x"}]`, llmproxy.ResponseMetadata{}, false},
	} {
		got, done := dialecttest.Read(t, cohere.New, tt.answer)
		if !reflect.DeepEqual(got, tt.want) || done != tt.done {
			t.Errorf("%s:\ngot  %+v, done %v\nwant %+v, done %v", tt.name, got, done, tt.want, tt.done)
		}
	}
}

func TestStreams(t *testing.T) {
	t.Parallel()
	const (
		start = "event: message-start\ndata: {\"id\":\"c1\",\"type\":\"message-start\",\"delta\":{\"message\":{\"role\":\"assistant\"}}}\n\n"
		text  = "event: content-delta\ndata: {\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"text\":\"\\\"message-end\\\"\"}}}}\n\n"
		usage = `"usage":{"billed_units":{"input_tokens":5,"output_tokens":2},"tokens":{"input_tokens":71,"output_tokens":4}}`
	)
	ended := func(delta string) string {
		return start + text + "event: message-end\ndata: {\"type\":\"message-end\",\"delta\":{" + delta + "}}\n\ndata: [DONE]\n\n"
	}
	counted := llmproxy.Usage{PromptTokens: 5, CompletionTokens: 2}
	for _, tt := range []struct {
		name, stream string
		want         llmproxy.ResponseMetadata
		done         bool
	}{
		{
			"whole", ended(`"finish_reason":"COMPLETE",` + usage),
			llmproxy.ResponseMetadata{ID: "c1", FinishReason: "COMPLETE", Outcome: llmproxy.OutcomeCompleted, Usage: counted, UsageReported: true},
			true,
		},
		{
			"named by their type alone", strings.ReplaceAll(ended(`"finish_reason":"STOP_SEQUENCE",`+usage), "event: message-end\n", ""),
			llmproxy.ResponseMetadata{ID: "c1", FinishReason: "STOP_SEQUENCE", Outcome: llmproxy.OutcomeCompleted, Usage: counted, UsageReported: true},
			true,
		},
		{
			"an error at the end, and billed", ended(`"error":"the model failed","finish_reason":"COMPLETE",` + usage),
			llmproxy.ResponseMetadata{ID: "c1", FinishReason: "COMPLETE", Outcome: llmproxy.OutcomeFailed, Usage: counted, UsageReported: true},
			true,
		},
		{
			"an error without a text", ended(`"finish_reason":"ERROR","error":null`),
			llmproxy.ResponseMetadata{ID: "c1", FinishReason: "ERROR", Outcome: llmproxy.OutcomeFailed},
			true,
		},
		{
			"an end that says nothing", ended(``),
			llmproxy.ResponseMetadata{ID: "c1", Outcome: llmproxy.OutcomeCompleted},
			true,
		},
		{
			"nothing after the end counts", ended(`"finish_reason":"COMPLETE",`+usage) + ended(`"finish_reason":"ERROR"`),
			llmproxy.ResponseMetadata{ID: "c1", FinishReason: "COMPLETE", Outcome: llmproxy.OutcomeCompleted, Usage: counted, UsageReported: true},
			true,
		},
		{
			"an error event", start + text + "event: error\ndata: {\"message\":\"overloaded\"}\n\n",
			llmproxy.ResponseMetadata{ID: "c1", Outcome: llmproxy.OutcomeFailed},
			true,
		},
		{"cut", start + text, llmproxy.ResponseMetadata{ID: "c1"}, false},
		{"a stray body", start + "data: {\"message\":\"an error?\"}\n\n", llmproxy.ResponseMetadata{ID: "c1"}, false},
	} {
		got, done := dialecttest.Read(t, cohere.New, tt.stream)
		if !reflect.DeepEqual(got, tt.want) || done != tt.done {
			t.Errorf("%s:\ngot  %+v, done %v\nwant %+v, done %v", tt.name, got, done, tt.want, tt.done)
		}
	}
}

func TestRecordings(t *testing.T) {
	t.Parallel()
	seen := 0
	dialecttest.Recordings(t, "../..", "cohere", func(r dialecttest.Recording) {
		seen++
		got, done := dialecttest.Read(t, cohere.New, r.Response)
		if !done || got.Outcome != llmproxy.OutcomeCompleted || got.FinishReason == "" || got.ID == "" || !got.UsageReported {
			t.Errorf("%s: got %+v, done %v", r.ID, got, done)
		}
		if diff := dialecttest.Differences(got.Usage, r.Want); r.Want.Usage == nil || len(diff) > 0 {
			t.Errorf("%s: [ours, the library's] = %v of %v", r.ID, diff, r.Want.Usage)
		}
	})
	if seen != 10 {
		t.Errorf("%d recordings, want 10", seen)
	}
}

// The worked example of the accounting notes.
func TestWorkedExample(t *testing.T) {
	t.Parallel()
	notes, err := os.ReadFile("../../../shared/protocols/usage-accounting.md")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no accounting notes beside the repository: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(notes)) {
		if !strings.HasPrefix(line, `{"id":"cohere-v2"`) {
			continue
		}
		var e struct {
			Raw             struct{ Usage json.RawMessage }
			PromptTotal     int64 `json:"prompt_total"`
			CompletionTotal int64 `json:"completion_total"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		want := llmproxy.Usage{PromptTokens: e.PromptTotal, CompletionTokens: e.CompletionTotal}
		for _, answer := range []string{
			`{"finish_reason":"COMPLETE","usage":` + string(e.Raw.Usage) + `}`,
			"event: message-end\ndata: {\"delta\":{\"usage\":" + string(e.Raw.Usage) + "}}\n\n",
		} {
			if got, _ := dialecttest.Read(t, cohere.New, answer); got.Usage != want {
				t.Errorf("%s: got %+v, want %+v", answer, got.Usage, want)
			}
		}
		return
	}
	t.Error("the notes have no example cohere-v2")
}

// Frames without news cost no memory.
func TestAllocations(t *testing.T) {
	x := cohere.New()
	x.Frame(wire.Frame{Event: []byte("message-start"), Data: []byte(`{"id":"c1","type":"message-start"}`)})
	named := wire.Frame{Event: []byte("content-delta"), Data: []byte(`{"type":"content-delta","delta":{"message":{"content":{"text":"a"}}}}`)}
	unnamed := wire.Frame{Data: named.Data}
	if n := testing.AllocsPerRun(100, func() { x.Frame(named); x.Frame(unnamed) }); n != 0 {
		t.Errorf("%v allocations for two frames, want none", n)
	}
}

// Whatever the frames are, the reader does not panic, and what it knows is consistent,
// bounded and its own.
func FuzzFrames(f *testing.F) {
	for _, seed := range []string{
		`{"id":"c1","finish_reason":"COMPLETE","usage":{"billed_units":{"input_tokens":5,"output_tokens":2},"tokens":{"input_tokens":71}}}`,
		`{"type":"message-end","delta":{"finish_reason":"ERROR","error":"x","usage":{"billed_units":{"input_tokens":-5}}}}`,
		`{"embeddings":[],"meta":{"billed_units":{"input_tokens":1e3,"image_tokens":9}}}`, `{"message":"m"}`, `[DONE]`, `{`,
	} {
		f.Add("", []byte(seed), "message-end", []byte(seed))
		f.Add("message-start", []byte(seed), "error", []byte(seed))
	}
	f.Fuzz(func(t *testing.T, event string, data []byte, event2 string, data2 []byte) {
		x := cohere.New()
		for _, frame := range []struct {
			event string
			data  []byte
		}{{event, data}, {event2, data2}, {event, data}} {
			name, text := []byte(frame.event), bytes.Clone(frame.data)
			x.Frame(wire.Frame{Event: name, Data: text})
			before := x.Metadata()
			clear(name)
			clear(text)
			if after := x.Metadata(); !reflect.DeepEqual(before, after) {
				t.Errorf("the reader keeps a frame: %+v became %+v", before, after)
			}
		}
		m := x.Metadata()
		if !m.Usage.Consistent() || len(m.ID) > 256 || len(m.FinishReason) > 256 {
			t.Errorf("got %+v", m)
		}
	})
}
