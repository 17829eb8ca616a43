package keys

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/llmproxy/llmproxy"
)

// Budget keeps a key's spending within its budget: it holds the most that an exchange
// should cost before the provider is called, and puts what it has cost in its place before
// the client has the end of the answer. A turn on a WebSocket is an exchange.
//
// The most is one token for each byte of the request at the dearest input rate, and the
// limit of the answer at the dearest output rate. It stands outside of what chooses the
// provider and tries again, so that an exchange is held for once. Exchanges on behalf of
// nobody, and of keys without a budget, pass.
//
// Set the fields before its first use, and let [Budget.Run] run. It is safe for concurrent
// use and must not be copied after its first.
type Budget struct {
	Keys    Lookup
	Holder  Holder
	Billing *llmproxy.BillingCalculator // the router's

	// Reach lists where an exchange may be sent to, besides being routed. Nil: its Route.
	Reach func(x *llmproxy.Exchange) []llmproxy.Route

	// OutputLimit is the most tokens that a model answers with; 0: not known. Nil: of none.
	OutputLimit func(provider, model string) int64

	// Output is the number of tokens expected at most of an answer whose length nothing
	// bounds; 0 means 32,768.
	Output int64

	// Context is the number of tokens expected at most of what a request refers to and does
	// not hold: an earlier conversation that is not remembered, cached content. 0 means
	// 128,000.
	Context int64

	// AllowUnpriced lets exchanges pass whose price is not known, as long as something is
	// left of the budget. Without it they are refused with 403.
	AllowUnpriced bool

	// AllowStoreDown lets exchanges pass while the holder cannot tell what is left. Without
	// it they are refused with 503.
	AllowStoreDown bool

	// Background finds out what a background response has cost in the end. Nil: it is taken
	// to cost what was held for it.
	Background Background

	// Life is after which time an exchange that has not been settled is taken for dead,
	// with its process, say; 0 means two hours. It must be longer than any exchange.
	Life time.Duration

	Logger *slog.Logger // nil: [slog.Default]

	once  sync.Once // guards the making of the following
	state *budgetState
}

var _ llmproxy.Interceptor = (*Budget)(nil)

// Background tells what a background response has cost: a ledger is one.
type Background interface {
	// Cost returns what the record with that ID says the exchange costs; known is false
	// where it is not settled yet.
	Cost(ctx context.Context, id string) (cost llmproxy.USD, known bool, err error)
}

// budgetState is what a Budget remembers.
type budgetState struct {
	lengths *recent[int64] // tokens of conversations, by the id to go on from
	pending pending
	debts   debts
}

func (b *Budget) start() *budgetState {
	b.once.Do(func() {
		b.state = &budgetState{lengths: newRecent[int64](20_000), debts: debts{more: make(chan struct{}, 1)}}
	})
	return b.state
}

func (b *Budget) lengths() *recent[int64] { return b.start().lengths }

func (b *Budget) log() *slog.Logger {
	if b.Logger != nil {
		return b.Logger
	}
	return slog.Default()
}

// Intercept holds for x, or refuses it.
func (b *Budget) Intercept(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
	k, ok := b.Keys.Key(x.Caller.Key)
	if x.Caller.Key == "" || !ok || !k.Budgeted() {
		return next(ctx, x)
	}
	h := Hold{ID: x.ID, Key: k.ID, Since: k.Per.Start(x.Start), Limit: k.Budget, Life: cmp.Or(b.Life, 2*time.Hour)}
	resumes := ""
	if x.Operation.Metered {
		a := read(x)
		resumes = a.resumes
		most, priced := b.ceiling(x, &a)
		switch {
		case priced:
			h.Money = min(most, max(h.Limit, 1))
		case b.AllowUnpriced:
			h.Money = 1 // something has to be left
		default:
			return nil, unpriced(x)
		}
	}
	if h.Money > 0 {
		switch err := b.hold(ctx, h); {
		case err == nil:
		case errors.Is(err, ErrBudgetExceeded):
			return nil, exceeded(k, x.Start, err)
		case b.AllowStoreDown:
			// Under another ID: whether this one is held is not known.
			h.Money, h.ID = 0, h.ID+"+"
			b.log().Error("an exchange is let through although nobody knows what is left of its budget", "id", x.ID, "key", k.ID, "error", err)
		default:
			b.log().Error("an exchange is refused because nobody knows what is left of its budget", "id", x.ID, "key", k.ID, "error", err)
			return nil, storeDown("the gateway cannot find out at the moment what is left of the budget")
		}
	}
	x.OnSettled(func(r *llmproxy.Record) { b.settled(ctx, x, h, resumes, r) })
	return next(ctx, x)
}

