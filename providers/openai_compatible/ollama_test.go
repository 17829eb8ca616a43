package openai_compatible_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// Ollama's own API is read on its mount, and passes through untouched. That of another
// type's server passes too, and is not read.
func TestOllama(t *testing.T) {
	t.Parallel()
	const (
		lines = "application/x-ndjson"
		json  = "application/json; charset=utf-8"
		words = `{"model":"qwen3:8b","message":{"role":"assistant","content":"a"},"done":false}` + "\n"
		end   = `{"model":"qwen3:8b","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":500,"prompt_eval_cached_count":300,"eval_count":40}` + "\n"
		ask   = `{"model":"qwen3","messages":[{"role":"user","content":"hi"}]}`
		whole = `{"model":"qwen3","stream":false,"prompt":"hi"}`
		embed = `{"model":"all-minilm","input":["a","b"]}`
	)
	counted := llmproxy.Usage{PromptTokens: 500, CompletionTokens: 40, CacheRead: 300}
	for _, tt := range []struct {
		name, typ, path, request, contentType, answer string
		status                                        int
		want                                          llmproxy.Record
	}{
		{
			"chat, streamed", "ollama", "/api/chat", ask, lines, words + words + end, 200,
			llmproxy.Record{API: llmproxy.APIOllama, Model: "qwen3:8b", Outcome: llmproxy.OutcomeCompleted, FinishReason: "stop", Usage: counted, UsageSource: llmproxy.UsageProvider},
		},
		{
			"generate, streamed, the last line without its end", "ollama", "/api/generate", `{"stream":true,"model":"qwen3"}`, lines, words + strings.TrimSpace(end), 200,
			llmproxy.Record{API: llmproxy.APIOllama, Model: "qwen3:8b", Outcome: llmproxy.OutcomeCompleted, FinishReason: "stop", Usage: counted, UsageSource: llmproxy.UsageProvider},
		},
		{
			"generate, whole", "ollama", "/api/generate", whole, json, end, 200,
			llmproxy.Record{API: llmproxy.APIOllama, Model: "qwen3:8b", Outcome: llmproxy.OutcomeCompleted, FinishReason: "stop", Usage: counted, UsageSource: llmproxy.UsageProvider},
		},
		{
			"embed", "ollama", "/api/embed", embed, json, `{"model":"all-minilm","embeddings":[[0.1],[0.2]],"prompt_eval_count":8}`, 200,
			llmproxy.Record{API: llmproxy.APIOllama, Model: "all-minilm", Outcome: llmproxy.OutcomeCompleted, Usage: llmproxy.Usage{PromptTokens: 8}, UsageSource: llmproxy.UsageProvider},
		},
		{
			"embeddings", "ollama", "/api/embeddings", embed, json, `{"embedding":[0.1,0.2]}`, 200,
			llmproxy.Record{API: llmproxy.APIOllama, Model: "all-minilm", Outcome: llmproxy.OutcomeCompleted, UsageSource: llmproxy.UsageNone},
		},
		{
			"a stream that fails", "ollama", "/api/chat", ask, lines, words + `{"error":"the runner has stopped"}` + "\n", 200,
			llmproxy.Record{API: llmproxy.APIOllama, Model: "qwen3:8b", Outcome: llmproxy.OutcomeFailed, UsageSource: llmproxy.UsageNone},
		},
		{
			"a stream without its end", "ollama", "/api/chat", `{"stream":true,"model":"qwen3"}`, lines, words, 200,
			llmproxy.Record{API: llmproxy.APIOllama, Model: "qwen3:8b", Outcome: llmproxy.OutcomeError, UsageSource: llmproxy.UsageNone},
		},
		{
			"no such model", "ollama", "/api/chat", ask, json, `{"error":"model 'qwen3' not found"}`, 404,
			llmproxy.Record{API: llmproxy.APIOllama, Model: "qwen3", Outcome: llmproxy.OutcomeError, UsageSource: llmproxy.UsageNone},
		},
		{
			"another type's server", "vllm", "/api/chat", ask, lines, words + end, 200,
			llmproxy.Record{API: llmproxy.APIOllama, Model: "qwen3", Outcome: llmproxy.OutcomeCompleted, UsageSource: llmproxy.UsageNone},
		},
	} {
		p, err := openai_compatible.New(openai_compatible.Config{Name: "local", Type: tt.typ, BaseURL: "http://host:11434/v1"})
		if err != nil {
			t.Fatal(err)
		}
		k := &keeper{}
		var got sent
		a := llmproxy.NewAutoRouter(llmproxy.WithProvider(p), llmproxy.WithRecorder(k), llmproxy.WithTransport(roundTrip(func(r *http.Request) (*http.Response, error) {
			body, err := io.ReadAll(r.Body)
			got = sent{r.URL.String(), string(body)}
			return &http.Response{
				StatusCode: tt.status, Header: http.Header{"Content-Type": {tt.contentType}},
				Body: io.NopCloser(strings.NewReader(tt.answer)), ContentLength: -1, Request: r,
			}, err
		})))
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/local"+tt.path, strings.NewReader(tt.request))
		r.Header.Set("Content-Type", "application/json")
		a.ServeHTTP(w, r)
		if want := (sent{"http://host:11434" + tt.path, tt.request}); got != want {
			t.Errorf("%s: upstream got %+v, want %+v", tt.name, got, want)
		}
		if w.Code != tt.status || w.Body.String() != tt.answer || w.Header().Get("Content-Type") != tt.contentType {
			t.Errorf("%s: the answer became %d, %s, %s", tt.name, w.Code, w.Header(), w.Body)
		}
		l := k.last
		kept := llmproxy.Record{
			API: l.API, Model: l.Model, Outcome: l.Outcome, FinishReason: l.FinishReason, Usage: l.Usage, UsageSource: l.UsageSource,
		}
		if diff := cmp.Diff(tt.want, kept); diff != "" || l.Inconsistent || l.ModelRequested == "" {
			t.Errorf("%s: %+v: (-want +got)\n%s", tt.name, l, diff)
		}
	}
}
