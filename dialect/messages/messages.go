// Package messages reads the answers of Anthropic's Messages API: JSON bodies and the
// events of a stream, from Anthropic itself, from the clouds that serve Claude in the same
// shape (Bedrock's InvokeModel, Vertex AI, Foundry), and from servers that copied the API.
package messages

import (
	"bytes"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect"
	"github.com/llmproxy/llmproxy/wire"
)

// New returns the reader of one answer.
//
// Every answer that has a stop reason is completed, whatever it is: max_tokens and
// refusal too. A stream ends with message_stop or error; an answer that failed keeps the
// usage that was reported before.
//
// Tokens of an advisor are no part of the usage, but items of their own: they are another
// model's, at its price.
// The answer's model is the one that wrote it, which is another than the one that began it
// where the provider fell back.
func New() llmproxy.ResponseExtractor { return &reader{} }

type reader struct {
	dialect.Answer // all but the tokens
	tokens         tokens
	begun          bool // a frame has been seen
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
	case "message_start":
		message := wire.Member(f.Data, "message")
		if !dialect.IsObject(message) {
			message = f.Data
		}
		r.message(message)
	case "content_block_start":
		r.Output = r.Output || isOutput(wire.Member(f.Data, "content_block"))
	case "content_block_delta":
		r.Output = r.Output || dialect.HasText(wire.Member(f.Data, "delta"))
	case "message_delta":
		r.delta(f.Data)
	case "message_stop":
		r.usage(wire.Member(f.Data, "usage")) // SGLang's
		r.Meta.Outcome, r.Over = llmproxy.OutcomeCompleted, true
	case "error":
		r.fail(f.Data, wire.Member(f.Data, "error"))
	case "", "message":
		if first {
			r.body(f.Data)
		} else if fault := wire.Member(f.Data, "error"); dialect.IsObject(fault) {
			r.fail(f.Data, fault)
		}
	}
}

// Metadata returns what is known so far.
func (r *reader) Metadata() llmproxy.ResponseMetadata {
	m := r.Meta
	if r.tokens.servedBy != "" {
		m.Model = r.tokens.servedBy
	}
	switch {
	case !r.tokens.reported:
	case r.Output && r.tokens.isZero():
		// Zeros beside output are what servers send that do not count.
		m.CostReported = m.CostReported && m.ProviderCost > 0
		m.UsageReported = m.CostReported
	default:
		m.UsageReported = true
		m.Usage, m.Items, m.Inconsistent = r.tokens.usage()
	}
	return m
}

// message reads a message, in whole or as it begins.
func (r *reader) message(message []byte) {
	for name, value := range wire.Members(message) {
		switch string(name) {
		case "id":
			dialect.Keep(&r.Meta.ID, value)
		case "model":
			dialect.Keep(&r.Meta.Model, value)
		case "stop_reason":
			r.stop(value)
		case "usage":
			r.usage(value)
		case "content":
			for block := range wire.Elements(value) {
				r.Output = r.Output || isOutput(block)
			}
		}
	}
}

// isOutput reports whether a block of content is more than an empty text.
func isOutput(block []byte) bool {
	switch string(wire.Member(block, "type")) {
	case "", `"text"`, `"thinking"`:
		return dialect.HasText(block)
	}
	return true
}

// delta reads a message_delta event.
func (r *reader) delta(event []byte) {
	for name, value := range wire.Members(event) {
		switch string(name) {
		case "delta":
			r.message(value)
		case "usage":
			r.usage(value)
		}
	}
}

// usage takes over a usage object: the tokens, and how they are charged. Anything that
// states no tokens changes nothing.
func (r *reader) usage(object []byte) {
	if !r.tokens.read(object) {
		return
	}
	for name, value := range wire.Members(object) {
		switch string(name) {
		case "service_tier":
			dialect.Keep(&r.Meta.ServiceTier, value)
		case "speed":
			dialect.Keep(&r.Meta.Speed, value)
		case "inference_geo":
			if string(value) != `"not_available"` {
				dialect.Keep(&r.Meta.Region, value)
			}
		}
	}
	r.ReadUsage(object) // for what a reseller says it charged; its counts are not ours
}

// stop reads a stop reason, null or empty while there is none. What the answer consumed is
// final then, whether or not message_stop still comes.
func (r *reader) stop(reason []byte) {
	if wire.KindOf(reason) == wire.Text && string(reason) != `""` {
		dialect.Keep(&r.Meta.FinishReason, reason)
		r.Meta.Outcome = llmproxy.OutcomeCompleted
	}
}

// fail notes an error: fault where it is an object, else data itself.
func (r *reader) fail(data, fault []byte) {
	if !dialect.IsObject(fault) {
		fault = data
	}
	r.Fail(fault)
	if r.Meta.ErrorType == "" {
		dialect.Keep(&r.Meta.ErrorType, wire.Member(fault, "status")) // Google's
	}
	r.Over = true
}

// body reads a whole body: a message, an error, or the count of count_tokens, which is an
// estimate of a prompt and no usage.
func (r *reader) body(data []byte) {
	data = bytes.TrimSpace(data)
	if len(data) > 0 && data[0] == '[' {
		for element := range wire.Elements(data) { // Google may wrap errors into an array
			data = element
			break
		}
	}
	r.message(data)
	whole := dialect.Whole(data)
	if fault := wire.Member(data, "error"); whole && dialect.IsObject(fault) {
		r.fail(data, fault)
		return
	}
	if whole && isAnswer(data) {
		r.Meta.Outcome = llmproxy.OutcomeCompleted
	} else {
		r.Meta.Outcome = llmproxy.OutcomeUnknown
	}
	r.Over = r.Meta.Outcome == llmproxy.OutcomeCompleted
}

// isAnswer reports whether body has a member that every message, or every count, has.
func isAnswer(body []byte) bool {
	for name := range wire.Members(body) {
		switch string(name) {
		case "content", "usage", "input_tokens":
			return true
		}
	}
	return false
}
