// Package invoke reads the answers of Amazon Bedrock's InvokeModel API: JSON bodies in the
// shape of the model's family, and the events of InvokeModelWithResponseStream, which
// hold the family's own events.
package invoke

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"net/http"
	"slices"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect"
	"github.com/llmproxy/llmproxy/dialect/converse"
	"github.com/llmproxy/llmproxy/dialect/messages"
	"github.com/llmproxy/llmproxy/wire"
)

// New returns the reader of one answer, of any family: it is told by its shape. It is an
// [llmproxy.HeaderExtractor] and an [llmproxy.RequestExtractor].
//
// Bedrock reports usage up to three times: in the family's own words, in the member
// amazon-bedrock-invocationMetrics of a stream's last event, and in the header. They are
// never added, nor mixed. The family's own report, which alone may say how long a cache
// write lives, is taken where it has both sides, then Bedrock's. Only the output of a
// message of Claude that was cut is Bedrock's: its own is a guess made at the start.
//
// A stream ends with the event that has the metrics, or with the family's own last event.
func New() llmproxy.ResponseExtractor {
	return &reader{bedrock: converse.New().(llmproxy.HeaderExtractor), claude: messages.New()}
}

type reader struct {
	// bedrock reads what all families share, which is failure, and the answers of
	// Amazon's Nova, which are Converse's.
	bedrock  llmproxy.HeaderExtractor
	claude   llmproxy.ResponseExtractor // of use where isClaude
	isClaude bool
	choices  *dialect.Choices // OpenAI's shape and its relatives; nil if the family is another
	plain    plain            // families without a dialect of their own

	metrics, header tokens // what Bedrock counted

	measured bool // metrics have been seen
	output   bool // some has been seen

	decoded []byte // a buffer for the bytes of an event
	begun   bool   // a frame has been seen
	over    bool   // nothing that follows counts
}

var (
	_ llmproxy.HeaderExtractor  = (*reader)(nil)
	_ llmproxy.RequestExtractor = (*reader)(nil)
)

// Request shows the request to the readers of the families.
func (r *reader) Request(x *llmproxy.Exchange) {
	for _, family := range [...]llmproxy.ResponseExtractor{r.bedrock, r.claude} {
		if q, ok := family.(llmproxy.RequestExtractor); ok {
			q.Request(x)
		}
	}
}

// Header reads Bedrock's token counts, the service tier, and the type of an error.
func (r *reader) Header(h http.Header) {
	r.bedrock.Header(h)
	for _, c := range [...]struct {
		counter counter
		name    string
	}{
		{input, "X-Amzn-Bedrock-Input-Token-Count"},
		{output, "X-Amzn-Bedrock-Output-Token-Count"},
		{read, "X-Amzn-Bedrock-Cache-Read-Input-Token-Count"},
		{written, "X-Amzn-Bedrock-Cache-Write-Input-Token-Count"},
	} {
		r.header.set(c.counter, []byte(h.Get(c.name)))
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
	case "chunk":
		if event := r.decode(f.Data); event != nil {
			r.event(event)
		}
		if cap(r.decoded) > 64<<10 {
			r.decoded = nil
		}
	default:
		r.bedrock.Frame(f) // an exception
		r.over = r.bedrock.Done()
	}
}

// Done reports that the answer's terminal event has been seen.
func (r *reader) Done() bool { return r.over }

// decode returns the family's event that a chunk holds, nil if there is none. It is valid
// until the next call.
func (r *reader) decode(chunk []byte) []byte {
	value := wire.Member(chunk, "bytes")
	if wire.KindOf(value) != wire.Text {
		return nil
	}
	text := value[1 : len(value)-1]
	if bytes.IndexByte(text, '\\') >= 0 {
		s, _ := wire.String(value)
		text = []byte(s)
	}
	n := base64.StdEncoding.DecodedLen(len(text))
	r.decoded = slices.Grow(r.decoded[:0], n)[:n]
	n, err := base64.StdEncoding.Decode(r.decoded, text)
	if err != nil {
		return nil
	}
	return r.decoded[:n]
}

// event reads an event of the family.
func (r *reader) event(event []byte) {
	r.object(event, false)
	if r.measured {
		r.plain.ended, r.over = true, true
	}
}

// body reads a whole body.
func (r *reader) body(body []byte) {
	r.object(body, true)
	if !r.isClaude {
		r.bedrock.Frame(wire.Frame{Data: body})
	}
	r.over = dialect.Whole(body)
	r.plain.ended = r.over
}

