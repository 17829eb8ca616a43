package llmproxy

import (
	"bytes"
	"io"
	"strings"

	"github.com/llmproxy/llmproxy/wire"
)

// tap shows the pieces of an answer to its extractor, as frames.
type tap struct {
	extractor ResponseExtractor
	api       APIType
	provider  string
	framer    framer // nil: the answer is not for the extractor (HTML, say)
	transport Transport
	frames    int // so far
}

// framer cuts an answer into frames. Its Write never fails.
type framer interface {
	io.Writer
	// Oversized is how many frames were too large to be read.
	Oversized() int
}

// newTap returns a tap for the answer r to x, which reads frames of at most limit bytes.
func newTap(e ResponseExtractor, x *Exchange, r *Reply, limit int) *tap {
	contentType := r.Header.Get("Content-Type")
	t := &tap{extractor: e, api: x.Operation.API, provider: x.Route.Provider.Name(), transport: TransportHTTP}
	if limit <= 0 {
		limit = 1 << 62
	}
	// A stream that was asked for is taken for one, whatever it calls itself.
	asked := x.Meta.Stream && r.StatusCode < 300
	json := isJSON(contentType) || strings.TrimSpace(contentType) == "" && !asked
	switch {
	case isEventStream(contentType):
		t.framer, t.transport = wire.NewEventStream(t, limit), TransportEventStream
	case isLines(contentType):
		t.framer = wire.NewLines(t, limit)
	case json && asked && x.Operation.API == APIGenerateContent:
		t.framer = wire.NewArrayStream(t, limit)
	case json:
		t.framer = &wholeBody{sink: t, limit: limit}
	case isSSE(contentType), asked:
		t.framer, t.transport = wire.NewSSE(t, limit), TransportSSE
	}
	return t
}

// small reports whether the answer is one JSON body, which is held while it is small.
func (t *tap) small() bool {
	_, whole := t.framer.(*wholeBody)
	return whole
}

// Frame counts the frames and hands them on.
func (t *tap) Frame(f wire.Frame) {
	t.frames++
	t.extractor.Frame(f)
}

// Observe is shown the next piece of the answer.
func (t *tap) Observe(piece []byte) {
	if t.framer != nil {
		_, _ = t.framer.Write(piece)
	}
}

// end says that the answer is whole.
func (t *tap) end() {
	switch f := t.framer.(type) {
	case *wire.SSE:
		// Clients must drop an event without its blank line, but what it reports has been
		// consumed.
		_, _ = f.Write([]byte("\n\n"))
	case interface{ End() }:
		f.End()
	}
}

// Done reports that the terminal event has been seen.
func (t *tap) Done() bool { return t.extractor.Done() }

// Metadata returns what is known so far, Custom included.
func (t *tap) Metadata() ResponseMetadata {
	m := t.extractor.Metadata()
	m.setCustom(t.api, t.provider)
	return m
}

// cut reports whether the answer ended before its own last byte should have come, as far
// as its framing tells.
func (t *tap) cut() bool {
	a, ok := t.framer.(*wire.ArrayStream)
	return ok && !a.Complete()
}

// missed reports whether a part of the answer could not be read.
func (t *tap) missed() bool {
	if t.framer == nil {
		return false
	}
	b, ok := t.framer.(interface{ Broken() bool })
	return t.framer.Oversized() > 0 || ok && b.Broken()
}

// wholeBody is the framer of a JSON body, which is one frame.
type wholeBody struct {
	sink  wire.Sink
	limit int
	body  []byte
	large bool
}

func (w *wholeBody) Write(p []byte) (int, error) {
	n := len(w.body) + len(p)
	switch {
	case w.large || n > w.limit:
		putBuffer(w.body)
		w.body, w.large = nil, true
		return len(p), nil
	case n > cap(w.body):
		grown := append(getBuffer(max(n, 2*cap(w.body))), w.body...)
		putBuffer(w.body)
		w.body = grown
	}
	w.body = append(w.body, p...)
	return len(p), nil
}

// Oversized is 1 for a body beyond the limit.
func (w *wholeBody) Oversized() int {
	if w.large {
		return 1
	}
	return 0
}

// End emits the body, if there is one.
func (w *wholeBody) End() {
	if len(bytes.TrimSpace(w.body)) > 0 {
		w.sink.Frame(wire.Frame{Data: w.body})
	}
	putBuffer(w.body)
	w.body = nil
}
