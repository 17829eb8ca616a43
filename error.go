package llmproxy

import (
	"errors"
	"net/http"
	"time"
)

// ErrNoProvider means that no configured provider serves the request.
var ErrNoProvider = errors.New("no provider")

// Error is a refusal or a failure that the gateway itself reports, in the dialect of the
// client. Its text is ours and safe to show: no address, credential or prompt is in it.
type Error struct {
	Status  int    // of the answer
	Type    string // OpenAI's error type ("invalid_request_error", "server_error" …)
	Code    string // a stable identifier ("provider_unreachable")
	Message string
	Param   string // the member at fault, if one is
	// RetryAfter is how long the client should wait; 0 says nothing.
	RetryAfter time.Duration
	// NoRetry tells SDKs that the same request will fail again (x-should-retry: false).
	NoRetry bool

	cause error
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns what led to the error. It may name addresses: for logs, not for clients.
func (e *Error) Unwrap() error { return e.cause }

// BadRequest returns a 400 with message.
func BadRequest(message string) *Error {
	return &Error{Status: http.StatusBadRequest, Type: "invalid_request_error", Code: "invalid_request", Message: message}
}
