package simulator_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image/png"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

// reported is a usage object of any of the APIs.
type reported struct {
	PromptTokens     int64 `json:"prompt_tokens"`
	InputTokens      int64 `json:"input_tokens"`
	CompletionTokens int64 `json:"completion_tokens"`
	OutputTokens     int64 `json:"output_tokens"`
	TotalTokens      int64 `json:"total_tokens"`
	PromptDetails    struct {
		Cached int64 `json:"cached_tokens"`
		Write  int64 `json:"cache_write_tokens"`
	} `json:"prompt_tokens_details"`
	InputDetails struct {
		Cached int64 `json:"cached_tokens"`
		Write  int64 `json:"cache_write_tokens"`
	} `json:"input_tokens_details"`
	CompletionDetails struct {
		Reasoning int64 `json:"reasoning_tokens"`
	} `json:"completion_tokens_details"`
	OutputDetails struct {
		Reasoning int64 `json:"reasoning_tokens"`
	} `json:"output_tokens_details"`
}

func usageIn(t *testing.T, body string) simulator.Usage {
	t.Helper()
	var v struct{ Usage reported }
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatal(err)
	}
	u := simulator.Usage{
		Prompt:     v.Usage.PromptTokens + v.Usage.InputTokens,
		Completion: v.Usage.CompletionTokens + v.Usage.OutputTokens,
		Cached:     v.Usage.PromptDetails.Cached + v.Usage.InputDetails.Cached,
		CacheWrite: v.Usage.PromptDetails.Write + v.Usage.InputDetails.Write,
		Reasoning:  v.Usage.CompletionDetails.Reasoning + v.Usage.OutputDetails.Reasoning,
	}
	if v.Usage.TotalTokens != u.Total() {
		t.Errorf("total_tokens %d, want %d: %s", v.Usage.TotalTokens, u.Total(), body)
	}
	return u
}

// TestUsageOf holds the rules to numbers, and the answers to the rules.
func TestUsageOf(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	long := strings.Repeat("word ", 1300)
	for _, tt := range []struct {
		path, body string
		want       simulator.Usage
	}{
		{"/v1/chat/completions", chatBody, simulator.Usage{Prompt: 3, Completion: 5}},
		{
			"/v1/chat/completions", `{"model":"gpt-5-reason","n":3,"messages":[{"role":"system","content":"a b"},{"role":"user","content":"c"},` +
				`{"role":"assistant","content":null,"tool_calls":[{"id":"x","type":"function","function":{"name":"f","arguments":"{\"a\": 1}"}}]},` +
				`{"role":"tool","tool_call_id":"x","content":"d e"}]}`,
			simulator.Usage{Prompt: 8, Completion: 3 * (64 + 4), Reasoning: 3 * 64},
		},
		{"/v1/chat/completions", `{"model":"gpt-5-mini","messages":[{"role":"user","content":"` + long + `"}]}`, simulator.Usage{Prompt: 1300, Cached: 1280, Completion: 34}},
		{"/v1/completions", `{"model":"gpt-3.5-turbo-instruct","prompt":["a b","c"],"n":2,"max_tokens":3}`, simulator.Usage{Prompt: 3, Completion: 12}},
		{"/v1/responses", responseBody, simulator.Usage{Prompt: 3, Completion: 5}},
		{"/v1/responses", `{"model":"gpt-5-reason","input":"x","max_output_tokens":65}`, simulator.Usage{Prompt: 1, Completion: 65, Reasoning: 64}},
		{"/v1/responses", `{"model":"gpt-5-reason","input":"x","max_output_tokens":10}`, simulator.Usage{Prompt: 1, Completion: 10, Reasoning: 10}},
		{"/v1/responses", `{"model":"gpt-5-mini","input":[{"role":"user","content":"` + long + `"}]}`, simulator.Usage{Prompt: 1300, Cached: 1280, Completion: 34}},
		{"/v1/responses/compact", responseBody, simulator.Usage{Prompt: 3, Completion: 16}},
		{"/v1/embeddings", `{"model":"text-embedding-3-small","input":["a b",""]}`, simulator.Usage{Prompt: 2}},
		{"/v1/embeddings", `{"model":"text-embedding-3-small","input":[1,2,3]}`, simulator.Usage{Prompt: 3}},
		{"/v1/images/generations", `{"model":"gpt-image-1","prompt":"a b","n":2}`, simulator.Usage{Prompt: 2, Completion: 544}},
	} {
		got, err := simulator.UsageOf(tt.path, []byte(tt.body))
		if err != nil || got != tt.want {
			t.Errorf("%s %.80s: rule %+v, %v; want %+v", tt.path, tt.body, got, err, tt.want)
		}
		if got := usageIn(t, p.whole(p.post(tt.path, tt.body, ""))); got != tt.want {
			t.Errorf("%s %.80s: answer %+v, want %+v", tt.path, tt.body, got, tt.want)
		}
	}
	for _, tt := range []struct{ path, body string }{
		{"/v1/models", ""},
		{"/v1/chat/completions", "{}"},
		{"/v1/completions", "{}"},
		{"/v1/responses", "{"},
		{"/v1/responses/compact", "{"},
		{"/v1/embeddings", "{}"},
		{"/v1/images/generations", "{}"},
	} {
		if u, err := simulator.UsageOf(tt.path, []byte(tt.body)); err == nil {
			t.Errorf("%s %s: %+v, want an error", tt.path, tt.body, u)
		}
	}
}

