package simulator

import (
	"errors"
	"io"
)

// errCut means that the script wants the answer to break off here.
var errCut = errors.New("cut by the script")

// out writes the bytes of a body in the pieces that a script wants, and stops where it
// wants.
type out struct {
	w       io.Writer
	flusher func() error
	gone    func() // called when the client does not take any more
	piece   int    // flush after each so many bytes; 0: when Flush is called
	bounded bool   // left counts
	left    int64  // bytes until the cut
}

func newOut(w io.Writer, flusher func() error, c *call) *out {
	s := &c.script
	o := &out{w: w, flusher: flusher, gone: c.departed, piece: s.PieceBytes}
	if s.CutBytes != nil {
		o.bounded, o.left = true, *s.CutBytes
	}
	return o
}

// Write writes p; it returns errCut when the last byte before the cut has been flushed.
func (o *out) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		n := len(p)
		if o.piece > 0 {
			n = min(n, o.piece)
		}
		if o.bounded {
			n = int(min(int64(n), o.left))
		}
		m, err := o.w.Write(p[:n])
		written += m
		if err != nil {
			o.gone()
			return written, err
		}
		p = p[n:]
		if o.bounded {
			o.left -= int64(n)
			if o.left == 0 {
				if err := o.flush(); err != nil {
					return written, err
				}
				return written, errCut
			}
		}
		if o.piece > 0 {
			if err := o.flush(); err != nil {
				return written, err
			}
		}
	}
	return written, nil
}

func (o *out) flush() error {
	err := o.flusher()
	if err != nil {
		o.gone()
	}
	return err
}

// begin cuts before the first byte, if that is where the cut is.
func (o *out) begin() error {
	if o.bounded && o.left == 0 {
		return errCut
	}
	return nil
}
