package interceptors

import (
	"encoding/hex"
	"net/http"
	"strings"
)

// Trace is a place in a trace, as W3C Trace Context has it.
type Trace struct {
	ID    [16]byte // of the whole
	Span  [8]byte  // of the caller's part
	Flags byte     // 1: sampled
	State string   // the tracestate that goes along
}

// Valid reports whether t is one: neither of its ids is all zero.
func (t *Trace) Valid() bool { return t.ID != [16]byte{} && t.Span != [8]byte{} }

// String is t as the value of a traceparent field of version 00.
func (t *Trace) String() string {
	b := make([]byte, 0, len("00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"))
	b = append(b, "00-"...)
	b = hex.AppendEncode(b, t.ID[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, t.Span[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, []byte{t.Flags})
	return string(b)
}

// ParseTrace reads the value of a traceparent field (Trace Context §3.2.2). Of versions
// after 00, it reads the fields that 00 has. ok is false for what no trace can be continued
// from.
func ParseTrace(traceparent string) (t Trace, ok bool) {
	const (
		idAt    = len("00-")
		spanAt  = idAt + 32 + len("-")
		flagsAt = spanAt + 16 + len("-")
		end     = flagsAt + 2
	)
	s := traceparent
	if len(s) < end || s[idAt-1] != '-' || s[spanAt-1] != '-' || s[flagsAt-1] != '-' {
		return Trace{}, false
	}
	var version, flags [1]byte
	for _, part := range [...]struct {
		to   []byte
		from string
	}{{version[:], s[:idAt-1]}, {t.ID[:], s[idAt : spanAt-1]}, {t.Span[:], s[spanAt : flagsAt-1]}, {flags[:], s[flagsAt:end]}} {
		if part.from != strings.ToLower(part.from) {
			return Trace{}, false
		}
		if _, err := hex.Decode(part.to, []byte(part.from)); err != nil {
			return Trace{}, false
		}
	}
	switch {
	case version[0] == 0xff, version[0] == 0 && len(s) != end, len(s) > end && s[end] != '-', !t.Valid():
		return Trace{}, false
	}
	t.Flags = flags[0] & 3 // sampled, random: what 00 and its successor define
	return t, true
}

// traceOf returns the trace that h continues; an invalid one without any.
func traceOf(h http.Header) Trace {
	if len(h["Traceparent"]) != 1 {
		return Trace{}
	}
	t, ok := ParseTrace(h["Traceparent"][0])
	if ok {
		t.State = strings.Join(h["Tracestate"], ",")
	}
	return t
}