func TestCounts(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	const simulate = "prompt-tokens=272001,cached-tokens=200000,cache-write-tokens=5,completion-tokens=20,reasoning-tokens=7"
	want := simulator.Usage{Prompt: 272001, Cached: 200000, CacheWrite: 5, Completion: 20, Reasoning: 7}
	for path, body := range map[string]string{"/v1/chat/completions": chatBody, "/v1/responses": responseBody} {
		if got := usageIn(t, p.whole(p.post(path, body, simulate))); got != want {
			t.Errorf("%s: got %+v, want %+v", path, got, want)
		}
	}
}

// TestReports holds how often and where a stream speaks of usage.
func TestReports(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	asked := strings.Replace(chatStream, `"stream":true`, `"stream":true,"stream_options":{"include_usage":true}`, 1)
	const total = `"total_tokens":8,`
	for _, tt := range []struct {
		body, simulate string
		nulls, reports int
		last           string // is in the last chunk with a report
	}{
		{chatStream, "", 0, 0, ""},
		{asked, "", 7, 1, `"choices":[],`},
		{asked, "usage=none", 0, 0, ""},
		{chatStream, "usage=finish", 0, 1, `"finish_reason":"stop"`},
		{asked, "usage=finish", 0, 1, `"finish_reason":"stop"`},
		{asked, "usage=x_groq", 0, 1, `"finish_reason":"stop"}],"x_groq":{"id":"req_`},
		{chatStream, "usage=every", 0, 7, `"finish_reason":"stop"`},
		{chatStream, "usage=null-choices", 0, 1, `"choices":null,`},
	} {
		got := p.whole(p.post("/v1/chat/completions", tt.body, tt.simulate))
		chunks := strings.Split(got, "\n\n")
		reports := slices.DeleteFunc(chunks, func(c string) bool { return !strings.Contains(c, `"total_tokens"`) })
		if n := strings.Count(got, `"usage":null`); n != tt.nulls || len(reports) != tt.reports {
			t.Errorf("%s: %d nulls and %d reports, want %d and %d", tt.simulate, n, len(reports), tt.nulls, tt.reports)
		}
		if len(reports) == 0 {
			continue
		}
		if last := reports[len(reports)-1]; !strings.Contains(last, tt.last) || !strings.Contains(last, total) {
			t.Errorf("%s: the last report is %s", tt.simulate, last)
		}
	}
}

