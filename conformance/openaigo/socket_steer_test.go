package openaigo

import (
	"encoding/json"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

// steer sends a response.steer.
func (c *socket) steer(id, text string) {
	c.s.T.Helper()
	c.s.Do(c.Send(c.s.ctx, responses.ResponsesClientEventUnionParam{OfResponseSteer: &responses.ResponseSteerEventParam{
		PreviousResponseID: id, Input: responses.ResponseSteerInputUnionParam{OfString: openai.String(text)},
	}}))
}

// A response that is steered ends early and has a successor that nobody asked for: two
// responses for one create, and both are billed.
func TestSocketSteer(t *testing.T) {
	t.Parallel()
	overSockets(t, simulator.Options{}, socketEntries, func(s *socketSession) {
		c := s.connect()
		c.send(wait(s.say("gpt-5-reason", "tell me a very long story")))
		s.pass(8)
		id := s.want(c, "response.created").AsResponseCreated().Response.ID
		s.until(c, "response.output_text.delta")
		s.want(c, "response.output_text.delta")
		c.steer(id, "make it short")
		accepted := s.want(c, "response.steer.accepted").AsResponseSteerAcceptedEvent()
		if accepted.Steer.PreviousResponseID != id || accepted.Steer.ID == "" {
			s.T.Errorf("got %s", accepted.RawJSON())
		}
		s.open()
		ended := s.until(c, "response.incomplete").AsResponseIncomplete().Response
		if ended.ID != id || ended.IncompleteDetails.Reason != "steered" {
			s.T.Errorf("got %s", ended.RawJSON())
		}
		// Eight events had come, the last two of which are words; a third was on its way.
		s.answered(&ended, responses.ResponseStatusIncomplete, "You said: tell", simulator.Usage{Prompt: 6, Completion: 64 + 3, Reasoning: 64})

		next := s.want(c, "response.created").AsResponseCreated().Response
		if next.PreviousResponseID != id || next.ID == id {
			s.T.Errorf("got %s", next.RawJSON())
		}
		successor := s.completed(c)
		s.answered(successor, responses.ResponseStatusCompleted, "You said: make it short", simulator.Usage{Prompt: 6 + 3 + 3, Completion: 64 + 5, Reasoning: 64})

		c.send(after(s.say("gpt-5-reason", "thanks"), successor.ID))
		s.answered(s.completed(c), responses.ResponseStatusCompleted, "You said: thanks", simulator.Usage{Prompt: 12 + 5 + 1, Completion: 64 + 3, Reasoning: 64})
		c.leave()
		if turns := s.provider.Connections()[0].Turns; len(turns) != 3 || !turns[1].Automatic {
			s.T.Errorf("the provider counted %+v", turns)
		}
	})
}

// In a lane, while another one goes on; and the create that waits behind the steered
// response comes after its successor.
func TestSocketSteerInALane(t *testing.T) {
	t.Parallel()
	overSockets(t, simulator.Options{}, twoEntries, func(s *socketSession) {
		c := s.connect()
		l, other := c.lane("steered"), c.lane("other")
		c.send(wait(on("steered", s.say("gpt-5-mini", "tell me a very long story"))))
		s.pass(6)
		id := s.want(l, "response.created").AsResponseCreated().Response.ID
		s.until(l, "response.output_text.delta")
		c.send(on("steered", s.say("gpt-5-mini", "the next one")))
		s.arrived(2)
		c.send(on("other", s.say("gpt-4o-mini", "meanwhile")))
		s.answered(s.completed(other), responses.ResponseStatusCompleted, "You said: meanwhile", simulator.Usage{Prompt: 1, Completion: 3})
		c.steer(id, "make it short")
		s.until(l, "response.steer.accepted")
		s.open()
		if got := s.until(l, "response.incomplete").AsResponseIncomplete().Response.ID; got != id {
			s.T.Errorf("response %s is incomplete, want %s", got, id)
		}
		s.answered(s.completed(l), responses.ResponseStatusCompleted, "You said: make it short", simulator.Usage{Prompt: 6 + 3 + 3, Completion: 5})
		s.answered(s.completed(l), responses.ResponseStatusCompleted, "You said: the next one", simulator.Usage{Prompt: 3, Completion: 5})
		c.leave()
	})
}

// A response that calls tools waits for their output before it goes on with the steer.
func TestSocketSteerPending(t *testing.T) {
	t.Parallel()
	overSockets(t, simulator.Options{}, twoEntries, func(s *socketSession) {
		c := s.connect()
		first := wait(s.say("gpt-5-mini", "call get_time for Paris"))
		first.Tools = tools()
		c.send(first)
		s.pass(1)
		id := s.want(c, "response.created").AsResponseCreated().Response.ID
		c.steer(id, "and be quick")
		s.want(c, "response.steer.accepted")
		s.open()
		asked := s.completed(c)
		pending := s.want(c, "response.steer.pending").AsResponseSteerPendingEvent()
		call := asked.Output[len(asked.Output)-1].AsFunctionCall()
		if pending.Reason != "waiting_for_required_input" || len(pending.RequiredInput) != 1 ||
			pending.RequiredInput[0].OfResponseSteerRequiredInputFunctionCallOutput.CallID != call.CallID {
			s.T.Errorf("got %s", pending.RawJSON())
		}
		second := after(s.give("gpt-5-mini", output(call.CallID, "ten past nine")), id)
		c.send(second)
		told := s.completed(c)
		// The question, the call, what was steered, the output.
		s.answered(told, responses.ResponseStatusCompleted, "You said: ten past nine", simulator.Usage{Prompt: 4 + 5 + 3 + 3, Completion: 5})
		if told.PreviousResponseID != id {
			s.T.Errorf("continued from %q, want %q", told.PreviousResponseID, id)
		}
		c.leave()
		if turns := s.provider.Connections()[0].Turns; len(turns) != 2 || turns[1].Automatic {
			s.T.Errorf("the provider counted %+v", turns)
		}
	})
}

// Steering that comes to nothing is no response: there is nothing to bill.
func TestSocketSteerFails(t *testing.T) {
	t.Parallel()
	overSockets(t, simulator.Options{}, twoEntries, func(s *socketSession) {
		c := s.connect()
		failed := func(id, code string) {
			s.T.Helper()
			e := s.want(c, "response.steer.failed").AsResponseSteerFailedEvent()
			if e.Error.Code != code || e.Steer.PreviousResponseID != id {
				s.T.Errorf("got %s, want %s", e.RawJSON(), code)
			}
		}
		c.send(s.say("gpt-5-mini", "hello"))
		over := s.completed(c)
		c.steer(over.ID, "too late")
		failed(over.ID, "response_already_completed")
		c.steer("resp_nobody", "who is that")
		failed("resp_nobody", "response_not_found")

		event := wait(s.say("gpt-5-mini", "tell me a very long story"))
		event.Metadata["simulate"] = "no-successor"
		c.send(event)
		s.pass(6)
		id := s.want(c, "response.created").AsResponseCreated().Response.ID
		c.steer(id, "make it short")
		s.until(c, "response.steer.accepted")
		s.open()
		s.until(c, "response.incomplete")
		failed(id, "successor_creation_failed")
		c.send(s.say("gpt-5-mini", "go on"))
		s.completed(c)
		c.leave()
	})
}

// The beta twin of the connection injects input into a response that is made, and asks
// for it by a header of the handshake.
func TestSocketInject(t *testing.T) {
	t.Parallel()
	overSockets(t, simulator.Options{}, socketEntries, func(s *socketSession) {
		const beta = "responses_multi_agent=v1"
		c, err := s.Beta.Responses.Connect(s.ctx, openai.BetaResponseConnectionOptions{}, option.WithHeader("OpenAI-Beta", beta))
		s.Do(err)
		s.T.Cleanup(c.Abort)
		recv := func(kind string) openai.BetaResponsesServerEventUnion {
			s.T.Helper()
			for {
				e, err := c.Recv(s.ctx)
				s.Do(err)
				s.Hear(e.RawJSON())
				if e.Type == kind {
					return e
				}
			}
		}
		inject := func(id, text string) {
			s.T.Helper()
			s.Do(c.Send(s.ctx, openai.BetaResponsesClientEventUnionParam{OfResponseInject: &openai.BetaResponseInjectEventParam{
				ResponseID: id, Input: []openai.BetaResponseInputItemUnionParam{
					openai.BetaResponseInputItemParamOfMessage(text, openai.BetaEasyInputMessageRoleUser),
				},
			}}))
		}
		s.Do(c.Send(s.ctx, openai.BetaResponsesClientEventUnionParam{OfResponseCreate: &openai.BetaResponsesClientEventResponseCreateParam{
			Model: s.Model("gpt-5-mini"), Store: openai.Bool(false), Metadata: map[string]string{gated: "yes"},
			Input: openai.BetaResponsesClientEventResponseCreateInputUnionParam{OfString: openai.String("tell me a story")},
		}}))
		s.pass(3)
		id := recv("response.created").AsResponseCreated().Response.ID
		inject(id, "and one more thing")
		if e := recv("response.inject.created").AsBetaResponseInjectCreatedEvent(); e.ResponseID != id {
			s.T.Errorf("got %s", e.RawJSON())
		}
		s.open()
		if got := recv("response.completed").AsResponseCompleted().Response.Usage; got.InputTokens != 4+4 || got.OutputTokens != 6 {
			s.T.Errorf("usage %s", got.RawJSON())
		}
		inject(id, "too late")
		if e := recv("response.inject.failed").AsBetaResponseInjectFailedEvent(); e.Error.Code != "response_already_completed" || e.ResponseID != id {
			s.T.Errorf("got %s", e.RawJSON())
		}
		s.Do(c.Close())
		if got := s.provider.Connections()[0].Header.Get("OpenAI-Beta"); got != beta {
			s.T.Errorf("the provider got OpenAI-Beta %q", got)
		}
	})
}

// Events that the SDK has no name for are the provider's to answer.
func TestSocketOtherEvents(t *testing.T) {
	t.Parallel()
	overSockets(t, simulator.Options{}, twoEntries, func(s *socketSession) {
		c := s.connect()
		c.send(wait(s.say("gpt-5-mini", "tell me a very long story")))
		s.pass(6)
		id := s.want(c, "response.created").AsResponseCreated().Response.ID
		s.Do(c.SendRaw(s.ctx, json.RawMessage(`{"type":"response.interrupt","response_id":"`+id+`","mode":"discard_partial_items"}`)))
		s.until(c, "response.output_text.delta")
		s.arrived(2)
		s.Do(c.SendRaw(s.ctx, json.RawMessage(`{"type":"response.processed","response_id":"`+id+`"}`)))
		s.arrived(3) // and so the one before has been acted on
		s.open()
		ended := s.until(c, "response.incomplete").AsResponseIncomplete().Response
		if ended.IncompleteDetails.Reason != "interrupted" || len(ended.Output) != 0 {
			s.T.Errorf("got %s", ended.RawJSON())
		}
		s.Do(c.SendRaw(s.ctx, json.RawMessage(`{"type":"response.nonsense"}`)))
		s.fault(c, 400, "invalid_value")
		c.send(s.say("gpt-5-mini", "go on"))
		s.completed(c)
		c.leave()
	})
}
