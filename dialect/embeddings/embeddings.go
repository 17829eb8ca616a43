// Package embeddings reads the answers of OpenAI's Embeddings API and of its copies:
// one JSON body that reports the tokens of the prompt and generates none.
package embeddings

import (
	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect"
	"github.com/llmproxy/llmproxy/wire"
)

// New returns the reader of one answer.
func New() llmproxy.ResponseExtractor { return &reader{} }

type reader struct{ dialect.Answer }

// Frame reads the body.
func (r *reader) Frame(f wire.Frame) { r.Body(f.Data) }
