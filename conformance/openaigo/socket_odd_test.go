package openaigo

import (
	"encoding/json"
	"testing"

	"github.com/openai/openai-go/v3/responses"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

// Providers that give several responses of a connection one id: each is counted.
func TestSocketSameID(t *testing.T) {
	t.Parallel()
	overSockets(t, simulator.Options{}, twoEntries, func(s *socketSession) {
		c := s.connect()
		id := ""
		for range 3 {
			c.send(script(s.say("gpt-5-mini", "hello"), "same-id"))
			got := s.completed(c)
			if id == "" {
				id = got.ID
			}
			if got.ID != id {
				s.T.Errorf("response %s, want %s", got.ID, id)
			}
		}
		c.leave()
	})
}

// A second terminal event for the same response is not counted again.
func TestSocketResponseDone(t *testing.T) {
	t.Parallel()
	overSockets(t, simulator.Options{}, twoEntries, func(s *socketSession) {
		c := s.connect()
		for range 3 {
			c.send(script(s.say("gpt-5-mini", "hello"), "response-done"))
			first := s.completed(c)
			var done struct{ Response struct{ ID string } }
			s.decode(s.want(c, "response.done").RawJSON(), &done)
			if done.Response.ID != first.ID {
				s.T.Errorf("response %s is done, want %s", done.Response.ID, first.ID)
			}
		}
		c.leave()
	})
}

// A response that the provider never ends is over when the next one in its lane begins;
// the client is told so first.
func TestSocketUnfinished(t *testing.T) {
	t.Parallel()
	for _, e := range twoEntries {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			s := openSocket(t, simulator.Options{}, &e)
			c := s.connect()
			c.send(script(s.say("gpt-5-mini", "hello"), "unfinished"))
			id := s.want(c, "response.created").AsResponseCreated().Response.ID
			c.send(s.say("gpt-5-mini", "go on"))
			for {
				if e := s.next(c); e.Type == "error" {
					if fault := e.AsResponsesServerEventResponseWsError(); fault.Status != 502 || fault.Error.Code != "provider_broken" {
						t.Errorf("got %s", e.RawJSON())
					}
					break
				}
			}
			s.answered(s.completed(c), responses.ResponseStatusCompleted, "You said: go on", simulator.Usage{Prompt: 2, Completion: 4})
			c.leave()
			s.Do(s.provider.AwaitNoSockets(s.ctx))
			s.rig.Skip()
			for i, want := range []string{"provider_broken", ""} {
				rec, code := s.rig.Record(), ""
				if rec.Error != nil {
					code = rec.Error.Code
				}
				if rec.Turn != i+1 || code != want || i == 0 && (rec.ResponseID != id || rec.Usage.PromptTokens != 0) || i == 1 && rec.Usage.PromptTokens != 2 {
					t.Errorf("record %+v", rec)
				}
			}
			s.Settled()
		})
	}
}

// The error that answers another event than a create does not end the turn that runs.
func TestSocketErrorBesideATurn(t *testing.T) {
	t.Parallel()
	overSockets(t, simulator.Options{}, twoEntries, func(s *socketSession) {
		c := s.connect()
		c.send(wait(s.say("gpt-5-mini", "hello")))
		s.pass(1)
		s.want(c, "response.created")
		s.Do(c.SendRaw(s.ctx, json.RawMessage(`{"type":"response.nonsense"}`)))
		s.fault(c, 400, "invalid_value")
		s.open()
		s.completed(c)
		c.leave()
	})
}

// The error of the only create that waits is that one's, even if it does not say so.
func TestSocketErrorWithoutItsLane(t *testing.T) {
	t.Parallel()
	overSockets(t, simulator.Options{}, twoEntries, func(s *socketSession) {
		c := s.connect()
		c.send(on("main", script(s.say("gpt-5-mini", "hello"), "status=429,no-stream-id")))
		s.fault(c, 429, "rate_limit_exceeded")
		c.send(on("main", s.say("gpt-5-mini", "go on")))
		s.completed(c)
		c.leave()
	})
}
