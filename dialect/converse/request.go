package converse

import (
	"bytes"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/wire"
)

// Request notes how long the cache entries were asked to live: answers of some models
// leave that open.
func (r *reader) Request(x *llmproxy.Exchange) {
	if x.Body == nil {
		return
	}
	marks := cachePoints{}
	marks.count(x.Body.Bytes())
	for _, e := range x.Edits {
		marks.count(e.New)
	}
	r.usage.hour = marks.hour > 0 && marks.other == 0
}

// cachePoints are how many marks of each lifetime a request has.
type cachePoints struct{ hour, other int }

// count adds the marks in text, a JSON document or a piece of one. Quotes inside strings
// are escaped, so that the name of the member with its quotes is nothing else.
func (c *cachePoints) count(text []byte) {
	const (
		name    = `"cachePoint"`
		longest = 256 // bytes of a mark that is read: two short members
		space   = " \t\r\n"
	)
	for {
		i := bytes.Index(text, []byte(name))
		if i < 0 {
			return
		}
		text = text[i+len(name):]
		mark, ok := bytes.CutPrefix(bytes.TrimLeft(text, space), []byte(":"))
		switch {
		case !ok:
		case string(wire.Member(mark[:min(len(mark), longest)], "ttl")) == `"1h"`:
			c.hour++
		default:
			c.other++
		}
	}
}
