package interceptors

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/llmproxy/llmproxy"
)

// Per is what the exchanges that share a limit have in common.
type Per int

// What limits can be by.
const (
	PerGateway Per = iota // nothing: all share one
	PerKey                // the gateway key ([llmproxy.Caller])
	PerModel              // the model, as PROVIDER/MODEL in lower case: however clients write it
	PerTag                // the value of a tag
)

func (p Per) String() string {
	switch p {
	case PerGateway:
		return "gateway"
	case PerKey:
		return "key"
	case PerModel:
		return "model"
	case PerTag:
		return "tag"
	}
	return fmt.Sprintf("Per(%d)", int(p))
}

// Quota is what the exchanges that share it may take. A field that is 0 or less bounds
// nothing.
type Quota struct {
	Requests   int64 // a minute
	Tokens     int64 // a minute, prompt and completion together, cached ones too
	Concurrent int   // exchanges at a time; a turn on a WebSocket is one
}

// Limits refuses exchanges beyond a quota with 429, and says when to come back.
//
// Requests and tokens come from buckets that fill up evenly and hold a minute's worth. The
// tokens of an exchange are not known before its end: an estimate is reserved, and settled
// with what was used, be it more. Exchanges without a key, or without the tag, share a
// quota of their own. Clients choose models and may choose tags: only a key, or a tag of
// the key, keeps them from each other's quota.
//
// Several Limits bound several things; those that have let pass what a later one refuses
// get it back. Set the fields before its first use. The zero value refuses nothing. It is
// safe for concurrent use and must not be copied after its first.
type Limits struct {
	Per   Per
	Tag   string // the name of the tag, with PerTag
	Quota Quota  // of each value
	// Quotas are of values that have another one.
	Quotas map[string]Quota
	// QuotaOf is asked for values that are not in Quotas; ok is false where it has no
	// opinion. It is called with a lock held, and must not wait. Nil: none has.
	QuotaOf func(value string) (q Quota, ok bool)
	// Completion is the number of tokens reserved for an answer whose length the client
	// does not bound; 0 means 1024.
	Completion int64
	// Remember is how many values are remembered. Those whose quota is whole again make
	// room for others; while none is, the others share one. 0 means 10,000.
	Remember int

	mu       sync.Mutex // guards the following, and what accounts point to
	accounts *recent[string, *account]
	others   account // of all for which there is no room
}

var _ llmproxy.Interceptor = (*Limits)(nil)

// account is what is left of one value's quota.
type account struct {
	requests, tokens bucket
	running          int
	quota            Quota // the last one that it was asked for
}

// whole reports whether nothing of a's quota is taken, as if nobody had asked for it.
func (a *account) whole(now time.Time) bool {
	return a.running == 0 && a.requests.full(a.quota.Requests, now) && a.tokens.full(a.quota.Tokens, now)
}

// hold is what an exchange has taken of an account.
type hold struct {
	limits *Limits
	*account
	requests, tokens int64 // reserved
	metered          bool  // tokens are bounded: what was used is to be taken
	ended            bool  // guarded by limits.mu
}

// Intercept takes x out of its quota.
func (l *Limits) Intercept(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
	h, refusal := l.take(l.value(x), l.estimate(x), time.Now())
	switch {
	case refusal != nil:
		return nil, refusal
	case h == nil:
		return next(ctx, x)
	}
	ended := false
	defer func() {
		if !ended {
			h.end(0) // a panic
		}
	}()
	reply, err := next(ctx, x)
	ended = true
	switch code := codeOf(err); {
	case code == codeRateLimit || code == codeConcurrency:
		h.undo()
	case err != nil || failed(reply, nil):
		h.end(0)
	default:
		x.OnSettled(func(r *llmproxy.Record) {
			if r.ID == x.ID {
				h.end(h.used(r))
			} else {
				h.charge(tokensOf(r)) // a response that went on from it by itself
			}
		})
	}
	return reply, err
}

// value returns what x has in common with those it shares a quota with.
func (l *Limits) value(x *llmproxy.Exchange) string {
	switch l.Per {
	case PerKey:
		return x.Caller.Key
	case PerModel:
		model := strings.ToLower(x.UpstreamModel())
		if p := x.Route.Provider; p != nil {
			return p.Name() + "/" + model
		}
		return model
	case PerTag:
		return x.Tags[l.Tag]
	}
	return ""
}

