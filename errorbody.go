package llmproxy

import (
	"bytes"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/llmproxy/llmproxy/wire"
)

// WriteError answers r with err in the dialect of r's path, for callers of
// [AutoRouter.ForwardStreaming]. An error that is not an *Error becomes a 500 that does
// not show its text.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	t, _ := detect(r, false)
	if h := w.Header(); h[headerRequestID] == nil {
		h[headerRequestID] = []string{newID(time.Now())}
	}
	writeError(w, t.op.API, asError(err))
}

func writeError(w http.ResponseWriter, api APIType, e *Error) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	if e.RetryAfter > 0 {
		h.Set("Retry-After", retryAfter(e.RetryAfter))
	}
	if e.NoRetry {
		h.Set("X-Should-Retry", "false")
	}
	if e.Status == http.StatusUpgradeRequired {
		h.Set("Upgrade", "HTTP/1.1") // RFC 9110 §15.5.22 wants to hear of one
	}
	if api == APIConverse || api == APIInvokeModel {
		h.Set("X-Amzn-Errortype", bedrockErrorType(e.Status))
	}
	body := errorBody(api, e)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(e.Status)
	_, _ = w.Write(body)
}

// retryAfter spells a pause in whole seconds, rounded up.
func retryAfter(d time.Duration) string { return strconv.Itoa(int(math.Ceil(d.Seconds()))) }

// errorBody encodes e as the providers of api do.
func errorBody(api APIType, e *Error) []byte {
	switch api {
	case APIMessages:
		b := append([]byte(`{"type":"error","error":`), anthropicError(e)...)
		return append(b, '}')
	case APIGenerateContent:
		b := append([]byte(`{"error":{"code":`), strconv.Itoa(e.Status)...)
		b = wire.AppendString(append(b, `,"message":`...), e.Message)
		b = wire.AppendString(append(b, `,"status":`...), googleStatus(e.Status))
		return append(b, "}}"...)
	case APIConverse, APIInvokeModel, APICohere:
		b := wire.AppendString([]byte(`{"message":`), e.Message)
		return append(b, '}')
	}
	b := append([]byte(`{"error":`), openAIError(e)...)
	return append(b, '}')
}

// errorEvent encodes e as the event that ends a broken stream of api. seq is the number
// of events the stream had.
func errorEvent(api APIType, e *Error, seq int) []byte {
	var b []byte
	switch api {
	case APIMessages:
		b = append(b, "event: error\ndata: "...)
		b = append(b, errorBody(api, e)...)
	case APIResponses:
		b = append(b, "event: error\ndata: {\"type\":\"error\",\"sequence_number\":"...)
		b = strconv.AppendInt(b, int64(seq), 10)
		b = wire.AppendString(append(b, `,"code":`...), e.Code)
		b = wire.AppendString(append(b, `,"message":`...), e.Message)
		b = append(b, `,"param":null}`...)
	default:
		b = append(b, "data: "...)
		b = append(b, errorBody(api, e)...)
	}
	return append(b, "\n\n"...)
}

// farewell returns what tells the client of a broken stream about e, in its own dialect
// and framing; nothing where that cannot be done. midEvent says that the stream broke
// inside an event, crlf how its lines end: some clients know one end at a time.
func (t *tap) farewell(e *Error, midEvent, crlf bool) []byte {
	switch framer := t.framer.(type) {
	case *wire.SSE:
		event := errorEvent(t.api, e, t.frames)
		if midEvent {
			event = append([]byte("\n\n"), event...)
		}
		if crlf {
			event = bytes.ReplaceAll(event, []byte("\n"), []byte("\r\n"))
		}
		return event
	case *wire.EventStream:
		if !framer.Whole() {
			return nil
		}
		return wire.AppendMessage(nil, []wire.Header{
			{Name: ":message-type", Value: "exception"},
			{Name: ":exception-type", Value: "internalServerException"},
			{Name: ":content-type", Value: "application/json"},
		}, errorBody(t.api, e))
	case *messages:
		return appendErrorEvent(nil, e, framer.lane)
	}
	return nil
}

func openAIError(e *Error) []byte {
	b := wire.AppendString([]byte(`{"message":`), e.Message)
	b = wire.AppendString(append(b, `,"type":`...), e.Type)
	b = append(b, `,"param":`...)
	if e.Param == "" {
		b = append(b, "null"...)
	} else {
		b = wire.AppendString(b, e.Param)
	}
	b = wire.AppendString(append(b, `,"code":`...), e.Code)
	return append(b, '}')
}

func anthropicError(e *Error) []byte {
	typ := "api_error"
	switch {
	case e.Status == http.StatusUnauthorized:
		typ = "authentication_error"
	case e.Status == http.StatusPaymentRequired:
		typ = "billing_error"
	case e.Status == http.StatusForbidden:
		typ = "permission_error"
	case e.Status == http.StatusNotFound:
		typ = "not_found_error"
	case e.Status == http.StatusRequestEntityTooLarge:
		typ = "request_too_large"
	case e.Status == http.StatusTooManyRequests:
		typ = "rate_limit_error"
	case e.Status == http.StatusServiceUnavailable:
		typ = "overloaded_error"
	case e.Status == http.StatusGatewayTimeout:
		typ = "timeout_error"
	case e.Status < 500:
		typ = "invalid_request_error"
	}
	b := wire.AppendString([]byte(`{"type":`), typ)
	b = wire.AppendString(append(b, `,"message":`...), e.Message)
	return append(b, '}')
}

func googleStatus(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "UNAUTHENTICATED"
	case http.StatusForbidden:
		return "PERMISSION_DENIED"
	case http.StatusNotFound:
		return "NOT_FOUND"
	case http.StatusTooManyRequests, http.StatusPaymentRequired:
		return "RESOURCE_EXHAUSTED"
	case http.StatusServiceUnavailable, http.StatusBadGateway:
		return "UNAVAILABLE"
	case http.StatusGatewayTimeout:
		return "DEADLINE_EXCEEDED"
	case http.StatusInternalServerError:
		return "INTERNAL"
	}
	return "INVALID_ARGUMENT"
}

func bedrockErrorType(status int) string {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusPaymentRequired:
		return "AccessDeniedException"
	case http.StatusNotFound:
		return "ResourceNotFoundException"
	case http.StatusTooManyRequests:
		return "ThrottlingException"
	case http.StatusServiceUnavailable, http.StatusBadGateway:
		return "ServiceUnavailableException"
	case http.StatusGatewayTimeout:
		return "ModelTimeoutException"
	case http.StatusInternalServerError:
		return "InternalServerException"
	}
	return "ValidationException"
}
