package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// With DurabilityFsync nothing that was acknowledged is lost by a power cut, at whichever
// moment it comes: neither a record, nor that an exchange had begun.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	rounds := 40
	if testing.Short() {
		rounds = 5
	}
	for n := range rounds {
		if begun, ended, lost := cutPower(t, newDisk(), rand.New(rand.NewPCG(uint64(n), 1))); len(lost) > 0 {
			t.Fatalf("seed %d: of %d exchanges, %d of them ended, these are lost: %v", n, begun, ended, lost)
		}
	}
}

// The same on a disk whose fsync does nothing must fail: else it shows nothing.
func TestPowerCutWithoutSync(t *testing.T) {
	t.Parallel()
	for n := range 5 {
		d := newDisk()
		d.deaf = true
		if _, _, lost := cutPower(t, d, rand.New(rand.NewPCG(uint64(n), 1))); len(lost) > 0 {
			return
		}
	}
	t.Error("nothing is lost where nothing is synced")
}

// cutPower runs exchanges until the power is cut in the midst of them, and returns those
// that were acknowledged and are not there afterwards.
func cutPower(t *testing.T, d *disk, r *rand.Rand) (begun, ended int, lost []string) {
	t.Helper()
	s := &testStore{down: errDown}
	j := started(t, d, s, Options{Durability: DurabilityFsync, SegmentBytes: smallestSegment})
	var mu sync.Mutex
	acknowledged := map[string]int{} // 1: begun, 2: ended
	acknowledge := func(id string, state int) int {
		mu.Lock()
		defer mu.Unlock()
		acknowledged[id] = state
		return len(acknowledged)
	}
	enough := make(chan struct{})
	after := 20 + r.IntN(300)
	var once sync.Once
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				id := fmt.Sprintf("w%d-%05d", w, i)
				if j.Begin(ctx, intent(id)) != nil {
					return
				}
				if acknowledge(id, 1) >= after {
					once.Do(func() { close(enough) })
				}
				if i%5 != 0 && j.Record(ctx, record(id)) == nil {
					acknowledge(id, 2)
				}
			}
		})
	}
	<-enough
	mu.Lock()
	before := make(map[string]int, len(acknowledged))
	for id, state := range acknowledged {
		before[id] = state
	}
	mu.Unlock()
	found := d.powerCut(r)
	cancel()
	wg.Wait()
	j.halt()

	up := &testStore{}
	j = started(t, found, up, Options{Durability: DurabilityFsync})
	j.shut(t)
	have := map[string]bool{} // whether it is the exchange's own
	for _, r := range up.all(t) {
		have[r.ID] = r.Error == nil
	}
	for id, state := range before {
		begun++
		own, ok := have[id]
		if state == 2 {
			ended++
		}
		if !ok || state == 2 && !own {
			lost = append(lost, id)
		}
	}
	return begun, ended, lost
}

// A segment whose fsync fails is not believed any more: what was in doubt is written and
// synced elsewhere before anybody is told that it is safe.
func TestSyncFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l log
		d, s := newDisk(), &testStore{down: errDown}
		j := started(t, d, s, Options{Durability: DurabilityFsync, Logger: l.logger()})
		begin(t, j, "a", "b")
		bad := segmentName(j.active.number)
		fails := 0
		d.mu.Lock()
		d.syncing = func(name string) error {
			if name != bad {
				return nil
			}
			fails++
			// As Linux does it: what could not be written is dropped, and the next
			// fsync succeeds.
			d.now[bad].now = append([]byte(nil), d.now[bad].kept...)
			if fails > 1 {
				return nil
			}
			return syscall.EIO
		}
		d.mu.Unlock()
		finish(t, j, "a")
		begin(t, j, "c")
		finish(t, j, "c")
		cut := d.powerCut(nil)
		j.halt()
		if fails != 1 {
			t.Errorf("the broken segment was synced %d times", fails)
		}
		up := &testStore{}
		j = started(t, cut, up, Options{})
		j.shut(t)
		sameIDs(t, "records", up.ids(t), "a.0", "b.0", "c.0")
		for i, r := range up.all(t) {
			if own := r.Error == nil; own != (i != 1) {
				t.Errorf("%s has its own record: %t", r.ID, own)
			}
		}
	})
}

