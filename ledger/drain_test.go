package ledger

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmproxy/llmproxy"
)

// While the store is down the drain asks less and less often, and nothing is lost.
func TestStoreDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l log
		s := &testStore{down: errDown}
		j := started(t, newDisk(), s, Options{Logger: l.logger()})
		start := time.Now()
		finish(t, j, "a")
		pass(14 * time.Second)
		finish(t, j, "b")
		if st := j.Stats(); !errors.Is(st.StoreErr, errDown) || !st.Behind {
			t.Errorf("%+v", st)
		}
		s.set(nil)
		pass(5 * time.Second)
		sameIDs(t, "when it is up again", s.ids(t), "a.0", "b.0")
		if st := j.Stats(); st.StoreErr != nil || st.Behind {
			t.Errorf("%+v", st)
		}
		var tries []time.Duration
		calls, _ := s.appends()
		for i, at := range calls {
			if i == 0 || at != calls[i-1] { // else it is b's turn
				tries = append(tries, at.Sub(start))
			}
		}
		const ms = time.Millisecond
		want := []time.Duration{100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3200 * ms, 6400 * ms, 11400 * ms, 16400 * ms}
		if !reflect.DeepEqual(tries, want) {
			t.Errorf("tried at %v, want %v", tries, want)
		}
		if n := strings.Count(l.String(), "does not take records"); n != 1 {
			t.Errorf("%d lines about it: %s", n, &l)
		}
		if !strings.Contains(l.String(), "is drained again") {
			t.Errorf("no line about its return: %s", &l)
		}
		j.shut(t)
	})
}

// A store that hangs is a store that is down.
func TestStoreHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &hangingStore{Memory: NewMemory()}
		s.hang.Store(true)
		j := started(t, newDisk(), s, Options{})
		finish(t, j, "a")
		pass(20 * time.Second)
		s.hang.Store(false)
		pass(10*time.Second + 300*time.Millisecond)
		n := 0
		if err := s.Records(t.Context(), Filter{}, func(*llmproxy.Record) error { n++; return nil }); err != nil || n != 1 {
			t.Errorf("%d records, %v", n, err)
		}
		j.shut(t)
	})
}

type hangingStore struct {
	*Memory
	hang atomic.Bool
}

func (s *hangingStore) Append(ctx context.Context, records []llmproxy.Record) error {
	if s.hang.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.Memory.Append(ctx, records)
}

// Many records become few appends, none larger than it may.
func TestBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &testStore{}
		j := started(t, newDisk(), s, Options{})
		for i := range 1200 {
			begin(t, j, fmt.Sprint(i))
			finish(t, j, fmt.Sprint(i))
		}
		pass(time.Second)
		if _, sizes := s.appends(); !slices.Equal(sizes, []int{500, 500, 200}) {
			t.Errorf("got batches of %v", sizes)
		}
		j.shut(t)
	})
}

// A record that the store refuses does not keep others from it. It stays in the journal,
// and the next process tries again.
func TestRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l log
		d, s := newDisk(), &testStore{refuses: func(r *llmproxy.Record) bool { return r.ID == "bad" }}
		j := started(t, d, s, Options{Logger: l.logger()})
		finish(t, j, "a", "bad", "b")
		pass(10 * time.Second)
		finish(t, j, "c")
		pass(time.Second)
		sameIDs(t, "the others", s.ids(t), "a.0", "b.0", "c.0")
		if st := j.Stats(); st.Refused != 1 || st.Behind {
			t.Errorf("%+v", st)
		}
		if n := strings.Count(l.String(), "refuses a record"); n != 1 || strings.Contains(l.String(), "bad") {
			t.Errorf("the log: %s", &l)
		}
		j.halt()
		d = d.crash()
		j = started(t, d, s, Options{}) // refused again
		finish(t, j, "d")
		pass(10 * time.Second)
		sameIDs(t, "the others, after a restart", s.ids(t), "a.0", "b.0", "c.0", "d.0")
		j.shut(t)
		s.refuses = nil
		j = started(t, d, s, Options{})
		j.shut(t)
		sameIDs(t, "in the end", s.ids(t), "a.0", "b.0", "bad.0", "c.0", "d.0")
		if names, _ := d.names(); len(names) != 1 || names[0] != checkpointName {
			t.Errorf("files left: %v", names)
		}
	})
}

// A store that is down is not taken for one that refuses.
func TestDownIsNotRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &testStore{down: errDown}
		j := started(t, newDisk(), s, Options{})
		for i := range 600 {
			finish(t, j, fmt.Sprint(i))
		}
		pass(10 * time.Minute)
		if st := j.Stats(); st.Refused != 0 {
			t.Errorf("%+v", st)
		}
		s.set(nil)
		j.shut(t)
		if n := len(s.all(t)); n != 600 {
			t.Errorf("%d records", n)
		}
	})
}

