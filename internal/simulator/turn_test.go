package simulator_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

// types reads n events and returns their types.
func (c *client) types(n int) []string {
	c.t.Helper()
	var types []string
	for range n {
		types = append(types, c.event().Type)
	}
	return types
}

// TestTurnScripts holds what each word does to a turn that leaves the socket open.
func TestTurnScripts(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	for _, tt := range []struct {
		simulate string
		check    func(socketEvent, string) bool // of the end of the turn and its text
		turn     simulator.Turn
	}{
		{
			"status=429,code=rate_limit_exceeded,retry-after=2,should-retry=false", func(e socketEvent, _ string) bool {
				return e.Status == 429 && e.Error.Code == "rate_limit_exceeded" && e.StreamID == "a" &&
					cmp.Equal(e.Headers, map[string]string{"retry-after": "2", "x-should-retry": "false"})
			},
			simulator.Turn{Outcome: simulator.TurnErrored, Status: 429, Code: "rate_limit_exceeded"},
		},
		{
			"status=503,cut-events=5", func(e socketEvent, text string) bool {
				return e.Status == 503 && e.Error.Code == "server_is_overloaded" && text == "You"
			},
			simulator.Turn{
				Outcome: simulator.TurnErrored, Status: 503, Code: "server_is_overloaded", Events: 5,
				Usage: simulator.Usage{Prompt: 2, Completion: 1},
			},
		},
		{
			"status=500,no-stream-id", func(e socketEvent, _ string) bool { return e.Status == 500 && e.StreamID == "" },
			simulator.Turn{Outcome: simulator.TurnErrored, Status: 500, Code: "server_error"},
		},
		{
			"status=500,flat-error,code=x", func(e socketEvent, _ string) bool {
				return e.Status == 0 && e.Code == "x" && e.StreamID == "a" && !strings.Contains(e.raw, `"error":`)
			},
			simulator.Turn{Outcome: simulator.TurnErrored, Status: 500, Code: "x"},
		},
		{
			"end=error", func(e socketEvent, _ string) bool {
				return e.Status == 500 && e.Error.Code == "server_error" && e.StreamID == "a"
			},
			simulator.Turn{
				Outcome: simulator.TurnErrored, Status: 500, Code: "server_error", Events: 7,
				Usage: simulator.Usage{Prompt: 2, Completion: 2},
			},
		},
		{
			"end=error,flat-error,no-stream-id", func(e socketEvent, _ string) bool {
				return e.Code == "server_error" && e.StreamID == "" && e.Sequence == 6
			},
			simulator.Turn{
				Outcome: simulator.TurnErrored, Status: 500, Code: "server_error", Events: 7,
				Usage: simulator.Usage{Prompt: 2, Completion: 2},
			},
		},
		{
			"end=failed,code=insufficient_quota", func(e socketEvent, _ string) bool {
				return e.Type == "response.failed" && e.Response.Usage.OutputTokens == 2 &&
					strings.Contains(e.raw, `"error":{"code":"insufficient_quota"`)
			},
			simulator.Turn{
				Outcome: simulator.TurnFailed, Code: "insufficient_quota", Events: 7,
				Usage: simulator.Usage{Prompt: 2, Completion: 2}, Reported: true,
			},
		},
		{
			"end=failed,usage=none", func(e socketEvent, _ string) bool { return e.Response.Usage == nil },
			simulator.Turn{
				Outcome: simulator.TurnFailed, Code: "server_error", Events: 7,
				Usage: simulator.Usage{Prompt: 2, Completion: 2},
			},
		},
		{
			"end=incomplete", func(e socketEvent, _ string) bool {
				return e.Type == "response.incomplete" && e.Response.Usage.OutputTokens == 2
			},
			simulator.Turn{
				Outcome: simulator.TurnIncomplete, Reason: "max_output_tokens", Events: 10,
				Usage: simulator.Usage{Prompt: 2, Completion: 2}, Reported: true,
			},
		},
		{
			"usage=top", func(e socketEvent, _ string) bool {
				return e.Response.Usage == nil && e.Usage.InputTokens == 2
			},
			simulator.Turn{
				Outcome: simulator.TurnCompleted, Events: 12,
				Usage: simulator.Usage{Prompt: 2, Completion: 4}, Reported: true,
			},
		},
		{
			"prompt-tokens=70,cached-tokens=60,reasoning-tokens=3", func(e socketEvent, _ string) bool {
				return e.Response.Usage.InputTokens == 70
			},
			simulator.Turn{
				Outcome: simulator.TurnCompleted, Events: 12,
				Usage: simulator.Usage{Prompt: 70, Cached: 60, Completion: 4, Reasoning: 3}, Reported: true,
			},
		},
		{
			"no-output", func(e socketEvent, text string) bool {
				return text == "You said: one two" && e.Response.Usage.OutputTokens == 4 && !strings.Contains(e.raw, `"output":`)
			},
			simulator.Turn{
				Outcome: simulator.TurnCompleted, Events: 12,
				Usage: simulator.Usage{Prompt: 2, Completion: 4}, Reported: true,
			},
		},
		{
			"huge=1000000,piece=4096", func(_ socketEvent, text string) bool { return len(text) == 1_000_017 },
			simulator.Turn{
				Outcome: simulator.TurnCompleted, Events: 13,
				Usage: simulator.Usage{Prompt: 2, Completion: 5}, Reported: true,
			},
		},
		{
			"events=50,keepalive,pace=0s", func(_ socketEvent, text string) bool { return len(strings.Fields(text)) == 50 },
			simulator.Turn{
				Outcome: simulator.TurnCompleted, Events: 59,
				Usage: simulator.Usage{Prompt: 2, Completion: 50}, Reported: true,
			},
		},
	} {
		p.Reset()
		c := p.dial("/v1/responses")
		c.create(`"input":"one two","stream_id":"a","metadata":{"simulate":"` + tt.simulate + `"}`)
		e, text := c.terminal()
		if !tt.check(e, text) {
			t.Errorf("%s: got %.40q, %s", tt.simulate, text, e.raw)
		}
		c.heard() // nothing more comes
		c.create(`"input":"x"`)
		c.completed()
		got := p.outcomes(2)[0]
		tt.turn.Number, tt.turn.Lane = 1, "a"
		if got.ServiceTier != "" {
			tt.turn.ServiceTier = "default"
		}
		if diff := cmp.Diff(tt.turn, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.simulate, diff)
		}
		c.leave()
	}
}

