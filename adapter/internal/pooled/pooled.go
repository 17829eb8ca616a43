// Package pooled lends out decoders that are dear to make and cheap to reset.
//
// A lent decoder returns to its pool when its reader is closed, and never while a Read
// is running: a decoder cannot serve two streams at once.
package pooled

import (
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
)

// Decoder is what a [Pool] lends.
type Decoder interface {
	io.Reader
	// Reset makes the decoder read r from its beginning. It must accept nil, to let go
	// of what was read before.
	Reset(r io.Reader) error
}

// Pool keeps idle decoders. It is safe for concurrent use.
type Pool struct {
	fresh func() (Decoder, error)
	idle  sync.Pool
}

// New returns a pool of the decoders that fresh makes.
func New(fresh func() (Decoder, error)) *Pool { return &Pool{fresh: fresh} }

// Open returns a reader of what r decodes to. Close gives the decoder back; it does not
// close r, may be called during a Read and more than once. A Read after it returns
// [fs.ErrClosed].
func (p *Pool) Open(r io.Reader) (io.ReadCloser, error) {
	d, ok := p.idle.Get().(Decoder)
	if !ok {
		made, err := p.fresh()
		if err != nil {
			return nil, err
		}
		d = made
	}
	if err := d.Reset(r); err != nil {
		return nil, err
	}
	return &reader{pool: p, decoder: d}, nil
}

// The states of a reader.
const (
	open int32 = iota
	reading
	closed
)

type reader struct {
	pool    *Pool
	decoder Decoder
	state   atomic.Int32
}

func (r *reader) Read(p []byte) (int, error) {
	if !r.state.CompareAndSwap(open, reading) {
		return 0, fs.ErrClosed
	}
	n, err := r.decoder.Read(p)
	if !r.state.CompareAndSwap(reading, open) {
		r.giveBack() // Close left it to us
	}
	return n, err
}

func (r *reader) Close() error {
	if r.state.Swap(closed) == open {
		r.giveBack()
	}
	return nil
}

// giveBack runs once: by Close, or by the Read that Close met.
func (r *reader) giveBack() {
	if r.decoder.Reset(nil) == nil {
		r.pool.idle.Put(r.decoder)
	}
}
