// Package gemini reads the answers of Gemini's API, from Google AI and from Vertex AI:
// JSON bodies, the events of a stream, and the elements of a stream that is one JSON
// array.
package gemini

import (
	"bytes"
	"net/http"
	"strconv"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect"
	"github.com/llmproxy/llmproxy/wire"
)

// New returns the reader of one answer to generateContent, streamGenerateContent,
// embedContent or batchEmbedContents. It is a [llmproxy.HeaderExtractor].
//
// An answer is completed once every candidate has a finish reason, whatever it is
// (MAX_TOKENS and SAFETY too). One whose prompt was blocked has no candidates: it is
// incomplete, and its finish reason is the block reason.
//
// A stream has no terminal event, and older models repeat the finish reason on every
// chunk. So Done reports only an error, an array that came as one frame, and embeddings;
// any other answer ends with its bytes.
//
// The service tier is the one in the usage, else that of the header
// X-Gemini-Service-Tier, else Vertex AI's traffic type, each as Google spells it.
func New() llmproxy.ResponseExtractor { return &reader{} }

type reader struct {
	meta     llmproxy.ResponseMetadata // all but the usage and the tier
	counts   counts
	searches searches

	tier, headerTier, traffic string

	seen, ended uint64 // a bit for each candidate; the API allows eight
	blocked     bool   // the prompt was
	embedded    bool   // the answer holds embeddings
	output      bool   // a candidate has had some
	over        bool
}

var _ llmproxy.HeaderExtractor = (*reader)(nil)

// Header reads the tier that served the answer.
func (r *reader) Header(h http.Header) {
	const longest = 64
	if tier := h.Get("X-Gemini-Service-Tier"); len(tier) <= longest {
		r.headerTier = tier
	}
}

// Frame reads a chunk, a body, or an array of chunks. Errors may be wrapped in an array
// as well.
func (r *reader) Frame(f wire.Frame) {
	data := bytes.TrimSpace(f.Data)
	if len(data) == 0 {
		return
	}
	if data[0] != '[' {
		r.chunk(data)
		return
	}
	for element := range wire.Elements(data) {
		r.chunk(element)
	}
	if data[len(data)-1] == ']' {
		r.over = true
	} else {
		r.ended = 0 // cut: what came need not be the end
		r.settle()
	}
}

// Done reports that the answer's end has been seen.
func (r *reader) Done() bool { return r.over }

// Metadata returns what is known so far.
func (r *reader) Metadata() llmproxy.ResponseMetadata {
	m := r.meta
	switch {
	case r.tier != "":
		m.ServiceTier = r.tier
	case r.headerTier != "":
		m.ServiceTier = r.headerTier
	default:
		m.ServiceTier = r.traffic
	}
	// Zeros beside output are what servers send that do not count.
	if r.counts.reported() && !(r.counts.isZero() && (r.output || r.embedded)) {
		m.UsageReported = true
		m.Usage, m.Inconsistent = r.counts.usage()
	}
	m.Usage.WebSearches = r.searches.billed(m.Model)
	return m
}

// chunk reads a GenerateContentResponse, or another object in its place.
func (r *reader) chunk(data []byte) {
	whole := dialect.Whole(data)
	var fault []byte
	for name, value := range wire.Members(data) {
		switch string(name) {
		case "candidates":
			if whole {
				r.candidates(value)
			}
		case "usageMetadata":
			r.usage(value)
		case "modelVersion":
			dialect.Keep(&r.meta.Model, value)
		case "responseId":
			if r.meta.ID == "" {
				dialect.Keep(&r.meta.ID, value)
			}
		case "promptFeedback":
			r.feedback(value)
		case "embedding", "embeddings":
			r.embedded = r.embedded || whole
		case "error":
			fault = value
		}
	}
	r.over = r.over || r.embedded
	if fault != nil && !wire.IsNull(fault) {
		r.fail(fault)
	}
	r.settle()
}

// settle sets the outcome.
func (r *reader) settle() {
	switch {
	case r.meta.Outcome == llmproxy.OutcomeFailed:
	case r.blocked:
		r.meta.Outcome = llmproxy.OutcomeIncomplete
	case r.embedded, r.seen != 0 && r.seen == r.ended:
		r.meta.Outcome = llmproxy.OutcomeCompleted
	default:
		r.meta.Outcome = llmproxy.OutcomeUnknown
	}
}

func (r *reader) candidates(list []byte) {
	at := int64(-1)
	for candidate := range wire.Elements(list) {
		at++
		index := at // where it is not stated, as index 0 never is
		var reason, grounding []byte
		for name, value := range wire.Members(candidate) {
			switch string(name) {
			case "index":
				if n, ok := wire.Int(value); ok {
					index = n
				}
			case "finishReason":
				reason = value
			case "groundingMetadata":
				grounding = value
			case "content":
				r.output = r.output || hasOutput(value)
			}
		}
		r.searches.read(grounding)
		if index < 0 || index >= 64 {
			continue
		}
		r.seen |= 1 << index
		if stated(reason) {
			r.ended |= 1 << index
			if index == 0 {
				dialect.Keep(&r.meta.FinishReason, reason)
			}
		}
	}
}

// hasOutput reports whether a content has a part that is more than an empty text.
func hasOutput(content []byte) bool {
	for part := range wire.Elements(wire.Member(content, "parts")) {
		for name, value := range wire.Members(part) {
			if string(name) != "thoughtSignature" && dialect.Filled(value) {
				return true
			}
		}
	}
	return false
}

// stated reports whether value is a reason: a string, and not that of an enumeration
// that was not set.
func stated(value []byte) bool {
	return len(value) > len(`""`) && value[0] == '"' && !bytes.HasSuffix(value, []byte(`REASON_UNSPECIFIED"`))
}

// feedback reads what Google says about the prompt.
func (r *reader) feedback(feedback []byte) {
	if reason := wire.Member(feedback, "blockReason"); stated(reason) {
		r.blocked = true
		if r.meta.FinishReason == "" {
			dialect.Keep(&r.meta.FinishReason, reason)
		}
	}
}

// usage reads a usage object. One without a count, which Vertex AI sends on the first
// chunks of a stream, is no report.
func (r *reader) usage(object []byte) {
	var report counts
	for name, value := range wire.Members(object) {
		switch string(name) {
		case "serviceTier":
			dialect.Keep(&r.tier, value)
		case "trafficType":
			dialect.Keep(&r.traffic, value)
		default:
			report.set(name, value)
		}
	}
	r.counts.take(report)
}

// fail reads an error object. Nothing follows it.
func (r *reader) fail(fault []byte) {
	r.meta.Outcome, r.over = llmproxy.OutcomeFailed, true
	for name, value := range wire.Members(fault) {
		switch string(name) {
		case "status":
			dialect.Keep(&r.meta.ErrorType, value)
		case "code":
			dialect.Keep(&r.meta.ErrorCode, value)
			if n, ok := wire.Int(value); ok {
				r.meta.ErrorCode = strconv.FormatInt(n, 10)
			}
		}
	}
}
