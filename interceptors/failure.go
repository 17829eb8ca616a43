package interceptors

import (
	"bytes"
	"errors"
	"net/http"
	"time"

	"github.com/llmproxy/llmproxy"
)

// Failure is a call of a provider that brought no good answer: one of 4xx or 5xx, or
// none.
type Failure struct {
	Status int         // of the answer; 0: none came
	Header http.Header // of the answer; read only
	Body   []byte      // its beginning, about 64 KiB; may hold user data: do not log
	Err    error       // why no answer came
}

// failed reports whether what a call brought is a failure.
func failed(reply *llmproxy.Reply, err error) bool {
	return err != nil || reply != nil && reply.StatusCode >= 400
}

// failureOf describes what a call brought, with the beginning of the body where there is
// one, which it puts back into reply.
func failureOf(reply *llmproxy.Reply, err error) *Failure {
	if err != nil {
		return &Failure{Err: err}
	}
	return &Failure{Status: reply.StatusCode, Header: reply.Header, Body: peek(reply)}
}

// transient reports whether an answer with status may be followed by a better one.
//
// 424 is of a dependency that failed, 498 Groq's for a lack of capacity, 529 Anthropic's.
func transient(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusFailedDependency, http.StatusTooManyRequests, 498:
		return true
	}
	return status >= 500
}

// Retryable reports whether the same request may succeed a moment later at the same
// provider: the connection failed, or the status is 408, 409, 424, 429, 498 or 5xx.
// The provider's x-should-retry wins over the status; a lack of quota or credit is never
// passing, whatever the provider says.
func (f *Failure) Retryable() bool {
	if f.Status == 0 {
		code := codeOf(f.Err)
		return code == codeUnreachable || code == codeTimeout
	}
	should := f.Header.Get("X-Should-Retry")
	if should == "false" || f.OutOfQuota() {
		return false
	}
	return should == "true" || transient(f.Status)
}

// The codes of the pipeline's own errors that interceptors act on.
const (
	codeUnreachable = "provider_unreachable"
	codeTimeout     = "provider_timeout"
	codeAuth        = "provider_auth"
)

// codeOf returns the code of the pipeline's error, "" for any other.
func codeOf(err error) string {
	if e, ok := errors.AsType[*llmproxy.Error](err); ok {
		return e.Code
	}
	return ""
}

// Bounds of the reading of a failed answer, which nobody gets before that has ended.
const (
	peekBytes    = 64 << 10
	peekPatience = 10 * time.Second
)

// peek returns the beginning of r's body and puts it back, piece by piece: on a WebSocket
// a piece is a message. A provider that is slower than peekPatience has its answer ended.
func peek(r *llmproxy.Reply) []byte {
	p, again := r.Stream.(*putBack)
	if !again {
		p = &putBack{rest: r.Stream}
		defer time.AfterFunc(peekPatience, func() { _ = p.rest.Close() }).Stop()
		for n := 0; n < peekBytes && p.err == nil; {
			var piece []byte
			if piece, p.err = p.rest.Next(); p.err == nil {
				p.pieces = append(p.pieces, bytes.Clone(piece))
				n += len(piece)
			}
		}
		r.Stream = p
	}
	if len(p.pieces) == 1 {
		return p.pieces[0]
	}
	return bytes.Join(p.pieces, nil)
}

// putBack is a stream whose first pieces have been read, and are there again.
type putBack struct {
	pieces [][]byte
	err    error // that came after them; nil: rest goes on
	rest   llmproxy.Stream
}

// Next returns the pieces, then what follows.
func (p *putBack) Next() ([]byte, error) {
	if len(p.pieces) > 0 {
		piece := p.pieces[0]
		p.pieces = p.pieces[1:]
		return piece, nil
	}
	if p.err != nil {
		return nil, p.err
	}
	return p.rest.Next()
}

// Close closes the stream.
func (p *putBack) Close() error { return p.rest.Close() }

var _ llmproxy.Stream = (*putBack)(nil)

// discard closes the answer that a call brought, if there is one.
func discard(reply *llmproxy.Reply) {
	if reply != nil && reply.Stream != nil {
		_ = reply.Stream.Close()
	}
}
