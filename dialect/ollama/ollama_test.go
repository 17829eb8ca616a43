package ollama_test

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
	"github.com/llmproxy/llmproxy/dialect/ollama"
	"github.com/llmproxy/llmproxy/wire"
)

// read feeds a stream to new readers, and fails the test where what they know depends on
// its cuts.
func read(t *testing.T, stream string) (m llmproxy.ResponseMetadata, done bool) {
	t.Helper()
	for i, size := range []int{len(stream) + 1, 1, 7, 1021} {
		x := ollama.New()
		lines := wire.NewLines(x, 0)
		for rest := stream; rest != ""; {
			n := min(size, len(rest))
			_, _ = lines.Write([]byte(rest[:n])) // never fails
			rest = rest[n:]
		}
		lines.End()
		got := x.Metadata()
		if i == 0 {
			m, done = got, x.Done()
		}
		if !reflect.DeepEqual(got, m) || x.Done() != done {
			t.Errorf("in pieces of %d bytes: got %+v, done %v, whole %+v, %v", size, got, x.Done(), m, done)
		}
	}
	return m, done
}

// body feeds a whole body to a new reader.
func body(text string) (m llmproxy.ResponseMetadata, done bool) {
	x := ollama.New()
	x.Frame(wire.Frame{Data: []byte(text)})
	return x.Metadata(), x.Done()
}

func TestBodies(t *testing.T) {
	t.Parallel()
	completed := func(model, reason string, u llmproxy.Usage) llmproxy.ResponseMetadata {
		return llmproxy.ResponseMetadata{Model: model, FinishReason: reason, Outcome: llmproxy.OutcomeCompleted, Usage: u, UsageReported: true}
	}
	for _, tt := range []struct {
		name, body string
		want       llmproxy.ResponseMetadata
		done       bool
	}{
		{
			"chat", `{"model":"llama3.2:1b","created_at":"2026-09-17T15:42:59.742Z","message":{"role":"assistant","content":"Hi","thinking":"Say hi."},"done_reason":"stop","done":true,"total_duration":30258609300,"load_duration":19906358300,"prompt_eval_count":29,"prompt_eval_cached_count":20,"prompt_eval_duration":10175903000,"eval_count":3,"eval_duration":173639000}` + "\n",
			completed("llama3.2:1b", "stop", llmproxy.Usage{PromptTokens: 29, CompletionTokens: 3, CacheRead: 20}), true,
		},
		{
			"generate, printed for people", "{\n  \"model\": \"m\",\n  \"response\": \"\\\"done\\\":true\",\n  \"context\": [1, 2],\n  \"done\": true,\n  \"done_reason\": \"length\",\n  \"prompt_eval_count\": 5,\n  \"eval_count\": 2\n}",
			completed("m", "length", llmproxy.Usage{PromptTokens: 5, CompletionTokens: 2}), true,
		},
		{
			"a tool call", `{"model":"m","message":{"tool_calls":[{"function":{"name":"f","arguments":{"done":false,"eval_count":9,"error":"x"}}}]},"done":true,"done_reason":"stop","prompt_eval_count":5,"prompt_eval_cached_count":0,"eval_count":2}`,
			completed("m", "stop", llmproxy.Usage{PromptTokens: 5, CompletionTokens: 2}), true,
		},
		{
			"all cached, by an older server", `{"model":"m","done":true,"done_reason":"stop","eval_count":2}`,
			completed("m", "stop", llmproxy.Usage{CompletionTokens: 2}), true,
		},
		{
			"all cached, and said so", `{"model":"m","done":true,"done_reason":"stop","prompt_eval_cached_count":300,"eval_count":2}`,
			completed("m", "stop", llmproxy.Usage{PromptTokens: 300, CacheRead: 300, CompletionTokens: 2}), true,
		},
		{
			"more cached than prompt", `{"model":"m","done":true,"prompt_eval_count":1,"prompt_eval_cached_count":30,"eval_count":2}`,
			completed("m", "", llmproxy.Usage{PromptTokens: 31, CacheRead: 30, CompletionTokens: 2}), true,
		},
		{
			"explicit zeros", `{"model":"m","done":true,"prompt_eval_count":0,"eval_count":0}`,
			completed("m", "", llmproxy.Usage{}), true,
		},
		{
			"zeros beside a text are no report", `{"model":"m","response":"hi","done":true,"done_reason":"stop","prompt_eval_count":0,"eval_count":0}`,
			llmproxy.ResponseMetadata{Model: "m", FinishReason: "stop", Outcome: llmproxy.OutcomeCompleted},
			true,
		},
		{
			"nor beside the call of a tool", `{"model":"m","message":{"content":"","tool_calls":[{}]},"done":true,"prompt_eval_count":0,"eval_count":0}`,
			llmproxy.ResponseMetadata{Model: "m", Outcome: llmproxy.OutcomeCompleted},
			true,
		},
		{
			"a message without output", `{"model":"m","message":{"role":"assistant","content":"","tool_calls":[]},"done":true,"prompt_eval_count":0,"eval_count":0}`,
			completed("m", "", llmproxy.Usage{}), true,
		},
		{
			"a count that is none", `{"model":"m","done":true,"prompt_eval_count":3,"eval_count":-1}`,
			llmproxy.ResponseMetadata{Model: "m", Outcome: llmproxy.OutcomeCompleted, Usage: llmproxy.Usage{PromptTokens: 3}, UsageReported: true, Inconsistent: true},
			true,
		},
		{
			"a model is loaded", `{"model":"m","response":"","done":true,"done_reason":"load"}`,
			llmproxy.ResponseMetadata{Model: "m", FinishReason: "load", Outcome: llmproxy.OutcomeCompleted},
			true,
		},
		{
			"odd counts", `{"model":7,"done":true,"done_reason":null,"prompt_eval_count":-5,"prompt_eval_cached_count":"3","eval_count":1.5}`,
			llmproxy.ResponseMetadata{Outcome: llmproxy.OutcomeCompleted},
			true,
		},
		{
			"embed", `{"model":"all-minilm","embeddings":[[0.1,-0.2],[0.3,0.4]],"total_duration":14143917,"load_duration":1019500,"prompt_eval_count":8}`,
			completed("all-minilm", "", llmproxy.Usage{PromptTokens: 8}), true,
		},
		{"embeddings", `{"embedding":[0.1,-0.2]}`, llmproxy.ResponseMetadata{Outcome: llmproxy.OutcomeCompleted}, true},
		{"an error", `{"error":"model 'm' not found"}`, llmproxy.ResponseMetadata{Outcome: llmproxy.OutcomeFailed}, true},
		{
			"an error with more", `{"error":"unauthorized","signin_url":"https://host/connect","code":"auth"}`,
			llmproxy.ResponseMetadata{Outcome: llmproxy.OutcomeFailed, ErrorCode: "auth"},
			true,
		},
		{
			"an object of an error", `{"error":{"message":"text","type":"invalid_request_error","code":400}}`,
			llmproxy.ResponseMetadata{Outcome: llmproxy.OutcomeFailed, ErrorType: "invalid_request_error", ErrorCode: "400"},
			true,
		},
		{
			"no error", `{"model":"m","done":true,"error":"","prompt_eval_count":1}`,
			completed("m", "", llmproxy.Usage{PromptTokens: 1}), true,
		},
		{"not done", `{"model":"m","done":false}`, llmproxy.ResponseMetadata{Model: "m"}, false},
		{"done in quotes", `{"model":"m","done":"true"}`, llmproxy.ResponseMetadata{Model: "m"}, false},
		{
			"cut", `{"model":"m","done":true,"prompt_eval_count":5,"eval_count":12`,
			llmproxy.ResponseMetadata{Model: "m", Usage: llmproxy.Usage{PromptTokens: 5}, UsageReported: true},
			false,
		},
		{"cut in the vectors", `{"model":"m","embeddings":[[0.1,`, llmproxy.ResponseMetadata{Model: "m"}, false},
		{"no JSON", `<html>`, llmproxy.ResponseMetadata{}, false},
		{"an array", `[{"done":true}]`, llmproxy.ResponseMetadata{}, false},
		{"nothing", ``, llmproxy.ResponseMetadata{}, false},
	} {
		if got, done := body(tt.body); !reflect.DeepEqual(got, tt.want) || done != tt.done {
			t.Errorf("%s:\ngot  %+v, done %v\nwant %+v, done %v", tt.name, got, done, tt.want, tt.done)
		}
	}
}

