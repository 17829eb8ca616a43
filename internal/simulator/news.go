package simulator

import (
	"context"
	"sync"
)

// news guards what it is embedded in, and wakes who waits for a change of it.
type news struct {
	mu      sync.Mutex
	changed chan struct{} // closed at the next change; nil while nobody waits; guarded by mu
}

// change runs f under the lock and wakes who waits.
func (n *news) change(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
	if n.changed != nil {
		close(n.changed)
		n.changed = nil
	}
}

// await returns what look, which is called under the lock, finds as soon as ok says so
// of it. When ctx ends first, await returns its error with what was there.
func await[T any](ctx context.Context, n *news, look func() T, ok func(T) bool) (T, error) {
	for {
		n.mu.Lock()
		found := look()
		if n.changed == nil {
			n.changed = make(chan struct{})
		}
		changed := n.changed
		n.mu.Unlock()
		if ok(found) {
			return found, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return found, ctx.Err()
		}
	}
}
