// Package cohere reads the answers of Cohere's own API, version 2: chat, as a JSON body or
// a stream, embed and rerank.
package cohere

import (
	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect"
	"github.com/llmproxy/llmproxy/wire"
)

// New returns the reader of one answer.
//
// The tokens are those that Cohere bills (billed_units), which are fewer than those it
// processed (tokens); where an answer has no billed units, as from a server that copied
// the API, they are the processed ones. Cached tokens are a part of the processed ones and
// are not read. A rerank is billed in search units, and has no tokens.
//
// Every answer with a finish reason is completed, MAX_TOKENS too, but for ERROR and
// TIMEOUT, which are failures. No answer names its model, and no error has a type or a
// code.
func New() llmproxy.ResponseExtractor { return &reader{} }

type reader struct {
	dialect.Answer
	begun  bool // a frame has been seen
	counts counts
}

// Frame reads an event or a body. Events that cannot carry news are told by their name
// alone.
func (r *reader) Frame(f wire.Frame) {
	if r.Over {
		return
	}
	first := !r.begun
	r.begun = true
	switch string(dialect.EventType(f)) {
	case "message-start":
		dialect.Keep(&r.Meta.ID, wire.Member(f.Data, "id"))
	case "message-end":
		r.end(wire.Member(f.Data, "delta"))
	case "error":
		r.ErrorEvent(f.Data)
	case "content-delta", "tool-plan-delta", "tool-call-start":
		r.Output = r.Output || hasOutput(wire.Member(wire.Member(f.Data, "delta"), "message"))
	case "":
		if first {
			r.body(f.Data)
		}
	}
}

// Metadata returns what is known so far.
func (r *reader) Metadata() llmproxy.ResponseMetadata {
	m := r.Meta
	// Zeros beside output are what servers send that do not count.
	if !r.Output || !r.counts.isZero() {
		m.Usage, m.UsageReported, m.Inconsistent = r.counts.usage()
	}
	return m
}

// end reads the event that ends a stream.
func (r *reader) end(delta []byte) {
	failed := false
	for name, value := range wire.Members(delta) {
		switch string(name) {
		case "finish_reason":
			r.finish(value)
		case "usage":
			r.counts.read(value)
		case "error":
			failed = wire.KindOf(value) == wire.Text && string(value) != `""`
		}
	}
	if failed {
		r.Fail(nil)
	}
	if r.Meta.Outcome == llmproxy.OutcomeUnknown {
		r.Meta.Outcome = llmproxy.OutcomeCompleted
	}
	r.Over = true
}

// body reads a whole body: an answer, or an error, whose message is a text.
func (r *reader) body(data []byte) {
	failed, answered := false, false
	for name, value := range wire.Members(data) {
		switch string(name) {
		case "id":
			dialect.Keep(&r.Meta.ID, value)
		case "finish_reason":
			r.finish(value)
		case "usage", "meta":
			r.counts.read(value)
		case "message":
			failed = wire.KindOf(value) == wire.Text
			r.Output = !failed && hasOutput(value)
		case "embeddings", "results":
			answered = true
			r.Output = r.Output || dialect.Filled(value)
		}
	}
	switch {
	case !dialect.Whole(data):
		r.Meta.Outcome = llmproxy.OutcomeUnknown
		return
	case failed:
		r.Fail(nil)
	case answered:
		r.Meta.Outcome = llmproxy.OutcomeCompleted
	}
	r.Over = r.Meta.Outcome != llmproxy.OutcomeUnknown
}

// hasOutput reports whether a message, or what an event adds to one, is more than an
// empty text.
func hasOutput(message []byte) bool {
	for name, value := range wire.Members(message) {
		switch string(name) {
		case "tool_plan", "tool_calls":
			if dialect.Filled(value) {
				return true
			}
		case "content": // a list, of which events have one element
			if dialect.HasText(value) {
				return true
			}
			for part := range wire.Elements(value) {
				if dialect.HasText(part) {
					return true
				}
			}
		}
	}
	return false
}

// finish reads a finish reason.
func (r *reader) finish(reason []byte) {
	if wire.KindOf(reason) != wire.Text || string(reason) == `""` {
		return
	}
	dialect.Keep(&r.Meta.FinishReason, reason)
	r.Meta.Outcome = llmproxy.OutcomeCompleted
	if word := string(reason); word == `"ERROR"` || word == `"TIMEOUT"` {
		r.Fail(nil)
	}
}