// object reads an event or a body, and learns from it what the family is.
func (r *reader) object(object []byte, whole bool) {
	isChoices := r.choices != nil
	for name, value := range wire.Members(object) {
		r.output = r.output || isOutput(name, value)
		switch string(name) {
		case "amazon-bedrock-invocationMetrics":
			r.measured = true
			r.metrics.readMetrics(value)
		case "type":
			r.isClaude = r.isClaude || isMessage(value)
		case "choices":
			isChoices = true
			r.plain.firstOf(value, "stop_reason")
		case "messageStop", "metadata":
			// Nova: an object whose only member is the event.
			if !whole {
				r.bedrock.Frame(wire.Frame{Event: name, Data: value})
			}
		default:
			r.plain.member(name, value)
		}
	}
	switch {
	case r.isClaude:
		r.claude.Frame(wire.Frame{Data: object})
		r.over = r.claude.Done()
	case isChoices:
		if r.choices == nil {
			r.choices = &dialect.Choices{}
		}
		r.choices.Frame(wire.Frame{Data: object})
	}
	r.over = r.over || r.bedrock.Done()
}

// isOutput reports whether a member of a body or an event, of any family, holds output.
func isOutput(name, value []byte) bool {
	switch string(name) {
	case "outputText", "generation", "text", "completion", "embedding", "embeddings": // Titan, Llama, Cohere, Claude
		return dialect.Filled(value)
	case "results", "outputs", "generations", "content", "choices": // Titan, Mistral, Cohere, Claude
		for element := range wire.Elements(value) {
			if speaks(element) {
				return true
			}
		}
	case "completions": // AI21
		for element := range wire.Elements(value) {
			if dialect.HasText(wire.Member(element, "data")) {
				return true
			}
		}
	case "delta", "content_block": // Claude
		return speaks(value)
	case "contentBlockDelta": // Nova
		return speaks(wire.Member(value, "delta"))
	case "output":
		for block := range wire.Elements(wire.Member(wire.Member(value, "message"), "content")) {
			if speaks(block) {
				return true
			}
		}
	}
	return false
}

// speaks reports whether an element of an answer has a text, or the call of a tool.
func speaks(element []byte) bool {
	for name, value := range wire.Members(element) {
		switch string(name) {
		case "text", "outputText", "thinking", "partial_json", "toolUse", "input", "data", "reasoningContent":
			if dialect.Filled(value) {
				return true
			}
		}
	}
	return false
}

// isMessage reports whether value is the type of a body or an event of Anthropic's
// Messages API. Claude's older "completion" is none.
func isMessage(value []byte) bool {
	switch string(value) {
	case `"message"`, `"message_start"`, `"message_delta"`, `"message_stop"`, `"ping"`, `"error"`,
		`"content_block_start"`, `"content_block_delta"`, `"content_block_stop"`:
		return true
	}
	return false
}

// Metadata returns what is known so far.
func (r *reader) Metadata() llmproxy.ResponseMetadata {
	shared := r.bedrock.Metadata()
	m := shared
	switch {
	case r.isClaude:
		m = r.claude.Metadata()
	case r.choices != nil:
		m = r.choices.Metadata()
	}
	m.ID = cmp.Or(m.ID, r.plain.id)
	m.FinishReason = cmp.Or(m.FinishReason, r.plain.finish)
	m.ServiceTier = cmp.Or(shared.ServiceTier, m.ServiceTier)
	switch {
	case shared.Outcome == llmproxy.OutcomeFailed:
		m.Outcome, m.ErrorType, m.ErrorCode = shared.Outcome, shared.ErrorType, shared.ErrorCode
	case m.Outcome == llmproxy.OutcomeUnknown && (r.plain.ended || r.plain.finish != ""):
		m.Outcome = llmproxy.OutcomeCompleted
	}
	zeros := m.Usage == (llmproxy.Usage{}) && len(m.Items) == 0
	if r.isClaude && m.FinishReason == "" && m.UsageReported && !zeros && r.metrics.has(output) {
		// message_start has a seed of what comes.
		m.Usage.CompletionTokens = max(m.Usage.CompletionTokens, r.metrics.n[output])
	}
	if m.UsageReported && !m.Inconsistent && !zeros {
		return m
	}
	// Zeros beside output are what servers send that do not count.
	said := r.output || r.choices != nil && r.choices.Output
	m.UsageReported = m.UsageReported && !(zeros && said)
	// What counts comes before zeros, and both sides before one alone: embeddings have no
	// output.
	reports := [...]*tokens{&r.plain.tokens, &r.metrics, &r.header}
	for _, t := range reports {
		if t.whole() && !t.isZero() {
			t.report(&m)
			return m
		}
	}
	if m.UsageReported {
		return m
	}
	for _, t := range reports {
		if t.reported() && !(t.isZero() && said) {
			t.report(&m)
			return m
		}
	}
	return m
}
