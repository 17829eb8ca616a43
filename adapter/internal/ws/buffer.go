package ws

import (
	"io"
	"net/http"
	"sync"
)

const (
	// minBuffer is in bytes: a page, as most events of a stream fit one.
	minBuffer = 4 << 10
	// maxIdleBuffer is in bytes. Larger buffers are left to the garbage collector, so that
	// one huge message does not stay in memory.
	maxIdleBuffer = 1 << 20
)

// idle holds buffers that no connection uses: *[]byte.
var idle sync.Pool

// Buffer is where one connection's messages are read into. It has memory from Read until
// Release only, so that a connection that waits for a message holds none.
//
// The zero value is ready. One goroutine may use it at a time.
type Buffer struct {
	mem  *[]byte
	next [1]byte
}

// Read returns all that r has. The slice is valid until Release. The error is r's, or
// [*http.MaxBytesError] where r has more than limit bytes; 0 or less is no limit. The
// memory follows what r has brought, not what it announces.
func (b *Buffer) Read(r io.Reader, limit int64) ([]byte, error) {
	if b.mem == nil {
		b.mem = take()
	}
	p := (*b.mem)[:0]
	for {
		// A message that just fits is one that ends here: look before making more room.
		full := len(p) == cap(p)
		room := p[len(p):cap(p)]
		if full {
			room = b.next[:]
		}
		// One more than the limit tells a message that is too large from one that ends.
		if left := limit + 1 - int64(len(p)); limit > 0 && int64(len(room)) > left {
			room = room[:left]
		}
		n, err := r.Read(room)
		switch {
		case !full:
			p = p[:len(p)+n]
		case n > 0:
			p = append(append(make([]byte, 0, 2*cap(p)), p...), b.next[0])
			*b.mem = p
		}
		switch {
		case limit > 0 && int64(len(p)) > limit:
			b.Release()
			return nil, &http.MaxBytesError{Limit: limit}
		case err == io.EOF:
			return p, nil
		case err != nil:
			b.Release()
			return nil, err
		}
	}
}

// Release gives the memory back. It may be called more than once.
func (b *Buffer) Release() {
	if b.mem != nil && cap(*b.mem) <= maxIdleBuffer {
		idle.Put(b.mem)
	}
	b.mem = nil
}

func take() *[]byte {
	if mem, ok := idle.Get().(*[]byte); ok {
		return mem
	}
	mem := make([]byte, 0, minBuffer)
	return &mem
}
