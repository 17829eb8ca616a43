package azure_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/azure"
	"github.com/llmproxy/llmproxy/providers/openai"
)

// recording is one exchange with Azure.
type recording struct {
	ID, Path, Request, Response string
	Status                      int
	Headers                     map[string]string
}

func recordings(t *testing.T) (list []recording) {
	t.Helper()
	file, err := os.Open("../../../shared/recordings/azure.jsonl")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no recordings beside the repository: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	s := bufio.NewScanner(file)
	s.Buffer(nil, 64<<20)
	for s.Scan() {
		var r recording
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

// recorder sends each record into a channel.
type recorder chan llmproxy.Record

func (r recorder) Begin(context.Context, *llmproxy.Record) error { return nil }

func (r recorder) Record(_ context.Context, rec *llmproxy.Record) error {
	r <- *rec
	return nil
}

// upstream is an Azure that gives one answer, and notes what it was asked.
type upstream struct {
	status             int
	header             map[string]string
	answer             string
	path, body, apiKey string
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, _ := io.ReadAll(r.Body)
	u.path, u.body, u.apiKey = r.URL.RequestURI(), string(text), r.Header.Get("Api-Key")
	for name, value := range u.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(u.status)
	for rest := u.answer; rest != ""; {
		n := min(997, len(rest))
		_, _ = io.WriteString(w, rest[:n])
		rest = rest[n:]
		_ = http.NewResponseController(w).Flush()
	}
}

// gateway serves c in front of u, beside OpenAI, and returns how to ask it.
func gateway(t *testing.T, u *upstream, c azure.Config) (ask func(path, body string) (status int, answer string), records recorder) {
	t.Helper()
	server := httptest.NewServer(u)
	t.Cleanup(server.Close)
	c.BaseURL, c.APIKey = server.URL+c.BaseURL, "ours"
	p, err := azure.New(c)
	if err != nil {
		t.Fatal(err)
	}
	other, err := openai.New(openai.Config{APIKey: "sk-other", BaseURL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	records = make(recorder, 1)
	front := httptest.NewServer(llmproxy.NewAutoRouter(llmproxy.WithProvider(other, p), llmproxy.WithRecorder(records)))
	t.Cleanup(front.Close)
	return func(path, body string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, front.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Api-Key", "theirs")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(answer)
	}, records
}

// The recorded exchanges pass through unchanged on the mount and at Azure's own path,
// whatever surface the provider is configured for, but for include_usage where the
// stream was not asked for its usage.
func TestReplay(t *testing.T) {
	t.Parallel()
	all := recordings(t)
	if len(all) != 2 {
		t.Errorf("%d recordings, want 2", len(all))
	}
	want := map[string]struct {
		usage  llmproxy.Usage
		source llmproxy.UsageSource
	}{
		"e1acaf5e34fef87e": {llmproxy.Usage{PromptTokens: 15, CompletionTokens: 24}, llmproxy.UsageProvider},
		"5873aaab4e76d133": {llmproxy.Usage{}, llmproxy.UsageNone}, // it was not asked when it was recorded
	}
	for _, c := range []azure.Config{{}, {BaseURL: "/openai/"}, {BaseURL: "/openai/v1"}, {APIVersion: "2025-04-01-preview"}} {
		u := &upstream{}
		ask, records := gateway(t, u, c)
		for _, r := range all {
			u.status, u.header, u.answer = r.Status, r.Headers, r.Response
			for _, prefix := range []string{"/azure", ""} {
				status, answer := ask(prefix+r.Path, r.Request)
				if status != r.Status || answer != r.Response {
					t.Errorf("%s at %s: the client received %d and %d bytes, want %d and %d", r.ID, prefix, status, len(answer), r.Status, len(r.Response))
				}
				body := r.Request
				if strings.Contains(body, `"stream": true`) {
					body = strings.TrimSuffix(body, "}") + `,"stream_options":{"include_usage":true}}`
				}
				if u.path != r.Path || u.body != body || u.apiKey != "ours" {
					t.Errorf("%s at %s: the provider received %s, key %s, %s", r.ID, prefix, u.path, u.apiKey, u.body)
				}
				rec := <-records
				if rec.Provider != "azure" || rec.ModelRequested != "openllmetry-testing" || rec.Model != "gpt-35-turbo" ||
					rec.Outcome != llmproxy.OutcomeCompleted || rec.Usage != want[r.ID].usage || rec.UsageSource != want[r.ID].source {
					t.Errorf("%s at %s: recorded %+v", r.ID, prefix, rec)
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
		u := &upstream{status: http.StatusOK, header: map[string]string{"Content-Type": "application/json"}, answer: answer}
		ask, records := gateway(t, u, tt.config)
		if status, got := ask(tt.path, tt.body); status != http.StatusOK || got != answer {
			t.Errorf("%s: the client received %d, %s", tt.name, status, got)
			continue
		}
		if u.path != tt.wantPath || u.body != tt.wantBody || u.apiKey != "ours" {
			t.Errorf("%s: the provider received %s, key %s, %s", tt.name, u.path, u.apiKey, u.body)
		}
		rec := <-records
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
		u := &upstream{status: http.StatusOK, header: map[string]string{"Content-Type": "text/event-stream"}, answer: before + usage + after}
		wantBody, wantAnswer := `{"stream":true,"stream_options":{"include_usage":true}}`, before+after
		if includeUsage != nil {
			u.answer, wantBody, wantAnswer = before+after, `{"stream":true}`, before+after
		}
		ask, records := gateway(t, u, azure.Config{APIVersion: "2024-10-21", IncludeUsage: includeUsage})
		_, got := ask("/openai/deployments/d/chat/completions", `{"stream":true}`)
		if got != wantAnswer || u.body != wantBody || u.path != "/openai/deployments/d/chat/completions?api-version=2024-10-21" {
			t.Errorf("got %s to %s, %s", got, u.path, u.body)
		}
		if rec := <-records; includeUsage == nil && rec.Usage != (llmproxy.Usage{PromptTokens: 5, CompletionTokens: 2}) ||
			includeUsage != nil && rec.UsageSource != llmproxy.UsageNone {
			t.Errorf("recorded %+v", rec)
		}
	}
}
