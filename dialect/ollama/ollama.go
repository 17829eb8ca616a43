// Package ollama reads the answers of Ollama's own API: chat, generate and embeddings, as
// a JSON body or a stream of JSON lines.
package ollama

import (
	"bytes"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect"
	"github.com/llmproxy/llmproxy/wire"
)

// New returns the reader of one answer.
//
// The object that is done has the counts. prompt_eval_count is the whole prompt, the part
// that came from the cache (prompt_eval_cached_count) included; a count that is zero may be
// left out, as older servers do where the whole prompt was cached. More cached tokens than
// prompt are taken to lie beside it. What a model thinks is a part of eval_count that is
// not split off.
//
// Every answer that is done is completed, "length" too. An error has neither type nor
// code, and no answer has an id.
func New() llmproxy.ResponseExtractor { return &reader{} }

type reader struct {
	dialect.Answer
	begun bool // a frame has been seen
	counts
}

// counts are what an answer reports.
type counts struct {
	prompt, cached, completion int64
	reported                   bool
	broken                     bool // a number is no count
}

// Frame reads a line of a stream or a whole body. Once there has been output, lines that
// are not the last are told by a few bytes.
func (r *reader) Frame(f wire.Frame) {
	if r.Over || r.begun && r.Output && !hasNews(f.Data) {
		return
	}
	r.begun = true
	var err []byte
	done, embedded := false, false
	for name, value := range wire.Members(f.Data) {
		switch string(name) {
		case "model":
			dialect.Keep(&r.Meta.Model, value)
		case "done":
			done, _ = wire.Bool(value)
		case "done_reason":
			dialect.Keep(&r.Meta.FinishReason, value)
		case "prompt_eval_count":
			r.take(&r.prompt, value)
		case "prompt_eval_cached_count":
			r.take(&r.cached, value)
		case "eval_count":
			r.take(&r.completion, value)
		case "error":
			err = value
		case "embedding", "embeddings":
			embedded = wire.KindOf(value) == wire.Array
			r.Output = r.Output || dialect.Filled(value)
		case "response", "thinking":
			r.Output = r.Output || dialect.Filled(value)
		case "message":
			r.Output = r.Output || hasOutput(value)
		}
	}
	switch {
	case !dialect.Whole(f.Data):
	case r.Fault(f.Data, nil, err):
		r.Over = true
	case done, embedded:
		r.Meta.Outcome, r.Over = llmproxy.OutcomeCompleted, true
	}
}

// take takes over a count. Counts are of all that the answer has so far; one that is
// absent, or no count, stays.
func (c *counts) take(to *int64, value []byte) {
	if n, ok := dialect.Count(value); ok {
		*to, c.reported = n, true
	} else if dialect.Miscounted(value) {
		c.broken = true
	}
}

// hasOutput reports whether a message is more than an empty text.
func hasOutput(message []byte) bool {
	for name, value := range wire.Members(message) {
		switch string(name) {
		case "content", "thinking", "tool_calls", "images":
			if dialect.Filled(value) {
				return true
			}
		}
	}
	return false
}

// Metadata returns what is known so far.
func (r *reader) Metadata() llmproxy.ResponseMetadata {
	m := r.Meta
	// Zeros beside output are what servers send that do not count.
	if r.reported && !(r.Output && r.prompt|r.cached|r.completion == 0) {
		m.Usage, m.UsageReported, m.Inconsistent = r.usage(), true, r.broken
	}
	return m
}

// usage returns the counts in the convention of [llmproxy.Usage].
func (c *counts) usage() llmproxy.Usage {
	u := llmproxy.Usage{PromptTokens: c.prompt, CompletionTokens: c.completion, CacheRead: c.cached}
	if c.cached > c.prompt {
		u.PromptTokens += c.cached
	}
	return u
}

// hasNews reports whether a line may be the last one: it has a member done that is true,
// or an error, at any depth. Texts do not look so, as their quotes are escaped.
func hasNews(line []byte) bool {
	const done = `"done"`
	for rest := line; ; {
		i := bytes.Index(rest, []byte(done))
		if i < 0 {
			return bytes.Contains(line, []byte(`"error"`))
		}
		rest = rest[i+len(done):]
		if value, isName := bytes.CutPrefix(skipSpace(rest), []byte(":")); isName && bytes.HasPrefix(skipSpace(value), []byte("true")) {
			return true
		}
	}
}

func skipSpace(text []byte) []byte { return bytes.TrimLeft(text, " \t\r\n") }
