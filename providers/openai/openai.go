// Package openai makes the provider of OpenAI's own service.
//
// It speaks Chat Completions, Completions, Responses, Embeddings and Images; what else
// the service has passes through. OpenAI is one row in the table of package
// openai_compatible, and all behaviour is there.
package openai

import (
	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// Type is the provider's type, and its name unless the configuration gives another.
const Type = "openai"

// Config says how to use OpenAI: at least APIKey, or ClientKeys. Its Type is ignored.
type Config = openai_compatible.Config

// New returns the provider. The error joins a *[openai_compatible.FieldError] for each
// fault of c.
func New(c Config) (*llmproxy.BaseProvider, error) {
	c.Type = Type
	return openai_compatible.New(c)
}
