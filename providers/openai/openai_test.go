package openai_test

import (
	"fmt"
	"net/http"
	"os"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/openai"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

func ExampleNew() {
	provider, err := openai.New(openai.Config{APIKey: os.Getenv("OPENAI_API_KEY")})
	if err != nil {
		fmt.Println(err)
		return
	}
	router := llmproxy.NewAutoRouter(llmproxy.WithProvider(provider))
	mux := http.NewServeMux()
	mux.Handle("/llm/", http.StripPrefix("/llm", router))
	fmt.Println(provider.Name())
	// Output: openai
}

func TestNew(t *testing.T) {
	t.Parallel()
	p, err := openai.New(openai.Config{Type: "groq", Name: "eu", BaseURL: "https://eu.api.openai.com/v1/", APIKey: "sk-1", Organization: "org-1"})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Name(); got != "eu" {
		t.Errorf("named %s, want eu", got)
	}
	r := &http.Request{Header: http.Header{}}
	x := &llmproxy.Exchange{Operation: llmproxy.Operation{API: llmproxy.APIResponses, Path: "/responses"}}
	if err := p.Enrich(r, x); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"Authorization": "Bearer sk-1", "Openai-Organization": "org-1", "Openai-Project": ""} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	u, err := p.Resolve(x)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := u.String(), "https://eu.api.openai.com/v1/responses"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	api, ok := p.API(llmproxy.APIChatCompletions)
	if !ok || !api.IncludeUsage {
		t.Error("OpenAI reports the usage of a stream only when it is asked")
	}
}

func TestTypeIsInTheTable(t *testing.T) {
	t.Parallel()
	if _, ok := openai_compatible.Lookup(openai.Type); !ok {
		t.Errorf("no row for %s", openai.Type)
	}
}
