package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// MaxDepth is how deep [Names.Scan] lets objects and arrays be nested: [[]] is 2 deep.
const MaxDepth = 1024

// ErrDepth means that a JSON text is nested deeper than [MaxDepth].
var ErrDepth = errors.New("JSON nested too deep")

// SyntaxError means that a text is not one JSON value in UTF-8. Its text holds nothing
// of the input.
type SyntaxError struct {
	Offset int    // in bytes, where the text stops being JSON
	Reason string // what was expected or found there
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("invalid JSON at byte %d: %s", e.Offset, e.Reason)
}

// DuplicateError means that an object holds a wanted name twice. Two parsers may
// disagree about which one counts.
type DuplicateError struct {
	Name   string // the wanted name, not the input's spelling of it
	Offset int    // in bytes, of the second one's opening quote
}

func (e *DuplicateError) Error() string {
	return fmt.Sprintf("duplicate JSON member %q at byte %d", e.Name, e.Offset)
}

// Scan checks that text is one JSON value (RFC 8259) in UTF-8, with nothing but white
// space around it, and returns the span of the value. If it is an object, spans[i] is
// set to the span of the value of its member names[i], or to the zero Span. spans must
// be as long as the names; after an error it is all zero.
//
// Names are compared after unescaping. A wanted name that occurs twice is a
// [*DuplicateError]; other names may. Escapes of lone surrogates (\ud800) are accepted,
// a byte order mark is not. Other errors are a [*SyntaxError], and one that wraps
// [ErrDepth].
//
// Scan neither recurses nor allocates, unless it fails, and its time is linear in text.
func (n *Names) Scan(text []byte, spans []Span) (root Span, err error) {
	spans = spans[:len(n.names)]
	clear(spans)
	root.Start = space(text, 0)
	if root.Start < len(text) && text[root.Start] == '{' {
		root.End, err = n.object(text, root.Start, spans)
	} else {
		root.End, err = value(text, root.Start, 0)
	}
	if err == nil {
		if end := space(text, root.End); end < len(text) {
			err = &SyntaxError{end, "more after the value"}
		}
	}
	if err != nil {
		clear(spans)
		return Span{}, err
	}
	return root, nil
}

// object scans the object at text[i] and fills spans. It returns where the object ends.
func (n *Names) object(text []byte, i int, spans []Span) (end int, err error) {
	i = space(text, i+1)
	if i < len(text) && text[i] == '}' {
		return i + 1, nil
	}
	for {
		closing, next, err := name(text, i)
		if err != nil {
			return 0, err
		}
		found := n.find(text[i+1 : closing])
		if found >= 0 && spans[found].Found() {
			return 0, &DuplicateError{n.names[found], i}
		}
		start := space(text, next)
		end, err := value(text, start, 1)
		if err != nil {
			return 0, err
		}
		if found >= 0 {
			spans[found] = Span{start, end}
		}
		i = space(text, end)
		switch {
		case i == len(text):
			return 0, &SyntaxError{i, unexpectedEnd}
		case text[i] == '}':
			return i + 1, nil
		case text[i] != ',':
			return 0, &SyntaxError{i, "expected , or }"}
		}
		i = space(text, i+1)
	}
}

const unexpectedEnd = "unexpected end"

// value scans the value at text[i], white space before it allowed, inside depth
// containers. It returns where the value ends.
func value(text []byte, i, depth int) (end int, err error) {
	var objects [MaxDepth / 64]uint64 // a bit for each open container: it is an object
	outer := depth
	object := false // the innermost container is an object
	for {
		i = space(text, i)
		if i == len(text) {
			return 0, &SyntaxError{i, unexpectedEnd}
		}
		switch c := text[i]; c {
		case '"':
			i, err = str(text, i+1)
		case '{', '[':
			if depth == MaxDepth {
				return 0, fmt.Errorf("%w at byte %d", ErrDepth, i)
			}
			if object {
				objects[depth/64] |= 1 << (depth % 64)
			} else {
				objects[depth/64] &^= 1 << (depth % 64)
			}
			depth++
			object = c == '{'
			i = space(text, i+1)
			switch {
			case i < len(text) && text[i] == c+2: // ] is [ + 2, } is { + 2
				// The container is empty; it is closed below.
			case object:
				if _, i, err = name(text, i); err != nil {
					return 0, err
				}
				continue
			default:
				continue
			}
		case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			i, err = number(text, i)
		case 't':
			i, err = literal(text, i, "true")
		case 'f':
			i, err = literal(text, i, "false")
		case 'n':
			i, err = literal(text, i, "null")
		default:
			err = &SyntaxError{i, "expected a value"}
		}
		if err != nil {
			return 0, err
		}
		// A value has ended: close the containers that end with it.
		for {
			if depth == outer {
				return i, nil
			}
			i = space(text, i)
			if i == len(text) {
				return 0, &SyntaxError{i, unexpectedEnd}
			}
			c := text[i]
			if object && c == '}' || !object && c == ']' {
				i++
				depth--
				object = objects[depth/64]>>(depth%64)&1 != 0
				continue
			}
			if c != ',' {
				return 0, &SyntaxError{i, "expected , or the end of the object or array"}
			}
			i++
			if object {
				if _, i, err = name(text, space(text, i)); err != nil {
					return 0, err
				}
			}
			break
		}
	}
}

