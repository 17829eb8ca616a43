package wire

import (
	"bytes"
	"encoding/binary"
	"iter"
	"math/bits"
)

// The functions in this file read texts that nobody has checked, such as answers of
// providers. They look at quotes, brackets and commas only, so that one odd value (NaN,
// a raw control byte) does not hide the members after it. They stop silently where the
// text is no JSON any more.

// Members iterates over the members of an object: the name without its quotes and
// unescaped, the value as it stands, without white space around it. The slices are
// parts of object, except a name that holds a backslash, which is the only thing that is
// allocated. A member is yielded once the comma or brace after it has been seen: a number
// cut short is none.
func Members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for m, ok := firstMember(object); ok; m, ok = m.next(object) {
			if !yield(unescapeName(m.name), m.value) {
				return
			}
		}
	}
}

// Elements iterates over the elements of an array, each a part of array without white
// space around it. An element is yielded once the comma or bracket after it has been
// seen.
func Elements(array []byte) iter.Seq[[]byte] {
	return func(yield func(value []byte) bool) {
		i := opened(array, '[')
		for i >= 0 {
			var value []byte
			if value, i = item(array, i, ']'); value == nil || !yield(value) {
				return
			}
		}
	}
}

// Member returns the value of the first member of object with that name, nil if none.
// It allocates nothing.
func Member(object []byte, name string) []byte {
	for m, ok := firstMember(object); ok; m, ok = m.next(object) {
		if isName(m.name, name) {
			return m.value
		}
	}
	return nil
}

// A memberAt is a member of an object.
type memberAt struct {
	name  []byte // as it stands, without quotes
	value []byte
	after int // offset of the next one, -1 if there is none
}

func firstMember(object []byte) (m memberAt, ok bool) {
	m.after = opened(object, '{')
	return m.next(object)
}

func (m memberAt) next(object []byte) (memberAt, bool) {
	if m.after < 0 {
		return m, false
	}
	i := space(object, m.after)
	if i == len(object) || object[i] != '"' {
		return m, false
	}
	end := skipString(object, i)
	if end < 0 {
		return m, false
	}
	m.name = object[i+1 : end-1]
	i = space(object, end)
	if i == len(object) || object[i] != ':' {
		return m, false
	}
	m.value, m.after = item(object, i+1, '}')
	return m, m.value != nil
}

// opened returns the offset after the bracket that text begins with, white space aside;
// -1 if it does not begin with it.
func opened(text []byte, bracket byte) int {
	i := space(text, 0)
	if i == len(text) || text[i] != bracket {
		return -1
	}
	return i + 1
}

// item returns the value at text[i], white space aside, if a comma or the closing
// bracket follows, and the offset after the comma; -1 after the bracket. The value is
// nil if there is none.
func item(text []byte, i int, closing byte) (value []byte, next int) {
	i = space(text, i)
	end := skip(text, i)
	if end < 0 {
		return nil, -1
	}
	value = text[i:end]
	i = space(text, end)
	switch {
	case i == len(text):
		return nil, -1
	case text[i] == ',':
		return value, i + 1
	case text[i] == closing:
		return value, -1
	}
	return nil, -1
}

// skip returns the offset after the value at text[i]; -1 if there is none or it does not
// end. Brackets are counted whatever their kind.
func skip(text []byte, i int) int {
	if i == len(text) {
		return -1
	}
	switch text[i] {
	case '"':
		return skipString(text, i)
	case '{', '[':
	default:
		return skipScalar(text, i)
	}
	plain := 0 // bytes in a row that are neither quote nor bracket
	for depth := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			end := skipString(text, i)
			if end < 0 {
				return -1
			}
			i = end - 1
			plain = 0
		case '{', '[':
			depth++
			plain = 0
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
			plain = 0
		default:
			if plain++; plain == 8 {
				// Numbers, perhaps many of them.
				i = skipPlain(text, i+1) - 1
				plain = 0
			}
		}
	}
	return -1
}

// skipPlain returns the offset of a quote or bracket from i on, before which there is
// none, or of one of the last bytes of text.
func skipPlain(text []byte, i int) int {
	for len(text)-i >= 8 {
		x := binary.LittleEndian.Uint64(text[i:])
		y := x | ones*0x20 // [ and ] become { and }
		found := ((x ^ ones*'"') - ones) | ((y ^ ones*'{') - ones) | ((y ^ ones*'}') - ones)
		if found &= highs &^ x; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
		i += 8
	}
	return i
}

// skipScalar returns the offset after the number or word at text[i], -1 if there is none.
func skipScalar(text []byte, i int) int {
	start := i
	for i < len(text) {
		switch text[i] {
		case ',', ']', '}', ':', '"', '[', '{', ' ', '\n', '\r', '\t':
			if i == start {
				return -1
			}
			return i
		}
		i++
	}
	return -1
}

// skipString returns the offset after the string at text[i], -1 if it does not end.
func skipString(text []byte, i int) int {
	for {
		n := bytes.IndexByte(text[i+1:], '"')
		if n < 0 {
			return -1
		}
		// The quote is escaped if an odd number of backslashes precedes it. They cannot
		// reach beyond the quote of the round before, so this stays linear.
		quote := i + 1 + n
		slash := quote
		for slash > i+1 && text[slash-1] == '\\' {
			slash--
		}
		if (quote-slash)%2 == 0 {
			return quote + 1
		}
		i = quote
	}
}

// unescapeName returns the name that raw spells. What is no escape stays as it is.
func unescapeName(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw
	}
	name := make([]byte, 0, len(raw))
	for len(raw) > 0 {
		size := 0
		if raw[0] == '\\' {
			name, size = unescape(name, raw)
		}
		if size == 0 {
			name = append(name, raw[0])
			size = 1
		}
		raw = raw[size:]
	}
	return name
}
