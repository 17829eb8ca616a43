// Package converse reads the answers of Amazon Bedrock's Converse API: JSON bodies and the
// events of ConverseStream. Models of Amazon answer InvokeModel in the same shape, and
// every operation of Bedrock's runtime reports failure in the way that is read here.
package converse

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect"
	"github.com/llmproxy/llmproxy/wire"
)

// New returns the reader of one answer. It is an [llmproxy.HeaderExtractor] and an
// [llmproxy.RequestExtractor].
//
// A stream ends with the event metadata, which has the usage, after messageStop, which has
// the stop reason; every answer with both is completed, whatever the reason is. An
// exception ends a stream that has failed; its type is the error's type. What CountTokens
// answers is an estimate of a prompt and no usage.
func New() llmproxy.ResponseExtractor { return &reader{} }

type reader struct {
	meta  llmproxy.ResponseMetadata // all but the usage
	usage usage

	begun   bool // a frame has been seen
	stopped bool // messageStop has been seen
	told    bool // metadata has been seen
	output  bool // some has been seen
	over    bool // nothing that follows counts
}

var (
	_ llmproxy.HeaderExtractor  = (*reader)(nil)
	_ llmproxy.RequestExtractor = (*reader)(nil)
)

// Header reads the service tier, and the type of an error.
func (r *reader) Header(h http.Header) {
	r.meta.ServiceTier = bounded(h.Get("X-Amzn-Bedrock-Service-Tier"))
	if fault := h.Get("X-Amzn-Errortype"); fault != "" {
		// "ValidationException:http://internal.amazon.com/coral/…"
		fault, _, _ = strings.Cut(fault, ":")
		r.fail(bounded(fault))
	}
}

// Frame reads an event of a stream or a whole body.
func (r *reader) Frame(f wire.Frame) {
	if r.over {
		return
	}
	first := !r.begun
	r.begun = true
	switch string(f.Event) {
	case "":
		if first {
			r.body(f.Data)
		}
	case "contentBlockDelta":
		r.output = r.output || hasOutput(wire.Member(f.Data, "delta"))
	case "contentBlockStart":
		r.output = r.output || dialect.Filled(wire.Member(f.Data, "start"))
	case "messageStop":
		r.stopped = true
		dialect.Keep(&r.meta.FinishReason, wire.Member(f.Data, "stopReason"))
		r.end()
	case "metadata":
		r.told = true
		r.metadata(f.Data)
		r.end()
	default:
		if fault, ok := bytes.CutPrefix(f.Event, []byte(wire.ExceptionPrefix)); ok {
			r.fail(bounded(string(fault)))
			r.originalStatus(wire.Member(f.Data, "originalStatusCode"))
			r.over = true
		}
	}
}

// Done reports that the answer's terminal event has been seen.
func (r *reader) Done() bool { return r.over }

// Metadata returns what is known so far.
func (r *reader) Metadata() llmproxy.ResponseMetadata {
	m := r.meta
	// Zeros beside output are what servers send that do not count.
	if r.usage.reported() && !(r.output && r.usage.isZero()) {
		m.UsageReported = true
		m.Usage, m.Inconsistent = r.usage.normalise()
	}
	return m
}

// fail notes a failure of that type; "" keeps the type that is known.
func (r *reader) fail(fault string) {
	r.meta.Outcome = llmproxy.OutcomeFailed
	if fault != "" {
		r.meta.ErrorType = fault
	}
}

// end ends a stream that has had both of its last events.
func (r *reader) end() {
	if r.stopped && r.told {
		r.complete()
	}
}

// complete notes that the answer is whole.
func (r *reader) complete() {
	r.over = true
	if r.meta.Outcome != llmproxy.OutcomeFailed {
		r.meta.Outcome = llmproxy.OutcomeCompleted
	}
}

// metadata reads what a stream's event metadata and a whole body have in common.
func (r *reader) metadata(object []byte) {
	for name, value := range wire.Members(object) {
		switch string(name) {
		case "usage":
			r.usage.read(value)
		case "serviceTier":
			dialect.Keep(&r.meta.ServiceTier, wire.Member(value, "type"))
		case "performanceConfig":
			dialect.Keep(&r.meta.Speed, wire.Member(value, "latency"))
		case "trace":
			// A router chose the model.
			dialect.Keep(&r.meta.Model, wire.Member(wire.Member(value, "promptRouter"), "invokedModelId"))
		}
	}
}

// body reads a whole body: an answer, a count of CountTokens, or an error, which has no
// members but those of Bedrock's exceptions.
func (r *reader) body(data []byte) {
	r.metadata(data)
	answered, fault, other := false, false, false
	var reason []byte
	for name, value := range wire.Members(data) {
		switch string(name) {
		case "stopReason":
			answered, reason = true, value
		case "output":
			answered = true
			for block := range wire.Elements(wire.Member(wire.Member(value, "message"), "content")) {
				r.output = r.output || hasOutput(block)
			}
		case "usage", "inputTokens":
			answered = true
		case "message", "Message":
			fault = fault || wire.KindOf(value) == wire.Text
		case "__type": // "com.amazon.coral.service#AccessDeniedException"
			fault = true
			if r.meta.ErrorType == "" {
				dialect.Keep(&r.meta.ErrorType, value)
				r.meta.ErrorType = afterLast(r.meta.ErrorType, "#")
			}
		case "originalStatusCode":
			r.originalStatus(value)
		case "originalMessage", "resourceName":
		default:
			other = true
		}
	}
	switch whole := dialect.Whole(data); {
	case answered && whole:
		dialect.Keep(&r.meta.FinishReason, reason)
		r.complete()
	case answered:
		dialect.Keep(&r.meta.FinishReason, reason)
	case fault && !other && whole:
		r.fail("")
		r.over = true
	}
}

// hasOutput reports whether a block of content, or a part of one, is more than an empty
// text.
func hasOutput(block []byte) bool {
	for _, value := range wire.Members(block) {
		if dialect.Filled(value) {
			return true
		}
	}
	return false
}

// originalStatus reads the status that the model answered with, of an exception.
func (r *reader) originalStatus(value []byte) {
	if code, ok := wire.Int(value); ok {
		r.meta.ErrorCode = strconv.FormatInt(code, 10)
	}
}

func afterLast(s, sep string) string { return s[strings.LastIndex(s, sep)+1:] }

// bounded returns s, a copy and cut where it is far longer than any name.
func bounded(s string) string {
	const longest = 256
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "")
	}
	return strings.Clone(s)
}