// name scans a member's name at text[i] and the colon after it. It returns where the
// name's closing quote is and where the value, or white space before it, begins.
func name(text []byte, i int) (closing, next int, err error) {
	if i == len(text) {
		return 0, 0, &SyntaxError{i, unexpectedEnd}
	}
	if text[i] != '"' {
		return 0, 0, &SyntaxError{i, "expected a name"}
	}
	end, err := str(text, i+1)
	if err != nil {
		return 0, 0, err
	}
	i = space(text, end)
	if i == len(text) {
		return 0, 0, &SyntaxError{i, unexpectedEnd}
	}
	if text[i] != ':' {
		return 0, 0, &SyntaxError{i, "expected :"}
	}
	return end - 1, i + 1, nil
}

// space returns the offset of the first byte from i on that is not white space.
func space(text []byte, i int) int {
	for i < len(text) && isSpace(text[i]) {
		i++
	}
	return i
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t'
}

// Eight bytes in one word.
const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// str scans the rest of a string; i is the offset after its opening quote. It returns
// the offset after the closing one.
func str(text []byte, i int) (end int, err error) {
	end, ascii, err := strBytes(text, i)
	if err == nil && !ascii && !utf8.Valid(text[i:end-1]) {
		return 0, &SyntaxError{i + invalidUTF8(text[i:end]), "invalid UTF-8"}
	}
	return end, err
}

// strBytes is str, but for a look at the bytes beyond ASCII. If ascii is true, there are
// none.
func strBytes(text []byte, i int) (end int, ascii bool, err error) {
	var seen uint64 // all bytes of the string so far, and perhaps some after it, or-ed
	clean := 0      // words in a row without anything special
	for {
		// Look at eight bytes at a time for a quote, a backslash or a control byte.
		var c byte
		for {
			if len(text)-i < 8 {
				if i >= len(text) {
					return 0, false, &SyntaxError{len(text), unexpectedEnd}
				}
				c = text[i]
				seen |= uint64(c)
				if c < ' ' || c == '"' || c == '\\' {
					break
				}
				i++
				continue
			}
			// Plain text tends to go on: then four words at a time, which would only
			// cost where escapes are dense.
			if clean >= 4 {
				for len(text)-i >= 32 {
					w := text[i : i+32]
					x0, x1 := binary.LittleEndian.Uint64(w), binary.LittleEndian.Uint64(w[8:])
					x2, x3 := binary.LittleEndian.Uint64(w[16:]), binary.LittleEndian.Uint64(w[24:])
					if special(x0)|special(x1)|special(x2)|special(x3) != 0 {
						break
					}
					seen |= x0 | x1 | x2 | x3
					i += 32
				}
				clean = 0
				continue
			}
			x := binary.LittleEndian.Uint64(text[i:])
			seen |= x
			if found := special(x); found != 0 {
				i += bits.TrailingZeros64(found) / 8
				c = text[i]
				clean = 0
				break
			}
			i += 8
			clean++
		}
		switch c {
		case '"':
			return i + 1, seen&highs == 0, nil
		case '\\':
			// Escapes often come in a row.
			for more := true; more; more = i < len(text) && text[i] == '\\' {
				switch {
				case len(text)-i >= 2 && isEscape[text[i+1]]:
					i += 2
				case len(text)-i >= 6 && text[i+1] == 'u' && isHex4(text[i+2:]):
					i += 6
				default:
					return 0, false, &SyntaxError{i, "invalid escape"}
				}
			}
		default:
			return 0, false, &SyntaxError{i, "control byte in a string"}
		}
	}
}

// special marks the bytes of x that are a quote, a backslash or a control byte, by their
// highest bit. Only the lowest mark is certain: the subtraction of one byte borrows from
// the next where it has found one. Flipping 2 puts the quote (0x22) right above the
// control bytes, so that one comparison finds both.
func special(x uint64) uint64 {
	return (((x ^ ones*2) - ones*0x21) | ((x ^ ones*'\\') - ones)) & highs &^ x
}

// isEscape holds what makes an escape of two bytes.
var isEscape = [256]bool{'"': true, '\\': true, '/': true, 'b': true, 'f': true, 'n': true, 'r': true, 't': true}

func isHex4(b []byte) bool {
	_, ok := hex4(b)
	return ok
}

// invalidUTF8 returns the offset of the first byte of b that is not UTF-8.
func invalidUTF8(b []byte) int {
	i := 0
	for i < len(b) {
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		i += size
	}
	return i
}

// number scans the number at text[i], which is a digit or a minus sign.
func number(text []byte, i int) (end int, err error) {
	if text[i] == '-' {
		i++
	}
	if i < len(text) && text[i] == '0' {
		i++
	} else if i, err = digits(text, i); err != nil {
		return 0, err
	}
	if i < len(text) && text[i] == '.' {
		if i, err = digits(text, i+1); err != nil {
			return 0, err
		}
	}
	if i < len(text) && text[i]|0x20 == 'e' {
		i++
		if i < len(text) && (text[i] == '+' || text[i] == '-') {
			i++
		}
		if i, err = digits(text, i); err != nil {
			return 0, err
		}
	}
	return i, nil
}

// digits scans one or more digits.
func digits(text []byte, i int) (end int, err error) {
	start := i
	for i < len(text) && text[i]-'0' <= 9 {
		i++
	}
	if i == start {
		return 0, &SyntaxError{i, "expected a digit"}
	}
	return i, nil
}

// literal scans word at text[i].
func literal(text []byte, i int, word string) (end int, err error) {
	if len(text)-i < len(word) || string(text[i:i+len(word)]) != word {
		return 0, &SyntaxError{i, "expected a value"}
	}
	return i + len(word), nil
}
