package dialect

import (
	"bytes"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/wire"
)

// Choices reads the answers that consist of choices: those of Chat Completions and of
// the legacy Completions, from OpenAI and its many look-alikes. The zero value is ready.
//
// A stream ends with [DONE]. Until then usage may be on any chunk, so nothing before it
// is taken for the end, except an error that comes without choices: providers send
// nothing after it, and clients stop reading. The outcome is completed as soon as every
// choice seen has a finish reason, whatever it is ("length" too).
type Choices struct {
	Answer
	begun  bool   // a frame has been seen
	closed bool   // [DONE] has been seen
	parsed int    // chunks that were read for the model's name
	seen   choice // choices that have begun
	ended  choice // choices that have a finish reason
	boring *shape // of the last chunk without news; nil before there was one
}

// choice is a set of the indexes of choices, of which the APIs allow 128.
type choice [2]uint64

func (c *choice) add(i int64) {
	if 0 <= i && i < int64(len(c))*64 {
		c[i/64] |= 1 << (i % 64)
	}
}

// maxNaming bounds how many chunks are read in full in search of the model's name.
const maxNaming = 16

// Frame reads an event of a stream or a whole body.
func (c *Choices) Frame(f wire.Frame) {
	data := skipSpace(f.Data)
	for len(data) > 0 && data[len(data)-1] <= ' ' {
		data = data[:len(data)-1]
	}
	if c.closed || len(data) == 0 {
		return
	}
	if string(data) == "[DONE]" {
		c.closed, c.Over = true, true
		c.settle()
		return
	}
	first, failed := !c.begun, string(f.Event) == "error"
	c.begun = true
	if !failed && c.named() {
		if c.boring != nil && c.boring.matches(data) {
			c.listen(data)
			return
		}
		if !hasNews(data) {
			if c.boring == nil {
				c.boring = &shape{}
			}
			c.boring.learn(data)
			c.listen(data)
			return
		}
	}
	c.parsed++
	c.read(data, first)
	if failed && c.Meta.Outcome != llmproxy.OutcomeFailed {
		c.ErrorEvent(data)
	}
	c.settle()
}

// listen looks for output in a chunk without news, until there has been some: most often
// that is the first such chunk.
func (c *Choices) listen(chunk []byte) {
	if c.Output {
		return
	}
	for choice := range wire.Elements(wire.Member(chunk, "choices")) {
		for name, value := range wire.Members(choice) {
			c.hear(name, value)
		}
	}
}

// hear looks for output in a member of a choice.
func (c *Choices) hear(name, value []byte) {
	if c.Output {
		return
	}
	switch string(name) {
	case "text":
		c.Output = isText(value)
	case "delta", "message":
		for name, value := range wire.Members(value) {
			switch string(name) {
			case "content", "reasoning", "reasoning_content", "reasoning_details", "thinking",
				"refusal", "tool_calls", "function_call", "audio", "images":
				c.Output = c.Output || Filled(value)
			}
		}
	}
}

func (c *Choices) named() bool { return c.Meta.Model != "" || c.parsed >= maxNaming }

// settle sets the outcome.
func (c *Choices) settle() {
	switch {
	case c.Meta.Outcome == llmproxy.OutcomeFailed:
	case c.Over, c.seen != choice{} && c.seen == c.ended:
		c.Meta.Outcome = llmproxy.OutcomeCompleted
	default:
		c.Meta.Outcome = llmproxy.OutcomeUnknown
	}
}

// hasNews reports whether a chunk may say more than some text of the first choice:
// usage, a finish reason, an error, another choice. It may err on that side.
func hasNews(chunk []byte) bool {
	return anyAfter(chunk, nameUsage, notNull) || anyAfter(chunk, nameFinishReason, notNull) ||
		anyAfter(chunk, nameError, notNullOrValue) || anyAfter(chunk, nameIndex, notFirst)
}

var (
	nameUsage        = []byte(`"usage"`)
	nameFinishReason = []byte(`"finish_reason"`)
	nameError        = []byte(`"error"`)
	nameIndex        = []byte(`"index"`)
	null             = []byte("null")
)

func notNull(v []byte, ok bool) bool { return ok && !bytes.HasPrefix(v, null) }