// estimate returns the tokens to reserve for x.
func (l *Limits) estimate(x *llmproxy.Exchange) int64 {
	if !x.Operation.Metered || x.Body == nil {
		return 0
	}
	const bytesPerToken = 4 // of English text; JSON has more, which errs on the safe side
	return int64(len(x.Body.Bytes()))/bytesPerToken + cmp.Or(max(0, x.Meta.MaxTokens), l.Completion, 1024)
}

// The codes of the refusals.
const (
	codeRateLimit   = "rate_limit_exceeded"
	codeConcurrency = "concurrency_limit_exceeded"
)

// take takes a request and n tokens out of value's quota. h is nil where there is none.
func (l *Limits) take(value string, n int64, now time.Time) (h *hold, refusal error) {
	quota, own := l.Quotas[value]
	if !own && l.QuotaOf != nil {
		quota, own = l.QuotaOf(value)
	}
	if !own {
		quota = l.Quota
	}
	if quota.Requests <= 0 && quota.Tokens <= 0 && quota.Concurrent <= 0 {
		return nil, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.account(value, now)
	a.quota = quota
	if quota.Concurrent > 0 && a.running >= quota.Concurrent {
		return nil, l.refuse(codeConcurrency, "requests at a time", int64(quota.Concurrent), time.Second)
	}
	if quota.Requests > 0 {
		a.requests.fill(quota.Requests, now)
		if wait := a.requests.lacks(1, quota.Requests, now); wait > 0 {
			return nil, l.refuse(codeRateLimit, "requests a minute", quota.Requests, wait)
		}
	}
	if quota.Tokens > 0 {
		n = min(n, quota.Tokens) // else it would never be served
		a.tokens.fill(quota.Tokens, now)
		if wait := a.tokens.lacks(n, quota.Tokens, now); wait > 0 {
			return nil, l.refuse(codeRateLimit, "tokens a minute", quota.Tokens, wait)
		}
	}
	// What is not bounded is not taken: nothing would ever fill it up again.
	h = &hold{limits: l, account: a, metered: quota.Tokens > 0}
	if quota.Requests > 0 {
		h.requests = 1
	}
	if h.metered {
		h.tokens = n
	}
	a.running++
	a.requests.level -= h.requests
	a.tokens.level -= h.tokens
	return h, nil
}

// account returns that of value, the others' where there is no room. l.mu is held.
func (l *Limits) account(value string, now time.Time) *account {
	if l.accounts == nil {
		l.accounts = newRecent[string, *account](cmp.Or(l.Remember, 10_000), 0)
	}
	if a, known := l.accounts.get(value, now); known {
		return a
	}
	if !l.accounts.room(func(a *account) bool { return a.whole(now) }) {
		return &l.others
	}
	a := &account{}
	l.accounts.put(value, a, now)
	return a
}

// refuse returns the refusal of what is beyond a limit of most.
func (l *Limits) refuse(code, what string, most int64, wait time.Duration) *llmproxy.Error {
	return &llmproxy.Error{
		Status: http.StatusTooManyRequests, Type: "rate_limit_error", Code: code, RetryAfter: wait,
		Message: fmt.Sprintf("the gateway's limit of %d %s, per %s, is reached", most, what, l.Per),
	}
}

// used returns the tokens to charge for the exchange of r.
func (h *hold) used(r *llmproxy.Record) int64 {
	if r.UsageSource == llmproxy.UsageNone && (r.CostState != llmproxy.CostFree || r.Outcome == llmproxy.OutcomeCompleted) {
		return h.tokens // something was used: nobody knows what
	}
	return tokensOf(r)
}

func tokensOf(r *llmproxy.Record) int64 {
	n := r.Usage.TotalTokens()
	for i := range r.Items {
		n += r.Items[i].Usage.TotalTokens()
	}
	return n
}

// end settles h with the tokens that were used, once.
func (h *hold) end(used int64) {
	h.limits.mu.Lock()
	defer h.limits.mu.Unlock()
	if h.ended {
		return
	}
	h.ended = true
	h.running--
	if h.metered {
		h.account.tokens.level += h.tokens - used
	}
}

// undo gives all of h back: the exchange has not taken place.
func (h *hold) undo() {
	h.limits.mu.Lock()
	defer h.limits.mu.Unlock()
	h.running--
	h.account.requests.level += h.requests
	h.account.tokens.level += h.tokens
}

// charge takes used tokens, whether there are so many or not.
func (h *hold) charge(used int64) {
	h.limits.mu.Lock()
	defer h.limits.mu.Unlock()
	if h.metered {
		h.account.tokens.level -= used
	}
}
