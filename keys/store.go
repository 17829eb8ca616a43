package keys

import (
	"context"
	"errors"
	"time"
)

// Store keeps keys. Several processes may use the same one at once. Its methods may be
// called by many goroutines at once; package keystest holds implementations to what is
// written here. Keys that it returns are the caller's own.
type Store interface {
	// Create keeps k. ErrExists means that there is a key with its ID, or its Hash.
	Create(ctx context.Context, k Key) error

	// Get returns the key with that ID, ErrNotFound if there is none.
	Get(ctx context.Context, id string) (Key, error)

	// List returns all keys, revoked and expired ones too, the oldest first (by Created,
	// then ID, byte by byte).
	List(ctx context.Context) ([]Key, error)

	// Revoke makes a key invalid from at on. A key that has been revoked before stays
	// revoked from then on, and that is no error; ErrNotFound if there is none.
	Revoke(ctx context.Context, id string, at time.Time) error

	// Revision returns a number that grows with every change of the keys, whichever process
	// makes it: whoever has seen a revision and then all keys need not look again before it
	// changes. It costs less than List.
	Revision(ctx context.Context) (int64, error)
}

// What a [Store] may report.
var (
	ErrExists   = errors.New("there is such a key already")
	ErrNotFound = errors.New("there is no such key")
)

// Owned is something at a provider and the key that made it.
type Owned struct {
	ID   string // the provider's name and the id there: "openai/resp_…"
	Key  string // the ID of the gateway key
	Time time.Time
}

// OwnerStore remembers which keys made what. Several processes may use the same one at
// once; its methods may be called by many goroutines at once.
type OwnerStore interface {
	// Own remembers all of owned or, with an error, none. What is known already keeps its
	// time.
	Own(ctx context.Context, owned []Owned) error

	// Owners returns the IDs of the keys that made id, sorted; none where it is not known.
	Owners(ctx context.Context, id string) ([]string, error)

	// Forget removes what is from before t, and returns how much that was.
	Forget(ctx context.Context, before time.Time) (int64, error)
}
