// Package completions reads the answers of OpenAI's legacy Completions API. They differ
// from those of Chat Completions in what a choice holds, which metering does not read.
package completions

import (
	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect"
)

// New returns the reader of one answer.
func New() llmproxy.ResponseExtractor { return &dialect.Choices{} }

// UsageOnly reports whether data, a chunk of a stream, is the one that
// stream_options.include_usage causes. It allocates nothing.
func UsageOnly(data []byte) bool { return dialect.UsageOnly(data) }
