package keys

import (
	"cmp"
	"context"
	"crypto/subtle"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Lookup finds a key by its ID. A [Ring] is one.
type Lookup interface {
	// Key returns the key with that ID, revoked and expired ones too. It must not be
	// changed.
	Key(id string) (k *Key, ok bool)
}

// Ring is a copy of all keys of a [Store], to be asked for each request: it never waits
// for the store. While that is down, the last copy serves. It is safe for concurrent use.
type Ring struct {
	store    Store
	interval time.Duration
	logger   *slog.Logger
	current  atomic.Pointer[bunch]

	looking sync.Mutex // one look at the store at a time

	mu  sync.Mutex
	err error // of the last look; guarded by mu
}

var _ Lookup = (*Ring)(nil)

// bunch is all keys at one revision. It never changes.
type bunch struct {
	revision int64
	byHash   map[Hash]*Key
	byID     map[string]*Key
	all      []Key
}

// RingOptions says how a [Ring] looks at its store.
type RingOptions struct {
	// Interval is the time between two looks; 0 means 500 ms, so that a change is known
	// within a second.
	Interval time.Duration
	Logger   *slog.Logger // nil: [slog.Default]
}

// NewRing returns a ring with the keys of s. [Ring.Run] keeps it up to date.
func NewRing(ctx context.Context, s Store, o RingOptions) (*Ring, error) {
	r := &Ring{store: s, interval: cmp.Or(o.Interval, 500*time.Millisecond), logger: o.Logger}
	if r.logger == nil {
		r.logger = slog.Default()
	}
	r.current.Store(&bunch{revision: -1})
	if err := r.Refresh(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// lookTimeout bounds one look at a store.
const lookTimeout = 10 * time.Second

// Run looks for changes until ctx ends. Another process may make them, and no database
// that the keys are kept in could tell us: so this asks for the store's revision, again and
// again.
func (r *Ring) Run(ctx context.Context) {
	ticker := time.NewTicker(r.interval)
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := r.Refresh(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			r.logger.Error("the gateway keys cannot be read: the last ones known go on", "error", err)
		case err == nil && failing:
			r.logger.Info("the gateway keys can be read again")
		}
		failing = err != nil
	}
}

// Refresh looks for changes once.
func (r *Ring) Refresh(ctx context.Context) error {
	r.looking.Lock()
	defer r.looking.Unlock()
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	err := r.refresh(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
	return err
}

func (r *Ring) refresh(ctx context.Context) error {
	// The revision first: a change in between is then seen the next time.
	revision, err := r.store.Revision(ctx)
	if err != nil {
		return err
	}
	if revision == r.current.Load().revision {
		return nil
	}
	list, err := r.store.List(ctx)
	if err != nil {
		return err
	}
	b := &bunch{revision: revision, byHash: make(map[Hash]*Key, len(list)), byID: make(map[string]*Key, len(list)), all: list}
	for i := range list {
		b.byHash[list[i].Hash], b.byID[list[i].ID] = &list[i], &list[i]
	}
	r.current.Store(b)
	return nil
}

// Err returns why the last look at the store failed, nil if it did not.
func (r *Ring) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Find returns the key with that secret, valid or not. What it takes tells nothing of other
// secrets: it looks for a hash, whose beginning nobody can choose.
func (r *Ring) Find(s Secret) (k *Key, ok bool) {
	hash := s.Hash()
	k, ok = r.current.Load().byHash[hash]
	if !ok || subtle.ConstantTimeCompare(k.Hash[:], hash[:]) != 1 {
		return nil, false
	}
	return k, true
}

// Key implements [Lookup].
func (r *Ring) Key(id string) (k *Key, ok bool) {
	k, ok = r.current.Load().byID[id]
	return k, ok
}

// All returns all keys, the oldest first. They must not be changed.
func (r *Ring) All() []Key { return r.current.Load().all }

// Rates returns the limits of a key, in requests and in tokens a minute: 0 where there is
// none, or no such key.
func (r *Ring) Rates(id string) (requests, tokens int64) {
	k, ok := r.Key(id)
	if !ok {
		return 0, 0
	}
	return k.RPM, k.TPM
}
