package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/llmproxy/llmproxy"
)

const (
	// linger is how long the drain lets records gather: it is well within the second in
	// which they are to be seen, and one commit of the store serves many.
	linger = 100 * time.Millisecond
	// batchRecords and batchBytes bound one append to the store.
	batchRecords = 500
	batchBytes   = mib
	// appendTimeout bounds one append: a store that hangs is a store that is down.
	appendTimeout = 30 * time.Second

	firstPause, longestPause = 100 * time.Millisecond, 5 * time.Second
)

// drain moves records into the store until ctx ends.
func (j *Journal) drain(ctx context.Context) {
	d := drainer{Journal: j, at: j.drained, buf: make([]byte, batchBytes)}
	for {
		select {
		case <-j.news:
			j.pause(ctx, linger)
		case <-j.hurry:
		case <-ctx.Done():
			return
		}
		if !d.all(ctx) {
			return
		}
	}
}

// pause waits, but not while somebody waits for the drain.
func (j *Journal) pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-j.hurry:
	case <-ctx.Done():
	}
}

// drainer is the state of the one goroutine that drains.
type drainer struct {
	*Journal
	at       position
	buf      []byte
	records  []llmproxy.Record
	raw      [][]byte // the same as entries, valid until the next read
	failures int      // appends in a row
}

// all drains what there is. It returns false when ctx has ended.
func (d *drainer) all(ctx context.Context) bool {
	for ctx.Err() == nil {
		next, settlement, err := d.read()
		switch {
		case err != nil:
			d.failed(err, "the ledger's journal cannot be read")
		case settlement != nil:
			err = d.settleLate(ctx, settlement)
		case len(d.records) > 0:
			err = d.append(ctx)
		case next == d.at:
			d.reclaim(ctx)
			return true
		}
		if err != nil {
			if ctx.Err() == nil {
				d.pause(ctx, min(firstPause<<min(d.failures-1, 10), longestPause))
			}
			continue
		}
		d.advance(next)
		d.reclaim(ctx)
	}
	return false
}

// read reads the next batch into d.records: up to next. A settlement comes alone.
func (d *drainer) read() (next position, settlement *llmproxy.Record, err error) {
	d.records, d.raw = d.records[:0], d.raw[:0]
	d.mu.Lock()
	s, end := d.segmentFrom(d.at)
	d.mu.Unlock()
	if s == nil {
		return d.at, nil, nil
	}
	next = d.at
	if next.segment != s.number {
		next = position{s.number, 0}
	}
	b := d.buf[:min(int64(len(d.buf)), end-next.off)]
	if n, err := s.file.ReadAt(b, next.off); n < len(b) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return next, nil, fmt.Errorf("ledger: read %s: %w", segmentName(s.number), err)
	}
	stop := errors.New("enough")
	read, damaged, err := scan(b, next.off, func(e entry) error {
		switch {
		case len(d.records) == batchRecords:
			return stop
		case e.kind == kindIntent || e.kind > kindSettlement:
			return nil
		case e.kind == kindSettlement && len(d.records) > 0:
			return stop
		}
		entry := b[e.off-next.off : e.off-next.off+e.size()]
		var r llmproxy.Record
		if err := r.UnmarshalJSON(e.payload); err != nil {
			return d.setAside(entry, err)
		}
		if e.kind == kindSettlement {
			settlement = &r
			return stop
		}
		d.records, d.raw = append(d.records, r), append(d.raw, entry)
		return nil
	})
	return next, settlement, err
}
