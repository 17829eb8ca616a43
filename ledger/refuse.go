package ledger

import (
	"errors"
	"fmt"
	"io/fs"
)

// refusedName is the file of records that the store does not take although it takes
// others. They stay part of the journal: a View shows them, and each Open tries them again.
const refusedName = "refused"

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
	d.o.Logger.Error("the ledger's store refuses a record: it stays in the journal", "error", cause)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refused++
	d.total += int64(len(b))
	return nil
}

// takeBack has the refused records of an earlier process drained again: another version of
// the store may take them. It is part of recover.
func (j *Journal) takeBack() error {
	f, err := j.files.open(refusedName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	defer f.Close()
	size, err := f.size()
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	b := make([]byte, size)
	readHoles(f, b, 0)
	scan(b, 0, func(e entry) bool {
		_, err = j.write(b[e.off : e.off+e.size()])
		return err == nil
	})
	if err != nil {
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
