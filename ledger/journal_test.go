package ledger

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmproxy/llmproxy"
)

// What is recorded is in the store within a second, whole, and the files go with the last
// of it.
func TestJournal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, durability := range []Durability{DurabilityWrite, DurabilityFsync} {
			d, s := newDisk(), &testStore{}
			j := started(t, d, s, Options{Durability: durability})
			start := time.Now()
			begin(t, j, "a", "b")
			finish(t, j, "a", "refused") // one that never began
			if waited := time.Since(start); waited != 0 {
				t.Errorf("%s: writing took %s of waiting", durability, waited)
			}
			pass(time.Second)
			got := s.all(t)
			want := []llmproxy.Record{*record("a"), *record("refused")}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: after a second:\n got %+v\nwant %+v", durability, got, want)
			}
			if st := j.Stats(); st.Open != 1 || st.Behind || st.StoreErr != nil {
				t.Errorf("%s: %+v", durability, st)
			}
			finish(t, j, "b")
			j.shut(t)
			sameIDs(t, "after Close", s.ids(t), "a.0", "b.0", "refused.0")
			if left := d.segments(); len(left) != 0 {
				t.Errorf("%s: files left: %v", durability, left)
			}
			if err := j.Begin(t.Context(), intent("c")); !errors.Is(err, errJournalClosed) {
				t.Errorf("Begin after Close: %v", err)
			}
			if err := j.Record(t.Context(), record("c")); !errors.Is(err, errJournalClosed) {
				t.Errorf("Record after Close: %v", err)
			}
			if err := j.Close(t.Context()); !errors.Is(err, errJournalClosed) {
				t.Errorf("Close again: %v", err)
			}
		}
	})
}

// Recording twice counts once, and so does replaying twice.
func TestTwiceCountsOnce(t *testing.T) {
	t.Parallel()
	d, s := newDisk(), &testStore{}
	j := started(t, d, s, Options{})
	begin(t, j, "a", "a")
	finish(t, j, "a", "a")
	flush(t, j)
	finish(t, j, "a")
	j.halt()
	again := d.crash()
	delete(again.now, checkpointName) // as after a power cut: all of it is drained again
	j = started(t, again, s, Options{})
	flush(t, j)
	j.halt()
	j = started(t, again.crash(), s, Options{})
	j.shut(t)
	got := s.all(t)
	if !reflect.DeepEqual(got, []llmproxy.Record{*record("a")}) {
		t.Errorf("got %+v", got)
	}
}

// What the store has is not given to it again by the next process.
func TestCheckpointIsKept(t *testing.T) {
	t.Parallel()
	d, s := newDisk(), &testStore{}
	j := started(t, d, s, Options{})
	begin(t, j, "open")
	finish(t, j, "a", "b")
	flush(t, j)
	j.halt()
	_, before := s.appends()
	j = started(t, d.crash(), s, Options{})
	finish(t, j, "c")
	j.shut(t)
	n := 0
	_, sizes := s.appends()
	for _, size := range sizes[len(before):] {
		n += size
	}
	sameIDs(t, "records", s.ids(t), "a.0", "b.0", "c.0", "open.0")
	if n != 2 {
		t.Errorf("the store was given %d records, want c and open", n)
	}
}

// A full disk, and a store that could take what fills it: the next process makes room.
func TestRecoveryOnFullDisk(t *testing.T) {
	t.Parallel()
	d, s := newDisk(), &testStore{down: errDown}
	j := started(t, d, s, Options{})
	if err := j.Record(t.Context(), created("p")); err != nil {
		t.Fatal(err)
	}
	begin(t, j, "a", "b")
	finish(t, j, "b", "c")
	j.halt()
	d = d.crash()
	d.capacity = d.used()
	for name, c := range d.now { // somebody else has what was not used
		if _, ok := segmentNumber(name); ok {
			end, _ := scan(c.now, 0, func(entry) bool { return true })
			d.capacity -= int64(len(c.now)) - end
		}
	}
	if _, err := open(d, s, Options{}); !errors.Is(err, syscall.ENOSPC) || !errors.Is(err, errDown) {
		t.Errorf("with the store down: %v", err)
	}
	s.set(nil)
	_, err := open(d, s, Options{})
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("less than a segment is free: %v", err)
	}
	d.capacity += mib
	j = started(t, d, s, Options{})
	settleIt(t, j, "p", "z", false) // the store has had p since the attempt before
	j.shut(t)
	sameIDs(t, "records", s.ids(t), "a.0", "b.0", "c.0", "p.1")
}

