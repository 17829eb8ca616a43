package interceptors

import (
	"context"
	"time"
)

// asking is the context in which a target of a pool is asked: by it, a [Retry] inside
// learns that there are others, and reports each failure at once.
type asking struct {
	context.Context
	failover *failover
	visit    *visit
	rest     []int // targets that may be asked next
}

// askingKey is the key of *asking in a context.
type askingKey struct{}

// Value returns a itself for its key, else what the context has.
func (a *asking) Value(key any) any {
	if key == (askingKey{}) {
		return a
	}
	return a.Context.Value(key)
}

// askingOf returns the call of a pool that ctx belongs to, nil outside of one.
func askingOf(ctx context.Context) *asking {
	a, _ := ctx.Value(askingKey{}).(*asking)
	return a
}

// failed reports a call that is about to be repeated.
func (a *asking) failed(f *Failure) {
	if a != nil && f.ill() {
		a.failover.ward.fell(&a.failover.Health, a.visit, f, time.Now())
	}
}

// alternative reports whether a target stands by that is well, and is asked after f.
func (a *asking) alternative(f *Failure) bool {
	if a == nil || a.failover.asked >= a.failover.most || !f.elsewhere() {
		return false
	}
	now := time.Now()
	for _, i := range a.rest {
		if _, out := a.failover.ward.out(patientOf(&a.failover.targets[i], a.failover.x), now); !out {
			return true
		}
	}
	return false
}
