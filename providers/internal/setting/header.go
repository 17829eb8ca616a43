package setting

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/llmproxy/llmproxy"
)

// Enricher is a function, so that what it knows is out of reach of fmt, encoding/json
// and reflect: printing a provider cannot show its key.
type Enricher func(r *http.Request, x *llmproxy.Exchange) error

// Enrich calls e.
func (e Enricher) Enrich(r *http.Request, x *llmproxy.Exchange) error { return e(r, x) }

// credentials sets the key, where it is not empty, in the field name, and then header
// over all else. A name that is empty means Authorization: Bearer.
func credentials(key, name string, header map[string]string) Enricher {
	value := key
	if name == "" {
		name, value = "Authorization", "Bearer "+key
	}
	return func(r *http.Request, _ *llmproxy.Exchange) error {
		if key != "" {
			r.Header.Set(name, value)
		}
		for name, value := range header {
			r.Header.Set(name, value)
		}
		return nil
	}
}

// header returns the fields that the operator wants on every request, by canonical name,
// and what is wrong with the rest. A value is never part of a problem, and a name only if
// it is one: people paste whole lines.
func (c Common) header() (header map[string]string, problems []string) {
	header = make(map[string]string, len(c.Headers))
	seen := map[string]bool{}
	for _, written := range slices.Sorted(maps.Keys(c.Headers)) {
		value, name := c.Headers[written], http.CanonicalHeaderKey(written)
		switch {
		case !token(written):
			problems = append(problems, "one of the names is not a field name")
		case notTheOperators(name):
			problems = append(problems, name+" is set by the gateway")
		case seen[name]:
			problems = append(problems, name+" is given twice")
		case !fieldValue(value):
			problems = append(problems, fmt.Sprintf("%s has a value with a line end or another control character", name))
		default:
			header[name] = value
		}
		seen[name] = true
	}
	return header, problems
}

// notTheOperators reports whether the field belongs to the connection (RFC 9110 §7.6.1
// and the WebSocket handshake), or says what only the one who sends the body can know.
func notTheOperators(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Te", "Trailer",
		"Transfer-Encoding", "Upgrade", "Proxy-Authenticate", "Proxy-Authorization",
		"Host", "Expect", "Content-Length", "Content-Encoding", "Content-Type", "Accept-Encoding":
		return true
	}
	return strings.HasPrefix(name, "Sec-Websocket-")
}

// token reports whether s is a field name (RFC 9110 §5.6.2).
func token(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}

// fieldValue reports whether s can be sent as a field's value (RFC 9110 §5.5).
func fieldValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}
