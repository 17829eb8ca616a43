package simulator

import "bytes"

// frame returns e as the bytes of a server-sent event, in the form that s wants.
func (s *Script) frame(e event) []byte {
	end, space := s.lineEnd(), " "
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
func (s *Script) comment() []byte {
	return []byte(": keep-alive" + s.lineEnd() + s.lineEnd())
}

func (s *Script) lineEnd() string {
	if s.LineEnd == "" {
		return "\n"
	}
	return s.LineEnd
}
