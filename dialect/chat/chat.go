// Package chat reads the answers of OpenAI's Chat Completions API, as OpenAI and those
// that copied the API send them.
package chat

import (
	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect"
)

// New returns the reader of one answer.
func New() llmproxy.ResponseExtractor { return &dialect.Choices{} }

// UsageOnly reports whether data, a chunk of a stream, is the one that
// stream_options.include_usage causes: it has a usage object and its choices are empty,
// null or absent. A chunk with an error is none. It allocates nothing.
func UsageOnly(data []byte) bool { return dialect.UsageOnly(data) }
