package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

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
	var b []byte
	for _, in := range intents {
		b = slices.Grow(b[:0], int(in.at.size))[:in.at.size]
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
