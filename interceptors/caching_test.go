package interceptors_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/interceptors"
	"github.com/llmproxy/llmproxy/wire"
)

const (
	marked    = `"cache_control":{"type":"ephemeral"}`
	markedTTL = `"cache_control":{"type":"ephemeral","ttl":"1h"}`
	point     = `{"cachePoint":{"type":"default"}}`
	pointTTL  = `{"cachePoint":{"type":"default","ttl":"1h"}}`
)

// messages is a request to Claude.
func messages(more string) string {
	return `{ "model":"claude-sonnet-4-5", "max_tokens":9007199254740993,"x":1.0,` + more + `}`
}

func TestCacheControl(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{
			"texts", messages(`"system":"be <brief>","messages":[{"role":"user","content":"hi"}]`),
			messages(`"system":[{"type":"text","text":"be <brief>",` + marked + `}],"messages":[{"role":"user","content":[{"type":"text","text":"hi",` + marked + `}]}]`),
		},
		{
			"the last blocks", messages(`"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"} ]}],"system":[{"type":"text","text":"c"},{"type":"text","text":"d" }]`),
			messages(`"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b",` + marked + `} ]}],"system":[{"type":"text","text":"c"},{"type":"text","text":"d" ,` + marked + `}]`),
		},
		{
			"no system prompt: the last tool", messages(`"tools":[{"name":"a","input_schema":{"type":"object"}},{"name":"b","input_schema":{"type":"object"}}],"messages":[{"role":"user","content":"hi"}]`),
			messages(`"tools":[{"name":"a","input_schema":{"type":"object"}},{"name":"b","input_schema":{"type":"object"},` + marked + `}],"messages":[{"role":"user","content":[{"type":"text","text":"hi",` + marked + `}]}]`),
		},
		{
			"thinking cannot be marked, nor can a blank", messages(`"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"text","text":"a"},{"type":"thinking","thinking":"b","signature":"c"},{"type":"text","text":" \n"}]}]`),
			messages(`"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"text","text":"a",` + marked + `},{"type":"thinking","thinking":"b","signature":"c"},{"type":"text","text":" \n"}]}]`),
		},
		{
			"the message before one that cannot be marked", messages(`"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"redacted_thinking","data":"b"}]},{"role":"system","content":"c"}]`),
			messages(`"messages":[{"role":"user","content":[{"type":"text","text":"hi",` + marked + `}]},{"role":"assistant","content":[{"type":"redacted_thinking","data":"b"}]},{"role":"system","content":"c"}]`),
		},
		{
			"a tool's result", messages(`"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"x"}]}]`),
			messages(`"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"x",` + marked + `}]}]`),
		},
		{"a blank system prompt", messages(`"system":"  ","messages":[]`), messages(`"system":"  ","messages":[]`)},
		{
			"the client's own mark, on a tool", messages(`"tools":[{"name":"a",` + marked + `}],"system":"s","messages":[{"role":"user","content":"hi"}]`),
			messages(`"tools":[{"name":"a",` + marked + `}],"system":"s","messages":[{"role":"user","content":"hi"}]`),
		},
		{"the client's own mark, on all", messages(marked + `,"messages":[{"role":"user","content":"hi"}]`), messages(marked + `,"messages":[{"role":"user","content":"hi"}]`)},
		{
			"what only looks like a mark", messages(`"messages":[{"role":"user","content":"{\"cache_control\":1}"}]`),
			messages(`"messages":[{"role":"user","content":[{"type":"text","text":"{\"cache_control\":1}",` + marked + `}]}]`),
		},
		{
			"tools that are loaded later, or nothing", messages(`"tools":[{"name":"a"},{"name":"b","defer_loading":true},{ }]`),
			messages(`"tools":[{"name":"a",` + marked + `},{"name":"b","defer_loading":true},{ }]`),
		},
		{"no tool to mark", messages(`"tools":[{}]`), messages(`"tools":[{}]`)},
		{"odd shapes", messages(`"system":{},"messages":{"role":"user"},"tools":1`), messages(`"system":{},"messages":{"role":"user"},"tools":1`)},
		{"odd elements", messages(`"system":[1,null],"messages":["a",{"role":1,"content":2},{"role":"user","content":[3]}],"tools":[4]`), messages(`"system":[1,null],"messages":["a",{"role":1,"content":2},{"role":"user","content":[3]}],"tools":[4]`)},
	} {
		if got := cachedBody(t, &interceptors.PromptCaching{}, "anthropic", llmproxy.APIMessages, "/messages", "claude-sonnet-4-5", tt.in); got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
}

