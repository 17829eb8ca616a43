package openaigo

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"

	"github.com/llmproxy/llmproxy/conformance/rig"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

// A turn that the provider refuses, with each class of error: the SDK gets the provider's
// own event, and the socket goes on.
func TestSocketErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		spoil  func(s *socketSession, c create) create
		status int64
		code   string
		kind   string
		param  string
	}{
		{"unknown previous response", func(_ *socketSession, c create) create {
			return after(c, "resp_of_nobody")
		}, 400, "previous_response_not_found", "invalid_request_error", "previous_response_id"},
		{"rate limit", func(_ *socketSession, c create) create {
			return script(c, "status=429,code=rate_limit_exceeded,retry-after=7,retry-after-ms=7000")
		}, 429, "rate_limit_exceeded", "requests", ""},
		{"no money", func(_ *socketSession, c create) create {
			return script(c, "status=429,code=insufficient_quota,should-retry=false")
		}, 429, "insufficient_quota", "insufficient_quota", ""},
		{"server error", func(_ *socketSession, c create) create {
			return script(c, "status=500")
		}, 500, "server_error", "server_error", ""},
		{"overload", func(_ *socketSession, c create) create {
			return script(c, "status=503,code=server_is_overloaded")
		}, 503, "server_is_overloaded", "service_unavailable_error", ""},
		{"unknown model", func(s *socketSession, c create) create {
			c.Model = s.Model("gpt-of-nobody")
			return c
		}, 404, "model_not_found", "invalid_request_error", "model"},
		{"bad value", func(_ *socketSession, c create) create {
			c.MaxOutputTokens = openai.Int(0)
			return c
		}, 400, "integer_below_min_value", "invalid_request_error", "max_output_tokens"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			overSockets(t, simulator.Options{}, twoEntries, func(s *socketSession) {
				c := s.connect()
				for lane, r := range c.receivers() {
					c.send(in(lane, tt.spoil(s, s.say("gpt-5-mini", "tell me one thing"))))
					e := s.fault(r, tt.status, tt.code)
					if e.Error.Param != tt.param || e.Error.Type != tt.kind || e.StreamID != lane {
						s.T.Errorf("got %s", e.RawJSON())
					}
					c.send(in(lane, s.say("gpt-5-mini", "go on")))
					s.answered(s.completed(r), responses.ResponseStatusCompleted, "You said: go on", simulator.Usage{Prompt: 2, Completion: 4})
				}
				c.leave()
			})
		})
	}
}

// receivers are the default lane and one that has a name.
func (c *socket) receivers() iter.Seq2[string, receiver] {
	named := c.lane("named")
	return func(yield func(string, receiver) bool) {
		_ = yield("", c) && yield("named", named)
	}
}

// in puts c into a lane, unless that is the default one.
func in(lane string, c create) create {
	if lane == "" {
		return c
	}
	return on(lane, c)
}

// The SDK's own error for a turn that fails holds the event.
func TestSocketProtocolError(t *testing.T) {
	t.Parallel()
	overSockets(t, simulator.Options{}, twoEntries, func(s *socketSession) {
		c := s.connect()
		c.send(after(s.say("gpt-5-mini", "who am I"), "resp_of_nobody"))
		_, err := c.FinalResponse(s.ctx)
		fault, ok := errors.AsType[*responses.ResponseProtocolError](err)
		if !ok {
			s.T.Fatalf("got %v", err)
		}
		if e := fault.Event.AsResponsesServerEventResponseWsError(); e.Status != 400 || e.Error.Code != "previous_response_not_found" {
			s.T.Errorf("got %s", e.RawJSON())
		}
		c.leave()
	})
}

