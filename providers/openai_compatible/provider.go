// Package openai_compatible makes providers of services that speak OpenAI's APIs: one
// [Config] each, and one row in a table for each service that is known by name.
//
// What it makes needs no code of its own per service; a row says where the service is,
// at which path, and what it does differently. Requests and answers stay as they are.
package openai_compatible

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect"
	"github.com/llmproxy/llmproxy/dialect/chat"
	"github.com/llmproxy/llmproxy/dialect/completions"
	"github.com/llmproxy/llmproxy/dialect/embeddings"
	"github.com/llmproxy/llmproxy/dialect/images"
	"github.com/llmproxy/llmproxy/dialect/messages"
	"github.com/llmproxy/llmproxy/dialect/responses"
)

// New returns the provider that c describes. The error joins a *[FieldError] for each
// fault of c. What c points to is copied.
func New(c Config) (*llmproxy.BaseProvider, error) {
	preset, ok := Lookup(c.presetType())
	if !ok {
		return nil, errors.Join(append(c.faults(), &FieldError{
			Provider: c.name(), Field: "type", Problem: "unknown; want " + strings.Join(types(), ", "),
		})...)
	}
	return Make(c, preset)
}

// Make is [New] for a service that a package of its own describes: p takes the place of
// a row in the table, and c.Type is for show only.
func Make(c Config, p Preset) (*llmproxy.BaseProvider, error) {
	faults := c.faults()
	urls, field, problem := resolver(c, p)
	if problem != "" {
		faults = append(faults, &FieldError{Provider: c.name(), Field: field, Problem: problem})
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}

	key, keyHeader := c.APIKey, p.KeyHeader
	if c.ClientKeys {
		key = ""
	}
	if c.APIKeyHeader != "" {
		keyHeader = c.APIKeyHeader
	}
	return &llmproxy.BaseProvider{
		ID:     c.name(),
		Speaks: speaks(c, p),
		Routes: llmproxy.Routing{
			Models:  slices.Clone(c.Models),
			BuiltIn: slices.Concat(p.Models, p.Native),
			Native:  p.Native,
		},
		Options:  llmproxy.Settings{ClientKeys: c.ClientKeys, Timeout: c.Timeout},
		URLs:     urls,
		Enricher: credentials(key, keyHeader, operatorHeader(c, func(string, string, ...any) {})),
	}, nil
}

// faults returns what is wrong with c whatever its type is, as errors of type
// *[FieldError].
func (c Config) faults() (faults []error) {
	fault := func(field, format string, args ...any) {
		faults = append(faults, &FieldError{Provider: c.name(), Field: field, Problem: fmt.Sprintf(format, args...)})
	}
	if strings.ContainsFunc(c.name(), func(r rune) bool { return r <= ' ' || r == '/' || r == 0x7f }) {
		fault("name", "spaces, control characters and / have no place in it: it is a part of models and paths")
	}
	if !visible(c.APIKey) {
		fault("api_key", "spaces, line ends and other control characters have no place in it")
	}
	switch name := c.APIKeyHeader; {
	case name == "":
	case !token(name):
		fault("api_key_header", "want the name of a header field, such as api-key")
	case notTheOperators(http.CanonicalHeaderKey(name)):
		fault("api_key_header", "%s is set by the gateway", http.CanonicalHeaderKey(name))
	}
	operatorHeader(c, fault)
	for i, pattern := range c.Models {
		if pattern == "" {
			fault("models", "pattern %d is empty", i+1)
		}
	}
	if c.Timeout < 0 {
		fault("timeout", "is negative")
	}
	return faults
}

// speaks returns the APIs of every look-alike, and Messages where p or c has a path for
// it. One that lacks an API answers 404 itself, and gains it without a release of ours.
func speaks(c Config, p Preset) map[llmproxy.APIType]llmproxy.API {
	includeUsage := p.IncludeUsage
	if c.IncludeUsage != nil {
		includeUsage = *c.IncludeUsage
	}
	apis := map[llmproxy.APIType]llmproxy.API{
		llmproxy.APIChatCompletions: {NewExtractor: chat.New, IncludeUsage: includeUsage},
		llmproxy.APICompletions:     {NewExtractor: completions.New, IncludeUsage: includeUsage},
		llmproxy.APIResponses:       {NewExtractor: responses.New},
		llmproxy.APIEmbeddings:      {NewExtractor: embeddings.New},
		llmproxy.APIImages:          {NewExtractor: images.New},
	}
	if speaksMessages(c, p) {
		apis[llmproxy.APIMessages] = llmproxy.API{NewExtractor: messages.New}
	}
	for name, api := range apis {
		api.NewExtractor = dialect.Charging(api.NewExtractor, p.Charge)
		apis[name] = api
	}
	return apis
}

func speaksMessages(c Config, p Preset) bool {
	_, row := p.Paths[llmproxy.APIMessages]
	_, own := c.Paths[llmproxy.APIMessages]
	return row || own
}
