package interceptors

import (
	"container/list"
	"time"
)

// recent is a map that forgets: what is older than life, and what has not been used for
// longest once there are more than most. Who has it guards it.
type recent[K comparable, V any] struct {
	most  int
	life  time.Duration // 0: for ever
	items map[K]*list.Element
	order *list.List // of *remembered, the last used first
}

type remembered[K comparable, V any] struct {
	key   K
	value V
	since time.Time
}

func newRecent[K comparable, V any](most int, life time.Duration) *recent[K, V] {
	return &recent[K, V]{most: most, life: life, items: map[K]*list.Element{}, order: list.New()}
}

// get returns the value of key, which counts as used.
func (r *recent[K, V]) get(key K, now time.Time) (v V, ok bool) {
	e, ok := r.items[key]
	if !ok {
		return v, false
	}
	item := e.Value.(*remembered[K, V])
	if r.life > 0 && now.Sub(item.since) >= r.life {
		r.remove(e)
		return v, false
	}
	r.order.MoveToFront(e)
	return item.value, true
}

// put sets the value of key, and its age to nothing.
func (r *recent[K, V]) put(key K, v V, now time.Time) {
	if e, ok := r.items[key]; ok {
		item := e.Value.(*remembered[K, V])
		item.value, item.since = v, now
		r.order.MoveToFront(e)
		return
	}
	r.items[key] = r.order.PushFront(&remembered[K, V]{key, v, now})
	for len(r.items) > max(r.most, 1) {
		r.remove(r.order.Back())
	}
}

// room reports whether there is room for one more, where only items that are spent may be
// forgotten. It looks at some of those that have not been used for longest, and at others
// the next time.
func (r *recent[K, V]) room(spent func(V) bool) bool {
	const looks = 16 // the time of a call is bounded, however many there are
	for range min(looks, len(r.items)) {
		if len(r.items) < r.most {
			break
		}
		if e := r.order.Back(); spent(e.Value.(*remembered[K, V]).value) {
			r.remove(e)
		} else {
			r.order.MoveToFront(e)
		}
	}
	return len(r.items) < r.most
}

// forget removes key.
func (r *recent[K, V]) forget(key K) {
	if e, ok := r.items[key]; ok {
		r.remove(e)
	}
}

func (r *recent[K, V]) remove(e *list.Element) {
	delete(r.items, e.Value.(*remembered[K, V]).key)
	r.order.Remove(e)
}