// What retry hints a refusal has travel inside its event.
func TestSocketRetryHints(t *testing.T) {
	t.Parallel()
	overSockets(t, simulator.Options{}, twoEntries, func(s *socketSession) {
		c := s.connect()
		c.send(script(s.say("gpt-5-mini", "hello"), "status=429,code=rate_limit_exceeded,retry-after=7,retry-after-ms=7000,should-retry=false"))
		var got struct{ Headers map[string]string }
		s.decode(s.want(c, "error").RawJSON(), &got)
		if got.Headers["retry-after"] != "7" || got.Headers["retry-after-ms"] != "7000" || got.Headers["x-should-retry"] != "false" {
			s.T.Errorf("headers %v", got.Headers)
		}
		c.leave()
	})
}

// A continuation that fails takes the response it continued from with it; one from another
// lane does not.
func TestSocketEviction(t *testing.T) {
	t.Parallel()
	overSockets(t, simulator.Options{}, twoEntries, func(s *socketSession) {
		c := s.connect()
		fork := c.lane("fork")
		c.send(s.say("gpt-5-mini", "remember me"))
		first := s.completed(c)

		bad := after(on("fork", s.give("gpt-5-mini", output("call_of_nobody", "42"))), first.ID)
		c.send(bad)
		if e := s.want(fork, "error").AsResponsesServerEventResponseWsError(); e.Status != 400 || e.StreamID != "fork" {
			s.T.Errorf("got %s", e.RawJSON())
		}
		c.send(after(s.say("gpt-5-mini", "still there"), first.ID))
		second := s.completed(c)

		c.send(after(s.give("gpt-5-mini", output("call_of_nobody", "42")), second.ID))
		if e := s.want(c, "error").AsResponsesServerEventResponseWsError(); e.Status != 400 {
			s.T.Errorf("got %s", e.RawJSON())
		}
		c.send(after(s.say("gpt-5-mini", "are you there"), second.ID))
		s.fault(c, 400, "previous_response_not_found")
		c.send(s.say("gpt-5-mini", "never mind"))
		s.completed(c)
		c.leave()
	})
}

// A turn that fails after it has begun: by an error event, as a failed response, or cut
// off by a limit. What was consumed is billed where the provider says it.
func TestSocketFailsInTheMiddle(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		words string
		kind  string // of the last event
		code  string
		usage simulator.Usage
	}{
		{"status=500,cut-events=4", "error", "server_error", simulator.Usage{}},
		{"status=429,code=rate_limit_exceeded,cut-events=2", "error", "rate_limit_exceeded", simulator.Usage{}},
		{"end=error", "error", "server_error", simulator.Usage{}},
		{"end=failed", "response.failed", "server_error", simulator.Usage{Prompt: 4, Completion: 3}},
		{"end=failed,code=rate_limit_exceeded", "response.failed", "rate_limit_exceeded", simulator.Usage{Prompt: 4, Completion: 3}},
		{"end=incomplete", "response.incomplete", "", simulator.Usage{Prompt: 4, Completion: 3}},
	} {
		t.Run(tt.words, func(t *testing.T) {
			t.Parallel()
			overSockets(t, simulator.Options{}, twoEntries, func(s *socketSession) {
				c := s.connect()
				for lane, r := range c.receivers() {
					c.send(in(lane, script(s.say("gpt-5-mini", "tell me one thing"), tt.words)))
					events := s.events(r)
					last := events[len(events)-1]
					var got struct {
						StreamID string `json:"stream_id"`
						Error    struct{ Code string }
						Response struct {
							Error struct{ Code string }
							Usage responses.ResponseUsage
						}
					}
					s.decode(last.RawJSON(), &got)
					if last.Type != tt.kind || got.Error.Code+got.Response.Error.Code != tt.code || tokens(got.Response.Usage) != tt.usage || got.StreamID != lane {
						s.T.Errorf("got %s", last.RawJSON())
					}
					c.send(in(lane, s.say("gpt-5-mini", "go on")))
					s.completed(r)
				}
				c.leave()
			})
		})
	}
}