// An intent without an end becomes a record, once, whatever the next processes do.
func TestRecovery(t *testing.T) {
	t.Parallel()
	d, s := newDisk(), &testStore{down: errDown}
	j := started(t, d, s, Options{})
	begin(t, j, "a", "b", "c", "d")
	finish(t, j, "b")
	j.halt()
	for range 3 { // each dies before the store is up
		d = d.crash()
		j = started(t, d, s, Options{})
		finish(t, j, "c") // a client of an earlier process has it from nowhere; still no harm
		j.halt()
	}
	s.set(nil)
	j = started(t, d.crash(), s, Options{})
	j.shut(t)
	sameIDs(t, "records", s.ids(t), "a.0", "b.0", "c.0", "d.0")
	want := *intent("a")
	want.Outcome, want.UsageSource, want.CostState = llmproxy.OutcomeError, llmproxy.UsageNone, llmproxy.CostEstimated
	want.Error = &llmproxy.RecordError{Type: "server_error", Code: "gateway_died", Message: "the gateway ended before the answer did"}
	if got := s.all(t)[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
	if got := s.all(t)[1]; !reflect.DeepEqual(got, *record("b")) {
		t.Errorf("b has not its own record: %+v", got)
	}
}

// The records that are made of intents are durable before anything else happens: the
// intents may go then.
func TestRecoveryIsSynced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, s := newDisk(), &testStore{}
		j := started(t, d, s, Options{})
		begin(t, j, "a")
		j.halt()
		d = d.crash()
		j = started(t, d, s, Options{})
		cut := d.powerCut(nil)
		newest := cut.segments()[len(cut.segments())-1]
		if got := found(cut.now[newest].now); len(got) != 1 || !strings.Contains(got[0], "gateway_died") {
			t.Errorf("%s holds %q", newest, got)
		}
		j.shut(t)
	})
}

// The next file is there before the one in use is full.
func TestRoomAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, s := newDisk(), &testStore{down: errDown}
		j := started(t, d, s, Options{SegmentBytes: smallestSegment})
		for i := 0; j.Stats().Written < smallestSegment/2-2000; i++ {
			finish(t, j, fmt.Sprint("a", i))
		}
		synctest.Wait()
		if n := len(d.segments()); n != 1 {
			t.Errorf("%d segments, and one is half empty", n)
		}
		for i := 0; j.Stats().Written < smallestSegment/2; i++ {
			finish(t, j, fmt.Sprint("b", i))
		}
		synctest.Wait()
		if n, st := len(d.segments()), j.Stats(); n != 2 || st.Segments != 2 || st.Bytes != 2*smallestSegment {
			t.Errorf("%d segments, %+v", n, st)
		}
		s.set(nil)
		j.shut(t)
		if left := d.segments(); len(left) != 0 {
			t.Errorf("files left: %v", left)
		}
	})
}

// A torn end is cut; damage in between costs what is damaged and nothing behind it.
func TestDamage(t *testing.T) {
	t.Parallel()
	d, s := newDisk(), &testStore{down: errDown}
	j := started(t, d, s, Options{})
	finish(t, j, "a", "b", "c")
	j.halt()
	d = d.crash()
	name := d.segments()[0]
	c := d.now[name]
	var offs []int64
	end, damaged := scan(c.now, 0, func(e entry) bool {
		offs = append(offs, e.off)
		return true
	})
	if len(offs) != 3 || damaged != 0 {
		t.Fatalf("%d entries, %d damaged", len(offs), damaged)
	}
	c.now[offs[1]+20] ^= 1
	copy(c.now[end:], c.now[offs[0]:offs[0]+50]) // the beginning of a fourth
	var l log
	s.set(nil)
	j = started(t, d, s, Options{Logger: l.logger()})
	finish(t, j, "d")
	j.shut(t)
	sameIDs(t, "records", s.ids(t), "a.0", "c.0", "d.0")
	for _, want := range []string{`torn end" segment=1 bytes=50`, `the rest of it has been read" segment=1 places=1`} {
		if !strings.Contains(l.String(), want) {
			t.Errorf("the log has no %s: %s", want, &l)
		}
	}
}

// Entries of kinds that a later version writes are none of ours.
func TestUnknownKind(t *testing.T) {
	t.Parallel()
	d, s := newDisk(), &testStore{}
	j := started(t, d, s, Options{})
	finish(t, j, "a")
	j.mu.Lock()
	b := append(make([]byte, entryHead), `{"hold":1}`...)
	seal(b, 200)
	if _, err := j.write(b); err != nil {
		t.Fatal(err)
	}
	j.mu.Unlock()
	finish(t, j, "b")
	j.halt()
	j = started(t, d.crash(), s, Options{})
	j.shut(t)
	sameIDs(t, "records", s.ids(t), "a.0", "b.0")
}

