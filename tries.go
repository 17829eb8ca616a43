package llmproxy

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// tries is the calls of providers that an exchange makes. Interceptors decide how many
// there are, and one that has given up waiting may leave a call running: so all of it is
// guarded, and ends when the interceptors have returned.
type tries struct {
	mu        sync.Mutex // guards the following; none of it changes once closed is set
	closed    bool       // nothing can be sent any more
	begun     bool       // Recorder.Begin has been called
	list      []Attempt
	last      *Exchange // as it was sent
	requestID string    // the provider's, of the last call
	running   []*try
	answers   []answer // that interceptors got

	// Nearly all exchanges make one call: room for it.
	room struct {
		try     try
		list    [1]Attempt
		running [1]*try
		answers [1]answer
	}
}

// answer is a provider's, as an interceptor got it.
type answer struct {
	stream Stream
	tap    *tap // nil: not metered
}

// try is one call.
type try struct {
	x         *Exchange
	cancel    context.CancelCauseFunc
	called    bool // the provider has been asked
	status    int  // of its answer
	requestID string
}

// newTry returns a call of x that cancel ends.
func (ts *tries) newTry(x *Exchange, cancel context.CancelCauseFunc) *try {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t := &ts.room.try
	if t.x != nil {
		t = &try{}
	}
	t.x, t.cancel = x, cancel
	return t
}

var errTooLate = errors.New("the exchange was sent again after its answer had begun")

// start admits t, and keeps the body it sends.
func (ts *tries) start(t *try) error {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.closed || t.x.Body == nil && t.x.Operation.JSON || t.x.Body != nil && !t.x.Body.acquire() {
		return internalError(errTooLate)
	}
	if ts.running == nil {
		ts.running = ts.room.running[:0]
	}
	ts.running = append(ts.running, t)
	return nil
}

// end counts t out. It reports whether anybody waits for its result.
func (ts *tries) end(t *try, reply *Reply, err error) (wanted bool) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if t.x.Body != nil {
		t.x.Body.release()
	}
	if ts.closed {
		return false
	}
	for i, other := range ts.running {
		if other == t {
			ts.running = append(ts.running[:i], ts.running[i+1:]...)
			break
		}
	}
	if t.called {
		a := Attempt{Provider: t.x.Route.Provider.Name(), Model: t.x.UpstreamModel(), Status: t.status}
		if err != nil {
			a.Error = asError(err).Code
		}
		if ts.list == nil {
			ts.list = ts.room.list[:0]
		}
		ts.list = append(ts.list, a)
		ts.last, ts.requestID = t.x, t.requestID
	}
	if reply != nil {
		if ts.answers == nil {
			ts.answers = ts.room.answers[:0]
		}
		ts.answers = append(ts.answers, answer{reply.Stream, reply.tap})
	}
	return true
}

// first reports, once, that no intent has been noted yet.
func (ts *tries) first() bool {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	first := !ts.begun
	ts.begun = true
	return first
}

// undo says that the intent could not be noted.
func (ts *tries) undo() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.begun = false
}

// close ends the calls that still run, and admits no more.
func (ts *tries) close() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.closed = true
	for _, t := range ts.running {
		t.cancel(errClosed)
	}
	ts.running = nil
}

// discard closes the streams that interceptors got, whatever became of them.
func (ts *tries) discard() {
	for _, a := range ts.answers {
		_ = a.stream.Close()
	}
}

// tap is what the meter knows of the last answer that an interceptor got; nil if there is
// none.
func (ts *tries) tap() *tap {
	for _, a := range slices.Backward(ts.answers) {
		if a.tap != nil {
			return a.tap
		}
	}
	return nil
}
