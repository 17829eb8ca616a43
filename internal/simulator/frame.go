package simulator

import (
	"bytes"
	"slices"
)

// framing is how a stream delimits its events.
type framing int

const (
	sse       framing = iota // server-sent events
	sseCRLF                  // the same with Google's line ends
	jsonArray                // one array, element by element
	awsFrames                // AWS's binary event stream
)

// frame returns e, which comes after n others, as bytes in the form that s wants.
func (s *Script) frame(f framing, n int, e event) []byte {
	switch f {
	case jsonArray:
		if n == 0 {
			return slices.Concat([]byte("["), e.data, []byte("\n"))
		}
		return slices.Concat([]byte(","+s.lineEnd(sseCRLF)), e.data, []byte("\n"))
	case awsFrames:
		frame := awsFrame(e)
		if s.BadChecksum != nil && *s.BadChecksum == n {
			frame[len(frame)-1] ^= 1
		}
		return frame
	default:
		return s.sseFrame(f, e)
	}
}

// frameEnd returns what follows the last event.
func (s *Script) frameEnd(f framing) []byte {
	if f == jsonArray && !s.Unfinished {
		return []byte("]")
	}
	return nil
}

// sseFrame returns e as a server-sent event.
func (s *Script) sseFrame(f framing, e event) []byte {
	end, space := s.lineEnd(f), " "
	if s.NoSpace {
		space = ""
	}
	var b bytes.Buffer
	b.Grow(len(e.name) + len(e.data) + 32)
	if e.name != "" {
		b.WriteString("event:" + space + e.name + end)
	}
	for _, line := range s.lines(e.data) {
		b.WriteString("data:" + space)
		b.Write(line)
		b.WriteString(end)
	}
	b.WriteString(end)
	return b.Bytes()
}

// lines cuts the object data after its first and before its last brace, where a line
// break does not change its meaning.
func (s *Script) lines(data []byte) [][]byte {
	if n := len(data) - 1; s.MultiLine && n > 1 && data[0] == '{' && data[n] == '}' {
		return [][]byte{data[:1], data[1:n], data[n:]}
	}
	return [][]byte{data}
}

// comment returns a comment that keeps a connection busy.
func (s *Script) comment(f framing) []byte {
	return []byte(": keep-alive" + s.lineEnd(f) + s.lineEnd(f))
}

// isSSE reports whether f is one of server-sent events.
func (f framing) isSSE() bool { return f == sse || f == sseCRLF }

func (s *Script) lineEnd(f framing) string {
	switch {
	case s.LineEnd != "":
		return s.LineEnd
	case f == sseCRLF:
		return "\r\n"
	default:
		return "\n"
	}
}
