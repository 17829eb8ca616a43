package wire

import "bytes"

// ArrayStream cuts a JSON array that arrives piece by piece into frames without an event, one
// per element: Gemini streams its answers so. A body that is anything but an array is one
// frame, handed over at [ArrayStream.End].
//
// Texts are not validated. Quotes and brackets are looked at and all else is taken as it
// is; an object or array is handed over as soon as its last bracket has come, any other
// element with the comma or bracket after it. What follows the array is ignored.
//
// The frames do not depend on how the text is cut into writes. An element that lies whole
// inside one write is not copied; others are collected in a buffer that is used again.
//
// An ArrayStream serves one goroutine at a time. [NewArrayStream] makes one.
type ArrayStream struct {
	sink Sink
	max  int

	state arrayState
	depth int // of brackets inside the element in progress
	quote bool
	slash bool // the byte before was a backslash that escapes

	element   text
	oversized int
}

type arrayState int

const (
	arrayBegin   arrayState = iota // nothing but white space has come
	arrayBetween                   // before an element
	arrayNested                    // in an object or array
	arrayScalar                    // in any other element
	arrayDone                      // after the array
	arrayNone                      // the text is no array
)

// NewArrayStream returns an ArrayStream that hands the frames to sink. Elements of more than max
// bytes are skipped; 0 or less means 64 MiB. An ArrayStream needs about as much memory as the
// largest element, but little between elements.
func NewArrayStream(sink Sink, max int) *ArrayStream {
	if max <= 0 {
		max = defaultMaxData
	}
	return &ArrayStream{sink: sink, max: max}
}

// Oversized returns the number of elements that were skipped because they exceed max.
func (a *ArrayStream) Oversized() int { return a.oversized }

// Complete reports whether the array has been closed. A text that is no array is complete
// after End if it ends like the object it began as.
func (a *ArrayStream) Complete() bool { return a.state == arrayDone }

// Write never fails. It does not keep p.
func (a *ArrayStream) Write(p []byte) (int, error) {
	start := -1 // of the element in progress, if it begins in p
	if a.state == arrayNested || a.state == arrayScalar {
		start = 0
	}
	for i := 0; i < len(p); i++ {
		c := p[i]
		switch a.state {
		case arrayBegin:
			switch {
			case isSpace(c):
			case c == '[':
				a.state = arrayBetween
			default:
				a.state = arrayNone
				a.element.add(p[i:], a.max)
				i = len(p)
			}
		case arrayBetween:
			switch {
			case isSpace(c), c == ',':
			case c == ']':
				a.state = arrayDone
			default:
				start, a.state = i, arrayScalar
				if c == '{' || c == '[' {
					a.state, a.depth = arrayNested, 1
				}
				a.quote = c == '"'
			}
		case arrayNested, arrayScalar:
			i = a.inside(p, i)
			if i == len(p) {
				break
			}
			end := i
			if a.state == arrayNested {
				end++ // its bracket
			}
			a.element.add(p[start:end], a.max)
			a.emit()
			a.state, start = arrayBetween, -1
			i = end - 1 // a comma or bracket after the element is no part of it
		case arrayNone:
			a.element.add(p[i:], a.max)
			i = len(p)
		case arrayDone:
			i = len(p)
		}
	}
	if start >= 0 {
		a.element.add(p[start:], a.max)
	}
	a.element.keep(a.max)
	return len(p), nil
}

// inside reads the element in progress from p[i] on. It returns the offset of the byte
// that ends it: its last bracket, or what follows a scalar; len(p) if it goes on.
func (a *ArrayStream) inside(p []byte, i int) int {
	for ; i < len(p); i++ {
		if a.quote {
			if i = a.inString(p, i); i == len(p) {
				break
			}
			continue
		}
		switch p[i] {
		case '"':
			a.quote = true
		case '{', '[':
			if a.state == arrayNested {
				a.depth++
			}
		case '}', ']':
			if a.state == arrayNested {
				a.depth--
			}
			if a.state == arrayNested && a.depth == 0 || a.state == arrayScalar && p[i] == ']' {
				return i
			}
		case ',':
			if a.state == arrayScalar {
				return i
			}
		}
	}
	return len(p)
}

// inString reads the string in progress from p[i] on. It returns the offset of its last
// quote, len(p) if it goes on.
func (a *ArrayStream) inString(p []byte, i int) int {
	if a.slash {
		a.slash = false
		i++
	}
	for i < len(p) {
		quote := bytes.IndexByte(p[i:], '"')
		if quote < 0 {
			quote = len(p)
		} else {
			quote += i
		}
		for i < quote {
			slash := bytes.IndexByte(p[i:quote], '\\')
			if slash < 0 {
				i = quote
				break
			}
			i += slash + len(`\n`)
		}
		switch {
		case i > len(p):
			a.slash = true
			return len(p)
		case i == quote && quote < len(p):
			a.quote = false
			return quote
		}
		// The quote was escaped.
	}
	return len(p)
}

// emit hands over the element.
func (a *ArrayStream) emit() {
	data := a.element.bytes
	if a.state == arrayScalar {
		data = trim(data)
	}
	if a.element.over {
		a.oversized++
	} else {
		a.sink.Frame(Frame{Data: data})
	}
	a.element.clear()
}

// End says that the text is whole. A text that is no array is handed over now, without
// the white space around it.
func (a *ArrayStream) End() {
	if a.state != arrayNone {
		return
	}
	body := trim(a.element.bytes)
	if a.element.over {
		a.oversized++
	} else {
		a.sink.Frame(Frame{Data: body})
		if n := len(body); n > 1 && body[0] == '{' && body[n-1] == '}' {
			a.state = arrayDone
		}
	}
	a.element.clear()
}
