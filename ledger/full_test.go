package ledger

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// At its bound the journal lets nothing begin, and has room for the records of all that
// has. It goes on when the store has taken what was there.
func TestMaxBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, s := newDisk(), &testStore{down: errDown}
		j := started(t, d, s, Options{MaxBytes: 4 * smallestSegment})
		begun, running := fill(t, j, ErrFull)
		if st := j.Stats(); st.Bytes > 4*smallestSegment || st.Bytes+2*slotSize != d.used() {
			t.Errorf("%+v, and the disk holds %d bytes", st, d.used())
		}
		// What never began may use what is left over, and no more.
		var err error
		rejected := -1
		for ; err == nil && rejected < 10; rejected++ {
			err = j.Record(t.Context(), record(fmt.Sprint("rejected", rejected)))
		}
		if !errors.Is(err, ErrFull) || !errors.Is(err, errDown) {
			t.Errorf("records without an intent: %v", err)
		}
		finish(t, j, running...)
		s.set(nil)
		pass(10 * time.Second)
		begin(t, j, "next")
		finish(t, j, "next")
		j.shut(t)
		if n := len(s.all(t)); n != len(begun)+1+rejected {
			t.Errorf("%d records of %d exchanges", n, len(begun)+1+rejected)
		}
	})
}

// fill begins exchanges until that fails with want, ending every other one.
func fill(t *testing.T, j *Journal, want error) (begun, running []string) {
	t.Helper()
	for i := 0; ; i++ {
		id := fmt.Sprintf("f%05d", i)
		err := j.Begin(t.Context(), intent(id))
		if err != nil {
			if !errors.Is(err, want) {
				t.Fatalf("Begin: %v, want %v", err, want)
			}
			return begun, running
		}
		if i%2 == 0 {
			finish(t, j, id)
		} else {
			running = append(running, id)
		}
		begun = append(begun, id)
		if i > 100_000 {
			t.Fatal("it does not get full")
		}
	}
}

// On a disk that somebody else has filled up it is the same.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l log
		d, s := newDisk(), &testStore{down: errDown}
		d.capacity = 3 << 20
		j := started(t, d, s, Options{SegmentBytes: mib, Logger: l.logger()})
		begun, running := fill(t, j, syscall.ENOSPC)
		if err := j.Begin(t.Context(), intent("soon after")); !errors.Is(err, ErrFull) {
			t.Errorf("Begin: %v", err)
		}
		if len(begun) < 1000 {
			t.Errorf("only %d exchanges found room", len(begun))
		}
		finish(t, j, running...)
		j.halt()

		// The next process has a full disk, too, and the records of all.
		d = d.crash()
		s.set(nil)
		j = started(t, d, s, Options{SegmentBytes: mib, Logger: l.logger()})
		j.shut(t)
		got := s.all(t)
		if len(got) != len(begun) {
			t.Errorf("%d records of %d exchanges", len(got), len(begun))
		}
		for _, r := range got {
			if r.Error != nil {
				t.Errorf("%s has no record of its own", r.ID)
				break
			}
		}
	})
}

// Ready says what Begin would: full at the bound, full on a disk that somebody else has
// filled up, and ready again as soon as there is room, without an exchange that tries.
func TestReady(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, s := newDisk(), &testStore{down: errDown}
		j := started(t, d, s, Options{MaxBytes: 4 * smallestSegment})
		ready(t, j, nil)
		_, running := fill(t, j, ErrFull)
		ready(t, j, ErrFull)
		finish(t, j, running...)
		ready(t, j, nil) // they took less than was set aside for them
		begin(t, j, "next")
		finish(t, j, "next")
		s.set(nil)
		j.shut(t)
		if err := j.Ready(); !errors.Is(err, errJournalClosed) {
			t.Errorf("closed: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		d, s := newDisk(), &testStore{down: errDown}
		d.capacity = 3 << 20
		j := started(t, d, s, Options{SegmentBytes: mib})
		_, running := fill(t, j, syscall.ENOSPC)
		ready(t, j, syscall.ENOSPC)
		pass(2 * noRoomPause)
		ready(t, j, syscall.ENOSPC)
		synctest.Wait()
		ready(t, j, ErrFull)
		d.mu.Lock()
		d.capacity = 0
		d.mu.Unlock()
		pass(2 * noRoomPause)
		ready(t, j, ErrFull) // nobody has looked yet
		synctest.Wait()
		ready(t, j, nil)
		begin(t, j, "next")
		finish(t, j, append(running, "next")...)
		s.set(nil)
		j.shut(t)
	})
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		j := started(t, d, &testStore{}, Options{Durability: DurabilityFsync})
		synctest.Wait()
		d.mu.Lock()
		d.syncing = func(string) error { return syscall.EIO }
		d.mu.Unlock()
		if err := j.Begin(t.Context(), intent("a")); !errors.Is(err, ErrNotDurable) {
			t.Errorf("Begin: %v", err)
		}
		ready(t, j, ErrNotDurable)
		j.halt()
	})
}

