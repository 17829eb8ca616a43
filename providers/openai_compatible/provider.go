// Package openai_compatible makes providers of services that speak OpenAI's APIs: one
// [Config] each, and one row in a table for each service that is known by name.
//
// What it makes needs no code of its own per service; a row says where the service is,
// at which path, and what it does differently. Requests and answers stay as they are.
package openai_compatible

import (
	"maps"
	"net/http"
	"strings"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect"
	"github.com/llmproxy/llmproxy/dialect/chat"
	"github.com/llmproxy/llmproxy/dialect/completions"
	"github.com/llmproxy/llmproxy/dialect/embeddings"
	"github.com/llmproxy/llmproxy/dialect/images"
	"github.com/llmproxy/llmproxy/dialect/messages"
	"github.com/llmproxy/llmproxy/dialect/responses"
	"github.com/llmproxy/llmproxy/providers/internal/setting"
)

// New returns the provider that c describes. The error joins a *[FieldError] for each
// fault of c. What c points to is copied.
func New(c Config) (*llmproxy.BaseProvider, error) {
	var faults []error
	p, ok := Lookup(c.presetType())
	if !ok {
		faults = append(faults, setting.Fault(c.name(), "type", "unknown; want %s", strings.Join(types(), ", ")))
		p.BaseURL = "http://unknown" // so that the rest can be checked
	}
	faults = append(faults, c.faults()...)
	provider, err := setting.Common{
		Name:         c.name(),
		BaseURL:      c.BaseURL,
		APIPath:      c.APIPath,
		Paths:        c.Paths,
		Query:        c.Query,
		APIKey:       c.APIKey,
		APIKeyHeader: c.APIKeyHeader,
		ClientKeys:   c.ClientKeys,
		Headers:      c.headers(),
		Models:       c.Models,
		Timeout:      c.Timeout,
	}.Provider(setting.Service{
		Type:      p.Type,
		BaseURL:   p.BaseURL,
		APIPath:   p.APIPath,
		Alias:     p.Alias,
		Paths:     p.Paths,
		KeyHeader: p.KeyHeader,
		Models:    p.Models,
		Native:    p.Native,
	}, faults...)
	if err != nil {
		return nil, err
	}
	provider.Speaks = speaks(c, p)
	socket := p.WebSocket
	if c.WebSocket != nil {
		socket = *c.WebSocket
	}
	if socket {
		// Their own rules forbid stream, stream_options and background there.
		provider.Socket = &llmproxy.WebSocketMode{Strict: true}
	}
	return provider, nil
}

// faults returns what is wrong with the fields that only OpenAI's look-alikes have.
func (c Config) faults() (faults []error) {
	for _, own := range []struct{ field, value string }{{"organization", c.Organization}, {"project", c.Project}} {
		if !setting.Visible(own.value) {
			faults = append(faults, setting.Fault(c.name(), own.field, setting.NotVisible))
		}
	}
	return faults
}

// headers returns the fields for every request: those of organization and project, unless
// c.Headers has them as well.
func (c Config) headers() map[string]string {
	headers := maps.Clone(c.Headers)
	if headers == nil {
		headers = map[string]string{}
	}
	given := map[string]bool{}
	for name := range headers {
		given[http.CanonicalHeaderKey(name)] = true
	}
	for name, value := range map[string]string{"Openai-Organization": c.Organization, "Openai-Project": c.Project} {
		if value != "" && setting.Visible(value) && !given[name] {
			headers[name] = value
		}
	}
	return headers
}

// speaks returns the APIs of every look-alike, Messages where p or c has a path for it,
// and p's own. One that lacks an API answers 404 itself, and gains it without a release
// of ours.
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
	for name, newReader := range p.Own {
		apis[name] = llmproxy.API{NewExtractor: newReader}
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
