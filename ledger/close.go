package ledger

import (
	"context"
	"fmt"
	"slices"
)

// Flush waits until the store has all that was recorded before it was called. The error
// wraps that of ctx, and that of the store if there is one.
func (j *Journal) Flush(ctx context.Context) error {
	j.mu.Lock()
	target, refused := j.tail(), j.refused
	j.mu.Unlock()
	j.wake(j.hurry)
	for {
		j.mu.Lock()
		done, progress := !j.drained.before(target), j.progress
		n := j.refused - refused
		j.mu.Unlock()
		switch {
		case done && n > 0:
			return fmt.Errorf("ledger: the store refuses %d records: they stay in the journal", n)
		case done:
			return nil
		}
		select {
		case <-progress:
		case <-j.ended:
			return errJournalClosed
		case <-ctx.Done():
			if err := j.Stats().StoreErr; err != nil {
				return fmt.Errorf("ledger: flush: %w: %w", context.Cause(ctx), err)
			}
			return fmt.Errorf("ledger: flush: %w", context.Cause(ctx))
		}
	}
}

// Close takes no more records, flushes what it can until ctx ends, and leaves the rest in
// the files for the next Open. The error is Flush's: what it says is late, not lost.
func (j *Journal) Close(ctx context.Context) error {
	j.mu.Lock()
	closed := j.closed
	j.closed = true
	j.mu.Unlock()
	if closed {
		return errJournalClosed
	}
	err := j.Flush(ctx)
	j.stop()
	j.running.Wait()
	close(j.ended)
	j.commit()
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range j.spare {
		j.discard(s)
	}
	j.spare = nil
	if err == nil && len(j.open) == 0 {
		for _, s := range append(slices.Clone(j.old), j.active) {
			j.discard(s)
		}
		j.old = nil
	}
	j.closeFiles()
	return err
}
