package llmproxy_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
)

// end is one cell of the table of docs/metering.md, "What is recorded when": a way in
// which an exchange ends, on a transport.
type end struct {
	row       string
	transport llmproxy.Transport
	never     string // why the row does not occur there; then nothing else is set

	ask    string // what is asked for; "" means Responses, or Converse as an event stream
	script string // how the provider misbehaves
	rig    endRig
	want   ended
}

// ended is what the record says.
type ended struct {
	outcome   llmproxy.Outcome
	status    int
	source    llmproxy.UsageSource
	state     llmproxy.CostState
	cost      string             // in dollars; "" where it is not known
	transport llmproxy.Transport // "" means the cell's
}

const (
	overHTTP   = llmproxy.TransportHTTP
	overSSE    = llmproxy.TransportSSE
	overAWS    = llmproxy.TransportEventStream
	overSocket = llmproxy.TransportWebSocket

	// The providers of these tests report 1200 tokens, 1000 of them cached, and 300 back.
	// That is 200 × 0.05 + 1000 × 0.005 + 300 × 0.4 millionths of a dollar.
	wholeCost = "0.000135"
	// Two tokens have come back: the third chunk of a chat, the second of Gemini's.
	chatCost = "0.0000158"
	// The first event of a message states one.
	messageCost = "0.0000154"
	// What the provider states where it does: 20,800,000 ticks.
	statedCost = "0.00208"
)

// ends is the table. Every row has a line for every transport.
var ends = slices.Concat(endsOfAnswers, endsOfProviders, endsOfClients, endsOfGateways)

// The answer reached its end.
var endsOfAnswers = []end{
	{row: "completed", transport: overHTTP, want: ended{"completed", 200, "provider", "exact", wholeCost, ""}},
	{row: "completed", transport: overSSE, want: ended{"completed", 200, "provider", "exact", wholeCost, ""}},
	{row: "completed", transport: overAWS, want: ended{"completed", 200, "provider", "exact", wholeCost, ""}},
	{row: "completed", transport: overAWS, ask: "invoke", want: ended{"completed", 200, "provider", "exact", wholeCost, ""}},
	{row: "completed", transport: overSocket, want: ended{"completed", 200, "provider", "exact", wholeCost, ""}},

	{row: "incomplete", transport: overHTTP, script: "end=incomplete", want: ended{"incomplete", 200, "provider", "exact", wholeCost, ""}},
	{row: "incomplete", transport: overSSE, script: "end=incomplete", want: ended{"incomplete", 200, "provider", "exact", wholeCost, ""}},
	{row: "incomplete", transport: overAWS, never: "Bedrock completes such an answer, and its stop reason is max_tokens"},
	{row: "incomplete", transport: overSocket, script: "end=incomplete", want: ended{"incomplete", 200, "provider", "exact", wholeCost, ""}},

	{row: "the charge is stated", transport: overHTTP, rig: endRig{states: true}, want: ended{"completed", 200, "provider", "provider", statedCost, ""}},
	{row: "the charge is stated", transport: overSSE, rig: endRig{states: true}, want: ended{"completed", 200, "provider", "provider", statedCost, ""}},
	{row: "the charge is stated", transport: overAWS, never: "AWS states no charge"},
	{row: "the charge is stated", transport: overSocket, rig: endRig{states: true}, want: ended{"completed", 200, "provider", "provider", statedCost, ""}},

	{row: "whole, without usage", transport: overHTTP, script: "usage=none", want: ended{"completed", 200, "none", "unpriced", "", ""}},
	{row: "whole, without usage", transport: overSSE, script: "usage=none", want: ended{"completed", 200, "none", "unpriced", "", ""}},
	{row: "whole, without usage", transport: overAWS, script: "usage=none", want: ended{"completed", 200, "none", "unpriced", "", ""}},
	{row: "whole, without usage", transport: overSocket, script: "usage=none", want: ended{"completed", 200, "none", "unpriced", "", ""}},

	{row: "failed, with usage", transport: overHTTP, script: "end=failed", want: ended{"failed", 200, "provider", "exact", wholeCost, ""}},
	{row: "failed, with usage", transport: overSSE, script: "end=failed", want: ended{"failed", 200, "provider", "exact", wholeCost, ""}},
	{row: "failed, with usage", transport: overAWS, ask: "invoke", script: "end=failed", want: ended{"failed", 200, "provider", "exact", messageCost, ""}},
	{row: "failed, with usage", transport: overSocket, script: "end=failed", want: ended{"failed", 200, "provider", "exact", wholeCost, ""}},

	{row: "failed, without usage", transport: overHTTP, script: "end=failed,usage=none", want: ended{"failed", 200, "none", "free", "0", ""}},
	{row: "failed, without usage", transport: overSSE, script: "end=failed,usage=none", want: ended{"failed", 200, "none", "free", "0", ""}},
	{row: "failed, without usage", transport: overSSE, script: "end=error", want: ended{"failed", 200, "none", "free", "0", ""}},
	{row: "failed, without usage", transport: overAWS, script: "end=failed", want: ended{"failed", 200, "none", "free", "0", ""}},
	{row: "failed, without usage", transport: overAWS, script: "end=error", want: ended{"failed", 200, "none", "free", "0", ""}},
	{row: "failed, without usage", transport: overSocket, script: "end=failed,usage=none", want: ended{"failed", 200, "none", "free", "0", ""}},
	{row: "failed, without usage", transport: overSocket, script: "end=error", want: ended{"failed", 200, "none", "free", "0", ""}},

	{row: "accepted in the background", transport: overHTTP, ask: "background", want: ended{"pending", 200, "none", "pending", "", ""}},
	{row: "accepted in the background", transport: overSSE, ask: "background", script: "cut-events=2", want: ended{"pending", 200, "none", "pending", "", ""}},
	{row: "accepted in the background", transport: overAWS, never: "Bedrock has no background"},
	{row: "accepted in the background", transport: overSocket, never: "background has no meaning in a response.create"},
}

