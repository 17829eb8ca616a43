package simulator

import (
	"compress/gzip"
	"context"
	"hash"
	"io"
	"iter"
)

// bodyWriter turns events or bytes into a body, waiting at the gates of its script.
type bodyWriter struct {
	ctx    context.Context
	script *Script
	out    *out
	dst    io.Writer    // gzip, or else out
	gzip   *gzip.Writer // nil: plain
	hash   hash.Hash    // of the plain bytes
	n      int64        // plain bytes written
	sent   int          // events, or pieces of another body
}

// events writes a stream, one write and one flush an event.
func (b *bodyWriter) events(events iter.Seq[event], f framing) error {
	if b.script.BOM && f.isSSE() {
		if err := b.write([]byte("\ufeff")); err != nil {
			return err
		}
	}
	if b.cut() {
		return errCut
	}
	for e := range events {
		if b.script.Comments && f.isSSE() {
			if err := b.flushed(b.script.comment(f)); err != nil {
				return err
			}
		}
		if err := b.script.BeforeEvent.pass(b.ctx, b.sent); err != nil {
			return err
		}
		if err := b.flushed(b.script.frame(f, b.sent, e)); err != nil {
			return err
		}
		b.sent++
		if b.cut() {
			return errCut
		}
	}
	if end := b.script.frameEnd(f); end != nil {
		return b.flushed(end)
	}
	return nil
}

// cut reports whether the script ends the stream after the events sent so far.
func (b *bodyWriter) cut() bool {
	return b.script.CutEvents != nil && b.sent >= *b.script.CutEvents
}

// copy writes size bytes of body; half of them where the script wants it short.
func (b *bodyWriter) copy(body io.Reader, size int64) error {
	if b.script.Short {
		body = io.LimitReader(body, size/2)
	}
	piece := make([]byte, 32<<10)
	if n := b.script.PieceBytes; n > 0 && n < len(piece) {
		piece = piece[:n]
	}
	for {
		n, err := io.ReadFull(body, piece)
		if n > 0 {
			if err := b.script.BeforeEvent.pass(b.ctx, b.sent); err != nil {
				return err
			}
			if err := b.write(piece[:n]); err != nil {
				return err
			}
			b.sent++
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (b *bodyWriter) write(p []byte) error {
	b.hash.Write(p)
	b.n += int64(len(p))
	_, err := b.dst.Write(p)
	return err
}

// flushed writes p and makes sure that it leaves now.
func (b *bodyWriter) flushed(p []byte) error {
	if err := b.write(p); err != nil {
		return err
	}
	if b.gzip != nil {
		if err := b.gzip.Flush(); err != nil {
			return err
		}
	}
	return b.out.flush()
}
