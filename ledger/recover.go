package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/llmproxy/llmproxy"
)

// Open opens the journal in a directory, makes it if need be, and starts to drain it into
// store, which must outlive it. What an earlier process left is recovered first: an intent
// without an end becomes a record that says so.
//
// The error is [ErrLocked] where another process has the journal.
func Open(path string, store Store, o Options) (*Journal, error) {
	d, err := openDirectory(path)
	if err != nil {
		return nil, err
	}
	return open(d, store, o)
}

func open(d files, store Store, o Options) (_ *Journal, err error) {
	if o, err = o.withDefaults(); err != nil {
		return nil, err
	}
	held, err := d.lock()
	if err != nil {
		return nil, err
	}
	j := &Journal{
		o: o, store: store, files: d, held: held, open: map[string]place{},
		round: make(chan struct{}), progress: make(chan struct{}), ended: make(chan struct{}), background: newBackground(),
		dirty: make(chan struct{}, 1), low: make(chan struct{}, 1), news: make(chan struct{}, 1), hurry: make(chan struct{}, 1),
	}
	if err = j.recover(); err != nil {
		j.closeFiles()
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	j.stop = stop
	j.running.Go(func() { j.commits(ctx) })
	j.running.Go(func() { j.keepRoom(ctx) })
	j.running.Go(func() { j.drain(ctx) })
	j.running.Go(func() { j.sweeps(ctx) })
	j.wake(j.dirty)
	j.wake(j.news)
	return j, nil
}

// recovery is what was found in the files of an earlier process.
type recovery struct {
	j        *Journal
	intents  map[string][]byte // without an end, as they were written, by id
	segments []uint64
}

// recover reads what is there, and makes it whole.
func (j *Journal) recover() error {
	var err error
	if j.checkpoint, j.drained, err = openCheckpoint(j.files); err != nil {
		return err
	}
	names, err := j.files.names()
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	re := recovery{j: j, intents: map[string][]byte{}}
	for _, name := range names {
		if n, ok := segmentNumber(name); ok {
			re.segments = append(re.segments, n)
		}
	}
	slices.Sort(re.segments)
	for _, n := range re.segments {
		if err := re.read(n); err != nil {
			return err
		}
	}
	// A new segment goes behind all that were ever drained from.
	j.lastNumber = max(j.lastNumber, j.drained.segment)
	j.active, err = j.newSegment(j.lastNumber+1, j.o.SegmentBytes)
	if err != nil { // a full disk, perhaps with what the store can take
		if derr := re.drainAll(); derr != nil {
			return errors.Join(err, derr)
		}
		if j.active, err = j.newSegment(j.lastNumber+1, j.o.SegmentBytes); err != nil {
			return err
		}
	}
	j.lastNumber, j.total = j.active.number, j.total+j.active.size
	if err := re.finish(); err != nil {
		return err
	}
	if err := j.takeBack(); err != nil {
		return err
	}
	_, err = j.syncAll() // the intents may go now
	return err
}

// read takes in one segment.
func (re *recovery) read(number uint64) error {
	j := re.j
	name := segmentName(number)
	f, err := j.files.open(name)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	s := &segment{number: number, file: f}
	j.old = append(j.old, s)
	j.lastNumber = number
	size, err := f.size()
	if err != nil {
		return fmt.Errorf("ledger: %s: %w", name, err)
	}
	b := make([]byte, size)
	if lost := readHoles(f, b, 0); lost > 0 {
		j.o.Logger.Error("a part of the ledger's journal cannot be read", "segment", number, "bytes", lost)
	}
	entries := 0
	end, damaged := scan(b, 0, func(e entry) bool {
		entries++
		re.take(position{number, e.off}, e)
		return true
	})
	if entries == 0 {
		if err := checkHeader(b); err != nil {
			return fmt.Errorf("ledger: %s: %w", name, err)
		}
		// Spare, or all of it torn.
		j.old = j.old[:len(j.old)-1]
		_ = f.Close()
		if err := j.files.remove(name); err != nil {
			return fmt.Errorf("ledger: %w", err)
		}
		return nil
	}
	if torn := bytes.TrimRight(b[end:], "\x00"); len(torn) > 0 {
		j.o.Logger.Warn("the ledger's journal has a torn end", "segment", number, "bytes", len(torn))
	}
	if damaged > 0 {
		j.o.Logger.Error("the ledger's journal is damaged: the rest of it has been read", "segment", number, "places", damaged)
	}
	if err := f.Truncate(end); err != nil {
		return fmt.Errorf("ledger: %s: %w", name, err)
	}
	s.size, s.end, s.synced = end, end, end
	j.total += end
	return nil
}

// take takes in one entry. Most need no decoding.
func (re *recovery) take(at position, e entry) {
	undrained := !at.before(re.j.drained)
	id, ok := idOf(e.payload)
	var r llmproxy.Record
	if !ok || undrained && (e.kind == kindSettlement || e.kind == kindRecord && mayBeBackground(e.payload)) {
		if r.UnmarshalJSON(e.payload) != nil {
			return // the drain sets it aside, or it is of a kind that is none of ours
		}
		id = []byte(r.ID)
	}
	switch e.kind {
	case kindIntent:
		re.intents[string(id)] = bytes.Clone(e.payload)
	case kindRecord:
		delete(re.intents, string(id))
		if undrained && r.ID != "" {
			re.j.background.note(&r)
		}
	case kindSettlement:
		if undrained {
			re.j.background.settle(keyOf(&r))
		}
	}
}

// finish makes records of the intents that have no end.
func (re *recovery) finish() error {
	ended := re.records()
	for i := range ended {
		pooled, _ := encode(kindRecord, &ended[i])
		_, err := re.j.write(*pooled)
		buffers.Put(pooled)
		if err != nil {
			return fmt.Errorf("ledger: recover: %w", err)
		}
	}
	if len(ended) > 0 {
		re.j.o.Logger.Warn("the gateway had ended before some exchanges did: they have records now", "exchanges", len(ended))
	}
	return nil
}

// records returns the records of the intents that have no end.
func (re *recovery) records() (ended []llmproxy.Record) {
	for _, payload := range re.intents {
		var r llmproxy.Record
		if r.UnmarshalJSON(payload) != nil {
			continue // it had no id that could be read either
		}
		r.Outcome, r.Status = llmproxy.OutcomeError, 0
		r.UsageSource = llmproxy.UsageNone
		switch r.CostState { // as foreseen
		case llmproxy.CostFree:
			r.CostKnown = true
		case llmproxy.CostUnpriced:
		default:
			r.CostState = llmproxy.CostEstimated
		}
		r.Error = &llmproxy.RecordError{Type: "server_error", Code: "gateway_died", Message: "the gateway ended before the answer did"}
		ended = append(ended, r)
	}
	return ended
}

// drainAll puts all there is into the store and deletes the files, where there is no room
// to go on otherwise.
func (re *recovery) drainAll() error {
	j, ctx := re.j, context.Background()
	j.lastNumber++
	j.active = &segment{number: j.lastNumber} // nothing can be written to it
	defer func() { j.active = nil }()
	d := drainer{Journal: j, at: j.drained, buf: make([]byte, batchBytes)}
	for more := true; more; {
		var err error
		if more, err = d.step(ctx); err != nil {
			return err
		}
	}
	for ended := range slices.Chunk(re.records(), batchRecords) {
		if err := d.put(ctx, ended); err != nil {
			return err
		}
	}
	clear(re.intents)
	for _, s := range j.old {
		j.total -= s.size
		j.discard(s)
	}
	j.old = nil
	return nil
}

// readHoles fills b from f. Blocks that cannot be read are zeros; lost is how many bytes
// they are.
func readHoles(f io.ReaderAt, b []byte, off int64) (lost int) {
	if n, _ := f.ReadAt(b, off); n == len(b) {
		return 0
	}
	const block = 4 << 10
	for len(b) > 0 {
		piece := b[:min(block-int(off%block), len(b))]
		if n, _ := f.ReadAt(piece, off); n < len(piece) {
			clear(piece)
			lost += len(piece)
		}
		b, off = b[len(piece):], off+int64(len(piece))
	}
	return lost
}

// closeFiles closes all files and lets go of the directory.
func (j *Journal) closeFiles() {
	for _, s := range slices.Concat(j.old, j.spare) {
		_ = s.file.Close()
	}
	if j.active != nil {
		_ = j.active.file.Close()
	}
	if j.checkpoint != nil {
		_ = j.checkpoint.file.Close()
	}
	if j.refusals != nil {
		_ = j.refusals.Close()
	}
	_ = j.held.Close()
}
