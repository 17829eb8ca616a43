package googleai_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/googleai"
	"github.com/llmproxy/llmproxy/providers/internal/provider/providertest"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

func TestProvider(t *testing.T) {
	t.Parallel()
	c := googleai.Config{APIKey: ourKey, Models: []string{"my-*"}, Timeout: time.Minute}
	p, err := googleai.New(c)
	if err != nil {
		t.Fatal(err)
	}
	c.Models[0] = "changed"
	settings := p.Settings()
	rejects := settings.RejectsKey
	settings.RejectsKey = nil
	if want := (llmproxy.Settings{Timeout: time.Minute, KeyQuery: []string{"key", "access_token"}}); !reflect.DeepEqual(settings, want) {
		t.Errorf("settings are %+v, want %+v", settings, want)
	}
	for body, want := range map[string]bool{
		`{"error":{"code":400,"status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}`: true,
		`{"error":{"code":400,"status":"INVALID_ARGUMENT","message":"API_KEY_INVALID is no model"}}`:                                                     false,
		``: false,
	} {
		if got := rejects([]byte(body)); got != want {
			t.Errorf("%s: rejects the key %t", body, got)
		}
	}
	want := llmproxy.Routing{
		Models: []string{"my-*"},
		BuiltIn: []string{
			"gemini-*", "gemma-*", "models/gemini-*", "models/gemma-*", "learnlm-*",
			"text-embedding-004", "imagen-*", "veo-*",
		},
		Prefixes: []string{"google", "gemini"},
		Paths:    []llmproxy.APIType{llmproxy.APIGenerateContent},
	}
	if diff := cmp.Diff(want, p.Routing()); diff != "" {
		t.Errorf("routing, want - got +:\n%s", diff)
	}
	var speaks []llmproxy.APIType
	for api, how := range p.Speaks {
		if how.NewExtractor == nil || how.IncludeUsage {
			t.Errorf("%s: %+v", api, how)
		}
		speaks = append(speaks, api)
	}
	slices.Sort(speaks)
	if want := []llmproxy.APIType{"chat_completions", "embeddings", "generate_content", "images"}; !slices.Equal(speaks, want) {
		t.Errorf("speaks %v, want %v", speaks, want)
	}
	if got := p.Name(); got != "googleai" {
		t.Errorf("named %s", got)
	}
	if named, err := googleai.New(googleai.Config{Name: "g"}); err != nil || named.Name() != "g" {
		t.Errorf("got %v, %v, want a provider named g", named, err)
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	const body = `{"contents":[]}`
	for _, tt := range []struct{ method, client, want string }{
		{"POST", "/v1beta/models/gemini-2.5-flash:generateContent", "/v1beta/models/gemini-2.5-flash:generateContent"},
		{"POST", "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"},
		{"POST", "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse&key=x", "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"},
		{"POST", "/v1beta/models/gemini-2.5-flash:countTokens", "/v1beta/models/gemini-2.5-flash:countTokens"},
		{"POST", "/v1beta/models/gemini-embedding-001:batchEmbedContents", "/v1beta/models/gemini-embedding-001:batchEmbedContents"},
		{"POST", "/v1beta/models/models/gemini-2.5-flash:generateContent", "/v1beta/models/gemini-2.5-flash:generateContent"},
		{"POST", "/v1beta/models/google/models%2Fgemini-2.5-flash:generateContent", "/v1beta/models/gemini-2.5-flash:generateContent"},
		{"POST", "/v1beta/models/veo-3:predictLongRunning?x=1", "/v1beta/models/veo-3:predictLongRunning?x=1"},
		{"GET", "/v1beta/models?pageSize=5&key=x", "/v1beta/models?pageSize=5"},
		{"GET", "/v1beta/models/gemini-2.5-flash", "/v1beta/models/gemini-2.5-flash"},
		{"GET", "/v1/models", "/v1beta/openai/models"},
		{"POST", "/googleai/v1beta/models/gemini-2.5-flash:generateContent?%24alt=json", "/v1beta/models/gemini-2.5-flash:generateContent?%24alt=json"},
		{"POST", "/googleai/v1beta/models/models%2Fx:generateContent", "/v1beta/models/models%2Fx:generateContent"},
		{"POST", "/googleai/v1alpha/models/gemini-2.5-flash:generateContent", "/v1alpha/models/gemini-2.5-flash:generateContent"},
		{"GET", "/googleai/v1beta/cachedContents?pageSize=1", "/v1beta/cachedContents?pageSize=1"},
		{"POST", "/googleai/v1beta/openai/chat/completions", "/v1beta/openai/chat/completions"},
		{"POST", "/googleai/upload/v1beta/files?uploadType=multipart", "/upload/v1beta/files?uploadType=multipart"},
	} {
		g := newRig(t, googleai.Config{APIKey: ourKey})
		if got := g.Do(tt.method, tt.client, body, nil); got.Reply.Status != http.StatusOK || sentOf(got) != (sent{tt.want, body, ourKey}) {
			t.Errorf("%s: %d %s; Google got %v, want %s", tt.client, got.Reply.Status, got.Reply.Body, sentOf(got), tt.want)
		}
	}
}

func TestBaseURLs(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"", "/", "/v1beta", "/v1beta/", "/v1beta/openai", "/v1beta/openai/"} {
		for _, root := range []string{"http://host", "http://host/below"} {
			p, err := googleai.New(googleai.Config{BaseURL: root + base})
			if err != nil {
				t.Errorf("%s: %v", root+base, err)
				continue
			}
			for api, want := range map[llmproxy.APIType]string{
				llmproxy.APIGenerateContent: root + "/v1beta/x", llmproxy.APIChatCompletions: root + "/v1beta/openai/x",
				llmproxy.APIEmbeddings: root + "/v1beta/openai/x", "files": root + "/v1beta/openai/x",
			} {
				u, err := p.Resolve(&llmproxy.Exchange{Operation: llmproxy.Operation{API: api, Path: "/x"}})
				if err != nil || u.String() != want {
					t.Errorf("%s: got %v, %v, want %s", root+base, u, err, want)
				}
			}
			u, err := p.Resolve(&llmproxy.Exchange{Operation: llmproxy.Operation{Path: "/v1/x", Mount: true}})
			if err != nil || u.String() != root+"/v1/x" {
				t.Errorf("%s, mount: got %v, %v", root+base, u, err)
			}
		}
	}
	p, err := googleai.New(googleai.Config{})
	if err != nil {
		t.Fatal(err)
	}
	u, err := p.Resolve(&llmproxy.Exchange{Operation: llmproxy.Operation{API: llmproxy.APIGenerateContent, Path: "/models"}})
	if want := "https://generativelanguage.googleapis.com/v1beta/models"; err != nil || u.String() != want {
		t.Errorf("got %v, %v, want %s", u, err, want)
	}
}

