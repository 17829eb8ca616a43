package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/llmproxy/llmproxy"
)

// Undrained calls yield with the records that are in the journal of a directory and that
// its store may not have yet, in the order in which they were written, until yield returns
// an error, which it returns. It takes no lock and changes nothing: another process may
// write to the journal meanwhile, and drain it. A directory that is not there has none.
func Undrained(dir string, yield func(*llmproxy.Record) error) error {
	return undrained(dir, func(_ *os.File, _ entry, r *llmproxy.Record) error { return yield(r) }, nil)
}

// undrained is Undrained with the place of each record. keep, if it is not nil, gets the
// files, to close them; else they are closed here.
func undrained(dir string, yield func(*os.File, entry, *llmproxy.Record) error, keep func(*os.File)) error {
	from, err := drainedUpTo(dir) // first: what it says is in the store stays there
	if err != nil {
		return err
	}
	list, err := os.ReadDir(dir) // sorted, and so are the numbers of segments
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	for _, item := range list {
		n, ok := segmentNumber(item.Name())
		start := int64(0)
		switch {
		case item.Name() == refusedName:
		case !ok || n < from.segment:
			continue
		case n == from.segment:
			start = from.off
		}
		f, err := os.Open(filepath.Join(dir, item.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // the store has all of it by now
		}
		if err != nil {
			return fmt.Errorf("ledger: %w", err)
		}
		err = undrainedIn(f, start, yield)
		if keep != nil {
			keep(f)
		} else {
			_ = f.Close()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// undrainedIn reads one file from start on.
func undrainedIn(f *os.File, start int64, yield func(*os.File, entry, *llmproxy.Record) error) error {
	size, err := osFile{f}.size()
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if size <= start {
		return nil
	}
	b := make([]byte, size-start)
	readHoles(f, b, start)
	scan(b, start, func(e entry) bool {
		var r llmproxy.Record
		if e.kind == kindRecord && r.UnmarshalJSON(e.payload) == nil {
			err = yield(f, e, &r)
		}
		return err == nil
	})
	return err
}

// drainedUpTo reads a checkpoint that may be another process's.
func drainedUpTo(dir string) (position, error) {
	f, err := os.Open(filepath.Join(dir, checkpointName))
	if errors.Is(err, fs.ErrNotExist) {
		return position{}, nil
	}
	if err != nil {
		return position{}, fmt.Errorf("ledger: %w", err)
	}
	defer f.Close()
	_, p, err := readCheckpoint(f)
	return p, err
}

// View shows a store together with the journal that drains into it, which may be another
// process's, as if the store had all of it.
type View struct {
	Store Store
	Dir   string // the journal's
}

// waiting is a record that the journal has and the store may not have.
type waiting struct {
	id       string
	time     time.Time
	revision int
	selected bool
	file     *os.File
	at, size int64
}

func (w *waiting) key() *llmproxy.Record { return &llmproxy.Record{ID: w.id, Time: w.time} }

// Records is [Store.Records] of both. A record that both have comes once, in its highest
// revision. It keeps some 100 bytes for each record that has not been drained.
func (v View) Records(ctx context.Context, f Filter, yield func(*llmproxy.Record) error) error {
	var files []*os.File
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	byID := map[string]*waiting{}
	// The journal first: what is drained meanwhile is then seen twice, not never.
	err := undrained(v.Dir, func(file *os.File, e entry, r *llmproxy.Record) error {
		if w := byID[r.ID]; w == nil || w.revision < r.Revision {
			byID[r.ID] = &waiting{r.ID, r.Time, r.Revision, f.selects(r), file, e.off, e.size()}
		}
		return ctx.Err()
	}, func(file *os.File) { files = append(files, file) })
	if err != nil {
		return err
	}
	m := merge{byID: byID, newest: f.Newest, limit: f.Limit, yield: yield}
	if f.After != "" {
		if m.after, err = v.find(ctx, f.After, byID); err != nil {
			return err
		}
		if at := m.after.Time; f.Newest && (f.Until.IsZero() || at.Before(f.Until)) {
			f.Until = at.Add(time.Millisecond)
		} else if !f.Newest && at.After(f.Since) {
			f.Since = at
		}
	}
	for _, w := range byID {
		if w.selected && m.comes(w.key()) {
			m.queue = append(m.queue, w)
		}
	}
	slices.SortFunc(m.queue, func(a, b *waiting) int { return m.order(a.key(), b.key()) })
	f.After, f.Limit = "", 0
	if err = v.Store.Records(ctx, f, m.stored); err == nil {
		err = m.rest()
	}
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// find returns what the order of the record id depends on.
func (v View) find(ctx context.Context, id string, byID map[string]*waiting) (*llmproxy.Record, error) {
	if w := byID[id]; w != nil {
		return w.key(), nil
	}
	var found *llmproxy.Record
	err := v.Store.Records(ctx, Filter{ID: id}, func(r *llmproxy.Record) error {
		found = clone(r)
		return nil
	})
	if err == nil && found == nil {
		err = fmt.Errorf("ledger: record %s, to go on after, is not there", id)
	}
	return found, err
}

// errEnough ends a merge at its limit.
var errEnough = errors.New("enough")

// merge brings the store's records and those that wait into one order.
type merge struct {
	byID   map[string]*waiting
	queue  []*waiting
	after  *llmproxy.Record // nil: from the beginning
	newest bool
	limit  int // 0 means none
	yield  func(*llmproxy.Record) error
}

func (m *merge) order(a, b *llmproxy.Record) int {
	if m.newest {
		return order(b, a)
	}
	return order(a, b)
}

// comes reports whether r is behind where to go on.
func (m *merge) comes(r *llmproxy.Record) bool { return m.after == nil || m.order(r, m.after) > 0 }

// stored takes the next record of the store.
func (m *merge) stored(r *llmproxy.Record) error {
	for len(m.queue) > 0 && m.order(m.queue[0].key(), r) < 0 {
		if err := m.pop(); err != nil {
			return err
		}
	}
	if !m.comes(r) {
		return nil
	}
	if w := m.byID[r.ID]; w != nil {
		if w.revision > r.Revision {
			return nil // it has its own turn, if it is selected
		}
		if len(m.queue) > 0 && m.queue[0] == w {
			m.queue = m.queue[1:]
		}
	}
	return m.give(r)
}

// rest yields what only waits.
func (m *merge) rest() error {
	for len(m.queue) > 0 {
		if err := m.pop(); err != nil {
			return err
		}
	}
	return nil
}

func (m *merge) pop() error {
	w := m.queue[0]
	m.queue = m.queue[1:]
	b := make([]byte, w.size)
	var r llmproxy.Record
	if _, err := w.file.ReadAt(b, w.at); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	e, ok := entryAt(b)
	if !ok || r.UnmarshalJSON(e.payload) != nil {
		return fmt.Errorf("ledger: record %s has changed on the disk", w.id)
	}
	return m.give(&r)
}

func (m *merge) give(r *llmproxy.Record) error {
	if err := m.yield(r); err != nil {
		return err
	}
	if m.limit--; m.limit == 0 {
		return errEnough
	}
	return nil
}