// The provider refused, or did not get to the end.
var endsOfProviders = []end{
	{row: "refused by the provider", transport: overHTTP, script: "status=429", want: ended{"error", 429, "none", "free", "0", ""}},
	{row: "refused by the provider", transport: overHTTP, ask: "chat", script: "end=error", want: ended{"error", 500, "none", "free", "0", ""}},
	// Whatever was asked for, a refusal is one body.
	{row: "refused by the provider", transport: overSSE, script: "status=429", want: ended{"error", 429, "none", "free", "0", overHTTP}},
	{row: "refused by the provider", transport: overSSE, script: "status=503", want: ended{"error", 503, "none", "free", "0", overHTTP}},
	{row: "refused by the provider", transport: overAWS, script: "status=429", want: ended{"error", 429, "none", "free", "0", overHTTP}},
	{row: "refused by the provider", transport: overSocket, script: "status=429", want: ended{"error", 429, "none", "free", "0", ""}},
	{row: "refused by the provider", transport: overSocket, script: "status=503", want: ended{"error", 503, "none", "free", "0", ""}},

	{row: "refused, with usage", transport: overHTTP, ask: "chat", rig: endRig{refusal: refusalWithUsage}, want: ended{"error", 400, "provider", "exact", wholeCost, ""}},
	{row: "refused, with usage", transport: overSSE, ask: "chat", rig: endRig{refusal: refusalWithUsage}, want: ended{"error", 400, "provider", "exact", wholeCost, overHTTP}},
	{row: "refused, with usage", transport: overAWS, never: "AWS reports no usage with an error"},
	{row: "refused, with usage", transport: overSocket, never: "an error event has no usage"},

	{row: "not reached", transport: overHTTP, rig: endRig{unreachable: true}, want: ended{"error", 502, "none", "free", "0", ""}},
	{row: "not reached", transport: overSSE, rig: endRig{unreachable: true}, want: ended{"error", 502, "none", "free", "0", ""}},
	{row: "not reached", transport: overAWS, rig: endRig{unreachable: true}, want: ended{"error", 502, "none", "free", "0", overSSE}},
	{row: "not reached", transport: overSocket, rig: endRig{unreachable: true}, want: ended{"error", 502, "none", "free", "0", ""}},

	{row: "cut, nothing seen", transport: overHTTP, script: "short", want: ended{"error", 502, "none", "estimated", "", ""}},
	{row: "cut, nothing seen", transport: overHTTP, script: "json-bytes=3000000,short", want: ended{"error", 200, "none", "estimated", "", ""}},
	{row: "cut, nothing seen", transport: overSSE, script: "cut-events=4", want: ended{"error", 200, "none", "estimated", "", ""}},
	{row: "cut, nothing seen", transport: overSSE, script: "unfinished", want: ended{"error", 200, "none", "estimated", "", ""}},
	{row: "cut, nothing seen", transport: overAWS, script: "cut-events=4", want: ended{"error", 200, "none", "estimated", "", ""}},
	{row: "cut, nothing seen", transport: overAWS, script: "unfinished", want: ended{"error", 200, "none", "estimated", "", ""}},
	{row: "cut, nothing seen", transport: overSocket, script: "cut-events=4", want: ended{"error", 200, "none", "estimated", "", ""}},
	{row: "cut, nothing seen", transport: overSocket, script: "close=1011,cut-events=4", want: ended{"error", 200, "none", "estimated", "", ""}},
	{row: "cut, nothing seen", transport: overSocket, script: "cut-events=0", want: ended{"error", 502, "none", "estimated", "", ""}},

	{row: "cut, some seen", transport: overHTTP, ask: "array", script: "cut-events=2", want: ended{"error", 200, "partial", "estimated", chatCost, ""}},
	{row: "cut, some seen", transport: overHTTP, ask: "invoke", script: "short", want: ended{"error", 502, "partial", "estimated", wholeCost, ""}}, // in the header
	{row: "cut, some seen", transport: overSSE, ask: "chat", script: "usage=every,cut-events=3", want: ended{"error", 200, "partial", "estimated", chatCost, ""}},
	{row: "cut, some seen", transport: overSSE, ask: "chat", script: "usage=every,events=3,unfinished", want: ended{"error", 200, "partial", "estimated", "0.0000162", ""}},
	{row: "cut, some seen", transport: overAWS, ask: "invoke", script: "cut-events=3", want: ended{"error", 200, "partial", "estimated", messageCost, ""}},
	{row: "cut, some seen", transport: overSocket, never: "Responses reports in its terminal event"},

	{row: "silent, nothing seen", transport: overHTTP, script: "hang", rig: endRig{limits: soon}, want: ended{"error", 504, "none", "estimated", "", ""}},
	{row: "silent, nothing seen", transport: overHTTP, script: "hang=body", rig: endRig{limits: soon}, want: ended{"error", 504, "none", "estimated", "", ""}},
	{row: "silent, nothing seen", transport: overSSE, script: "hang", rig: endRig{limits: soon}, want: ended{"error", 504, "none", "estimated", "", ""}},
	{row: "silent, nothing seen", transport: overSSE, script: "hang=4", rig: endRig{limits: soon}, want: ended{"error", 200, "none", "estimated", "", ""}},
	{row: "silent, nothing seen", transport: overAWS, script: "hang", rig: endRig{limits: soon}, want: ended{"error", 504, "none", "estimated", "", overSSE}},
	{row: "silent, nothing seen", transport: overAWS, script: "hang=4", rig: endRig{limits: soon}, want: ended{"error", 200, "none", "estimated", "", ""}},
	{row: "silent, nothing seen", transport: overSocket, script: "hang", rig: endRig{limits: soon}, want: ended{"error", 504, "none", "estimated", "", ""}},
	{row: "silent, nothing seen", transport: overSocket, script: "hang=4", rig: endRig{limits: soon}, want: ended{"error", 200, "none", "estimated", "", ""}},

	{row: "silent, some seen", transport: overHTTP, ask: "array", script: "hang=2", rig: endRig{limits: soon}, want: ended{"error", 200, "partial", "estimated", chatCost, ""}},
	{row: "silent, some seen", transport: overHTTP, ask: "invoke", script: "hang=body", rig: endRig{limits: soon}, want: ended{"error", 504, "partial", "estimated", wholeCost, ""}},
	{row: "silent, some seen", transport: overSSE, ask: "chat", script: "usage=every,hang=3", rig: endRig{limits: soon}, want: ended{"error", 200, "partial", "estimated", chatCost, ""}},
	{row: "silent, some seen", transport: overAWS, ask: "invoke", script: "hang=3", rig: endRig{limits: soon}, want: ended{"error", 200, "partial", "estimated", messageCost, ""}},
	{row: "silent, some seen", transport: overSocket, never: "Responses reports in its terminal event"},
}