// notNullOrValue also says yes to the name as a value: {"object":"error"}.
func notNullOrValue(v []byte, ok bool) bool { return !ok || !bytes.HasPrefix(v, null) }

func notFirst(v []byte, ok bool) bool { return ok && len(v) > 0 && '1' <= v[0] && v[0] <= '9' }

// anyAfter looks for name, a string with its quotes, anywhere in text. It asks news about
// what follows the colon after it, white space aside; ok is false where there is none,
// since the string is no name then.
func anyAfter(text, name []byte, news func(v []byte, ok bool) bool) bool {
	for {
		i := bytes.Index(text, name)
		if i < 0 {
			return false
		}
		text = text[i+len(name):]
		v := skipSpace(text)
		ok := len(v) > 0 && v[0] == ':'
		if ok {
			v = skipSpace(v[1:])
		}
		if news(v, ok) {
			return true
		}
	}
}

// skipSpace is bytes.TrimLeft for JSON's white space, which costs more than the rest of
// a chunk.
func skipSpace(v []byte) []byte {
	for len(v) > 0 && (v[0] == ' ' || v[0] == '\t' || v[0] == '\n' || v[0] == '\r') {
		v = v[1:]
	}
	return v
}

// read reads a chunk or a whole body.
func (c *Choices) read(data []byte, first bool) {
	if data[0] == '[' {
		// Google wraps the errors of its OpenAI-compatible API into an array.
		for element := range wire.Elements(data) {
			data = element
			break
		}
	}
	var s summary
	for name, value := range wire.Members(data) {
		switch string(name) {
		case "id":
			if c.Meta.ID == "" {
				Keep(&c.Meta.ID, value)
			}
		case "model":
			Keep(&c.Meta.Model, value)
		case "service_tier":
			Keep(&c.Meta.ServiceTier, value)
		case "object":
			s.object = value
			s.chunk = s.chunk || bytes.HasSuffix(value, []byte(`chunk"`))
		case "choices":
			c.readChoices(value, &s)
		case "usage":
			s.usage = value
		case "x_groq":
			s.groq = wire.Member(value, "usage")
		case "error":
			s.err = value
		}
	}
	body := first && Whole(data) && !s.chunk && s.whole
	if s.text && (!s.done || !IsObject(s.usage)) {
		// A legacy completion looks the same in a stream and as a body. What comes first
		// and has usage and every finish reason is taken for a body.
		body = false
	}
	// The same report may be in several places of a chunk, the last is the most usual.
	c.ReadUsage(s.usageInChoice)
	c.ReadUsage(s.groq) // in a body these are statistics of its cache, and no report
	c.ReadUsage(s.usage)
	c.Fault(data, s.object, s.err)
	if body || c.Meta.Outcome == llmproxy.OutcomeFailed && !s.choices {
		c.Over = true
	}
}

// summary is what a chunk or a body holds besides what is kept at once.
type summary struct {
	object, err                []byte
	usage, usageInChoice, groq []byte
	chunk                      bool // it is a chunk of a stream
	choices                    bool // it has choices
	whole                      bool // a choice is as a body has it
	text                       bool // a choice is one of a legacy completion
	done                       bool // every choice has a finish reason
}

func (c *Choices) readChoices(choices []byte, s *summary) {
	s.done = true
	at := int64(-1)
	for element := range wire.Elements(choices) {
		at++
		index := at
		var reason []byte
		for name, value := range wire.Members(element) {
			c.hear(name, value)
			switch string(name) {
			case "index":
				if n, ok := wire.Int(value); ok {
					index = n
				}
			case "finish_reason":
				reason = value
			case "usage": // Moonshot, formerly
				if at == 0 {
					s.usageInChoice = value
				}
			case "delta":
				s.chunk = s.chunk || !absent(value)
			case "message":
				s.whole = s.whole || !absent(value)
			case "text":
				s.text = s.text || !absent(value)
				s.whole = s.whole || !absent(value)
			case "error": // OpenRouter
				if IsObject(value) {
					c.Fail(value)
				}
			}
		}
		s.choices = true
		c.seen.add(index)
		done := isText(reason)
		if done {
			c.ended.add(index)
			if index == 0 {
				Keep(&c.Meta.FinishReason, reason)
			}
			if string(reason) == `"error"` {
				c.Fail(nil)
			}
		}
		s.done = s.done && done
	}
}