// A disk that gets full in the midst of a batch is no fault of the records, although what the
// store has already it takes again.
func TestFullIsNotRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const all = 600
		s := &fullStore{Memory: NewMemory()}
		s.room.Store(7)
		j := started(t, newDisk(), s, Options{})
		for i := range all {
			finish(t, j, fmt.Sprint(i))
		}
		pass(10 * time.Minute)
		if st := j.Stats(); st.Refused != 0 || !errors.Is(st.StoreErr, syscall.ENOSPC) {
			t.Errorf("%+v", st)
		}
		s.room.Store(all)
		j.shut(t)
		if got, err := s.Sums(t.Context(), Filter{}, ByNothing); err != nil || len(got) != 1 || got[0].Exchanges != all {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

// fullStore has room for so many records more. An append that is too large for it keeps
// what fits: it is repeated, and then has less that is new.
type fullStore struct {
	*Memory
	room atomic.Int64
}

func (s *fullStore) Append(ctx context.Context, records []llmproxy.Record) error {
	for i := range records {
		if s.has(ctx, records[i].ID) {
			continue
		}
		if s.room.Add(-1) < 0 {
			s.room.Store(0)
			return syscall.ENOSPC
		}
		if err := s.Memory.Append(ctx, records[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (s *fullStore) has(ctx context.Context, id string) (found bool) {
	_ = s.Records(ctx, Filter{ID: id}, func(*llmproxy.Record) error { found = true; return nil })
	return found
}

// Records that were refused are tried again after a while, without a restart, and nobody is
// told twice that they are refused.
func TestRefusedAreTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l log
		var accepts atomic.Bool
		d := newDisk()
		s := &testStore{refuses: func(r *llmproxy.Record) bool { return strings.HasPrefix(r.ID, "bad") && !accepts.Load() }}
		j := started(t, d, s, Options{Logger: l.logger()})
		finish(t, j, "bad1", "a", "b", "bad2", "c")
		pass(time.Second)
		size := j.Stats().Bytes
		pass(2*refusedEvery + time.Second)
		sameIDs(t, "while they are refused", s.ids(t), "a.0", "b.0", "c.0")
		if st := j.Stats(); st.Refused != 2 || st.Bytes != size || st.Behind {
			t.Errorf("%+v, want 2 refused in %d bytes", st, size)
		}
		if n := strings.Count(l.String(), "refuses a record"); n != 2 {
			t.Errorf("%d lines about them: %s", n, &l)
		}
		accepts.Store(true)
		pass(refusedEvery)
		sameIDs(t, "in the end", s.ids(t), "a.0", "b.0", "bad1.0", "bad2.0", "c.0")
		if st := j.Stats(); st.Refused != 0 {
			t.Errorf("%+v", st)
		}
		j.shut(t)
	})
}

// Flush says when a record it waited for is not in the store.
func TestFlushTellsOfRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &testStore{refuses: func(r *llmproxy.Record) bool { return r.ID == "bad" }}
		j := started(t, newDisk(), s, Options{})
		finish(t, j, "bad", "a")
		if err := j.Flush(t.Context()); err == nil || !strings.Contains(err.Error(), "refuses 1 record") {
			t.Errorf("got %v", err)
		}
		flush(t, j)
		j.shut(t)
	})
}

// A part of the journal that cannot be read costs what is in it.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l log
		d, s := newDisk(), &testStore{}
		j := started(t, &badBlocks{disk: d, from: 8 << 10, to: 12 << 10}, s, Options{Logger: l.logger()})
		for i := range 40 {
			finish(t, j, fmt.Sprintf("id%02d", i))
		}
		pass(time.Minute)
		j.shut(t)
		got := s.ids(t)
		if len(got) < 30 || len(got) > 37 || got[0] != "id00.0" || got[len(got)-1] != "id39.0" {
			t.Errorf("got %v", got)
		}
		if !strings.Contains(l.String(), `cannot be read" segment=1 bytes=4096`) {
			t.Errorf("the log: %s", &l)
		}
	})
}

// badBlocks is a disk that cannot read one part of each file.
type badBlocks struct {
	*disk
	from, to int64
}

func (b *badBlocks) create(name string) (file, error) {
	f, err := b.disk.create(name)
	return &badFile{f, b}, err
}

type badFile struct {
	file
	b *badBlocks
}

func (f *badFile) ReadAt(b []byte, off int64) (int, error) {
	if off < f.b.to && off+int64(len(b)) > f.b.from {
		return 0, errors.New("input/output error")
	}
	return f.file.ReadAt(b, off)
}
