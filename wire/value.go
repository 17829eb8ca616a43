package wire

import (
	"bytes"
	"math"
	"strings"
	"unicode/utf8"
)

// Kind is what sort of JSON value a text is.
type Kind int

// The kinds.
const (
	Invalid Kind = iota
	Null
	Boolean // Bool reads it
	Number  // Int reads it
	Text    // String reads it
	Array
	Object
)

var kindNames = [...]string{"invalid", "null", "boolean", "number", "string", "array", "object"}

func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		k = Invalid
	}
	return kindNames[k]
}

// KindOf returns what value is by its first byte after white space; the rest may still
// be anything.
func KindOf(value []byte) Kind {
	i := space(value, 0)
	if i == len(value) {
		return Invalid
	}
	switch c := value[i]; {
	case c == 'n':
		return Null
	case c == 't', c == 'f':
		return Boolean
	case c == '-', '0' <= c && c <= '9':
		return Number
	case c == '"':
		return Text
	case c == '[':
		return Array
	case c == '{':
		return Object
	}
	return Invalid
}

// IsNull reports whether value is null.
func IsNull(value []byte) bool { return string(trim(value)) == "null" }

// Bool reads true and false; ok is false for all else.
func Bool(value []byte) (v, ok bool) {
	switch string(trim(value)) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}

// String decodes a JSON string; ok is false for all else. The result is a copy and
// always UTF-8: bytes that are not, and lone surrogates, become U+FFFD.
func String(value []byte) (s string, ok bool) {
	value = trim(value)
	if len(value) == 0 || value[0] != '"' {
		return "", false
	}
	end, ascii, err := strBytes(value, 1)
	if err != nil || end != len(value) {
		return "", false
	}
	raw := value[1 : end-1]
	slash := bytes.IndexByte(raw, '\\')
	if slash < 0 && (ascii || utf8.Valid(raw)) {
		return string(raw), true
	}
	var b strings.Builder
	b.Grow(len(raw))
	for slash >= 0 {
		writeUTF8(&b, raw[:slash])
		var char [utf8.UTFMax]byte
		text, size := unescape(char[:0], raw[slash:])
		b.Write(text)
		raw = raw[slash+size:]
		slash = bytes.IndexByte(raw, '\\')
	}
	writeUTF8(&b, raw)
	return b.String(), true
}

// writeUTF8 writes p with U+FFFD in place of each byte that is not UTF-8.
func writeUTF8(b *strings.Builder, p []byte) {
	for !utf8.Valid(p) {
		n := invalidUTF8(p)
		b.Write(p[:n])
		b.WriteRune(utf8.RuneError)
		p = p[n+1:]
	}
	b.Write(p)
}

// Int reads a JSON number that is an integer, however spelled: 12, 12.0, 1.2e1. ok is
// false for fractions, for what an int64 does not hold, and for all else.
func Int(value []byte) (n int64, ok bool) {
	value = trim(value)
	if KindOf(value) != Number {
		return 0, false
	}
	if end, err := number(value, 0); err != nil || end != len(value) {
		return 0, false
	}
	// The number is digits × 10^power.
	var digits uint64 // without the zeros at its end
	power := 0
	fraction := false
	zeros := 0 // at the end of what has been read
	i := 0
	for ; i < len(value) && value[i]|0x20 != 'e'; i++ {
		c := value[i]
		switch {
		case c == '-':
			continue
		case c == '.':
			fraction = true
			continue
		case fraction:
			power--
		}
		if c == '0' {
			zeros++
			continue
		}
		// What does not fit here is a fraction or too large, since its last digit is
		// not 0.
		if digits, ok = shift(digits, zeros+1); !ok {
			return 0, false
		}
		if digits > math.MaxUint64-9 {
			return 0, false
		}
		digits += uint64(c - '0')
		zeros = 0
	}
	if digits == 0 {
		return 0, true
	}
	power += zeros
	if i < len(value) {
		power += exponent(value[i+1:])
	}
	if power < 0 {
		return 0, false
	}
	if digits, ok = shift(digits, power); !ok {
		return 0, false
	}
	if value[0] == '-' {
		return -int64(digits), digits <= 1<<63
	}
	return int64(digits), digits <= math.MaxInt64
}

// shift returns n × 10^power.
func shift(n uint64, power int) (shifted uint64, ok bool) {
	if n == 0 {
		return 0, true
	}
	for ; power > 0; power-- {
		if n > math.MaxUint64/10 {
			return 0, false
		}
		n *= 10
	}
	return n, true
}

// exponent reads the digits of an exponent. A large one is cut to what still exceeds the
// length of any number.
func exponent(b []byte) int {
	const limit = 1 << 40
	sign, n := 1, 0
	for _, c := range b {
		switch {
		case c == '-':
			sign = -1
		case c != '+' && n < limit:
			n = n*10 + int(c-'0')
		}
	}
	return sign * n
}

// trim returns value without the white space around it.
func trim(value []byte) []byte {
	value = value[space(value, 0):]
	for len(value) > 0 && isSpace(value[len(value)-1]) {
		value = value[:len(value)-1]
	}
	return value
}
