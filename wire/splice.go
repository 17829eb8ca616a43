package wire

import (
	"cmp"
	"errors"
	"io"
	"slices"
)

// Edit replaces the bytes at Span by New. An empty Span inserts New before the byte at
// Start.
type Edit struct {
	Span
	New []byte
}

// ErrEdit means that edits overlap or reach beyond the text.
var ErrEdit = errors.New("edits overlap or lie outside the text")

// Check returns an error if the edits cannot all be applied to text: [ErrEdit].
// Insertions at the two ends of a replaced span do not overlap it, and several may stand
// in one place.
func Check(text []byte, edits ...Edit) error {
	var few [8]Edit
	end := 0
	for _, e := range inOrder(few[:0], edits) {
		if e.Start < end || e.End < e.Start || e.End > len(text) {
			return ErrEdit
		}
		end = e.End
	}
	return nil
}

// Splice returns text with the edits made, in memory of its own. The edits may come in
// any order; insertions in one place are made in the order they come in. It panics with
// [ErrEdit] on what [Check] refuses: such edits are a programmer's mistake.
func Splice(text []byte, edits ...Edit) []byte {
	if err := Check(text, edits...); err != nil {
		panic(err)
	}
	var few [8]Edit
	edits = inOrder(few[:0], edits)
	out := make([]byte, 0, spliced(text, edits))
	done := 0 // text[:done] is in out
	for _, e := range edits {
		out = append(out, text[done:e.Start]...)
		out = append(out, e.New...)
		done = e.End
	}
	return append(out, text[done:]...)
}

// inOrder appends the edits to dst and sorts them.
func inOrder(dst, edits []Edit) []Edit {
	dst = append(dst, edits...)
	slices.SortStableFunc(dst, func(a, b Edit) int {
		if c := cmp.Compare(a.Start, b.Start); c != 0 {
			return c
		}
		return cmp.Compare(a.End, b.End)
	})
	return dst
}

// spliced returns how long text is after the edits.
func spliced(text []byte, edits []Edit) int {
	n := len(text)
	for _, e := range edits {
		n += len(e.New) - (e.End - e.Start)
	}
	return n
}

// Reader reads a text with edits made, without copying it. It is not safe for concurrent
// use, but many Readers may share a text.
type Reader struct {
	text  []byte
	edits []Edit // in order, those not yet reached
	at    int    // in text
	fresh []byte // rest of the edit in progress
	left  int    // bytes to read
}

var (
	_ io.Reader   = (*Reader)(nil)
	_ io.WriterTo = (*Reader)(nil)
)

// NewReader returns a Reader of what [Splice] would return; it panics where Splice does.
// The text and the New of each edit must not change while it is in use; the slice edits
// may.
func NewReader(text []byte, edits []Edit) *Reader {
	if err := Check(text, edits...); err != nil {
		panic(err)
	}
	edits = inOrder(nil, edits)
	return &Reader{text: text, edits: edits, left: spliced(text, edits)}
}

// Len returns the number of bytes that are still to be read.
func (r *Reader) Len() int64 { return int64(r.left) }

// Read reads the next bytes; io.EOF at the end is its only error.
func (r *Reader) Read(p []byte) (n int, err error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	for n < len(p) && r.left > 0 {
		m := copy(p[n:], r.piece())
		r.advance(m)
		n += m
	}
	return n, nil
}

// WriteTo writes what is left to w, without a buffer between.
func (r *Reader) WriteTo(w io.Writer) (n int64, err error) {
	for r.left > 0 {
		piece := r.piece()
		m, err := w.Write(piece)
		r.advance(m)
		n += int64(m)
		if err == nil && m < len(piece) {
			err = io.ErrShortWrite
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// piece returns the next bytes that lie together. It is not empty while some are left.
func (r *Reader) piece() []byte {
	for {
		switch {
		case len(r.fresh) > 0:
			return r.fresh
		case len(r.edits) == 0:
			return r.text[r.at:]
		case r.at < r.edits[0].Start:
			return r.text[r.at:r.edits[0].Start]
		}
		r.fresh, r.at = r.edits[0].New, r.edits[0].End
		r.edits = r.edits[1:]
	}
}

// advance notes that n bytes of the piece have been read.
func (r *Reader) advance(n int) {
	r.left -= n
	if len(r.fresh) > 0 {
		r.fresh = r.fresh[n:]
	} else {
		r.at += n
	}
}