// The OpenAI-compatible API: requests stay as they are, usage is on every chunk.
func TestChatCompletions(t *testing.T) {
	t.Parallel()
	const stream = `data: {"choices":[{"delta":{"content":"hi","role":"assistant"},"index":0}],"created":1,"id":"c1","model":"gemini-2.5-flash","object":"chat.completion.chunk","usage":{"completion_tokens":1,"prompt_tokens":7,"total_tokens":58}}` + "\n\n" +
		`data: {"choices":[{"delta":{"role":"assistant"},"finish_reason":"stop","index":0}],"created":1,"id":"c1","model":"gemini-2.5-flash","object":"chat.completion.chunk","usage":{"completion_tokens":5,"prompt_tokens":7,"total_tokens":112}}` + "\n\ndata: [DONE]\n\n"
	for _, target := range []string{"/v1/chat/completions", "/googleai/v1beta/openai/chat/completions", "/"} {
		g := newRig(t, googleai.Config{APIKey: ourKey})
		g.Answers(200, map[string]string{"content-type": "text/event-stream"}, stream)
		const body = `{"model":"gemini-2.5-flash","stream":true,"messages":[]}`
		got := g.Post(target, body)
		if got.Reply.Body != stream {
			t.Errorf("%s: got %q", target, got.Reply.Body)
		}
		if want := (sent{"/v1beta/openai/chat/completions", body, ourKey}); sentOf(got) != want {
			t.Errorf("%s: Google got %v, want %v", target, sentOf(got), want)
		}
		r := got.Record
		if want := (llmproxy.Usage{PromptTokens: 7, CompletionTokens: 105, Reasoning: 100}); r.Usage != want || r.UsageSource != llmproxy.UsageProvider || r.Outcome != llmproxy.OutcomeCompleted {
			t.Errorf("%s: record %+v", target, r)
		}
	}
}

