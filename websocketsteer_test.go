package llmproxy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

// gatedTurns returns scripts by which the first turns wait before each event, each at its
// own gate.
func gatedTurns(gates ...chan struct{}) func([]byte, int) simulator.Script {
	return func(_ []byte, turn int) (s simulator.Script) {
		if turn <= len(gates) {
			s.BeforeEvent = simulator.Until(gates[turn-1])
		}
		return s
	}
}

// steer sends a response.steer.
func (s *socket) steer(id, text string) {
	s.t.Helper()
	s.send(`{"type":"response.steer","previous_response_id":"` + id + `","input":"` + text + `"}`)
}

// bill is what a record says about a turn that can be held against the provider's count.
type bill struct {
	Lane, ResponseID, Model, Asked string
	Turn                           int
	Outcome                        llmproxy.Outcome
	Prompt, Completion             int64
	Cost                           llmproxy.USD
}

// billOf returns what rec says.
func billOf(rec llmproxy.Record) bill {
	return bill{
		rec.Lane, rec.ResponseID, rec.Model, rec.ModelRequested, rec.Turn, rec.Outcome,
		rec.Usage.PromptTokens, rec.Usage.CompletionTokens, rec.Cost,
	}
}

// countedBill returns the bill of a turn as the provider has counted it.
func countedBill(turn simulator.Turn, asked string, number int) bill {
	price := loadModels[turn.Model]
	outcome := map[simulator.Outcome]llmproxy.Outcome{
		simulator.TurnCompleted: llmproxy.OutcomeCompleted, simulator.TurnIncomplete: llmproxy.OutcomeIncomplete, simulator.TurnFailed: llmproxy.OutcomeFailed,
	}[turn.Outcome]
	return bill{
		turn.Lane, turn.ResponseID, turn.Model, asked, number, outcome, int64(turn.Usage.Prompt), int64(turn.Usage.Completion),
		llmproxy.USD(int64(turn.Usage.Prompt)*int64(price.Input) + int64(turn.Usage.Completion)*int64(price.Output)),
	}
}

// bills takes as many records as the provider has counted turns, and holds each against
// its own count. asked are the models that clients wrote, by the order of the turns.
func (r *rig) bills(asked ...string) {
	r.t.Helper()
	turns := r.turns()
	if len(turns) != len(asked) {
		r.t.Fatalf("the provider counted %d turns, want %d: %+v", len(turns), len(asked), turns)
	}
	got := map[string]bill{}
	numbers := map[int]bool{}
	for range turns {
		rec := r.record()
		got[rec.ResponseID] = billOf(rec)
		numbers[rec.Turn] = true
		if rec.UsageSource != llmproxy.UsageProvider || rec.CostState != llmproxy.CostExact || len(rec.Attempts) != 1 || rec.Attempts[0].Status != 200 {
			r.t.Errorf("record %+v", rec)
		}
	}
	for i, turn := range turns {
		g := got[turn.ResponseID]
		if d := cmp.Diff(countedBill(turn, asked[i], g.Turn), g); d != "" {
			r.t.Errorf("turn %d: the provider's count - the record +\n%s", i+1, d)
		}
		if !numbers[i+1] {
			r.t.Errorf("no record has the number %d", i+1)
		}
	}
	r.noMore()
}

