package anthropic

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/llmproxy/llmproxy"
)

// oldest is the API version of requests that name none, which Anthropic would refuse. It
// is the one that takes what every client has ever sent; 2026-10-21 refuses sampling
// parameters.
const oldest = "2023-06-01"

// enricher is a function, so that what it knows is out of reach of fmt, encoding/json
// and reflect: printing a provider cannot show its key.
type enricher func(h http.Header)

// Enrich sets the fields. It never fails.
func (e enricher) Enrich(r *http.Request, _ *llmproxy.Exchange) error {
	e(r.Header)
	return nil
}

// credentials sets c's credential, a version where the client gave none, and then header
// over all else.
func credentials(c Config, header map[string]string) llmproxy.RequestEnricher {
	key, bearer := c.APIKey, ""
	if c.AuthToken != "" {
		bearer = "Bearer " + c.AuthToken
	}
	if c.ClientKeys {
		key, bearer = "", ""
	}
	return enricher(func(h http.Header) {
		if key != "" {
			h.Set("X-Api-Key", key)
		}
		if bearer != "" {
			h.Set("Authorization", bearer)
		}
		if h.Get("Anthropic-Version") == "" {
			h.Set("Anthropic-Version", oldest)
		}
		for name, value := range header {
			h.Set(name, value)
		}
	})
}

// operatorHeader returns the fields of the configuration by canonical name, and reports
// those it may not set. A value is never part of a report, and a name only if it is one:
// people paste whole lines.
func operatorHeader(written map[string]string, fault func(field, format string, args ...any)) map[string]string {
	header := make(map[string]string, len(written))
	seen := map[string]bool{}
	for _, field := range slices.Sorted(maps.Keys(written)) {
		value, name := written[field], http.CanonicalHeaderKey(field)
		switch {
		case !token(field):
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