// A whole segment of a later version is an error, not something to be deleted.
func TestLaterVersion(t *testing.T) {
	t.Parallel()
	d := newDisk()
	f, err := d.create(segmentName(7))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("llmpj02\nsomething else"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := open(d, &testStore{}, Options{}); !errors.Is(err, errVersion) || !strings.Contains(err.Error(), segmentName(7)) {
		t.Errorf("got %v", err)
	}
	if d.locked {
		t.Error("the lock is held still")
	}
}

func TestLocked(t *testing.T) {
	t.Parallel()
	dir, s := t.TempDir(), &testStore{}
	j, err := Open(dir, s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, s, Options{}); !errors.Is(err, ErrLocked) {
		t.Errorf("a second journal: %v", err)
	}
	j.shut(t)
	j, err = Open(dir, s, Options{})
	if err != nil {
		t.Fatalf("after Close: %v", err)
	}
	j.shut(t)
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{Durability: "perhaps"}, {MaxBytes: 1}} {
		if _, err := open(newDisk(), &testStore{}, o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	o, err := Options{MaxBytes: 8 * mib}.withDefaults()
	if err != nil || o.SegmentBytes != 2*mib || o.PendingAge != 30*24*time.Hour || o.Durability != DurabilityWrite {
		t.Errorf("%+v, %v", o, err)
	}
}

// Segments go once they are drained. An intent in them whose exchange goes on moves on.
func TestSegmentsGo(t *testing.T) {
	t.Parallel()
	d, s := newDisk(), &testStore{}
	j := started(t, d, s, Options{SegmentBytes: smallestSegment})
	begin(t, j, "long")
	long := strings.Repeat("x", 1000)
	for i := range 2000 { // some 4 MB
		r := record(fmt.Sprintf("r%04d", i))
		r.Tags["text"] = long
		if err := j.Begin(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if err := j.Record(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if i%100 == 99 {
			if err := j.await(t.Context(), j.Stats().Written); err != nil {
				t.Fatal(err)
			}
			flush(t, j)
		}
	}
	flush(t, j)
	if n := len(d.segments()); n > 4 {
		t.Errorf("%d segments are left", n)
	}
	if st := j.Stats(); st.Bytes > 4*smallestSegment || st.Segments != len(d.segments()) || st.Bytes < d.used()-1000 || st.Bytes > d.used() {
		t.Errorf("%+v, the disk has %d bytes in %d segments", st, d.used(), len(d.segments()))
	}
	j.halt()
	j = started(t, d.crash(), s, Options{SegmentBytes: smallestSegment})
	j.shut(t)
	got := s.all(t)
	if len(got) != 2001 {
		t.Fatalf("%d records", len(got))
	}
	if r := got[0]; r.ID != "long" || r.Error == nil || r.Error.Code != "gateway_died" {
		t.Errorf("the long one: %+v", r)
	}
}

// A record that no entry can hold is shortened, not lost.
func TestTooLong(t *testing.T) {
	t.Parallel()
	s := &testStore{}
	j := started(t, newDisk(), s, Options{})
	r := record("a")
	r.ModelRequested = strings.Repeat("m", mib)
	r.Tags = map[string]string{}
	for i := range 10_000 {
		r.Tags[fmt.Sprint("tag", i)] = strings.Repeat("v", 100)
	}
	r.Items, r.Attempts = make([]llmproxy.Item, 1000), make([]llmproxy.Attempt, 1000)
	for i := range r.Items {
		r.Items[i].Model, r.Attempts[i].Error = strings.Repeat("m", 5000), strings.Repeat("e", 5000)
	}
	r.Error = &llmproxy.RecordError{Message: strings.Repeat("\x01", mib)}
	if err := j.Begin(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := j.Record(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	j.shut(t)
	got := s.all(t)
	if len(got) != 1 || got[0].Usage != r.Usage || got[0].Cost != r.Cost || !strings.HasPrefix(got[0].ModelRequested, "mmm") || len(got[0].Tags) == 0 {
		t.Fatalf("got %d records", len(got))
	}
	if len(r.Tags) != 10_000 || len(r.ModelRequested) != mib {
		t.Error("the caller's record was changed")
	}
}

// Close does not wait for a store that is down longer than it may, and loses nothing.
func TestCloseWithStoreDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, s := newDisk(), &testStore{down: errDown}
		j := started(t, d, s, Options{})
		begin(t, j, "a")
		finish(t, j, "a")
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		err := j.Close(ctx)
		if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errDown) || took != 3*time.Second {
			t.Errorf("got %v after %s", err, took)
		}
		if err := j.Flush(t.Context()); !errors.Is(err, errJournalClosed) {
			t.Errorf("Flush after Close: %v", err)
		}
		s.set(nil)
		j = started(t, d.crash(), s, Options{})
		j.shut(t)
		sameIDs(t, "records", s.ids(t), "a.0")
	})
}

// The journal does not write what it must not keep.
func TestNothingIsKept(t *testing.T) {
	t.Parallel()
	d, s := newDisk(), &testStore{down: errDown}
	j := started(t, d, s, Options{})
	r := created("a")
	if err := j.Record(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	r.Tags["team"], r.Attempts[0].Provider, r.Model = "changed", "changed", "changed"
	if ok, err := j.Settle(t.Context(), "openai", "resp_a", record("z")); !ok || err != nil {
		t.Fatal(ok, err)
	}
	s.set(nil)
	j.shut(t)
	got := s.all(t)
	want := *record("a")
	want.Revision = 1
	if len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
	if !slices.Equal(s.ids(t), []string{"a.1"}) {
		t.Errorf("got %v", s.ids(t))
	}
}