// TestOddMessages holds the words that bring messages of their own.
func TestOddMessages(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	c := p.dial("/v1/responses")
	script := func(simulate string) {
		c.create(`"input":"x","metadata":{"simulate":"` + simulate + `"}`)
	}
	read := func(n int) (kinds []websocket.MessageType, texts []string) {
		for range n {
			kind, data, err := c.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			kinds, texts = append(kinds, kind), append(texts, string(data))
		}
		return kinds, texts
	}
	script("meta")
	want := []string{
		"codex.rate_limits", "response.created", "codex.response.metadata", "response.in_progress",
		"response.output_item.added", "response.content_part.added", "response.output_text.delta",
		"response.output_text.delta", "response.output_text.delta", "response.output_text.done",
		"response.content_part.done", "response.output_item.done", "response.completed", "responsesapi.websocket_timing",
	}
	if got := c.types(len(want)); !slices.Equal(got, want) {
		t.Errorf("meta: got %v", got)
	}
	script("response-done")
	r := c.completed()
	if e := c.want("response.done"); e.Response.ID != r.ID || e.Sequence != 11 || e.Response.Usage == nil {
		t.Errorf("got %s", e.raw)
	}
	script("unfinished")
	if got := c.types(7); got[6] != "response.output_text.delta" {
		t.Errorf("unfinished: got %v", got)
	}
	script("done")
	c.completed()
	if _, texts := read(1); texts[0] != "[DONE]" {
		t.Errorf("done: got %s", texts[0])
	}
	script("binary=1")
	kinds, texts := read(11)
	for i, kind := range kinds {
		if (kind == websocket.MessageBinary) != (i == 1) {
			t.Errorf("binary=1: message %d is %v: %s", i, kind, texts[i])
		}
	}
	script("garbage=2")
	if _, texts = read(12); texts[2] != "{not JSON" {
		t.Errorf("garbage=2: got %q", texts)
	}
	c.heard()
	for _, turn := range p.outcomes(6) {
		if turn.Outcome != simulator.TurnCompleted || turn.Reported != (turn.Number != 3) {
			t.Errorf("counted %+v", turn)
		}
	}
}

// TestSameID holds that a response may come under the id of an earlier one, and is
// counted nevertheless.
func TestSameID(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{Manner: simulator.MannerXAI, TurnScript: func([]byte, int) simulator.Script {
		return simulator.Script{WebSocket: simulator.WebSocketScript{SameID: true}}
	}})
	c := p.dial("/v1/responses")
	id := ""
	for i := range 3 {
		c.create(`"store":false,"input":"x","previous_response_id":` + map[bool]string{true: "null", false: `"` + id + `"`}[i == 0])
		r := c.completed()
		if i > 0 && r.ID != id {
			t.Errorf("got %s, want %s", r.ID, id)
		}
		id = r.ID
		if want := 1 + i*4; r.Usage.InputTokens != want {
			t.Errorf("%d tokens, want %d", r.Usage.InputTokens, want)
		}
	}
	if turns := p.Connections()[0].Turns; len(turns) != 3 || turns[2].ResponseID != id || turns[2].Usage.Prompt != 9 {
		t.Errorf("counted %+v", turns)
	}
}

