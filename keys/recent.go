package keys

import (
	"container/list"
	"sync"
)

// recent is a map of at most most entries: those not used for longest are forgotten. It is
// safe for concurrent use.
type recent[V any] struct {
	most int

	mu    sync.Mutex // guards the following
	items map[string]*list.Element
	order list.List // of remembered[V], the last used first
}

type remembered[V any] struct {
	key   string
	value V
}

func newRecent[V any](most int) *recent[V] {
	return &recent[V]{most: most, items: map[string]*list.Element{}}
}

// get returns the value of key, which counts as used.
func (r *recent[V]) get(key string) (v V, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.items[key]
	if !ok {
		return v, false
	}
	r.order.MoveToFront(e)
	return e.Value.(*remembered[V]).value, true
}

// update sets the value of key to what change makes of the one it has, the zero value where
// it has none.
func (r *recent[V]) update(key string, change func(V) V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.items[key]; ok {
		item := e.Value.(*remembered[V])
		item.value = change(item.value)
		r.order.MoveToFront(e)
		return
	}
	var none V
	r.items[key] = r.order.PushFront(&remembered[V]{key, change(none)})
	if len(r.items) > r.most {
		last := r.order.Back()
		delete(r.items, last.Value.(*remembered[V]).key)
		r.order.Remove(last)
	}
}
