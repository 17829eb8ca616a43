package openaigo

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

// A conversation of four turns with two tools, each continued from the one before.
func TestSocketConversation(t *testing.T) {
	t.Parallel()
	overSockets(t, simulator.Options{StrictWebSocket: true}, socketEntries, func(s *socketSession) {
		c := s.connect()
		if got := c.handshake.Header.Get("X-Gateway-Request-Id"); s.rig != nil && len(got) != 26 {
			s.T.Errorf("X-Gateway-Request-Id %q", got)
		}
		first := s.say("gpt-5-mini", askForTools)
		first.Tools = tools()
		c.send(first)
		asked := s.completed(c)
		// Each call counts as one token and its arguments.
		s.answered(asked, responses.ResponseStatusCompleted, "", simulator.Usage{Prompt: 6, Completion: 2 * (1 + 6)})
		var calls []string
		var outputs []responses.ResponseInputItemUnionParam
		for _, item := range asked.Output {
			call := item.AsFunctionCall()
			calls = append(calls, call.Name+"("+call.Arguments+")")
			outputs = append(outputs, output(call.CallID, "the output of "+call.Name))
		}
		if !slices.Equal(calls, wantCalls) {
			s.T.Errorf("called %q, want %q", calls, wantCalls)
		}

		second := after(s.give("gpt-5-mini", outputs...), asked.ID)
		second.Tools = tools()
		c.send(second)
		told := s.completed(c)
		s.answered(told, responses.ResponseStatusCompleted, "You said: the output of get_time", simulator.Usage{Prompt: 6 + 14 + 8, Completion: 6})

		c.send(after(s.say("gpt-5-mini", "thanks a lot"), told.ID))
		thanked := s.completed(c)
		s.answered(thanked, responses.ResponseStatusCompleted, "You said: thanks a lot", simulator.Usage{Prompt: 34 + 3, Completion: 5})
		if thanked.PreviousResponseID != told.ID {
			s.T.Errorf("continued from %q, want %q", thanked.PreviousResponseID, told.ID)
		}
		c.send(after(s.say("gpt-5-mini", "one more thing"), thanked.ID))
		s.answered(s.completed(c), responses.ResponseStatusCompleted, "You said: one more thing", simulator.Usage{Prompt: 42 + 3, Completion: 5})
		c.leave()
	})
}

// output is the output of a tool call.
func output(callID, text string) responses.ResponseInputItemUnionParam {
	return responses.ResponseInputItemUnionParam{OfFunctionCallOutput: &responses.ResponseInputItemFunctionCallOutputParam{
		CallID: openai.String(callID),
		Output: responses.ResponseInputItemFunctionCallOutputOutputUnionParam{OfString: openai.String(text)},
	}}
}

// The events of each turn come in order, numbered from 0 without a gap, and add up to the
// response at their end.
func TestSocketEvents(t *testing.T) {
	t.Parallel()
	overSockets(t, simulator.Options{}, socketEntries, func(s *socketSession) {
		c := s.connect()
		for range 2 {
			c.send(s.say("gpt-5-reason", "tell me one"))
			events := s.events(c)
			var types []string
			var text strings.Builder
			for i, e := range events {
				types = append(types, e.Type)
				numbered(s, e, i)
				if e.Type == "response.output_text.delta" {
					text.WriteString(e.AsResponseOutputTextDelta().Delta)
				}
			}
			want := []string{
				"response.created", "response.in_progress",
				"response.output_item.added", "response.output_item.done", // reasoning
				"response.output_item.added", "response.content_part.added",
				"response.output_text.delta", "response.output_text.delta", "response.output_text.delta", "response.output_text.delta", "response.output_text.delta",
				"response.output_text.done", "response.content_part.done", "response.output_item.done",
				"response.completed",
			}
			if !slices.Equal(types, want) {
				s.T.Fatalf("events\n%q, want\n%q", types, want)
			}
			final := events[len(events)-1].AsResponseCompleted().Response
			s.answered(&final, responses.ResponseStatusCompleted, text.String(), simulator.Usage{Prompt: 3, Completion: 69, Reasoning: 64})
			if created := events[0].AsResponseCreated().Response.ID; created != final.ID || final.ID == "" {
				s.T.Errorf("response %q became %q", created, final.ID)
			}
		}
		c.leave()
	})
}

// numbered checks that e has the sequence number n.
func numbered(s *socketSession, e responses.ResponsesServerEventUnion, n int) {
	s.T.Helper()
	var got struct {
		SequenceNumber *int `json:"sequence_number"`
	}
	s.decode(e.RawJSON(), &got)
	if got.SequenceNumber == nil || *got.SequenceNumber != n {
		s.T.Errorf("event %d: %s", n, e.RawJSON())
	}
}