func TestCachingModelsAndRules(t *testing.T) {
	t.Parallel()
	const (
		claude   = `{"system":"s","messages":[]}`
		converse = `{"system":[{"text":"s"}],"toolConfig":{"tools":[{"toolSpec":{}}]},"messages":[{"role":"user","content":[{"text":"hi"}]},{"role":"assistant","content":[{"toolUse":{}}]}]}`
		chat     = `{"messages":[{"role":"user","content":"hi"}]}`
		result   = `{"messages":[{"role":"user","content":[{"text":"hi"}]},{"role":"user","content":[{"toolResult":{}}]}]}`
	)
	claudeMarked := func(mark string) string { return `{"system":[{"type":"text","text":"s",` + mark + `}],"messages":[]}` }
	key := func(members string) string { return `{"prompt_cache_key":"k"` + members + `,` + chat[1:] }
	long := []interceptors.CachingRule{{Long: true, Key: "k"}}
	plain := []interceptors.CachingRule{{Key: "k"}}
	for _, tt := range []struct {
		name, provider string
		api            llmproxy.APIType
		path, model    string
		rules          []interceptors.CachingRule
		in, want       string
	}{
		{"an hour", "anthropic", llmproxy.APIMessages, "/messages", "claude-opus-4-5", long, claude, claudeMarked(markedTTL)},
		{"Vertex", "vertexai", llmproxy.APIMessages, "/x:rawPredict", "claude-opus-4-5", nil, claude, claudeMarked(marked)},
		{"a model too old", "anthropic", llmproxy.APIMessages, "/messages", "claude-2.1", nil, claude, claude},
		{"InvokeModel", "bedrock", llmproxy.APIInvokeModel, "/model/m/invoke", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", long, claude, claudeMarked(markedTTL)},
		{"InvokeModel without an hour", "bedrock", llmproxy.APIInvokeModel, "/model/m/invoke", "us.anthropic.claude-3-7-sonnet-20250219-v1:0", long, claude, claudeMarked(marked)},
		{"InvokeModel of others", "bedrock", llmproxy.APIInvokeModel, "/model/m/invoke", "amazon.nova-pro-v1:0", nil, claude, claude},
		{"Claude 3 at Bedrock", "bedrock", llmproxy.APIInvokeModel, "/model/m/invoke", "anthropic.claude-3-haiku-20240307-v1:0", nil, claude, claude},
		{
			"Converse", "bedrock", llmproxy.APIConverse, "/model/m/converse", "anthropic.claude-sonnet-4-5-20250929-v1:0", nil, converse,
			`{"system":[{"text":"s"},` + point + `],"toolConfig":{"tools":[{"toolSpec":{}},` + point + `]},"messages":[{"role":"user","content":[{"text":"hi"}]},{"role":"assistant","content":[{"toolUse":{}},` + point + `]}]}`,
		},
		{
			"Converse, an hour", "bedrock", llmproxy.APIConverse, "/model/m/converse", "anthropic.claude-sonnet-4-5-20250929-v1:0", long, result,
			`{"messages":[{"role":"user","content":[{"text":"hi"}]},{"role":"user","content":[{"toolResult":{}},` + pointTTL + `]}]}`,
		},
		{
			"Nova has no marks on tools", "bedrock", llmproxy.APIConverse, "/model/m/converse", "us.amazon.nova-pro-v1:0", long, converse,
			`{"system":[{"text":"s"},` + point + `],"toolConfig":{"tools":[{"toolSpec":{}}]},"messages":[{"role":"user","content":[{"text":"hi"},` + point + `]},{"role":"assistant","content":[{"toolUse":{}}]}]}`,
		},
		{"Llama has none", "bedrock", llmproxy.APIConverse, "/model/m/converse", "meta.llama3-70b-instruct-v1:0", nil, converse, converse},
		{"Converse, a point of the client's", "bedrock", llmproxy.APIConverse, "/model/m/converse", "anthropic.claude-sonnet-4-5-20250929-v1:0", nil, `{"system":[{"text":"s"},` + point + `],"messages":[]}`, `{"system":[{"text":"s"},` + point + `],"messages":[]}`},
		{"OpenAI", "openai", llmproxy.APIChatCompletions, "/chat/completions", "gpt-5-mini", plain, chat, key("")},
		{"OpenAI, a day", "openai", llmproxy.APIChatCompletions, "/chat/completions", "gpt-5-mini", long, chat, key(`,"prompt_cache_retention":"24h"`)},
		{"OpenAI, no day", "openai", llmproxy.APIChatCompletions, "/chat/completions", "gpt-4o", long, chat, key("")},
		{"OpenAI, a forced day", "openai", llmproxy.APIChatCompletions, "/chat/completions", "ours", []interceptors.CachingRule{{Style: interceptors.CachingOpenAI, Long: true, Key: "k"}}, chat, key(`,"prompt_cache_retention":"24h"`)},
		{"OpenAI, options of the client's", "openai", llmproxy.APIChatCompletions, "/chat/completions", "gpt-5-mini", long, `{"prompt_cache_options":{},` + chat[1:], `{"prompt_cache_key":"k","prompt_cache_options":{},` + chat[1:]},
		{"OpenAI, a key of the client's", "openai", llmproxy.APIChatCompletions, "/chat/completions", "gpt-5-mini", plain, `{"prompt_cache_key":"mine"}`, `{"prompt_cache_key":"mine"}`},
		{"an empty body", "openai", llmproxy.APIChatCompletions, "/chat/completions", "gpt-5-mini", plain, ` { }`, ` {"prompt_cache_key":"k" }`},
		{"Azure", "azure", llmproxy.APIResponses, "/openai/v1/responses", "ours", plain, chat, key("")},
		{"compacting", "openai", llmproxy.APIResponses, "/responses/compact", "gpt-5-mini", plain, chat, chat},
		{"embeddings", "openai", llmproxy.APIEmbeddings, "/embeddings", "gpt-5-mini", plain, chat, chat},
		{"xAI, Responses", "xai", llmproxy.APIResponses, "/responses", "grok-4", long, chat, key("")},
		{"a model of OpenAI's at Fireworks", "fireworks", llmproxy.APIChatCompletions, "/chat/completions", "accounts/fireworks/models/gpt-oss-120b", plain, chat, chat},
		{"Gemini", "googleai", llmproxy.APIGenerateContent, "/models/gemini-2.5-pro:generateContent", "gemini-2.5-pro", plain, `{"contents":[]}`, `{"contents":[]}`},
		{"Groq", "groq", llmproxy.APIChatCompletions, "/chat/completions", "llama-3.3-70b-versatile", plain, chat, chat},
		{"a provider of another name", "mine", llmproxy.APIChatCompletions, "/chat/completions", "m", plain, chat, chat},
		{"a rule's style", "mine", llmproxy.APIChatCompletions, "/chat/completions", "m", []interceptors.CachingRule{{Providers: []string{"MI*"}, Style: interceptors.CachingOpenAI, Key: "k"}}, chat, key("")},
		{"off", "openai", llmproxy.APIChatCompletions, "/chat/completions", "gpt-5-mini", []interceptors.CachingRule{{Models: []string{"*5-m*i"}, Off: true}, {Key: "k"}}, chat, chat},
		{"the first rule that matches", "openai", llmproxy.APIChatCompletions, "/chat/completions", "gpt-5-mini", []interceptors.CachingRule{{Models: []string{"gpt-4*", "*nano"}, Off: true}, {Providers: []string{"x"}, Off: true}, {Key: "k"}}, chat, key("")},
	} {
		c := &interceptors.PromptCaching{Rules: tt.rules}
		if got := cachedBody(t, c, tt.provider, tt.api, tt.path, tt.model, tt.in); got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
	styles := &interceptors.PromptCaching{Styles: map[string]interceptors.CachingStyle{"mine": interceptors.CachingOpenAI, "openai": ""}, Rules: plain}
	if got := cachedBody(t, styles, "mine", llmproxy.APIChatCompletions, "/chat/completions", "m", chat); got != key("") {
		t.Errorf("a style by name: got %s", got)
	}
	if got := cachedBody(t, styles, "openai", llmproxy.APIChatCompletions, "/chat/completions", "m", chat); got != chat {
		t.Errorf("no style by name: got %s", got)
	}
}

// request is an exchange with a provider of that name.
func request(t *testing.T, provider string, api llmproxy.APIType, path, model, body string) *llmproxy.Exchange {
	t.Helper()
	b, err := llmproxy.ParseBody([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	id, _ := wire.String(wire.Member([]byte(body), "previous_response_id"))
	return &llmproxy.Exchange{
		ID: "x", Header: http.Header{}, Body: b, Meta: llmproxy.BodyMetadata{Model: model, PreviousResponseID: id},
		Operation: llmproxy.Operation{API: api, Path: path, JSON: true, Metered: true},
		Route:     llmproxy.Route{Provider: &llmproxy.BaseProvider{ID: provider}},
	}
}

// cachedExchange is what c passes on of x.
func cachedExchange(t *testing.T, c *interceptors.PromptCaching, x *llmproxy.Exchange) (y *llmproxy.Exchange) {
	t.Helper()
	_, err := c.Intercept(t.Context(), x, func(_ context.Context, z *llmproxy.Exchange) (*llmproxy.Reply, error) {
		y = z
		return nil, errPlanned
	})
	if err != errPlanned { //nolint:errorlint // as it was returned
		t.Fatal(err)
	}
	return y
}

func cachedBody(t *testing.T, c *interceptors.PromptCaching, provider string, api llmproxy.APIType, path, model, body string) string {
	t.Helper()
	y := cachedExchange(t, c, request(t, provider, api, path, model, body))
	if err := wire.Check(y.Body.Bytes(), y.Edits...); err != nil {
		t.Fatal(err)
	}
	return string(wire.Splice(y.Body.Bytes(), y.Edits...))
}

func TestCachingHeaders(t *testing.T) {
	t.Parallel()
	const chat = `{"messages":[{"role":"user","content":"hi"}]}`
	for _, tt := range []struct {
		name, provider string
		api            llmproxy.APIType
		path, tenant   string
		in, want       http.Header
	}{
		{
			"xAI", "xai", llmproxy.APIChatCompletions, "/chat/completions", "team",
			http.Header{"X-Cache-Key": {"c"}},
			http.Header{"X-Cache-Key": {"c"}, "X-Grok-Conv-Id": {"team:c"}},
		},
		{
			"xAI, the client's", "xai", llmproxy.APIChatCompletions, "/chat/completions", "team",
			http.Header{"X-Cache-Key": {"c"}, "X-Grok-Conv-Id": {"mine"}},
			http.Header{"X-Cache-Key": {"c"}, "X-Grok-Conv-Id": {"mine"}},
		},
		{
			"Fireworks", "fireworks", llmproxy.APIChatCompletions, "/chat/completions", "team",
			http.Header{"X-Cache-Key": {"c"}},
			http.Header{"X-Cache-Key": {"c"}, "X-Session-Affinity": {"team:c"}, "X-Prompt-Cache-Isolation-Key": {"team:"}},
		},
		{
			"Fireworks, nobody's", "fireworks", llmproxy.APIResponses, "/responses", "",
			http.Header{"X-Cache-Key": {"c"}},
			http.Header{"X-Cache-Key": {"c"}, "X-Session-Affinity": {"c"}},
		},
		{
			// A tenant may divide its own namespace, and reaches no other.
			"Fireworks, the client's", "fireworks", llmproxy.APIChatCompletions, "/chat/completions", "team",
			http.Header{"X-Session-Affinity": {"mine"}, "X-Prompt-Cache-Isolation-Key": {"other:"}},
			http.Header{"X-Session-Affinity": {"mine"}, "X-Prompt-Cache-Isolation-Key": {"team:other:"}},
		},
		{
			"no-cache", "fireworks", llmproxy.APIChatCompletions, "/chat/completions", "team",
			http.Header{"Cache-Control": {"max-age=0, No-Cache"}},
			http.Header{"Cache-Control": {"max-age=0, No-Cache"}},
		},
		{
			"no-store", "xai", llmproxy.APIChatCompletions, "/chat/completions", "team",
			http.Header{"Cache-Control": {"private", "no-store"}},
			http.Header{"Cache-Control": {"private", "no-store"}},
		},
	} {
		x := request(t, tt.provider, tt.api, tt.path, "m", chat)
		before := fmt.Sprint(tt.in)
		x.Header, x.Caller = tt.in, llmproxy.Caller{Key: tt.tenant}
		y := cachedExchange(t, &interceptors.PromptCaching{}, x)
		if fmt.Sprint(y.Header) != fmt.Sprint(tt.want) || len(y.Edits) != 0 {
			t.Errorf("%s: got %v %v, want %v", tt.name, y.Header, y.Edits, tt.want)
		}
		if fmt.Sprint(x.Header) != before {
			t.Errorf("%s: the client's header became %v", tt.name, x.Header)
		}
	}
}

// keyOf is the key that x gets at OpenAI.
func keyOf(t *testing.T, c *interceptors.PromptCaching, x *llmproxy.Exchange) string {
	t.Helper()
	y := cachedExchange(t, c, x)
	key, _ := wire.String(wire.Member(wire.Splice(y.Body.Bytes(), y.Edits...), "prompt_cache_key"))
	return key
}

func TestCacheKeyPriority(t *testing.T) {
	t.Parallel()
	ask := func(tenant, header string) *llmproxy.Exchange {
		x := request(t, "openai", llmproxy.APIResponses, "/responses", "gpt-5-mini", `{"input":"hi"}`)
		x.Caller.Key = tenant
		if header != "" {
			x.Header.Set("X-Cache-Key", header)
		}
		return x
	}
	configured := &interceptors.PromptCaching{Rules: []interceptors.CachingRule{{Key: "ruled"}}}
	for _, tt := range []struct {
		c              *interceptors.PromptCaching
		tenant, header string
		want           string
	}{
		{configured, "team", "c", "team:c"},
		{configured, "team", "", "team:ruled"},
		{configured, "", "", "ruled"},
		{&interceptors.PromptCaching{Namespace: func(x *llmproxy.Exchange) string { return "org-" + x.Caller.Key }}, "7", "c", "org-7:c"},
	} {
		if got := keyOf(t, tt.c, ask(tt.tenant, tt.header)); got != tt.want {
			t.Errorf("%q %q: got %q, want %q", tt.tenant, tt.header, got, tt.want)
		}
	}
	derived := keyOf(t, &interceptors.PromptCaching{}, ask("team", ""))
	if name, ok := strings.CutPrefix(derived, "team:"); !ok || len(name) != 32 {
		t.Errorf("derived: got %q", derived)
	}
	// Whoever the pairs are chosen by, different ones have different keys that fit.
	seen := map[string]string{}
	for _, pair := range [][2]string{
		{"a", "b:c"},
		{"a:b", "c"},
		{"", "a:b:c"},
		{"a:b:c", ""},
		{"", "abc"},
		{"a", "bc"},
		{"", "h:0"},
		{"h", "0"},
		{"a", strings.Repeat("x", 100)},
		{"a", strings.Repeat("x", 101)},
		{"a", "sp ace"},
		{"a", "é"},
		{strings.Repeat("t", 80), "c"},
	} {
		if pair[1] == "" {
			continue // no key is no name
		}
		got := keyOf(t, &interceptors.PromptCaching{}, ask(pair[0], pair[1]))
		if other, dup := seen[got]; dup || got == "" || len(got) > 64 || strings.ContainsFunc(got, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("%q: got %q, as %s", pair, got, other)
		}
		seen[got] = fmt.Sprint(pair)
	}
}

// The key of a conversation is that of its first turn, and another's is another.
func TestDerivedKeyStaysTheSame(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		api        llmproxy.APIType
		path       string
		same       []string // turns of one conversation
		others     []string
		unnameable string
	}{
		{
			"chat", llmproxy.APIChatCompletions, "/chat/completions",
			[]string{
				`{"tools":[{"a":1}],"messages":[{"role":"system","content":"s"},{"role":"user","content":"hi"}]}`,
				`{"temperature":1,"messages":[{"role":"system","content":"s"},{"role":"user","content":"hi"},{"role":"assistant","content":"yes?"},{"role":"user","content":"more"}],"tools":[{"a":1}]}`,
			},
			[]string{
				`{"messages":[{"role":"system","content":"s"},{"role":"user","content":"hi"}]}`,
				`{"tools":[{"a":1}],"messages":[{"role":"system","content":"t"},{"role":"user","content":"hi"}]}`,
				`{"tools":[{"a":1}],"messages":[{"role":"system","content":"s"},{"role":"user","content":"ho"}]}`,
			},
			`{"messages":1}`,
		},
		{
			"responses", llmproxy.APIResponses, "/responses",
			[]string{
				`{"instructions":"s","input":[{"role":"user","content":"hi"}]}`,
				`{"input":[{"role":"user","content":"hi"},{"role":"assistant","content":"yes?"},{"role":"user","content":"more"}],"instructions":"s"}`,
			},
			[]string{`{"instructions":"s","input":"hi"}`, `{"input":[{"role":"user","content":"hi"}]}`, `{"prompt":{"id":"p"}}`},
			`{"input":[]}`,
		},
	} {
		keys := map[string]bool{}
		for _, body := range append(tt.same, tt.others...) {
			keys[keyOf(t, &interceptors.PromptCaching{}, request(t, "openai", tt.api, tt.path, "m", body))] = true
		}
		if len(keys) != 1+len(tt.others) || keys[""] {
			t.Errorf("%s: got %v", tt.name, keys)
		}
		if got := keyOf(t, &interceptors.PromptCaching{}, request(t, "openai", tt.api, tt.path, "m", tt.unnameable)); got != "" {
			t.Errorf("%s: %s has the key %s", tt.name, tt.unnameable, got)
		}
	}
}

// A response that goes on from another has its key, over HTTP and on a WebSocket, for the
// same tenant.
func TestDerivedKeyOfAContinuation(t *testing.T) {
	t.Parallel()
	c := &interceptors.PromptCaching{}
	s := newSiteOf(t, llmproxy.Caller{Key: "team"}, c)
	s.post("/v1/responses", `{"model":"gpt-5-mini","instructions":"s","input":"hi"}`)
	first := s.record()
	s.post("/v1/responses", `{"model":"gpt-5-mini","instructions":"s","input":"more","previous_response_id":"`+first.ResponseID+`"}`)
	second := s.record()
	s.post("/v1/responses", `{"model":"gpt-5-mini","instructions":"s","input":"still more","previous_response_id":"`+second.ResponseID+`"}`)
	_ = s.record()
	keys := map[string]int{}
	for _, body := range s.sent() {
		key, _ := wire.String(wire.Member([]byte(body), "prompt_cache_key"))
		keys[key]++
	}
	if len(keys) != 1 || keys[""] != 0 {
		t.Errorf("got %v", keys)
	}

	stranger := request(t, "openai", llmproxy.APIResponses, "/responses", "m", `{"instructions":"s","input":"more","previous_response_id":"`+first.ResponseID+`"}`)
	stranger.Caller.Key = "other"
	same := request(t, "openai", llmproxy.APIResponses, "/responses", "m", `{"instructions":"s","input":"more","previous_response_id":"`+first.ResponseID+`"}`)
	same.Caller.Key = "team"
	if got := keyOf(t, c, same); keys[got] != 3 {
		t.Errorf("its own: got %s, want %v", got, keys)
	}
	unknown := keyOf(t, c, stranger)
	if got := strings.TrimPrefix(unknown, "other:"); got == "" || keys["team:"+got] != 0 {
		t.Errorf("a stranger: got %s of %v", got, keys)
	}
	// What it says is not what the conversation began with.
	later := request(t, "openai", llmproxy.APIResponses, "/responses", "m", `{"instructions":"s","input":"still more","previous_response_id":"resp_unknown"}`)
	later.Caller.Key = "other"
	if got := keyOf(t, c, later); got != unknown {
		t.Errorf("later: got %s, want %s", got, unknown)
	}
}

// Marks go together with the edits of others; where they cannot, nothing is marked.
func TestCachingWithOthersEdits(t *testing.T) {
	t.Parallel()
	const body = `{"system":"secret","messages":[{"role":"user","content":"hi"}]}`
	x := request(t, "anthropic", llmproxy.APIMessages, "/messages", "claude-opus-4-5", body)
	at := strings.Index(body, `"secret"`)
	x.Edits = []wire.Edit{{Span: wire.Span{Start: at, End: at + len(`"secret"`)}, New: []byte(`"[gone]"`)}}
	y := cachedExchange(t, &interceptors.PromptCaching{}, x)
	want := `{"system":[{"type":"text","text":"[gone]",` + marked + `}],"messages":[{"role":"user","content":[{"type":"text","text":"hi",` + marked + `}]}]}`
	if got := string(wire.Splice(y.Body.Bytes(), y.Edits...)); got != want || len(x.Edits) != 1 {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}

	x = x.Clone()
	at = strings.Index(body, `[{"role"`)
	x.Edits = append(x.Edits[:1:1], wire.Edit{Span: wire.Span{Start: at, End: len(body) - 1}, New: []byte(`[]`)})
	if y := cachedExchange(t, &interceptors.PromptCaching{}, x); len(y.Edits) != 2 {
		t.Errorf("got %+v", y.Edits)
	}

	// Twice the same is once.
	c := &interceptors.PromptCaching{}
	once := cachedExchange(t, c, request(t, "anthropic", llmproxy.APIMessages, "/messages", "claude-opus-4-5", body))
	if again := cachedExchange(t, c, once); len(again.Edits) != len(once.Edits) || len(once.Edits) != 4 {
		t.Errorf("got %+v, then %+v", once.Edits, again.Edits)
	}
}

// A simulated provider, which refuses what is not right, takes what is sent, caches what is
// marked, and reports it; inside and outside of a retry.
func TestCachingOverTheWire(t *testing.T) {
	t.Parallel()
	for _, inside := range []bool{false, true} {
		var told []llmproxy.CacheUsage
		c := &interceptors.PromptCaching{OnUsage: func(r *llmproxy.Record, u llmproxy.CacheUsage) {
			if u != r.Usage.Cache() {
				t.Errorf("told of %+v, and of %+v", u, r.Usage)
			}
			told = append(told, u)
		}}
		is := []llmproxy.Interceptor{twice(), c}
		if !inside {
			is = []llmproxy.Interceptor{c, twice()}
		}
		s := newSite(t, is...)
		for _, tt := range []struct{ path, body string }{
			{"/v1/messages", `{"model":"claude-sonnet-4-5","max_tokens":10,"system":"one two three","messages":[{"role":"user","content":"four five"}]}`},
			{"/v1/messages", `{"model":"claude-sonnet-4-5","max_tokens":10,"stream":true,"system":"one two three","messages":[{"role":"user","content":"four five"}]}`},
			{"/model/anthropic.claude-sonnet-4-5-20250929-v1:0/converse", `{"system":[{"text":"one two three"}],"messages":[{"role":"user","content":[{"text":"four five"}]}]}`},
			{"/model/anthropic.claude-sonnet-4-5-20250929-v1:0/converse-stream", `{"system":[{"text":"one two three"}],"messages":[{"role":"user","content":[{"text":"four five"}]}]}`},
		} {
			told = nil
			resp, answer := s.post(tt.path, tt.body)
			r := s.record()
			if want := (llmproxy.CacheUsage{CachedTokens: 3, CacheCreationTokens: 2}); resp.StatusCode != 200 || len(told) != 1 || told[0] != want || r.Usage.Cache() != want {
				t.Errorf("inside %v, %s: got %d %s, told %v, record %+v", inside, tt.path, resp.StatusCode, answer, told, r.Usage)
			}
			sent := s.sent()
			told = nil
			if resp, _ := s.post(tt.path, tt.body, "X-Simulate", "status=503"); resp.StatusCode != 503 || len(told) != 0 {
				t.Errorf("inside %v, %s: got %d, told %v", inside, tt.path, resp.StatusCode, told)
			}
			if r := s.record(); len(r.Attempts) != 2 {
				t.Errorf("inside %v, %s: attempts %+v", inside, tt.path, r.Attempts)
			}
			for _, again := range s.sent()[len(sent):] {
				if again != sent[len(sent)-1] {
					t.Errorf("inside %v, %s: a later attempt was\n%s\nnot\n%s", inside, tt.path, again, sent[len(sent)-1])
				}
			}
		}
	}
}

// Inside of a fallback, each provider gets its own.
func TestCachingFollowsTheProvider(t *testing.T) {
	t.Parallel()
	var groq llmproxy.Provider
	fallback := llmproxy.InterceptorFunc(func(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
		reply, err := next(ctx, x)
		if err == nil {
			_ = reply.Stream.Close()
		}
		y := x.Clone()
		y.Route = llmproxy.Route{Provider: groq, Model: "llama-3.3-70b-versatile"}
		return next(ctx, y)
	})
	s := newSite(t, fallback, &interceptors.PromptCaching{})
	groq = s.providers["groq"]
	const body = `{"model":"gpt-5-mini","messages":[{"role":"user","content":"hi"}]}`
	if resp, answer := s.post("/v1/chat/completions", body); resp.StatusCode != 200 {
		t.Fatalf("got %d %s", resp.StatusCode, answer)
	}
	sent := s.sent()
	if len(sent) != 2 || !strings.HasPrefix(sent[0], `{"prompt_cache_key":"`) || sent[1] != strings.Replace(body, "gpt-5-mini", "llama-3.3-70b-versatile", 1) {
		t.Errorf("got %q", sent)
	}
}

// On a WebSocket a turn has its key in its message; the handshake's Cache-Control, which
// browsers send, keeps nothing from it.
func TestCachingOfTurns(t *testing.T) {
	t.Parallel()
	s := newSite(t, &interceptors.PromptCaching{})
	create := `{"type":"response.create","model":"gpt-5-mini","store":false,"input":"hi"}`
	s.turns([]string{"X-Cache-Key", "conversation", "Cache-Control", "no-cache"}, create)
	_ = s.record()
	if got, want := <-s.frames, `{"prompt_cache_key":"conversation",`+create[1:]; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Whatever a body is like, what is sent is JSON, and is the client's but for the marks.
func FuzzCaching(f *testing.F) {
	for _, body := range []string{
		messages(`"system":"s","messages":[{"role":"user","content":"hi"}]`),
		messages(`"system":[{"type":"text","text":"s"}],"tools":[{}],"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]`),
		`{"system":[{"text":"s"}],"toolConfig":{"tools":[{"toolSpec":{}}]},"messages":[{"role":"user","content":[{"text":"hi"}]}]}`,
		messages(`"tools":[{}]`),
		messages(`"tools":[{"name":"a"},{ }]`),
		`{"input":[{"role":"user"}],"instructions":"é"}`,
		` { } `,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if _, err := llmproxy.ParseBody([]byte(body)); err != nil {
			t.Skip("this input is not for the property")
		}
		for _, as := range []struct {
			provider string
			api      llmproxy.APIType
			path     string
		}{
			{"anthropic", llmproxy.APIMessages, "/messages"},
			{"bedrock", llmproxy.APIConverse, "/model/m/converse"},
			{"openai", llmproxy.APIResponses, "/responses"},
			{"openai", llmproxy.APIChatCompletions, "/chat/completions"},
		} {
			y := cachedExchange(t, &interceptors.PromptCaching{}, request(t, as.provider, as.api, as.path, "anthropic.claude-opus-4-5", body))
			sent := wire.Splice(y.Body.Bytes(), y.Edits...)
			if !wire.Valid(sent) {
				t.Fatalf("%s: %q became %q", as.api, body, sent)
			}
			back := string(sent)
			for _, e := range y.Edits {
				if e.Start != e.End {
					t.Errorf("%s: %q is replaced", as.api, body[e.Start:e.End])
				}
				back = strings.Replace(back, string(e.New), "", 1)
			}
			if len(back) != len(body) {
				t.Errorf("%s: %q became %q", as.api, body, sent)
			}
		}
	})
}
