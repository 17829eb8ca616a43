// Package images reads the answers of OpenAI's Images API: a JSON body, or a stream of
// events that ends with the finished image. What is generated is counted as image tokens
// unless the usage says otherwise. Models that charge by the image report no usage.
package images

import (
	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect"
	"github.com/llmproxy/llmproxy/wire"
)

// New returns the reader of one answer.
func New() llmproxy.ResponseExtractor {
	return &reader{dialect.Answer{Convention: dialect.Images}}
}

type reader struct{ dialect.Answer }

// Frame reads an event or a body. Partial images are megabytes and say nothing: they are
// told by the event's name alone.
func (r *reader) Frame(f wire.Frame) {
	switch string(dialect.EventType(f)) {
	case "image_generation.completed", "image_edit.completed":
		r.Body(f.Data)
		r.Meta.Outcome, r.Over, r.Output = llmproxy.OutcomeCompleted, true, true
	case "error":
		r.ErrorEvent(f.Data)
	case "":
		r.Body(f.Data)
	}
}
