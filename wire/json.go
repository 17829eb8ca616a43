package wire

import "iter"

// Span is a half-open range of bytes. The zero Span means "not there": no value inside
// an object begins at offset 0.
type Span struct{ Start, End int }

// Found reports whether s is a place.
func (s Span) Found() bool { return s.End > 0 }

// Of returns the bytes of text at s.
func (s Span) Of(text []byte) []byte { return text[s.Start:s.End] }

// Names is a set of member names to look for. It is safe for concurrent use.
type Names struct{ names []string }

// NewNames returns the set of names.
func NewNames(names ...string) *Names { return &Names{names} }

// Scan is a stub.
func (n *Names) Scan(text []byte, spans []Span) (root Span, err error) { return Span{}, nil }

// Members iterates over the members of an object.
func Members(object []byte) iter.Seq2[[]byte, []byte] { return nil }

// Elements iterates over the elements of an array.
func Elements(array []byte) iter.Seq[[]byte] { return nil }

// Member returns the value of the first member of object with that name, nil if none.
func Member(object []byte, name string) []byte { return nil }

// String decodes a JSON string.
func String(value []byte) (s string, ok bool) { return "", false }

// Int reads a JSON number that is an integer, however spelled.
func Int(value []byte) (n int64, ok bool) { return 0, false }

// Edit replaces the bytes at Span by New.
type Edit struct {
	Span Span
	New  []byte
}
