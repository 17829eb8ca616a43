package gemini

import (
	"bytes"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect"
	"github.com/llmproxy/llmproxy/wire"
)

// NewChat returns the reader of one answer of Google's OpenAI-compatible Chat
// Completions, which tell thoughts by the total alone: completion_tokens are the visible
// ones, and what total_tokens has beyond them and the prompt was thought.
func NewChat() llmproxy.ResponseExtractor { return &chat{} }

type chat struct {
	dialect.Choices
	total int64 // as last stated
}

// Frame reads an event of a stream or a whole body.
func (c *chat) Frame(f wire.Frame) {
	c.Choices.Frame(f)
	if bytes.Contains(f.Data, []byte(`"total_tokens"`)) {
		if n, ok := dialect.Count(wire.Member(wire.Member(f.Data, "usage"), "total_tokens")); ok {
			c.total = n
		}
	}
}

// Metadata returns what is known so far.
func (c *chat) Metadata() llmproxy.ResponseMetadata {
	m := c.Choices.Metadata()
	rest := c.total - m.Usage.TotalTokens()
	if m.Inconsistent && m.Usage.Reasoning == 0 && rest > 0 {
		m.Usage.CompletionTokens += rest
		m.Usage.Reasoning = rest
		m.Inconsistent = !m.Usage.Consistent()
	}
	return m
}
