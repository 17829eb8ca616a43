package vertexai_test

import (
	"context"
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
	"github.com/llmproxy/llmproxy/providers/internal/provider/providertest"
	"github.com/llmproxy/llmproxy/providers/vertexai"
)

// give is a source of one token.
type give string

func (g give) Token(context.Context) (string, time.Time, error) { return string(g), time.Time{}, nil }

func TestProvider(t *testing.T) {
	t.Parallel()
	c := vertexai.Config{Project: "p", AccessToken: ourToken, Models: []string{"my-*"}, Timeout: time.Minute}
	p, err := vertexai.New(c)
	if err != nil {
		t.Fatal(err)
	}
	c.Models[0] = "changed"
	if got, want := p.Settings(), (llmproxy.Settings{Timeout: time.Minute, KeyQuery: []string{"key", "access_token"}}); !reflect.DeepEqual(got, want) {
		t.Errorf("settings are %+v, want %+v", got, want)
	}
	want := llmproxy.Routing{
		Models: []string{"my-*"},
		BuiltIn: []string{
			"gemini-*", "gemma-*", "models/gemini-*", "google/gemini-*", "publishers/*/models/*",
			"text-embedding-004", "text-embedding-005", "text-multilingual-embedding-*", "imagen-*", "veo-*",
		},
		Paths: []llmproxy.APIType{llmproxy.APIGenerateContent},
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
	if want := []llmproxy.APIType{"chat_completions", "generate_content", "messages"}; !slices.Equal(speaks, want) {
		t.Errorf("speaks %v, want %v", speaks, want)
	}
	if got := p.Name(); got != "vertexai" {
		t.Errorf("named %s", got)
	}
}

// Where each location is.
func TestHosts(t *testing.T) {
	t.Parallel()
	const models = "/publishers/google/models/m:generateContent"
	for _, tt := range []struct {
		config vertexai.Config
		want   string
	}{
		{vertexai.Config{Project: "p"}, "https://aiplatform.googleapis.com/v1/projects/p/locations/global" + models},
		{vertexai.Config{Project: "p", Location: "global"}, "https://aiplatform.googleapis.com/v1/projects/p/locations/global" + models},
		{vertexai.Config{Project: "p", Location: "us"}, "https://aiplatform.us.rep.googleapis.com/v1/projects/p/locations/us" + models},
		{vertexai.Config{Project: "p", Location: "eu"}, "https://aiplatform.eu.rep.googleapis.com/v1/projects/p/locations/eu" + models},
		{vertexai.Config{Project: "p", Location: "us-central1"}, "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1" + models},
		{vertexai.Config{Project: "example.com:p", Location: "europe-west4", APIVersion: "v1beta1"}, "https://europe-west4-aiplatform.googleapis.com/v1beta1/projects/example.com:p/locations/europe-west4" + models},
		{vertexai.Config{APIKey: ourKey}, "https://aiplatform.googleapis.com/v1" + models},
		{vertexai.Config{Project: "p", BaseURL: "http://host/"}, "http://host/v1/projects/p/locations/global" + models},
		{vertexai.Config{Project: "p", BaseURL: "http://host/v1"}, "http://host/v1/projects/p/locations/global" + models},
		{vertexai.Config{Project: "p", BaseURL: "http://host/v1beta1/"}, "http://host/v1/projects/p/locations/global" + models},
		{vertexai.Config{Project: "p", BaseURL: "http://host/below/v1", APIVersion: "v1beta1"}, "http://host/below/v1beta1/projects/p/locations/global" + models},
	} {
		p, err := vertexai.New(tt.config)
		if err != nil {
			t.Errorf("%s: %v", tt.want, err)
			continue
		}
		x := &llmproxy.Exchange{Method: "POST", Operation: llmproxy.Operation{API: llmproxy.APIGenerateContent, Path: "/models/m:generateContent"}}
		if u, err := p.Resolve(x); err != nil || u.String() != tt.want {
			t.Errorf("got %v, %v, want %s", u, err, tt.want)
		}
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	const (
		body   = `{"contents":[]}`
		parent = "/v1/projects/p/locations/global"
	)
	for _, tt := range []struct{ method, client, want string }{
		{"POST", "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse&key=x", parent + "/publishers/google/models/gemini-2.5-flash:streamGenerateContent?alt=sse"},
		{"POST", "/v1beta/models/gemini-2.5-flash:countTokens", parent + "/publishers/google/models/gemini-2.5-flash:countTokens"},
		{"POST", "/v1beta/models/meta/llama-3:generateContent", parent + "/publishers/meta/models/llama-3:generateContent"},
		{"POST", "/v1beta/models/publishers/meta/models/llama-3@1:generateContent", parent + "/publishers/meta/models/llama-3@1:generateContent"},
		{"POST", "/v1beta/models/projects/1/locations/us/endpoints/2:generateContent", "/v1/projects/1/locations/us/endpoints/2:generateContent"},
		{"POST", "/v1beta/models/a%3Ab/c%20d:generateContent", parent + "/publishers/a%3Ab/models/c%20d:generateContent"},
		{"GET", "/v1beta/models?pageSize=5", "/v1/publishers/google/models?pageSize=5"},
		{"GET", "/v1beta/models/gemini-2.5-flash", "/v1/publishers/google/models/gemini-2.5-flash"},
		{"GET", "/v1/models", "/v1/publishers/google/models"},
		{"POST", "/v1/chat/completions", parent + "/endpoints/openapi/chat/completions"},
		{"POST", "/vertexai/v1/projects/q/locations/us/publishers/google/models/m:predict", "/v1/projects/q/locations/us/publishers/google/models/m:predict"},
		{"GET", "/vertexai/v1beta1/projects/q/locations/us/cachedContents?pageSize=1", "/v1beta1/projects/q/locations/us/cachedContents?pageSize=1"},
	} {
		g := newRig(t, vertexai.Config{Project: "p", Credentials: give(ourToken)})
		if got := g.Do(tt.method, tt.client, body, nil); got.Reply.Status != http.StatusOK || sentOf(got) != (sent{tt.want, body, "", "Bearer " + ourToken}) {
			t.Errorf("%s: %d %s; Google got %v, want %s", tt.client, got.Reply.Status, got.Reply.Body, sentOf(got), tt.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ target, body, want string }{
		{"/v1/messages", `{"model":"claude-sonnet-4-5","max_tokens":1,"messages":[]}`, "Vertex AI takes Messages in a form of its own"},
		{"/v1/messages/count_tokens", `{"model":"claude-sonnet-4-5","messages":[]}`, "Vertex AI takes Messages in a form of its own"},
		{"/v1beta/models/a%2F..%2Fb:generateContent", `{}`, ""},
		{"/v1beta/models/a%2F%2Fb:generateContent", `{}`, "the model is no name of a resource"},
		{"/v1beta/models/a/b/c:generateContent", `{}`, "the model is no name of a resource"},
		{"/v1/responses", `{"model":"gemini-2.5-flash","input":"a"}`, "does not speak the API responses"},
	} {
		g := newRig(t, vertexai.Config{Project: "p", AccessToken: ourToken})
		if got := g.Post(tt.target, tt.body); got.Reply.Status != http.StatusBadRequest || !strings.Contains(got.Reply.Body, tt.want) || sentOf(got) != (sent{}) {
			t.Errorf("%s: got %d %s, Google got %v", tt.target, got.Reply.Status, got.Reply.Body, sentOf(got))
		}
	}
	express := newRig(t, vertexai.Config{APIKey: ourKey})
	if got := express.Post("/v1/chat/completions", `{"model":"google/gemini-2.5-flash","messages":[]}`).Reply; got.Status != http.StatusBadRequest || !strings.Contains(got.Body, "below a project") {
		t.Errorf("got %d %s", got.Status, got.Body)
	}
}

func TestExpressMode(t *testing.T) {
	t.Parallel()
	g := newRig(t, vertexai.Config{APIKey: ourKey})
	const body = `{"contents":[]}`
	for client, want := range map[string]string{
		"/v1beta/models/gemini-2.5-flash:generateContent":                "/v1/publishers/google/models/gemini-2.5-flash:generateContent",
		"/v1beta/models/google/gemini-2.5-flash:generateContent":         "/v1/publishers/google/models/gemini-2.5-flash:generateContent",
		"/vertexai/v1beta1/publishers/google/models/g:generateContent":   "/v1beta1/publishers/google/models/g:generateContent",
		"/vertexai/v1beta1/publishers/google/models/g:countTokens?key=x": "/v1beta1/publishers/google/models/g:countTokens",
	} {
		if got := g.Post(client, body); got.Reply.Status != 200 || sentOf(got) != (sent{want, body, ourKey, ""}) {
			t.Errorf("%s: got %d, Google got %v", client, got.Reply.Status, sentOf(got))
		}
	}
}

// Anthropic's models are asked for on the mount, as Anthropic's SDKs for Vertex AI do.
func TestMessagesOnTheMount(t *testing.T) {
	t.Parallel()
	const (
		body   = `{"anthropic_version":"vertex-2023-10-16","max_tokens":9,"stream":true,"messages":[]}`
		target = "/v1/projects/p/locations/global/publishers/anthropic/models/claude-sonnet-4-5@20250929:streamRawPredict"
		stream = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_vrtx_1\",\"model\":\"claude-sonnet-4-5-20250929\",\"usage\":{\"input_tokens\":12,\"cache_read_input_tokens\":3,\"output_tokens\":1}}}\n\n" +
			"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":15}}\n\n" +
			"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
	)
	g := newRig(t, vertexai.Config{Project: "p", AccessToken: ourToken})
	g.Answers(200, map[string]string{"content-type": "text/event-stream"}, stream)
	got := g.Post("/vertexai"+target, body)
	if got.Reply.Body != stream {
		t.Errorf("got %q", got.Reply.Body)
	}
	if want := (sent{target, body, "", "Bearer " + ourToken}); sentOf(got) != want {
		t.Errorf("Google got %v, want %v", sentOf(got), want)
	}
	r := got.Record
	if want := (llmproxy.Usage{PromptTokens: 15, CacheRead: 3, CompletionTokens: 15}); r.Usage != want || r.API != llmproxy.APIMessages || r.Model != "claude-sonnet-4-5-20250929" || r.Outcome != llmproxy.OutcomeCompleted {
		t.Errorf("record %+v", r)
	}
}

func TestClientKeys(t *testing.T) {
	t.Parallel()
	g := newRig(t, vertexai.Config{Project: "p", AccessToken: ourToken, ClientKeys: true})
	got := sentOf(g.Post("/v1beta/models/gemini-2.5-flash:generateContent?key="+clientKey, `{}`))
	if want := (sent{"/v1/projects/p/locations/global/publishers/google/models/gemini-2.5-flash:generateContent?key=" + clientKey, `{}`, clientKey, "Bearer " + clientKey}); got != want {
		t.Errorf("Google got %v, want %v", got, want)
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	g := newRig(t, vertexai.Config{Project: "p", AccessToken: ourToken, Headers: map[string]string{"x-goog-user-project": "payer"}})
	header := g.Post("/v1beta/models/gemini-2.5-flash:generateContent", `{}`).Call.Header
	if got := header.Get("X-Goog-User-Project"); got != "payer" {
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
		config vertexai.Config
		fields []string
	}{
		{vertexai.Config{}, []string{"project"}},
		{vertexai.Config{Project: "p/q"}, []string{"project"}},
		{vertexai.Config{Project: ".."}, []string{"project"}},
		{vertexai.Config{Project: "p", Location: "evil.example/"}, []string{"location"}},
		{vertexai.Config{Project: "p", Location: "US"}, []string{"location"}},
		{vertexai.Config{APIKey: ourKey, Location: "us"}, []string{"location"}},
		{vertexai.Config{Project: "p", APIVersion: "1/.."}, []string{"api_version"}},
		{vertexai.Config{Project: "p", APIKey: ourKey, AccessToken: ourToken}, []string{"access_token"}},
		{vertexai.Config{Project: "p", AccessToken: ourToken, Credentials: give(ourToken)}, []string{"access_token"}},
		{vertexai.Config{Project: "p", AccessToken: ourToken + "\r\n"}, []string{"access_token"}},
		{vertexai.Config{Project: "p", APIKey: ourKey + " "}, []string{"api_key"}},
		{vertexai.Config{Project: "p", BaseURL: ourKey}, []string{"base_url"}},
		{vertexai.Config{Name: "a b", Project: "p", Timeout: -1, Models: []string{""}, Headers: map[string]string{"Te": ourKey}}, []string{"headers", "models", "name", "timeout"}},
	} {
		p, err := vertexai.New(tt.config)
		if p != nil || err == nil {
			t.Errorf("%v: got %v, %v", tt.fields, p, err)
			continue
		}
		var got []string
		for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
			fault, ok := errors.AsType[*vertexai.FieldError](e)
			if !ok || fault.Provider == "" {
				t.Fatalf("%v: %v", tt.fields, e)
			}
			got = append(got, fault.Field)
		}
		slices.Sort(got)
		if !slices.Equal(got, tt.fields) {
			t.Errorf("got %v, want %v", got, tt.fields)
		}
		for _, secret := range []string{ourKey, ourToken} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%v: the error shows a secret: %v", tt.fields, err)
			}
		}
	}
}

