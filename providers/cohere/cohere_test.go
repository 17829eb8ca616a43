package cohere_test

import (
	"fmt"
	"net/http"
	"os"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/cohere"
	"github.com/llmproxy/llmproxy/providers/internal/provider/providertest"
)

const canary = "co-canary-0123456789"

func ExampleNew() {
	provider, err := cohere.New(cohere.Config{APIKey: os.Getenv("COHERE_API_KEY")})
	if err != nil {
		fmt.Println(err)
		return
	}
	router := llmproxy.NewAutoRouter(llmproxy.WithProvider(provider))
	http.Handle("/", router)
	fmt.Println(provider.Name())
	// Output: cohere
}

func TestURLs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		base string
		op   llmproxy.Operation
		want string
	}{
		{"", llmproxy.Operation{API: llmproxy.APICohere, Path: "/chat"}, "https://api.cohere.com/v2/chat"},
		{"", llmproxy.Operation{API: llmproxy.APICohere, Path: "/embed"}, "https://api.cohere.com/v2/embed"},
		{"", llmproxy.Operation{API: llmproxy.APIChatCompletions, Path: "/chat/completions"}, "https://api.cohere.com/compatibility/v1/chat/completions"},
		{"", llmproxy.Operation{API: llmproxy.APIEmbeddings, Path: "/embeddings"}, "https://api.cohere.com/compatibility/v1/embeddings"},
		{"", llmproxy.Operation{API: "models", Path: "/models"}, "https://api.cohere.com/v1/models"},
		{"", llmproxy.Operation{API: "rerank", Path: "/rerank"}, "https://api.cohere.com/v1/rerank"},
		{"", llmproxy.Operation{Path: "/v2/rerank", Mount: true}, "https://api.cohere.com/v2/rerank"},
		{"", llmproxy.Operation{Path: "/v1/tokenize", Mount: true}, "https://api.cohere.com/v1/tokenize"},
		{"", llmproxy.Operation{Path: "/compatibility/v1/chat/completions", Mount: true}, "https://api.cohere.com/compatibility/v1/chat/completions"},
		{"https://api.cohere.ai/v2/", llmproxy.Operation{API: llmproxy.APICohere, Path: "/chat"}, "https://api.cohere.ai/v2/chat"},
		{"https://api.cohere.ai/v2/", llmproxy.Operation{Path: "/v1/tokenize", Mount: true}, "https://api.cohere.ai/v1/tokenize"},
		{"http://host/behind", llmproxy.Operation{API: llmproxy.APICohere, Path: "/chat"}, "http://host/behind/v2/chat"},
	} {
		p, err := cohere.New(cohere.Config{BaseURL: tt.base})
		if err != nil {
			t.Fatal(err)
		}
		u, err := p.Resolve(&llmproxy.Exchange{Operation: tt.op})
		if err != nil || u.String() != tt.want {
			t.Errorf("%s %v: got %v, %v, want %s", tt.base, tt.op, u, err, tt.want)
		}
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	p, err := cohere.New(cohere.Config{Name: "mine", APIKey: canary, Models: []string{"c4ai-*"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Name(); got != "mine" {
		t.Errorf("named %s, want mine", got)
	}
	for _, api := range []llmproxy.APIType{
		llmproxy.APICohere, llmproxy.APIChatCompletions, llmproxy.APIResponses, llmproxy.APIEmbeddings, llmproxy.APIMessages,
	} {
		speaks := api == llmproxy.APICohere || api == llmproxy.APIChatCompletions || api == llmproxy.APIEmbeddings
		if got, ok := p.API(api); ok != speaks || ok && got.NewExtractor() == nil || got.IncludeUsage {
			t.Errorf("%s: %+v, %v", api, got, ok)
		}
	}
	r := &http.Request{Header: http.Header{}}
	if err := p.Enrich(r, &llmproxy.Exchange{}); err != nil || r.Header.Get("Authorization") != "Bearer "+canary {
		t.Errorf("got %v, %v", r.Header, err)
	}
}

// However a configuration or a provider is printed or encoded: no key.
func TestSecretsStayIn(t *testing.T) {
	t.Parallel()
	c := cohere.Config{APIKey: canary, Headers: map[string]string{"X-Token": canary}}
	p, err := cohere.New(c)
	if err != nil {
		t.Fatal(err)
	}
	providertest.Hides(t, c, p, canary)
	if got, want := c.String(), "provider cohere (cohere)"; got != want {
		t.Errorf("String: got %s, want %s", got, want)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	providertest.Faults(t, "both", cohere.New, cohere.Config{BaseURL: canary, APIKey: canary + "\n"}, []string{
		"api_key: spaces, line ends and other control characters have no place in it",
		"base_url: want an http:// or https:// URL with a host and without user, query and fragment",
	}, canary)
}
