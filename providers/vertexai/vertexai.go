// Package vertexai makes the provider of Google Cloud's Vertex AI.
//
// It speaks Gemini's generateContent and, for the models that Vertex AI serves so, Chat
// Completions. On its mount it also speaks Messages with Anthropic's models, at their
// rawPredict and streamRawPredict. Requests and answers stay as they are.
//
// Access tokens come from a [CredentialSource]; package adc has that of application
// default credentials.
package vertexai

import (
	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/gemini"
	"github.com/llmproxy/llmproxy/dialect/messages"
	"github.com/llmproxy/llmproxy/providers/internal/setting"
)

// Type is the provider's type, and its name unless the configuration gives another.
const Type = "vertexai"

// New returns the provider that c describes. The error joins a *[FieldError] for each
// fault of c. What c points to is copied.
func New(c Config) (*llmproxy.BaseProvider, error) {
	p, err := setting.Common{
		Name: c.name(), BaseURL: c.base(), APIKey: c.APIKey, ClientKeys: c.ClientKeys,
		Headers: c.Headers, Models: c.Models, Timeout: c.Timeout,
	}.Provider(setting.Service{
		Type: Type, APIPath: "/" + c.version(), KeyHeader: "X-Goog-Api-Key",
		Models: []string{
			"gemini-*", "gemma-*", "models/gemini-*", "google/gemini-*", "publishers/*/models/*",
			"text-embedding-004", "text-embedding-005", "text-multilingual-embedding-*", "imagen-*", "veo-*",
		},
	}, c.faults()...)
	if err != nil {
		return nil, err
	}
	p.Speaks = map[llmproxy.APIType]llmproxy.API{
		llmproxy.APIGenerateContent: {NewExtractor: gemini.New},
		// Streams report usage on every chunk, unasked.
		llmproxy.APIChatCompletions: {NewExtractor: gemini.NewChat},
		llmproxy.APIMessages:        {NewExtractor: messages.New},
	}
	p.Routes.Paths = []llmproxy.APIType{llmproxy.APIGenerateContent}
	p.Options.KeyQuery = []string{"key", "access_token"}
	p.URLs = newPlaces(c, p.URLs)
	p.Enricher = credentials(c, p.Enricher)
	return p, nil
}
