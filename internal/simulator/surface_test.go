package simulator_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

// usageObject is the usage of any API but OpenAI's, wherever it is.
type usageObject struct {
	// Anthropic
	Input         *int64 `json:"input_tokens"`
	CacheCreation int64  `json:"cache_creation_input_tokens"`
	CacheRead     int64  `json:"cache_read_input_tokens"`
	Lifetimes     struct {
		OneHour int64 `json:"ephemeral_1h_input_tokens"`
	} `json:"cache_creation"`
	Output        int64 `json:"output_tokens"`
	OutputDetails struct {
		Thinking int64 `json:"thinking_tokens"`
	} `json:"output_tokens_details"`

	// Google
	PromptCount     *int64 `json:"promptTokenCount"`
	CachedCount     int64  `json:"cachedContentTokenCount"`
	CandidatesCount int64  `json:"candidatesTokenCount"`
	ThoughtsCount   int64  `json:"thoughtsTokenCount"`
	TotalCount      int64  `json:"totalTokenCount"`

	// Bedrock
	InputTokens  *int64 `json:"inputTokens"`
	CacheReadIn  int64  `json:"cacheReadInputTokens"`
	CacheWriteIn int64  `json:"cacheWriteInputTokens"`
	CacheDetails []struct {
		TTL         string `json:"ttl"`
		InputTokens int64  `json:"inputTokens"`
	} `json:"cacheDetails"`
	OutputTokens int64 `json:"outputTokens"`
	TotalTokens  int64 `json:"totalTokens"`

	// Cohere
	Billed *struct {
		Input  int64 `json:"input_tokens"`
		Output int64 `json:"output_tokens"`
		Search int64 `json:"search_units"`
	} `json:"billed_units"`
	CachedTokens int64 `json:"cached_tokens"`
}

func (o *usageObject) usage(t *testing.T) (u simulator.Usage, ok bool) {
	t.Helper()
	switch {
	case o.Input != nil:
		return simulator.Usage{
			Prompt: *o.Input + o.CacheCreation + o.CacheRead, Cached: o.CacheRead, CacheWrite: o.CacheCreation,
			CacheWrite1h: o.Lifetimes.OneHour, Completion: o.Output, Reasoning: o.OutputDetails.Thinking,
		}, true
	case o.PromptCount != nil:
		u = simulator.Usage{
			Prompt: *o.PromptCount, Cached: o.CachedCount,
			Completion: o.CandidatesCount + o.ThoughtsCount, Reasoning: o.ThoughtsCount,
		}
		if o.TotalCount != u.Total() && o.TotalCount != 0 {
			t.Errorf("totalTokenCount %d, want %d", o.TotalCount, u.Total())
		}
		return u, true
	case o.InputTokens != nil:
		u = simulator.Usage{
			Prompt: *o.InputTokens + o.CacheReadIn + o.CacheWriteIn, Cached: o.CacheReadIn, CacheWrite: o.CacheWriteIn,
			Completion: o.OutputTokens,
		}
		for _, d := range o.CacheDetails {
			if d.TTL == "1h" {
				u.CacheWrite1h = d.InputTokens
			}
		}
		if o.TotalTokens != u.Total() {
			t.Errorf("totalTokens %d, want %d", o.TotalTokens, u.Total())
		}
		return u, true
	case o.Billed != nil:
		return simulator.Usage{
			Prompt: o.Billed.Input, Cached: o.CachedTokens, Completion: o.Billed.Output, SearchUnits: o.Billed.Search,
		}, true
	default:
		return simulator.Usage{}, false
	}
}

// stated returns the usage that a states, the last of a stream. What a later event of
// Messages leaves out is as the first said.
func (p *provider) stated(a answer) simulator.Usage {
	p.t.Helper()
	var last simulator.Usage
	found := false
	for _, raw := range payloads(p.t, a) {
		var v struct {
			Usage         usageObject `json:"usage"`
			UsageMetadata usageObject `json:"usageMetadata"`
			Meta          usageObject `json:"meta"`
			Message       struct {
				Usage usageObject `json:"usage"`
			} `json:"message"`
			Delta struct {
				Usage usageObject `json:"usage"`
			} `json:"delta"`
		}
		// Deltas of other events have other shapes.
		_ = json.Unmarshal([]byte(raw), &v)
		for _, o := range []usageObject{v.Usage, v.UsageMetadata, v.Meta, v.Message.Usage, v.Delta.Usage} {
			if u, ok := o.usage(p.t); ok {
				u.CacheWrite1h = max(u.CacheWrite1h, last.CacheWrite1h)
				last, found = u, true
			}
		}
	}
	if !found {
		p.t.Errorf("no usage in %s", a.body)
	}
	return last
}

