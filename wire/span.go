package wire

// Span is a half-open range of bytes. The zero Span means "not there": no value inside
// an object begins at offset 0.
type Span struct{ Start, End int }

// Found reports whether s is a place.
func (s Span) Found() bool { return s.End > 0 }

// Of returns the bytes of text at s.
func (s Span) Of(text []byte) []byte { return text[s.Start:s.End] }
