package interceptors

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/wire"
)

// Retry asks the same provider again when a call has failed in a way that may pass: see
// [Failure.Retryable]. It waits as long as the provider asks for, else for a random time
// that doubles with each attempt. What is not worth waiting for is handed on at once and
// as it came. Inside of [Pools], nothing is waited for longer than a second, nor a lack of
// capacity (498) at all, while another target is well. Nothing is sent again once the client has a byte of the answer.
//
// Its zero value is ready. It is safe for concurrent use and must not be copied after its
// first.
type Retry struct {
	Attempts int           // calls of an exchange, the first included; 0 means 3
	Base     time.Duration // the longest first pause; 0 means 200 ms
	Max      time.Duration // the longest pause that no provider asked for; 0 means 8 s
	MaxWait  time.Duration // the longest pause that a provider may ask for; 0 means 30 s
	Within   time.Duration // no call begins later than this after the first; 0 means 1 min

	// Retryable decides in the place of [Failure.Retryable]. Quota, cancelled contexts,
	// the budget and bodies that are gone stand above it. Nil: that decides.
	Retryable func(x *llmproxy.Exchange, f *Failure) bool

	// Budget bounds the retries of all that share it. Nil: one of its own, of the zero
	// value.
	Budget *RetryBudget

	// Jitter returns a random pause from 0 to max. Nil: evenly distributed.
	Jitter func(max time.Duration) time.Duration

	own RetryBudget
}

var _ llmproxy.Interceptor = (*Retry)(nil)

// Intercept calls next until it succeeds or is not to be called again.
func (r *Retry) Intercept(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
	budget := r.Budget
	if budget == nil {
		budget = &r.own
	}
	budget.earn()
	began := time.Now()
	for n := 1; ; n++ {
		reply, err := next(ctx, x)
		if !failed(reply, err) || n >= cmp.Or(r.Attempts, 3) || ctx.Err() != nil || !again(x) {
			return reply, err
		}
		pause, retry := r.judge(askingOf(ctx), x, reply, err, n)
		now := time.Now()
		if !retry || now.Add(pause).Sub(began) > cmp.Or(r.Within, time.Minute) || !budget.spend(now) || !sleep(ctx, pause) {
			return reply, err
		}
		discard(reply)
	}
}

// again reports whether x can be sent again.
func again(x *llmproxy.Exchange) bool {
	if x.Body == nil {
		// An opaque body is read once. Of other methods it cannot be told here whether
		// they had one.
		return x.Method == http.MethodGet || x.Method == http.MethodHead
	}
	if x.Transport == llmproxy.TransportWebSocket && x.Meta.PreviousResponseID != "" {
		// A failed continuation makes the provider forget what it continued, as the end of
		// the connection does, unless that is stored: asked again, it would only say so.
		stored, said := wire.Bool(wire.Member(x.Body.Bytes(), "store"))
		return stored || !said
	}
	return true
}

// patience is how long an exchange waits for a target while another one stands by.
const patience = time.Second

// judge decides whether to send x again after its nth call, and how long to wait first. In
// a pool, it is a call of a's.
func (r *Retry) judge(a *asking, x *llmproxy.Exchange, reply *llmproxy.Reply, err error, n int) (pause time.Duration, retry bool) {
	if err == nil && r.Retryable == nil && !transient(reply.StatusCode) && reply.Header.Get("X-Should-Retry") != "true" {
		return 0, false // its body need not be read
	}
	f := failureOf(reply, err)
	switch {
	case f.OutOfQuota():
		return 0, false
	case r.Retryable != nil:
		retry = r.Retryable(x, f)
	default:
		retry = f.Retryable()
	}
	if !retry {
		return 0, false
	}
	longest, maxWait := cmp.Or(r.Max, 8*time.Second), cmp.Or(r.MaxWait, 30*time.Second)
	if a.alternative(f) {
		if f.Status == 498 {
			return 0, false
		}
		longest, maxWait = min(longest, patience), min(maxWait, patience)
	}
	base := cmp.Or(r.Base, 200*time.Millisecond)
	if hint, ok := f.Wait(time.Now()); ok {
		if hint > maxWait {
			return 0, false
		}
		a.failed(f)
		// Not all at once: the provider has told everybody the same.
		return hint + r.jitter(base), true
	}
	a.failed(f)
	for ; n > 1 && base < longest; n-- {
		base *= 2
	}
	return r.jitter(min(base, longest)), true
}

func (r *Retry) jitter(most time.Duration) time.Duration {
	if r.Jitter != nil {
		return r.Jitter(most)
	}
	return rand.N(most + 1)
}

// sleep waits for d. It reports whether ctx has let it.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
