package ledger

import (
	"cmp"
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

	// readAttempts is how often a part of the journal may fail to be read before the drain
	// goes on without it.
	readAttempts = 10

	firstPause, longestPause = 100 * time.Millisecond, 5 * time.Second
)

// drain moves records into the store until ctx ends.
func (j *Journal) drain(ctx context.Context) {
	d := drainer{Journal: j, at: j.drained, buf: make([]byte, batchBytes)}
	again := time.NewTicker(refusedEvery)
	defer again.Stop()
	for {
		select {
		case <-j.news:
			j.pause(ctx, linger)
		case <-j.hurry:
		case <-again.C:
			if err := d.retryRefused(ctx); err != nil && ctx.Err() == nil {
				j.o.Logger.Warn("records that the ledger's store has refused could not be tried again", "error", err)
			}
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
	batch    batch
	loaded   bool // there is a batch that the store has not taken yet
	buf      []byte
	failures int     // in a row
	fresh    []fresh // what is left of taken, the oldest first
	taken    []fresh // from the journal
}

// batch is what goes to the store next.
type batch struct {
	records    []llmproxy.Record
	raw        [][]byte         // the same as entries, in the drainer's buf
	settlement *llmproxy.Record // else: comes alone
	next       position         // behind all of it; the drainer's at where there is nothing
}

// all drains what there is. It returns false when ctx has ended.
func (d *drainer) all(ctx context.Context) bool {
	for ctx.Err() == nil {
		more, err := d.step(ctx)
		d.reclaim(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			d.pause(ctx, min(firstPause<<min(d.failures-1, 10), longestPause))
		case err == nil && !more:
			return true
		}
	}
	return false
}

// step moves one batch. more is false where there is none.
func (d *drainer) step(ctx context.Context) (more bool, err error) {
	if !d.loaded {
		if err := d.read(); err != nil {
			return false, d.failed(ctx, err, "the ledger's journal cannot be read")
		}
		d.loaded = true
	}
	switch b := &d.batch; {
	case b.settlement != nil:
		err = d.settleLate(ctx, b.settlement)
	case len(b.records) > 0:
		err = d.append(ctx)
	}
	if err != nil {
		return false, d.failed(ctx, err, "the ledger's store does not take records")
	}
	d.loaded = false
	if d.batch.next == d.at {
		return false, nil
	}
	d.advance()
	return true, nil
}

// read reads the next batch.
func (d *drainer) read() error {
	d.batch = batch{records: d.batch.records[:0], raw: d.batch.raw[:0], next: d.at}
	d.mu.Lock()
	s, end := d.segmentFrom(d.at)
	d.takeFresh()
	d.mu.Unlock()
	if s == nil {
		return nil
	}
	from := d.at
	if from.segment != s.number {
		from = position{s.number, 0}
	}
	b := d.buf[:min(int64(len(d.buf)), end-from.off)]
	if n, err := s.file.ReadAt(b, from.off); n < len(b) {
		if d.failures < readAttempts {
			return fmt.Errorf("ledger: read %s: %w", segmentName(s.number), cmp.Or(err, io.ErrUnexpectedEOF))
		}
		d.o.Logger.Error("a part of the ledger's journal cannot be read", "segment", s.number, "bytes", readHoles(s.file, b, from.off))
	}
	next, stopped, err := d.take(b, from)
	switch whole := from.off+int64(len(b)) == end; {
	case err != nil:
		return err
	case stopped:
	case whole:
		next.off = end // what is left of it is damaged
	case next == from:
		// Not one entry in all of it: the next one may begin at its very end.
		next.off += int64(len(b)) - entryHead - maxPayload
	}
	d.batch.next = next
	return nil
}

// take takes records from b, which is at from, up to next. stopped says that it could have
// taken more.
func (d *drainer) take(b []byte, from position) (next position, stopped bool, err error) {
	next = from
	scan(b, from.off, func(e entry) bool {
		if len(d.batch.records) == batchRecords || e.kind == kindSettlement && len(d.batch.records) > 0 {
			stopped = true
			return false
		}
		if e.kind == kindRecord || e.kind == kindSettlement {
			raw := b[e.off-from.off : e.off-from.off+e.size()]
			r, known := d.known(position{from.segment, e.off})
			if !known {
				err = r.UnmarshalJSON(e.payload)
			}
			switch {
			case err != nil:
				if err = d.setAside(raw, err); err != nil {
					return false
				}
			case e.kind == kindSettlement:
				d.batch.settlement, stopped = &r, true
			default:
				d.batch.records, d.batch.raw = append(d.batch.records, r), append(d.batch.raw, raw)
			}
		}
		next.off = e.off + e.size()
		return !stopped
	})
	return next, stopped, err
}

// segmentFrom returns the segment in which what comes after p is, and its end; nil where
// nothing comes. j.mu is held.
func (j *Journal) segmentFrom(p position) (*segment, int64) {
	for _, s := range j.old {
		if s.number >= p.segment && p.before(position{s.number, s.end}) {
			return s, s.end
		}
	}
	if j.active.end > 0 && p.before(j.tail()) {
		return j.active, j.active.end
	}
	return nil, 0
}

// append moves the batch into the store, but for the records that it refuses.
func (d *drainer) append(ctx context.Context) error {
	return d.appendPart(ctx, d.batch.records, d.batch.raw)
}

// appendPart puts records, whose entries are raw, into the store. Those that it refuses are
// found by halves and set aside: they must not keep all that come after them from it. Any
// other error says nothing of the records, and is returned.
func (d *drainer) appendPart(ctx context.Context, records []llmproxy.Record, raw [][]byte) error {
	err := d.put(ctx, records)
	switch half := len(records) / 2; {
	case !errors.Is(err, ErrRefused):
		return err
	case half == 0:
		return d.setAside(raw[0], err)
	default:
		if err := d.appendPart(ctx, records[:half], raw[:half]); err != nil {
			return err
		}
		return d.appendPart(ctx, records[half:], raw[half:])
	}
}

func (d *drainer) put(ctx context.Context, records []llmproxy.Record) error {
	ctx, cancel := context.WithTimeout(ctx, appendTimeout)
	defer cancel()
	return d.store.Append(ctx, records)
}

// failed notes that err keeps the drain from going on, and returns it.
func (d *drainer) failed(ctx context.Context, err error, message string) error {
	if ctx.Err() != nil {
		return err
	}
	if d.failures++; d.failures == 1 {
		d.o.Logger.Error(message, "error", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.storeErr = err
	return err
}

// advance notes that the store has the batch.
func (d *drainer) advance() {
	if d.failures > 0 {
		d.failures = 0
		d.o.Logger.Info("the ledger is drained again")
	}
	d.at = d.batch.next
	if err := d.checkpoint.write(d.at); err != nil {
		d.o.Logger.Error("the ledger's checkpoint could not be written", "error", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.batch.records {
		d.background.drained(&d.batch.records[i])
	}
	if r := d.batch.settlement; r != nil {
		delete(d.background.settled, keyOf(r))
	}
	d.drained, d.storeErr = d.at, nil
	close(d.progress)
	d.progress = make(chan struct{})
}
