package llmproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
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
	id    string // of the record, where no exchange has it; "" elsewhere
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns what led to the error. It may name addresses: for logs, not for clients.
func (e *Error) Unwrap() error { return e.cause }

// BadRequest returns a 400 with message.
func BadRequest(message string) *Error {
	return &Error{Status: http.StatusBadRequest, Type: "invalid_request_error", Code: "invalid_request", Message: message}
}

func badMember(param, message string) *Error {
	e := BadRequest(message)
	e.Param = param
	return e
}

func tooLarge(what string, limit int64) *Error {
	return &Error{
		Status: http.StatusRequestEntityTooLarge, Type: "invalid_request_error", Code: "request_too_large",
		Message: fmt.Sprintf("%s is larger than the limit of %d bytes", what, limit), NoRetry: true,
	}
}

func unsupportedCoding(coding string) *Error {
	return &Error{
		Status: http.StatusUnsupportedMediaType, Type: "invalid_request_error", Code: "unsupported_content_encoding",
		Message: fmt.Sprintf("request bodies in the content coding %s cannot be decoded here", quote(coding)), NoRetry: true,
	}
}

func headersTooLarge(limit int) *Error {
	return &Error{
		Status: http.StatusRequestHeaderFieldsTooLarge, Type: "invalid_request_error", Code: "headers_too_large",
		Message: fmt.Sprintf("the header fields are larger than the limit of %d bytes", limit), NoRetry: true,
	}
}

func unavailable(code, message string, after time.Duration) *Error {
	return &Error{Status: http.StatusServiceUnavailable, Type: "server_error", Code: code, Message: message, RetryAfter: after}
}

func shuttingDown() *Error {
	return unavailable("shutting_down", "the gateway is shutting down", time.Second)
}

func mismatch(p Provider, api APIType) *Error {
	return &Error{
		Status: http.StatusBadRequest, Type: "invalid_request_error", Code: "unsupported_api",
		Message: fmt.Sprintf("the provider %s does not speak the API %s, and requests are not translated yet", quote(p.Name()), api),
		NoRetry: true,
	}
}

func providerAuth(p Provider) *Error {
	return &Error{
		Status: http.StatusBadGateway, Type: "server_error", Code: "provider_auth",
		Message: fmt.Sprintf("the provider %s rejected the gateway's credential", quote(p.Name())), NoRetry: true,
	}
}

// Why an exchange's context ended.
var (
	errClientGone = errors.New("the client left")
	errTooSlow    = errors.New("the provider was silent for too long")
	errShutdown   = errors.New("the gateway is shutting down")
	errClosed     = errors.New("the reply was closed")
)

// upstreamError maps what went wrong between us and the provider; err is why the call was
// ended, where we ended it. What it says may name addresses, so it is only a cause.
func upstreamError(p Provider, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	e := &Error{Status: http.StatusBadGateway, Type: "server_error", cause: err}
	var timeout net.Error
	switch {
	case errors.Is(err, errClientGone):
		return clientGone()
	case errors.Is(err, errShutdown):
		return shuttingDown()
	case errors.Is(err, errTooSlow), errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		e.Status, e.Code = http.StatusGatewayTimeout, "provider_timeout"
		e.Message = fmt.Sprintf("the provider %s did not answer in time", quote(p.Name()))
	default:
		e.Code = "provider_unreachable"
		e.Message = fmt.Sprintf("the provider %s could not be reached", quote(p.Name()))
	}
	return e
}

// brokenAnswer is the error of an answer that did not reach its end.
func brokenAnswer(p Provider, err error) *Error {
	e := upstreamError(p, err)
	if e.Code == "provider_unreachable" {
		e.Code, e.Message = "provider_broken", fmt.Sprintf("the answer of the provider %s broke off", quote(p.Name()))
	}
	return e
}

// statusClientGone is recorded for a client that left; it is never sent.
const statusClientGone = 499

func clientGone() *Error {
	return &Error{
		Status: statusClientGone, Type: "invalid_request_error", Code: "client_closed_request",
		Message: "the client left before the end of the answer",
	}
}

// asError returns err as an *Error; anything else becomes a 500 that says nothing.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Status: http.StatusInternalServerError, Type: "server_error", Code: "internal_error", Message: "the gateway failed", cause: err}
}
