package gemini

import (
	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect"
)

// NewChat returns the reader of one answer of Google's OpenAI-compatible Chat
// Completions, which tell thoughts by the total alone: completion_tokens are the visible
// ones, and what total_tokens has beyond them and the prompt was thought.
func NewChat() llmproxy.ResponseExtractor { return &chat{} }

type chat struct{ dialect.Choices }

// Metadata returns what is known so far.
func (c *chat) Metadata() llmproxy.ResponseMetadata {
	m := c.Choices.Metadata()
	total, _ := c.Counters.Total()
	rest := total - m.Usage.TotalTokens()
	if m.Inconsistent && m.Usage.Reasoning == 0 && rest > 0 {
		m.Usage.CompletionTokens += rest
		m.Usage.Reasoning = rest
		m.Inconsistent = c.Counters.Miscounted() || !m.Usage.Consistent()
	}
	return m
}