// TestTurnsThatEndTheConnection holds the words that end the connection, and what is counted then.
func TestTurnsThatEndTheConnection(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	for _, tt := range []struct {
		simulate string
		events   int
		code     websocket.StatusCode
		reason   string
		usage    simulator.Usage
		outcome  simulator.Outcome
	}{
		{"close=1011", 0, 1011, "", simulator.Usage{Prompt: 2}, simulator.TurnAborted},
		{"close=4001,close-reason=see you,cut-events=6", 6, 4001, "see you", simulator.Usage{Prompt: 2, Completion: 2}, simulator.TurnAborted},
		{"close=1012,cut-events=12", 12, 1012, "", simulator.Usage{Prompt: 2, Completion: 4}, simulator.TurnCompleted},
		{"cut-events=0", 0, -1, "", simulator.Usage{Prompt: 2}, simulator.TurnAborted},
		{"cut-events=5", 5, -1, "", simulator.Usage{Prompt: 2, Completion: 1}, simulator.TurnAborted},
		{"cut-bytes=0", 0, -1, "", simulator.Usage{Prompt: 2}, simulator.TurnAborted},
	} {
		p.Reset()
		c := p.dial("/v1/responses")
		c.create(`"input":"one two","metadata":{"simulate":"` + tt.simulate + `"}`)
		c.types(tt.events)
		_, data, err := c.Read(t.Context())
		if err == nil || websocket.CloseStatus(err) != tt.code {
			t.Errorf("%s: got %s, %v, want %d", tt.simulate, data, err, tt.code)
		}
		if closed, ok := errors.AsType[websocket.CloseError](err); ok && closed.Reason != tt.reason {
			t.Errorf("%s: got %q, want %q", tt.simulate, closed.Reason, tt.reason)
		}
		if err := p.AwaitNoSockets(t.Context()); err != nil {
			t.Fatal(err)
		}
		record := p.Connections()[0]
		turn := record.Turns[0]
		if turn.Outcome != tt.outcome || turn.Usage != tt.usage || turn.Reported != (tt.outcome == simulator.TurnCompleted) ||
			record.ServerCode != max(0, int(tt.code)) || record.ClientCode != 0 || record.Open {
			t.Errorf("%s: counted %+v of %+v", tt.simulate, turn, record)
		}
	}
}

// TestCutMessage holds that a message can break off in its middle.
func TestCutMessage(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	c := p.dialRaw()
	c.frame(0x81, `{"type":"response.create","model":"gpt-5-mini","input":"x","metadata":{"simulate":"cut-bytes=200"}}`)
	// A text frame of 200 bytes that is not the last of its message, then a ping.
	want := "\x01\x7e\x00\xc8" + `{"type":"response.created"`
	got := c.bytes(4 + 200 + 1)
	if !strings.HasPrefix(got, want) || got[204] != 0x89 {
		t.Errorf("got %q", got)
	}
	_ = c.Close()
	if err := p.AwaitNoSockets(t.Context()); err != nil {
		t.Error(err)
	}
	if turn := p.Connections()[0].Turns[0]; turn.Outcome != simulator.TurnAborted || turn.Events != 0 {
		t.Errorf("counted %+v", turn)
	}
}

// TestFragments holds that a message can come in frames of some bytes each.
func TestFragments(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	c := p.dialRaw()
	c.frame(0x81, `{"type":"response.create","model":"gpt-5-mini","input":"x","metadata":{"simulate":"piece=10"}}`)
	const want = "\x01\x0a" + `{"type":"r` + "\x00\x0a" + `esponse.cr`
	if got := c.bytes(24); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	_ = c.Close()
}

// TestGateFails holds that a gate that fails ends the connection.
func TestGateFails(t *testing.T) {
	t.Parallel()
	failing := func(context.Context, int) error { return errors.New("no") }
	p := run(t, simulator.Options{TurnScript: simulator.TurnScripts(
		simulator.Script{}, simulator.Script{BeforeEvent: simulator.At(2, failing)})})
	c := p.dial("/v1/responses")
	c.create(`"input":"x"`)
	c.completed()
	c.create(`"input":"x"`)
	c.types(2)
	c.wantClosed(-1)
}
