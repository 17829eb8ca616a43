// Package anthropic makes the provider of Anthropic's own service, and of services at
// other addresses that are called in the same way.
//
// It speaks the Messages API; what else the service has (models, batches, files) passes
// through. Requests and answers stay as they are, the client's API version and betas
// included.
package anthropic

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/messages"
)

const (
	// Type is the provider's type, and its name unless the configuration gives another.
	Type = "anthropic"

	address = "https://api.anthropic.com"
	apiPath = "/v1"
)

// KeyEnv and TokenEnv are the environment variables in which Anthropic's own tools look
// for an API key and for a bearer token. A key comes first.
const (
	KeyEnv   = "ANTHROPIC_API_KEY"
	TokenEnv = "ANTHROPIC_AUTH_TOKEN"
)

// New returns the provider that c describes. The error joins a *[FieldError] for each
// fault of c. What c points to is copied.
func New(c Config) (*llmproxy.BaseProvider, error) {
	var faults []error
	fault := func(field, format string, args ...any) {
		faults = append(faults, &FieldError{Provider: c.name(), Field: field, Problem: fmt.Sprintf(format, args...)})
	}

	if strings.ContainsFunc(c.name(), func(r rune) bool { return r <= ' ' || r == '/' || r == 0x7f }) {
		fault("name", "spaces, control characters and / have no place in it: it is a part of models and paths")
	}
	base := c.BaseURL
	if base == "" {
		base = address
	}
	urls, err := llmproxy.NewBaseURL(base, apiPath, nil)
	if err != nil {
		// The URL stays out of it: it may hold a password or, by mistake, the key.
		fault("base_url", "want an http:// or https:// URL with a host and without user, query and fragment")
	}
	for _, secret := range []struct{ field, value string }{{"api_key", c.APIKey}, {"auth_token", c.AuthToken}} {
		if !visible(secret.value) {
			fault(secret.field, "spaces, line ends and other control characters have no place in it")
		}
	}
	if c.APIKey != "" && c.AuthToken != "" {
		fault("auth_token", "only one of api_key and auth_token can be sent")
	}
	header := operatorHeader(c.Headers, fault)
	for i, pattern := range c.Models {
		if pattern == "" {
			fault("models", "pattern %d is empty", i+1)
		}
	}
	if c.Timeout < 0 {
		fault("timeout", "is negative")
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}

	return &llmproxy.BaseProvider{
		ID:     c.name(),
		Speaks: map[llmproxy.APIType]llmproxy.API{llmproxy.APIMessages: {NewExtractor: messages.New}},
		Routes: llmproxy.Routing{
			Models:  slices.Clone(c.Models),
			BuiltIn: []string{"claude-*"},
			Paths:   []llmproxy.APIType{llmproxy.APIMessages},
		},
		Options:  llmproxy.Settings{ClientKeys: c.ClientKeys, Timeout: c.Timeout},
		URLs:     urls,
		Enricher: credentials(c, header),
	}, nil
}
