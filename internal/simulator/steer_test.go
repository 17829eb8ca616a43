package simulator_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

// outcomes waits for n turns that have ended and returns them without their ids.
func (p *provider) outcomes(n int) []simulator.Turn {
	p.t.Helper()
	turns := p.connection(func(c *simulator.Connection) bool {
		ended := 0
		for _, turn := range c.Turns {
			if turn.Outcome != simulator.TurnRunning {
				ended++
			}
		}
		return ended == n
	}).Turns
	for i := range turns {
		turns[i].ResponseID, turns[i].PreviousResponseID, turns[i].Model = "", "", ""
	}
	return turns
}

func steering(id, input string) string {
	return fmt.Sprintf(`{"type":"response.steer","previous_response_id":%q,"input":%s}`, id, input)
}

// TestSteer holds that a steered response ends where it is, and that its successor is
// made unasked, from all that steered it.
func TestSteer(t *testing.T) {
	t.Parallel()
	for _, lane := range []string{"", "main"} {
		gate := make(chan struct{})
		p := run(t, simulator.Options{TurnScript: gated(1, gate)})
		c := p.dial("/v1/responses")
		members := `"store":false,"input":"one two three","instructions":"be brief","service_tier":"flex","metadata":{"simulate":"keepalive"}`
		if lane != "" {
			members += `,"stream_id":"` + lane + `"`
		}
		c.create(members)
		gate <- struct{}{}
		id := c.want("response.created").Response.ID
		for range 5 { // in_progress, keepalive, item, part, a delta
			gate <- struct{}{}
			c.event()
		}
		c.send(steering(id, `"four"`))
		one := c.want("response.steer.accepted")
		c.send(steering(id, `[{"role":"user","content":[{"type":"input_text","text":"five six"}]}]`))
		two := c.want("response.steer.accepted")
		if one.Steer.PreviousResponseID != id || one.Steer.ID == "" || one.Steer.ID == two.Steer.ID ||
			one.StreamID != lane || two.Sequence != one.Sequence+1 {
			t.Errorf("got %s and %s", one.raw, two.raw)
		}
		c.create(`"input":"later","store":false,"previous_response_id":"` + id + `"`)
		if lane != "" {
			// The default lane does not wait for the other, nor does it know the response yet.
			c.wantError(400, "previous_response_not_found")
		}
		c.heard()
		close(gate)
		e, _ := c.terminal()
		if e.Type != "response.incomplete" || e.StreamID != lane || !strings.Contains(e.raw, `"incomplete_details":{"reason":"steered"}`) ||
			len(e.Response.Output) != 1 || e.Response.Usage.OutputTokens != 2 {
			t.Fatalf("got %s", e.raw)
		}
		created := c.want("response.created")
		e, text := c.terminal()
		if created.Response.ID == id || created.StreamID != lane || e.Type != "response.completed" || text != "You said: five six" ||
			!strings.Contains(e.raw, `"previous_response_id":"`+id+`"`) || !strings.Contains(e.raw, `"instructions":"be brief"`) {
			t.Errorf("got %q, %s", text, e.raw)
		}
		if lane != "" {
			continue
		}
		c.wantError(400, "previous_response_not_found") // the successor is the latest
		want := []simulator.Turn{
			{
				Number: 1, Outcome: simulator.TurnIncomplete, Reason: "steered", ServiceTier: "flex",
				Events: 11, Usage: simulator.Usage{Prompt: 5, Completion: 2}, Reported: true,
			},
			{
				Number: 3, Automatic: true, Outcome: simulator.TurnCompleted, ServiceTier: "flex",
				// Three words, two of the answer, three that steered, two of instructions.
				Events: 12, Usage: simulator.Usage{Prompt: 10, Completion: 4}, Reported: true,
			},
			{Number: 2, Outcome: simulator.TurnErrored, Status: 400, Code: "previous_response_not_found"},
		}
		if diff := cmp.Diff(want, p.outcomes(3)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}

// TestSteerEarly holds that a response that is steered before it says anything has no
// message.
func TestSteerEarly(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	p := run(t, simulator.Options{TurnScript: gated(1, gate)})
	c := p.dial("/v1/responses")
	c.create(`"input":"one"`)
	gate <- struct{}{}
	id := c.want("response.created").Response.ID
	c.send(steering(id, `"two"`))
	c.want("response.steer.accepted")
	close(gate)
	e, text := c.terminal()
	if text != "" || !strings.Contains(e.raw, `"reason":"steered"`) || len(e.Response.Output) != 0 || e.Response.Usage.OutputTokens != 0 {
		t.Errorf("got %q, %s", text, e.raw)
	}
	c.completed()
}

// TestSteerLate holds that a response that was said already ends as it would have, and
// has its successor nevertheless.
func TestSteerLate(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	p := run(t, simulator.Options{TurnScript: gated(1, gate)})
	c := p.dial("/v1/responses")
	c.create(`"input":"one"`)
	gate <- struct{}{}
	id := c.want("response.created").Response.ID
	for range 6 { // in_progress, item, part, three deltas
		gate <- struct{}{}
		c.event()
	}
	c.send(steering(id, `"two"`))
	c.want("response.steer.accepted")
	close(gate)
	if r := c.completed(); r.ID != id || r.Usage.OutputTokens != 3 {
		t.Errorf("got %+v", r)
	}
	if e, text := c.terminal(); e.Type != "response.completed" || text != "You said: two" {
		t.Errorf("got %q, %s", text, e.raw)
	}
}

// TestSteerWaitsForTools holds that a response that calls tools is continued by the
// client, and that what steered it comes first.
func TestSteerWaitsForTools(t *testing.T) {
	t.Parallel()
	const tools = `,"tools":[{"type":"function","name":"find","parameters":{"type":"object","properties":{"q":{"type":"string"}}}}]`
	for _, early := range []bool{false, true} {
		gate := make(chan struct{})
		p := run(t, simulator.Options{TurnScript: gated(1, gate)})
		c := p.dial("/v1/responses")
		c.create(`"input":"find one"` + tools)
		gate <- struct{}{}
		id := c.want("response.created").Response.ID
		gate <- struct{}{}
		c.want("response.in_progress")
		gate <- struct{}{}
		added := c.want("response.output_item.added")
		c.send(steering(id, `"and two"`))
		accepted := c.want("response.steer.accepted")
		answer := fmt.Sprintf(`"previous_response_id":%q,"input":[{"type":"function_call_output","call_id":%q,"output":"forty two"}]`,
			id, added.Item.CallID)
		if early {
			c.create(answer)
			c.heard()
		}
		close(gate)
		if r := c.completed(); r.ID != id || r.Output[0].CallID != added.Item.CallID {
			t.Errorf("got %+v", r)
		}
		if !early {
			e := c.want("response.steer.pending")
			if e.Reason != "waiting_for_required_input" || e.Steer.ID != accepted.Steer.ID || e.Steer.PreviousResponseID != id ||
				len(e.RequiredInput) != 1 || e.RequiredInput[0].CallID != added.Item.CallID {
				t.Errorf("got %s", e.raw)
			}
			c.create(answer)
		}
		c.want("response.created")
		e, text := c.terminal()
		// Two words and three of the call, two that steered, two of the result.
		if e.Type != "response.completed" || text != "You said: forty two" || e.Response.Usage.InputTokens != 9 {
			t.Errorf("got %q, %s", text, e.raw)
		}
	}
}

// TestSteerTextInput holds that the input of a create may be a text where steers wait
// for it, and that they fail with it.
func TestSteerTextInput(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		input, want string
		tokens      int
	}{
		{`"the end"`, "You said: the end", 9},
		{`1`, "", 0},
	} {
		gate := make(chan struct{})
		p := run(t, simulator.Options{TurnScript: gated(1, gate)})
		c := p.dial("/v1/responses")
		c.create(`"input":"find one","tools":[{"type":"function","name":"find","parameters":{"type":"object","properties":{"q":{"type":"string"}}}}]`)
		gate <- struct{}{}
		id := c.want("response.created").Response.ID
		c.send(steering(id, `"and two"`))
		accepted := c.want("response.steer.accepted")
		close(gate)
		c.completed()
		c.want("response.steer.pending")
		c.create(`"previous_response_id":"` + id + `","input":` + tt.input)
		e, text := c.terminal()
		if tt.want == "" {
			failed := c.want("response.steer.failed")
			if e.Error.Code != "invalid_type" || failed.Error.Code != "successor_creation_failed" ||
				failed.Steer.ID != accepted.Steer.ID || failed.Steer.PreviousResponseID != id {
				t.Errorf("got %s, %s", e.raw, failed.raw)
			}
			continue
		}
		if text != tt.want || e.Response.Usage.InputTokens != tt.tokens {
			t.Errorf("got %q, %s", text, e.raw)
		}
	}
}

// TestSteerFails holds each way in which steering fails.
func TestSteerFails(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	p := run(t, simulator.Options{TurnScript: gated(3, gate)})
	stored := p.response(p.post("/v1/responses", responseBody, "")).ID
	c := p.dial("/v1/responses")
	fails := func(message, code string) {
		t.Helper()
		c.send(message)
		e := c.want("response.steer.failed")
		if e.Error.Code != code || e.Error.Type != "invalid_request_error" || e.Error.Message == "" {
			t.Errorf("%s: got %s, want %s", message, e.raw, code)
		}
	}
	c.create(`"input":"x"`)
	done := c.completed().ID
	c.create(`"input":"x","store":false,"metadata":{"simulate":"hang=1"},"conversation":"conv_1","stream_id":"bound"`)
	bound := c.want("response.created").Response.ID
	c.create(`"input":"x y z"`)
	gate <- struct{}{}
	id := c.want("response.created").Response.ID

	fails(steering("resp_none", `"x"`), "response_not_found")
	fails(steering(stored, `"x"`), "response_not_active")
	fails(steering(done, `"x"`), "response_already_completed")
	fails(steering(bound, `"x"`), "steering_not_supported")
	for _, input := range []string{
		`""`, `[]`, `1`, `null`, `{}`, `[1]`, `[{"role":"assistant","content":"x"}]`, `[{"role":"user"}]`,
		`[{"role":"user","content":[]}]`, `[{"role":"user","content":[{"type":"output_text"}]}]`,
		`[{"type":"function_call_output","call_id":"c","output":"x"}]`,
	} {
		fails(steering(id, input), "invalid_input")
	}
	fails(steering("", `"x"`), "invalid_input")
	fails(`{"type":"response.steer","previous_response_id":1,"input":"x"}`, "invalid_input")
	fails(`{"type":"response.steer","previous_response_id":"`+id+`","input":"x","stream_id":"a"}`, "invalid_input")
	for range 8 {
		c.send(steering(id, `"x"`))
		c.want("response.steer.accepted")
	}
	fails(steering(id, `"x"`), "too_many_pending_steers")
	close(gate)
	c.until("response.incomplete")
	c.completed()
}

// TestNoSuccessor holds that steers that were accepted fail where nothing can follow.
func TestNoSuccessor(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ simulate, then, terminal, code string }{
		{"no-successor", "", "response.incomplete", "successor_creation_failed"},
		{"end=failed", "", "response.failed", "successor_creation_failed"},
		{"status=503,cut-events=2", "", "error", "successor_creation_failed"},
		{"", `{"type":"response.interrupt","response_id":"ID","mode":"discard_partial_items"}`, "response.incomplete", "response_not_active"},
		{"", `{"type":"response.cancel","response_id":"ID"}`, "response.incomplete", "response_not_active"},
	} {
		gate := make(chan struct{})
		p := run(t, simulator.Options{TurnScript: gated(1, gate)})
		c := p.dial("/v1/responses")
		c.create(`"input":"one","metadata":{"simulate":"` + tt.simulate + `"}`)
		gate <- struct{}{}
		id := c.want("response.created").Response.ID
		c.send(steering(id, `"two"`))
		accepted := c.want("response.steer.accepted")
		if tt.then != "" {
			c.send(strings.Replace(tt.then, "ID", id, 1))
			c.heard()
		}
		close(gate)
		c.until(tt.terminal)
		if e := c.want("response.steer.failed"); e.Error.Code != tt.code || e.Steer.ID != accepted.Steer.ID ||
			e.Steer.PreviousResponseID != id || !strings.Contains(e.raw, `"input":"two"`) {
			t.Errorf("%+v: got %s", tt, e.raw)
		}
	}
}