// The successor of a steered response has no create, and its own bill: in each of several
// lanes at once.
func TestWebSocketSteer(t *testing.T) {
	t.Parallel()
	for _, lanes := range [][]string{{""}, {"main"}, {"", "a", "b", "c"}} {
		gates := make([]chan struct{}, len(lanes))
		for i := range gates {
			gates[i] = make(chan struct{})
		}
		r := newSocketRig(t, simulator.Options{AnyModel: true, TurnScript: gatedTurns(gates...)}, llmproxy.WithBilling(loadBilling()))
		s := r.connect("/v1/responses")
		models := []string{"cheap-1", "middle-1", "dear-1", "cheap-1"}
		var asked []string
		ids := map[string]string{} // of the steered responses, by lane
		for i, lane := range lanes {
			s.create(on(lane) + `"model":"openai/` + models[i] + `","input":"one two three"`)
			asked = append(asked, "openai/"+models[i])
			gates[i] <- struct{}{}
			e := s.until("response.created")
			ids[e.StreamID] = e.Response.ID
		}
		for i, lane := range lanes {
			s.steer(ids[lane], "four "+strings.Repeat("more ", i))
			if e := s.until("response.steer.accepted"); e.StreamID != lane {
				t.Errorf("lane %q: got %s", lane, e.raw)
			}
		}
		for _, gate := range gates {
			close(gate)
			asked = append(asked, "") // their order is not ours: see below
		}
		ended := map[string]int{}
		for range 3 * len(lanes) {
			e := s.until("response.incomplete", "response.created", "response.completed")
			switch e.Type {
			case "response.incomplete":
				if e.Response.ID != ids[e.StreamID] {
					t.Errorf("lane %q: got %s", e.StreamID, e.raw)
				}
			case "response.created":
				if e.Response.PreviousResponseID != ids[e.StreamID] {
					t.Errorf("lane %q: got %s", e.StreamID, e.raw)
				}
			case "response.completed":
				ended[e.StreamID]++
			}
		}
		if len(ended) != len(lanes) {
			t.Errorf("completed on %v", ended)
		}
		s.conn.Close()
		for i, turn := range r.turns() {
			if turn.Automatic {
				asked[i] = "openai/" + turn.Model // what the steered create asked for
			}
		}
		if n := len(r.simulator.Connections()[0].Frames); n != 2*len(lanes) {
			t.Errorf("the provider got %d messages", n)
		}
		r.bills(asked...)
	}
}

const findTool = `"tools":[{"type":"function","name":"find","parameters":{"type":"object","properties":{"q":{"type":"string"}}}}]`

// A steered response that has left a tool call to the client is continued by the client's
// create, and that is what it is billed as: whether it comes before the end or after.
func TestWebSocketSteerWaitsForTool(t *testing.T) {
	t.Parallel()
	for _, lane := range []string{"", "l"} {
		for _, early := range []bool{false, true} {
			gate := make(chan struct{})
			r := newSocketRig(t, simulator.Options{AnyModel: true, TurnScript: gatedTurns(gate)}, llmproxy.WithBilling(loadBilling()))
			s := r.connect("/v1/responses")
			s.create(on(lane) + findTool + `,"model":"cheap-1","input":"find one"`)
			gate <- struct{}{}
			id := s.until("response.created").Response.ID
			gate <- struct{}{}
			gate <- struct{}{}
			added := s.until("response.output_item.added")
			s.steer(id, "and two")
			s.until("response.steer.accepted")
			call := between(added.raw, `"call_id":"`, `"`)
			answer := on(lane) + `"model":"dear-1","previous_response_id":"` + id + `","input":[{"type":"function_call_output","call_id":"` + call + `","output":"forty two"}]`
			if early {
				s.create(answer)
				// It has arrived before the response ends.
				if _, err := r.simulator.AwaitConnections(t.Context(), func(cs []simulator.Connection) bool { return len(cs[0].Frames) == 3 }); err != nil {
					t.Fatal(err)
				}
			}
			close(gate)
			if e := s.until("response.completed"); e.Response.ID != id {
				t.Errorf("got %s", e.raw)
			}
			if !early {
				s.until("response.steer.pending")
				s.create(answer)
			}
			if e := s.until("response.completed"); e.Response.PreviousResponseID != id || e.Response.Model != "dear-1" {
				t.Errorf("got %s", e.raw)
			}
			s.conn.Close()
			r.bills("cheap-1", "dear-1")
		}
	}
}

// between returns what s has after before and before after.
func between(s, before, after string) string {
	_, s, _ = strings.Cut(s, before)
	s, _, _ = strings.Cut(s, after)
	return s
}

// A steer that comes to nothing has no successor: the next response is the next create's.
func TestWebSocketSteerFails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ simulate, terminal string }{
		{"no-successor", "response.incomplete"},
		{"end=failed", "response.failed"},
	} {
		gate := make(chan struct{})
		r := newSocketRig(t, simulator.Options{AnyModel: true, TurnScript: gatedTurns(gate)}, llmproxy.WithBilling(loadBilling()))
		s := r.connect("/v1/responses")
		s.create(`"model":"cheap-1","metadata":{"simulate":"` + tt.simulate + `"},"input":"one two three four"`)
		gate <- struct{}{}
		id := s.until("response.created").Response.ID
		s.steer("resp_none", "x")
		s.until("response.steer.failed")
		s.steer(id, "five")
		s.until("response.steer.accepted")
		close(gate)
		s.until(tt.terminal)
		s.until("response.steer.failed")
		s.create(`"model":"dear-1","input":"six"`)
		s.until("response.completed")
		s.conn.Close()
		r.bills("cheap-1", "dear-1")
	}
}