func TestStreams(t *testing.T) {
	t.Parallel()
	const (
		words = `{"model":"m","created_at":"2026-09-17T15:42:59Z","message":{"role":"assistant","content":"a \"done\":true \"error\":\"x\" b"},"done":false}` + "\n" +
			`{"model":"m","message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{"done":true,"error":"x","eval_count":99}}}]},"done":false}` + "\n"
		end = `{"model":"m","message":{"role":"assistant","content":""},"done_reason":"stop","done":true,"prompt_eval_count":29,"prompt_eval_cached_count":9,"eval_count":3}` + "\n"
	)
	whole := llmproxy.ResponseMetadata{
		Model: "m", FinishReason: "stop", Outcome: llmproxy.OutcomeCompleted,
		Usage: llmproxy.Usage{PromptTokens: 29, CompletionTokens: 3, CacheRead: 9}, UsageReported: true,
	}
	failed := llmproxy.ResponseMetadata{Model: "m", Outcome: llmproxy.OutcomeFailed}
	for _, tt := range []struct {
		name, stream string
		want         llmproxy.ResponseMetadata
		done         bool
	}{
		{"whole", words + end, whole, true},
		{"with CRLF", strings.ReplaceAll(words+end, "\n", "\r\n"), whole, true},
		{"without the last line end", strings.TrimSuffix(words+end, "\n"), whole, true},
		{"with spaces", words + strings.ReplaceAll(end, `"done":true`, "\"done\" :\ttrue"), whole, true},
		{"one line", end, whole, true},
		{"nothing after the end counts", words + end + `{"error":"x"}` + "\n" + strings.ReplaceAll(end, "29", "500"), whole, true},
		{"an error", words + `{"error":"the runner has stopped"}` + "\n", failed, true},
		{"an error at first", `{"error":"the runner has stopped"}` + "\n" + end, llmproxy.ResponseMetadata{Outcome: llmproxy.OutcomeFailed}, true},
		{"cut between lines", words, llmproxy.ResponseMetadata{Model: "m"}, false},
		{"cut in the last line", words + end[:len(end)-len(`3}`)-1], llmproxy.ResponseMetadata{
			Model: "m", FinishReason: "stop", Usage: llmproxy.Usage{PromptTokens: 29, CacheRead: 9}, UsageReported: true,
		}, false},
		{"nothing", "", llmproxy.ResponseMetadata{}, false},
	} {
		if got, done := read(t, tt.stream); !reflect.DeepEqual(got, tt.want) || done != tt.done {
			t.Errorf("%s:\ngot  %+v, done %v\nwant %+v, done %v", tt.name, got, done, tt.want, tt.done)
		}
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
		if !strings.HasPrefix(line, `{"id":"ollama-native"`) {
			continue
		}
		var e struct {
			Raw  json.RawMessage
			Want struct {
				Input      int64
				CacheRead  int64 `json:"cache_read"`
				OutputText int64 `json:"output_text"`
			}
			PromptTotal     int64 `json:"prompt_total"`
			CompletionTotal int64 `json:"completion_total"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		want := llmproxy.Usage{PromptTokens: e.PromptTotal, CompletionTokens: e.CompletionTotal, CacheRead: e.Want.CacheRead}
		got, done := read(t, string(e.Raw))
		if !done || got.Usage != want || got.Usage.Input() != e.Want.Input || got.Usage.Output() != e.Want.OutputText {
			t.Errorf("got %+v, done %v, want %+v", got.Usage, done, want)
		}
		return
	}
	t.Error("the notes have no example ollama-native")
}

// Lines without news cost no memory.
func TestAllocations(t *testing.T) {
	x := ollama.New()
	words := wire.Frame{Data: []byte(`{"model":"m","message":{"role":"assistant","content":"a \"done\""},"done":false}`)}
	call := wire.Frame{Data: []byte(`{"model":"m","message":{"tool_calls":[{"function":{"arguments":{"done":true,"error":1}}}]},"done":false}`)}
	x.Frame(words)
	if n := testing.AllocsPerRun(100, func() { x.Frame(words); x.Frame(call) }); n != 0 {
		t.Errorf("%v allocations for two lines, want none", n)
	}
	if x.Done() {
		t.Error("done before the end")
	}
}

// Whatever the frames are, the reader does not panic, and what it knows is consistent,
// bounded and its own.
func FuzzFrames(f *testing.F) {
	for _, seed := range []string{
		`{"model":"m","message":{"content":"a"},"done":false}`,
		`{"model":"m","done":true,"done_reason":"stop","prompt_eval_count":500,"prompt_eval_cached_count":300,"eval_count":40}`,
		`{"done": true,"prompt_eval_count":1e3,"prompt_eval_cached_count":1125899906842624,"eval_count":-1}`,
		`{"embeddings":[[0.1]],"prompt_eval_count":8}`, `{"error":"x"}`, `{"error":{"type":"t","code":1}}`, `{"done"`, `{`, ``,
	} {
		f.Add([]byte(seed), []byte(seed))
		f.Add([]byte(`{"done":false}`), []byte(seed))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		x := ollama.New()
		for _, data := range [][]byte{first, second, first} {
			text := bytes.Clone(data)
			over := x.Done()
			earlier := x.Metadata()
			x.Frame(wire.Frame{Data: text})
			before := x.Metadata()
			clear(text)
			if after := x.Metadata(); !reflect.DeepEqual(before, after) {
				t.Errorf("the reader keeps a frame: %+v became %+v", before, after)
			}
			if over && (!x.Done() || !reflect.DeepEqual(earlier, before)) {
				t.Errorf("a frame after the end counts: %+v became %+v", earlier, before)
			}
		}
		m := x.Metadata()
		if !m.Usage.Consistent() || len(m.Model) > 256 || len(m.FinishReason) > 256 || m.Usage != (llmproxy.Usage{}) && !m.UsageReported {
			t.Errorf("got %+v", m)
		}
		// A line that is read first and one that is read later say the same.
		fresh, later := ollama.New(), ollama.New()
		later.Frame(wire.Frame{Data: []byte(`{"done":false}`)})
		fresh.Frame(wire.Frame{Data: second})
		later.Frame(wire.Frame{Data: second})
		if later.Done() && !reflect.DeepEqual(fresh.Metadata(), later.Metadata()) {
			t.Errorf("first %+v, later %+v", fresh.Metadata(), later.Metadata())
		}
	})
}

func BenchmarkStream(b *testing.B) {
	line := wire.Frame{Data: []byte(`{"model":"llama3.2:1b","created_at":"2026-09-17T15:42:59.7420965Z","message":{"role":"assistant","content":" word"},"done":false}`)}
	x := ollama.New()
	b.SetBytes(int64(len(line.Data)))
	b.ReportAllocs()
	for b.Loop() {
		x.Frame(line)
	}
}
