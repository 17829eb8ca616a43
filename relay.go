package llmproxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/llmproxy/llmproxy/wire"
)

// holdLimit bounds a metered JSON answer that is held until it is whole, so that its
// token counts can be header fields.
const holdLimit = mib

// holdBuffers holds answers that wait for their end.
var holdBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 16*kib); return &b }}

// relay passes the reply on to the sink. A returned error after the sink has begun means
// that the answer is cut.
func (e *run) relay() *Error {
	reply := e.reply
	length := contentLength(reply.Header)
	if t := reply.tap; t != nil && t.small() && length <= holdLimit && e.r.Method != http.MethodHead {
		return e.hold(length)
	}
	return e.flow(nil, length < 0 || e.streams())
}

// streams reports whether the answer is for a client that reads it as it arrives: a
// stream of events, or what a request for a stream got (Gemini's is one JSON array).
func (e *run) streams() bool {
	t := e.reply.tap
	return t != nil && t.framer != nil && !t.small() || isSSE(e.reply.Header.Get("Content-Type"))
}

// announce takes over the fields of from, and names where the answer comes from.
func (e *run) announce(from http.Header) {
	if e.upload.unread() {
		e.sink.hangUp()
	}
	h := e.sink.header()
	for name, values := range from {
		h[name] = values
	}
	x := e.served()
	if p := x.Route.Provider; p != nil {
		h[headerProvider] = []string{p.Name()}
	}
	if model := x.UpstreamModel(); model != "" {
		h[headerModel] = []string{headerValue(model)}
	}
}

// headerValue makes s fit for a header field: net/http would drop other characters
// without a word.
func headerValue(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return strconv.QuoteToASCII(s)
		}
	}
	return s
}

// hold waits for the end of a small JSON answer, and sends it with its token counts.
func (e *run) hold(length int64) *Error {
	pooled := holdBuffers.Get().(*[]byte)
	held := (*pooled)[:0]
	defer func() {
		*pooled = held[:0]
		holdBuffers.Put(pooled)
	}()
	for {
		piece, err := e.reply.Stream.Next()
		if err == nil {
			held = append(held, piece...)
			if len(held) > holdLimit {
				return e.flow(held, length < 0)
			}
			continue
		}
		if err != io.EOF {
			return e.broken(err, false)
		}
		break
	}
	if e.reply.unproven && isJSON(e.reply.Header.Get("Content-Type")) && !wire.Valid(held) {
		return e.broken(io.ErrUnexpectedEOF, false)
	}
	gone := e.client.Err() != nil
	e.settle(ending{whole: true, gone: gone})
	if gone {
		return e.clientGone()
	}
	e.announce(e.reply.Header)
	h := e.sink.header()
	e.setBill(h)
	if e.reply.StatusCode != http.StatusNoContent && e.reply.StatusCode != http.StatusNotModified {
		h["Content-Length"] = []string{strconv.Itoa(len(held))}
	}
	e.sink.head(e.reply.StatusCode, false)
	if len(held) > 0 {
		if err := e.sink.write(held, true); err != nil {
			return e.clientGone()
		}
	}
	e.sink.finish(nil)
	return nil
}