// soon makes a provider's silence short. It is long enough for one that is not silent.
var soon = llmproxy.Limits{ResponseHeaderTimeout: 300 * time.Millisecond, StreamIdleTimeout: 300 * time.Millisecond}

// The client left.
var endsOfClients = []end{
	{row: "left, drained", transport: overHTTP, rig: endRig{leaves: true, drain: true}, want: ended{"cancelled", 499, "provider", "exact", wholeCost, ""}},
	{row: "left, drained", transport: overSSE, rig: endRig{leaves: true, drain: true}, want: ended{"cancelled", 499, "provider", "exact", wholeCost, ""}},
	{row: "left, drained", transport: overAWS, rig: endRig{leaves: true, drain: true}, want: ended{"cancelled", 499, "provider", "exact", wholeCost, ""}},
	{row: "left, drained", transport: overAWS, ask: "invoke", rig: endRig{leaves: true, drain: true}, want: ended{"cancelled", 499, "provider", "exact", wholeCost, ""}},
	{row: "left, drained", transport: overSocket, rig: endRig{leaves: true, drain: true}, want: ended{"cancelled", 499, "provider", "exact", wholeCost, ""}},

	{row: "left, drained, the charge is stated", transport: overHTTP, rig: endRig{leaves: true, drain: true, states: true}, want: ended{"cancelled", 499, "provider", "provider", statedCost, ""}},
	{row: "left, drained, the charge is stated", transport: overSSE, rig: endRig{leaves: true, drain: true, states: true}, want: ended{"cancelled", 499, "provider", "provider", statedCost, ""}},
	{row: "left, drained, the charge is stated", transport: overAWS, never: "AWS states no charge"},
	{row: "left, drained, the charge is stated", transport: overSocket, rig: endRig{leaves: true, drain: true, states: true}, want: ended{"cancelled", 499, "provider", "provider", statedCost, ""}},

	{row: "left, drained to a cut", transport: overHTTP, script: "short", rig: endRig{leaves: true, drain: true}, want: ended{"cancelled", 499, "none", "estimated", "", ""}},
	{row: "left, drained to a cut", transport: overSSE, ask: "chat", script: "usage=every,cut-events=4", rig: endRig{leaves: true, drain: true}, want: ended{"cancelled", 499, "partial", "estimated", "0.0000162", ""}},
	{row: "left, drained to a cut", transport: overAWS, ask: "invoke", script: "cut-events=5", rig: endRig{leaves: true, drain: true}, want: ended{"cancelled", 499, "partial", "estimated", messageCost, ""}},
	{row: "left, drained to a cut", transport: overSocket, script: "cut-events=6", rig: endRig{leaves: true, drain: true}, want: ended{"cancelled", 499, "none", "estimated", "", ""}},

	{row: "left, nothing seen", transport: overHTTP, script: "hang", rig: endRig{leaves: true}, want: ended{"cancelled", 499, "none", "estimated", "", ""}},
	{row: "left, nothing seen", transport: overSSE, script: "hang=3", rig: endRig{leaves: true}, want: ended{"cancelled", 499, "none", "estimated", "", ""}},
	{row: "left, nothing seen", transport: overAWS, script: "hang=3", rig: endRig{leaves: true}, want: ended{"cancelled", 499, "none", "estimated", "", ""}},
	{row: "left, nothing seen", transport: overSocket, script: "hang=3", rig: endRig{leaves: true}, want: ended{"cancelled", 499, "none", "estimated", "", ""}},

	{row: "left, some seen", transport: overHTTP, ask: "invoke", script: "hang=body", rig: endRig{leaves: true}, want: ended{"cancelled", 499, "partial", "estimated", wholeCost, ""}},
	{row: "left, some seen", transport: overSSE, ask: "chat", script: "usage=every,hang=3", rig: endRig{leaves: true}, want: ended{"cancelled", 499, "partial", "estimated", chatCost, ""}},
	{row: "left, some seen", transport: overAWS, ask: "invoke", script: "hang=3", rig: endRig{leaves: true}, want: ended{"cancelled", 499, "partial", "estimated", messageCost, ""}},
	{row: "left, some seen", transport: overSocket, never: "Responses reports in its terminal event"},

	{row: "left, in the background", transport: overHTTP, never: "the answer that accepts it is whole at once"},
	{row: "left, in the background", transport: overSSE, ask: "background", script: "hang=3", rig: endRig{leaves: true}, want: ended{"pending", 499, "none", "pending", "", ""}},
	{row: "left, in the background", transport: overAWS, never: "Bedrock has no background"},
	{row: "left, in the background", transport: overSocket, never: "background has no meaning in a response.create"},
}

