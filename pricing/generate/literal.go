package main

import (
	"encoding/json"
	"fmt"
	"strings"
)

// object and array are the composite values of a literal; its numbers stay text.
type (
	object map[string]any
	array  []any
	number string
)

// literal reads one value of JavaScript's literals, as bundlers write them, from the
// beginning of src: objects, arrays, strings, numbers, !0, !1, null and void 0. Nothing
// is evaluated.
func literal(src []byte) (value any, rest []byte, err error) {
	r := reader{src: src}
	value = r.value(0)
	if r.err != nil {
		return nil, nil, fmt.Errorf("byte %d: %w", r.at, r.err)
	}
	return value, src[r.at:], nil
}

type reader struct {
	src []byte
	at  int
	err error
}

// maxDepth bounds the nesting of values.
const maxDepth = 64

func (r *reader) fail(format string, args ...any) any {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
	return nil
}

func (r *reader) space() {
	for r.at < len(r.src) && strings.IndexByte(" \t\r\n", r.src[r.at]) >= 0 {
		r.at++
	}
}

// peek returns the next byte that is not space; 0 at the end.
func (r *reader) peek() byte {
	r.space()
	if r.at == len(r.src) {
		return 0
	}
	return r.src[r.at]
}

func (r *reader) accept(token string) bool {
	r.space()
	if !strings.HasPrefix(string(r.src[r.at:min(r.at+len(token), len(r.src))]), token) {
		return false
	}
	r.at += len(token)
	return true
}

func (r *reader) value(depth int) any {
	if depth > maxDepth {
		return r.fail("too deep")
	}
	switch c := r.peek(); {
	case c == '{':
		return r.object(depth)
	case c == '[':
		return r.array(depth)
	case c == '"' || c == '\'' || c == '`':
		return r.text()
	case r.accept("!0"):
		return true
	case r.accept("!1"):
		return false
	case r.accept("null"), r.accept("void 0"):
		return nil
	default:
		return r.number()
	}
}

func (r *reader) object(depth int) any {
	o := object{}
	r.accept("{")
	for !r.accept("}") {
		var name string
		if c := r.peek(); c == '"' || c == '\'' {
			name, _ = r.text().(string)
		} else {
			name = r.word()
		}
		if !r.accept(":") {
			return r.fail("want a colon behind %q", name)
		}
		o[name] = r.value(depth + 1)
		if !r.accept(",") && r.peek() != '}' {
			return r.fail("want a comma or } behind %q", name)
		}
		if r.err != nil {
			return nil
		}
	}
	return o
}

func (r *reader) array(depth int) any {
	a := array{}
	r.accept("[")
	for !r.accept("]") {
		a = append(a, r.value(depth+1))
		if !r.accept(",") && r.peek() != ']' {
			return r.fail("want a comma or ]")
		}
		if r.err != nil {
			return nil
		}
	}
	return a
}

// text reads a string in any of the three quotes. Escapes that JSON does not know stand
// for the byte behind the backslash.
func (r *reader) text() any {
	quote := r.src[r.at]
	var b strings.Builder
	for i := r.at + 1; i < len(r.src); i++ {
		switch c := r.src[i]; {
		case c == quote:
			r.at = i + 1
			return b.String()
		case c == '$' && quote == '`' && i+1 < len(r.src) && r.src[i+1] == '{':
			return r.fail("a template with an expression")
		case c == '\\' && i+1 < len(r.src):
			i++
			var s string
			n := 1
			if r.src[i] == 'u' {
				n = 5
			}
			if i+n <= len(r.src) && json.Unmarshal([]byte(`"\`+string(r.src[i:i+n])+`"`), &s) == nil {
				b.WriteString(s)
				i += n - 1
			} else {
				b.WriteByte(r.src[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return r.fail("a string without an end")
}

func (r *reader) run(of string) string {
	r.space()
	from := r.at
	for r.at < len(r.src) && strings.IndexByte(of, r.src[r.at]) >= 0 {
		r.at++
	}
	return string(r.src[from:r.at])
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_$0123456789"

func (r *reader) word() string {
	w := r.run(letters)
	if w == "" {
		r.fail("want a name")
	}
	return w
}

func (r *reader) number() any {
	n := r.run("0123456789.eE+-")
	if strings.Trim(n, ".eE+-") == "" {
		return r.fail("want a value")
	}
	if strings.HasPrefix(n, ".") {
		n = "0" + n
	}
	return number(n)
}
