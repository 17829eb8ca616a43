package messages

import (
	"bytes"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/wire"
)

var _ llmproxy.RequestExtractor = (*reader)(nil)

// Request notes how long the cache entries were asked to live: answers may leave that
// open for a part of what they wrote.
func (r *reader) Request(x *llmproxy.Exchange) {
	if x.Body == nil {
		return
	}
	body, mentioned := x.Body.Bytes(), false
	for _, e := range x.Edits {
		mentioned = mentioned || mentionsHour(e.New)
	}
	if !mentioned && !mentionsHour(body) {
		return // as most requests
	}
	marks := breakpoints{}
	marks.count(body)
	for _, e := range x.Edits {
		marks.count(e.New)
	}
	r.tokens.hour = marks.hour > 0 && marks.other == 0
}

// mentionsHour tells quickly that there is no mark of an hour in text. It looks for what
// is rarer than a quote.
func mentionsHour(text []byte) bool { return bytes.Contains(text, []byte(`1h"`)) }

// breakpoints are how many marks of each lifetime a request has.
type breakpoints struct{ hour, other int }

// count adds the marks in text, a JSON document or a piece of one. Quotes inside strings
// are escaped, so that the name of the member with its quotes is nothing else; what only
// looks like a mark (in a tool's schema, say) counts as one of the default lifetime.
func (b *breakpoints) count(text []byte) {
	const name = `"cache_control"`
	const longest = 256 // bytes of a mark that is read: two short members
	for {
		i := bytes.Index(text, []byte(name))
		if i < 0 {
			return
		}
		text = text[i+len(name):]
		mark, ok := bytes.CutPrefix(bytes.TrimLeft(text, space), []byte(":"))
		if mark = bytes.TrimLeft(mark, space); !ok || wire.KindOf(mark) != wire.Object {
			continue
		}
		if string(wire.Member(mark[:min(len(mark), longest)], "ttl")) == `"1h"` {
			b.hour++
		} else {
			b.other++
		}
	}
}

const space = " \t\r\n" // of JSON
