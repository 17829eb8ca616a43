package wire

import "bytes"

const (
	// 64 MiB: the Responses terminal event repeats the whole answer, images included.
	defaultMaxData = 64 << 20
	// maxEventName is far above any name in use, in bytes.
	maxEventName = 1024
	// keptBuffer is how much memory a buffer may hold on to between events, in bytes.
	keptBuffer = 64 << 10

	byteOrderMark = "\xEF\xBB\xBF"
)

// SSE cuts a stream of server-sent events into frames, by the rules of the WHATWG HTML
// standard, section "Interpreting an event stream": lines end in LF, CR or CRLF, several
// data lines are joined by LF, comments and other fields are ignored, so is a byte order
// mark at the start, and an event that has no data or does not end is none. Unlike
// there, bytes are not decoded, and an event without a name has an empty one.
//
// The frames do not depend on how the stream is cut into writes. A frame that lies whole
// inside one write and has one data line is a part of what was written; others are
// collected in a buffer that is used again.
//
// An SSE serves one goroutine at a time. [NewSSE] makes one, as does Reset of a zero SSE.
type SSE struct {
	sink Sink
	max  int

	mark   int  // bytes of a byte order mark seen so far; -1 after the stream's start
	cr     bool // the last byte was a CR that ended a line
	within part // where the last write stopped
	space  bool // a space that comes next is the one after the colon
	name   [len("event")]byte
	named  int // bytes in name

	// The event in progress.
	event, data text
	hasData     bool

	oversized int
}

// A part is a place in a line.
type part int

const (
	lineStart part = iota
	inName
	inData
	inEvent
	inOther // a comment, or the value of a field without meaning here
)

// NewSSE returns an SSE that hands the frames to sink. Events with more than max bytes of
// data are skipped; 0 or less means 64 MiB. An SSE needs about as much memory as the
// largest event, but little between events.
func NewSSE(sink Sink, max int) *SSE {
	s := new(SSE)
	s.Reset(sink, max)
	return s
}

// Reset makes s ready for another stream, as if it were new.
func (s *SSE) Reset(sink Sink, max int) {
	if max <= 0 {
		max = defaultMaxData
	}
	s.event.clear()
	s.data.clear()
	*s = SSE{sink: sink, max: max, event: s.event, data: s.data}
}

// Oversized returns the number of events that were skipped because they exceed max, or
// have a name of more than 1 KiB.
func (s *SSE) Oversized() int { return s.oversized }

// Write never fails. It does not keep p.
func (s *SSE) Write(p []byte) (int, error) {
	n := len(p)
	if s.mark >= 0 {
		p = s.skipMark(p)
	}
	for len(p) > 0 {
		if s.cr {
			s.cr = false
			if p[0] == '\n' {
				p = p[1:]
				continue
			}
		}
		end := lineEnd(p)
		if end < 0 {
			s.fragment(p)
			break
		}
		if s.within == lineStart {
			s.line(p[:end])
		} else {
			s.fragment(p[:end])
			s.endLine()
		}
		s.cr = p[end] == '\r'
		p = p[end+1:]
	}
	s.event.keep(maxEventName)
	s.data.keep(s.max)
	return n, nil
}

// skipMark returns p without the bytes that belong to a byte order mark.
func (s *SSE) skipMark(p []byte) []byte {
	for len(p) > 0 && s.mark < len(byteOrderMark) {
		if p[0] != byteOrderMark[s.mark] {
			// What looked like a mark begins a field, though none of those known here.
			if s.mark > 0 {
				s.within = inOther
			}
			s.mark = -1
			return p
		}
		s.mark++
		p = p[1:]
	}
	if s.mark == len(byteOrderMark) {
		s.mark = -1
	}
	return p
}

// line reads a whole line.
func (s *SSE) line(line []byte) {
	if len(line) == 0 {
		s.dispatch()
		return
	}
	name, value, _ := bytes.Cut(line, colon)
	s.field(name)
	if len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	s.value(value)
	s.within = lineStart
}

var colon = []byte{':'}

// fragment reads a part of a line.
func (s *SSE) fragment(p []byte) {
	if len(p) == 0 {
		return
	}
	if s.within == lineStart {
		s.within, s.named = inName, 0
	}
	if s.within == inName {
		name, value, found := bytes.Cut(p, colon)
		if len(name) > len(s.name)-s.named {
			s.within = inOther
			return
		}
		s.named += copy(s.name[s.named:], name)
		if !found {
			return
		}
		s.field(s.name[:s.named])
		s.space = true
		p = value
	}
	if s.space && len(p) > 0 {
		s.space = false
		if p[0] == ' ' {
			p = p[1:]
		}
	}
	s.value(p)
}

// endLine ends a line that was read in fragments.
func (s *SSE) endLine() {
	if s.within == inName {
		s.field(s.name[:s.named])
	}
	s.within, s.space = lineStart, false
}

// field begins the value of the field with that name.
func (s *SSE) field(name []byte) {
	switch string(name) {
	case "data":
		s.within = inData
		if s.hasData {
			s.data.add(newline, s.max)
		}
		s.hasData = true
	case "event":
		s.within = inEvent
		s.event.clear()
	default:
		s.within = inOther
	}
}

var newline = []byte{'\n'}

// value adds p to the value of the field in progress.
func (s *SSE) value(p []byte) {
	switch s.within {
	case inData:
		s.data.add(p, s.max)
	case inEvent:
		s.event.add(p, maxEventName)
	}
}

// dispatch ends the event in progress.
func (s *SSE) dispatch() {
	if s.hasData {
		if s.event.over || s.data.over {
			s.oversized++
		} else {
			s.sink.Frame(Frame{Event: s.event.bytes, Data: s.data.bytes})
		}
	}
	s.event.clear()
	s.data.clear()
	s.hasData = false
}

// A text is a value that grows. Its first piece is borrowed until there is a second one,
// or until keep.
type text struct {
	bytes  []byte
	buffer []byte // what bytes is a part of when it is not borrowed
	lent   bool   // bytes is borrowed
	over   bool   // the value exceeds its limit and is not kept
}

// add appends p. The text may not exceed limit bytes.
func (t *text) add(p []byte, limit int) {
	switch {
	case t.over || len(p) == 0:
	case len(p) > limit-len(t.bytes):
		t.clear()
		t.over = true
	case len(t.bytes) == 0:
		t.bytes, t.lent = p, true
	default:
		t.keep(limit)
		t.bytes = appendWithin(t.bytes, p, limit)
		t.buffer = t.bytes
	}
}

// keep copies what is borrowed.
func (t *text) keep(limit int) {
	if t.lent {
		t.bytes = appendWithin(t.buffer[:0], t.bytes, limit)
		t.buffer, t.lent = t.bytes, false
	}
}

// clear empties the text and lets go of a large buffer.
func (t *text) clear() {
	if cap(t.buffer) > keptBuffer {
		t.buffer = nil
	}
	*t = text{buffer: t.buffer}
}

// appendWithin appends p to dst, whose capacity doubles up to limit. The result must not
// exceed limit.
func appendWithin(dst, p []byte, limit int) []byte {
	if need := len(dst) + len(p); need > cap(dst) {
		grown := make([]byte, len(dst), max(need, min(max(2*cap(dst), 512), limit)))
		copy(grown, dst)
		dst = grown
	}
	return append(dst, p...)
}
