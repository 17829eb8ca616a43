package llmproxy

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Our own response fields.
const (
	headerRequestID        = "X-Gateway-Request-Id"
	headerProvider         = "X-Gateway-Provider"
	headerModel            = "X-Gateway-Model"
	headerCost             = "X-Gateway-Cost"
	headerPromptTokens     = "X-Gateway-Prompt-Tokens"
	headerCompletionTokens = "X-Gateway-Completion-Tokens"
)

// hopByHop reports whether the field concerns one connection only (RFC 9110 §7.6.1).
// name is canonical, as in all functions here.
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Te", "Trailer",
		"Transfer-Encoding", "Upgrade", "Proxy-Authenticate", "Proxy-Authorization":
		return true
	}
	return false
}

// credential reports whether the field may carry the client's key for the gateway.
func credential(name string) bool {
	switch name {
	case "Authorization", "X-Api-Key", "Api-Key", "X-Goog-Api-Key",
		"X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-Sha256": // an AWS signature
		return true
	}
	return false
}

// staysHere reports whether a request field is for the gateway alone: those of HTTP
// between the client and us, the client's cookies, its place in the network, and our own.
func staysHere(name string) bool {
	switch name {
	case "Accept-Encoding", "Content-Length", "Host", "Expect", "Cookie", "Http2-Settings",
		"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip",
		"X-Provider", "X-Org-Id", "X-Cache-Key":
		return true
	}
	return strings.HasPrefix(name, "X-Gateway-") || hopByHop(name)
}

// identity is what we ask for: an answer that came compressed could not be metered on
// its way, and the client's own wishes concern another connection.
var identity = []string{"identity"}

// requestHeader returns the fields of client that travel to a provider. The value
// slices are shared and must not be changed.
func requestHeader(client http.Header, passKeys, decoded bool) http.Header {
	named := client["Connection"]
	travels := func(name string) bool {
		return !staysHere(name) && (passKeys || !credential(name)) &&
			(!decoded || name != "Content-Encoding") &&
			(named == nil || !headerHasToken(named, name))
	}
	n := 0
	for name := range client {
		if travels(name) {
			n++
		}
	}
	h := make(http.Header, n+2) // a map that is too large by one costs as much as a request
	for name, values := range client {
		if travels(name) {
			h[name] = values
		}
	}
	h["Accept-Encoding"] = identity
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = nil // else net/http adds its own
	}
	return h
}

// responseHeader removes from h, a provider's answer, what must not reach the client.
func responseHeader(h http.Header) {
	named := h["Connection"]
	for name := range h {
		if !travelsBack(name) ||
			named != nil && headerHasToken(named, name) {
			delete(h, name)
		}
	}
}

// travelsBack reports whether a field of a provider's answer, or of its trailer, may reach
// the client.
func travelsBack(name string) bool {
	return !hopByHop(name) && name != "Set-Cookie" && !strings.HasPrefix(name, "X-Gateway-")
}

// headerHasToken reports whether one of the comma-separated lists in values has token,
// without regard to case.
func headerHasToken(values []string, token string) bool {
	for _, v := range values {
		for v != "" {
			var t string
			t, v, _ = strings.Cut(v, ",")
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
	}
	return false
}

// headerSize is the number of bytes that r's target and header take on the wire.
func headerSize(r *http.Request) int {
	n := len(r.RequestURI)
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v) + len(": \r\n")
		}
	}
	return n
}

// parseTags reads X-Gateway-Tags: team=a,feature=b.
func parseTags(values []string) (map[string]string, *Error) {
	const most, longest = 16, 64
	var tags map[string]string
	for _, list := range values {
		for list != "" {
			var item string
			item, list, _ = strings.Cut(list, ",")
			if strings.TrimSpace(item) == "" {
				continue
			}
			name, value, ok := strings.Cut(item, "=")
			name, value = strings.TrimSpace(name), strings.TrimSpace(value)
			if !ok || name == "" || len(name) > longest || len(value) > longest || len(tags) == most {
				return nil, BadRequest("X-Gateway-Tags: want at most 16 tags as name=value, joined by commas, each part at most 64 bytes")
			}
			if tags == nil {
				tags = map[string]string{}
			}
			tags[name] = value
		}
	}
	return tags, nil
}

// providerRequestID returns a provider's own name for an exchange, which its support
// asks for.
func providerRequestID(h http.Header) string {
	for _, name := range [...]string{"X-Request-Id", "Request-Id", "X-Amzn-Requestid", "Apim-Request-Id", "X-Goog-Request-Id", "Mistral-Correlation-Id"} {
		if v := h.Get(name); v != "" {
			return v
		}
	}
	return ""
}

// upstreamQuery returns what of the client's query travels on: all of it as it stands,
// less parameters that carry the client's credential.
func upstreamQuery(query string, s Settings) string {
	if len(s.KeyQuery) == 0 || s.ClientKeys || query == "" {
		return query
	}
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err != nil || !slices.Contains(s.KeyQuery, plain) {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}

// joinQuery joins what a provider's URL needs with what the client sent.
func joinQuery(own, client string) string {
	if own == "" || client == "" {
		return own + client
	}
	return own + "&" + client
}
