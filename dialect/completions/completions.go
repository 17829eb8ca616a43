// Package completions reads the answers of OpenAI's legacy Completions API. They differ
// from those of Chat Completions in what a choice holds, which metering does not read.
package completions

import (
	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect"
)

// New returns the reader of one answer.
func New() llmproxy.ResponseExtractor { return &dialect.Choices{} }
