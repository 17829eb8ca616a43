package invoke

import (
	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect"
	"github.com/llmproxy/llmproxy/wire"
)

// counter names one number of a report.
type counter int

const (
	input counter = iota // what is neither read from the cache nor written to it
	output
	read     // from the cache
	written  // to the cache
	counters // how many there are
)

// tokens is a report of usage. The zero value is none.
type tokens struct {
	n     [counters]int64
	known uint8 // a bit for each counter that was reported
	wrong bool  // a number is no count
}

func (t *tokens) has(k counter) bool { return t.known>>k&1 != 0 }

// reported reports whether there is a report at all; an explicit zero counts.
func (t *tokens) reported() bool { return t.has(input) || t.has(output) }

// isZero reports whether no count is above zero.
func (t *tokens) isZero() bool { return t.n == [counters]int64{} }

// whole reports whether both sides were reported.
func (t *tokens) whole() bool { return t.has(input) && t.has(output) }

// set takes value for k, if it is a count. Reports of one kind are cumulative: the last
// one counts.
func (t *tokens) set(k counter, value []byte) {
	if n, ok := dialect.Count(value); ok {
		t.n[k] = n
		t.known |= 1 << k
	} else if dialect.Miscounted(value) {
		t.wrong = true
	}
}

// readMetrics reads the member amazon-bedrock-invocationMetrics. Zeros alone do not
// replace counts.
func (t *tokens) readMetrics(metrics []byte) {
	var r tokens
	for name, value := range wire.Members(metrics) {
		switch string(name) {
		case "inputTokenCount":
			r.set(input, value)
		case "outputTokenCount":
			r.set(output, value)
		case "cacheReadInputTokenCount":
			r.set(read, value)
		case "cacheWriteInputTokenCount":
			r.set(written, value)
		}
	}
	if !r.isZero() || t.isZero() {
		*t = r
	}
}

// report makes t the usage of m.
func (t *tokens) report(m *llmproxy.ResponseMetadata) {
	m.UsageReported, m.Inconsistent = true, t.wrong
	m.Usage = llmproxy.Usage{
		PromptTokens:     t.n[input] + t.n[read] + t.n[written],
		CompletionTokens: t.n[output],
		CacheRead:        t.n[read],
		CacheWrite:       t.n[written],
	}
}

// plain is what the families without a dialect of their own say: Titan, Llama, Mistral,
// Cohere, AI21, and the first Claude.
type plain struct {
	tokens tokens
	id     string
	finish string
	ended  bool // a whole body or the last event has been seen
}

// member reads one member of a body or an event.
func (p *plain) member(name, value []byte) {
	switch string(name) {
	case "id", "response_id":
		dialect.Keep(&p.id, value)
	case "stop_reason", "finish_reason", "finishReason", "completionReason":
		dialect.Keep(&p.finish, value)

	case "inputTextTokenCount": // Titan
		p.tokens.set(input, value)
	case "totalOutputTextTokenCount": // Titan, on the last event
		p.tokens.set(output, value)
		p.ended = p.ended || p.tokens.has(output)
	case "results": // Titan
		p.results(value)

	case "prompt_token_count": // Llama, on the first event
		p.tokens.set(input, value)
	case "generation_token_count": // Llama, so far
		p.tokens.set(output, value)

	case "meta", "usage": // Cohere
		if billed := wire.Member(value, "billed_units"); dialect.IsObject(billed) {
			p.tokens.set(input, wire.Member(billed, "input_tokens"))
			p.tokens.set(output, wire.Member(billed, "output_tokens"))
		}
	case "generations": // Cohere
		p.firstOf(value, "finish_reason")
	case "outputs": // Mistral
		p.firstOf(value, "stop_reason")
	case "completions": // AI21
		for element := range wire.Elements(value) {
			dialect.Keep(&p.finish, wire.Member(wire.Member(element, "finishReason"), "reason"))
			break
		}
	}
}

// firstOf reads the finish reason of the first element of a list.
func (p *plain) firstOf(list []byte, name string) {
	for element := range wire.Elements(list) {
		dialect.Keep(&p.finish, wire.Member(element, name))
		break
	}
}

// results reads Titan's results: one normally, with a count each.
func (p *plain) results(list []byte) {
	const most = 1 << 50 // as of a single count
	sum, counted, first := int64(0), false, true
	for element := range wire.Elements(list) {
		if n, ok := dialect.Count(wire.Member(element, "tokenCount")); ok {
			sum, counted = min(sum+n, most), true
		}
		if first {
			dialect.Keep(&p.finish, wire.Member(element, "completionReason"))
			first = false
		}
	}
	if counted {
		p.tokens.n[output] = sum
		p.tokens.known |= 1 << output
	}
}