// The gateway refused. Where it died, see TestGatewayDied.
var endsOfGateways = []end{
	{row: "a bad request", transport: overHTTP, ask: "nonsense", want: ended{"rejected", 400, "none", "free", "0", ""}},
	{row: "a bad request", transport: overSSE, ask: "nonsense", want: ended{"rejected", 400, "none", "free", "0", overHTTP}}, // it is not known what was asked for
	{row: "a bad request", transport: overAWS, ask: "nonsense", want: ended{"rejected", 400, "none", "free", "0", overHTTP}},
	{row: "a bad request", transport: overSocket, ask: "nonsense", want: ended{"rejected", 400, "none", "free", "0", ""}},

	{row: "shut down by force, nothing seen", transport: overHTTP, script: "hang", rig: endRig{forced: true}, want: ended{"error", 503, "none", "estimated", "", ""}},
	{row: "shut down by force, nothing seen", transport: overSSE, script: "hang=3", rig: endRig{forced: true}, want: ended{"error", 200, "none", "estimated", "", ""}},
	{row: "shut down by force, nothing seen", transport: overAWS, script: "hang=3", rig: endRig{forced: true}, want: ended{"error", 200, "none", "estimated", "", ""}},
	{row: "shut down by force, nothing seen", transport: overSocket, script: "hang=3", rig: endRig{forced: true}, want: ended{"error", 200, "none", "estimated", "", ""}},

	{row: "shut down by force, some seen", transport: overHTTP, ask: "invoke", script: "hang=body", rig: endRig{forced: true}, want: ended{"error", 503, "partial", "estimated", wholeCost, ""}},
	{row: "shut down by force, some seen", transport: overSSE, ask: "chat", script: "usage=every,hang=3", rig: endRig{forced: true}, want: ended{"error", 200, "partial", "estimated", chatCost, ""}},
	{row: "shut down by force, some seen", transport: overAWS, ask: "invoke", script: "hang=3", rig: endRig{forced: true}, want: ended{"error", 200, "partial", "estimated", messageCost, ""}},
	{row: "shut down by force, some seen", transport: overSocket, never: "Responses reports in its terminal event"},

	{row: "no intent can be kept", transport: overHTTP, rig: endRig{noIntents: true}, want: ended{"rejected", 503, "none", "free", "0", ""}},
	{row: "no intent can be kept", transport: overSSE, rig: endRig{noIntents: true}, want: ended{"rejected", 503, "none", "free", "0", ""}},
	{row: "no intent can be kept", transport: overAWS, rig: endRig{noIntents: true}, want: ended{"rejected", 503, "none", "free", "0", overSSE}},
	{row: "no intent can be kept", transport: overSocket, rig: endRig{noIntents: true}, want: ended{"rejected", 503, "none", "free", "0", ""}},
}

