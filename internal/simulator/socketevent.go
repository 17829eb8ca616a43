package simulator

import (
	"encoding/json"
	"slices"
	"strconv"
)

// Events that there are on a WebSocket alone.

// socketError is the error event of a WebSocket.
type socketError struct {
	Type     string            `json:"type"`
	Status   int               `json:"status"`
	Error    socketErrorDetail `json:"error"`
	Headers  map[string]string `json:"headers,omitempty"`
	StreamID string            `json:"stream_id,omitempty"`
}

type socketErrorDetail struct {
	Type    string          `json:"type,omitempty"`
	Code    *string         `json:"code"`
	Message string          `json:"message"`
	Param   json.RawMessage `json:"param,omitempty"`
}

// errorEvent returns the error event of f, as script wants it.
func (s *session) errorEvent(f *fault, lane string, script *Script) []byte {
	if script.WebSocket.NoStreamID {
		lane = ""
	}
	if script.WebSocket.FlatError {
		e := errorEvent{eventHead{Type: "error"}, orNull(f.code), f.message, orNull(f.param)}
		return onLane(encode(e), lane)
	}
	e := socketError{Type: "error", Status: f.status, Error: s.manner.detail(f), StreamID: lane}
	for name, value := range map[string]string{
		"retry-after":    script.RetryAfter,
		"retry-after-ms": script.RetryAfterMS,
		"x-should-retry": script.ShouldRetry,
	} {
		if value != "" && script.Status != 0 {
			if e.Headers == nil {
				e.Headers = map[string]string{}
			}
			e.Headers[name] = value
		}
	}
	return encode(e)
}

// onLane returns the event data with the name of its lane. The default one has none.
func onLane(data []byte, lane string) []byte {
	if lane == "" || data[0] != '{' {
		return data
	}
	return slices.Concat(data[:len(data)-1], []byte(`,"stream_id":`+strconv.Quote(lane)+"}"))
}

// steerEvent answers response.steer, at once or later.
type steerEvent struct {
	Type           string          `json:"type"`
	SequenceNumber int             `json:"sequence_number"`
	Steer          steerObject     `json:"steer"`
	Reason         string          `json:"reason,omitempty"`
	RequiredInput  []requiredInput `json:"required_input,omitempty"`
	Error          *steerError     `json:"error,omitempty"`
	StreamID       string          `json:"stream_id,omitempty"`
}

type steerObject struct {
	ID                 string          `json:"id,omitempty"`
	PreviousResponseID string          `json:"previous_response_id"`
	Input              json.RawMessage `json:"input,omitempty"`
}

// requiredInput is what a response waits for before it can go on.
type requiredInput struct {
	Type   string `json:"type"`
	CallID string `json:"call_id"`
}

type steerError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Type    string `json:"type"`
}

func newSteerError(code string) *steerError {
	return &steerError{code, "The response cannot be steered: " + code + ".", "invalid_request_error"}
}

// injectEvent answers response.inject.
type injectEvent struct {
	Type           string          `json:"type"`
	SequenceNumber int             `json:"sequence_number"`
	ResponseID     string          `json:"response_id"`
	Input          json.RawMessage `json:"input,omitempty"`
	Error          *responseError  `json:"error,omitempty"`
	StreamID       string          `json:"stream_id,omitempty"`
}

func newInjectError(code string) *responseError {
	if code == "response_not_active" { // the API of injections has no word for it
		code = "response_not_found"
	}
	return &responseError{code, "The input cannot be injected: " + code + "."}
}

// notice is an event outside a response. Those of a connection are numbered together;
// whose numbers OpenAI continues is not documented.
type notice interface{ numbered(n int) any }

func (e steerEvent) numbered(n int) any {
	e.SequenceNumber = n
	return e
}

func (e injectEvent) numbered(n int) any {
	e.SequenceNumber = n
	return e
}

// notify sends e. The caller holds mu.
func (s *session) notify(e notice) {
	data := encode(e.numbered(s.notices))
	s.notices++
	// That nobody takes it is noticed by who reads.
	_ = s.sender.send(outgoing{data: data})
}
