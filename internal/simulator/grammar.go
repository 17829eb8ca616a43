package simulator

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Bounds of what a header can ask for.
const (
	maxEvents = 1 << 17
	maxHuge   = 128 << 20
	maxJSON   = 4 << 30

	maxCloseReason = 123 // RFC 6455, section 5.5
)

// ParseScript reads the value of an X-Simulate header over base: words separated by
// commas, each a key or key=value. An unknown key or a bad value is an error.
//
//	delay=200ms             wait before the header
//	pace=50ms               wait before each event
//	hang                    never answer; hang=body: after the header; hang=N: after N events
//	status=429              refuse; any of 400 to 599
//	code=insufficient_quota error.code of the refusal, or of a failed response
//	retry-after=2           its headers: also retry-after-ms=500, should-retry=false
//	redirect=URL            307 to URL; with status=308 that
//	early                   refuse before reading the request's body
//	cut-bytes=N             abort after N bytes of the body
//	cut-events=N            abort after N events
//	short                   a JSON body ends halfway through its Content-Length
//	unfinished              a clean end without a finish or terminal event
//	close-delimited         the body ends where the connection does
//	events=N                a text of N deltas
//	huge                    one delta of 3 MiB; huge=BYTES
//	json-bytes=N            a JSON answer of N bytes
//	end=incomplete          also end=failed, end=error
//	usage=none              also finish, x_groq, every, null-choices, start, top
//	prompt-tokens=N         state this count; also cached-tokens, cache-write-tokens,
//	                        cache-write-1h-tokens, completion-tokens, reasoning-tokens
//	no-output               the terminal event (Responses) without output
//	response-done           one more event after it, with the same response
//	no-done, done           without [DONE]; with it (Responses)
//	keepalive               a keepalive event (Responses), one more ping (Messages)
//	eol=crlf                line ends of the stream; also eol=cr, eol=lf
//	bad-crc                 the first frame of AWS's event stream; bad-crc=N: after N others
//	piece                   flush every byte; piece=N: every N bytes
//	close=1011              a turn on a WebSocket: close where cut-events says; with close-reason=TEXT
//	binary                  its first event as a binary message; binary=N: after N others
//	garbage                 a message that is not JSON; garbage=N: after N events
//	meta                    events that are not about the response
//	flat-error              errors as in server-sent events
//	no-stream-id            errors do not name their lane
//	no-successor            a steered response has none
//	same-id                 the id of the connection's first response
//	no-space, multi-line, comments, bom, gzip, trailers, cookies, hop-by-hop
func ParseScript(header string, base Script) (Script, error) {
	s := base
	for word := range strings.SplitSeq(header, ",") {
		word = strings.TrimSpace(word)
		if word == "" {
			continue
		}
		key, value, has := strings.Cut(word, "=")
		p := &scriptWord{key: key, value: value, has: has}
		p.apply(&s)
		if p.err != nil {
			return Script{}, p.err
		}
	}
	return s, nil
}

// scriptWord is one word of the grammar, and what is wrong with it.
type scriptWord struct {
	key, value string
	has        bool // there was a value
	err        error
}

func (p *scriptWord) apply(s *Script) {
	switch p.key {
	case "delay":
		s.BeforeHeader = p.pause()
	case "pace":
		s.BeforeEvent = p.pause()
	case "hang":
		p.hang(s)
	case "status":
		s.Status = int(p.number(0, 300, 599))
	case "code":
		s.Code = p.text()
	case "retry-after":
		s.RetryAfter = p.text()
	case "retry-after-ms":
		s.RetryAfterMS = p.text()
	case "should-retry":
		s.ShouldRetry = p.text()
	case "redirect":
		s.Redirect = p.text()
	case "early":
		s.Early = p.flag()
	case "cut-bytes":
		s.CutBytes = new(p.number(-1, 0, maxJSON))
	case "cut-events":
		s.CutEvents = new(int(p.number(-1, 0, maxEvents)))
	case "short":
		s.Short = p.flag()
	case "unfinished":
		s.Unfinished = p.flag()
	case "close-delimited":
		s.CloseDelimited = p.flag()
	case "events":
		s.Events = int(p.number(-1, 1, maxEvents))
	case "huge":
		s.HugeEvent = int(p.number(3<<20, 1, maxHuge))
	case "json-bytes":
		s.JSONBytes = p.number(-1, 1, maxJSON)
	case "end":
		s.Ending = Ending(p.choice("incomplete", "failed", "error"))
	case "usage":
		s.Report = Report(p.choice("none", "finish", "x_groq", "every", "null-choices", "start", "top"))
	case "prompt-tokens":
		s.Counts.Prompt = p.count()
	case "cached-tokens":
		s.Counts.Cached = p.count()
	case "cache-write-tokens":
		s.Counts.CacheWrite = p.count()
	case "cache-write-1h-tokens":
		s.Counts.CacheWrite1h = p.count()
	case "completion-tokens":
		s.Counts.Completion = p.count()
	case "reasoning-tokens":
		s.Counts.Reasoning = p.count()
	case "no-done":
		s.NoDone = p.flag()
	case "done":
		s.Done = p.flag()
	case "no-output":
		s.NoOutput = p.flag()
	case "response-done":
		s.Again = p.flag()
	case "keepalive":
		s.KeepAlive = p.flag()
	case "eol":
		s.LineEnd = []string{"", "\r\n", "\r", "\n"}[p.choice("crlf", "cr", "lf")]
	case "bad-crc":
		s.BadChecksum = new(int(p.number(0, 0, maxEvents)))
	case "piece":
		s.PieceBytes = int(p.number(1, 1, maxHuge))
	case "no-space":
		s.NoSpace = p.flag()
	case "multi-line":
		s.MultiLine = p.flag()
	case "comments":
		s.Comments = p.flag()
	case "bom":
		s.BOM = p.flag()
	case "gzip":
		s.Gzip = p.flag()
	case "trailers":
		s.Trailers = p.flag()
	case "cookies":
		s.Cookies = p.flag()
	case "hop-by-hop":
		s.HopByHop = p.flag()
	default:
		p.applyWebSocket(&s.WebSocket)
	}
}

