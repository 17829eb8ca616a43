package llmproxy

import (
	"bytes"
	"errors"
	"strconv"
	"strings"

	"github.com/llmproxy/llmproxy/wire"
)

// WSMessage is what one message of the WebSocket mode of Responses says about itself.
type WSMessage struct {
	Type               string // "response.create", "response.completed", "error" …
	StreamID           string // the lane; "" is the default lane, see HasStreamID
	HasStreamID        bool
	ResponseID         string // of response.id, else of response_id
	PreviousResponseID string // of a request, or of the response
	Model              string // of a request, or of the response
	Status             int    // of an error event
}

var messageNames = wire.NewNames("type", "stream_id", "response_id", "previous_response_id", "model", "response", "status")

// ParseWSMessage reads a message of either side. It returns an *[Error] where p is not a
// JSON object, or repeats a member that it reads.
func ParseWSMessage(p []byte) (m WSMessage, err error) {
	var spans [7]wire.Span
	root, serr := messageNames.Scan(p, spans[:])
	if serr != nil {
		return m, messageError(serr)
	}
	if p[root.Start] != '{' {
		return m, BadRequest("the message must be a JSON object")
	}
	str := func(i int, to *string) bool {
		if spans[i].Found() {
			if s, ok := wire.String(spans[i].Of(p)); ok {
				*to = s
				return true
			}
		}
		return false
	}
	str(0, &m.Type)
	m.HasStreamID = str(1, &m.StreamID)
	str(2, &m.ResponseID)
	str(3, &m.PreviousResponseID)
	str(4, &m.Model)
	if spans[5].Found() {
		for name, value := range wire.Members(spans[5].Of(p)) {
			s, _ := wire.String(value)
			switch {
			case s == "":
			case string(name) == "id":
				m.ResponseID = s
			case string(name) == "previous_response_id":
				m.PreviousResponseID = s
			case string(name) == "model":
				m.Model = s
			}
		}
	}
	if spans[6].Found() {
		n, _ := wire.Int(spans[6].Of(p))
		m.Status = int(n)
	}
	return m, nil
}

func messageError(err error) *Error {
	if dup, ok := errors.AsType[*wire.DuplicateError](err); ok {
		return badMember(dup.Name, "the message has the member "+dup.Name+" more than once")
	}
	e := BadRequest("the message is not valid JSON: " + err.Error())
	e.cause = err
	return e
}

// ExtractWSUsage reads p, a message of a provider, with e, a new reader of its Responses
// API, and returns what it says. ok is false where it reports no usage.
func ExtractWSUsage(p []byte, e ResponseExtractor) (m ResponseMetadata, ok bool) {
	e.Frame(wire.Frame{Data: p})
	m = e.Metadata()
	return m, m.UsageReported
}

// clientEvent is what the relay has to know of a client's message.
type clientEvent struct {
	create bool
	lane   laneName
	// response is the one that the event is about, or that a create continues; "" if none.
	response string
}

var clientNames = wire.NewNames("type", "stream_id", "response_id", "previous_response_id")

// readClientEvent tells a create from all else. Nothing may pass for something else with
// the provider than it does here: a message that holds an object and cannot be read, or
// names its type twice, is an error. Others that are no events are for the provider to
// refuse.
func readClientEvent(p []byte) (ev clientEvent, err *Error) {
	var spans [4]wire.Span
	root, serr := clientNames.Scan(p, spans[:])
	switch {
	case serr != nil && bytes.IndexByte(p, '{') < 0:
		return ev, nil // in no encoding an object
	case serr != nil:
		return ev, messageError(serr)
	case p[root.Start] == '[' && bytes.IndexByte(p, '{') >= 0:
		return ev, BadRequest("the message must be a JSON object")
	case p[root.Start] != '{':
		return ev, nil
	}
	if spans[0].Found() {
		kind, _ := wire.String(spans[0].Of(p))
		ev.create = kind == eventCreate
	}
	if spans[1].Found() {
		ev.lane = readLane(spans[1].Of(p))
	}
	for _, i := range [...]int{3, 2} {
		if spans[i].Found() {
			if id, ok := wire.String(spans[i].Of(p)); ok {
				ev.response = id
			}
		}
	}
	return ev, nil
}

const eventCreate = "response.create"

// laneName is the name of a lane.
type laneName struct {
	name    string // "" is the default lane
	invalid bool   // a name that no provider accepts
}

// readLane reads the value of a stream_id.
func readLane(value []byte) laneName {
	if wire.IsNull(value) {
		return laneName{}
	}
	const longest = 256
	name, ok := wire.String(value)
	valid := ok && name != "" && len(name) <= longest
	for i := 0; valid && i < len(name); i++ {
		c := name[i]
		valid = 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '.' || c == '-'
	}
	if !valid {
		return laneName{invalid: true}
	}
	return laneName{name: name}
}

// A serverKind is what a provider's message does to turns.
type serverKind int

const (
	kindOther    serverKind = iota // nothing
	kindCreated                    // a response begins
	kindItemDone                   // an item of its output is whole
	kindTerminal                   // it has ended
	kindError                      // an error event
	kindSteered                    // response.steer.accepted
	kindSteer                      // response.steer.pending, response.steer.failed: no successor
)

// serverEvent is what the relay has to know of a provider's message.
type serverEvent struct {
	kind serverKind
	// The following are parts of the message, nil where it has none.
	lane     []byte // the value of stream_id
	response []byte // the response in it
	event    []byte // all of it
}

