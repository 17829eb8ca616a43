package interceptors

import (
	"cmp"
	"errors"
	"net/http"

	"github.com/llmproxy/llmproxy"
)

// Target is one place where a model is served.
type Target struct {
	Provider llmproxy.Provider // registered with the router
	Model    string            // the model's name there; "" leaves it as the client wrote it

	// Tier orders the targets of a model: one of a higher tier is asked only when none of
	// a lower one can be.
	Tier int
	// Weight is the share among the targets of a tier; 0 means 1, a negative one none.
	Weight int
}

// route is the way to t.
func (t *Target) route() llmproxy.Route {
	// The operator's setting stands above all names, as it does in the router.
	return llmproxy.Route{Provider: t.Provider, Model: cmp.Or(t.Provider.Settings().Model, t.Model)}
}

// routed returns x on its way to t: x itself where the detector has sent it there.
func (t *Target) routed(x *llmproxy.Exchange) *llmproxy.Exchange {
	to := t.route()
	if p := x.Route.Provider; p != nil && p.Name() == to.Provider.Name() && x.Route.Model == to.Model {
		return x
	}
	c := x.Clone()
	c.Route = to
	return c
}

// asked returns the name under which t is asked for model.
func (t *Target) asked(model string) string { return cmp.Or(t.route().Model, model) }

// serves reports whether t can be sent x: whether its provider speaks the API, and over a
// WebSocket where x has come on one.
func (t *Target) serves(x *llmproxy.Exchange) bool {
	if _, ok := t.Provider.API(x.Operation.API); !ok {
		return false
	}
	if x.Transport != llmproxy.TransportWebSocket {
		return true
	}
	capable, ok := t.Provider.(llmproxy.WebSocketCapableProvider)
	if !ok {
		return false
	}
	c := x.Clone()
	c.Route = t.route()
	_, err := capable.WebSocketURL(c)
	return !errors.Is(err, llmproxy.ErrNoWebSocket)
}

// inOrder returns the places of targets in the order in which they are asked: tier after
// tier, and within one drawn by weight. draw returns a number from 0 to n-1.
func inOrder(targets []Target, draw func(n int) int) []int {
	order := make([]int, len(targets))
	for i := range order {
		order[i] = i
	}
	for done := 0; done < len(order); done++ {
		rest := order[done:]
		tier, sum := 0, 0
		for n, i := range rest {
			t := &targets[i]
			if n == 0 || t.Tier < tier {
				tier, sum = t.Tier, 0
			}
			if t.Tier == tier {
				sum += t.share()
			}
		}
		// Shares of nothing come last in their tier, as they stand.
		drawn := -1
		if sum > 0 {
			drawn = draw(sum)
		}
		for n, i := range rest {
			t := &targets[i]
			if t.Tier != tier || drawn >= 0 && t.share() == 0 {
				continue
			}
			if drawn -= t.share(); drawn < 0 {
				copy(rest[1:n+1], rest[:n])
				rest[0] = i
				break
			}
		}
	}
	return order
}

func (t *Target) share() int {
	if t.Weight < 0 {
		return 0
	}
	return cmp.Or(t.Weight, 1)
}

// elsewhere reports whether another target may do better than the one that failed as f: it
// is down, slow or full, or has trouble with our account there. What is wrong with the
// request is so everywhere.
func (f *Failure) elsewhere() bool {
	if f.Status == 0 {
		switch codeOf(f.Err) {
		case codeUnreachable, codeTimeout, codeAuth:
			return true
		}
		return false
	}
	switch f.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return true
	case http.StatusConflict:
		return false
	}
	return transient(f.Status) || f.OutOfQuota()
}

// ill reports whether f says something of the target, and not only of the request.
func (f *Failure) ill() bool {
	switch f.Status {
	case http.StatusNotFound:
		return false
	case http.StatusUnauthorized, http.StatusForbidden:
		return f.ofAccount() || f.OutOfQuota()
	}
	return f.elsewhere()
}
