package entra_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/azure"
	"github.com/llmproxy/llmproxy/providers/azure/entra"
)

func ExampleDefault() {
	tokens, err := entra.Default()
	if err != nil {
		fmt.Println(err)
		return
	}
	provider, err := azure.New(azure.Config{Resource: "my-resource", Tokens: tokens})
	if err != nil {
		fmt.Println(err)
		return
	}
	http.Handle("/", llmproxy.NewAutoRouter(llmproxy.WithProvider(provider)))
	fmt.Println(provider.Name())
	// Output: azure
}

// credential is one of Microsoft's library.
type credential struct {
	scopes []string
	err    error
}

var end = time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)

func (c *credential) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	c.scopes = append(c.scopes, o.Scopes...)
	return azcore.AccessToken{Token: "ours", ExpiresOn: end}, c.err
}

func TestFrom(t *testing.T) {
	t.Parallel()
	c := &credential{}
	token, expires, err := entra.From(c).Token(t.Context(), "https://ai.azure.com/.default")
	if token != "ours" || !expires.Equal(end) || err != nil || !slices.Equal(c.scopes, []string{"https://ai.azure.com/.default"}) {
		t.Errorf("got %s, %v, %v for %q", token, expires, err, c.scopes)
	}
	c.err = errors.New("planned")
	if token, _, err := entra.From(c).Token(t.Context(), "s"); token != "" || !errors.Is(err, c.err) || err.Error() != "entra: get token: planned" {
		t.Errorf("got %s, %v", token, err)
	}
}

func TestProvider(t *testing.T) {
	t.Parallel()
	p, err := azure.New(azure.Config{Resource: "r", Tokens: entra.From(&credential{})})
	if err != nil {
		t.Fatal(err)
	}
	r := (&http.Request{Header: http.Header{}}).WithContext(t.Context())
	x := &llmproxy.Exchange{Operation: llmproxy.Operation{API: llmproxy.APIResponses, Path: "/responses"}}
	if err := p.Enrich(r, x); err != nil || r.Header.Get("Authorization") != "Bearer ours" {
		t.Errorf("got %v, %v", r.Header, err)
	}
}