// readServerEvent reads p. It looks for the lane only if lanes says that there are some.
// It allocates nothing.
func readServerEvent(p []byte, lanes bool) (ev serverEvent) {
	ev.event = p
	switch string(wire.Member(p, "type")) {
	case `"response.created"`:
		ev.kind = kindCreated
	case `"response.completed"`, `"response.incomplete"`, `"response.failed"`, `"response.cancelled"`, `"response.done"`:
		ev.kind = kindTerminal
	case `"response.output_item.done"`:
		ev.kind = kindItemDone
	case `"error"`:
		ev.kind = kindError
	case `"response.steer.accepted"`:
		ev.kind = kindSteered
	case `"response.steer.pending"`, `"response.steer.failed"`:
		ev.kind = kindSteer
	}
	if lanes {
		ev.lane = wire.Member(p, "stream_id")
	}
	if ev.kind == kindCreated || ev.kind == kindTerminal {
		ev.response = wire.Member(p, "response")
	}
	return ev
}

// id returns the id of the response, as it stands in the message, quotes and all: an
// id has no escapes worth undoing, and comparing bytes takes no allocation.
func (ev *serverEvent) id() []byte {
	id := wire.Member(ev.response, "id")
	if id == nil && ev.response == nil && ev.kind == kindTerminal {
		id = wire.Member(ev.event, "id") // the event is the response
	}
	if len(id) < 2 || id[0] != '"' {
		return nil
	}
	return id
}

// previous returns the id of the response that ev's continues, with its quotes.
func (ev *serverEvent) previous() []byte { return wire.Member(ev.response, "previous_response_id") }

// steered returns the id of the response that a steer event is about, with its quotes.
func (ev *serverEvent) steered() []byte {
	return wire.Member(wire.Member(ev.event, "steer"), "previous_response_id")
}

// item returns the item of response.output_item.done.
func (ev *serverEvent) item() []byte { return wire.Member(ev.event, "item") }

// code returns the code of an error event.
func (ev *serverEvent) code() string {
	code := wire.Member(wire.Member(ev.event, "error"), "code")
	if code == nil {
		code = wire.Member(ev.event, "code")
	}
	s, _ := wire.String(code)
	return s
}

// besides reports whether an error event answers a message that was no create: it is about
// a member that creates have right, or do not have.
func (ev *serverEvent) besides() bool {
	switch string(wire.Member(wire.Member(ev.event, "error"), "param")) {
	case `"type"`, `"response_id"`:
		return true
	}
	return false
}

// status returns the status of an error event, 0 if it has none.
func (ev *serverEvent) status() int {
	for _, name := range [...]string{"status", "status_code"} {
		if n, ok := wire.Int(wire.Member(ev.event, name)); ok && n >= 100 && n <= 599 {
			return int(n)
		}
	}
	return 0
}

// Codes of error events that have a meaning here.
const (
	codeInvalidLane     = "invalid_stream_id"
	codeConnectionLimit = "websocket_connection_limit_reached"
)

// callsClient reports whether an output item leaves it to the client to go on.
func callsClient(item []byte) bool {
	switch string(wire.Member(item, "type")) {
	case `"function_call"`, `"custom_tool_call"`, `"computer_call"`, `"local_shell_call"`, `"shell_call"`,
		`"apply_patch_call"`, `"mcp_approval_request"`:
		return true
	}
	return false
}

// outputCallsClient reports whether an item of a response's output does, where it has one.
func outputCallsClient(response []byte) bool {
	for item := range wire.Elements(wire.Member(response, "output")) {
		if callsClient(item) {
			return true
		}
	}
	return false
}

// appendErrorEvent appends the event that tells a client of e on a lane. Fields such as
// retry-after stand beside its error object, where codex looks for them.
func appendErrorEvent(dst []byte, e *Error, lane string) []byte {
	o := object{append(dst, '{')}
	o.str("type", "error")
	o.num("status", int64(e.Status))
	o.str("stream_id", lane)
	o.name("error")
	o.b = append(o.b, openAIError(e)...)
	var headers object
	headers.b = []byte{'{'}
	if e.RetryAfter > 0 {
		headers.str("retry-after", retryAfter(e.RetryAfter))
	}
	if e.NoRetry {
		headers.str("x-should-retry", "false")
	}
	if len(headers.b) > 1 {
		o.name("headers")
		o.b = append(append(o.b, headers.b...), '}')
	}
	return append(o.b, '}')
}

// appendForeignError appends the event that tells a client of a provider's refusal, which
// came as an HTTP answer: status and error object are the provider's.
func appendForeignError(dst []byte, status int, body []byte, lane string) []byte {
	fault := wire.Member(body, "error")
	if len(fault) == 0 || fault[0] != '{' || !wire.Valid(fault) {
		fault = openAIError(&Error{Type: "server_error", Code: "provider_refused", Message: "the provider refused the WebSocket with " + strconv.Itoa(status)})
	}
	o := object{append(dst, '{')}
	o.str("type", "error")
	o.num("status", int64(status))
	o.str("stream_id", lane)
	o.name("error")
	return append(append(o.b, fault...), '}')
}

// originAllowed reports whether a page of origin may open a socket at host: one of the
// same host, or one that a pattern lists, scheme and all ("https://*.example.com").
func originAllowed(origin, host string, patterns []string) bool {
	if origin == "" {
		return true // no browser
	}
	scheme, authority, _ := strings.Cut(origin, "://")
	if (scheme == "https" || scheme == "http") && strings.EqualFold(authority, host) {
		return true
	}
	return matchAny(patterns, origin)
}