// A stream without alt=sse is one JSON array.
func TestArrayStream(t *testing.T) {
	t.Parallel()
	const first = `[{"candidates":[{"content":{"parts":[{"text":"hi"}]}}],"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":2,"totalTokenCount":9},"modelVersion":"gemini-2.5-flash","responseId":"r1"}`
	const array = first + "\n,\r\n" + `{"candidates":[{"content":{"parts":[{"text":"!"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":5,"totalTokenCount":12}}` + "\n]\n"
	g := newRig(t, googleai.Config{APIKey: ourKey})
	g.Answers(200, map[string]string{"content-type": "application/json; charset=UTF-8"}, array)
	got := g.Post("/v1beta/models/gemini-2.5-flash:streamGenerateContent", `{"contents":[]}`)
	if a := got.Reply; a.Body != array || a.Header.Get("Content-Length") != "" || a.Trailer.Get("X-Gateway-Prompt-Tokens") != "7" || a.Trailer.Get("X-Gateway-Completion-Tokens") != "5" {
		t.Errorf("got %q, %v, trailer %v", a.Body, a.Header, a.Trailer)
	}
	r := got.Record
	if r.Usage != (llmproxy.Usage{PromptTokens: 7, CompletionTokens: 5}) || r.UsageSource != llmproxy.UsageProvider || r.Outcome != llmproxy.OutcomeCompleted || r.Model != "gemini-2.5-flash" || r.ResponseID != "r1" {
		t.Errorf("record %+v", r)
	}
}

func TestProviderErrors(t *testing.T) {
	t.Parallel()
	const body = `{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED","details":[]}}`
	g := newRig(t, googleai.Config{APIKey: ourKey})
	g.Answers(429, map[string]string{"content-type": "application/json"}, body)
	got := g.Post("/v1beta/models/gemini-2.5-flash:generateContent", `{"contents":[]}`)
	if got.Reply.Status != 429 || got.Reply.Body != body {
		t.Errorf("got %d %s", got.Reply.Status, got.Reply.Body)
	}
	r := got.Record
	want := llmproxy.RecordError{Type: "RESOURCE_EXHAUSTED", Code: "429"}
	if r.Error == nil || *r.Error != want || r.Outcome != llmproxy.OutcomeError || r.UsageSource != llmproxy.UsageNone || r.CostState != llmproxy.CostFree {
		t.Errorf("record %+v with error %+v", r, r.Error)
	}
}

// A rejected key of ours is not the client's business.
func TestRejectedKey(t *testing.T) {
	t.Parallel()
	g := newRig(t, googleai.Config{APIKey: ourKey})
	g.Answers(403, map[string]string{"content-type": "application/json"}, `{"error":{"code":403,"message":"key `+ourKey+` is suspended","status":"PERMISSION_DENIED"}}`)
	got := g.Post("/v1beta/models/gemini-2.5-flash:generateContent", `{"contents":[]}`).Reply
	if want := `{"error":{"code":502,"message":"the provider \"googleai\" rejected the gateway's credential","status":"UNAVAILABLE"}}`; got.Status != 502 || got.Body != want {
		t.Errorf("got %d %s", got.Status, got.Body)
	}
}

