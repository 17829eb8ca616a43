package llmproxy

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"
)

// sink is where an answer goes.
type sink interface {
	deadliner
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
	w         http.ResponseWriter
	rc        *http.ResponseController
	idle      time.Duration
	armed     time.Time // when the write deadline was last set
	readArmed bool
	started   bool
}

func newResponseSink(w http.ResponseWriter, idle time.Duration) *responseSink {
	return &responseSink{w: w, rc: http.NewResponseController(w), idle: idle}
}

func (s *responseSink) header() http.Header { return s.w.Header() }
func (s *responseSink) begun() bool         { return s.started }

func (s *responseSink) setReadDeadline(t time.Time) {
	s.readArmed = true
	_ = s.rc.SetReadDeadline(t) // a writer without deadlines has them elsewhere
}

func (s *responseSink) clearReadDeadline() {
	if s.readArmed {
		s.readArmed = false
		_ = s.rc.SetReadDeadline(time.Time{})
	}
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

// release leaves the connection as it was found, for the handlers after us.
func (s *responseSink) release() {
	s.clearReadDeadline()
	if !s.armed.IsZero() {
		_ = s.rc.SetWriteDeadline(time.Time{})
	}
}

// bufferSink keeps the answer for a caller of Forward.
type bufferSink struct {
	response http.Response
	body     bytes.Buffer
	limit    int64
	started  bool
}

func newBufferSink(limit int64) *bufferSink {
	return &bufferSink{response: http.Response{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}}, limit: limit}
}

func (s *bufferSink) setReadDeadline(time.Time) {}
func (s *bufferSink) clearReadDeadline()        {}
func (s *bufferSink) header() http.Header       { return s.response.Header }
func (s *bufferSink) begun() bool               { return s.started }

func (s *bufferSink) head(status int, _ bool) {
	s.started = true
	s.response.StatusCode = status
	s.response.Status = http.StatusText(status)
}

func (s *bufferSink) write(piece []byte, _ bool) error {
	if s.limit > 0 && int64(s.body.Len()+len(piece)) > s.limit {
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