// What is no create goes to the provider as it is, and an answer that it ends is billed as
// far as it got.
func TestWebSocketClientEvents(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ message, reason string }{
		{`{ "type" : "response.cancel" , "response_id":"ID", "n":1.0 }`, "cancelled"},
		{`{"mode":"discard_partial_items","response_id":"ID","type":"response.interrupt"}`, "interrupted"},
		{"\n{\"type\":\"response.inject\",\t\"response_id\":\"ID\",\"input\":[{\"role\":\"user\",\"content\":\"caf\\u00e9 é\"}]}\n", ""},
	} {
		gate := make(chan struct{})
		r := newSocketRig(t, simulator.Options{AnyModel: true, TurnScript: gatedTurns(gate)}, llmproxy.WithBilling(loadBilling()))
		s := r.connect("/v1/responses")
		s.create(`"stream_id":"l","model":"cheap-1","input":"one two three four"`)
		gate <- struct{}{}
		message := strings.ReplaceAll(tt.message, "ID", s.until("response.created").Response.ID)
		s.send(message)
		cs, err := r.simulator.AwaitConnections(t.Context(), func(cs []simulator.Connection) bool { return len(cs[0].Frames) == 2 })
		if err != nil {
			t.Fatal(err)
		}
		if got := string(cs[0].Frames[1].Data); got != message {
			t.Errorf("the provider got %q, want %q", got, message)
		}
		if tt.reason == "" {
			s.until("response.inject.created")
		} else {
			// No other event tells that it has been taken: the next answer does.
			s.send(`{"type":"response.steer","previous_response_id":"resp_none","input":"x"}`)
			s.until("response.steer.failed")
		}
		close(gate)
		if e := s.until("response.incomplete", "response.completed"); tt.reason != "" && !strings.Contains(e.raw, `{"reason":"`+tt.reason+`"}`) || tt.reason == "" && e.Type != "response.completed" {
			t.Errorf("got %s", e.raw)
		}
		s.conn.Close()
		r.bills("cheap-1")
	}
}

// A conversation goes on in another lane, and in its own.
func TestWebSocketFork(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, simulator.Options{AnyModel: true}, llmproxy.WithBilling(loadBilling()))
	s := r.connect("/v1/responses")
	s.create(`"stream_id":"a","model":"cheap-1","input":"one two"`)
	parent := s.until("response.completed").Response.ID
	s.create(`"stream_id":"b","model":"dear-1","previous_response_id":"` + parent + `","input":"three"`)
	if e := s.until("response.in_progress"); e.StreamID != "b" {
		t.Errorf("got %s", e.raw)
	}
	s.create(`"stream_id":"a","model":"middle-1","previous_response_id":"` + parent + `","input":"four"`)
	lanes := map[string]string{}
	for range 2 {
		e := s.until("response.completed")
		lanes[e.StreamID] = e.Response.PreviousResponseID
	}
	if d := cmp.Diff(map[string]string{"a": parent, "b": parent}, lanes); d != "" {
		t.Errorf("want - got +\n%s", d)
	}
	s.conn.Close()
	r.bills("cheap-1", "dear-1", "middle-1")
}

// A warm-up is billed as the provider reports it, and continued.
func TestWebSocketWarmUp(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, simulator.Options{AnyModel: true}, llmproxy.WithBilling(loadBilling()))
	s := r.connect("/v1/responses")
	s.create(`"generate":false,"model":"cheap-1","input":"one two three"`)
	e := s.until("response.completed")
	if e.Response.Usage.OutputTokens != 0 || e.Response.Usage.InputTokens != 3 {
		t.Errorf("got %s", e.raw)
	}
	s.create(`"model":"cheap-1","previous_response_id":"` + e.Response.ID + `","input":"four"`)
	s.until("response.completed")
	s.conn.Close()
	if turns := r.turns(); !turns[0].WarmUp || turns[1].WarmUp {
		t.Errorf("the provider counted %+v", turns)
	}
	r.bills("cheap-1", "cheap-1")
}
