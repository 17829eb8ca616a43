// Package responses reads the answers of OpenAI's Responses API: the events of a stream,
// the messages of a WebSocket, and JSON bodies.
package responses

import (
	"bytes"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect"
	"github.com/llmproxy/llmproxy/wire"
)

// New returns the reader of one answer: a body, a stream, or one turn of a WebSocket.
//
// The outcome is that of the terminal event, or of the status in a body: completed,
// incomplete (a cancelled response too), failed, and pending for a response that is
// queued or in progress. Other bodies, such as a compaction or a list, are completed.
//
// The finish reason is the one in incomplete_details. A response that names none has
// "stop" where it completed and "error" where it failed, else its status.
//
// Web searches are those that the response says are billable; where it does not say, the
// calls of the tool are counted, which may be more.
func New() llmproxy.ResponseExtractor { return &reader{} }

type reader struct {
	dialect.Answer
	begun    bool  // a frame has been seen
	calls    int64 // web searches that the stream has shown as done
	searches int64 // web searches according to the response itself
	counted  bool  // searches is known
}

// Frame reads an event, a message or a body. Events that cannot carry news are told by
// their name alone.
func (r *reader) Frame(f wire.Frame) {
	if string(f.Data) == "[DONE]" {
		return // Open Responses ends its streams so, after the terminal event.
	}
	first := !r.begun
	r.begun = true
	name := dialect.EventType(f)
	switch string(name) {
	case "response.created", "response.queued", "response.in_progress":
		if r.Meta.ID == "" {
			r.identify(response(f.Data))
		}
	case "response.output_item.done":
		if bytes.Contains(f.Data, []byte(`"web_search_call"`)) &&
			isSearch(wire.Member(f.Data, "item")) {
			r.calls++
		}
		r.Output = r.Output || isOutput(wire.Member(f.Data, "item"))
	case "response.completed":
		r.end(f.Data, `"completed"`)
	case "response.incomplete":
		r.end(f.Data, `"incomplete"`)
	case "response.failed":
		r.end(f.Data, `"failed"`)
	case "response.cancelled":
		r.end(f.Data, `"cancelled"`)
	case "response.done": // seen by clients of WebSockets, beside or in place of the others
		if !r.Over {
			r.end(f.Data, "")
		}
	case "error":
		if !r.Over {
			r.ErrorEvent(f.Data)
		}
	case "":
		if first {
			r.body(f.Data)
		}
	default:
		r.Output = r.Output || bytes.HasSuffix(name, []byte(".delta")) && dialect.Filled(wire.Member(f.Data, "delta"))
	}
}

// Metadata returns what is known so far.
func (r *reader) Metadata() llmproxy.ResponseMetadata {
	m := r.Answer.Metadata()
	m.Usage.WebSearches = r.calls
	if r.counted {
		m.Usage.WebSearches = r.searches
	}
	return m
}

// response returns the response in an event.
func response(event []byte) []byte {
	if nested := wire.Member(event, "response"); dialect.IsObject(nested) {
		return nested
	}
	return event
}

// identify reads what a response that has only begun says about itself. Its service tier
// is the one asked for.
func (r *reader) identify(response []byte) {
	for name, value := range wire.Members(response) {
		switch string(name) {
		case "id":
			dialect.Keep(&r.Meta.ID, value)
		case "model":
			dialect.Keep(&r.Meta.Model, value)
		}
	}
}

// end reads a terminal event. status is the one its name implies, as JSON.
func (r *reader) end(event []byte, status string) {
	if usage := wire.Member(event, "usage"); usage != nil { // beside the response, or in place of it
		r.ReadUsage(usage)
	}
	r.read(response(event), status)
	r.Over = true
}

// body reads a whole body: a response, or what another endpoint returns.
func (r *reader) body(data []byte) {
	data = bytes.TrimSpace(data)
	if len(data) == 0 {
		return
	}
	switch data[0] {
	case '[':
		if data[len(data)-1] == ']' {
			r.Meta.Outcome, r.Over = llmproxy.OutcomeCompleted, true
		}
	case '{':
		r.read(data, "")
		if !dialect.Whole(data) {
			r.Meta.Outcome = llmproxy.OutcomeUnknown
		}
		r.Over = r.Meta.Outcome != llmproxy.OutcomeUnknown
	}
}

// read reads a response object. status, where it is not empty, overrides the object's.
func (r *reader) read(response []byte, status string) {
	var object, stated, fault, incomplete, tier, tools, output []byte
	for name, value := range wire.Members(response) {
		switch string(name) {
		case "id":
			dialect.Keep(&r.Meta.ID, value)
		case "model":
			dialect.Keep(&r.Meta.Model, value)
		case "service_tier":
			tier = value
		case "status":
			stated = value
		case "incomplete_details":
			incomplete = value
		case "error":
			fault = value
		case "usage":
			r.ReadUsage(value)
		case "tool_usage":
			tools = value
		case "output":
			output = value
		case "object":
			object = value
		}
	}
	r.count(tools, output)
	if status != "" {
		stated = []byte(status)
	}
	word := "" // for the finish reason
	switch string(stated) {
	case `"queued"`, `"in_progress"`:
		r.Meta.Outcome = llmproxy.OutcomePending
		return // Its service tier is the one asked for.
	case `"incomplete"`:
		r.Meta.Outcome, word = llmproxy.OutcomeIncomplete, "incomplete"
	case `"cancelled"`:
		r.Meta.Outcome, word = llmproxy.OutcomeIncomplete, "cancelled"
	case `"failed"`:
		r.Meta.Outcome, word = llmproxy.OutcomeFailed, "error"
		r.Fault(response, object, fault)
	case `"completed"`:
		r.Meta.Outcome, word = llmproxy.OutcomeCompleted, "stop"
	default: // no response: a compaction, a list, an error
		if !r.Fault(response, object, fault) && (object != nil || output != nil) {
			r.Meta.Outcome = llmproxy.OutcomeCompleted
		}
	}
	dialect.Keep(&r.Meta.ServiceTier, tier)
	r.Meta.FinishReason = word
	dialect.Keep(&r.Meta.FinishReason, wire.Member(incomplete, "reason"))
}

// count counts the web searches of a response, and looks for its output.
func (r *reader) count(tools, output []byte) {
	if !r.Output && r.Counters.Zero() { // it matters to nothing else
		for item := range wire.Elements(output) {
			if r.Output = isOutput(item); r.Output {
				break
			}
		}
	}
	requests := wire.Member(wire.Member(tools, "web_search"), "num_requests")
	if n, ok := dialect.Count(requests); ok {
		r.searches, r.counted = n, true
		return
	}
	// A terminal event may leave the output out, on a WebSocket.
	items, searches := 0, int64(0)
	for item := range wire.Elements(output) {
		items++
		if isSearch(item) {
			searches++
		}
	}
	if items > 0 {
		r.searches, r.counted = searches, true
	}
}

// isOutput reports whether an item is more than a message without a text.
func isOutput(item []byte) bool {
	switch string(wire.Member(item, "type")) {
	case "":
		return false
	case `"message"`:
		for part := range wire.Elements(wire.Member(item, "content")) {
			if dialect.HasText(part) {
				return true
			}
		}
		return false
	}
	return true
}

func isSearch(item []byte) bool {
	return string(wire.Member(item, "type")) == `"web_search_call"`
}
