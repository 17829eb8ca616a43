package llmproxy

import (
	"bytes"
	"strings"

	"github.com/llmproxy/llmproxy/wire"
)

// tap shows the pieces of an answer to its extractor, as frames.
type tap struct {
	extractor ResponseExtractor
	api       APIType
	provider  string
	framing   framing
	sse       *wire.SSE
	json      []byte // what has come of a JSON body
	limit     int    // of json
	frames    int    // events so far
	unread    bool   // something was not shown to the extractor
}

type framing int

const (
	framingNone framing = iota // not for the extractor: HTML, say
	framingJSON                // one frame
	framingSSE
)

func newTap(e ResponseExtractor, api APIType, provider, contentType string, limit int) *tap {
	t := &tap{extractor: e, api: api, provider: provider, limit: limit}
	if limit <= 0 {
		t.limit = 1 << 62
	}
	switch {
	case isSSE(contentType):
		t.framing = framingSSE
		t.sse = wire.NewSSE(t, t.limit)
	case isJSON(contentType), strings.TrimSpace(contentType) == "":
		t.framing = framingJSON
	}
	return t
}

// Frame counts the events and hands them on.
func (t *tap) Frame(f wire.Frame) {
	t.frames++
	t.extractor.Frame(f)
}

// Observe is shown the next piece of the answer.
func (t *tap) Observe(piece []byte) {
	switch t.framing {
	case framingSSE:
		_, _ = t.sse.Write(piece)
	case framingJSON:
		if t.unread {
			return
		}
		if len(piece) > t.limit-len(t.json) {
			t.json, t.unread = nil, true
			return
		}
		t.json = append(t.json, piece...)
	}
}

// end says that the answer is whole.
func (t *tap) end() {
	if t.framing == framingJSON && !t.unread && len(bytes.TrimSpace(t.json)) > 0 {
		t.Frame(wire.Frame{Data: t.json})
	}
	t.json = nil
}

// Done reports that the terminal event has been seen.
func (t *tap) Done() bool { return t.extractor.Done() }

// Metadata returns what is known so far, Custom included.
func (t *tap) Metadata() ResponseMetadata {
	m := t.extractor.Metadata()
	m.setCustom(t.api, t.provider)
	return m
}

// missed reports whether a part of the answer was too large to be read.
func (t *tap) missed() bool {
	return t.unread || t.sse != nil && t.sse.Oversized() > 0
}
