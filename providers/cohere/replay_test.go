package cohere_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/cohere"
	"github.com/llmproxy/llmproxy/providers/internal/provider/providertest"
	"github.com/llmproxy/llmproxy/providers/openai"
)

// newRig returns a gateway in front of Cohere, with a client that has a key. tail ends the
// base URL.
func newRig(t *testing.T, tail string, opts ...llmproxy.Option) *providertest.Rig {
	t.Helper()
	g := providertest.New(t, func(baseURL string) (*llmproxy.BaseProvider, error) {
		return cohere.New(cohere.Config{BaseURL: baseURL + tail, APIKey: "co-ours"})
	}, opts...)
	g.Client = http.Header{"Authorization": {"Bearer co-theirs"}}
	return g
}

// Every recorded exchange passes through a gateway with a second provider, unchanged both
// ways: on the mount, at Cohere's own path, by a prefix on the model, and on /.
func TestReplay(t *testing.T) {
	t.Parallel()
	other, err := openai.New(openai.Config{APIKey: "sk-other", BaseURL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	g := newRig(t, "", llmproxy.WithProvider(other))
	recordings := providertest.Recordings(t, "cohere")
	if len(recordings) != 10 {
		t.Errorf("%d recordings, want 10", len(recordings))
	}
	for _, r := range recordings {
		prefixed := strings.Replace(r.Request, `"model": "`, `"model": "cohere/`, 1)
		for _, way := range []providertest.Way{
			{Name: "by mount", Target: "/cohere/v2/chat", Body: r.Request},
			{Name: "by path", Target: "/v2/chat", Body: r.Request},
			{Name: "by prefix", Target: "/v2/chat", Body: prefixed},
			{Name: "by body", Target: "/", Body: r.Request},
			{Name: "by body and prefix", Target: "/", Body: prefixed},
		} {
			got := g.Replay(r, way)
			if key := got.Call.Header.Get("Authorization"); key != "Bearer co-ours" {
				t.Errorf("%s %s: Cohere got the key %q", r.ID, way.Name, key)
			}
			want := llmproxy.Usage{PromptTokens: r.Want.Usage["input_tokens"], CompletionTokens: r.Want.Usage["output_tokens"]}
			if rec := got.Record; rec.Provider != "cohere" || rec.Model != r.Want.Model || rec.Outcome != llmproxy.OutcomeCompleted ||
				rec.UsageSource != llmproxy.UsageProvider || rec.Usage != want {
				t.Errorf("%s %s: recorded %+v, want %+v of %s", r.ID, way.Name, rec, want, r.Want.Model)
			}
		}
	}
}

// A client of OpenAI's API gets Cohere's own version of it.
func TestCompatible(t *testing.T) {
	t.Parallel()
	const text = `{"id":"c1","model":"command-a-03-2025","choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}`
	g := newRig(t, "/v2")
	g.Answers(http.StatusOK, map[string]string{"Content-Type": "application/json"}, text)
	got := g.Post("/v1/chat/completions", `{"model":"command-a-03-2025","messages":[]}`)
	if got.Reply.Body != text || got.Call.URI != "/compatibility/v1/chat/completions" {
		t.Errorf("got %s from %s", got.Reply.Body, got.Call.URI)
	}
	if got.Record.Usage != (llmproxy.Usage{PromptTokens: 5, CompletionTokens: 2}) {
		t.Errorf("recorded %+v", got.Record)
	}
}

// Cohere's errors reach the client as they are, and are recorded as errors.
func TestErrors(t *testing.T) {
	t.Parallel()
	const text = `{"id":"x1","message":"too many requests"}`
	g := newRig(t, "")
	g.Answers(http.StatusTooManyRequests, map[string]string{"Content-Type": "application/json"}, text)
	got := g.Post("/v2/embed", `{"model":"embed-v4.0","texts":[]}`)
	if got.Reply.Status != http.StatusTooManyRequests || got.Reply.Body != text {
		t.Errorf("got %d %s", got.Reply.Status, got.Reply.Body)
	}
	if rec := got.Record; rec.Outcome != llmproxy.OutcomeError || rec.UsageSource != llmproxy.UsageNone || rec.CostState != llmproxy.CostFree {
		t.Errorf("recorded %+v", rec)
	}
}