// hold holds h. Where nothing is left, background responses that have ended meanwhile may
// give something back.
func (b *Budget) hold(ctx context.Context, h Hold) error {
	err := b.Holder.Hold(ctx, h)
	if errors.Is(err, ErrBudgetExceeded) && b.collect(ctx, func(p *pendingHold) bool { return p.Key == h.Key }) {
		err = b.Holder.Hold(ctx, h)
	}
	if err != nil && !errors.Is(err, ErrBudgetExceeded) {
		// It may have been held all the same.
		b.owe(debt{hold: h})
	}
	return err
}

// settled puts what r says in the place of h. resumes is what x went on with.
func (b *Budget) settled(ctx context.Context, x *llmproxy.Exchange, h Hold, resumes string, r *llmproxy.Record) {
	if n := r.Usage.TotalTokens(); n > 0 && r.ResponseID != "" {
		set := func(int64) int64 { return n }
		b.lengths().update(r.ResponseID, set)
		if resumes != "" && resumes != x.Meta.PreviousResponseID {
			b.lengths().update(resumes, set) // a conversation is as long as its last response
		}
	}
	if x.Operation.Settles {
		t := thingOf(x.Operation.Path)
		b.collect(ctx, func(p *pendingHold) bool { return p.response == t.id })
	}
	d := debt{hold: h, cost: charged(h, r)}
	switch {
	case r.ID != x.ID: // a response that went on from it by itself
		d.hold.ID, d.charge = r.ID, true
	case h.Money == 0:
		d.charge = true
	case r.CostState == llmproxy.CostPending && b.Background != nil && r.ResponseID != "":
		if oldest, full := b.start().pending.add(pendingHold{h, r.ResponseID}); full {
			b.pay(ctx, debt{hold: oldest.Hold, cost: oldest.Money})
		}
		return
	}
	if d.charge && d.cost == 0 {
		return
	}
	b.pay(ctx, d)
}

// charged returns what the exchange of r is charged. Where nobody knows what it costs, that
// is what was held for it: otherwise, who leaves before the end would pay nothing.
func charged(h Hold, r *llmproxy.Record) llmproxy.USD {
	if r.CostKnown {
		return max(0, r.Cost)
	}
	return h.Money
}

// settleTimeout bounds what the end of an answer waits for.
const settleTimeout = 2 * time.Second

// pay settles d, at once or, where that fails, later.
func (b *Budget) pay(ctx context.Context, d debt) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	if err := d.pay(ctx, b.Holder); err != nil {
		b.owe(d)
	}
}

// unpriced refuses an exchange whose price is not known.
func unpriced(x *llmproxy.Exchange) *llmproxy.Error {
	return forbidden("model_unpriced", "model", "no price is known for this model, and the gateway key has a budget")
}

// exceeded is the refusal that err, an [ErrBudgetExceeded], stands for.
func exceeded(k *Key, at time.Time, err error) *llmproxy.Error {
	budget := "$" + k.Budget.String()
	switch k.Per {
	case PerDay, PerMonth:
		budget += " a " + string(k.Per)
	}
	message := fmt.Sprintf("the gateway key has spent its budget of %s", budget)
	if e, ok := errors.AsType[*ExceededError](err); ok && e.Spent < k.Budget {
		message = fmt.Sprintf("what is left of the gateway key's budget of %s is held by requests that have not ended", budget)
	}
	if next := k.Per.Next(at); !next.IsZero() {
		message += "; the next begins on " + next.Format("2006-01-02") + " at 00:00 UTC"
	}
	return &llmproxy.Error{
		Status: http.StatusPaymentRequired, Type: "insufficient_quota", Code: "budget_exceeded",
		Message: message, NoRetry: true,
	}
}
