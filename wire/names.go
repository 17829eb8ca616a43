package wire

import (
	"bytes"
	"fmt"
	"math/bits"
	"slices"
)

// maxNames is the number of names that fit into one bit set.
const maxNames = 32

// Names is a set of member names to look for. It is safe for concurrent use.
type Names struct {
	names  []string
	length []uint32 // length[n]: a bit for each name that is n bytes long
}

// NewNames returns the set of names: at most 32, each once. It panics on others.
func NewNames(names ...string) *Names {
	if len(names) > maxNames {
		panic("wire: more than 32 names")
	}
	n := &Names{names: slices.Clone(names)}
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			panic(fmt.Sprintf("wire: name %q twice", name))
		}
		for len(n.length) <= len(name) {
			n.length = append(n.length, 0)
		}
		n.length[len(name)] |= 1 << i
	}
	return n
}

// find returns the index of the name that is spelled raw, a JSON string without its
// quotes; -1 if none is.
func (n *Names) find(raw []byte) int {
	if bytes.IndexByte(raw, '\\') >= 0 {
		return slices.IndexFunc(n.names, func(name string) bool { return isName(raw, name) })
	}
	if len(raw) >= len(n.length) {
		return -1
	}
	for set := n.length[len(raw)]; set != 0; set &= set - 1 {
		if i := bits.TrailingZeros32(set); string(raw) == n.names[i] {
			return i
		}
	}
	return -1
}

// isName reports whether raw, a JSON string without its quotes, spells name.
func isName(raw []byte, name string) bool {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw) == name
	}
	for len(raw) > 0 {
		var spelled [4]byte
		char, size := spelled[:1], 1
		if raw[0] == '\\' {
			if char, size = unescape(spelled[:0], raw); size == 0 {
				return false
			}
		} else {
			spelled[0] = raw[0]
		}
		if len(name) < len(char) || name[:len(char)] != string(char) {
			return false
		}
		raw, name = raw[size:], name[len(char):]
	}
	return name == ""
}

// Valid reports whether text is one JSON value, as strictly as [Names.Scan] checks it.
func Valid(text []byte) bool {
	_, err := nothing.Scan(text, nil)
	return err == nil
}

var nothing = NewNames()
