package cohere

import (
	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect"
	"github.com/llmproxy/llmproxy/wire"
)

// counts are what an answer reports, in its usage or, for embed and rerank, in its meta.
type counts struct{ billed, processed tokens }

// tokens are counts of several kinds, none of which is a part of another. Searches are
// no tokens, but are counted beside them.
type tokens struct {
	input, image, output, searches int64
	reported                       bool
	broken                         bool // a number is no count
}

// read takes over a usage or meta object.
func (c *counts) read(object []byte) {
	for name, value := range wire.Members(object) {
		switch string(name) {
		case "billed_units":
			c.billed.read(value)
		case "tokens":
			c.processed.read(value)
		}
	}
}

// read takes over the counts of an object. What is absent, or no count, stays.
func (t *tokens) read(object []byte) {
	for name, value := range wire.Members(object) {
		var to *int64
		switch string(name) {
		case "input_tokens":
			to = &t.input
		case "image_tokens":
			to = &t.image
		case "output_tokens":
			to = &t.output
		case "search_units":
			to = &t.searches
		default:
			continue
		}
		if n, ok := dialect.Count(value); ok {
			*to, t.reported = n, true
		} else if dialect.Miscounted(value) {
			t.broken = true
		}
	}
}

func (t *tokens) isZero() bool { return t.input|t.image|t.output|t.searches == 0 }

// isZero reports whether no count of any kind is above zero.
func (c *counts) isZero() bool { return c.billed.isZero() && c.processed.isZero() }

// usage returns the counts in the convention of [llmproxy.Usage].
func (c *counts) usage() (u llmproxy.Usage, reported, inconsistent bool) {
	t := c.billed
	if !t.reported {
		t = c.processed
	}
	return llmproxy.Usage{
		PromptTokens: t.input + t.image, CompletionTokens: t.output,
		InputImage: t.image, SearchUnits: t.searches,
	}, t.reported, t.reported && t.broken
}
