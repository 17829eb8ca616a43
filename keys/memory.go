package keys

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// Memory is a [Store] and an [OwnerStore] that forgets all when the process ends: for a
// demo, and for tests. Its zero value is empty.
type Memory struct {
	mu       sync.Mutex // guards the following
	keys     map[string]Key
	owned    map[string]map[string]time.Time // id → key
	revision int64
}

var (
	_ Store      = (*Memory)(nil)
	_ OwnerStore = (*Memory)(nil)
)

// Create implements [Store].
func (m *Memory) Create(ctx context.Context, k Key) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, other := range m.keys {
		if other.ID == k.ID || other.Hash == k.Hash {
			return ErrExists
		}
	}
	if m.keys == nil {
		m.keys = map[string]Key{}
	}
	m.keys[k.ID] = k.Clone()
	m.revision++
	return nil
}

// Get implements [Store].
func (m *Memory) Get(ctx context.Context, id string) (Key, error) {
	if err := ctx.Err(); err != nil {
		return Key{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.keys[id]
	if !ok {
		return Key{}, ErrNotFound
	}
	return k.Clone(), nil
}

// List implements [Store].
func (m *Memory) List(ctx context.Context) ([]Key, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]Key, 0, len(m.keys))
	for _, k := range m.keys {
		list = append(list, k.Clone())
	}
	slices.SortFunc(list, func(a, b Key) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

// Revoke implements [Store].
func (m *Memory) Revoke(ctx context.Context, id string, at time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.keys[id]
	switch {
	case !ok:
		return ErrNotFound
	case k.Revoked.IsZero():
		k.Revoked = millis(at)
		m.keys[id] = k
		m.revision++
	}
	return nil
}

// Revision implements [Store].
func (m *Memory) Revision(ctx context.Context) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.revision, ctx.Err()
}

// Own implements [OwnerStore].
func (m *Memory) Own(ctx context.Context, owned []Owned) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.owned == nil {
		m.owned = map[string]map[string]time.Time{}
	}
	for _, o := range owned {
		by := m.owned[o.ID]
		if by == nil {
			by = map[string]time.Time{}
			m.owned[o.ID] = by
		}
		if _, known := by[o.Key]; !known {
			by[o.Key] = o.Time
		}
	}
	return nil
}

// Owners implements [OwnerStore].
func (m *Memory) Owners(ctx context.Context, id string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []string
	for key := range m.owned[id] {
		list = append(list, key)
	}
	slices.Sort(list)
	return list, nil
}

// Forget implements [OwnerStore].
func (m *Memory) Forget(ctx context.Context, before time.Time) (n int64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, by := range m.owned {
		for key, t := range by {
			if t.Before(before) {
				delete(by, key)
				n++
			}
		}
		if len(by) == 0 {
			delete(m.owned, id)
		}
	}
	return n, nil
}
