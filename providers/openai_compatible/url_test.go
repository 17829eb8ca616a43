package openai_compatible_test

import (
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

func auto(api llmproxy.APIType, path string) llmproxy.Operation {
	return llmproxy.Operation{API: api, Path: path}
}

func mount(path string) llmproxy.Operation { return llmproxy.Operation{Path: path, Mount: true} }

// resolve returns the URL of op at the provider that c describes.
func resolve(t *testing.T, c openai_compatible.Config, op llmproxy.Operation) string {
	t.Helper()
	p, err := openai_compatible.New(c)
	if err != nil {
		t.Fatal(err)
	}
	u, err := p.Resolve(&llmproxy.Exchange{Operation: op})
	if err != nil {
		t.Fatal(err)
	}
	return u.String()
}

// Where each service is, written out.
func TestDefaultURLs(t *testing.T) {
	t.Parallel()
	chat := auto(llmproxy.APIChatCompletions, "/chat/completions")
	answers := auto(llmproxy.APIResponses, "/responses")
	for _, tt := range []struct {
		typ  string
		op   llmproxy.Operation
		want string
	}{
		{"openai", chat, "https://api.openai.com/v1/chat/completions"},
		{"openai", answers, "https://api.openai.com/v1/responses"},
		{"openai", auto(llmproxy.APIResponses, "/responses/resp_1/cancel"), "https://api.openai.com/v1/responses/resp_1/cancel"},
		{"openai", auto("", "/models"), "https://api.openai.com/v1/models"},
		{"openai", mount("/v1/files/file-1/content"), "https://api.openai.com/v1/files/file-1/content"},
		{"groq", chat, "https://api.groq.com/openai/v1/chat/completions"},
		{"groq", answers, "https://api.groq.com/openai/v1/responses"},
		{"groq", mount("/openai/v1/models"), "https://api.groq.com/openai/v1/models"},
		{"fireworks", chat, "https://api.fireworks.ai/inference/v1/chat/completions"},
		{"fireworks", auto(llmproxy.APIEmbeddings, "/embeddings"), "https://api.fireworks.ai/inference/v1/embeddings"},
		{"fireworks", mount("/inference/v1/messages"), "https://api.fireworks.ai/inference/v1/messages"},
		{"xai", chat, "https://api.x.ai/v1/chat/completions"},
		{"xai", mount("/v1/tokenize-text"), "https://api.x.ai/v1/tokenize-text"},
		{"perplexity", chat, "https://api.perplexity.ai/chat/completions"},
		{"perplexity", answers, "https://api.perplexity.ai/v1/responses"},
		{"perplexity", auto(llmproxy.APIEmbeddings, "/embeddings"), "https://api.perplexity.ai/v1/embeddings"},
		{"perplexity", auto("", "/models"), "https://api.perplexity.ai/v1/models"},
		{"perplexity", mount("/chat/completions"), "https://api.perplexity.ai/chat/completions"},
		{"perplexity", mount("/v1/responses"), "https://api.perplexity.ai/v1/responses"},
		{"deepseek", chat, "https://api.deepseek.com/chat/completions"},
		{"deepseek", mount("/beta/chat/completions"), "https://api.deepseek.com/beta/chat/completions"},
		{"deepseek", mount("/anthropic/v1/messages"), "https://api.deepseek.com/anthropic/v1/messages"},
		{"mistral", chat, "https://api.mistral.ai/v1/chat/completions"},
		{"together", chat, "https://api.together.xyz/v1/chat/completions"},
		{"openrouter", chat, "https://openrouter.ai/api/v1/chat/completions"},
		{"openrouter", mount("/api/v1/generation"), "https://openrouter.ai/api/v1/generation"},
		{"cerebras", chat, "https://api.cerebras.ai/v1/chat/completions"},
		{"moonshot", chat, "https://api.moonshot.ai/v1/chat/completions"},
		{"ollama", chat, "http://127.0.0.1:11434/v1/chat/completions"},
		{"ollama", mount("/api/chat"), "http://127.0.0.1:11434/api/chat"},
		{"vllm", chat, "http://127.0.0.1:8000/v1/chat/completions"},
		{"vllm", mount("/tokenize"), "http://127.0.0.1:8000/tokenize"},
		{"sglang", chat, "http://127.0.0.1:30000/v1/chat/completions"},
		{"llamacpp", chat, "http://127.0.0.1:8080/v1/chat/completions"},
		{"lmstudio", chat, "http://127.0.0.1:1234/v1/chat/completions"},
	} {
		if got := resolve(t, openai_compatible.Config{Type: tt.typ}, tt.op); got != tt.want {
			t.Errorf("%s %v: got %s, want %s", tt.typ, tt.op, got, tt.want)
		}
	}
}

// An operator may write a type's base URL with its API path or without, and end it with
// slashes: it means the same. What stands before is kept.
func TestBaseURLSpellings(t *testing.T) {
	t.Parallel()
	for _, p := range openai_compatible.Presets() {
		chatPath := p.APIPath
		if p.Type == "perplexity" {
			chatPath = ""
		}
		for _, root := range []string{"http://host", "https://host:8443", "https://host/behind/a%2Fproxy"} {
			for _, tail := range []string{"", "/", "//", p.APIPath, p.APIPath + "/"} {
				c := openai_compatible.Config{Type: p.Type, BaseURL: root + tail}
				for _, tt := range []struct {
					op   llmproxy.Operation
					want string
				}{
					{auto(llmproxy.APIChatCompletions, "/chat/completions"), root + chatPath + "/chat/completions"},
					{auto(llmproxy.APIResponses, "/responses/resp_1/input_items"), root + p.APIPath + "/responses/resp_1/input_items"},
					{auto("", "/models/vendor%2Fmodel"), root + p.APIPath + "/models/vendor%2Fmodel"},
					{mount("/v1/anything"), root + "/v1/anything"},
					{mount(p.APIPath + "/chat/completions"), root + p.APIPath + "/chat/completions"},
					{mount("/"), root + "/"},
				} {
					if got := resolve(t, c, tt.op); got != tt.want {
						t.Errorf("%s at %s, %v: got %s, want %s", p.Type, c.BaseURL, tt.op, got, tt.want)
					}
				}
			}
		}
	}
}

// DeepSeek has no API path by itself, so /v1 in its base URL is the operator's own word.
func TestDeepSeekWithVersion(t *testing.T) {
	t.Parallel()
	c := openai_compatible.Config{Type: "deepseek", BaseURL: "https://api.deepseek.com/v1"}
	if got, want := resolve(t, c, auto(llmproxy.APIChatCompletions, "/chat/completions")), "https://api.deepseek.com/v1/chat/completions"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAPIPath(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ typ, base, apiPath, want, wantMount string }{
		{"", "https://host/api/paas/v4", "/api/paas/v4", "https://host/api/paas/v4/chat/completions", "https://host/x"},
		{"", "https://host", "/api/paas/v4/", "https://host/api/paas/v4/chat/completions", "https://host/x"},
		{"", "https://host/v1", "/", "https://host/v1/chat/completions", "https://host/v1/x"},
		{"groq", "", "/", "https://api.groq.com/chat/completions", "https://api.groq.com/x"},
		{"perplexity", "", "/v2", "https://api.perplexity.ai/v2/chat/completions", "https://api.perplexity.ai/x"},
	} {
		c := openai_compatible.Config{Type: tt.typ, BaseURL: tt.base, APIPath: tt.apiPath}
		if got := resolve(t, c, auto(llmproxy.APIChatCompletions, "/chat/completions")); got != tt.want {
			t.Errorf("%s with %s: got %s, want %s", tt.base, tt.apiPath, got, tt.want)
		}
		if got := resolve(t, c, mount("/x")); got != tt.wantMount {
			t.Errorf("%s with %s, on the mount: got %s, want %s", tt.base, tt.apiPath, got, tt.wantMount)
		}
	}
}