// The table of ends holds on every transport, with prices and without: one record, with
// exactly this outcome, status, source of usage, state of the cost, and cost.
func TestEnds(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	lines := map[string]int{}
	for _, tt := range ends {
		lines[tt.row]++
		seen[tt.row+" over "+string(tt.transport)]++
		name := fmt.Sprintf("%s/%s/%s", tt.row, tt.transport, strings.TrimSpace(tt.ask+" "+tt.script))
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.never != "" {
				if tt.want != (ended{}) || tt.script != "" {
					t.Error("a line that never occurs, and says how")
				}
				return
			}
			for _, model := range []string{"cheap-1", "dear-unknown"} {
				t.Run(model, func(t *testing.T) {
					t.Parallel()
					tt.run(t, model)
				})
			}
		})
	}
	for row := range lines {
		for _, transport := range []llmproxy.Transport{overHTTP, overSSE, overAWS, overSocket} {
			if seen[row+" over "+string(transport)] == 0 {
				t.Errorf("the row %q says nothing of %s", row, transport)
			}
		}
	}
}

// unpriced is what the record says where the model has no price.
func (e ended) unpriced() ended {
	switch e.state {
	case llmproxy.CostExact, llmproxy.CostEstimated:
		e.state, e.cost = llmproxy.CostUnpriced, ""
	}
	return e
}

