package dashboard

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/llmproxy/llmproxy"
)

// Tail shows records to subscribers while they are made. It never holds a recorder up: a
// subscriber that is too slow is let go. The zero value is ready, and may be used by many
// goroutines at once.
type Tail struct {
	mu          sync.Mutex // guards what follows
	subscribers map[chan llmproxy.Record]struct{}
	closed      bool
}

var _ Live = (*Tail)(nil)

// tailRoom is how many records a subscriber may be behind.
const tailRoom = 256

// ErrTailClosed means that a [Tail] shows nothing any more.
var ErrTailClosed = errors.New("the tail is closed")

// Wrap returns a recorder that does what next does and shows what next has kept. It can
// settle if next can.
func (t *Tail) Wrap(next llmproxy.Recorder) llmproxy.Recorder {
	r := tailRecorder{next, t}
	if s, ok := next.(llmproxy.Settler); ok {
		return tailSettler{r, s}
	}
	return r
}

// Subscribe implements [Live]. The error is [ErrTailClosed].
func (t *Tail) Subscribe(ctx context.Context) (<-chan llmproxy.Record, error) {
	c := make(chan llmproxy.Record, tailRoom)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, ErrTailClosed
	}
	if t.subscribers == nil {
		t.subscribers = map[chan llmproxy.Record]struct{}{}
	}
	t.subscribers[c] = struct{}{}
	context.AfterFunc(ctx, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.drop(c)
	})
	return c, nil
}

// drop ends a subscription, if it has not ended yet. t.mu is held.
func (t *Tail) drop(c chan llmproxy.Record) {
	if _, ok := t.subscribers[c]; ok {
		delete(t.subscribers, c)
		close(c)
	}
}

// Close ends all subscriptions, so that a server which streams them can shut down.
func (t *Tail) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for c := range t.subscribers {
		t.drop(c)
	}
}

// show hands a copy of r to every subscriber that has room.
func (t *Tail) show(r *llmproxy.Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.subscribers {
		select {
		case c <- cloneRecord(r):
		default:
			t.drop(c)
		}
	}
}

// cloneRecord returns a copy of r that shares nothing with it.
func cloneRecord(r *llmproxy.Record) llmproxy.Record {
	c := *r
	c.Items, c.Attempts, c.Tags = slices.Clone(r.Items), slices.Clone(r.Attempts), maps.Clone(r.Tags)
	if r.Error != nil {
		e := *r.Error
		c.Error = &e
	}
	return c
}

type tailRecorder struct {
	llmproxy.Recorder
	tail *Tail
}

func (t tailRecorder) Record(ctx context.Context, r *llmproxy.Record) error {
	err := t.Recorder.Record(ctx, r)
	if err == nil {
		t.tail.show(r)
	}
	return err
}

type tailSettler struct {
	tailRecorder
	settler llmproxy.Settler
}

var _ llmproxy.Settler = tailSettler{}

func (t tailSettler) Settle(ctx context.Context, provider, responseID string, r *llmproxy.Record) (bool, error) {
	return t.settler.Settle(ctx, provider, responseID, r)
}
