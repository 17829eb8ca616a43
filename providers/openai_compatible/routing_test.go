package openai_compatible_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// roundTrip is a transport.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// sent is what reached a provider.
type sent struct{ url, body string }

// router returns a router over providers and a function that sends it a request and
// says what reached a provider.
func router(t *testing.T, configs ...openai_compatible.Config) func(path, body string) sent {
	t.Helper()
	var got sent
	opts := []llmproxy.Option{llmproxy.WithTransport(roundTrip(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		got = sent{r.URL.String(), string(body)}
		return &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(strings.NewReader("{}")), Request: r,
		}, err
	}))}
	for _, c := range configs {
		p, err := openai_compatible.New(c)
		if err != nil {
			t.Fatal(err)
		}
		opts = append(opts, llmproxy.WithProvider(p))
	}
	a := llmproxy.NewAutoRouter(opts...)
	return func(path, body string) sent {
		got = sent{}
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		a.ServeHTTP(httptest.NewRecorder(), r)
		return got
	}
}

// With every type configured under its own name, a model finds its provider, and arrives
// there under the name that the provider knows.
func TestModelsFindTheirProvider(t *testing.T) {
	t.Parallel()
	var all []openai_compatible.Config
	for _, p := range openai_compatible.Presets() {
		all = append(all, openai_compatible.Config{Type: p.Type, BaseURL: "http://" + strings.ReplaceAll(p.Type, "_", "-")})
	}
	send := router(t, all...)
	for _, tt := range []struct{ model, want, wantModel string }{
		{"gpt-5-mini", "openai", ""},
		{"GPT-5", "openai", ""},
		{"gpt-image-1", "openai", ""},
		{"gpt-3.5-turbo-instruct", "openai", ""},
		{"o1", "openai", ""},
		{"o3", "openai", ""},
		{"o4-mini", "openai", ""},
		{"chatgpt-4o-latest", "openai", ""},
		{"codex-mini-latest", "openai", ""},
		{"computer-use-preview", "openai", ""},
		{"text-embedding-3-small", "openai", ""},
		{"text-moderation-latest", "openai", ""},
		{"omni-moderation-latest", "openai", ""},
		{"dall-e-2", "openai", ""},
		{"sora-2", "openai", ""},
		{"whisper-1", "openai", ""},
		{"tts-1-hd", "openai", ""},
		{"davinci-002", "openai", ""},
		{"babbage-002", "openai", ""},
		{"ft:gpt-4o-mini-2024-07-18:acme::abc", "openai", ""},
		{"openai/gpt-5", "openai", "gpt-5"},
		{"groq/compound", "groq", ""},
		{"groq/compound-mini", "groq", ""},
		{"groq/llama-3.3-70b-versatile", "groq", "llama-3.3-70b-versatile"},
		{"groq/openai/gpt-oss-120b", "groq", "openai/gpt-oss-120b"},
		{"llama-3.3-70b-versatile", "groq", ""},
		{"llama-3.1-8b-instant", "groq", ""},
		{"compound-beta", "groq", ""},
		{"whisper-large-v3-turbo", "groq", ""},
		{"accounts/fireworks/models/kimi-k2-instruct", "fireworks", ""},
		{"fireworks/accounts/fireworks/models/kimi-k2-instruct", "fireworks", "accounts/fireworks/models/kimi-k2-instruct"},
		{"fireworks/qwen3-embedding-8b", "fireworks", ""},
		{"fireworks/nomic-ai/nomic-embed-text-v1.5", "fireworks", "nomic-ai/nomic-embed-text-v1.5"},
		{"grok-4", "xai", ""},
		{"xai/grok-4", "xai", "grok-4"},
		{"sonar", "perplexity", ""},
		{"sonar-pro", "perplexity", ""},
		{"perplexity/sonar-pro", "perplexity", "sonar-pro"},
		{"deepseek-chat", "deepseek", ""},
		{"deepseek/deepseek-reasoner", "deepseek", "deepseek-reasoner"},
		{"mistral-large-latest", "mistral", ""},
		{"ministral-8b-latest", "mistral", ""},
		{"codestral-latest", "mistral", ""},
		{"devstral-medium-latest", "mistral", ""},
		{"magistral-small-latest", "mistral", ""},
		{"mistral-embed", "mistral", ""},
		{"together/meta-llama/Llama-3.3-70B-Instruct-Turbo", "together", "meta-llama/Llama-3.3-70B-Instruct-Turbo"},
		{"togethercomputer/m2-bert-80M-32k-retrieval", "together", ""},
		{"openrouter/auto", "openrouter", ""},
		{"openrouter/auto-code", "openrouter", ""},
		{"openrouter/free", "openrouter", ""},
		{"openrouter/anthropic/claude-sonnet-4.5", "openrouter", "anthropic/claude-sonnet-4.5"},
		{"openrouter/openrouter/auto", "openrouter", "openrouter/auto"},
		{"anthropic/claude-sonnet-4.5", "openrouter", ""},
		{"nousresearch/hermes-4:free", "openrouter", ""},
		{"minimax/MiniMax-M2", "minimax", "MiniMax-M2"},
		{"gpt-oss-120b", "cerebras", ""},
		{"zai-glm-4.7", "cerebras", ""},
		{"qwen-3-coder-480b", "cerebras", ""},
		{"llama-3.3-70b", "cerebras", ""},
		{"kimi-k2-turbo-preview", "moonshot", ""},
		{"moonshot-v1-8k", "moonshot", ""},
		{"MiniMax-M2", "minimax", ""},
		{"glm-4.6", "zai", ""},
		{"qwen-max", "alibaba", ""},
		{"qwen3-coder-plus", "alibaba", ""},
		{"github/openai/gpt-5", "github", "openai/gpt-5"},
		{"huggingface/Qwen/Qwen3-8B:cheapest", "huggingface", "Qwen/Qwen3-8B:cheapest"},
		{"nvidia/nvidia/nemotron-3", "nvidia", "nvidia/nemotron-3"},
		{"deepinfra/Qwen/Qwen3-8B", "deepinfra", "Qwen/Qwen3-8B"},
		{"ollama/qwen3:8b", "ollama", "qwen3:8b"},
		{"vllm/Qwen/Qwen3-8B", "vllm", "Qwen/Qwen3-8B"},
	} {
		p, _ := openai_compatible.Lookup(tt.want)
		body := func(model string) string {
			quoted, err := json.Marshal(model)
			if err != nil {
				t.Fatal(err)
			}
			return `{ "model":` + string(quoted) + `, "input" : 1.0 }`
		}
		wantModel := tt.wantModel
		if wantModel == "" {
			wantModel = tt.model
		}
		want := sent{"http://" + tt.want + p.APIPath + "/responses", body(wantModel)}
		if got := send("/v1/responses", body(tt.model)); got != want {
			t.Errorf("%s: got %v, want %v", tt.model, got, want)
		}
	}
}
