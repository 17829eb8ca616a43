package gateway

import (
	"fmt"
	"strings"
)

// A lookupFunc finds an environment variable, as os.LookupEnv does.
type lookupFunc func(name string) (value string, ok bool)

// expand replaces ${NAME} and ${NAME:-default} in text by what lookup finds, and $$ by
// one $. A default stands in for a variable that is unset or empty, as in a shell, and
// may hold references itself. Any other $ stays.
//
// It works on one scalar after the file has been parsed: no value can change the
// structure of a file. The error names the variable and holds no value.
func expand(text string, lookup lookupFunc) (value string, err error) {
	e := expander{lookup: lookup, rest: text}
	return e.run(false, true)
}

type expander struct {
	lookup lookupFunc
	rest   string // not read yet
}

// run expands up to the end, or inside braces up to the } that closes them. With
// use false it only skips: a default that is not needed may name what is not set.
func (e *expander) run(inside, use bool) (string, error) {
	var b strings.Builder
	for {
		stop := "$"
		if inside {
			stop = "$}"
		}
		i := strings.IndexAny(e.rest, stop)
		if i < 0 {
			if inside {
				return "", fmt.Errorf("a ${ is not closed by a }; write $$ for a plain $")
			}
			b.WriteString(e.rest)
			e.rest = ""
			return b.String(), nil
		}
		b.WriteString(e.rest[:i])
		e.rest = e.rest[i:]
		switch {
		case e.rest[0] == '}':
			e.rest = e.rest[1:]
			return b.String(), nil
		case strings.HasPrefix(e.rest, "$$"):
			b.WriteByte('$')
			e.rest = e.rest[2:]
		case strings.HasPrefix(e.rest, "${"):
			e.rest = e.rest[2:]
			value, err := e.reference(use)
			if err != nil {
				return "", err
			}
			b.WriteString(value)
		default:
			b.WriteByte('$')
			e.rest = e.rest[1:]
		}
	}
}

// reference expands what follows a ${.
func (e *expander) reference(use bool) (string, error) {
	n := 0
	for n < len(e.rest) && isNameByte(e.rest[n], n == 0) {
		n++
	}
	name := e.rest[:n]
	e.rest = e.rest[n:]
	switch {
	case name == "":
		return "", fmt.Errorf("a ${ is followed by no name; write ${NAME}, ${NAME:-default}, or $$ for a plain $")
	case strings.HasPrefix(e.rest, "}"):
		e.rest = e.rest[1:]
		value, ok := e.lookup(name)
		if !ok && use {
			return "", fmt.Errorf("the environment variable %s is not set; set it, or write ${%s:-default}", name, name)
		}
		return value, nil
	case strings.HasPrefix(e.rest, ":-"):
		e.rest = e.rest[2:]
		value, _ := e.lookup(name)
		other, err := e.run(true, use && value == "")
		if err != nil {
			return "", err
		}
		if value == "" {
			value = other
		}
		return value, nil
	default:
		return "", fmt.Errorf("${%s is followed by something else than } or :-; write ${%s} or ${%s:-default}", name, name, name)
	}
}

func isNameByte(c byte, first bool) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || !first && '0' <= c && c <= '9'
}
