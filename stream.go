package llmproxy

import (
	"context"
	"io"
	"sync"
	"time"
)

// bodyStream is a provider's body as a Stream, shown to the tap on its way.
type bodyStream struct {
	body   io.ReadCloser
	tap    *tap // nil: not metered
	idle   time.Duration
	timer  *time.Timer // ends the call when nothing arrives
	cancel context.CancelCauseFunc
	cause  func() error // why the call was ended, if it was
	buf    *[]byte      // from pieceBuffers; nil after Close
	err    error        // comes after the piece in hand
}

// pieceBuffers holds what pieces are read into. A stream of events rarely has more than
// this at once; many idle streams hold one each.
var pieceBuffers = sync.Pool{New: func() any { b := make([]byte, 8*kib); return &b }}

func (s *bodyStream) Next() ([]byte, error) {
	for s.err == nil {
		if s.idle > 0 {
			s.timer.Reset(s.idle)
		}
		n, err := s.body.Read(*s.buf)
		piece := (*s.buf)[:n]
		if s.tap != nil {
			s.tap.Observe(piece)
		}
		if err != nil {
			s.end(err)
		}
		if n > 0 {
			return piece, nil
		}
	}
	return nil, s.err
}

// end notes that the body has ended, whole with io.EOF.
func (s *bodyStream) end(err error) {
	s.timer.Stop()
	if err == io.EOF {
		if s.tap != nil {
			s.tap.end()
		}
	} else if cause := s.cause(); cause != nil {
		err = cause
	}
	s.err = err
}

func (s *bodyStream) Close() error {
	if s.buf == nil {
		return nil
	}
	s.timer.Stop()
	s.cancel(errClosed)
	err := s.body.Close()
	pieceBuffers.Put(s.buf)
	s.buf = nil
	if s.err == nil {
		s.err = errClosed
	}
	return err
}
