package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/openai"
)

func TestEachExchangeIsReportedOnce(t *testing.T) {
	t.Parallel()
	const answer = `{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-5-mini-2025-08-07",` +
		`"choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],` +
		`"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}`
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got, want := r.URL.Path, "/v1/chat/completions"; got != want {
			t.Errorf("the provider was asked for %s, want %s", got, want)
		}
		if got, want := r.Header.Get("Authorization"), "Bearer sk-provider"; got != want {
			t.Errorf("the provider was called with %q, want %q", got, want)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(provider.Close)

	p, err := openai.New(openai.Config{BaseURL: provider.URL, APIKey: "sk-provider"})
	if err != nil {
		t.Fatal(err)
	}
	records := make(chan llmproxy.Record, 2)
	gateway := httptest.NewServer(handler(func(r *llmproxy.Record) { records <- *r }, p))
	t.Cleanup(gateway.Close)

	resp, err := http.Post(gateway.URL+"/llm/v1/chat/completions", "application/json",
		strings.NewReader(`{"model":"openai/gpt-5-mini","messages":[{"role":"user","content":"hi"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || string(body) != answer {
		t.Errorf("got %d %s, want the provider's answer", resp.StatusCode, body)
	}
	if got, want := resp.Header.Get("X-Gateway-Completion-Tokens"), "2"; got != want {
		t.Errorf("X-Gateway-Completion-Tokens: got %q, want %q", got, want)
	}
	gateway.Close() // waits for the handler, so that a second report would be there
	if len(records) != 1 {
		t.Fatalf("got %d reports, want 1", len(records))
	}
	r := <-records
	if r.Provider != "openai" || r.ModelRequested != "openai/gpt-5-mini" || r.Model != "gpt-5-mini-2025-08-07" ||
		r.Outcome != llmproxy.OutcomeCompleted || r.UsageSource != llmproxy.UsageProvider ||
		r.Usage.PromptTokens != 9 || r.Usage.CompletionTokens != 2 {
		t.Errorf("reported %+v", r)
	}
}

// The README shows this program; it must be the one that compiles.
func TestREADMEShowsThisProgram(t *testing.T) {
	t.Parallel()
	program, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(readme), "```go\n")
	shown, _, closed := strings.Cut(rest, "```\n")
	if !ok || !closed {
		t.Fatal("README.md has no fenced Go block")
	}
	if shown != string(program) {
		t.Error("README.md does not show examples/embed/main.go as it is: copy it")
	}
}
