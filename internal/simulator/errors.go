package simulator

import (
	"errors"
	"fmt"
	"net/http"
)

// fault is an error of the provider, as its clients see it.
type fault struct {
	status  int
	kind    string // error.type
	code    string // error.code; "" is null
	param   string // error.param; "" is null
	message string
	allow   string // header of a 405

	name       string // of the error where OpenAI's words do not apply; "": that of the status
	retryAfter string // seconds, where the body says it
}

func (f *fault) Error() string { return fmt.Sprintf("%d %s: %s", f.status, f.kind, f.message) }

// errorBody is the error object of OpenAI.
type errorBody struct {
	Error errorDetail `json:"error"`
}

type errorDetail struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}

// orNull returns nil, which encodes as null, for the empty string.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (f *fault) detail() errorDetail {
	return errorDetail{Message: f.message, Type: f.kind, Param: orNull(f.param), Code: orNull(f.code)}
}

// badRequest is a 400 about one parameter.
func badRequest(code, param, format string, args ...any) *fault {
	return &fault{
		status: http.StatusBadRequest, kind: "invalid_request_error",
		code: code, param: param, message: fmt.Sprintf(format, args...),
	}
}

func missing(param string) *fault {
	return badRequest("missing_required_parameter", param, "Missing required parameter: '%s'.", param)
}

func notFound(code, param, format string, args ...any) *fault {
	f := badRequest(code, param, format, args...)
	f.status = http.StatusNotFound
	return f
}

// statusOverloaded is Anthropic's way to say that it cannot take more requests.
const statusOverloaded = 529

// scripted returns the fault of a status, as OpenAI words it.
func scripted(status int) *fault {
	f := &fault{status: status, kind: "invalid_request_error", message: http.StatusText(status) + "."}
	switch status {
	case http.StatusUnauthorized:
		f.code = "invalid_api_key"
		f.message = "The API key was refused."
	case http.StatusForbidden:
		f.code = "insufficient_permissions"
		f.message = "The API key may not do this."
	case http.StatusNotFound:
		f.code, f.param = "model_not_found", "model"
		f.message = "The model does not exist or you do not have access to it."
	case statusOverloaded:
		f.kind, f.code = "server_error", "overloaded"
		f.message = "Overloaded. Please try again later."
	case http.StatusTooManyRequests:
		f.kind, f.code = "requests", "rate_limit_exceeded"
		f.message = "Rate limit reached. Please try again later."
	case http.StatusServiceUnavailable:
		f.kind, f.code = "service_unavailable_error", "server_is_overloaded"
		f.message = "The server is overloaded. Please try again later."
	default:
		if status >= 500 {
			f.kind, f.code = "server_error", "server_error"
			f.message = "The server had an error while processing your request."
		}
	}
	return f
}

func isFault(err error) bool {
	_, ok := errors.AsType[*fault](err)
	return ok
}
