package llmproxy

import (
	"context"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// bodyStream is a provider's body as a Stream, shown to the tap on its way.
type bodyStream struct {
	body   io.ReadCloser
	tap    *tap // nil: not metered
	timer  *time.Timer
	cancel context.CancelCauseFunc
	cause  func() error // why the call was ended, if it was
	buf    *[]byte      // what pieces are read into; nil after the end
	filled bool         // the last read filled buf
	err    error        // comes after the piece in hand

	waiting atomic.Bool   // a read is under way
	reads   atomic.Uint32 // how many have ended
	closed  atomic.Bool
	checked uint32 // reads when watch last looked; its own
	silent  int    // how often it has seen nothing new; its own
}

// Pieces are read into small buffers at first: net/http has at most 4 KiB ready of a
// chunked body, and many idle streams hold one each. A body that fills one gets a large
// one.
const (
	smallPiece = 4 * kib
	largePiece = 32 * kib
)

var (
	smallPieces = sync.Pool{New: func() any { b := make([]byte, smallPiece); return &b }}
	largePieces = sync.Pool{New: func() any { b := make([]byte, largePiece); return &b }}
)

func newBodyStream(ctx context.Context, cancel context.CancelCauseFunc, body io.ReadCloser, idle time.Duration) *bodyStream {
	s := &bodyStream{body: body, cancel: cancel, cause: func() error { return context.Cause(ctx) }, buf: smallPieces.Get().(*[]byte)}
	s.watch(idle)
	return s
}

// watch ends the call when a read gets nothing for the idle time; ≤ 0 never does. It looks
// every eighth of that, which is cheaper than to set a timer for each piece. A client that
// is slow to take a piece is none of its business.
func (s *bodyStream) watch(idle time.Duration) {
	const looks = 8
	if idle <= 0 {
		return
	}
	every := max(idle/looks, 1)
	s.timer = time.AfterFunc(math.MaxInt64, func() {
		n := s.reads.Load()
		switch {
		case s.closed.Load():
			return
		case n != s.checked || !s.waiting.Load():
			s.checked, s.silent = n, 0
		default:
			if s.silent++; s.silent >= looks {
				s.cancel(errTooSlow)
				return
			}
		}
		s.timer.Reset(every)
	})
	s.timer.Reset(every)
}

func (s *bodyStream) Next() ([]byte, error) {
	for s.err == nil && !s.closed.Load() {
		if s.filled && len(*s.buf) == smallPiece {
			smallPieces.Put(s.buf)
			s.buf = largePieces.Get().(*[]byte)
		}
		s.waiting.Store(true)
		n, err := s.body.Read(*s.buf)
		s.waiting.Store(false)
		s.reads.Add(1)
		s.filled = n == len(*s.buf)
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
	// The piece before is not in use any more. A stream that is closed before its end
	// leaves its buffer to the garbage collector: somebody may still look at a piece.
	if s.err != nil && s.buf != nil {
		if len(*s.buf) == smallPiece {
			smallPieces.Put(s.buf)
		} else {
			largePieces.Put(s.buf)
		}
		s.buf = nil
	}
	if s.err == nil {
		return nil, errClosed
	}
	return nil, s.err
}

// end notes that the body has ended, whole with io.EOF.
func (s *bodyStream) end(err error) {
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
	if s.closed.Swap(true) {
		return nil
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	s.cancel(errClosed)
	return s.body.Close()
}
