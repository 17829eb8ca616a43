// Package anthropic makes the provider of Anthropic's own service, and of services at
// other addresses that are called in the same way.
//
// It speaks the Messages API; what else the service has (models, batches, files) passes
// through. Requests and answers stay as they are, the client's API version and betas
// included.
package anthropic

import (
	"net/http"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/messages"
	"github.com/llmproxy/llmproxy/providers/internal/setting"
)

// Type is the provider's type, and its name unless the configuration gives another.
const Type = "anthropic"

// KeyEnv and TokenEnv are the environment variables in which Anthropic's own tools look
// for an API key and for a bearer token. A key comes first.
const (
	KeyEnv   = "ANTHROPIC_API_KEY"
	TokenEnv = "ANTHROPIC_AUTH_TOKEN"
)

// New returns the provider that c describes. The error joins a *[FieldError] for each
// fault of c. What c points to is copied.
func New(c Config) (*llmproxy.BaseProvider, error) {
	key, field := c.APIKey, "X-Api-Key"
	faults := c.tokenFaults()
	if c.AuthToken != "" && len(faults) == 0 {
		key, field = c.AuthToken, "" // Authorization: Bearer
	}
	p, err := setting.Common{
		Name: c.name(), BaseURL: c.BaseURL, APIKey: key, ClientKeys: c.ClientKeys,
		Headers: c.Headers, Models: c.Models, Timeout: c.Timeout,
	}.Provider(setting.Service{
		Type: Type, BaseURL: "https://api.anthropic.com", APIPath: "/v1",
		KeyHeader: field, Models: []string{"claude-*"},
	}, faults...)
	if err != nil {
		return nil, err
	}
	p.Speaks = map[llmproxy.APIType]llmproxy.API{llmproxy.APIMessages: {NewExtractor: messages.New}}
	p.Routes.Paths = []llmproxy.APIType{llmproxy.APIMessages}
	p.Enricher = versioned{p.Enricher}
	return p, nil
}

// oldest is the API version of requests that name none, which Anthropic would refuse. It
// takes what every client has ever sent; 2026-10-21 refuses sampling parameters.
const oldest = "2023-06-01"

// versioned gives requests a version, where neither the client nor the operator does.
type versioned struct{ llmproxy.RequestEnricher }

// Enrich sets the version, and then what the operator wants over all else.
func (v versioned) Enrich(r *http.Request, x *llmproxy.Exchange) error {
	if r.Header.Get("Anthropic-Version") == "" {
		r.Header.Set("Anthropic-Version", oldest)
	}
	return v.RequestEnricher.Enrich(r, x)
}
