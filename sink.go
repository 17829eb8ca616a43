package llmproxy

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

// sink is where an answer goes.
type sink interface {
	// setReadDeadline bounds the reading of the request's body; the zero time does not.
	// It reports whether that is possible here.
	setReadDeadline(t time.Time) bool
	// limit returns body with at most n bytes of it; beyond, reads fail with an
	// [http.MaxBytesError].
	limit(body io.ReadCloser, n int64) io.ReadCloser
	// hangUp ends the connection after the answer: what is left of the request must not
	// be taken for another one. It has an effect before head only.
	hangUp()
	// duplex allows the answer to begin while the request's body is still read.
	duplex()
	// header is the header of the answer, to be filled before head.
	header() http.Header
	// head sends the status and the header. flush sends them at once.
	head(status int, flush bool)
	// write sends piece; flush sends it at once.
	write(piece []byte, flush bool) error
	// begun reports whether head was called.
	begun() bool
	// finish is called after the last piece, with the trailers.
	finish(trailer http.Header)
}

// responseSink writes to a client.
type responseSink struct {
	w       http.ResponseWriter
	r       *http.Request
	rc      *http.ResponseController
	idle    time.Duration
	armed   time.Time // when the write deadline was last set
	started bool
}

func newResponseSink(w http.ResponseWriter, r *http.Request, idle time.Duration) *responseSink {
	s := &responseSink{w: w, r: r, rc: http.NewResponseController(w), idle: idle}
	if r.ProtoMajor > 1 {
		// A server's WriteTimeout would reset the stream while the provider thinks.
		_ = s.rc.SetWriteDeadline(time.Time{})
	}
	return s
}

func (s *responseSink) header() http.Header { return s.w.Header() }
func (s *responseSink) begun() bool         { return s.started }

func (s *responseSink) setReadDeadline(t time.Time) bool { return s.rc.SetReadDeadline(t) == nil }
func (s *responseSink) duplex()                          { _ = s.rc.EnableFullDuplex() } // else it is so

// hangUp concerns HTTP/1 only: in HTTP/2 the rest of a request stays on its own stream,
// and the field would end all the others.
func (s *responseSink) hangUp() {
	if s.r.ProtoMajor == 1 {
		s.w.Header().Set("Connection", "close")
	}
}

// leaveBody leaves the request's body unread, before the answer: net/http would wait for
// a client that has not sent it.
func (s *responseSink) leaveBody() {
	if s.r.Body == nil || s.r.Body == http.NoBody || s.r.ContentLength == 0 {
		return
	}
	s.hangUp()
	s.duplex()
	s.setReadDeadline(time.Now().Add(lingering))
}

func (s *responseSink) limit(body io.ReadCloser, n int64) io.ReadCloser {
	return http.MaxBytesReader(s.w, body, n)
}

// arm gives the client its time to take what comes.
func (s *responseSink) arm() {
	if s.idle <= 0 {
		return
	}
	if now := time.Now(); now.Sub(s.armed) > s.idle/8 {
		s.armed = now
		_ = s.rc.SetWriteDeadline(now.Add(s.idle))
	}
}

func (s *responseSink) head(status int, flush bool) {
	s.started = true
	s.arm()
	s.w.WriteHeader(status)
	if flush {
		_ = s.rc.Flush()
	}
}

func (s *responseSink) write(piece []byte, flush bool) error {
	s.arm()
	if _, err := s.w.Write(piece); err != nil {
		return err
	}
	if flush {
		if err := s.rc.Flush(); err != nil && !isNotSupported(err) {
			return err
		}
	}
	return nil
}

func (s *responseSink) finish(trailer http.Header) {
	h := s.w.Header()
	for name, values := range trailer {
		h[name] = values
	}
}

// release leaves the connection as it was found, for the handlers after us. A server with
// a WriteTimeout sets the deadline for each request anew, so there it stays, and bounds
// what net/http still has to write.
func (s *responseSink) release() {
	if s.armed.IsZero() {
		return
	}
	if server, ok := s.r.Context().Value(http.ServerContextKey).(*http.Server); !ok || server.WriteTimeout <= 0 {
		_ = s.rc.SetWriteDeadline(time.Time{})
	}
}

// bufferSink keeps the answer for a caller of Forward.
type bufferSink struct {
	response http.Response
	body     bytes.Buffer
	most     int64 // bytes of the body; ≤ 0: no limit
	started  bool
}

func newBufferSink(most int64) *bufferSink {
	return &bufferSink{response: http.Response{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}}, most: most}
}

func (s *bufferSink) setReadDeadline(time.Time) bool { return false }
func (s *bufferSink) duplex()                        {}
func (s *bufferSink) hangUp()                        {}

func (s *bufferSink) limit(body io.ReadCloser, n int64) io.ReadCloser {
	return http.MaxBytesReader(nil, body, n)
}

func (s *bufferSink) header() http.Header { return s.response.Header }
func (s *bufferSink) begun() bool         { return s.started }

func (s *bufferSink) head(status int, _ bool) {
	s.started = true
	s.response.StatusCode = status
	s.response.Status = strconv.Itoa(status) + " " + http.StatusText(status)
}

func (s *bufferSink) write(piece []byte, _ bool) error {
	if s.most > 0 && int64(s.body.Len()+len(piece)) > s.most {
		return errTooLarge
	}
	s.body.Write(piece)
	return nil
}

func (s *bufferSink) finish(trailer http.Header) { s.response.Trailer = trailer }

// result is the answer, whole.
func (s *bufferSink) result(r *http.Request) *http.Response {
	s.response.Request = r
	s.response.ContentLength = int64(s.body.Len())
	s.response.Body = io.NopCloser(&s.body)
	return &s.response
}

func isNotSupported(err error) bool { return errors.Is(err, http.ErrNotSupported) }
