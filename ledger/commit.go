package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// commitEvery is how long entries may wait for the disk where nobody waits for them.
const commitEvery = 10 * time.Millisecond

// ErrNotDurable means that the disk did not take what it was given, though it may have it.
var ErrNotDurable = errors.New("ledger: the disk does not keep what it is given")

// await waits until what was written up to seq is durable.
func (j *Journal) await(ctx context.Context, seq uint64) error {
	for {
		j.mu.Lock()
		durable, unsound, round := j.durable, j.unsound, j.round
		j.mu.Unlock()
		switch {
		case durable >= seq:
			return nil
		case unsound != nil:
			return unsound
		}
		select {
		case <-round:
		case <-ctx.Done():
			return fmt.Errorf("ledger: wait for the disk: %w", context.Cause(ctx))
		}
	}
}

// commits makes entries durable, many at once. With DurabilityFsync a commit begins as soon
// as the one before it has ended: whatever came meanwhile shares it.
func (j *Journal) commits(ctx context.Context) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for backoff := time.Duration(0); ; {
		select {
		case <-j.dirty:
		case <-ctx.Done():
			return
		}
		wait := backoff
		if j.o.Durability != DurabilityFsync {
			wait = max(wait, commitEvery)
		}
		if wait > 0 {
			pause.Reset(wait)
			select {
			case <-pause.C:
			case <-ctx.Done():
				return
			}
		}
		if j.commit() {
			backoff = 0
			continue
		}
		backoff = min(max(2*backoff, 100*time.Millisecond), 10*time.Second)
		j.wake(j.dirty)
	}
}

// commit makes durable what has been written so far, and reports whether it is. A segment
// whose fsync fails is not asked again: the system may have dropped what it could not write
// and then say that all is well. What is not known to be durable there is written once more,
// to another segment.
func (j *Journal) commit() bool {
	seq, err := j.syncAll()
	if err != nil {
		seq, err = j.syncAll()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.unsound = err; err == nil {
		j.durable = seq
	}
	close(j.round)
	j.round = make(chan struct{})
	return err == nil
}

// syncAll asks the disk once. It returns up to where all is durable if err is nil.
func (j *Journal) syncAll() (seq uint64, err error) {
	type part struct {
		s   *segment
		end int64
	}
	j.mu.Lock()
	seq = j.written
	var parts []part
	for _, s := range append(j.old[:len(j.old):len(j.old)], j.active) {
		if s.synced < s.end {
			parts = append(parts, part{s, s.end})
		}
	}
	j.mu.Unlock()
	for _, p := range parts {
		if serr := j.syncOne(p.s, p.end); serr != nil {
			err = fmt.Errorf("%w: %w", ErrNotDurable, serr)
		}
	}
	return seq, err
}

// syncOne makes s durable up to end.
func (j *Journal) syncOne(s *segment, end int64) error {
	if !s.failed { // ours alone
		err := s.file.Sync()
		if err == nil {
			j.mu.Lock()
			defer j.mu.Unlock()
			s.unsynced = s.unsynced[:copy(s.unsynced, s.unsynced[end-s.synced:])]
			s.synced = end
			if s != j.active && s.synced == s.end {
				j.buffer, s.unsynced = s.unsynced[:0], nil
			}
			return nil
		}
		s.failed = true
		j.o.Logger.Error("a file of the ledger's journal could not be synced", "segment", s.number, "error", err)
		j.mu.Lock()
		defer j.mu.Unlock()
		return errors.Join(err, j.rewrite(s))
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.rewrite(s)
}

// rewrite writes what is not known to be durable in s to another segment. Entries that are
// there twice count once, here and in the store. j.mu is held.
func (j *Journal) rewrite(s *segment) error {
	if s == j.active {
		if err := j.rotate(); err != nil {
			return err
		}
	}
	var err error
	scan(s.unsynced, s.synced, func(e entry) bool {
		id := ""
		if e.kind == kindIntent {
			raw, _ := idOf(e.payload)
			id = string(raw)
			if p, open := j.open[id]; open && (p.segment != s.number || p.off != e.off) || !open && id != "" {
				return true // its exchange has ended, or it lies elsewhere by now
			}
		}
		off := e.off - s.synced
		var at place
		at, err = j.write(s.unsynced[off : off+e.size()])
		if err == nil && id != "" {
			j.enter(id, at)
		}
		return err == nil
	})
	if err == nil {
		s.synced, s.unsynced = s.end, nil // as far as it will ever be
	}
	j.wake(j.news)
	return err
}