func TestClientKeys(t *testing.T) {
	t.Parallel()
	g := newRig(t, googleai.Config{APIKey: ourKey, ClientKeys: true})
	const body = `{"contents":[]}`
	got := sentOf(g.Post("/v1beta/models/gemini-2.5-flash:generateContent?key="+clientKey, body))
	if want := (sent{"/v1beta/models/gemini-2.5-flash:generateContent?key=" + clientKey, body, clientKey}); got != want {
		t.Errorf("Google got %v, want %v", got, want)
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	g := newRig(t, googleai.Config{APIKey: ourKey, Headers: map[string]string{"x-goog-user-project": "p"}})
	header := g.Post("/v1beta/models/gemini-2.5-flash:generateContent", `{"contents":[]}`).Call.Header
	if got := header.Get("X-Goog-User-Project"); got != "p" {
		t.Errorf("X-Goog-User-Project is %q", got)
	}
	for name, values := range header {
		if strings.Contains(strings.Join(values, " "), clientKey) {
			t.Errorf("%s carries the client's key", name)
		}
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		config googleai.Config
		field  string
	}{
		{googleai.Config{Name: "a/b"}, "name"},
		{googleai.Config{BaseURL: ourKey}, "base_url"},
		{googleai.Config{BaseURL: "https://host/?key=" + ourKey}, "base_url"},
		{googleai.Config{APIKey: ourKey + "\n"}, "api_key"},
		{googleai.Config{Headers: map[string]string{"Host": ourKey}}, "headers"},
		{googleai.Config{Models: []string{""}}, "models"},
		{googleai.Config{Timeout: -1}, "timeout"},
	} {
		p, err := googleai.New(tt.config)
		fault, ok := errors.AsType[*googleai.FieldError](err)
		if p != nil || !ok || fault.Field != tt.field || fault.Provider == "" {
			t.Errorf("%s: got %v, %v", tt.field, p, err)
		}
		if strings.Contains(fmt.Sprint(err), ourKey) {
			t.Errorf("%s: the error shows the key: %v", tt.field, err)
		}
	}
}

// The key is in no URL, error, log or record, and nowhere near a client; and however a
// configuration or a provider is printed, it does not show.
func TestKeyStaysIn(t *testing.T) {
	t.Parallel()
	secret := func(what, text string) {
		t.Helper()
		for _, key := range []string{ourKey, clientKey} {
			if strings.Contains(text, key) || strings.Contains(text, fmt.Sprintf("%x", key)) {
				t.Errorf("%s shows a key: %.300s", what, text)
			}
		}
	}
	g := newRig(t, googleai.Config{APIKey: ourKey})
	for _, target := range []string{
		"/v1beta/models/gemini-2.5-flash:generateContent", "/googleai/v1beta/models/gemini-2.5-flash:generateContent?key=" + clientKey,
		"/", "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse&key=" + clientKey,
	} {
		for _, answer := range []http.HandlerFunc{
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
			func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", "https://elsewhere")
				w.WriteHeader(http.StatusTeapot)
			},
		} {
			g.AnswersWith(answer)
			got := g.Post(target, `{"model":"gemini-2.5-flash","contents":[]}`)
			text, err := json.Marshal(got.Record)
			if err != nil {
				t.Fatal(err)
			}
			secret("the URL", got.Call.URI)
			secret("the body sent", got.Call.Body)
			secret("the answer", fmt.Sprint(got.Reply))
			secret("the record", string(text)+fmt.Sprintf("%+v %+v", got.Record, got.Record.Error))
		}
	}
	secret("the log", g.Log())

	unreachable := newRig(t, googleai.Config{APIKey: ourKey, BaseURL: "http://127.0.0.1:1"})
	got := unreachable.Post("/v1beta/models/gemini-2.5-flash:generateContent?key="+clientKey, `{"contents":[]}`)
	if got.Reply.Status != http.StatusBadGateway {
		t.Errorf("status %d", got.Reply.Status)
	}
	secret("an error", fmt.Sprint(got.Reply, got.Record, unreachable.Log()))

	c := googleai.Config{Name: "g", APIKey: ourKey, Headers: map[string]string{"X-Token": ourKey}}
	p, err := googleai.New(c)
	if err != nil {
		t.Fatal(err)
	}
	providertest.Hides(t, c, p, ourKey, clientKey)
	if got, want := c.String(), "provider g (googleai)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Beside OpenAI, each model finds its provider.
func TestBesideOthers(t *testing.T) {
	t.Parallel()
	openai, err := openai_compatible.New(openai_compatible.Config{Type: "openai", BaseURL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	g := newRig(t, googleai.Config{APIKey: ourKey}, llmproxy.WithProvider(openai))
	for model, want := range map[string]string{
		"gemini-2.5-flash": "gemini-2.5-flash", "gemma-3-27b-it": "gemma-3-27b-it", "models/gemini-2.5-flash": "models/gemini-2.5-flash",
		"google/gemini-2.5-flash": "gemini-2.5-flash", "gemini/gemini-2.5-flash": "gemini-2.5-flash", "googleai/gemini-2.5-flash": "gemini-2.5-flash",
		"gemini-embedding-001": "gemini-embedding-001", "text-embedding-004": "text-embedding-004", "learnlm-2": "learnlm-2", "imagen-4": "imagen-4",
	} {
		body := func(model string) string { return `{"input":"a", "model": "` + model + `"}` }
		if got := g.Post("/v1/embeddings", body(model)); got.Reply.Status != 200 || sentOf(got) != (sent{"/v1beta/openai/embeddings", body(want), ourKey}) {
			t.Errorf("%s: %d %s, Google got %v", model, got.Reply.Status, got.Reply.Body, sentOf(got))
		}
	}
	if got := g.Post("/v1/embeddings", `{"input":"a","model":"text-embedding-3-small"}`); got.Reply.Status != 502 || sentOf(got) != (sent{}) {
		t.Errorf("got %d, Google got %v", got.Reply.Status, sentOf(got))
	}
	// A path of Gemini's without a model that is known by name is Google's all the same.
	if got := g.Post("/v1beta/models/new-thing:generateContent", `{}`); got.Reply.Status != 200 || got.Call.URI != "/v1beta/models/new-thing:generateContent" {
		t.Errorf("got %d, Google got %v", got.Reply.Status, sentOf(got))
	}
}