// A warm-up says nothing and is continued from; what it wrote to the cache is billed.
func TestSocketWarmUp(t *testing.T) {
	t.Parallel()
	overSockets(t, simulator.Options{}, socketEntries, func(s *socketSession) {
		c := s.connect()
		warm := s.say("gpt-5-mini", strings.Repeat("word ", 1100))
		warm.Generate = openai.Bool(false)
		c.send(warm)
		s.want(c, "response.created")
		s.want(c, "response.in_progress")
		warmed := s.want(c, "response.completed").AsResponseCompleted().Response
		s.answered(&warmed, responses.ResponseStatusCompleted, "", simulator.Usage{Prompt: 1100, CacheWrite: 1024})
		if len(warmed.Output) != 0 {
			s.T.Errorf("a warm-up says %s", warmed.RawJSON())
		}
		c.send(after(s.say("gpt-5-mini", "now go"), warmed.ID))
		s.answered(s.completed(c), responses.ResponseStatusCompleted, "You said: now go", simulator.Usage{Prompt: 1102, Cached: 1024, Completion: 4})
		c.leave()
	})
}

// A response that is stored is continued on another connection.
func TestSocketReconnect(t *testing.T) {
	t.Parallel()
	overSockets(t, simulator.Options{}, twoEntries, func(s *socketSession) {
		c := s.connect()
		kept := s.say("gpt-5-mini", "my name is Ada")
		kept.Store = openai.Bool(true)
		c.send(kept)
		first := s.completed(c)

		restored := false
		next, err := c.Recover(s.ctx, responses.ResponseRecoveryOptions{Restore: func(context.Context, *responses.ResponseConnection) error {
			restored = true
			return nil
		}})
		s.Do(err)
		s.T.Cleanup(next.Abort)
		if !restored {
			s.T.Error("nothing was restored")
		}
		s.Do(next.Create(s.ctx, after(s.say("gpt-5-mini", "who am I"), first.ID)))
		s.answered(s.completed(next), responses.ResponseStatusCompleted, "You said: who am I", simulator.Usage{Prompt: 4 + 6 + 3, Completion: 5})
		s.Do(next.Close())
	})
}

// However the messages of a turn look, the SDK hears what it hears from the provider, and
// the turn is counted.
func TestSocketForms(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		words string
		usage simulator.Usage // 0 prompt: the SDK finds none
	}{
		{"meta", simulator.Usage{Prompt: 4, Completion: 6}},
		{"keepalive", simulator.Usage{Prompt: 4, Completion: 6}},
		{"piece", simulator.Usage{Prompt: 4, Completion: 6}},
		{"huge=400000", simulator.Usage{Prompt: 4, Completion: 7}},
		{"huge=400000,piece=65536", simulator.Usage{Prompt: 4, Completion: 7}},
		{"events=500", simulator.Usage{Prompt: 4, Completion: 500}},
		{"no-output", simulator.Usage{Prompt: 4, Completion: 6}},
		{"usage=none", simulator.Usage{}},
		{"prompt-tokens=9000,cached-tokens=8000,cache-write-tokens=500,completion-tokens=700,reasoning-tokens=600", simulator.Usage{
			Prompt: 9000, Cached: 8000, CacheWrite: 500, Completion: 700, Reasoning: 600,
		}},
	} {
		t.Run(tt.words, func(t *testing.T) {
			t.Parallel()
			overSockets(t, simulator.Options{}, twoEntries, func(s *socketSession) {
				c := s.connect()
				for range 2 {
					c.send(script(s.say("gpt-5-mini", "tell me one thing"), tt.words))
					final := s.completed(c)
					if got := tokens(final.Usage); got != tt.usage {
						s.T.Errorf("usage %+v, want %+v", got, tt.usage)
					}
				}
				c.leave()
			})
		})
	}
}

// Usage may stand beside the response instead of in it.
func TestSocketUsageBesideTheResponse(t *testing.T) {
	t.Parallel()
	overSockets(t, simulator.Options{}, twoEntries, func(s *socketSession) {
		c := s.connect()
		c.send(script(s.say("gpt-5-mini", "tell me one thing"), "usage=top"))
		var got struct{ Usage responses.ResponseUsage }
		s.decode(s.until(c, "response.completed").RawJSON(), &got)
		if want := (simulator.Usage{Prompt: 4, Completion: 6}); tokens(got.Usage) != want {
			s.T.Errorf("usage %+v, want %+v", got.Usage, want)
		}
		c.leave()
	})
}
