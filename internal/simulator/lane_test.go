package simulator_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

// TestLanes holds that a lane keeps its order while another goes on.
func TestLanes(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	p := run(t, simulator.Options{TurnScript: gated(1, gate)})
	c := p.dial("/v1/responses")
	c.create(`"input":"first","stream_id":"a"`)
	c.create(`"input":"second","stream_id":"a"`)
	c.create(`"input":"third","stream_id":"b"`)
	// The first waits at its gate, and the second for the first.
	e, text := c.terminal()
	if e.Type != "response.completed" || e.StreamID != "b" || text != "You said: third" {
		t.Fatalf("got %q, %s", text, e.raw)
	}
	close(gate)
	for _, want := range []string{"first", "second"} {
		created := c.want("response.created")
		e, text := c.terminal()
		if created.StreamID != "a" || e.StreamID != "a" || text != "You said: "+want {
			t.Errorf("got %q, %s, want %s", text, e.raw, want)
		}
	}
}

// TestInFlight holds that sixteen responses are made at the same time, and that more wait.
func TestInFlight(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	p := run(t, simulator.Options{TurnScript: func([]byte, int) simulator.Script {
		return simulator.Script{BeforeEvent: simulator.At(1, simulator.Until(gate))}
	}})
	c := p.dial("/v1/responses")
	for i := range 18 {
		c.create(fmt.Sprintf(`"input":"x","stream_id":"%d"`, i))
	}
	var begun []string
	for range 16 {
		begun = append(begun, c.want("response.created").StreamID)
	}
	// The next create is refused in its place, after what was read before it.
	c.send(`{"type":"response.create","stream_id":"","model":"m"}`)
	c.wantError(400, "invalid_stream_id")
	record := p.connection(func(*simulator.Connection) bool { return true })
	if len(record.Turns) != 16 {
		t.Errorf("%d turns have begun, want 16", len(record.Turns))
	}
	close(gate)
	done := 0
	for done < 18 {
		switch e := c.event(); e.Type {
		case "response.created":
			begun = append(begun, e.StreamID)
		case "response.completed":
			done++
		}
	}
	slices.Sort(begun)
	if got := slices.Compact(begun); len(got) != 18 {
		t.Errorf("lanes %v have begun, want 18", got)
	}
}

func TestLaneNames(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	c := p.dial("/v1/responses")
	for _, name := range []string{`""`, `"a b"`, `"ä"`, `1`, `{}`, `"` + strings.Repeat("x", 257) + `"`, `"a\n"`} {
		c.create(`"input":"x","stream_id":` + name)
		if e := c.wantError(400, "invalid_stream_id"); e.StreamID != "" || e.Error.Param != "stream_id" {
			t.Errorf("%.20s: got %s", name, e.raw)
		}
	}
	c.create(`"input":"x","stream_id":null`)
	if e, _ := c.terminal(); e.Type != "response.completed" || strings.Contains(e.raw, "stream_id") {
		t.Errorf("null: got %s", e.raw)
	}
	c.create(`"input":"x","stream_id":"` + strings.Repeat("x", 256) + `"`)
	c.completed()
	for i := range 31 {
		c.create(fmt.Sprintf(`"input":"x","stream_id":"A_%d.-"`, i))
		c.completed()
	}
	c.create(`"input":"x","stream_id":"33rd"`)
	if e := c.wantError(400, "websocket_stream_limit_reached"); e.StreamID != "33rd" {
		t.Errorf("got %s", e.raw)
	}
	c.create(`"input":"x","stream_id":"A_0.-"`)
	if e, _ := c.terminal(); e.Type != "response.completed" || e.StreamID != "A_0.-" {
		t.Errorf("an old lane: got %s", e.raw)
	}
}

// TestNoLanes holds that Azure and xAI make one response after the other, refuse lanes
// and steering, and name no type of a state that is gone.
func TestNoLanes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		path   string
		manner simulator.Manner
	}{
		{"/openai/v1/responses", simulator.MannerOpenAI},
		{"/openai/responses?api-version=preview", simulator.MannerOpenAI},
		{"/v1/responses", simulator.MannerAzure},
		{"/v1/responses", simulator.MannerXAI},
	} {
		gate := make(chan struct{})
		p := run(t, simulator.Options{Manner: tt.manner, TurnScript: gated(1, gate)})
		c := p.dial(tt.path, "Api-Key: k")
		c.create(`"input":"first"`)
		c.create(`"input":"second"`)
		c.create(`"input":"x","stream_id":"a"`)
		if e := c.wantError(400, "unknown_parameter"); e.Error.Param != "stream_id" || e.StreamID != "" {
			t.Errorf("%s: got %s", tt.path, e.raw)
		}
		c.send(`{"type":"response.steer","previous_response_id":"resp_x","input":"y"}`)
		if e := c.want("response.steer.failed"); e.Error.Code != "steering_not_supported" {
			t.Errorf("%s: got %s", tt.path, e.raw)
		}
		close(gate)
		for _, want := range []string{"first", "second"} {
			if e, text := c.terminal(); e.Type != "response.completed" || text != "You said: "+want {
				t.Errorf("%s: got %q, %s", tt.path, text, e.raw)
			}
		}
		c.create(`"input":"x","previous_response_id":"resp_x"`)
		if e := c.wantError(400, "previous_response_not_found"); e.Error.Type != "" {
			t.Errorf("%s: got %s", tt.path, e.raw)
		}
		c.create(`"previous_response_id":1`)
		if e := c.wantError(400, "invalid_type"); e.Error.Type != "invalid_request_error" {
			t.Errorf("%s: got %s", tt.path, e.raw)
		}
	}
}

// TestForbiddenMembers holds what nobody may send on a WebSocket: always a background
// response, and strictly anything of the kind.
func TestForbiddenMembers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		members, param  string
		lenient, strict bool
	}{
		{`"stream":true`, "stream", true, false},
		{`"stream":false`, "stream", true, false},
		{`"stream":"x"`, "stream", true, false},
		{`"stream_options":{"include_usage":true}`, "stream_options", true, false},
		{`"background":false`, "background", true, false},
		{`"background":true`, "background", false, false},
		{`"stream":null`, "", true, true},
		{`"client_metadata":{"a":"b"}`, "", true, true},
	} {
		for _, strict := range []bool{false, true} {
			p := run(t, simulator.Options{StrictWebSocket: strict})
			c := p.dial("/v1/responses")
			c.create(`"input":"x",` + tt.members)
			want := tt.lenient
			if strict {
				want = tt.strict
			}
			if want {
				c.completed()
				continue
			}
			if e := c.wantError(400, "unsupported_parameter"); e.Error.Param != tt.param {
				t.Errorf("%s, strict %t: got %s", tt.members, strict, e.raw)
			}
		}
	}
}
