package openai_compatible_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/internal/provider/providertest"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// canary is a secret; no output may have it.
const canary = "sk-canary-0123456789"

func TestNames(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		config openai_compatible.Config
		want   string
	}{
		{openai_compatible.Config{BaseURL: "http://host"}, "openai_compatible"},
		{openai_compatible.Config{Type: "groq"}, "groq"},
		{openai_compatible.Config{Type: "groq", Name: "fast"}, "fast"},
	} {
		p, err := openai_compatible.New(tt.config)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Name(); got != tt.want {
			t.Errorf("%v: named %s, want %s", tt.config, got, tt.want)
		}
	}
}

func TestRoutingAndSettings(t *testing.T) {
	t.Parallel()
	p, err := openai_compatible.New(openai_compatible.Config{
		Name: "fast", Type: "groq", Models: []string{"Llama-*"}, Timeout: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	r := p.Routing()
	if !slices.Equal(r.Models, []string{"Llama-*"}) {
		t.Errorf("the operator's patterns are %q", r.Models)
	}
	if !slices.Equal(r.Native, []string{"groq/compound*"}) {
		t.Errorf("native names are %q", r.Native)
	}
	// Under another name, groq/compound is no prefix: only its pattern can find it.
	if !slices.Contains(r.BuiltIn, "groq/compound*") || !slices.Contains(r.BuiltIn, "llama-*-versatile") {
		t.Errorf("built-in patterns are %q", r.BuiltIn)
	}
	if got, want := p.Settings(), (llmproxy.Settings{Timeout: time.Minute}); !reflect.DeepEqual(got, want) {
		t.Errorf("settings are %v, want %v", got, want)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	type faults []string // field: problem
	const (
		wantURL  = "base_url: want an http:// or https:// URL with a host and without user, query and fragment"
		wantPath = "api_path: want a path such as /v1, or / for none"
		wantKey  = "api_key: spaces, line ends and other control characters have no place in it"
		wantName = "name: spaces, control characters and / have no place in it: it is a part of models and paths"
	)
	for _, tt := range []struct {
		name   string
		config openai_compatible.Config
		want   faults
	}{
		{"no base URL", openai_compatible.Config{}, faults{"base_url: missing; type openai_compatible has none of its own"}},
		{"no scheme", openai_compatible.Config{BaseURL: canary + ":8000/v1"}, faults{wantURL}},
		{"another scheme", openai_compatible.Config{BaseURL: "unix:///run/" + canary}, faults{wantURL}},
		{"a key for a URL", openai_compatible.Config{BaseURL: canary}, faults{wantURL}},
		{"a password", openai_compatible.Config{BaseURL: "https://me:" + canary + "@host/v1"}, faults{wantURL}},
		{"a broken URL with a password", openai_compatible.Config{BaseURL: "https://me:" + canary + "/%zz@host"}, faults{wantURL}},
		{"a query", openai_compatible.Config{BaseURL: "https://host/v1?key=" + canary}, faults{wantURL}},
		{"a query without scheme", openai_compatible.Config{BaseURL: "host/v1?key=x@" + canary}, faults{wantURL}},
		{"API path without slash", openai_compatible.Config{Type: "groq", APIPath: "v1"}, faults{wantPath}},
		{"API path with a query", openai_compatible.Config{Type: "groq", APIPath: "/v1?k=" + canary}, faults{wantPath}},
		{"a line end in the key", openai_compatible.Config{Type: "groq", APIKey: canary + "\n"}, faults{wantKey}},
		{"not ASCII in the key", openai_compatible.Config{Type: "groq", APIKey: canary + "…"}, faults{wantKey}},
		{"a key header that is none", openai_compatible.Config{Type: "groq", APIKeyHeader: "X-Key: " + canary}, faults{"api_key_header: want the name of a header field, such as api-key"}},
		{"a key header that is the gateway's", openai_compatible.Config{Type: "groq", APIKeyHeader: "host"}, faults{"api_key_header: Host is set by the gateway"}},
		{
			"a path of an unknown API",
			openai_compatible.Config{Type: "groq", Paths: map[llmproxy.APIType]string{canary: "/v1"}},
			faults{"paths: one of the APIs is unknown; want chat_completions, completions, responses, embeddings, images or messages"},
		},
		{
			"a path with a query",
			openai_compatible.Config{Type: "groq", Paths: map[llmproxy.APIType]string{llmproxy.APIMessages: "/v1?" + canary}},
			faults{"paths: messages: want a path such as /v1, or / for the root"},
		},
		{
			"an empty path",
			openai_compatible.Config{Type: "groq", Paths: map[llmproxy.APIType]string{llmproxy.APIImages: ""}},
			faults{"paths: images: want a path such as /v1, or / for the root"},
		},
		{"a parameter without name", openai_compatible.Config{Type: "groq", Query: map[string]string{"": canary}}, faults{"query: a parameter has no name"}},
		{"a slash in the name", openai_compatible.Config{Type: "groq", Name: "a/b"}, faults{wantName}},
		{"an empty pattern", openai_compatible.Config{Type: "groq", Models: []string{"a", ""}}, faults{"models: pattern 2 is empty"}},
		{"a negative timeout", openai_compatible.Config{Type: "groq", Timeout: -1}, faults{"timeout: is negative"}},
		{
			"an unknown type",
			openai_compatible.Config{Type: "grok"},
			faults{"type: unknown; want openai, groq, fireworks, xai, perplexity, deepseek, mistral, together, openrouter, cerebras, moonshot, alibaba, zai, minimax, deepinfra, sambanova, nebius, hyperbolic, nvidia, huggingface, github, ollama, vllm, sglang, llamacpp, lmstudio, openai_compatible"},
		},
		{
			"a project with a line end",
			openai_compatible.Config{Type: "openai", Project: "p\r\nX-Other: " + canary},
			faults{"project: spaces, line ends and other control characters have no place in it"},
		},
		{
			"headers",
			openai_compatible.Config{Type: "groq", Headers: map[string]string{
				"Authorization: Bearer " + canary: "",
				"connection":                      canary,
				"Content-length":                  canary,
				"HOST":                            canary,
				"sec-websocket-protocol":          canary,
				"X-Two":                           canary,
				"x-two":                           canary,
				"X-Lines":                         canary + "\nX-Other: 1",
				"":                                canary,
				"X-Fine":                          canary + "\tvé",
			}},
			faults{
				"headers: one of the names is not a field name",
				"headers: one of the names is not a field name",
				"headers: Content-Length is set by the gateway",
				"headers: Host is set by the gateway",
				"headers: X-Lines has a value with a line end or another control character",
				"headers: Connection is set by the gateway",
				"headers: Sec-Websocket-Protocol is set by the gateway",
				"headers: X-Two is given twice",
			},
		},
		{
			"all at once",
			openai_compatible.Config{Name: "a b", BaseURL: canary, APIKey: canary + " ", Timeout: -1},
			faults{wantName, wantURL, wantKey, "timeout: is negative"},
		},
	} {
		providertest.Faults(t, tt.name, openai_compatible.New, tt.config, tt.want, canary)
	}
}

func TestFaultsNameTheProvider(t *testing.T) {
	t.Parallel()
	_, err := openai_compatible.New(openai_compatible.Config{Name: "my-vllm"})
	if got, want := fmt.Sprint(err), "provider my-vllm: base_url: missing; type openai_compatible has none of its own"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// However a configuration or a provider is printed, logged or encoded: no secret.
func TestSecretsStayIn(t *testing.T) {
	t.Parallel()
	c := openai_compatible.Config{
		Name: "mine", Type: "vllm", BaseURL: "http://host", APIKey: canary,
		Headers: map[string]string{"X-Token": canary}, Organization: canary, Project: canary,
		Query: map[string]string{"key": canary},
	}
	p, err := openai_compatible.New(c)
	if err != nil {
		t.Fatal(err)
	}
	providertest.Hides(t, c, p, canary)
	if got, want := c.String(), "provider mine (vllm)"; got != want {
		t.Errorf("String: got %s, want %s", got, want)
	}
}
