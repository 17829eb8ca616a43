package interceptors

import (
	"cmp"
	"net/http"
	"sync"
	"time"
)

// Health says how targets that fail are left alone. Its zero value is ready.
type Health struct {
	// Failures in a row of the server, the connection or the credential take a target
	// out; 0 means 3. A refusal for its rate, its capacity or its quota does so at once.
	Failures int
	// Cooldown is the first pause of a target that does not say when to come back; it
	// doubles each time that the target fails again. 0 means 5 s.
	Cooldown time.Duration
	// MaxCooldown is where that ends, and the pause of a target whose quota or credit is
	// used up, and the longest that the body of an answer can ask for. 0 means 5 min. What
	// header fields ask for is kept up to a day.
	MaxCooldown time.Duration
}

// ward knows the targets that are not well.
type ward struct {
	mu         sync.Mutex // guards the following, and what conditions point to
	conditions *recent[patient, *condition]
	falls      uint64 // so far
}

// patient is what can be out of order: a model at a provider, asked with one credential.
type patient struct {
	provider, model string
	caller          string // whose own credential it is; "": the gateway's
}

// condition is how a patient is doing. One that is well has none.
type condition struct {
	failures int
	until    time.Time // it is left alone; zero: it has not failed often enough
	probed   bool      // one exchange is trying it out
	fall     uint64    // the number of its last one
}

func (c *condition) out(now time.Time) bool {
	return !c.until.IsZero() && (c.probed || now.Before(c.until))
}

// wardRoom bounds the conditions, which clients with credentials of their own could make
// many of.
const wardRoom = 4096

func newWard() *ward {
	return &ward{conditions: newRecent[patient, *condition](wardRoom, 0)}
}

// visit is the permission to ask a target. It ends with a report; that of a failure may be
// followed by others.
type visit struct {
	patient
	probe *condition // what it tries out; nil: nothing
	falls uint64     // that came before it
}

// admit reports whether p may be asked now: it is well, or its pause is over and nobody
// else is trying it. Where all targets are out, v is good for asking one nonetheless.
func (w *ward) admit(p patient, now time.Time) (v visit, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v.patient, v.falls = p, w.falls
	c, known := w.conditions.get(p, now)
	if !known || c.until.IsZero() {
		return v, true
	}
	if c.out(now) {
		return v, false
	}
	c.probed = true
	v.probe = c
	return v, true
}

// out reports whether p is out at the moment, and until when at least.
func (w *ward) out(p patient, now time.Time) (until time.Time, out bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, known := w.conditions.get(p, now)
	if !known || !c.out(now) {
		return time.Time{}, false
	}
	return c.until, true
}

// leave ends v without news.
func (w *ward) leave(v *visit) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v.end()
}

func (v *visit) end() {
	if v.probe != nil {
		v.probe.probed, v.probe = false, nil
	}
}

// recovered ends v, whose target has answered. A call that began before the target fell
// says nothing of what has been found out since.
func (w *ward) recovered(v *visit, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v.end()
	if c, known := w.conditions.get(v.patient, now); known && (c.fall <= v.falls || !now.Before(c.until)) {
		w.conditions.forget(v.patient)
	}
}

// fell ends v, whose target has failed as f.
func (w *ward) fell(h *Health, v *visit, f *Failure, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v.end()
	c, known := w.conditions.get(v.patient, now)
	if !known {
		c = &condition{}
		w.conditions.put(v.patient, c, now)
	}
	w.falls++
	c.fall, v.falls = w.falls, w.falls // what follows in the same visit begins after it
	pause, at := h.pause(f, c.failures+1, !c.until.IsZero(), now)
	if !now.Before(c.until) {
		c.failures++
	} else if _, asked := f.Wait(now); !asked {
		return // of a call that began before: the same trouble once more
	}
	if at && now.Add(pause).After(c.until) {
		c.until = now.Add(pause)
	}
}

// pause is how long to leave a target alone after n failures in a row, of which the last
// is f. out is false where that is not called for. again says that it has been out
// already.
func (h *Health) pause(f *Failure, n int, again bool, now time.Time) (pause time.Duration, out bool) {
	if asked, ok := f.waitOfHeader(now); ok {
		return asked, true
	}
	longest := cmp.Or(h.MaxCooldown, 5*time.Minute)
	if asked, ok := f.waitOfBody(); ok {
		return min(asked, longest), true
	}
	if f.OutOfQuota() {
		return longest, true
	}
	limit := cmp.Or(h.Failures, 3)
	switch f.Status {
	case http.StatusTooManyRequests, 498, 529:
		limit = 1
	}
	if n < limit && !again {
		return 0, false
	}
	pause = min(cmp.Or(h.Cooldown, 5*time.Second), longest)
	for ; n > limit && pause < longest; n-- {
		pause = min(2*pause, longest)
	}
	return pause, true
}