// TestNoUsage holds that usage=none silences every API.
func TestNoUsage(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	for _, tt := range []struct{ path, body string }{
		{"/v1/chat/completions", chatBody},
		{"/v1/completions", `{"model":"gpt-3.5-turbo-instruct","prompt":"x"}`},
		{"/v1/responses", responseBody},
		{"/v1/responses", responseStream},
		{"/v1/responses/compact", responseBody},
		{"/v1/embeddings", `{"model":"text-embedding-3-small","input":"x"}`},
		{"/v1/images/generations", `{"prompt":"x"}`},
	} {
		if got := p.whole(p.post(tt.path, tt.body, "usage=none")); strings.Contains(got, "_tokens\":1") {
			t.Errorf("%s: got %s", tt.path, got)
		}
	}
}

func TestEndings(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	for _, tt := range []struct {
		path, body, simulate string
		status               int
		has                  string
	}{
		{"/v1/chat/completions", chatBody, "end=incomplete", 200, `"finish_reason":"length"`},
		{"/v1/chat/completions", chatBody, "end=failed", 500, `"code":"server_error"`},
		{"/v1/completions", `{"model":"gpt-3.5-turbo-instruct","prompt":"x"}`, "end=error", 500, `"code":"server_error"`},
		{"/v1/completions", `{"model":"gpt-3.5-turbo-instruct","prompt":"x","stream":true}`, "end=error", 200, `data: {"error":{`},
		{"/v1/responses", responseBody, "end=incomplete", 200, `"incomplete_details":{"reason":"max_output_tokens"}`},
		{"/v1/responses", responseBody, "end=failed", 200, `"status":"failed"`},
		{"/v1/responses", responseStream, "end=incomplete", 200, "event: response.incomplete\n"},
	} {
		a := p.post(tt.path, tt.body, tt.simulate)
		if a.StatusCode != tt.status || !strings.Contains(a.body, tt.has) || strings.Contains(a.body, "[DONE]") {
			t.Errorf("%s %s: got %d %s, want %d with %s", tt.path, tt.simulate, a.StatusCode, a.body, tt.status, tt.has)
		}
	}
}

// TestEmbeddings holds that both encodings say the same, and other texts other things.
func TestEmbeddings(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	ask := func(format string, v any) {
		t.Helper()
		body := p.whole(p.post("/v1/embeddings", `{"model":"text-embedding-3-small","input":["a","b"],"encoding_format":"`+format+`"}`, ""))
		if err := json.Unmarshal([]byte(body), v); err != nil {
			t.Fatal(err)
		}
	}
	var floats struct {
		Data []struct{ Embedding []float32 }
	}
	var packed struct{ Data []struct{ Embedding string } }
	ask("float", &floats)
	ask("base64", &packed)
	for i, d := range floats.Data {
		raw, err := base64.StdEncoding.DecodeString(packed.Data[i].Embedding)
		if err != nil {
			t.Fatal(err)
		}
		var vector []float32
		for ; len(raw) >= 4; raw = raw[4:] {
			vector = append(vector, math.Float32frombits(binary.LittleEndian.Uint32(raw)))
		}
		if !slices.Equal(vector, d.Embedding) || len(vector) != 8 {
			t.Errorf("%v as base64, %v as floats", vector, d.Embedding)
		}
	}
	if slices.Equal(floats.Data[0].Embedding, floats.Data[1].Embedding) {
		t.Error("two texts have the same embedding")
	}
}

func TestImageIsAnImage(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	var list struct {
		Data []struct {
			B64 []byte `json:"b64_json"`
		}
	}
	body := p.whole(p.post("/v1/images/generations", `{"prompt":"x"}`, ""))
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(bytes.NewReader(list.Data[0].B64)); err != nil {
		t.Error(err)
	}
}

func ExampleReply() {
	fmt.Println(simulator.Reply("  hello,\n world "))
	// Output: You said: hello, world
}

func ExampleUsageOf() {
	u, err := simulator.UsageOf("/v1/chat/completions",
		[]byte(`{"model":"gpt-5-mini","messages":[{"role":"user","content":"one two three"}]}`))
	fmt.Println(u.Prompt, u.Completion, err)
	// Output: 3 5 <nil>
}
