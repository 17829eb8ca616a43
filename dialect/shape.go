package dialect

import "bytes"

// shape is what a chunk of a stream looks like when the texts in it are left out. The
// chunks of one answer differ in little else, so a chunk of the shape of one without
// news has none either: whatever its texts say, they are texts. To compare costs a
// fraction of a search.
type shape struct {
	text   [maxShape]byte // all of the chunk but its texts
	pieces [maxGaps + 1]uint16
	gaps   int // texts that were left out; pieces[i] is where text goes on after gap i
	length int // of text; 0: no shape is known
}

const (
	maxShape = 768 // longer chunks have no shape
	maxGaps  = 4
)

// matches reports whether chunk has the shape.
func (s *shape) matches(chunk []byte) bool {
	if s.length == 0 {
		return false
	}
	start := uint16(0)
	for gap := range s.gaps {
		end := s.pieces[gap]
		piece := s.text[start:end]
		if !bytes.HasPrefix(chunk, piece) {
			return false
		}
		chunk = chunk[len(piece):]
		n := textLength(chunk)
		if n < 0 {
			return false
		}
		chunk = chunk[n:]
		start = end
	}
	return bytes.Equal(chunk, s.text[start:s.length])
}

// learn makes the shape that of chunk.
func (s *shape) learn(chunk []byte) {
	s.length, s.gaps = 0, 0
	length := 0
	keep := func(part []byte) bool {
		if len(part) > maxShape-length {
			return false
		}
		length += copy(s.text[length:], part)
		return true
	}
	isText := false // the string that comes is the value of a member that holds text
	for len(chunk) > 0 {
		i := bytes.IndexByte(chunk, '"') + 1
		if i == 0 {
			break
		}
		n := textLength(chunk[i:])
		if n < 0 || !keep(chunk[:i]) {
			return
		}
		str := chunk[i : i+n]
		chunk = chunk[i+n:]
		if isText && s.gaps < maxGaps {
			s.pieces[s.gaps] = uint16(length)
			s.gaps++
		} else if !keep(str) {
			return
		}
		if !keep(chunk[:1]) { // the closing quote
			return
		}
		chunk = chunk[1:]
		// A name is followed by a colon and, where a text is to come, its opening quote.
		rest := skipSpace(chunk)
		isText = !isText && holdsText(str) && len(rest) > 0 && rest[0] == ':'
		if isText {
			value := skipSpace(rest[1:])
			isText = len(value) > 0 && value[0] == '"'
		}
	}
	if keep(chunk) {
		s.length = length
	}
}

// holdsText reports whether a member of that name has a value that differs from chunk to
// chunk and says nothing of how the answer ends.
func holdsText(name []byte) bool {
	switch string(name) {
	case "content", "reasoning", "reasoning_content", "arguments", "text", "refusal", "obfuscation", "p":
		return true
	}
	return false
}

// textLength returns the length of the string that text begins inside of, up to its
// closing quote; -1 if it has none.
func textLength(text []byte) int {
	for i := 0; ; i++ {
		n := bytes.IndexByte(text[i:], '"')
		if n < 0 {
			return -1
		}
		i += n
		escapes := 0
		for j := i - 1; j >= 0 && text[j] == '\\'; j-- {
			escapes++
		}
		if escapes%2 == 0 {
			return i
		}
	}
}
