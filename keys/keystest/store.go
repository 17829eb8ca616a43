// Package keystest holds every [keys.Store], [keys.OwnerStore] and [keys.Holder] to what
// its interface promises.
package keystest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy/keys"
)

// suite runs tests, each on a value of its own.
func suite[T any](t *testing.T, open func(t *testing.T) T, tests map[string]func(t *testing.T, v T)) {
	t.Helper()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// Run runs the suite of stores. open returns a new, empty store, which it closes at the
// test's end, and is called once by each test.
func Run(t *testing.T, open func(t *testing.T) keys.Store) {
	t.Helper()
	suite(t, open, map[string]func(*testing.T, keys.Store){
		"Empty":       testEmpty,
		"Lossless":    testLossless,
		"Ownership":   testOwnership,
		"CreateTwice": testCreateTwice,
		"Order":       testOrder,
		"Revoke":      testRevoke,
		"Revision":    testRevision,
		"Concurrent":  testConcurrent,
		"Cancelled":   testCancelled,
	})
}

// RunShared checks that what one store changes another one of the same place sees. open
// returns both; the place is new and empty.
func RunShared(t *testing.T, open func(t *testing.T) (one, other keys.Store)) {
	t.Helper()
	one, other := open(t)
	before := revision(t, other)
	k := create(t, one, keys.Key{Name: "a"})
	after := revision(t, other)
	if after <= before {
		t.Errorf("another's key was created: the revision went from %d to %d", before, after)
	}
	same(t, "another's key", list(t, other), k)
	if err := one.Revoke(t.Context(), k.ID, moment.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	k.Revoked = moment.Add(time.Hour)
	if now := revision(t, other); now <= after {
		t.Errorf("another's key was revoked: the revision went from %d to %d", after, now)
	}
	same(t, "another's revoked key", list(t, other), k)
	if err := other.Create(t.Context(), k); !errors.Is(err, keys.ErrExists) {
		t.Errorf("creating another's key: got %v, want %v", err, keys.ErrExists)
	}
}

// moment is when keys of the tests are created.
var moment = time.Date(2026, 11, 23, 10, 0, 0, 123_000_000, time.UTC)

// Full is a key of which everything is set.
func Full() keys.Key {
	return keys.Key{
		Name: "nightly \"batch\" ü", Expires: moment.AddDate(0, 1, 0),
		Models: []string{"gpt-5*", "openai/o3"}, Providers: []string{"openai", "my-*"},
		Tags: map[string]string{"team": "a", "feature": "b c"}, RPM: 60, TPM: 1_000_000,
		Budget: 5_000_000_000_001, Per: keys.PerMonth, Unmetered: true,
	}
}

func newKey(t *testing.T, k keys.Key) keys.Key {
	t.Helper()
	k, _, err := keys.New(k, moment)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func create(t *testing.T, s keys.Store, k keys.Key) keys.Key {
	t.Helper()
	k = newKey(t, k)
	if err := s.Create(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	return k
}

func list(t *testing.T, s keys.Store) []keys.Key {
	t.Helper()
	all, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func revision(t *testing.T, s keys.Store) int64 {
	t.Helper()
	n, err := s.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func same(t *testing.T, what string, got []keys.Key, want ...keys.Key) {
	t.Helper()
	if len(got) == 0 && len(want) == 0 {
		return
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func testEmpty(t *testing.T, s keys.Store) {
	same(t, "List", list(t, s))
	if _, err := s.Get(t.Context(), "key_x"); !errors.Is(err, keys.ErrNotFound) {
		t.Errorf("Get: got %v, want %v", err, keys.ErrNotFound)
	}
	before := revision(t, s)
	if err := s.Revoke(t.Context(), "key_x", moment); !errors.Is(err, keys.ErrNotFound) {
		t.Errorf("Revoke: got %v, want %v", err, keys.ErrNotFound)
	}
	if after := revision(t, s); after != before {
		t.Errorf("nothing was changed, and the revision went from %d to %d", before, after)
	}
}

func testLossless(t *testing.T, s keys.Store) {
	zero := create(t, s, keys.Key{Name: "of nothing", Per: keys.Total})
	for _, k := range []keys.Key{zero, create(t, s, Full()), create(t, s, keys.Key{Name: "a"})} {
		got, err := s.Get(t.Context(), k.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "Get", []keys.Key{got}, k)
	}
}

func testOwnership(t *testing.T, s keys.Store) {
	k := newKey(t, Full())
	want := k.Clone()
	if err := s.Create(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	k.Models[0], k.Tags["team"] = "x", "x"
	got := list(t, s)
	same(t, "after a change of what was created", got, want)
	got[0].Models[0], got[0].Tags["team"] = "x", "x"
	same(t, "after a change of what was returned", list(t, s), want)
}

func testCreateTwice(t *testing.T, s keys.Store) {
	k := create(t, s, keys.Key{Name: "a"})
	before := revision(t, s)
	sameID, sameHash := newKey(t, keys.Key{Name: "b"}), newKey(t, keys.Key{Name: "c"})
	sameID.ID, sameHash.Hash = k.ID, k.Hash
	for _, other := range []keys.Key{k, sameID, sameHash} {
		if err := s.Create(t.Context(), other); !errors.Is(err, keys.ErrExists) {
			t.Errorf("Create(%s): got %v, want %v", other.Name, err, keys.ErrExists)
		}
	}
	same(t, "List", list(t, s), k)
	if after := revision(t, s); after != before {
		t.Errorf("nothing was created, and the revision went from %d to %d", before, after)
	}
	create(t, s, keys.Key{Name: "a"}) // names need not be unique
}

func testOrder(t *testing.T, s keys.Store) {
	var want []keys.Key
	for i, name := range []string{"third", "first", "second", "as old as it"} {
		k := newKey(t, keys.Key{Name: name})
		k.Created = moment.Add([]time.Duration{2, 0, 1, 1}[i] * time.Millisecond)
		k.ID = []string{"key_a", "key_z", "key_B", "key_a2"}[i]
		want = append(want, k)
		if err := s.Create(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	same(t, "List", list(t, s), want[1], want[2], want[3], want[0])
}

func testRevoke(t *testing.T, s keys.Store) {
	k, other := create(t, s, Full()), newKey(t, keys.Key{Name: "b"})
	other.Created = k.Created.Add(time.Second)
	if err := s.Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	before := revision(t, s)
	k.Revoked = moment.Add(time.Minute)
	for _, at := range []time.Time{k.Revoked, k.Revoked.Add(time.Hour)} {
		if err := s.Revoke(t.Context(), k.ID, at); err != nil {
			t.Fatal(err)
		}
		same(t, "List", list(t, s), k, other)
	}
	if after := revision(t, s); after != before+1 {
		t.Errorf("one change, and the revision went from %d to %d", before, after)
	}
}

func testRevision(t *testing.T, s keys.Store) {
	last := revision(t, s)
	for i := range 3 {
		create(t, s, keys.Key{Name: fmt.Sprint(i)})
		now := revision(t, s)
		if now <= last {
			t.Errorf("a key was created, and the revision went from %d to %d", last, now)
		}
		last = now
	}
}

func testConcurrent(t *testing.T, s keys.Store) {
	const many = 16
	var wg sync.WaitGroup
	for i := range many {
		k := newKey(t, keys.Key{Name: fmt.Sprint(i)})
		wg.Go(func() {
			if err := s.Create(t.Context(), k); err != nil {
				t.Error(err)
			}
			if err := s.Revoke(t.Context(), k.ID, moment); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(list(t, s)); n != many {
		t.Errorf("%d keys, want %d", n, many)
	}
	if n := revision(t, s); n < 2*many {
		t.Errorf("the revision is %d after %d changes", n, 2*many)
	}
}

func testCancelled(t *testing.T, s keys.Store) {
	k := create(t, s, keys.Key{Name: "a"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, got := s.Get(ctx, k.ID)
	_, listed := s.List(ctx)
	_, looked := s.Revision(ctx)
	for i, err := range []error{s.Create(ctx, newKey(t, keys.Key{Name: "b"})), s.Revoke(ctx, k.ID, moment), got, listed, looked} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("call %d: got %v, want %v", i, err, context.Canceled)
		}
	}
	same(t, "List", list(t, s), k)
}

// RunOwners runs the suite of stores of owners. open is as for Run.
func RunOwners(t *testing.T, open func(t *testing.T) keys.OwnerStore) {
	t.Helper()
	suite(t, open, map[string]func(*testing.T, keys.OwnerStore){
		"Owners": testOwners,
		"Forget": testForget,
		"Atomic": testOwnCancelled,
	})
}

func owners(t *testing.T, s keys.OwnerStore, id string, want ...string) {
	t.Helper()
	got, err := s.Owners(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: got the owners %q, want %q", id, got, want)
	}
}

func own(t *testing.T, s keys.OwnerStore, owned ...keys.Owned) {
	t.Helper()
	if err := s.Own(t.Context(), owned); err != nil {
		t.Fatal(err)
	}
}

func testOwners(t *testing.T, s keys.OwnerStore) {
	owners(t, s, "openai/resp_1")
	own(t, s)
	own(t, s,
		keys.Owned{ID: "openai/resp_1", Key: "key_b", Time: moment},
		keys.Owned{ID: "openai/resp_1", Key: "key_a", Time: moment},
		keys.Owned{ID: "openai/resp_1", Key: "key_b", Time: moment}, // twice in one call
		keys.Owned{ID: "openai/Resp_1", Key: "key_c", Time: moment},
	)
	own(t, s, keys.Owned{ID: "openai/resp_1", Key: "key_a", Time: moment.Add(time.Hour)})
	owners(t, s, "openai/resp_1", "key_a", "key_b")
	owners(t, s, "openai/Resp_1", "key_c")
	owners(t, s, "openai/resp_")
	owners(t, s, "")
}

func testForget(t *testing.T, s keys.OwnerStore) {
	own(t, s,
		keys.Owned{ID: "a", Key: "key_a", Time: moment},
		keys.Owned{ID: "a", Key: "key_b", Time: moment.Add(time.Hour)},
		keys.Owned{ID: "b", Key: "key_a", Time: moment},
	)
	own(t, s, keys.Owned{ID: "b", Key: "key_a", Time: moment.Add(2 * time.Hour)}) // it keeps its time
	if n, err := s.Forget(t.Context(), moment); n != 0 || err != nil {
		t.Errorf("Forget: got %d, %v, want 0", n, err)
	}
	if n, err := s.Forget(t.Context(), moment.Add(time.Hour)); n != 2 || err != nil {
		t.Errorf("Forget: got %d, %v, want 2", n, err)
	}
	owners(t, s, "a", "key_b")
	owners(t, s, "b")
}

func testOwnCancelled(t *testing.T, s keys.OwnerStore) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Own(ctx, []keys.Owned{{ID: "a", Key: "key_a", Time: moment}}); !errors.Is(err, context.Canceled) {
		t.Errorf("Own: got %v, want %v", err, context.Canceled)
	}
	owners(t, s, "a")
}