// flow sends the answer on as it arrives: held first, which has come already, then the
// rest. flush sends each piece at once.
func (e *run) flow(held []byte, flush bool) *Error {
	reply := e.reply
	e.announce(reply.Header)
	h := e.sink.header()
	trailers := e.r.ProtoAtLeast(1, 1)
	for _, name := range reply.trailers {
		if trailers {
			h.Add("Trailer", name)
		}
	}
	if reply.Tap != nil && trailers {
		h.Add("Trailer", headerPromptTokens)
		h.Add("Trailer", headerCompletionTokens)
		if e.a.billing != nil {
			h.Add("Trailer", headerCost)
		}
	}
	if len(h["Trailer"]) > 0 {
		h.Del("Content-Length") // a body with trailers has none
	}
	e.sink.head(reply.StatusCode, flush)

	gone := false // the client
	full := false // the sink, rather
	var tail [4]byte
	send := func(piece []byte) {
		if gone = gone || e.client.Err() != nil; gone {
			return
		}
		copyTail(&tail, piece)
		if err := e.sink.write(piece, flush); err != nil {
			full, gone = errors.Is(err, errTooLarge), true
		}
	}
	if len(held) > 0 {
		send(held)
	}
	for {
		if full {
			return e.tooLarge()
		}
		if gone && e.drain() <= 0 {
			return e.left()
		}
		piece, err := reply.Stream.Next()
		if err == nil {
			if e.ttft == 0 {
				e.ttft = time.Since(e.x.Start)
				e.crlf = bytes.Contains(piece, []byte("\r\n"))
			}
			if reply.Tap != nil && reply.Tap.Done() {
				// The record is kept before the client can have the whole answer.
				gone = gone || e.client.Err() != nil
				e.settle(ending{whole: true, gone: gone})
			}
			if reply.shown != nil && reply.shown.Done() {
				e.settleEarlier()
			}
			send(piece)
			continue
		}
		if err != io.EOF && reply.Tap != nil && reply.Tap.Done() {
			err = io.EOF // nothing was to come any more
		}
		if err == io.EOF && reply.unproven && reply.Tap != nil && !e.ended() {
			err = io.ErrUnexpectedEOF
		}
		if gone {
			e.settleEarlier()
			e.settle(ending{whole: err == io.EOF, gone: true})
			return e.clientGone()
		}
		if err != io.EOF {
			return e.broken(err, !atEventEnd(tail))
		}
		break
	}
	e.settleEarlier()
	e.settle(ending{whole: true})
	e.sink.finish(e.trailers())
	return nil
}

// ended reports whether the answer itself says that it is whole.
func (e *run) ended() bool {
	return e.reply.Tap.Done() || e.reply.Tap.Metadata().Outcome != OutcomeUnknown
}

// trailers are the fields after the body.
func (e *run) trailers() http.Header {
	t := http.Header{}
	for _, name := range e.reply.trailers {
		if values := e.reply.trailer[name]; len(values) > 0 {
			t[name] = values
		}
	}
	if e.reply.Tap != nil {
		e.setBill(t)
	}
	return t
}

// setBill tells the client what the exchange used and costs, as far as that is known.
func (e *run) setBill(h http.Header) {
	if u := e.meta.Usage; e.meta.UsageReported {
		h[headerPromptTokens] = []string{strconv.FormatInt(u.PromptTokens, 10)}
		h[headerCompletionTokens] = []string{strconv.FormatInt(u.CompletionTokens, 10)}
		if e.rec.CostKnown {
			h[headerCost] = []string{e.rec.Cost.String()}
		}
	}
}

// broken ends an exchange whose answer broke off: with a status while there is still
// time for one, with the dialect's error event after that.
func (e *run) broken(err error, midEvent bool) *Error {
	failure := brokenAnswer(e.served().Route.Provider, err)
	if e.client.Err() != nil {
		return e.left()
	}
	e.explain(failure, err)
	e.settle(ending{failure: failure})
	if !e.sink.begun() {
		return failure
	}
	if t := e.reply.tap; t != nil {
		if event := t.farewell(failure, midEvent, e.crlf); len(event) > 0 {
			_ = e.sink.write(event, true)
		}
	}
	return failure
}

// left ends an exchange whose client has gone.
func (e *run) left() *Error {
	e.settle(ending{gone: true})
	return e.clientGone()
}

// clientGone is the error of a client that has left, and why.
func (e *run) clientGone() *Error {
	err := clientGone()
	err.cause = context.Cause(e.client)
	return err
}

// tooLarge ends an exchange whose answer is more than its sink takes.
func (e *run) tooLarge() *Error {
	failure := &Error{
		Status: http.StatusBadGateway, Type: "server_error", Code: "answer_too_large",
		Message: "the provider's answer is larger than the limit", cause: errTooLarge,
	}
	e.settle(ending{failure: failure})
	return failure
}

// contentLength reads the header's length, -1 if it has none.
func contentLength(h http.Header) int64 {
	n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// copyTail keeps the last bytes of what was sent.
func copyTail(tail *[4]byte, piece []byte) {
	if n := len(piece); n >= 4 {
		copy(tail[:], piece[n-4:])
	} else {
		copy(tail[:], tail[n:])
		copy(tail[4-n:], piece)
	}
}

// atEventEnd reports whether a stream that ended in tail is between two events.
func atEventEnd(tail [4]byte) bool {
	t := string(tail[:])
	return t == "\x00\x00\x00\x00" || t[2:] == "\n\n" || t == "\r\n\r\n" || t[2:] == "\r\r"
}
