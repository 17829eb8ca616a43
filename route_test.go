package llmproxy

import (
	"context"
	"net/http"
	"testing"
)

func TestRoute(t *testing.T) {
	t.Parallel()
	openai := &BaseProvider{ID: "openai", Routes: Routing{BuiltIn: []string{"gpt-*", "o1*"}}}
	groq := &BaseProvider{ID: "groq", Routes: Routing{BuiltIn: []string{"llama-*"}, Native: []string{"groq/compound*"}}}
	router := &BaseProvider{ID: "openrouter", Routes: Routing{BuiltIn: []string{"*/*"}, Native: []string{"openrouter/auto"}}}
	google := &BaseProvider{ID: "googleai", Routes: Routing{BuiltIn: []string{"gemini-*"}, Prefixes: []string{"google", "gemini"}}}
	anthropic := &BaseProvider{ID: "anthropic", Routes: Routing{Paths: []APIType{APIMessages}}}
	vllm := &BaseProvider{ID: "my-vllm", Routes: Routing{Models: []string{"qwen3-*", "gpt-oss-*"}}}
	vllm2 := &BaseProvider{ID: "vllm-2", Routes: Routing{Models: []string{"qwen3-*", "qwen3-coder-*"}}}
	all := []Provider{openai, groq, router, google, anthropic, vllm, vllm2}
	lookup := func(_ context.Context, model string) (string, bool) {
		switch model {
		case "looked-up":
			return "groq", true
		case "looked-up-in-vain":
			return "gone", true
		}
		return "", false
	}

	for _, tt := range []struct {
		name, xProvider, model string
		api                    APIType
		provider, upstream     string // upstream "": as the client wrote it
		code                   string // of the error
	}{
		{name: "pattern", model: "gpt-5", provider: "openai"},
		{name: "pattern without regard to case", model: "GPT-5", provider: "openai"},
		{name: "bare name under a pattern", model: "o1", provider: "openai"},
		{name: "prefix is cut", model: "openai/gpt-5", provider: "openai", upstream: "gpt-5"},
		{name: "prefix is cut once", model: "openai/openai/gpt-5", provider: "openai", upstream: "openai/gpt-5"},
		{name: "only the first segment", model: "groq/openai/gpt-oss-120b", provider: "groq", upstream: "openai/gpt-oss-120b"},
		{name: "another name of the provider", model: "gemini/gemini-3-pro", provider: "googleai", upstream: "gemini-3-pro"},
		{name: "native name with the provider's own prefix", model: "groq/compound-mini", provider: "groq"},
		{name: "the same, other provider", model: "openrouter/auto", provider: "openrouter"},
		{name: "prefix before a native-looking name", model: "openrouter/anthropic/claude-4", provider: "openrouter", upstream: "anthropic/claude-4"},
		{name: "prefix alone is no prefix", model: "openai/", provider: "openai"},
		{name: "unconfigured first segment is no prefix", model: "mistralai/x", provider: "openrouter"},
		{name: "X-Provider beats a prefix, which stays", xProvider: "groq", model: "openai/gpt-oss-120b", provider: "groq"},
		{name: "X-Provider with its own prefix", xProvider: "openai", model: "openai/gpt-5", provider: "openai", upstream: "gpt-5"},
		{name: "X-Provider with a native name", xProvider: "openrouter", model: "openrouter/auto", provider: "openrouter"},
		{name: "X-Provider beats a pattern", xProvider: "groq", model: "gpt-5", provider: "groq"},
		{name: "X-Provider not configured", xProvider: "mistral", model: "gpt-5", code: "provider_not_found"},
		{name: "operator's pattern beats a built-in one", model: "gpt-oss-20b", provider: "my-vllm"},
		{name: "longest operator's pattern", model: "qwen3-coder-30b", provider: "vllm-2"},
		{name: "first of equally long ones", model: "qwen3-32b", provider: "my-vllm"},
		{name: "lookup", model: "looked-up", provider: "groq"},
		{name: "lookup of an unregistered name", model: "looked-up-in-vain", code: "model_not_found"},
		{name: "the path's own provider", model: "unknown", api: APIMessages, provider: "anthropic"},
		{name: "unknown", model: "unknown", code: "model_not_found"},
		{name: "no model", code: "model_not_found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := NewAutoRouter(WithProvider(all...), WithLookup(lookup))
			x := &Exchange{Header: http.Header{}, Meta: BodyMetadata{Model: tt.model}}
			if tt.xProvider != "" {
				x.Header.Set("X-Provider", tt.xProvider)
			}
			got, err := a.route(t.Context(), target{op: Operation{API: tt.api}}, x)
			if tt.code != "" {
				if err == nil || err.Code != tt.code || err.Status != 404 {
					t.Fatalf("got %v, want 404 %s", err, tt.code)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.Provider.Name() != tt.provider || got.Model != tt.upstream {
				t.Errorf("got %s with model %q, want %s with %q", got.Provider.Name(), got.Model, tt.provider, tt.upstream)
			}
		})
	}
}

func TestRouteFallback(t *testing.T) {
	t.Parallel()
	one, two := &BaseProvider{ID: "one"}, &BaseProvider{ID: "two"}
	x := &Exchange{Header: http.Header{}, Meta: BodyMetadata{Model: "m"}}
	for _, tt := range []struct {
		name string
		opts []Option
		want string // "": none
	}{
		{"the only provider", []Option{WithProvider(one)}, "one"},
		{"none of two", []Option{WithProvider(one, two)}, ""},
		{"the named one", []Option{WithProvider(one, two), WithFallback("two")}, "two"},
		{"a name that is not there", []Option{WithProvider(one), WithFallback("two")}, ""},
	} {
		got, err := NewAutoRouter(tt.opts...).route(t.Context(), target{}, x)
		switch {
		case tt.want == "" && err == nil:
			t.Errorf("%s: got %s", tt.name, got.Provider.Name())
		case tt.want != "" && (err != nil || got.Provider.Name() != tt.want):
			t.Errorf("%s: got %v, %v", tt.name, got.Provider, err)
		}
	}
}

// Azure's paths are for providers that serve them, whatever the model's name says.
func TestRouteDeployments(t *testing.T) {
	t.Parallel()
	openai := &BaseProvider{ID: "openai", Routes: Routing{BuiltIn: []string{"gpt-*"}}}
	azure := &BaseProvider{ID: "azure", Routes: Routing{Deployments: true}}
	azure2 := &BaseProvider{ID: "azure-2", Routes: Routing{Deployments: true, Models: []string{"gpt-4o"}}}
	deployments := target{deployments: true}
	for _, tt := range []struct {
		model, xProvider string
		providers        []Provider
		want             string // "": none
	}{
		{"gpt-5", "", []Provider{openai, azure, azure2}, "azure"},
		{"gpt-4o", "", []Provider{openai, azure, azure2}, "azure-2"},
		{"azure-2/x", "", []Provider{openai, azure, azure2}, "azure-2"},
		{"gpt-5", "openai", []Provider{openai, azure}, "openai"},
		{"gpt-5", "", []Provider{openai}, ""},
	} {
		x := &Exchange{Header: http.Header{"X-Provider": {tt.xProvider}}, Meta: BodyMetadata{Model: tt.model}}
		got, err := NewAutoRouter(WithProvider(tt.providers...)).route(t.Context(), deployments, x)
		switch {
		case tt.want == "" && err == nil:
			t.Errorf("%s: got %s", tt.model, got.Provider.Name())
		case tt.want != "" && (err != nil || got.Provider.Name() != tt.want):
			t.Errorf("%s: got %v, %v, want %s", tt.model, got.Provider, err, tt.want)
		}
	}
}

type aliases map[string]Route

func (a aliases) DetectProvider(_ context.Context, h ProviderHint) (provider, model string) {
	if r, ok := a[h.Model]; ok {
		return r.Provider.Name(), r.Model
	}
	return "", ""
}

func TestRouteAliasComesFirst(t *testing.T) {
	t.Parallel()
	one, two := &BaseProvider{ID: "one"}, &BaseProvider{ID: "two"}
	a := NewAutoRouter(WithProvider(one, two), WithDetector(aliases{"fast": {Provider: two, Model: "small"}}))
	x := &Exchange{Header: http.Header{"X-Provider": {"one"}}, Meta: BodyMetadata{Model: "fast"}}
	got, err := a.route(t.Context(), target{}, x)
	if err != nil || got.Provider != Provider(two) || got.Model != "small" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestMatchPattern(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"gpt-*", "gpt-5", true},
		{"gpt-*", "gpt-", true},
		{"gpt-*", "chatgpt-5", false},
		{"*", "", true},
		{"*/*", "a/b", true},
		{"*/*", "ab", false},
		{"a*b*c", "aXbXbYc", true},
		{"a*b*c", "aXbXbY", false},
		{"sonar", "sonar", true},
		{"sonar", "sonar-pro", false},
		{"Qwen3-*", "qwen3-4B", true},
		{"", "", true},
		{"", "x", false},
	} {
		if got := matchPattern(tt.pattern, tt.name); got != tt.want {
			t.Errorf("matchPattern(%q, %q) = %t", tt.pattern, tt.name, got)
		}
	}
}
