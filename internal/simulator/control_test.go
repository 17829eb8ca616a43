package simulator_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

// TestHalt holds how a response ends that is interrupted or cancelled: incomplete, with
// the usage of what was said.
func TestHalt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		message, reason string
		output          int
	}{
		{`{"type":"response.interrupt","response_id":"ID","mode":"discard_partial_items"}`, "interrupted", 0},
		{`{"type":"response.cancel","response_id":"ID"}`, "cancelled", 1},
		{`{"type":"response.cancel"}`, "cancelled", 1},
	} {
		gate := make(chan struct{})
		p := run(t, simulator.Options{TurnScript: gated(1, gate)})
		c := p.dial("/v1/responses")
		c.create(`"input":"one two three"`)
		gate <- struct{}{}
		id := c.want("response.created").Response.ID
		for range 4 { // in_progress, item, part, a delta
			gate <- struct{}{}
			c.event()
		}
		c.send(strings.Replace(tt.message, "ID", id, 1))
		c.heard()
		close(gate)
		// The second delta was on its way.
		e, text := c.terminal()
		if e.Type != "response.incomplete" || text != " said:" || len(e.Response.Output) != tt.output ||
			e.Response.Usage.InputTokens != 3 || e.Response.Usage.OutputTokens != 2 ||
			!strings.Contains(e.raw, `"incomplete_details":{"reason":"`+tt.reason+`"}`) {
			t.Errorf("%s: got %q, %s", tt.message, text, e.raw)
		}
		c.create(`"input":"x","previous_response_id":"` + id + `"`)
		// Of what was discarded nothing is remembered.
		if r := c.completed(); r.Usage.InputTokens != 3+2*tt.output+1 {
			t.Errorf("%s: continued with %d tokens", tt.message, r.Usage.InputTokens)
		}
		want := simulator.Turn{
			Number: 1, Outcome: simulator.TurnIncomplete, Reason: tt.reason, ServiceTier: "default",
			Usage: simulator.Usage{Prompt: 3, Completion: 2}, Reported: true,
		}
		got := p.outcomes(2)[0]
		got.Events = 0
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.message, diff)
		}
	}
}

// TestHaltCalls holds that calls are stopped between one and the next.
func TestHaltCalls(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	p := run(t, simulator.Options{TurnScript: gated(1, gate)})
	c := p.dial("/v1/responses")
	c.create(`"input":"f g","tools":[{"type":"function","name":"f"},{"type":"function","name":"g"}]`)
	gate <- struct{}{}
	id := c.want("response.created").Response.ID
	for range 2 { // in_progress, the first call
		gate <- struct{}{}
		c.event()
	}
	c.send(`{"type":"response.interrupt","response_id":"` + id + `","mode":"discard_partial_items"}`)
	c.heard()
	close(gate)
	e, _ := c.terminal()
	// A call counts one and its arguments {} one.
	if e.Type != "response.incomplete" || len(e.Response.Output) != 1 || e.Response.Usage.OutputTokens != 2 {
		t.Errorf("got %s", e.raw)
	}
}

func TestHaltRefused(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	c := p.dial("/v1/responses")
	c.create(`"input":"x"`)
	id := c.completed().ID
	for _, tt := range []struct{ message, code, param string }{
		{`{"type":"response.interrupt","response_id":"` + id + `","mode":"discard_partial_items"}`, "response_not_found", "response_id"},
		{`{"type":"response.interrupt","mode":"discard_partial_items"}`, "missing_required_parameter", "response_id"},
		{`{"type":"response.interrupt","response_id":"` + id + `"}`, "invalid_value", "mode"},
		{`{"type":"response.interrupt","response_id":"` + id + `","mode":"x"}`, "invalid_value", "mode"},
		{`{"type":"response.cancel","response_id":"` + id + `"}`, "response_not_found", "response_id"},
		{`{"type":"response.cancel","response_id":1}`, "invalid_type", "response_id"},
		{`{"type":"response.cancel"}`, "response_not_found", "response_id"},
		{`{"type":"response.cancel","stream_id":"other"}`, "response_not_found", "response_id"},
		{`{"type":"response.cancel","stream_id":""}`, "invalid_stream_id", "stream_id"},
		{`{"type":"response.inject","response_id":"` + id + `"}`, "missing_required_parameter", "input"},
		{`{"type":"response.inject","input":[{"role":"user","content":"x"}]}`, "missing_required_parameter", "response_id"},
		{`{"type":"response.inject","response_id":{}}`, "invalid_type", "response_id"},
		{`{"type":"response.inject","response_id":"x","input":[1]}`, "invalid_value", "input[0]"},
		{`{"type":"response.append","input":[]}`, "invalid_value", "type"},
		{`{"type":1}`, "invalid_type", "type"},
		{`{"type":""}`, "missing_required_parameter", "type"},
		{`{}`, "missing_required_parameter", "type"},
		{`[]`, "", ""},
		{`null`, "", ""},
		{``, "", ""},
		{`{"type":"response.create"`, "", ""},
		{`{"type":"response.create"}`, "missing_required_parameter", "model"},
		{`{"type":"response.create","model":"gpt-5-mini"}`, "missing_required_parameter", "input"},
		{`{"type":"response.create","model":"gpt-5-mini","generate":0}`, "invalid_type", "generate"},
		{`{"type":"response.create","model":"gpt-5-mini","input":"x","metadata":{"simulate":"nonsense"}}`, "invalid_value", "metadata.simulate"},
		{`{"type":"response.create","model":"gpt-5-mini","input":"x","metadata":{"simulate":1}}`, "invalid_type", "metadata.simulate"},
	} {
		c.send(tt.message)
		if e := c.wantError(400, tt.code); e.Error.Param != tt.param || e.Error.Type != "invalid_request_error" {
			t.Errorf("%s: got %s", tt.message, e.raw)
		}
	}
	c.send(`{"type":"response.processed","response_id":"` + id + `"}`) // has no answer
	c.create(`"input":"x"`)
	c.want("response.created")
}

// TestInject holds that what is injected counts, and where it comes too late.
func TestInject(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	p := run(t, simulator.Options{TurnScript: gated(1, gate)})
	stored := p.response(p.post("/v1/responses", responseBody, "")).ID
	c := p.dial("/v1/responses")
	inject := func(id string) {
		c.send(`{"type":"response.inject","response_id":"` + id + `","input":[{"role":"user","content":"four five"}]}`)
	}
	c.create(`"input":"one","stream_id":"a"`)
	gate <- struct{}{}
	id := c.want("response.created").Response.ID
	inject(id)
	if e := c.want("response.inject.created"); e.ResponseID != id || e.StreamID != "a" {
		t.Errorf("got %s", e.raw)
	}
	close(gate)
	if r := c.completed(); r.Usage.InputTokens != 3 {
		t.Errorf("%d tokens, want 3", r.Usage.InputTokens)
	}
	if turn := p.outcomes(1)[0]; turn.Usage.Prompt != 3 {
		t.Errorf("counted %+v", turn)
	}
	for id, code := range map[string]string{
		id: "response_already_completed", "resp_x": "response_not_found", stored: "response_not_found",
	} {
		inject(id)
		if e := c.want("response.inject.failed"); e.Error.Code != code || e.ResponseID != id ||
			!strings.Contains(e.raw, `"input":[{"role":"user","content":"four five"}]`) {
			t.Errorf("got %s, want %s", e.raw, code)
		}
	}
}
