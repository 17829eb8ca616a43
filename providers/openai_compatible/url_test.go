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
		{"alibaba", chat, "https://dashscope-intl.aliyuncs.com/compatible-mode/v1/chat/completions"},
		{"alibaba", answers, "https://dashscope-intl.aliyuncs.com/compatible-mode/v1/responses"},
		{"zai", chat, "https://api.z.ai/api/paas/v4/chat/completions"},
		{"minimax", chat, "https://api.minimax.io/v1/chat/completions"},
		{"deepinfra", chat, "https://api.deepinfra.com/v1/openai/chat/completions"},
		{"sambanova", chat, "https://api.sambanova.ai/v1/chat/completions"},
		{"nebius", chat, "https://api.tokenfactory.nebius.com/v1/chat/completions"},
		{"hyperbolic", chat, "https://api.hyperbolic.xyz/v1/chat/completions"},
		{"nvidia", chat, "https://integrate.api.nvidia.com/v1/chat/completions"},
		{"huggingface", chat, "https://router.huggingface.co/v1/chat/completions"},
		{"github", chat, "https://models.github.ai/inference/chat/completions"},
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

// DeepSeek serves the same at /v1. An operator who writes that gets it, and still has the
// service's root on the mount and under other APIs.
func TestDeepSeekWithVersion(t *testing.T) {
	t.Parallel()
	for _, tail := range []string{"/v1", "/v1/"} {
		c := openai_compatible.Config{Type: "deepseek", BaseURL: "https://api.deepseek.com" + tail}
		for _, tt := range []struct {
			op   llmproxy.Operation
			want string
		}{
			{auto(llmproxy.APIChatCompletions, "/chat/completions"), "https://api.deepseek.com/v1/chat/completions"},
			{auto(llmproxy.APIMessages, "/messages"), "https://api.deepseek.com/anthropic/v1/messages"},
			{mount("/v1/chat/completions"), "https://api.deepseek.com/v1/chat/completions"},
			{mount("/beta/completions"), "https://api.deepseek.com/beta/completions"},
		} {
			if got := resolve(t, c, tt.op); got != tt.want {
				t.Errorf("%s, %v: got %s, want %s", tail, tt.op, got, tt.want)
			}
		}
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	c := openai_compatible.Config{Type: "perplexity", Paths: map[llmproxy.APIType]string{
		llmproxy.APIEmbeddings: "/embed/v3/", llmproxy.APIResponses: "/",
	}}
	for _, tt := range []struct {
		op   llmproxy.Operation
		want string
	}{
		{auto(llmproxy.APIChatCompletions, "/chat/completions"), "https://api.perplexity.ai/chat/completions"}, // the type's
		{auto(llmproxy.APIEmbeddings, "/embeddings"), "https://api.perplexity.ai/embed/v3/embeddings"},
		{auto(llmproxy.APIResponses, "/responses"), "https://api.perplexity.ai/responses"},
		{auto("", "/models"), "https://api.perplexity.ai/v1/models"},
		{mount("/embeddings"), "https://api.perplexity.ai/embeddings"},
	} {
		if got := resolve(t, c, tt.op); got != tt.want {
			t.Errorf("%v: got %s, want %s", tt.op, got, tt.want)
		}
	}
	c.Paths[llmproxy.APIEmbeddings] = "/changed"
	if p, ok := openai_compatible.Lookup("perplexity"); !ok || len(p.Paths) != 1 {
		t.Errorf("the table's paths became %v", p.Paths)
	}
}

// What the operator adds to every query, mounts included, gives way to what the client
// says itself, and goes before it.
func TestQuery(t *testing.T) {
	t.Parallel()
	p, err := openai_compatible.New(openai_compatible.Config{
		BaseURL: "http://host/v1", Query: map[string]string{"api-version": "2024-10-21", "a b": "1&2", "empty": ""},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ client, want string }{
		{"", "a+b=1%262&api-version=2024-10-21&empty="},
		{"x=1&x=2", "a+b=1%262&api-version=2024-10-21&empty="},
		{"api-version=other", "a+b=1%262&empty="},
		{"api%2Dversion&empty=x", "a+b=1%262"},
		{"API-Version=1&%zz=2", "a+b=1%262&api-version=2024-10-21&empty="},
		{"x=api-version&a%20b=&api-version=1&empty", ""},
	} {
		for _, op := range []llmproxy.Operation{auto(llmproxy.APIChatCompletions, "/chat/completions"), mount("/v1/chat/completions")} {
			u, err := p.Resolve(&llmproxy.Exchange{Operation: op, RawQuery: tt.client})
			if err != nil {
				t.Fatal(err)
			}
			if u.Path != "/v1/chat/completions" || u.RawQuery != tt.want {
				t.Errorf("%q: got %s, want the query %s", tt.client, u, tt.want)
			}
		}
	}
	if _, err := p.Resolve(&llmproxy.Exchange{Operation: mount("/%zz")}); err == nil {
		t.Error("a path that is not percent-encoded: got no error")
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