// payloads returns the JSON objects that a is made of, in whatever framing.
func payloads(t *testing.T, a answer) []string {
	t.Helper()
	kind, _, _ := strings.Cut(a.Header.Get("Content-Type"), ";")
	var list []string
	switch {
	case kind == "application/vnd.amazon.eventstream":
		for _, f := range frames(t, a.body) {
			var chunk struct{ Bytes []byte }
			if err := json.Unmarshal([]byte(f.payload), &chunk); err == nil && chunk.Bytes != nil {
				f.payload = string(chunk.Bytes)
			}
			list = append(list, f.payload)
		}
	case kind == "text/event-stream":
		for line := range strings.Lines(a.body) {
			if data, ok := strings.CutPrefix(line, "data: "); ok {
				list = append(list, strings.TrimSpace(data))
			}
		}
	case strings.HasPrefix(a.body, "["):
		var elements []json.RawMessage
		if err := json.Unmarshal([]byte(a.body), &elements); err != nil {
			t.Fatal(err)
		}
		for _, e := range elements {
			list = append(list, string(e))
		}
	default:
		list = []string{a.body}
	}
	return list
}

// surfaces is one request to each operation that generates: the stream of each follows
// its plain form.
var surfaces = []struct{ path, body string }{
	{"/v1/messages", messagesBody},
	{"/v1/messages", messagesStream},
	{geminiPath + ":generateContent", geminiBody},
	{geminiPath + ":streamGenerateContent?alt=sse", geminiBody},
	{geminiPath + ":streamGenerateContent", geminiBody},
	{vertexPath + ":generateContent", geminiBody},
	{vertexPath + ":streamGenerateContent?alt=sse", geminiBody},
	{claudePath + ":rawPredict", vertexBody},
	{claudePath + ":streamRawPredict", strings.Replace(vertexBody, "{", `{"stream":true,`, 1)},
	{"/model/" + claudeID + "/converse", converseBody},
	{"/model/" + claudeID + "/converse-stream", converseBody},
	{"/model/" + claudeID + "/invoke", invokeBody},
	{"/model/" + claudeID + "/invoke-with-response-stream", invokeBody},
	{"/v2/chat", cohereBody},
	{"/v2/chat", cohereStream},
}

// isStream reports whether the answer to a surface is a stream.
func isStream(path, body string) bool {
	return strings.Contains(path, "stream") || strings.Contains(body, `"stream":true`)
}

