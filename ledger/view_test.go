package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
)

// at returns a record n minutes after noon.
func at(id string, n int) *llmproxy.Record {
	r := record(id)
	r.Time = noon.Add(time.Duration(n) * time.Minute)
	return r
}

func keep(t *testing.T, j *Journal, records ...*llmproxy.Record) {
	t.Helper()
	for _, r := range records {
		if err := j.Record(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
}

func viewed(t *testing.T, v View, f Filter) (ids []string) {
	t.Helper()
	err := v.Records(t.Context(), f, func(r *llmproxy.Record) error {
		ids = append(ids, fmt.Sprintf("%s.%d", r.ID, r.Revision))
		return nil
	})
	if err != nil {
		t.Fatalf("Records(%+v): %v", f, err)
	}
	return ids
}

// A view shows what the store has and what still waits, each once and in one order, while
// the journal's own process runs.
func TestView(t *testing.T) {
	t.Parallel()
	dir, s := t.TempDir(), &testStore{}
	j, err := Open(dir, s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	pending := created("c")
	pending.Time = noon.Add(3 * time.Minute)
	other := at("a", 1)
	other.Key = "key_2"
	keep(t, j, other, pending, at("e", 5))
	flush(t, j)
	s.set(errDown)
	begin(t, j, "running") // is no record yet
	keep(t, j, at("b", 2), at("d", 4), at("f", 6))
	keep(t, j, settle(pending, record("z")))
	keep(t, j, at("e", 5)) // both have it
	dearer := at("e", 5)
	dearer.Cost = 5
	if err := s.Reprice(t.Context(), []llmproxy.Record{*dearer}); err != nil {
		t.Fatal(err)
	}
	v := View{Store: s, Dir: dir}
	for _, tt := range []struct {
		f    Filter
		want []string
	}{
		{Filter{}, []string{"a.0", "b.0", "c.1", "d.0", "e.0", "f.0"}},
		{Filter{Newest: true}, []string{"f.0", "e.0", "d.0", "c.1", "b.0", "a.0"}},
		{Filter{Limit: 3}, []string{"a.0", "b.0", "c.1"}},
		{Filter{Limit: 2, After: "b"}, []string{"c.1", "d.0"}},
		{Filter{Limit: 2, After: "c"}, []string{"d.0", "e.0"}},
		{Filter{After: "e"}, []string{"f.0"}},
		{Filter{After: "f"}, nil},
		{Filter{After: "d", Newest: true, Limit: 2}, []string{"c.1", "b.0"}},
		{Filter{Outcome: llmproxy.OutcomePending}, nil}, // the store's c is no more
		{Filter{Key: "key_2"}, []string{"a.0"}},
		{Filter{Since: noon.Add(2 * time.Minute), Until: noon.Add(5 * time.Minute)}, []string{"b.0", "c.1", "d.0"}},
		{Filter{ID: "d"}, []string{"d.0"}},
	} {
		if got := viewed(t, v, tt.f); !slices.Equal(got, tt.want) {
			t.Errorf("%+v: got %v, want %v", tt.f, got, tt.want)
		}
	}
	if err := v.Records(t.Context(), Filter{ID: "e"}, func(r *llmproxy.Record) error {
		if r.Cost != 5 {
			t.Errorf("e costs %s: that is what it did before it was repriced", r.Cost)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	enough := errors.New("enough of it")
	if err := v.Records(t.Context(), Filter{}, func(*llmproxy.Record) error { return enough }); err != enough { //nolint:errorlint // as it is
		t.Errorf("got %v", err)
	}
	if err := v.Records(t.Context(), Filter{After: "nobody"}, nil); err == nil {
		t.Error("no error where there is nothing to go on after")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := v.Records(ctx, Filter{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	s.set(nil)
	flush(t, j)
	want := []string{"a.0", "b.0", "c.1", "d.0", "e.0", "f.0"}
	if got := viewed(t, v, Filter{}); !slices.Equal(got, want) {
		t.Errorf("drained: got %v, want %v", got, want)
	}
	if err := Undrained(dir, func(r *llmproxy.Record) error { return errors.New(r.ID) }); err != nil {
		t.Errorf("undrained still: %v", err)
	}
	finish(t, j, "running")
	j.shut(t)
}

// Reading tolerates what another process is in the midst of writing.
func TestUndrainedTornEnd(t *testing.T) {
	t.Parallel()
	dir, s := t.TempDir(), &testStore{down: errDown}
	j, err := Open(dir, s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	keep(t, j, at("a", 1), at("b", 2))
	name := filepath.Join(dir, segmentName(1))
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	end, _ := scan(b, 0, func(entry) bool { return true })
	copy(b[end:], b[len(segmentHeader):len(segmentHeader)+100])
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := Undrained(dir, func(r *llmproxy.Record) error { got = append(got, r.ID); return nil }); err != nil {
		t.Fatal(err)
	}
	sameIDs(t, "undrained", got, "a", "b")
	j.halt()
}

func TestUndrainedNothing(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "missing")} {
		if err := Undrained(dir, nil); err != nil {
			t.Errorf("%v", err)
		}
	}
}

// The files are the owner's alone.
func TestModes(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "journal")
	j, err := Open(dir, &testStore{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 3 {
		t.Fatalf("%v, %v", list, err)
	}
	for _, e := range list {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
		}
	}
	j.shut(t)
}

// zeros is what takes the place of allocating where a system cannot.
func TestZeros(t *testing.T) {
	t.Parallel()
	f, err := directory(t.TempDir()).create("f")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := zeros(f, 100_000); err != nil {
		t.Fatal(err)
	}
	if n, err := f.size(); n != 100_000 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}
