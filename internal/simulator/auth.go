package simulator

import (
	"crypto/subtle"
	"net/http"
	"strings"
)

// authorize checks the API key, where one is asked for.
func (s *Server) authorize(r *http.Request) error {
	if s.options.APIKey == "" {
		return nil
	}
	f := &fault{status: http.StatusUnauthorized, kind: "invalid_request_error", code: "invalid_api_key"}
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case !strings.EqualFold(scheme, "Bearer") || key == "":
		f.message = "No API key was provided. Send it as a bearer token in the Authorization header."
	case subtle.ConstantTimeCompare([]byte(key), []byte(s.options.APIKey)) != 1:
		f.message = "Incorrect API key provided: " + masked(key) + "."
	default:
		return nil
	}
	return f
}

// masked shows as much of a key as the real provider does: that a gateway must not let
// through either.
func masked(key string) string {
	if len(key) <= 12 {
		return strings.Repeat("*", len(key))
	}
	return key[:4] + strings.Repeat("*", len(key)-8) + key[len(key)-4:]
}