// TestUsageOfSurfaces holds that each API states in its way what the rules say.
func TestUsageOfSurfaces(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	long := strings.TrimSpace(strings.Repeat("word ", 1300))
	one := simulator.Usage{Prompt: 3, Completion: 5}
	for _, tt := range surfaces {
		p.wantUsage(tt.path, tt.body, one)
		p.wantUsage(tt.path, strings.Replace(tt.body, "one two three", long, 1), p.longUsage(tt.path))
	}
	mark := `"cache_control":{"type":"ephemeral"}`
	hour := `"cache_control":{"type":"ephemeral","ttl":"1h"}`
	messages := func(members, content string) string {
		return `{"model":"claude-think-1","max_tokens":200,` + members + `"messages":[{"role":"user","content":` + content + `}]}`
	}
	weather := `"tools":[{"name":"weather","input_schema":{"type":"object","properties":{"city":{"type":"string"}}}}],`
	think := "/model/us.anthropic.claude-think-1-v1%3A0/"
	for _, tt := range []struct {
		path, body string
		want       simulator.Usage
	}{
		{"/v1/messages", messages("", `"one"`), simulator.Usage{Prompt: 1, Completion: 67, Reasoning: 64}},
		{"/v1/messages", messages(`"stream":true,`, `"one"`), simulator.Usage{Prompt: 1, Completion: 67, Reasoning: 64}},
		{"/v1/messages", messages(`"system":"a b",`+weather, `"weather"`), simulator.Usage{Prompt: 3, Completion: 64 + 2, Reasoning: 64}},
		{"/v1/messages", messages(mark+",", `"one two"`), simulator.Usage{Prompt: 2, CacheWrite: 2, Completion: 68, Reasoning: 64}},
		{"/v1/messages", messages(`"system":[{"type":"text","text":"a b c",`+hour+`}],`, `"one two"`), simulator.Usage{Prompt: 5, CacheWrite: 3, CacheWrite1h: 3, Completion: 68, Reasoning: 64}},
		{"/v1/messages", messages(`"stream":true,"system":[{"type":"text","text":"a b c",`+hour+`},{"type":"text","text":"d",`+hour+`}],`, `[{"type":"text","text":"one two",`+mark+`},{"type":"text","text":"three"}]`), simulator.Usage{Prompt: 7, Cached: 3, CacheWrite: 3, CacheWrite1h: 1, Completion: 69, Reasoning: 64}},
		{think + "converse", converseBody, simulator.Usage{Prompt: 3, Completion: 69}},
		{think + "converse-stream", converseBody, simulator.Usage{Prompt: 3, Completion: 69}},
		{think + "invoke", invokeBody, simulator.Usage{Prompt: 3, Completion: 69, Reasoning: 64}},
		{think + "invoke-with-response-stream", invokeBody, simulator.Usage{Prompt: 3, Completion: 69, Reasoning: 64}},
		{think + "converse", `{"system":[{"text":"a b"},{"cachePoint":{"type":"default"}}],"inferenceConfig":{"maxTokens":65},"messages":[{"role":"user","content":[{"text":"one"},{"cachePoint":{"type":"default","ttl":"1h"}},{"text":"two"}]}]}`, simulator.Usage{Prompt: 4, Cached: 2, CacheWrite: 1, CacheWrite1h: 1, Completion: 65}},
		{"/v1beta/models/gemini-2.5-think:generateContent", geminiBody, simulator.Usage{Prompt: 3, Completion: 69, Reasoning: 64}},
		{"/v1beta/models/gemini-2.5-think:streamGenerateContent?alt=sse", `{"contents":{"parts":{"text":"one"}},"generation_config":{"maxOutputTokens":66},"system_instruction":{"parts":[{"text":"a b"}]},"cached_content":"x"}`, simulator.Usage{Prompt: 2051, Cached: 2048, Completion: 66, Reasoning: 64}},
		{geminiPath + ":generateContent", `{"contents":[{"role":"user","parts":[{"text":"go"}]},{"role":"model","parts":[{"text":"hm hm","thought":true},{"functionCall":{"name":"f","args":{"a": "b c"}}}]},{"role":"user","parts":[{"functionResponse":{"name":"f","response":{"r": "x y z"}}}]}]}`, simulator.Usage{Prompt: 1 + 1 + 2 + 3, Completion: 5}},
		{"/v1beta/models/gemini-embedding-001:embedContent", `{"content":{"parts":[{"text":"a b"},{"text":"c"}]}}`, simulator.Usage{Prompt: 3}},
		{"/v1beta/models/gemini-embedding-001:batchEmbedContents", `{"requests":[{"content":{"parts":[{"text":"a b"}]}},{"content":{"parts":[{"text":"c"}]}}]}`, simulator.Usage{Prompt: 3}},
		{"/v2/embed", `{"model":"embed-v4.0","input_type":"classification","texts":["a b","c"]}`, simulator.Usage{Prompt: 3}},
		{"/v2/rerank", `{"model":"rerank-v3.5","query":"a","documents":[` + strings.Repeat(`"d",`, 100) + `"d"]}`, simulator.Usage{SearchUnits: 2}},
		{"/v2/chat", `{"model":"command-a-reasoning-08-2025","messages":[{"role":"user","content":[{"type":"text","text":"a"}]},{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"1","content":[{"type":"document","document":{"data":"b c"}}]}]}`, simulator.Usage{Prompt: 1 + 2 + 2, Completion: 64 + 4}},
	} {
		p.wantUsage(tt.path, tt.body, tt.want)
	}
	// Vertex counts each text.
	predict, err := simulator.UsageOf(vertexPath+":predict", []byte(`{"instances":[{"content":"a b"},{"content":"c"}]}`))
	if want := (simulator.Usage{Prompt: 3}); err != nil || predict != want {
		t.Errorf("UsageOf predict = %+v, %v, want %+v", predict, err, want)
	}
	// Azure's are OpenAI's.
	azure := "/openai/deployments/gpt-4o-mini/"
	for path, body := range map[string]string{
		azure + "chat/completions?api-version=x": `{"messages":[{"role":"user","content":"one two three"}]}`,
		azure + "completions?api-version=x":      `{"prompt":"one two three"}`,
		azure + "embeddings?api-version=x":       `{"input":"one two three"}`,
	} {
		want := one
		if strings.Contains(path, "embeddings") {
			want.Completion = 0
		}
		got, err := simulator.UsageOf(path, []byte(body))
		if err != nil || got != want {
			t.Errorf("UsageOf(%s) = %+v, %v, want %+v", path, got, err, want)
		}
		var v struct{ Usage reported }
		if err := json.Unmarshal([]byte(p.whole(p.ask(path, body, ""))), &v); err != nil || v.Usage.PromptTokens != 3 || v.Usage.CompletionTokens != want.Completion {
			t.Errorf("%s: got %+v, %v", path, v, err)
		}
	}
	if u, err := simulator.UsageOf("/v1/nothing", nil); err == nil {
		t.Errorf("usage %+v of nothing", u)
	}
	if u, err := simulator.UsageOf("/v1/messages", []byte(`{"model":"m","messages":[{"role":"user","content":"x"}]}`)); err == nil {
		t.Errorf("usage %+v without max_tokens", u)
	}
}

