package azure_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/azure"
	"github.com/llmproxy/llmproxy/providers/internal/provider/providertest"
	"github.com/llmproxy/llmproxy/providers/openai"
)

// newRig returns a gateway in front of Azure, at the path of c.BaseURL, beside OpenAI.
func newRig(t *testing.T, c azure.Config) *providertest.Rig {
	t.Helper()
	other, err := openai.New(openai.Config{APIKey: "sk-other", BaseURL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	g := providertest.New(t, func(baseURL string) (*llmproxy.BaseProvider, error) {
		c.BaseURL, c.APIKey = baseURL+c.BaseURL, "ours"
		return azure.New(c)
	}, llmproxy.WithProvider(other))
	g.Client = http.Header{"Api-Key": {"theirs"}}
	return g
}

// The recorded exchanges pass through unchanged on the mount and at Azure's own path,
// whatever surface the provider is configured for, but for include_usage where the
// stream was not asked for its usage.
func TestReplay(t *testing.T) {
	t.Parallel()
	recordings := providertest.Recordings(t, "azure")
	if len(recordings) != 2 {
		t.Errorf("%d recordings, want 2", len(recordings))
	}
	want := map[string]struct {
		usage  llmproxy.Usage
		source llmproxy.UsageSource
	}{
		"e1acaf5e34fef87e": {llmproxy.Usage{PromptTokens: 15, CompletionTokens: 24}, llmproxy.UsageProvider},
		"5873aaab4e76d133": {llmproxy.Usage{}, llmproxy.UsageNone}, // it was not asked when it was recorded
	}
	for _, c := range []azure.Config{{}, {BaseURL: "/openai/"}, {BaseURL: "/openai/v1"}, {APIVersion: "2025-04-01-preview"}} {
		g := newRig(t, c)
		for _, r := range recordings {
			body := r.Request
			if strings.Contains(body, `"stream": true`) {
				body = strings.TrimSuffix(body, "}") + `,"stream_options":{"include_usage":true}}`
			}
			for _, way := range []providertest.Way{
				{Name: "by mount", Target: "/azure" + r.Path, Body: r.Request, Want: body},
				{Name: "by path", Target: r.Path, Body: r.Request, Want: body},
			} {
				got := g.Replay(r, way)
				if key := got.Call.Header.Get("Api-Key"); key != "ours" {
					t.Errorf("%s %s: Azure got the key %q", r.ID, way.Name, key)
				}
				if rec := got.Record; rec.Provider != "azure" || rec.ModelRequested != "openllmetry-testing" || rec.Model != "gpt-35-turbo" ||
					rec.Outcome != llmproxy.OutcomeCompleted || rec.Usage != want[r.ID].usage || rec.UsageSource != want[r.ID].source {
					t.Errorf("%s %s: recorded %+v", r.ID, way.Name, rec)
				}
			}
		}
	}
}

// What clients of OpenAI's own paths get, by surface.
func TestRouted(t *testing.T) {
	t.Parallel()
	const answer = `{"id":"c1","model":"gpt-4o-2024-08-06","choices":[{"message":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}`
	older := azure.Config{APIVersion: "2024-10-21"}
	for _, tt := range []struct {
		name                 string
		config               azure.Config
		path, body           string
		wantPath, wantBody   string
		requested, wantModel string
	}{
		{
			"a prefix, at v1",
			azure.Config{},
			"/v1/chat/completions", `{ "model":"azure/gpt-4o", "messages":[] }`,
			"/openai/v1/chat/completions", `{ "model":"gpt-4o", "messages":[] }`, "azure/gpt-4o", "gpt-4o-2024-08-06",
		},
		{
			"a pattern, at v1",
			azure.Config{Models: []string{"my-*"}},
			"/v1/chat/completions?x=1", `{ "model":"my-gpt", "messages":[] }`,
			"/openai/v1/chat/completions?x=1", `{ "model":"my-gpt", "messages":[] }`, "my-gpt", "gpt-4o-2024-08-06",
		},
		{
			"a prefix, by deployment", older, "/v1/chat/completions", `{ "model":"azure/gpt/4o", "messages":[] }`,
			"/openai/deployments/gpt%2F4o/chat/completions?api-version=2024-10-21", `{ "model":"gpt/4o", "messages":[] }`, "azure/gpt/4o", "gpt-4o-2024-08-06",
		},
		{
			"the client's version, by deployment", older, "/v1/chat/completions?api-version=2025-01-01-preview", `{"model":"azure/gpt-4o"}`,
			"/openai/deployments/gpt-4o/chat/completions?api-version=2025-01-01-preview", `{"model":"gpt-4o"}`, "azure/gpt-4o", "gpt-4o-2024-08-06",
		},
		{
			"a deployment for all",
			azure.Config{APIVersion: "2024-10-21", Deployment: "d", Models: []string{"*"}},
			"/v1/chat/completions", `{"model":"gpt-4o"}`,
			"/openai/deployments/d/chat/completions?api-version=2024-10-21", `{"model":"gpt-4o"}`, "gpt-4o", "gpt-4o-2024-08-06",
		},
		{
			"a deployment for all, at v1",
			azure.Config{Deployment: "d", Models: []string{"gpt-4o"}},
			"/v1/chat/completions", `{"model": "gpt-4o"}`,
			"/openai/v1/chat/completions", `{"model": "d"}`, "gpt-4o", "gpt-4o-2024-08-06",
		},
		{
			"a deployment that OpenAI has a model of",
			azure.Config{},
			"/openai/deployments/gpt-4o/chat/completions?api-version=2024-02-01", `{"messages":[]}`,
			"/openai/deployments/gpt-4o/chat/completions?api-version=2024-02-01", `{"messages":[]}`, "gpt-4o", "gpt-4o-2024-08-06",
		},
		{
			"on /", older, "/", `{"model":"azure/gpt-4o","messages":[]}`,
			"/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21", `{"model":"gpt-4o","messages":[]}`, "azure/gpt-4o", "gpt-4o-2024-08-06",
		},
	} {
		g := newRig(t, tt.config)
		g.Answers(http.StatusOK, map[string]string{"Content-Type": "application/json"}, answer)
		got := g.Post(tt.path, tt.body)
		if a := got.Reply; a.Status != http.StatusOK || a.Body != answer {
			t.Errorf("%s: the client received %d, %s", tt.name, a.Status, a.Body)
			continue
		}
		if c := got.Call; c.URI != tt.wantPath || c.Body != tt.wantBody || c.Header.Get("Api-Key") != "ours" {
			t.Errorf("%s: the provider received %s, %s, %v", tt.name, c.URI, c.Body, c.Header)
		}
		rec := got.Record
		if rec.Provider != "azure" || rec.ModelRequested != tt.requested || rec.Model != tt.wantModel ||
			rec.Usage != (llmproxy.Usage{PromptTokens: 5, CompletionTokens: 2}) {
			t.Errorf("%s: recorded %+v", tt.name, rec)
		}
	}
}

// A stream is asked for its usage, also by deployment, and a client that did not ask does
// not see it.
func TestUsageOfStreams(t *testing.T) {
	t.Parallel()
	const (
		before = "data: {\"choices\":[],\"prompt_filter_results\":[]}\n\ndata: {\"id\":\"c1\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
		usage  = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7}}\n\n"
		after  = "data: [DONE]\n\n"
	)
	no := false
	for _, includeUsage := range []*bool{nil, &no} {
		answer, wantBody := before+usage+after, `{"stream":true,"stream_options":{"include_usage":true}}`
		if includeUsage != nil {
			answer, wantBody = before+after, `{"stream":true}`
		}
		g := newRig(t, azure.Config{APIVersion: "2024-10-21", IncludeUsage: includeUsage})
		g.Answers(http.StatusOK, map[string]string{"Content-Type": "text/event-stream"}, answer)
		got := g.Post("/openai/deployments/d/chat/completions", `{"stream":true}`)
		if c := got.Call; got.Reply.Body != before+after || c.Body != wantBody || c.URI != "/openai/deployments/d/chat/completions?api-version=2024-10-21" {
			t.Errorf("got %s to %s, %s", got.Reply.Body, c.URI, c.Body)
		}
		if rec := got.Record; includeUsage == nil && rec.Usage != (llmproxy.Usage{PromptTokens: 5, CompletionTokens: 2}) ||
			includeUsage != nil && rec.UsageSource != llmproxy.UsageNone {
			t.Errorf("recorded %+v", rec)
		}
	}
}