// applyWebSocket applies the words that concern a turn on a WebSocket alone.
func (p *scriptWord) applyWebSocket(s *WebSocketScript) {
	switch p.key {
	case "close":
		s.Close = p.closeCode()
	case "close-reason":
		if s.CloseReason = p.text(); len(s.CloseReason) > maxCloseReason {
			p.err = fmt.Errorf("close-reason: want at most %d bytes", maxCloseReason)
		}
	case "binary":
		s.Binary = new(int(p.number(0, 0, maxEvents)))
	case "garbage":
		s.Garbage = new(int(p.number(0, 0, maxEvents)))
	case "meta":
		s.Meta = p.flag()
	case "flat-error":
		s.FlatError = p.flag()
	case "no-stream-id":
		s.NoStreamID = p.flag()
	case "no-successor":
		s.NoSuccessor = p.flag()
	case "same-id":
		s.SameID = p.flag()
	default:
		p.err = fmt.Errorf("no word %q", p.key)
	}
}

func (p *scriptWord) hang(s *Script) {
	switch {
	case !p.has:
		s.BeforeHeader = Never
	case p.value == "body":
		s.BeforeBody = Never
	default:
		s.BeforeEvent = At(int(p.number(-1, 0, maxEvents)), Never)
	}
}

func (p *scriptWord) flag() bool {
	if p.has {
		p.err = fmt.Errorf("%s takes no value", p.key)
	}
	return true
}

func (p *scriptWord) text() string {
	if p.value == "" {
		p.err = fmt.Errorf("%s wants a value", p.key)
	}
	return p.value
}

// number reads a value between low and high; without a value it is def, where def is
// not below low.
func (p *scriptWord) number(def, low, high int64) int64 {
	if !p.has && def >= low {
		return def
	}
	n, err := strconv.ParseInt(p.value, 10, 64)
	if err != nil || n < low || n > high {
		p.err = fmt.Errorf("%s=%s: want a number from %d to %d", p.key, p.value, low, high)
		return low
	}
	return n
}

func (p *scriptWord) count() *int64 { return new(p.number(-1, 0, 1<<40)) }

// closeCode reads the code of a close frame that may be sent: RFC 6455, section 7.4.
func (p *scriptWord) closeCode() int {
	code := int(p.number(-1, 1000, 4999))
	if !sendable(code) {
		p.err = fmt.Errorf("%s=%s: want a close code that may be sent", p.key, p.value)
	}
	return code
}

// sendable reports whether a close frame may have code.
func sendable(code int) bool {
	switch {
	case code >= 3000 && code <= 4999:
		return true
	case code == 1004, code == 1005, code == 1006:
		return false
	default:
		return code >= 1000 && code <= 1014
	}
}

// choice returns the place of the value in names, counted from 1.
func (p *scriptWord) choice(names ...string) int {
	for i, name := range names {
		if p.value == name {
			return i + 1
		}
	}
	p.err = fmt.Errorf("%s=%s: want one of %s", p.key, p.value, strings.Join(names, ", "))
	return 0
}

func (p *scriptWord) pause() Gate {
	d, err := time.ParseDuration(p.value)
	if err != nil || d < 0 {
		p.err = fmt.Errorf("%s=%s: want a duration such as 200ms", p.key, p.value)
	}
	return Pause(d)
}
