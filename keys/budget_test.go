package keys_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/keys"
)

// A prompt of one word is answered with three.
const oneCall = llmproxy.USD(1*inputRate + 3*outputRate)

// call sends one request of the test's kind, and reports whether it was served.
type call func(secret string, n int) (served bool)

// calls are the ways to ask, each for the same price.
func (r *rig) calls() map[string]call {
	refusedOr := func(a answer, err error) bool {
		switch {
		case err != nil:
			r.t.Error(err)
		case a.status == http.StatusPaymentRequired && strings.Contains(a.body, `"code":"budget_exceeded"`) && a.header.Get("X-Should-Retry") == "false":
		case a.status == http.StatusOK:
			return true
		default:
			r.t.Errorf("%d %s", a.status, a.body)
		}
		return false
	}
	return map[string]call{
		"JSON": func(secret string, _ int) bool {
			return refusedOr(r.try("POST", "/v1/chat/completions", secret, `{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],"max_tokens":4}`))
		},
		"stream": func(secret string, _ int) bool {
			return refusedOr(r.try("POST", "/v1/chat/completions", secret, `{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"hi"}],"max_tokens":4}`))
		},
		"WebSocket": func(secret string, _ int) bool {
			s := r.socket(secret)
			defer s.conn.Close()
			switch kind, raw := s.turn(`{"type":"response.create","model":"gpt-4o","input":"hi","max_output_tokens":16}`); {
			case kind == "response.completed":
				return true
			case kind != "error" || !strings.Contains(raw, "budget_exceeded") || !strings.Contains(raw, "402"):
				r.t.Errorf("%s", raw)
			}
			return false
		},
	}
}

// Two hundred calls at once, of a budget for ten, spend the budget and one call at most;
// sent again one at a time, the refused spend the rest of it.
func TestBudgetRace(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"JSON", "stream", "WebSocket"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			many := 200
			if name == "WebSocket" {
				many = 60 // each has a connection of its own
			}
			// A provider holds its answers back until every call has been decided on.
			arrived, all := make(chan struct{}, many), make(chan struct{})
			script := simulator.Script{BeforeHeader: simulator.Until(all)}
			so := simulator.Options{Script: func(*http.Request) simulator.Script {
				arrived <- struct{}{}
				return script
			}}
			if name == "WebSocket" {
				so.Script = nil
				so.TurnScript = func([]byte, int) simulator.Script {
					arrived <- struct{}{}
					return simulator.Script{BeforeEvent: simulator.Until(all)}
				}
			}
			r := newRig(t, so)
			k, secret := r.key(keys.Key{Budget: 10 * oneCall, Per: keys.PerMonth})
			ask := r.calls()[name]

			outcomes := make(chan bool, many)
			var wg sync.WaitGroup
			for i := range many {
				wg.Go(func() { outcomes <- ask(secret, i) })
			}
			served := 0
			for decided := 0; decided < many; decided++ {
				select {
				case <-arrived:
					served++
				case ok := <-outcomes:
					if ok {
						t.Fatal("served before the provider had answered")
					}
				}
			}
			close(all)
			wg.Wait()
			if served < 1 {
				t.Fatal("none was served")
			}
			go func() {
				for range arrived {
				}
			}()
			defer close(arrived)
			again := 0
			for i := range many - served {
				if ask(secret, many+i) {
					again++
				}
			}
			var spent llmproxy.USD
			exchanges := 0
			for len(r.records) > 0 {
				rec := <-r.records
				if rec.Key != k.ID {
					t.Errorf("a record of the key %q", rec.Key)
				}
				if rec.Status == 200 {
					if rec.Cost != oneCall {
						t.Fatalf("a call has cost $%s, want $%s: the test is about something else", rec.Cost, oneCall)
					}
					exchanges++
				}
				spent += rec.Cost
			}
			t.Logf("%d at once, %d after them", served, again)
			if served+again != 10 || exchanges != 10 || spent != 10*oneCall {
				t.Errorf("%d at once and %d after them, %d recorded: $%s spent of $%s", served, again, exchanges, spent, k.Budget)
			}
		})
	}
}

func TestBudgetMessages(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{})
	const body = `{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],"max_tokens":4}`
	for _, tt := range []struct {
		per  keys.Period
		want string
	}{
		{keys.Total, `the gateway key has spent its budget of $0"`},
		{keys.PerDay, "the gateway key has spent its budget of $0 a day; the next begins on " + keys.PerDay.Next(time.Now()).Format("2006-01-02") + " at 00:00 UTC"},
		{keys.PerMonth, "the gateway key has spent its budget of $0 a month; the next begins on " + keys.PerMonth.Next(time.Now()).Format("2006-01-02") + " at 00:00 UTC"},
	} {
		_, secret := r.key(keys.Key{Per: tt.per})
		a := r.do("POST", "/v1/chat/completions", secret, body)
		a.want(t, string(tt.per), 402, tt.want)
		if rec := <-r.records; rec.Status != 402 || rec.Outcome != llmproxy.OutcomeRejected || rec.CostState != llmproxy.CostFree || rec.Error.Code != "budget_exceeded" {
			t.Errorf("the record is %+v", rec)
		}
	}
	k, secret := r.key(keys.Key{Budget: oneCall, Per: keys.Total})
	h := keys.Hold{ID: "another", Key: k.ID, Limit: oneCall, Money: oneCall, Life: time.Hour}
	if err := r.budget.Holder.Hold(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	r.do("POST", "/v1/chat/completions", secret, body).want(t, "held", 402, "what is left of the gateway key's budget of $0.00000601 is held by requests that have not ended")
	r.do("POST", "/v1/messages", secret, `{"model":"claude-haiku-4-5","messages":[{"role":"user","content":"hi"}],"max_tokens":4}`).want(t, "Messages", 402, `"type":"billing_error"`)
}