// run lets it happen to an exchange with model.
func (c end) run(t *testing.T, model string) {
	r := c.rig.start(t, c)
	if c.transport == overSocket {
		r.overSocket(c, model)
	} else {
		r.overHTTP(c, model)
	}
	rec := r.record()
	if err := r.router.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	r.noMore()

	want, list := c.want, c.want.cost
	if _, priced := loadModels[model]; !priced {
		want = want.unpriced()
		list = want.cost
	}
	want.transport = cmp.Or(want.transport, c.transport)
	got := ended{rec.Outcome, rec.Status, rec.UsageSource, rec.CostState, dollars(rec.Cost, rec.CostKnown), rec.Transport}
	if got != want {
		t.Errorf("the record says\n%+v, want\n%+v\n%+v, error %+v", got, want, rec, rec.Error)
	}
	switch want.state {
	case llmproxy.CostProvider:
		list = map[string]string{"cheap-1": wholeCost}[model]
	case llmproxy.CostFree:
		list = ""
	}
	if got := dollars(rec.ListCost, rec.ListCostKnown); got != list || rec.PriceVersion != "" != (list != "") {
		t.Errorf("the list's price is %q of version %q, want %q", got, rec.PriceVersion, list)
	}
	if reported := rec.Usage != (llmproxy.Usage{}); reported != (want.source != llmproxy.UsageNone) {
		t.Errorf("usage %+v from %s", rec.Usage, rec.UsageSource)
	}
	bad := want.outcome == llmproxy.OutcomeError || want.outcome == llmproxy.OutcomeFailed || want.outcome == llmproxy.OutcomeRejected
	if bad != (rec.Error != nil) {
		t.Errorf("%s with the error %+v", want.outcome, rec.Error)
	}
}

// dollars returns a cost that is known, as a record has it.
func dollars(usd llmproxy.USD, known bool) string {
	if !known {
		return ""
	}
	return usd.String()
}
