// Package openai_compatible makes providers of services that speak OpenAI's APIs: one
// [Config] each, and one row in a table for each service that is known by name.
//
// What it makes needs no code of its own per service; a row says where the service is,
// at which path, and what it does differently. Requests and answers stay as they are.
package openai_compatible

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/chat"
	"github.com/llmproxy/llmproxy/dialect/completions"
	"github.com/llmproxy/llmproxy/dialect/embeddings"
	"github.com/llmproxy/llmproxy/dialect/images"
	"github.com/llmproxy/llmproxy/dialect/responses"
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
	preset, ok := Lookup(c.presetType())
	if !ok {
		fault("type", "unknown; want %s", strings.Join(types(), ", "))
	}
	var urls llmproxy.BaseURL
	if ok {
		var problem string
		if urls, problem = resolver(c, preset); problem != "" {
			fault("base_url", "%s", problem)
		}
	}
	if c.APIPath != "" && !validAPIPath(c.APIPath) {
		fault("api_path", "want a path such as /v1, or / for none")
	}
	if !visible(c.APIKey) {
		fault("api_key", "spaces, line ends and other control characters have no place in it")
	}
	header := operatorHeader(c, fault)
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

	key := c.APIKey
	if c.ClientKeys {
		key = ""
	}
	includeUsage := preset.IncludeUsage
	if c.IncludeUsage != nil {
		includeUsage = *c.IncludeUsage
	}
	return &llmproxy.BaseProvider{
		ID:     c.name(),
		Speaks: speaks(includeUsage),
		Routes: llmproxy.Routing{
			Models:  slices.Clone(c.Models),
			BuiltIn: slices.Concat(preset.Models, preset.Native),
			Native:  preset.Native,
		},
		Options:  llmproxy.Settings{ClientKeys: c.ClientKeys, Timeout: c.Timeout},
		URLs:     urls,
		Enricher: credentials(key, header),
	}, nil
}

// speaks returns the APIs of every look-alike. One that lacks an API answers 404 itself,
// and gains it without a release of ours.
func speaks(includeUsage bool) map[llmproxy.APIType]llmproxy.API {
	return map[llmproxy.APIType]llmproxy.API{
		llmproxy.APIChatCompletions: {NewExtractor: chat.New, IncludeUsage: includeUsage},
		llmproxy.APICompletions:     {NewExtractor: completions.New, IncludeUsage: includeUsage},
		llmproxy.APIResponses:       {NewExtractor: responses.New},
		llmproxy.APIEmbeddings:      {NewExtractor: embeddings.New},
		llmproxy.APIImages:          {NewExtractor: images.New},
	}
}

// resolver returns the URLs of c, or what is wrong with its base URL. The URL itself
// stays out of the problem: it may hold a password or, by mistake, the key.
func resolver(c Config, p Preset) (urls llmproxy.BaseURL, problem string) {
	raw, path, paths := p.BaseURL, p.APIPath, p.Paths
	if c.BaseURL != "" {
		raw = c.BaseURL
	}
	if raw == "" {
		return urls, fmt.Sprintf("missing; type %s has none of its own", p.Type)
	}
	if c.APIPath != "" {
		path, paths = strings.TrimRight(c.APIPath, "/"), nil
	}
	urls, err := llmproxy.NewBaseURL(raw, path, paths)
	if err != nil {
		return urls, "want an http:// or https:// URL with a host and without user, query and fragment"
	}
	return urls, ""
}

func validAPIPath(path string) bool {
	return strings.HasPrefix(path, "/") && visible(path) && !strings.ContainsAny(path, "?#%")
}
