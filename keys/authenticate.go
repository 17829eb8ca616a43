package keys

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy"
)

// Authenticate returns a handler that lets requests with a valid key through to next, on
// behalf of the key ([llmproxy.WithCaller]), and refuses others with 401 in the dialect of
// their path. GET / and HEAD / need no key.
//
// The secret goes no further: what carries one is taken off the request, other credentials
// stay.
func Authenticate(ring *Ring, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			next.ServeHTTP(w, r)
			return
		}
		k, err := ring.authenticate(r, time.Now())
		if err != nil {
			w.Header().Set("WWW-Authenticate", "Bearer") // RFC 9110 §11.6.1
			llmproxy.WriteError(w, r, err)
			return
		}
		ctx := llmproxy.WithCaller(r.Context(), llmproxy.Caller{Key: k.ID, Tags: k.Tags})
		r = r.WithContext(ctx)
		removeSecrets(r)
		next.ServeHTTP(w, r)
	})
}

// authenticate returns the key that r carries. The error is an *[llmproxy.Error].
func (r *Ring) authenticate(req *http.Request, now time.Time) (*Key, error) {
	text, ok := credential(req)
	switch {
	case !ok && signed(req):
		return nil, unauthorized("a request signed with AWS Signature Version 4 carries no gateway key: send the key as a bearer token (AWS_BEARER_TOKEN_BEDROCK)")
	case !ok:
		return nil, unauthorized("a gateway key is wanted: send it as a bearer token in Authorization, or in x-api-key, api-key or x-goog-api-key")
	}
	secret, err := ParseSecret(text)
	if err == ErrMistyped { //nolint:errorlint // as it is returned
		return nil, unauthorized("the gateway key is not whole: its checksum is wrong")
	}
	if err == nil {
		if k, ok := r.Find(secret); ok && k.Valid(now) {
			return k, nil
		}
	}
	return nil, invalidKey()
}

// invalidKey is the same for all keys that are not valid: it tells nobody which of the keys
// he has found once were.
func invalidKey() *llmproxy.Error {
	return unauthorized("the gateway key is not valid: it is unknown, expired or revoked")
}

func unauthorized(message string) *llmproxy.Error {
	return &llmproxy.Error{
		Status: http.StatusUnauthorized, Type: "invalid_request_error", Code: "invalid_api_key",
		Message: message, NoRetry: true,
	}
}

// keyHeaders are the fields, besides Authorization, in which a key may come.
var keyHeaders = [...]string{"X-Api-Key", "Api-Key", "X-Goog-Api-Key"}

// credential returns what r carries as a key: what looks like one of ours first, since
// clients whose own credential travels on send that too. ok is false where there is
// nothing.
func credential(r *http.Request) (text string, ok bool) {
	found := func(s string) bool {
		if s == "" || ok && !ours(s) {
			return false
		}
		text, ok = s, true
		return ours(s)
	}
	for _, value := range r.Header["Authorization"] {
		if token, is := bearer(value); is && found(token) {
			return text, true
		}
	}
	for _, name := range keyHeaders {
		for _, value := range r.Header[name] {
			if found(strings.TrimSpace(value)) {
				return text, true
			}
		}
	}
	if r.URL.RawQuery != "" && takesQueryKey(r.URL.Path) {
		for _, value := range r.URL.Query()["key"] {
			if found(value) {
				return text, true
			}
		}
	}
	return text, ok
}

func ours(s string) bool { return strings.HasPrefix(s, secretPrefix) }

// bearer returns the token of a field Authorization.
func bearer(value string) (token string, ok bool) {
	scheme, token, ok := strings.Cut(strings.TrimSpace(value), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	token = strings.TrimSpace(token)
	return token, token != ""
}

// signed reports whether r has a signature of AWS, in its header or its query.
func signed(r *http.Request) bool {
	return strings.HasPrefix(strings.TrimSpace(r.Header.Get("Authorization")), "AWS4-") ||
		strings.Contains(r.URL.RawQuery, "X-Amz-Signature=")
}

// takesQueryKey reports whether path, decoded, is one of Gemini's, on a mount or not: its
// clients may send their key as the parameter key.
func takesQueryKey(path string) bool {
	for path != "" {
		var segment string
		segment, path, _ = strings.Cut(path, "/")
		switch segment {
		case "v1beta", "v1alpha", "v1beta1":
			return true
		case "models", "tunedModels":
			return strings.Contains(path, ":")
		}
	}
	return false
}

// removeSecrets takes off r what holds a secret of ours, wherever it stands. r is a shallow
// copy: the client's own request is not changed.
func removeSecrets(r *http.Request) {
	var header http.Header // a copy, once there is something to remove
	remove := func(name string) {
		if header == nil {
			header = make(http.Header, len(r.Header))
			for n, values := range r.Header {
				header[n] = values
			}
		}
		delete(header, name)
	}
	for _, value := range r.Header["Authorization"] {
		if token, ok := bearer(value); ok && ours(token) {
			remove("Authorization")
		}
	}
	for _, name := range keyHeaders {
		for _, value := range r.Header[name] {
			if ours(strings.TrimSpace(value)) {
				remove(name)
			}
		}
	}
	if header != nil {
		r.Header = header
	}
	if query := withoutSecrets(r.URL.RawQuery); query != r.URL.RawQuery {
		u := *r.URL
		u.RawQuery = query
		r.URL, r.RequestURI = &u, u.RequestURI()
	}
}

// withoutSecrets returns query without the parameters that are a secret of ours.
func withoutSecrets(query string) string {
	if !strings.Contains(query, secretPrefix) && !strings.Contains(query, "%") {
		return query
	}
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		_, value, _ := strings.Cut(pair, "=")
		plain, err := url.QueryUnescape(value)
		if err != nil {
			plain = value
		}
		if !ours(plain) {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}
