// Package cohere makes the provider of Cohere's own API, version 2: chat, embed and
// rerank. What else the service has passes through on the provider's mount.
package cohere

import (
	"github.com/llmproxy/llmproxy"
	dialect "github.com/llmproxy/llmproxy/dialect/cohere"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// Type is the provider's type, and its name unless the configuration gives another.
const Type = "cohere"

// Config says how to use Cohere: at least APIKey, or ClientKeys. Its Type and what it says
// of OpenAI's APIs are ignored.
type Config = openai_compatible.Config

// New returns the provider. The error joins a *[openai_compatible.FieldError] for each
// fault of c.
func New(c Config) (*llmproxy.BaseProvider, error) {
	c.Type = Type
	p, err := openai_compatible.Make(c, service())
	if err != nil {
		return nil, err
	}
	p.Speaks = map[llmproxy.APIType]llmproxy.API{llmproxy.APICohere: {NewExtractor: dialect.New}}
	p.Routes.Paths = []llmproxy.APIType{llmproxy.APICohere}
	return p, nil
}

// service describes Cohere. Version 1 serves what is asked for as /v1/models and
// /v1/rerank.
func service() openai_compatible.Preset {
	return openai_compatible.Preset{
		Type: Type, BaseURL: "https://api.cohere.com", APIPath: "/v2",
		Paths:  map[llmproxy.APIType]string{"models": "/v1", "rerank": "/v1"},
		Models: []string{"command-*", "command", "embed-*", "rerank-*", "c4ai-*"},
	}
}
