package interceptors

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/llmproxy/llmproxy"
)

// Pools serves models from several targets each. As a [llmproxy.ProviderDetector] it
// chooses the first target of a request, as an [llmproxy.Interceptor] it asks the next
// one where that fails. A router is given it as both.
//
// Targets that fail are left alone for a while, then tried by one exchange ([Health]).
// Conversations stay with the target that knows them ([Affinity]). One that only that
// target can go on with, by previous_response_id or with encrypted reasoning of its own, is
// not sent to another; nor is anything that the client sends to a provider by name.
//
// Set the fields before its first use. It is safe for concurrent use and must not be
// copied after that.
type Pools struct {
	// Models are the targets by the name of the model, as clients write it.
	Models map[string][]Target
	// Attempts is how many targets an exchange may be sent to; 0 means all.
	Attempts int

	Health   Health
	Affinity Affinity

	// Draw returns a random number from 0 to n-1. Nil: evenly distributed.
	Draw func(n int) int

	once    sync.Once // guards the making of the following
	ward    *ward
	origins *origins
}

var (
	_ llmproxy.ProviderDetector = (*Pools)(nil)
	_ llmproxy.Interceptor      = (*Pools)(nil)
)

func (p *Pools) start() {
	p.once.Do(func() { p.ward, p.origins = newWard(), newOrigins(&p.Affinity) })
}

// DetectProvider chooses the target of a request that names a model of the pools, and the
// provider of one about a stored response that a pool has answered.
func (p *Pools) DetectProvider(_ context.Context, hint llmproxy.ProviderHint) (provider, model string) {
	if hint.Header.Get("X-Provider") != "" {
		return "", ""
	}
	p.start()
	now := time.Now()
	targets := p.Models[hint.Model]
	if len(targets) == 0 {
		from, _ := p.origins.of(responseThread(responseOf(&hint.Operation)), now)
		return from.provider, ""
	}
	x := &llmproxy.Exchange{Operation: hint.Operation, Header: hint.Header, Meta: hint.Meta, Caller: hint.Caller}
	if strings.EqualFold(hint.Header.Get("Upgrade"), "websocket") {
		x.Transport = llmproxy.TransportWebSocket
	}
	order, _ := p.order(targets, x, p.talk(targets, x), now)
	if len(order) == 0 {
		order = []int{0} // the router says what is wrong with it
	}
	chosen := &targets[order[0]]
	for _, i := range order {
		if _, out := p.ward.out(patientOf(&targets[i], x), now); !out {
			chosen = &targets[i]
			break
		}
	}
	return chosen.Provider.Name(), chosen.route().Model
}

// Intercept sends x to the targets of its model until one answers.
func (p *Pools) Intercept(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
	targets := p.Models[x.Meta.Model]
	if x.Operation.Mount || len(targets) == 0 || x.Header.Get("X-Provider") != "" {
		return next(ctx, x)
	}
	p.start()
	now, talk := time.Now(), p.talk(targets, x)
	order, known := p.order(targets, x, talk, now)
	if len(order) == 0 {
		return next(ctx, x)
	}
	x.OnSettled(func(r *llmproxy.Record) { p.origins.learn(r, talk.thread, time.Now()) })
	most := len(order)
	if p.Attempts > 0 {
		most = min(most, p.Attempts)
	}
	bound := x.Meta.PreviousResponseID != "" || known && encrypted(x)
	if bound || x.Body == nil {
		most = 1
	}
	w := failover{Pools: p, targets: targets, x: x, next: next, most: most, evenOut: bound}
	if reply, err := w.along(ctx, order); w.asked > 0 {
		return reply, err
	}
	// All are out: that one first that comes back first.
	w.evenOut = true
	return w.along(ctx, p.byReturn(targets, order, x, now))
}

// failover is the way of an exchange from target to target.
type failover struct {
	*Pools
	targets []Target
	x       *llmproxy.Exchange
	next    llmproxy.RoundTripFunc
	most    int  // targets to ask
	evenOut bool // asks also those that are out

	asked int
}

// along asks the targets at the places of order until one answers.
func (w *failover) along(ctx context.Context, order []int) (reply *llmproxy.Reply, err error) {
	for n, i := range order {
		t := &w.targets[i]
		v, ok := w.ward.admit(patientOf(t, w.x), time.Now())
		if !ok && !w.evenOut {
			continue
		}
		discard(reply)
		w.asked++
		on := false
		if reply, err, on = w.ask(ctx, t, v, order[n+1:]); !on {
			break
		}
	}
	return reply, err
}