// broken is a source that fails and says too much.
type broken struct{}

func (broken) Token(context.Context) (string, time.Time, error) {
	return "", time.Time{}, errors.New("refresh token " + ourToken + " was revoked")
}

func TestNoToken(t *testing.T) {
	t.Parallel()
	g := newRig(t, vertexai.Config{Project: "p", Credentials: broken{}})
	got := g.Post("/v1beta/models/gemini-2.5-flash:generateContent", `{}`)
	if want := `{"error":{"code":502,"message":"the provider \"vertexai\" could not be given an access token","status":"UNAVAILABLE"}}`; got.Reply.Status != 502 || got.Reply.Body != want || sentOf(got) != (sent{}) {
		t.Errorf("got %d %s, Google got %v", got.Reply.Status, got.Reply.Body, sentOf(got))
	}
	if text := fmt.Sprint(got.Reply, got.Record, g.Log()); strings.Contains(text, ourToken) {
		t.Errorf("the token shows: %s", text)
	}
}

// No credential is in a URL, error, log or record, and however a configuration or a
// provider is printed, it does not show.
func TestCredentialsStayIn(t *testing.T) {
	t.Parallel()
	secret := func(what, text string) {
		t.Helper()
		for _, key := range []string{ourKey, ourToken, clientKey} {
			if strings.Contains(text, key) || strings.Contains(text, fmt.Sprintf("%x", key)) {
				t.Errorf("%s shows a credential: %.300s", what, text)
			}
		}
	}
	for name, c := range map[string]vertexai.Config{
		"key": {Project: "p", APIKey: ourKey}, "token": {Project: "p", AccessToken: ourToken}, "source": {Project: "p", Credentials: give(ourToken)},
	} {
		c.Headers = map[string]string{"X-Token": ourKey}
		g := newRig(t, c)
		for _, target := range []string{
			"/v1beta/models/gemini-2.5-flash:generateContent?key=" + clientKey,
			"/vertexai/v1/projects/p/locations/us/publishers/google/models/m:generateContent?key=" + clientKey,
		} {
			for _, answer := range []http.HandlerFunc{
				func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
				func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
				func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) },
			} {
				g.AnswersWith(answer)
				got := g.Post(target, `{"contents":[]}`)
				text, err := json.Marshal(got.Record)
				if err != nil {
					t.Fatal(err)
				}
				secret(name+": the URL", got.Call.URI)
				secret(name+": the answer", fmt.Sprint(got.Reply))
				secret(name+": the record", string(text)+fmt.Sprintf("%+v %+v", got.Record, got.Record.Error))
			}
		}
		secret(name+": the log", g.Log())

		p, err := vertexai.New(c)
		if err != nil {
			t.Fatal(err)
		}
		providertest.Hides(t, c, p, ourKey, ourToken, clientKey)
		if got, want := c.String(), "provider vertexai (vertexai)"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