// longUsage is what a prompt of 1300 words reports: only some APIs cache it unasked.
func (p *provider) longUsage(path string) simulator.Usage {
	u := simulator.Usage{Prompt: 1300, Completion: 34}
	if strings.Contains(path, "enerateContent") || strings.HasPrefix(path, "/v2") {
		u.Cached = 1280
	}
	return u
}

// wantUsage holds that the rules and the answer state want.
func (p *provider) wantUsage(path, body string, want simulator.Usage) {
	p.t.Helper()
	got, err := simulator.UsageOf(path, []byte(body))
	if err != nil || got != want {
		p.t.Errorf("UsageOf(%s) = %+v, %v, want %+v", path, got, err, want)
	}
	a := p.ask(path, body, "")
	p.whole(a)
	if got := p.stated(a); got != want {
		p.t.Errorf("%s states %+v, want %+v: %.300s", path, got, want, a.body)
	}
	a = p.ask(path, body, "usage=none")
	if body := p.whole(a); strings.Contains(body, `"usage"`) || strings.Contains(body, "usageMetadata") || strings.Contains(body, "billed_units") {
		p.t.Errorf("%s: a usage without one: %.300s", path, body)
	}
	if a.Header.Get("X-Amzn-Bedrock-Input-Token-Count") != "" {
		p.t.Errorf("%s: counts in the header without a usage", path)
	}
}

// TestCountsOfSurfaces holds that a script's counts are stated by each API.
func TestCountsOfSurfaces(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	const script = "prompt-tokens=272001,cached-tokens=200000,cache-write-tokens=5,cache-write-1h-tokens=2,completion-tokens=20,reasoning-tokens=7"
	for _, tt := range surfaces {
		want := simulator.Usage{Prompt: 272001, Cached: 200000, CacheWrite: 5, CacheWrite1h: 2, Completion: 20, Reasoning: 7}
		switch {
		case strings.HasPrefix(tt.path, "/v2"):
			want.CacheWrite, want.CacheWrite1h, want.Reasoning = 0, 0, 0
		case strings.Contains(tt.path, "enerateContent"):
			want.CacheWrite, want.CacheWrite1h = 0, 0
		case strings.Contains(tt.path, "/converse"):
			want.Reasoning = 0
		}
		a := p.ask(tt.path, tt.body, script)
		p.whole(a)
		if got := p.stated(a); got != want {
			t.Errorf("%s states %+v, want %+v: %s", tt.path, got, want, a.body)
		}
	}
}

// TestCountingSurfaces holds that what counts agrees with what generates.
func TestCountingSurfaces(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	for _, tt := range []struct{ path, body, want string }{
		{"/v1/messages/count_tokens", messagesBody, `{"input_tokens":3}`},
		{"/v1/projects/p/locations/l/publishers/anthropic/models/count-tokens:rawPredict", strings.Replace(vertexBody, "{", `{"model":"claude-sonnet-4-5@20250929",`, 1), `{"input_tokens":3}`},
		{geminiPath + ":countTokens", geminiBody, `"totalTokens": 3,`},
		{vertexPath + ":countTokens", geminiBody, `"totalTokens": 3,`},
		{"/model/" + claudeID + "/count-tokens", `{"input":{"converse":` + converseBody + `}}`, `{"inputTokens":3}`},
		{"/model/" + claudeID + "/count-tokens", `{"input":{"invokeModel":{"body":"` + base64Of(invokeBody) + `"}}}`, `{"inputTokens":3}`},
	} {
		if got := p.whole(p.ask(tt.path, tt.body, "")); !strings.Contains(got, tt.want) {
			t.Errorf("%s: got %s, want %s", tt.path, got, tt.want)
		}
	}
}