// Errors in the shape they have in server-sent events.
func TestSocketFlatErrors(t *testing.T) {
	t.Parallel()
	overSockets(t, simulator.Options{}, twoEntries, func(s *socketSession) {
		c := s.connect()
		c.send(script(s.say("gpt-5-mini", "hello"), "flat-error,end=error"))
		events := s.events(c)
		var got struct{ Code, Message string }
		s.decode(events[len(events)-1].RawJSON(), &got)
		if got.Code != "server_error" || got.Message == "" {
			s.T.Errorf("got %s", events[len(events)-1].RawJSON())
		}
		c.send(s.say("gpt-5-mini", "go on"))
		s.completed(c)
		c.leave()
	})
}

// A lane whose name nobody accepts is refused without its name, and a lane too many with
// it. Others go on.
func TestSocketLaneNames(t *testing.T) {
	t.Parallel()
	overSockets(t, simulator.Options{}, twoEntries, func(s *socketSession) {
		c := s.connect()
		c.send(wait(on("good", s.say("gpt-5-mini", "in a good lane"))))
		s.pass(1)
		s.want(c, "response.created")
		for _, name := range []string{"", "no spaces", "ü"} {
			c.send(on(name, s.say("gpt-5-mini", "in a bad lane")))
			if e := s.fault(c, 400, "invalid_stream_id"); e.StreamID != "" || e.Error.Param != "stream_id" {
				s.T.Errorf("got %s", e.RawJSON())
			}
			s.more = append(s.more, rig.Uncounted{Status: 400, Code: "invalid_stream_id"})
		}
		s.open()
		s.completed(c)
		for i := range 31 {
			c.send(on(fmt.Sprint("l", i), s.say("gpt-5-mini", "one more")))
			s.completed(c)
		}
		c.send(on("l31", s.say("gpt-5-mini", "too many")))
		if e := s.fault(c, 400, "websocket_stream_limit_reached"); e.StreamID != "l31" {
			s.T.Errorf("got %s", e.RawJSON())
		}
		s.more = append(s.more, rig.Uncounted{Lane: "l31", Status: 400, Code: "websocket_stream_limit_reached"})
		c.send(on("good", s.say("gpt-5-mini", "go on")))
		s.completed(c)
		c.leave()
	})
}

// Members that agents send although they mean nothing here do not reach a provider that
// refuses them; the gateway's client is served where the provider's own is not.
func TestSocketStrict(t *testing.T) {
	t.Parallel()
	for _, e := range twoEntries {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			s := openSocket(t, simulator.Options{StrictWebSocket: true}, &e)
			c := s.connect()
			event := s.say("gpt-5-mini", "hello")
			event.Stream, event.Background = openai.Bool(true), openai.Bool(false)
			event.StreamOptions.IncludeObfuscation = openai.Bool(false)
			c.send(event)
			s.answered(s.completed(c), responses.ResponseStatusCompleted, "You said: hello", simulator.Usage{Prompt: 1, Completion: 3})
			c.leave()
			s.counted()
			s.Settled()
		})
	}
}

// A first message that is no create ends the connection before anything reaches the
// provider that it does not name.
func TestSocketFirstMessage(t *testing.T) {
	t.Parallel()
	for _, message := range []string{
		`{"type":"response.cancel"}`, `{"model":"gpt-5-mini"}`, `[]`, `{"type":"response.create","type":"response.create"}`,
	} {
		t.Run(message, func(t *testing.T) {
			t.Parallel()
			s := openSocket(t, simulator.Options{}, &twoEntries[1])
			c := s.connect()
			s.Do(c.SendRaw(s.ctx, json.RawMessage(message)))
			if e := s.want(c, "error").AsResponsesServerEventResponseWsError(); e.Status != 400 || e.Error.Type != "invalid_request_error" || e.Error.Message == "" {
				s.T.Errorf("got %s", e.RawJSON())
			}
			closed(s, c, 1008)
			s.counted()
			s.Settled()
		})
	}
}