func ready(t *testing.T, j *Journal, want error) {
	t.Helper()
	if err := j.Ready(); !errors.Is(err, want) {
		t.Errorf("Ready: %v, want %v", err, want)
	}
}

// On a full disk a segment is tried for once a second and not by each write, and there is
// one line about it, and one when there is room again.
func TestFullDiskIsQuiet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l log
		full := &countingDisk{disk: newDisk()}
		s := &testStore{down: errDown}
		j := started(t, full, s, Options{SegmentBytes: mib, Logger: l.logger()})
		synctest.Wait()
		full.mu.Lock()
		full.capacity = full.bytes()
		full.mu.Unlock()
		before := full.created.Load()
		for i := range 900 { // beyond the half of a segment from which on a spare one is made
			finish(t, j, fmt.Sprint("a", i))
			synctest.Wait()
		}
		for i := range 50 {
			pass(noRoomPause / 10)
			finish(t, j, fmt.Sprint("b", i))
			synctest.Wait()
		}
		if n := full.created.Load() - before; n < 5 || n > 6 {
			t.Errorf("%d attempts in five seconds", n)
		}
		if n := strings.Count(l.String(), "gets no further room"); n != 1 {
			t.Errorf("%d lines about it: %s", n, &l)
		}
		full.mu.Lock()
		full.capacity = 0
		full.mu.Unlock()
		for i := range 3 {
			pass(noRoomPause)
			finish(t, j, fmt.Sprint("c", i))
			synctest.Wait()
		}
		if n := strings.Count(l.String(), "gets room again"); n != 1 {
			t.Errorf("%d lines about its end: %s", n, &l)
		}
		s.set(nil)
		j.shut(t)
	})
}

// countingDisk counts the files that are made, or tried to.
type countingDisk struct {
	*disk
	created atomic.Int64
}

func (d *countingDisk) create(name string) (file, error) {
	d.created.Add(1)
	return d.disk.create(name)
}

// A file system that promises space and has none: the record goes straight to the store,
// and if that is down too, the next process makes one of the intent.
func TestPromisedSpaceIsMissing(t *testing.T) {
	t.Parallel()
	d, s := newDisk(), &testStore{}
	d.capacity, d.sparse = 2000, true
	j := started(t, d, s, Options{})
	begin(t, j, "a", "b")
	d.mu.Lock()
	d.capacity = d.bytes()
	d.mu.Unlock()
	finish(t, j, "a")
	sameIDs(t, "in the store", s.ids(t), "a.0")
	if st := j.Stats(); st.Open != 1 {
		t.Errorf("%d exchanges are open, want b alone", st.Open)
	}
	s.set(errDown)
	if err := j.Record(t.Context(), record("b")); !errors.Is(err, syscall.ENOSPC) || !errors.Is(err, errDown) {
		t.Errorf("with the store down: %v", err)
	}
	j.halt()
	d = d.crash()
	d.capacity = 0
	s.set(nil)
	j = started(t, d, s, Options{})
	j.shut(t)
	got := s.all(t)
	if len(got) != 2 || got[0].Error != nil || got[1].ID != "b" || got[1].Error == nil || got[1].Error.Code != "gateway_died" {
		t.Errorf("got %v", s.ids(t))
	}
}

// A torn write is overwritten by the next one.
func TestTornWrite(t *testing.T) {
	t.Parallel()
	d, s := newDisk(), &testStore{}
	j := started(t, d, s, Options{})
	finish(t, j, "a")
	broken := false
	d.mu.Lock()
	d.writing = func(name string, _ int64) error {
		if strings.HasSuffix(name, segmentSuffix) && !broken {
			broken = true
			return syscall.EIO
		}
		return nil
	}
	d.mu.Unlock()
	finish(t, j, "b", "c")
	if !broken {
		t.Error("no write has failed")
	}
	j.halt()
	j = started(t, d.crash(), s, Options{})
	j.shut(t)
	sameIDs(t, "records", s.ids(t), "a.0", "b.0", "c.0")
}
