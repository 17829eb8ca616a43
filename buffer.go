package llmproxy

import (
	"errors"
	"io"
	"math/bits"
	"sync"
)

// Request bodies are read into pooled buffers, whose capacities are powers of four from
// 4 KiB to 4 MiB. Larger ones are left to the garbage collector.
const (
	smallestBuffer = 4 * kib
	bufferClasses  = 6
)

var buffers [bufferClasses]sync.Pool

// bufferClass returns the class of buffers of at least n bytes, and their capacity; ok is
// false where none is that large.
func bufferClass(n int) (class, size int, ok bool) {
	class = (bits.Len(uint(max(n, 1)-1)/smallestBuffer) + 1) / 2
	return class, smallestBuffer << (2 * class), class < bufferClasses
}

// getBuffer returns an empty buffer with room for n bytes.
func getBuffer(n int) []byte {
	class, size, ok := bufferClass(n)
	if !ok {
		return make([]byte, 0, n)
	}
	if p, ok := buffers[class].Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 0, size)
}

// putBuffer gives b back, which must not be used after that.
func putBuffer(b []byte) {
	if class, size, ok := bufferClass(cap(b)); ok && size == cap(b) {
		b = b[:0]
		buffers[class].Put(&b)
	}
}

var errTooLarge = errors.New("too large")

// readAll reads r to its end, size bytes if that is known, and fails with errTooLarge
// beyond limit. The result is a buffer, for putBuffer.
func readAll(r io.Reader, size, limit int64) ([]byte, error) {
	// A client that announces much has not sent it yet.
	const trust = mib
	buf := getBuffer(int(min(max(size, smallestBuffer-1), trust-1)) + 1) // one more finds the end
	for {
		if len(buf) == cap(buf) {
			next := growBuffer(buf, size, limit)
			putBuffer(buf)
			buf = next
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case limit > 0 && int64(len(buf)) > limit:
			putBuffer(buf)
			return nil, errTooLarge
		case err == io.EOF:
			return buf, nil
		case err != nil:
			putBuffer(buf)
			return nil, err
		}
	}
}

// growBuffer returns a larger buffer with what buf holds: fourfold while that is little,
// the announced size where so much has come that it can be believed, never much more than
// the limit.
func growBuffer(buf []byte, size, limit int64) []byte {
	n := int64(cap(buf))
	switch {
	case n < mib:
		n *= 4
	case size > n && size <= 4*n:
		n = size
	default:
		n *= 2
	}
	if limit > 0 {
		n = min(n, max(limit, int64(cap(buf)))+1)
	}
	return append(getBuffer(int(n)+1), buf...)
}
