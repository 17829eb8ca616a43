package openai_compatible

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/llmproxy/llmproxy"
)

// enricher is a function, so that what it knows is out of reach of fmt, encoding/json
// and reflect: printing a provider cannot show its key.
type enricher func(h http.Header)

// Enrich sets the fields. It never fails.
func (e enricher) Enrich(r *http.Request, _ *llmproxy.Exchange) error {
	e(r.Header)
	return nil
}

// credentials sets the key, where it is not empty, in the field name, and then header
// over all else. A name that is empty means Authorization: Bearer.
func credentials(key, name string, header map[string]string) llmproxy.RequestEnricher {
	value := key
	if name == "" {
		name, value = "Authorization", "Bearer "+key
	}
	return enricher(func(h http.Header) {
		if key != "" {
			h.Set(name, value)
		}
		for name, value := range header {
			h.Set(name, value)
		}
	})
}

// operatorHeader returns the fields that c wants on every request, by canonical name,
// and reports those it may not set. A value is never part of a report, and a name only
// if it is one: people paste whole lines.
func operatorHeader(c Config, fault func(field, format string, args ...any)) map[string]string {
	header := make(map[string]string, len(c.Headers)+2)
	for _, own := range []struct{ field, name, value string }{
		{"organization", "Openai-Organization", c.Organization},
		{"project", "Openai-Project", c.Project},
	} {
		switch {
		case own.value == "":
		case !visible(own.value):
			fault(own.field, "spaces, line ends and other control characters have no place in it")
		default:
			header[own.name] = own.value
		}
	}
	seen := map[string]bool{}
	for _, written := range slices.Sorted(maps.Keys(c.Headers)) {
		value, name := c.Headers[written], http.CanonicalHeaderKey(written)
		switch {
		case !token(written):
			fault("headers", "one of the names is not a field name")
		case notTheOperators(name):
			fault("headers", "%s is set by the gateway", name)
		case seen[name]:
			fault("headers", "%s is given twice", name)
		case !fieldValue(value):
			fault("headers", "%s has a value with a line end or another control character", name)
		default:
			header[name] = value
		}
		seen[name] = true
	}
	return header
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

// visible reports whether s holds visible ASCII only, as keys and the like do.
func visible(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}
