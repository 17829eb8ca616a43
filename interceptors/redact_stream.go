package interceptors

import (
	"bytes"
	"io"
	"strings"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/wire"
)

// redacted is a stream whose texts pass by a Redactor. A piece is a frame.
type redacted struct {
	src   llmproxy.Stream
	cut   cutter
	texts *texts
	ready [][]byte // frames to hand out
	err   error    // comes after them
}

func (r *redacted) Next() ([]byte, error) {
	for len(r.ready) == 0 && r.err == nil {
		r.advance()
	}
	if len(r.ready) == 0 {
		return nil, r.err
	}
	next := r.ready[0]
	r.ready = r.ready[1:]
	return next, nil
}

// advance takes the next piece. After the last, or a failure, all that is whole goes out.
func (r *redacted) advance() {
	piece, err := r.src.Next()
	var frames []frame
	last := err == io.EOF
	switch {
	case err == nil:
		frames, err = r.cut.cut(piece)
	case last:
		if frames, err = r.cut.rest(); err == nil {
			err = io.EOF
		}
	}
	for _, f := range frames {
		r.take(r.texts.push(f, !last))
	}
	if err != nil {
		r.texts.endAll()
		r.take(r.texts.release())
		r.err = err
	}
}

func (r *redacted) take(frames []*held) {
	for _, h := range frames {
		out := h.raw
		if edits := h.edits(); len(edits) > 0 {
			out = r.cut.put(&h.frame, wire.Splice(h.data, edits...))
		}
		if len(out) > 0 {
			r.ready = append(r.ready, out)
		}
	}
}

func (r *redacted) Close() error { return r.src.Close() }

// texts are those of one answer.
type texts struct {
	redact func(text string, last bool) (out string, keep int)
	find   findTexts
	hold   int // bytes of a text
	open   map[lane]openText
	queue  []*held
	size   int // bytes in queue
}

// queuedLimit bounds the frames that wait for one that is held, in bytes.
const queuedLimit = 1 << 20

// lane names one text of a stream: that of a choice or of a part of an output. What is
// thought is another kind than what is said.
type lane struct {
	item, part int64
	kind       string
}

// openText is the end of a text that is kept: the parts of it, one a delta.
type openText []part

// part is what is kept of a delta, and where it goes if it stays as it is.
type part struct {
	text string
	slot *slot
	held *held
}

// held is a frame that waits for its turn.
type held struct {
	frame
	slots []*slot
	open  int // slots of which something is kept
}

// slot is the place of a text in the data of a frame.
type slot struct {
	span     wire.Span
	original string
	out      string
}

func (h *held) edits() (edits []wire.Edit) {
	for _, s := range h.slots {
		if s.out != s.original {
			edits = append(edits, wire.Edit{Span: s.span, New: wire.AppendString(nil, s.out)})
		}
	}
	return edits
}

// push takes the next frame and returns those that may go out. One that says nothing may
// overtake those that wait.
func (t *texts) push(f frame, overtake bool) []*held {
	h := &held{frame: f}
	said := false
	data := bytes.TrimSpace(f.data)
	switch {
	case len(data) == 0:
	case string(data) == "[DONE]":
		said = true
		t.endAll()
	default:
		t.find(f.data, func(a textAt) {
			said = true
			t.see(h, a)
		})
	}
	if overtake && !said && len(t.queue) > 0 && idle(data) {
		return []*held{h} // keeps the connection alive, and says nothing
	}
	t.queue = append(t.queue, h)
	t.size += len(f.raw)
	if t.size > queuedLimit {
		t.endAll()
	}
	return t.release()
}

// idle reports whether data, of an event, says that there is nothing to say.
func idle(data []byte) bool {
	return len(data) == 0 || string(wire.Member(data, "type")) == `"ping"`
}

// release returns the frames that wait for nothing.
func (t *texts) release() []*held {
	n := 0
	for n < len(t.queue) && t.queue[n].open == 0 {
		t.size -= len(t.queue[n].raw)
		n++
	}
	ready := t.queue[:n:n]
	t.queue = t.queue[n:]
	return ready
}

// see takes what h has at a place.
func (t *texts) see(h *held, a textAt) {
	switch {
	case a.endAll:
		t.endAll()
		return
	case a.end:
		t.end(a.lane)
		return
	}
	text, ok := wire.String(a.value)
	if !ok || text == "" {
		return
	}
	s := &slot{span: placeOf(h.data, a.value), original: text}
	if a.whole {
		s.out, _ = t.redact(text, true)
		h.slots = append(h.slots, s)
		return
	}
	h.slots = append(h.slots, s)
	h.open++
	o := append(t.open[a.lane], part{text, s, h})
	text = o.String()
	out, keep := t.redact(text, false)
	if keep = max(0, min(keep, len(text))); keep > t.hold {
		out, _ = t.redact(text, true)
		keep = 0
	}
	if o = o.deliver(out, keep); len(o) > 0 {
		t.open[a.lane] = o
	} else {
		delete(t.open, a.lane)
	}
}

// end ends the text in l.
func (t *texts) end(l lane) {
	o, ok := t.open[l]
	if !ok {
		return
	}
	delete(t.open, l)
	out, _ := t.redact(o.String(), true)
	o.deliver(out, 0)
}

func (t *texts) endAll() {
	for l := range t.open {
		t.end(l)
	}
}

func (o openText) String() string {
	if len(o) == 1 {
		return o[0].text
	}
	var b strings.Builder
	for _, p := range o {
		b.WriteString(p.text)
	}
	return b.String()
}

// deliver puts out, which is for all of the text but its last keep bytes, where that came
// from: what has not changed into its own delta, all from the first change on into the delta
// with that. It returns what is kept.
func (o openText) deliver(out string, keep int) openText {
	text := o.String()
	spent := len(text) - keep
	same := 0 // bytes of out that are those of text
	for same < min(len(out), spent) && out[same] == text[same] {
		same++
	}
	last := o[0].slot // that out has come to
	at, done := 0, 0  // in text, in out
	kept := o[:0]
	for _, p := range o {
		begin, end := at, at+len(p.text)
		at = end
		if goes := min(end, spent); begin < spent && done < len(out) {
			last = p.slot
			if goes <= same {
				last.out += out[begin:goes]
				done = goes
			} else {
				last.out += out[done:]
				done = len(out)
			}
		}
		if end <= spent {
			p.held.open--
			continue
		}
		p.text = text[max(begin, spent):end]
		kept = append(kept, p)
	}
	last.out += out[done:]
	return kept
}
