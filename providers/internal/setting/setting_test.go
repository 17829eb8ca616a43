package setting_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/internal/setting"
)

// A service that no package describes.
func acme() setting.Service {
	return setting.Service{Type: "acme", BaseURL: "https://acme.example", APIPath: "/v2", KeyHeader: "X-Acme-Key"}
}

func TestProvider(t *testing.T) {
	t.Parallel()
	p, err := setting.Common{Name: "acme", APIKey: "sk-ours"}.Provider(acme())
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Name(); got != "acme" {
		t.Errorf("named %s, want acme", got)
	}
	u, err := p.Resolve(&llmproxy.Exchange{Operation: llmproxy.Operation{API: llmproxy.APIResponses, Path: "/responses"}})
	if err != nil || u.String() != "https://acme.example/v2/responses" {
		t.Errorf("got %v, %v", u, err)
	}
	r := &http.Request{Header: http.Header{}}
	if err := p.Enrich(r, &llmproxy.Exchange{}); err != nil || len(r.Header) != 1 || r.Header.Get("X-Acme-Key") != "sk-ours" {
		t.Errorf("got %v, %v", r.Header, err)
	}
}

// What the caller found comes first, and what a field of its own says reads like the rest.
func TestFaultsOfTheCaller(t *testing.T) {
	t.Parallel()
	want := "of the caller\nprovider acme: project: spaces, line ends and other control characters have no place in it\nprovider acme: timeout: is negative"
	_, err := setting.Common{Name: "acme", Timeout: -1}.Provider(acme(), errors.New("of the caller"), setting.Fault("acme", "project", setting.NotVisible))
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}
