package interceptors

import "sync"

// once tells whether an exchange passes for the first time: inside a retry it comes once
// for each attempt, and still is one exchange. Its zero value is ready.
type once struct {
	mu     sync.Mutex // guards inside
	inside map[string]struct{}
}

// mostInside bounds what is remembered of exchanges whose end never came. Beyond it, one
// may be taken for two.
const mostInside = 1 << 16

// enter reports whether the exchange id is new here.
func (o *once) enter(id string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.inside[id]; ok {
		return false
	}
	if o.inside == nil || len(o.inside) >= mostInside {
		o.inside = map[string]struct{}{}
	}
	o.inside[id] = struct{}{}
	return true
}

// leave says that the exchange id has ended.
func (o *once) leave(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.inside, id)
}
