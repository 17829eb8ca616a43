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
			err = d.failed(ctx, err, "the ledger's journal cannot be read")
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

// read reads the next batch into d.records: up to next, which is where d is when there is
// nothing. A settlement comes alone.
func (d *drainer) read() (next position, settlement *llmproxy.Record, err error) {
	d.records, d.raw = d.records[:0], d.raw[:0]
	s, end := d.segmentFrom(d.at)
	if s == nil {
		return d.at, nil, nil
	}
	next = d.at
	if next.segment != s.number {
		next = position{s.number, 0}
	}
	b := d.buf[:min(int64(len(d.buf)), end-next.off)]
	if n, err := s.file.ReadAt(b, next.off); n < len(b) {
		if d.failures < readAttempts {
			return next, nil, fmt.Errorf("ledger: read %s: %w", segmentName(s.number), cmp.Or(err, io.ErrUnexpectedEOF))
		}
		d.o.Logger.Error("a part of the ledger's journal cannot be read", "segment", s.number, "bytes", readHoles(s.file, b, next.off))
		d.failures = 0
	}
	start, stopped := next.off, false
	scan(b, start, func(e entry) bool {
		if len(d.records) == batchRecords || e.kind == kindSettlement && len(d.records) > 0 {
			stopped = true
			return false
		}
		if e.kind == kindRecord || e.kind == kindSettlement {
			whole := b[e.off-start : e.off-start+e.size()]
			var r llmproxy.Record
			switch err = r.UnmarshalJSON(e.payload); {
			case err != nil:
				if err = d.setAside(whole, err); err != nil {
					return false
				}
			case e.kind == kindSettlement:
				settlement = &r
			default:
				d.records, d.raw = append(d.records, r), append(d.raw, whole)
			}
		}
		next.off = e.off + e.size()
		return settlement == nil
	})
	switch whole := start+int64(len(b)) == end; {
	case err != nil:
		return next, nil, err
	case stopped || settlement != nil:
	case whole:
		next.off = end // what is left of it is damaged
	case next.off == start:
		// Not one entry in all of it: the next one may begin at its very end.
		next.off = start + int64(len(b)) - entryHead - maxPayload
	}
	return next, settlement, nil
}

// segmentFrom returns the segment in which what comes after p is, and its end; nil where
// nothing comes.
func (j *Journal) segmentFrom(p position) (*segment, int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range j.old {
		if s.number >= p.segment && p.before(position{s.number, s.end}) {
			return s, s.end
		}
	}
	if p.before(j.tail()) {
		return j.active, j.active.end
	}
	return nil, 0
}

// append moves the batch into the store.
func (d *drainer) append(ctx context.Context) error {
	err := d.put(ctx, d.records)
	if err != nil && ctx.Err() == nil && d.failures >= 2 {
		err = d.sift(ctx, err)
	}
	if err != nil {
		return d.failed(ctx, err, "the ledger's store does not take records")
	}
	if d.failures > 0 {
		d.failures = 0
		d.o.Logger.Info("the ledger's store takes records again")
	}
	return nil
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

// sift puts the records of a batch that fails into the store one by one. Those that it does
// not take, although it takes others, are set aside: they must not keep all that come after
// them from it. It returns fault where the store takes none.
func (d *drainer) sift(ctx context.Context, fault error) error {
	if errors.Is(fault, context.DeadlineExceeded) {
		return fault
	}
	const probes = 8
	n := len(d.records)
	good := -1
	for i := range min(n, probes) {
		if at := i * n / min(n, probes); d.put(ctx, d.records[at:at+1]) == nil {
			good = at
			break
		}
	}
	if good < 0 {
		return fault
	}
	bad := map[int]error{}
	for i := range n {
		// Once more, so that one lost connection does not look like a refusal.
		if d.put(ctx, d.records[i:i+1]) != nil {
			if err := d.put(ctx, d.records[i:i+1]); err != nil {
				bad[i] = err
			}
		}
	}
	if err := d.put(ctx, d.records[good:good+1]); err != nil {
		return err // it has gone down meanwhile
	}
	for i, err := range bad {
		if err := d.setAside(d.raw[i], err); err != nil {
			return err
		}
	}
	return nil
}

// advance notes that the store has what is before next.
func (d *drainer) advance(next position) {
	if err := d.checkpoint.write(next); err != nil {
		d.o.Logger.Error("the ledger's checkpoint could not be written", "error", err)
	}
	d.at = next
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.records {
		d.background.drained(&d.records[i])
	}
	d.drained, d.storeErr = next, nil
	close(d.progress)
	d.progress = make(chan struct{})
}

// reclaim deletes segments that the store has. Intents in them whose exchange has not ended
// move on: a long stream must not keep all that was written since.
func (d *drainer) reclaim(ctx context.Context) {
	for {
		d.mu.Lock()
		if len(d.old) == 0 || d.at.before(position{d.old[0].number, d.old[0].end}) {
			d.mu.Unlock()
			return
		}
		s := d.old[0]
		if s.synced == s.end && s.open == 0 {
			d.old = d.old[1:]
			d.total -= s.size
			d.mu.Unlock()
			d.discard(s)
			continue
		}
		d.mu.Unlock()
		if d.carry(ctx, s) != nil {
			return // later
		}
	}
}

// discard deletes the file of s.
func (j *Journal) discard(s *segment) {
	err := errors.Join(s.file.Close(), j.files.remove(segmentName(s.number)), j.files.sync())
	if err != nil {
		j.o.Logger.Warn("a file of the ledger's journal could not be deleted", "segment", s.number, "error", err)
	}
}

// carry writes the open intents of s once more, at the journal's end, and waits until they
// are durable there.
func (d *drainer) carry(ctx context.Context, s *segment) error {
	type intent struct {
		id string
		at place
	}
	var intents []intent
	d.mu.Lock()
	for id, p := range d.open {
		if p.segment == s.number {
			intents = append(intents, intent{id, p})
		}
	}
	d.mu.Unlock()
	for _, in := range intents {
		b := d.buf[:in.at.size]
		if _, err := s.file.ReadAt(b, in.at.off); err != nil {
			return fmt.Errorf("ledger: read %s: %w", segmentName(s.number), err)
		}
		if err := d.move(in.id, in.at, b); err != nil {
			return err
		}
	}
	d.mu.Lock()
	seq := d.written
	d.mu.Unlock()
	return d.await(ctx, seq)
}

// move writes the intent b of id, which is at from, once more, unless its exchange has ended.
func (j *Journal) move(id string, from place, b []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if p, open := j.open[id]; !open || p != from {
		return nil
	}
	if err := j.makeRoom(int64(len(b))); err != nil {
		return err
	}
	at, err := j.write(b)
	if err == nil {
		j.enter(id, at)
	}
	return err
}
