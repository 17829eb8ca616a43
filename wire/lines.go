package wire

import (
	"bytes"
	"math"
)

// Lines cuts a text of lines into frames without an event, one per line that is not
// empty: newline-delimited JSON (NDJSON) is such a text, and Ollama streams its answers
// so. Lines end in LF or CRLF; a CR anywhere else is a part of its line. The last line
// need not end and is handed over at [Lines.End]. What the lines hold is not looked at.
//
// The frames do not depend on how the text is cut into writes. A line that lies whole
// inside one write is not copied; others are collected in a buffer that is used again.
//
// A Lines serves one goroutine at a time. [NewLines] makes one.
type Lines struct {
	sink Sink
	max  int

	line      text // the line in progress; a CR at its end may belong to the line end
	oversized int
}

// NewLines returns a Lines that hands the frames to sink. Lines of more than max bytes
// without their ends are skipped; 0 or less means 64 MiB. A Lines needs about as much
// memory as the largest line, but little between lines.
func NewLines(sink Sink, max int) *Lines {
	if max <= 0 {
		max = defaultMaxData
	}
	return &Lines{sink: sink, max: min(max, math.MaxInt-1)}
}

// Oversized returns the number of lines that were skipped because they exceed max.
func (l *Lines) Oversized() int { return l.oversized }

// Write never fails. It does not keep p.
func (l *Lines) Write(p []byte) (int, error) {
	n := len(p)
	for {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			break
		}
		l.line.add(p[:end], l.max+1)
		l.emit()
		p = p[end+1:]
	}
	l.line.add(p, l.max+1)
	l.line.keep(l.max + 1)
	return n, nil
}

// emit hands over the line.
func (l *Lines) emit() {
	data := l.line.bytes
	if n := len(data); n > 0 && data[n-1] == '\r' {
		data = data[:n-1]
	}
	switch {
	case l.line.over || len(data) > l.max:
		l.oversized++
	case len(data) > 0:
		l.sink.Frame(Frame{Data: data})
	}
	l.line.clear()
}

// End says that the text is whole. A last line that has not ended is handed over now.
func (l *Lines) End() { l.emit() }