// ask sends the exchange to t and reports on it. on says that another target is to be
// asked, one of rest.
func (w *failover) ask(ctx context.Context, t *Target, v visit, rest []int) (reply *llmproxy.Reply, err error, on bool) {
	p, x := w.Pools, w.x
	ended := false
	defer func() {
		if !ended {
			p.ward.leave(&v) // a panic
		}
	}()
	reply, err = w.next(&asking{Context: ctx, failover: w, visit: &v, rest: rest}, t.routed(x))
	ended = true
	switch {
	case !failed(reply, err):
		p.ward.recovered(&v, time.Now())
		return reply, nil, false
	case ctx.Err() != nil:
		p.ward.leave(&v)
		return reply, err, false
	}
	f := &Failure{Err: err}
	if err == nil {
		if reply.StatusCode == http.StatusUnauthorized && t.Provider.Settings().ClientKeys {
			p.ward.leave(&v)
			return reply, nil, false // it is the client's key that is wrong
		}
		f = failureOf(reply, nil)
	}
	switch {
	case f.ill():
		p.ward.fell(&p.Health, &v, f, time.Now())
	case f.Status == http.StatusUnauthorized, f.Status == http.StatusForbidden:
		p.ward.leave(&v) // it may be this request that is not allowed
	case f.Status > 0:
		p.ward.recovered(&v, time.Now()) // it answers, if only that the request is wrong
	default:
		p.ward.leave(&v) // the gateway's own refusal
	}
	return reply, err, w.asked < w.most && f.elsewhere()
}

// order returns the places of the targets that x, of the conversation talk, can be sent
// to, the first choice first. known says that this has answered in talk before.
func (p *Pools) order(targets []Target, x *llmproxy.Exchange, talk talk, now time.Time) (order []int, known bool) {
	draw := p.Draw
	switch {
	case talk.thread != none:
		draw = talk.draws()
	case draw == nil:
		draw = rand.IntN
	}
	order = slices.DeleteFunc(inOrder(targets, draw), func(i int) bool { return !targets[i].serves(x) })
	if from, ok := p.origins.of(talk.thread, now); ok && !talk.opening {
		known = prefer(order, func(i int) bool { return from == origin{targets[i].Provider.Name(), targets[i].asked(x.Meta.Model)} })
	}
	if r := x.Route; r.Provider != nil && x.Transport == llmproxy.TransportWebSocket {
		// Its connection is there, and what the provider remembers is in it.
		prefer(order, func(i int) bool {
			return targets[i].Provider.Name() == r.Provider.Name() && targets[i].asked(x.Meta.Model) == x.UpstreamModel()
		})
	}
	if from, ok := p.origins.of(responseThread(x.Meta.PreviousResponseID), now); ok {
		prefer(order, func(i int) bool { return from == origin{targets[i].Provider.Name(), targets[i].asked(x.Meta.Model)} })
	}
	return order, known
}

// prefer moves the first place that is wanted to the front. It reports whether there is one.
func prefer(order []int, wanted func(i int) bool) bool {
	n := slices.IndexFunc(order, wanted)
	if n > 0 {
		i := order[n]
		copy(order[1:n+1], order[:n])
		order[0] = i
	}
	return n >= 0
}

// talk returns the conversation of x, none where it makes no difference.
func (p *Pools) talk(targets []Target, x *llmproxy.Exchange) talk {
	if len(targets) == 1 {
		return talk{}
	}
	return p.Affinity.conversation(x)
}

// byReturn returns order, sorted by when the targets come back.
func (p *Pools) byReturn(targets []Target, order []int, x *llmproxy.Exchange, now time.Time) []int {
	until := make(map[int]time.Time, len(order))
	for _, i := range order {
		until[i], _ = p.ward.out(patientOf(&targets[i], x), now)
	}
	slices.SortStableFunc(order, func(a, b int) int { return until[a].Compare(until[b]) })
	return order
}

// patientOf is t as x asks it.
func patientOf(t *Target, x *llmproxy.Exchange) patient {
	who := patient{provider: t.Provider.Name(), model: t.asked(x.Meta.Model)}
	if t.Provider.Settings().ClientKeys {
		who.caller = x.Caller.Key
	}
	return who
}