// Where what is in doubt cannot be written elsewhere at once, it is not durable until it
// has been: asking the disk once more is not enough.
func TestSyncFailsOnFullDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, s := newDisk(), &testStore{down: errDown}
		j := started(t, d, s, Options{Durability: DurabilityFsync})
		begin(t, j, "a")
		bad := segmentName(j.active.number)
		fails := 0
		d.mu.Lock()
		d.capacity = d.bytes()
		d.syncing = func(name string) error {
			if fails++; fails == 1 {
				d.now[bad].now = append([]byte(nil), d.now[bad].kept...)
				return syscall.EIO
			}
			return nil
		}
		d.mu.Unlock()
		if err := j.Record(t.Context(), record("a")); !errors.Is(err, ErrNotDurable) {
			t.Errorf("Record: %v", err)
		}
		pass(time.Minute)
		if st := j.Stats(); st.Unsound == nil {
			t.Error("the disk is believed again")
		}
		d.mu.Lock()
		d.capacity = 0
		d.mu.Unlock()
		pass(time.Minute)
		cut := d.powerCut(nil)
		j.halt()
		up := &testStore{}
		j = started(t, cut, up, Options{})
		j.shut(t)
		if got := up.all(t); len(got) != 1 || got[0].Error != nil {
			t.Errorf("got %+v", got)
		}
	})
}

// Where no fsync succeeds, nothing begins, records go to the store, and all is well again
// when the disk is.
func TestNoSyncSucceeds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, s := newDisk(), &testStore{}
		j := started(t, d, s, Options{Durability: DurabilityFsync})
		begin(t, j, "a")
		d.mu.Lock()
		d.syncing = func(string) error { return syscall.EIO }
		d.mu.Unlock()
		finish(t, j, "a") // by way of the store
		sameIDs(t, "in the store", s.ids(t), "a.0")
		if err := j.Begin(t.Context(), intent("b")); !errors.Is(err, ErrNotDurable) {
			t.Errorf("Begin: %v", err)
		}
		if st := j.Stats(); !errors.Is(st.Unsound, syscall.EIO) {
			t.Errorf("%+v", st)
		}
		s.set(errDown)
		if err := j.Record(t.Context(), record("c")); !errors.Is(err, ErrNotDurable) || !errors.Is(err, errDown) {
			t.Errorf("Record with the store down: %v", err)
		}
		s.set(nil)
		pass(time.Minute)
		if n := len(d.segments()); n > 30 {
			t.Errorf("%d segments came of it", n)
		}
		d.mu.Lock()
		d.syncing = nil
		d.mu.Unlock()
		pass(time.Minute)
		begin(t, j, "b")
		finish(t, j, "b")
		j.shut(t)
		sameIDs(t, "in the end", s.ids(t), "a.0", "b.0", "c.0")
	})
}

// Without durability fsync nobody waits, and the disk is asked within 10 ms all the same,
// once for all that came meanwhile.
func TestGroupCommit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, s := newDisk(), &testStore{}
		j := started(t, d, s, Options{})
		pass(time.Second)
		before := d.synced()
		for i := range 50 {
			begin(t, j, fmt.Sprint(i))
		}
		if synctest.Wait(); d.synced() != before {
			t.Errorf("%d syncs at once", d.synced()-before)
		}
		pass(commitEvery)
		synctest.Wait()
		if n := d.synced() - before; n != 1 {
			t.Errorf("%d syncs", n)
		}
		if cut := d.powerCut(nil); len(cut.segments()) != 1 {
			t.Errorf("after a power cut: %v", cut.segments())
		} else {
			n := 0
			scan(cut.now[cut.segments()[0]].now, 0, func(entry) bool { n++; return true })
			if n != 50 {
				t.Errorf("%d entries have survived a power cut", n)
			}
		}
		for i := range 50 {
			finish(t, j, fmt.Sprint(i))
		}
		j.shut(t)
	})
}

// Who waits for the disk stops waiting with its context.
func TestAwaitCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, s := newDisk(), &testStore{down: errDown}
		j := started(t, d, s, Options{Durability: DurabilityFsync})
		begin(t, j, "a")
		release := make(chan struct{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		slow := &slowSync{file: j.active.file, release: release}
		j.mu.Lock()
		j.active.file = slow
		j.mu.Unlock()
		err := j.Record(ctx, record("a"))
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errDown) {
			t.Errorf("got %v", err)
		}
		close(release)
		s.set(nil)
		j.shut(t)
		sameIDs(t, "records", s.ids(t), "a.0")
	})
}

// slowSync is a file whose Sync waits.
type slowSync struct {
	file
	release chan struct{}
}

func (s *slowSync) Sync() error {
	<-s.release
	return s.file.Sync()
}
