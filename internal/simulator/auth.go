package simulator

import (
	"crypto/subtle"
	"net/http"
	"strings"
)

// authorize checks c's credential, where one is asked for; of a signature only that it is
// there, see verify.
func (s *Server) authorize(c *call) error {
	if strings.HasPrefix(c.Header.Get("Authorization"), awsAlgorithm) {
		c.signed = s.options.AWS.SecretAccessKey != ""
		if c.signed || s.options.APIKey == "" {
			return nil
		}
	}
	if c.api == Bedrock {
		return s.authorizeAWS(c.Request)
	}
	if c.api == Gemini && s.options.NoQueryKey && c.URL.Query().Has("key") {
		return badRequest("", "key", "The API key came in the URL. Send it in x-goog-api-key.")
	}
	if s.options.APIKey == "" {
		return nil
	}
	key := c.key()
	switch {
	case key == "":
		return c.noKey()
	case subtle.ConstantTimeCompare([]byte(key), []byte(s.options.APIKey)) != 1:
		return c.wrongKey(key)
	default:
		return nil
	}
}

// key returns the API key of c, from where its API takes it.
func (c *call) key() string {
	var key string
	switch c.api {
	case Azure:
		key = c.Header.Get("Api-Key")
	case Anthropic:
		key = c.Header.Get("X-Api-Key")
	case Gemini:
		if key = c.Header.Get("X-Goog-Api-Key"); key == "" {
			key = c.URL.Query().Get("key")
		}
		return key // no other form will do
	case Vertex:
		key = c.Header.Get("X-Goog-Api-Key")
	case OpenAI, Bedrock, Cohere:
	}
	if key == "" {
		key = bearer(c.Request)
	}
	return key
}

// bearer returns r's bearer token.
func bearer(r *http.Request) string {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return key
}

func (c *call) noKey() *fault {
	f := &fault{status: http.StatusUnauthorized, kind: "invalid_request_error", code: "invalid_api_key"}
	switch c.api {
	case Azure:
		f.message = "No key was provided. Send it in the header api-key or as a bearer token."
	case Anthropic:
		f.message = "No key was provided. Send it in the header x-api-key or as a bearer token."
	case Gemini:
		f.status, f.code = http.StatusForbidden, ""
		f.message = "No key was provided. Send it in the header x-goog-api-key."
	case OpenAI, Vertex, Bedrock, Cohere:
		f.message = "No API key was provided. Send it as a bearer token in the Authorization header."
	}
	return f
}

func (c *call) wrongKey(key string) *fault {
	f := &fault{
		status: http.StatusUnauthorized, kind: "invalid_request_error", code: "invalid_api_key",
		message: "Incorrect API key provided: " + masked(key) + ".",
	}
	if c.api == Gemini {
		f.status = http.StatusBadRequest
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
