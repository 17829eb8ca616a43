package simulator

import (
	"net/http"
	"sync"
)

// Script is how one answer misbehaves. The zero value behaves.
type Script struct {
	// Gates. The body of the request has been read before any of them is reached.
	BeforeHeader Gate // before the status line
	BeforeBody   Gate // the header has been sent, nothing of the body
	BeforeEvent  Gate // before each event, the first included

	// A refusal in place of the answer.
	Status       int    // an error of this status; 502 comes as HTML
	Code         string // replaces error.code, or the name of the error, that of a failed response too; insufficient_quota is also the type
	RetryAfter   string // header retry-after; of Google's APIs RetryInfo in the body
	RetryAfterMS string // header retry-after-ms
	ShouldRetry  string // header x-should-retry
	Redirect     string // 307 (or Status) to this URL
	Body         string // replaces the body of the refusal
	ContentType  string // of Body
	Early        bool   // refuse before the request's body is read

	// Where the answer breaks off. What was said until then has been flushed; then the
	// connection is aborted. Nil: nowhere.
	CutBytes  *int64 // after so many bytes of the body, as sent
	CutEvents *int   // after so many events of a stream

	Short          bool // the body of a JSON answer ends halfway through its Content-Length
	Unfinished     bool // the stream ends cleanly before its finish or terminal event
	CloseDelimited bool // neither length nor chunks: the body ends where the connection does

	// What the answer says.
	Events    int    // the text has so many deltas
	HugeEvent int    // one more delta of so many bytes, in the middle of the text
	Ending    Ending // how the generation ends; other than EndAsAsked, no tool is called
	Report    Report // where usage is reported
	Counts    Counts // replaces counts of the usage
	NoDone    bool   // a Chat Completions or Completions stream without [DONE]
	Done      bool   // a Responses stream with [DONE]
	NoOutput  bool   // the terminal event of Responses without output
	Again     bool   // after the terminal event of Responses, response.done with the same response
	KeepAlive bool   // a keepalive event in a Responses stream
	JSONBytes int64  // a JSON answer grows to exactly so many bytes by a first member "padding"

	// How the bytes look.
	LineEnd    string // of a stream: "\n", "\r\n", "\r"; empty: as the API has it
	PieceBytes int    // flush after each so many bytes
	NoSpace    bool   // "data:{" instead of "data: {"
	MultiLine  bool   // JSON spread over three data lines
	Comments   bool   // comment lines between the events
	BOM        bool   // a byte order mark at the start of the stream
	Gzip       bool   // compressed, whatever was asked for
	Trailers   bool   // X-Sim-Bytes and X-Sim-Sha256 of the body before compression
	Cookies    bool   // two Set-Cookie fields
	HopByHop   bool   // Connection and fields that must not be forwarded

	WebSocket WebSocketScript // what else happens to a turn on a WebSocket

	BadChecksum *int // the frame of AWS's event stream after so many others has a wrong CRC
}

// WebSocketScript is what can happen to a turn on a WebSocket alone. Of the rest of its
// [Script], the gates, Status with Code and the header fields, CutBytes, CutEvents,
// Unfinished, Events, HugeEvent, Ending, Report, Counts, Done, KeepAlive and PieceBytes
// (as fragments) concern it too. CutEvents is where the turn breaks off; what comes there
// is the error of Status, or a close frame, or nothing but the end of the connection.
type WebSocketScript struct {
	Close       int    // a close frame with this code; without CutEvents, before the first event
	CloseReason string // of the close frame, at most 123 bytes
	Binary      *int   // the event after so many others comes as a binary message
	Garbage     *int   // a message that is not JSON, after so many events
	Meta        bool   // events that are not about the response: before it, in it, after it
	FlatError   bool   // errors in the shape they have in server-sent events
	NoStreamID  bool   // errors do not name their lane
	NoSuccessor bool   // a steered response has no successor: response.steer.failed
	SameID      bool   // the response has the id of the connection's first
}

// Ending is how a generation ends.
type Ending int

// The endings. All but the first break off after half of the text.
const (
	EndAsAsked    Ending = iota
	EndIncomplete        // response.incomplete; finish_reason length, and its like
	EndFailed            // response.failed with usage; Bedrock's error frame; elsewhere as EndError
	EndError             // an error event, or an exception frame, then a clean end; 500 where the answer is no stream
)

// Report is where an answer reports its usage.
type Report int

// The places. Those after ReportNone concern streams of Chat Completions and
// Completions, and do not wait to be asked by include_usage; ReportStart and
// ReportFinish those of Messages, ReportFinish that of generateContent too.
const (
	ReportAsAsked     Report = iota
	ReportNone               // nowhere, asked for or not
	ReportFinish             // on the finish chunk, beside its choices; message_start states zeros
	ReportXGroq              // in x_groq of the finish chunk
	ReportEvery              // on every chunk, growing
	ReportNullChoices        // on a chunk of its own whose choices are null
	ReportStart              // message_delta states the output alone
	ReportTop                // on the terminal event of Responses, beside the response instead of in it
)

// Counts replaces counts of a usage; nil leaves a count as the rules have it.
type Counts struct {
	Prompt, Cached, CacheWrite, CacheWrite1h, Completion, Reasoning *int64
}

func (c Counts) apply(u Usage) Usage {
	set := func(dst *int64, v *int64) {
		if v != nil {
			*dst = *v
		}
	}
	set(&u.Prompt, c.Prompt)
	set(&u.Cached, c.Cached)
	set(&u.CacheWrite, c.CacheWrite)
	set(&u.CacheWrite1h, c.CacheWrite1h)
	set(&u.Completion, c.Completion)
	set(&u.Reasoning, c.Reasoning)
	return u
}

// refuses reports whether the script answers instead of the API.
func (s *Script) refuses() bool { return s.Status != 0 || s.Redirect != "" }

// Sequence returns a function for [Options].Script that gives the scripts one after the
// other to the requests as they arrive, and the zero Script to those after them.
func Sequence(scripts ...Script) func(*http.Request) Script {
	var mu sync.Mutex
	next := 0 // guarded by mu
	return func(*http.Request) Script {
		mu.Lock()
		defer mu.Unlock()
		if next == len(scripts) {
			return Script{}
		}
		next++
		return scripts[next-1]
	}
}

// fails reports whether the generation ends with an error.
func (s *Script) fails() bool { return s.Ending == EndFailed || s.Ending == EndError }

// TurnScripts returns a function for [Options].TurnScript that gives the scripts one
// after the other to the turns of each connection, and the zero Script to those after
// them.
func TurnScripts(scripts ...Script) func([]byte, int) Script {
	return func(_ []byte, turn int) Script {
		if turn > len(scripts) {
			return Script{}
		}
		return scripts[turn-1]
	}
}
