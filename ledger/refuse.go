package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// refusedName is the file of records that the store refuses. They stay part of the journal: a
// View shows them, and each Open and each hour tries them again.
const refusedName = "refused"

// refusedEvery is how often they are tried again: the store may have been changed.
const refusedEvery = time.Hour

// setAside puts an entry into the file of refused records. It is the drain's alone.
func (d *drainer) setAside(b []byte, cause error) error {
	if d.refusals == nil {
		f, err := d.files.create(refusedName)
		if err != nil {
			return fmt.Errorf("ledger: %w", err)
		}
		d.refusals, d.refusalsEnd = f, 0
		if err := d.files.sync(); err != nil {
			return fmt.Errorf("ledger: %w", err)
		}
	}
	if d.refusalsEnd+int64(len(b)) > d.o.MaxBytes/4 {
		return fmt.Errorf("%w that the store refuses: %w", ErrFull, cause)
	}
	if _, err := d.refusals.WriteAt(b, d.refusalsEnd); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if err := d.refusals.Sync(); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	d.refusalsEnd += int64(len(b))
	d.mu.Lock()
	d.refused++
	d.total += int64(len(b))
	n := d.refused
	d.mu.Unlock()
	if n > d.mostRefused { // else it is, for all that is known, refused again
		d.mostRefused = n
		d.o.Logger.Error("the ledger's store refuses a record: it stays in the journal", "error", cause)
	}
	return nil
}

// takeBack has the refused records of an earlier process drained again. It is part of
// recover.
func (j *Journal) takeBack() error {
	f, err := j.files.open(refusedName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	defer f.Close()
	if _, err := j.rewriteRefused(f); err != nil {
		return err
	}
	if _, err := j.syncAll(); err != nil {
		return err
	}
	if err := j.files.remove(refusedName); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	return nil
}

// rewriteRefused writes the entries of f at the journal's end. seq is what
// [Journal.await] waits for.
func (j *Journal) rewriteRefused(f file) (seq uint64, err error) {
	size, err := f.size()
	if err != nil {
		return 0, fmt.Errorf("ledger: %w", err)
	}
	b := make([]byte, size)
	readHoles(f, b, 0)
	j.mu.Lock()
	defer j.mu.Unlock()
	scan(b, 0, func(e entry) bool {
		if err = j.makeRoom(e.size()); err == nil {
			_, err = j.write(b[e.off : e.off+e.size()])
		}
		return err == nil
	})
	return j.written, err
}

// retryRefused has the refused records drained again. With an error they stay where they
// are; what has been written twice then counts once.
func (d *drainer) retryRefused(ctx context.Context) error {
	if d.refusals == nil || d.refusalsEnd == 0 {
		return nil
	}
	seq, err := d.rewriteRefused(d.refusals)
	if err != nil {
		return err
	}
	if err := d.await(ctx, seq); err != nil {
		return err
	}
	if err := d.refusals.Truncate(0); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.total -= d.refusalsEnd
	d.refused, d.refusalsEnd = 0, 0
	return nil
}
