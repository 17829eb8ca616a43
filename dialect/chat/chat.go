// Package chat reads the answers of OpenAI's Chat Completions API, as OpenAI and those
// that copied the API send them.
package chat

import (
	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect"
)

// New returns the reader of one answer.
func New() llmproxy.ResponseExtractor { return &dialect.Choices{} }
