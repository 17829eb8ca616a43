package simulator

import (
	"net/http"
	"strings"
)

// fault returns f as an answer of c, in the shape of the API.
func (c *call) fault(f *fault) reply {
	var rep reply
	switch c.errors {
	case OpenAI:
		rep = jsonReply(f.status, errorBody{f.detail()})
	case Azure:
		rep = jsonReply(f.status, f.azure())
	case Anthropic:
		rep = jsonReply(f.status, f.anthropic(c.digest))
	case Gemini, Vertex:
		rep = googleReply(f.status, f.google())
		if c.isArray() {
			rep = googleReply(f.status, []googleError{f.google()})
		}
	case Bedrock:
		rep = jsonReply(f.status, awsError{f.message})
		// The real one adds the name of a namespace.
		rep.header.Set("X-Amzn-Errortype", f.nameFor(Bedrock)+":http://internal.amazon.com/coral/com.amazon.bedrock/")
	case Cohere:
		rep = jsonReply(f.status, cohereError{c.digest.uuid(0), f.message})
	}
	if f.allow != "" {
		rep.header.Set("Allow", f.allow)
	}
	return rep
}

type (
	// azureError is an error that Azure adds to OpenAI's.
	azureError struct {
		Error azureErrorDetail `json:"error"`
	}
	azureErrorDetail struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}

	anthropicError struct {
		Type      string               `json:"type"`
		Error     anthropicErrorDetail `json:"error"`
		RequestID string               `json:"request_id"`
	}
	anthropicErrorDetail struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	}

	googleError struct {
		Error googleErrorDetail `json:"error"`
	}
	googleErrorDetail struct {
		Code    int            `json:"code"`
		Message string         `json:"message"`
		Status  string         `json:"status"`
		Details []googleDetail `json:"details,omitempty"`
	}
	googleDetail struct {
		Type       string `json:"@type"`
		Reason     string `json:"reason,omitempty"`
		RetryDelay string `json:"retryDelay,omitempty"`
	}

	awsError struct {
		Message string `json:"message"`
	}

	cohereError struct {
		ID      string `json:"id"`
		Message string `json:"message"`
	}
)

// azure returns f as Azure words it: its own errors have a code and a message alone.
func (f *fault) azure() any {
	name := f.name
	if name == "" {
		switch {
		case f.code == "model_not_found":
			name = "DeploymentNotFound"
		case f.status == http.StatusUnauthorized || f.status == http.StatusNotFound || f.status == http.StatusTooManyRequests:
			name = map[int]string{401: "401", 404: "404", 429: "RateLimitReached"}[f.status]
		default:
			return errorBody{f.detail()}
		}
	}
	return azureError{azureErrorDetail{name, f.message}}
}

func (f *fault) anthropic(d digest) anthropicError {
	return anthropicError{"error", anthropicErrorDetail{f.nameFor(Anthropic), f.message}, d.id("req_", 0)}
}

func (f *fault) google() googleError {
	detail := googleErrorDetail{Code: f.status, Message: f.message, Status: f.nameFor(Gemini)}
	if f.code == "invalid_api_key" && f.status == http.StatusBadRequest {
		detail.Details = append(detail.Details, googleDetail{
			Type: "type.googleapis.com/google.rpc.ErrorInfo", Reason: "API_KEY_INVALID",
		})
	}
	if f.retryAfter != "" {
		detail.Details = append(detail.Details, googleDetail{
			Type: "type.googleapis.com/google.rpc.RetryInfo", RetryDelay: f.retryAfter + "s",
		})
	}
	return googleError{detail}
}

// nameFor returns the name of f among the errors of api.
func (f *fault) nameFor(api API) string {
	if f.name != "" {
		return f.name
	}
	names, client, server := anthropicNames, "invalid_request_error", "api_error"
	switch api {
	case Gemini, Vertex:
		names, client, server = googleNames, "INVALID_ARGUMENT", "INTERNAL"
	case Bedrock:
		names, client, server = awsNames, "ValidationException", "InternalServerException"
	default:
	}
	if name := names(f.status); name != "" {
		return name
	}
	if f.status >= 500 {
		return server
	}
	return client
}

func anthropicNames(status int) string {
	return map[int]string{
		401: "authentication_error", 402: "billing_error", 403: "permission_error", 404: "not_found_error",
		409: "conflict_error", 413: "request_too_large", 429: "rate_limit_error", 504: "timeout_error",
		statusOverloaded: "overloaded_error",
	}[status]
}

func googleNames(status int) string {
	return map[int]string{
		401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ABORTED",
		429: "RESOURCE_EXHAUSTED", 499: "CANCELLED", 501: "UNIMPLEMENTED", 503: "UNAVAILABLE",
		504: "DEADLINE_EXCEEDED",
	}[status]
}

func awsNames(status int) string {
	return map[int]string{
		403: "AccessDeniedException", 404: "ResourceNotFoundException", 408: "ModelTimeoutException",
		409: "ConflictException", 424: "ModelErrorException", 429: "ThrottlingException",
		503: "ServiceUnavailableException",
	}[status]
}

// isArray reports whether c asks for a stream in the form of an array.
func (c *call) isArray() bool {
	return strings.HasSuffix(c.URL.Path, ":streamGenerateContent") && c.URL.Query().Get("alt") != "sse"
}