// What costs nothing passes, whatever is left; what has no price does not, unless the
// operator says so, and then as long as something is left.
func TestFreeAndUnpriced(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{})
	_, spent := r.key(keys.Key{Per: keys.Total})
	_, rich := r.key(keys.Key{Budget: dollar, Per: keys.Total})
	_, none := r.key(keys.Key{})
	ask := func(model string) string {
		return `{"model":"` + model + `","messages":[{"role":"user","content":"hi"}],"max_tokens":4}`
	}
	r.do("POST", "/v1/chat/completions", spent, ask("free")).want(t, "a price of zero", 200, "You said")
	const count = `{"model":"claude-haiku-4-5","messages":[{"role":"user","content":"hi"}]}`
	r.do("POST", "/v1/messages/count_tokens", spent, count).want(t, "counting", 200, "input_tokens")
	if a := r.do("GET", "/v1/models", spent, ""); a.status != 200 {
		t.Errorf("the list of models: %d %s", a.status, a.body)
	}
	r.do("POST", "/v1/chat/completions", rich, ask("unknown")).want(t, "no price", 403, "no price is known for this model, and the gateway key has a budget")
	r.do("POST", "/v1/chat/completions", none, ask("unknown")).want(t, "no price, no budget", 200, "You said")
	r.budget.AllowUnpriced = true
	r.do("POST", "/v1/chat/completions", rich, ask("unknown")).want(t, "no price, allowed", 200, "You said")
	r.do("POST", "/v1/chat/completions", spent, ask("unknown")).want(t, "no price, allowed, and nothing left", 402, "budget_exceeded")
}

// spentOf returns what is spent and held of a key's budget without an end.
func (r *rig) spentOf(k keys.Key) (spent, held llmproxy.USD) {
	r.t.Helper()
	e, ok := r.budget.Holder.Hold(r.t.Context(), keys.Hold{ID: "asks", Key: k.ID, Limit: 0, Money: 1}).(*keys.ExceededError) //nolint:errorlint // as it is returned
	if !ok {
		r.t.Fatal("a budget of nothing is not exceeded")
	}
	return e.Spent, e.Held
}

// However an exchange ends, nothing stays held.
func TestEveryEndSettles(t *testing.T) {
	t.Parallel()
	const ask = `"messages":[{"role":"user","content":"hi"}],"max_tokens":4}`
	// One token a byte of the longest body below, and four of output.
	hold := func(body string) llmproxy.USD { return llmproxy.USD(len(body)*inputRate + 4*outputRate) }
	for _, tt := range []struct {
		name, body, script string
		want               func(body string) llmproxy.USD
	}{
		{"completed", `{"model":"gpt-4o",` + ask, "", func(string) llmproxy.USD { return oneCall }},
		{"streamed", `{"model":"gpt-4o","stream":true,` + ask, "", func(string) llmproxy.USD { return oneCall }},
		{"refused by the provider", `{"model":"gpt-4o",` + ask, "status=429", func(string) llmproxy.USD { return 0 }},
		{"broken off", `{"model":"gpt-4o","stream":true,` + ask, "cut-events=2", hold},
		{"without usage", `{"model":"gpt-4o","stream":true,` + ask, "usage=none", hold},
		{"refused by the gateway", `{"model":"claude-haiku-4-5","tools":[{"model":"o3"}],` + ask, "", func(string) llmproxy.USD { return 0 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, simulator.Options{})
			k, secret := r.key(keys.Key{Budget: dollar, Per: keys.Total, Models: []string{"gpt-4o", "claude*"}})
			_, _ = r.try("POST", "/v1/chat/completions", secret, tt.body, "X-Simulate", tt.script)
			rec := <-r.records
			if spent, held := r.spentOf(k); spent != tt.want(tt.body) || held != 0 {
				t.Errorf("$%s spent and $%s held, want $%s and nothing; %s %d %s", spent, held, tt.want(tt.body), rec.Outcome, rec.Status, rec.CostState)
			}
		})
	}
}

