package llmproxy

import "sync"

// Registry holds providers by name, in the order of their registration. It is safe for
// concurrent use.
type Registry struct {
	mu     sync.RWMutex // guards both
	byName map[string]Provider
	order  []Provider
}

// NewRegistry returns a registry of ps.
func NewRegistry(ps ...Provider) *Registry {
	r := &Registry{}
	for _, p := range ps {
		r.Register(p)
	}
	return r
}

// Register adds p; one of the same name is replaced.
func (r *Registry) Register(p Provider) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byName == nil {
		r.byName = map[string]Provider{}
	}
	if _, ok := r.byName[p.Name()]; ok {
		for i := range r.order {
			if r.order[i].Name() == p.Name() {
				// A fresh slice: All's callers may still hold the old one.
				r.order = append([]Provider(nil), r.order...)
				r.order[i] = p
			}
		}
	} else {
		r.order = append(r.order, p)
	}
	r.byName[p.Name()] = p
}

// Get returns the provider of that name.
func (r *Registry) Get(name string) (p Provider, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	p, ok = r.byName[name]
	return p, ok
}

// All returns the providers in order. The slice must not be changed.
func (r *Registry) All() []Provider {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.order[:len(r.order):len(r.order)]
}
