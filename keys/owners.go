package keys

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Owners remembers which keys made what: the latest in memory, all in a store. It is safe
// for concurrent use.
type Owners struct {
	store  OwnerStore // nil: memory alone
	logger *slog.Logger
	latest *recent[[]string] // the keys, by id; sorted

	mu    sync.Mutex // guards queue
	queue []Owned    // not in the store yet

	more chan struct{} // signals that the queue has grown; has room for one
}

// OwnersOptions says how [Owners] remembers.
type OwnersOptions struct {
	Remember int          // how many ids are in memory; 0 means 20,000
	Logger   *slog.Logger // nil: [slog.Default]
}

// NewOwners returns what remembers in s, or in memory alone where s is nil. With a store,
// [Owners.Run] has to run.
func NewOwners(s OwnerStore, o OwnersOptions) *Owners {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &Owners{
		store: s, logger: o.Logger, latest: newRecent[[]string](cmp.Or(o.Remember, 20_000)), more: make(chan struct{}, 1),
	}
}

// of returns the keys that made id; none where nobody is known to have.
func (o *Owners) of(ctx context.Context, id string) ([]string, error) {
	if keys, ok := o.latest.get(id); ok || o.store == nil {
		return keys, nil
	}
	keys, err := o.store.Owners(ctx, id)
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	o.latest.update(id, func([]string) []string { return keys })
	return keys, nil
}

// note remembers at once that key made id, and hands that to the store soon.
func (o *Owners) note(key, id string) {
	o.remember(key, id)
	if o.store == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) >= mostQueued {
		o.queue = slices.Delete(o.queue, 0, len(o.queue)-mostQueued+1)
	}
	o.queue = append(o.queue, Owned{ID: id, Key: key, Time: time.Now()})
	signal(o.more)
}

// own remembers that key made ids, and returns when the store has it; where that fails, it
// is left to be tried again.
func (o *Owners) own(ctx context.Context, key string, ids []string) {
	var owned []Owned
	for _, id := range ids {
		o.remember(key, id)
		owned = append(owned, Owned{ID: id, Key: key, Time: time.Now()})
	}
	if o.store == nil || len(owned) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ownTimeout)
	defer cancel()
	if err := o.store.Own(ctx, owned); err != nil {
		o.putBack(owned)
		signal(o.more)
	}
}

func (o *Owners) remember(key, id string) {
	o.latest.update(id, func(keys []string) []string {
		i, known := slices.BinarySearch(keys, key)
		if known {
			return keys
		}
		return slices.Insert(slices.Clone(keys), i, key)
	})
}

const (
	// ownTimeout bounds one write to the store.
	ownTimeout = 5 * time.Second

	// mostQueued bounds what waits for a store that is down. Beyond it the oldest is known
	// to this process alone.
	mostQueued = 100_000

	// mostAtOnce bounds one write.
	mostAtOnce = 1000
)

// Run writes to the store what has been noted, until ctx ends and the rest is written, or
// cannot be.
func (o *Owners) Run(ctx context.Context) {
	if o.store == nil {
		return
	}
	wait := pause{}
	for {
		select {
		case <-o.more:
			if !wait.first() {
				continue // its time comes with the others'
			}
		case <-wait.over():
		case <-ctx.Done():
			if err := o.write(context.WithoutCancel(ctx)); err != nil {
				o.logger.Error("what was made with which key could not be kept", "error", err)
			}
			return
		}
		err := o.write(ctx)
		if err != nil && ctx.Err() == nil && wait.first() {
			o.logger.Error("what was made with which key cannot be kept: it is tried again", "error", err)
		}
		wait.after(err)
	}
}

// write writes the queue, or what of it can be written.
func (o *Owners) write(ctx context.Context) error {
	for {
		o.mu.Lock()
		n := min(len(o.queue), mostAtOnce)
		some := slices.Clone(o.queue[:n])
		o.queue = o.queue[n:]
		o.mu.Unlock()
		if n == 0 {
			return nil
		}
		bounded, cancel := context.WithTimeout(ctx, ownTimeout)
		err := o.store.Own(bounded, some)
		cancel()
		if err != nil {
			o.putBack(some)
			return err
		}
	}
}

// putBack puts what could not be written before the rest of the queue.
func (o *Owners) putBack(some []Owned) {
	o.mu.Lock()
	defer o.mu.Unlock()
	some = some[max(0, len(some)+len(o.queue)-mostQueued):]
	o.queue = append(some, o.queue...)
}

// signal wakes whoever waits on c, or will.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