// Who leaves before the end pays what was held, unless it is known what it has cost.
func TestClientThatLeaves(t *testing.T) {
	t.Parallel()
	all := make(chan struct{})
	defer close(all)
	arrived := make(chan struct{}, 1)
	r := newRig(t, simulator.Options{Script: func(*http.Request) simulator.Script {
		arrived <- struct{}{}
		return simulator.Script{BeforeBody: simulator.Until(all)}
	}})
	k, secret := r.key(keys.Key{Budget: dollar, Per: keys.Total})
	ctx, leave := context.WithCancel(t.Context())
	body := `{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"hi"}],"max_tokens":4}`
	req, err := http.NewRequestWithContext(ctx, "POST", r.url+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	req.Header.Set("Content-Type", "application/json")
	resp, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	<-arrived
	if _, held := r.spentOf(k); held != llmproxy.USD(len(body)*inputRate+4*outputRate) {
		t.Errorf("$%s held while it runs", held)
	}
	leave()
	_ = resp.Body.Close()
	rec := <-r.records
	if spent, held := r.spentOf(k); spent != llmproxy.USD(len(body)*inputRate+4*outputRate) || held != 0 || rec.Outcome != llmproxy.OutcomeCancelled {
		t.Errorf("$%s spent and $%s held, %s", spent, held, rec.Outcome)
	}
}

// ledger is what background responses have cost.
type ledger struct {
	mu    sync.Mutex
	costs map[string]llmproxy.USD // guarded by mu
	err   error                   // guarded by mu
}

func (l *ledger) Cost(_ context.Context, id string) (llmproxy.USD, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	cost, ok := l.costs[id]
	return cost, ok, l.err
}

func (l *ledger) set(id string, cost llmproxy.USD) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.costs[id] = cost
}

// A background response is held for until it is known what it has cost.
func TestBackgroundResponse(t *testing.T) {
	t.Parallel()
	l := &ledger{costs: map[string]llmproxy.USD{}}
	r := newRig(t, simulator.Options{}, func(r *rig) { r.budget.Background = l })
	k, secret := r.key(keys.Key{Budget: dollar, Per: keys.Total})
	body := `{"model":"gpt-4o","input":"hi","background":true,"max_output_tokens":16}`
	hold := llmproxy.USD(len(body)*inputRate + 16*outputRate)
	start := func() (record, response string) {
		t.Helper()
		a := r.do("POST", "/v1/responses", secret, body)
		rec := <-r.records
		if a.status != 200 || rec.CostState != llmproxy.CostPending {
			t.Fatalf("%d %s: %s", a.status, a.body, rec.CostState)
		}
		return rec.ID, rec.ResponseID
	}
	record, response := start()
	look := func() {
		t.Helper()
		if a := r.do("GET", "/v1/responses/"+response, secret, ""); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		<-r.records
	}
	look()
	if spent, held := r.spentOf(k); spent != 0 || held != hold {
		t.Errorf("while it runs: $%s spent and $%s held, want $%s held", spent, held, hold)
	}
	l.set(record, 5)
	look()
	if spent, held := r.spentOf(k); spent != 5 || held != 0 {
		t.Errorf("after a look at its end: $%s spent and $%s held, want $0.000000000005 spent", spent, held)
	}

	// One that nobody looks at gives back what it holds when that is wanted.
	record, _ = start()
	all := keys.Hold{ID: "rest", Key: k.ID, Limit: dollar, Money: dollar - hold - 5, Life: time.Hour}
	if err := r.budget.Holder.Hold(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	chat := `{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],"max_tokens":4}`
	r.do("POST", "/v1/chat/completions", secret, chat).want(t, "while it runs", 402, "budget_exceeded")
	l.set(record, 7)
	r.do("POST", "/v1/chat/completions", secret, chat).want(t, "after its end", 200, "You said")
	if spent, _ := r.spentOf(k); spent != 12+oneCall {
		t.Errorf("$%s spent", spent)
	}
}

// down is a holder that does not answer.
type down struct{ err error }

func (d *down) Hold(context.Context, keys.Hold) error { return d.err }

func (d *down) Settle(context.Context, keys.Hold, llmproxy.USD) error { return d.err }

func (d *down) Charge(context.Context, keys.Hold, llmproxy.USD) error { return d.err }

func TestHolderThatIsDown(t *testing.T) {
	t.Parallel()
	d := &down{err: errDown}
	r := newRig(t, simulator.Options{}, func(r *rig) { r.budget.Holder = d })
	_, secret := r.key(keys.Key{Budget: dollar, Per: keys.Total})
	_, free := r.key(keys.Key{})
	const body = `{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],"max_tokens":4}`
	a := r.do("POST", "/v1/chat/completions", secret, body)
	a.want(t, "denied", 503, "the gateway cannot find out at the moment what is left of the budget")
	if a.header.Get("Retry-After") != "5" {
		t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
	}
	r.do("POST", "/v1/chat/completions", free, body).want(t, "without a budget", 200, "You said")
	r.budget.AllowStoreDown = true
	r.do("POST", "/v1/chat/completions", secret, body).want(t, "allowed", 200, "You said")
	if log := r.log.String(); !strings.Contains(log, "nobody knows what is left of its budget") || strings.Contains(log, secret) {
		t.Errorf("the log is %s", log)
	}
}
