package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/openai"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

func TestFallback(t *testing.T) {
	t.Parallel()
	const answer = `{"id":"1","object":"chat.completion","model":"m","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`
	for _, tt := range []struct {
		name   string
		status int    // of the first provider
		want   string // who answers
		asked  string // what that one was sent
	}{
		{"the first provider answers", 200, "first", `{"model": "gpt-5-mini", "seed": 1.0}`},
		{"a refusal is an answer", 404, "first", `{"model": "gpt-5-mini", "seed": 1.0}`},
		{"the first provider fails", 503, "second", `{"model": "gpt-oss:20b", "seed": 1.0}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			serve := func(name string, status int) string {
				s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					body, err := io.ReadAll(r.Body)
					if err != nil {
						t.Error(err)
					}
					w.Header().Set("Content-Type", "application/json")
					w.Header().Set("Asked", string(body))
					w.Header().Set("Answered-By", name)
					w.WriteHeader(status)
					_, _ = io.WriteString(w, answer)
				}))
				t.Cleanup(s.Close)
				return s.URL
			}
			first, err := openai.New(openai.Config{BaseURL: serve("first", tt.status), APIKey: "sk-first"})
			if err != nil {
				t.Fatal(err)
			}
			second, err := openai_compatible.New(openai_compatible.Config{Type: "ollama", BaseURL: serve("second", 200)})
			if err != nil {
				t.Fatal(err)
			}
			gateway := httptest.NewServer(llmproxy.NewAutoRouter(
				llmproxy.WithProvider(first),
				llmproxy.WithInterceptor(fallback(llmproxy.Route{Provider: second, Model: "gpt-oss:20b"})),
			))
			t.Cleanup(gateway.Close)

			resp, err := http.Post(gateway.URL+"/v1/chat/completions", "application/json",
				strings.NewReader(`{"model": "gpt-5-mini", "seed": 1.0}`))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if _, err := io.ReadAll(resp.Body); err != nil {
				t.Fatal(err)
			}
			if got := resp.Header.Get("Answered-By"); got != tt.want {
				t.Errorf("answered by %q, want %q", got, tt.want)
			}
			if got := resp.Header.Get("Asked"); got != tt.asked {
				t.Errorf("asked %s, want %s", got, tt.asked)
			}
		})
	}
}

func TestFallbackFromAProviderThatIsNotThere(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: [DONE]\n\n")
	}))
	t.Cleanup(there.Close)
	first, err := openai.New(openai.Config{BaseURL: gone.URL, APIKey: "sk-first"})
	if err != nil {
		t.Fatal(err)
	}
	second, err := openai_compatible.New(openai_compatible.Config{Type: "ollama", BaseURL: there.URL})
	if err != nil {
		t.Fatal(err)
	}
	gateway := httptest.NewServer(llmproxy.NewAutoRouter(
		llmproxy.WithProvider(first),
		llmproxy.WithInterceptor(fallback(llmproxy.Route{Provider: second})),
	))
	t.Cleanup(gateway.Close)

	resp, err := http.Post(gateway.URL+"/v1/chat/completions", "application/json",
		strings.NewReader(`{"model":"gpt-5-mini","stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(body), "data: [DONE]\n\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := resp.Header.Get("X-Gateway-Provider"), "ollama"; got != want {
		t.Errorf("X-Gateway-Provider: got %q, want %q", got, want)
	}
}
