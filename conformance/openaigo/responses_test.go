package openaigo

import (
	"fmt"
	"slices"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/conformance/rig"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

// responding is the record of a response that a model wrote.
func responding(model string) rig.Exchange {
	return rig.Exchange{API: llmproxy.APIResponses, Model: model, Tier: "default"}
}

func streaming(model string) rig.Exchange {
	e := responding(model)
	e.Transport = llmproxy.TransportSSE
	return e
}

func text(input string) responses.ResponseNewParamsInputUnion {
	return responses.ResponseNewParamsInputUnion{OfString: openai.String(input)}
}

// tokens is the usage of a response, as the provider counts.
func tokens(u responses.ResponseUsage) simulator.Usage {
	return simulator.Usage{
		Prompt: u.InputTokens, Cached: u.InputTokensDetails.CachedTokens, CacheWrite: u.InputTokensDetails.CacheWriteTokens,
		Completion: u.OutputTokens, Reasoning: u.OutputTokensDetails.ReasoningTokens,
	}
}

// answered checks what a response says.
func (s *session) answered(r *responses.Response, status responses.ResponseStatus, text string, usage simulator.Usage) {
	s.T.Helper()
	if r.Status != status || r.OutputText() != text {
		s.T.Errorf("%s: %q, want %s: %q", r.Status, r.OutputText(), status, text)
	}
	if got := tokens(r.Usage); got != usage || r.Usage.TotalTokens != usage.Total() {
		s.T.Errorf("usage %+v, want %+v", got, usage)
	}
}

func TestResponses(t *testing.T) {
	t.Parallel()
	everywhere(t, everyEntry, func(s *session) {
		got, err := s.Responses.New(s.T.Context(), responses.ResponseNewParams{
			Model: s.Model("gpt-5-reason"), Input: text("tell me one thing"), Instructions: openai.String("be brief"),
			Metadata: map[string]string{"ticket": "<7>"},
		})
		s.Do(err)
		s.Hear(got.RawJSON())
		s.answered(got, responses.ResponseStatusCompleted, "You said: tell me one thing", simulator.Usage{Prompt: 6, Completion: 70, Reasoning: 64})
		s.recorded(responding("gpt-5-reason"))

		limited, err := s.Responses.New(s.T.Context(), responses.ResponseNewParams{
			Model: s.Model("gpt-5-mini"), Input: text("tell me one thing"), MaxOutputTokens: openai.Int(3),
		})
		s.Do(err)
		s.Hear(limited.RawJSON())
		s.answered(limited, responses.ResponseStatusIncomplete, "You said: tell", simulator.Usage{Prompt: 4, Completion: 3})
		if limited.IncompleteDetails.Reason != "max_output_tokens" {
			s.T.Errorf("incomplete because of %q", limited.IncompleteDetails.Reason)
		}
		e := responding("gpt-5-mini")
		e.Outcome = llmproxy.OutcomeIncomplete
		s.recorded(e)
	})
}

// The events of a stream come in order, numbered from 0 without a gap, and agree with
// the response at their end.
func TestResponsesStream(t *testing.T) {
	t.Parallel()
	everywhere(t, everyEntry, func(s *session) {
		events := listen(s, s.Responses.NewStreaming(s.T.Context(), responses.ResponseNewParams{
			Model: s.Model("gpt-5-reason"), Input: text("tell me one"),
		}))
		s.numbered(events, 0)
		want := []string{
			"response.created", "response.in_progress",
			"response.output_item.added", "response.output_item.done", // reasoning
			"response.output_item.added", "response.content_part.added",
			"response.output_text.delta", "response.output_text.delta", "response.output_text.delta", "response.output_text.delta", "response.output_text.delta",
			"response.output_text.done", "response.content_part.done", "response.output_item.done",
			"response.completed",
		}
		if got := types(events); !slices.Equal(got, want) {
			s.T.Fatalf("events\n%q, want\n%q", got, want)
		}
		final := events[len(events)-1].Response
		s.answered(&final, responses.ResponseStatusCompleted, "You said: tell me one", simulator.Usage{Prompt: 3, Completion: 69, Reasoning: 64})
		s.adds(events, &final)
		s.recorded(streaming("gpt-5-reason"))
	})
}

func types(events []responses.ResponseStreamEventUnion) []string {
	var got []string
	for _, e := range events {
		got = append(got, e.Type)
	}
	return got
}

// numbered checks the sequence numbers, the first of which is from.
func (s *session) numbered(events []responses.ResponseStreamEventUnion, from int64) {
	s.T.Helper()
	for i, e := range events {
		if e.SequenceNumber != from+int64(i) || !e.JSON.SequenceNumber.Valid() {
			s.T.Errorf("event %d is numbered %d: %s", i, e.SequenceNumber, e.RawJSON())
		}
	}
}

// adds checks that the deltas of each item add up to the item, and that every event
// about an item speaks of one that final has at that place.
func (s *session) adds(events []responses.ResponseStreamEventUnion, final *responses.Response) {
	s.T.Helper()
	deltas := map[string]string{}
	for _, e := range events {
		id := e.ItemID
		switch e.Type {
		case "response.created", "response.queued", "response.in_progress", "response.completed":
			if e.Response.ID != final.ID {
				s.T.Errorf("response %s became %s", e.Response.ID, final.ID)
			}
			continue
		case "response.output_item.added", "response.output_item.done":
			id = e.Item.ID
		case "response.output_text.delta", "response.function_call_arguments.delta":
			deltas[id] += e.Delta
		}
		if int(e.OutputIndex) >= len(final.Output) || final.Output[e.OutputIndex].ID != id {
			s.T.Errorf("%s is about item %s at %d, which the response does not have", e.Type, id, e.OutputIndex)
		}
	}
	for _, item := range final.Output {
		want := ""
		switch item.Type {
		case "message":
			want = item.Content[0].Text
		case "function_call":
			want = item.Arguments.OfString
		}
		if deltas[item.ID] != want {
			s.T.Errorf("the deltas of %s add up to %q, want %q", item.ID, deltas[item.ID], want)
		}
	}
}

// However a stream's bytes look, the SDK hears what it hears from the provider.
func TestResponsesStreamForms(t *testing.T) {
	t.Parallel()
	for _, script := range []string{
		"piece", "eol=crlf,piece=3", "comments", "multi-line", "gzip", "done", "keepalive", "huge", "events=2000", "close-delimited", "trailers",
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			ask := func(s *session) []responses.ResponseStreamEventUnion {
				return listen(s, s.Responses.NewStreaming(s.T.Context(), responses.ResponseNewParams{
					Model: s.Model("gpt-5-mini"), Input: text("tell me one thing"),
				}, option.WithHeader("X-Simulate", script)))
			}
			d, s := direct(t), newRig(t).session("/v1", "")
			ask(d)
			events := ask(s)
			s.Same(d.Session)
			s.numbered(events, 0)
			e := streaming("gpt-5-mini")
			u := tokens(events[len(events)-1].Response.Usage)
			e.Usage = &u
			s.recorded(e)
			s.Settled()
			if want := map[string]int64{"huge": 7, "events=2000": 2000}[script]; u.Completion != max(6, want) {
				t.Errorf("the provider reports %d tokens", u.Completion)
			}
		})
	}
}

func tools() []responses.ToolUnionParam {
	return []responses.ToolUnionParam{
		responses.ToolParamOfFunction("get_weather", parameters("city", "days"), true),
		responses.ToolParamOfFunction("get_time", parameters("zone", "exact"), true),
	}
}

// A conversation with tools: two calls, their outputs, the answer.
func TestResponsesTools(t *testing.T) {
	t.Parallel()
	for _, streamed := range []bool{false, true} {
		t.Run(fmt.Sprintf("streamed=%t", streamed), func(t *testing.T) {
			t.Parallel()
			everywhere(t, everyEntry, func(s *session) {
				input := responses.ResponseInputParam{responses.ResponseInputItemParamOfMessage(askForTools, responses.EasyInputMessageRoleUser)}
				got := s.respond(input, streamed)
				var calls []string
				for _, item := range got.Output {
					if item.Type != "function_call" {
						s.T.Fatalf("an item of type %s", item.Type)
					}
					call := item.AsFunctionCall()
					calls = append(calls, call.Name+"("+call.Arguments+")")
					input = append(input,
						responses.ResponseInputItemParamOfFunctionCall(call.Arguments, call.CallID, call.Name),
						responses.ResponseInputItemUnionParam{OfFunctionCallOutput: &responses.ResponseInputItemFunctionCallOutputParam{
							CallID: openai.String(call.CallID),
							Output: responses.ResponseInputItemFunctionCallOutputOutputUnionParam{OfString: openai.String("the output of " + call.Name)},
						}},
					)
				}
				if !slices.Equal(calls, wantCalls) {
					s.T.Errorf("called %q, want %q", calls, wantCalls)
				}
				if got, want := s.respond(input, streamed).OutputText(), "You said: the output of get_time"; got != want {
					s.T.Errorf("got %q, want %q", got, want)
				}
			})
		})
	}
}

// respond asks for one response with the tools, and checks its record.
func (s *session) respond(input responses.ResponseInputParam, streamed bool) *responses.Response {
	s.T.Helper()
	params := responses.ResponseNewParams{
		Model: s.Model("gpt-5-mini"), Tools: tools(), Store: openai.Bool(false),
		Input: responses.ResponseNewParamsInputUnion{OfInputItemList: input},
	}
	if streamed {
		events := listen(s, s.Responses.NewStreaming(s.T.Context(), params))
		s.numbered(events, 0)
		final := events[len(events)-1].Response
		s.adds(events, &final)
		s.recorded(streaming("gpt-5-mini"))
		return &final
	}
	got, err := s.Responses.New(s.T.Context(), params)
	s.Do(err)
	s.Hear(got.RawJSON())
	s.recorded(responding("gpt-5-mini"))
	return got
}

// A response is stored, continued, looked up, listed and deleted.
func TestResponsesStored(t *testing.T) {
	t.Parallel()
	everywhere(t, everyEntry, func(s *session) {
		ctx := s.T.Context()
		first, err := s.Responses.New(ctx, responses.ResponseNewParams{Model: s.Model("gpt-5-mini"), Input: text("my name is Ada")})
		s.Do(err)
		s.Hear(first.RawJSON())
		s.recorded(responding("gpt-5-mini"))

		second, err := s.Responses.New(ctx, responses.ResponseNewParams{
			Model: s.Model("gpt-5-mini"), Input: text("who am I"), PreviousResponseID: openai.String(first.ID),
		})
		s.Do(err)
		s.Hear(second.RawJSON())
		e := responding("gpt-5-mini")
		e.Usage = &simulator.Usage{Prompt: 4 + 6 + 3, Completion: 5}
		s.answered(second, responses.ResponseStatusCompleted, "You said: who am I", *e.Usage)
		s.recorded(e)

		got, err := s.Responses.Get(ctx, first.ID, responses.ResponseGetParams{Include: []responses.ResponseIncludable{responses.ResponseIncludableMessageInputImageImageURL}})
		s.Do(err)
		s.Hear(got.RawJSON())
		s.recorded(unmetered(llmproxy.APIResponses))
		if got.RawJSON() != first.RawJSON() {
			s.T.Errorf("got %s, want %s", got.RawJSON(), first.RawJSON())
		}

		items, err := s.Responses.InputItems.List(ctx, first.ID, responses.InputItemListParams{Limit: openai.Int(1), Order: responses.InputItemListParamsOrderAsc})
		s.Do(err)
		s.Hear(items.RawJSON())
		s.recorded(unmetered(llmproxy.APIResponses))
		if len(items.Data) != 1 || items.Data[0].AsMessage().Content[0].Text != "my name is Ada" {
			s.T.Errorf("got %s", items.RawJSON())
		}

		s.Do(s.Responses.Delete(ctx, first.ID))
		s.recorded(unmetered(llmproxy.APIResponses))
		_, err = s.Responses.Get(ctx, first.ID, responses.ResponseGetParams{})
		s.refusal(err, 404, "", "invalid_request_error")
		e = unmetered(llmproxy.APIResponses)
		e.Status, e.Outcome = 404, llmproxy.OutcomeError
		s.recorded(e)
	})
}

// A list of several pages is fetched to its end.
func TestResponsesInputPages(t *testing.T) {
	t.Parallel()
	everywhere(t, plain, func(s *session) {
		var input responses.ResponseInputParam
		var want []string
		for i := range 5 {
			want = append(want, fmt.Sprintf("message %d", i))
			input = append(input, responses.ResponseInputItemParamOfMessage(want[i], responses.EasyInputMessageRoleUser))
		}
		made, err := s.Responses.New(s.T.Context(), responses.ResponseNewParams{
			Model: s.Model("gpt-5-mini"), Input: responses.ResponseNewParamsInputUnion{OfInputItemList: input},
		})
		s.Do(err)
		s.recorded(responding("gpt-5-mini"))
		var got []string
		pages := s.Responses.InputItems.ListAutoPaging(s.T.Context(), made.ID, responses.InputItemListParams{
			Limit: openai.Int(2), Order: responses.InputItemListParamsOrderAsc,
		})
		for pages.Next() {
			item := pages.Current()
			s.Hear(item.RawJSON())
			got = append(got, item.AsMessage().Content[0].Text)
		}
		s.Do(pages.Err())
		if !slices.Equal(got, want) {
			s.T.Errorf("got %q, want %q", got, want)
		}
		for range 3 {
			s.recorded(unmetered(llmproxy.APIResponses))
		}
	})
}

// A response that runs in the background is accepted, polled and cancelled.
func TestResponsesInTheBackground(t *testing.T) {
	t.Parallel()
	everywhere(t, everyEntry, func(s *session) {
		ctx := s.T.Context()
		accepted := responding("gpt-5-mini")
		accepted.Unreported, accepted.Outcome, accepted.Answered, accepted.Tier = true, llmproxy.OutcomePending, snapshot("gpt-5-mini"), ""
		start := func(input string) *responses.Response {
			r, err := s.Responses.New(ctx, responses.ResponseNewParams{Model: s.Model("gpt-5-mini"), Input: text(input), Background: openai.Bool(true)})
			s.Do(err)
			s.Hear(r.RawJSON())
			s.recorded(accepted)
			return r
		}
		polled := start("take your time")
		for _, want := range []responses.ResponseStatus{responses.ResponseStatusInProgress, responses.ResponseStatusCompleted} {
			r, err := s.Responses.Get(ctx, polled.ID, responses.ResponseGetParams{})
			s.Do(err)
			s.Hear(r.RawJSON())
			s.recorded(unmetered(llmproxy.APIResponses))
			if r.Status != want {
				s.T.Errorf("status %s, want %s", r.Status, want)
			}
		}
		cancelled, err := s.Responses.Cancel(ctx, start("never mind").ID)
		s.Do(err)
		s.Hear(cancelled.RawJSON())
		s.recorded(unmetered(llmproxy.APIResponses))
		if cancelled.Status != responses.ResponseStatusCancelled {
			s.T.Errorf("status %s, want cancelled", cancelled.Status)
		}
	})
}

// The stream of a background response can be taken up where it was left.
func TestResponsesStreamTakenUp(t *testing.T) {
	t.Parallel()
	everywhere(t, everyEntry, func(s *session) {
		events := listen(s, s.Responses.NewStreaming(s.T.Context(), responses.ResponseNewParams{
			Model: s.Model("gpt-5-mini"), Input: text("tell me one thing"), Background: openai.Bool(true),
		}))
		s.numbered(events, 0)
		s.recorded(streaming("gpt-5-mini"))
		// The SDK puts stream into the body of its GET; the service reads the query.
		rest := listen(s, s.Responses.GetStreaming(s.T.Context(), events[0].Response.ID,
			responses.ResponseGetParams{StartingAfter: openai.Int(4)}, option.WithQuery("stream", "true")))
		s.numbered(rest, 5)
		e := unmetered(llmproxy.APIResponses)
		e.Transport = llmproxy.TransportSSE
		s.recorded(e)
		if len(rest) != len(events)-5 || rest[len(rest)-1].RawJSON() != events[len(events)-1].RawJSON() {
			s.T.Errorf("%d events after the fifth of %d", len(rest), len(events))
		}
	})
}

func TestResponsesInputTokens(t *testing.T) {
	t.Parallel()
	everywhere(t, everyEntry, func(s *session) {
		got, err := s.Responses.InputTokens.Count(s.T.Context(), responses.InputTokenCountParams{
			Model: openai.String(s.Model("gpt-5-mini")), Instructions: openai.String("be brief"), Tools: tools(),
			Input: responses.InputTokenCountParamsInputUnion{OfString: openai.String("how long is this")},
		})
		s.Do(err)
		s.Hear(got.RawJSON())
		if got.InputTokens != 6 {
			s.T.Errorf("%d tokens, want 6", got.InputTokens)
		}
		s.recorded(rig.Exchange{API: llmproxy.APIResponses, Model: "gpt-5-mini", Unreported: true})
	})
}

// A compacted conversation is what the next response begins with.
func TestResponsesCompact(t *testing.T) {
	t.Parallel()
	everywhere(t, everyEntry, func(s *session) {
		got, err := s.Responses.Compact(s.T.Context(), responses.ResponseCompactParams{
			Model: responses.ResponseCompactParamsModel(s.Model("gpt-5-mini")), PromptCacheKey: openai.String("ada"),
			Input: responses.ResponseCompactParamsInputUnion{OfString: openai.String("a long story")},
		})
		s.Do(err)
		s.Hear(got.RawJSON())
		if len(got.Output) != 2 || got.Output[1].Type != "compaction" || tokens(got.Usage) != (simulator.Usage{Prompt: 3, Completion: simulator.CompactionTokens}) {
			s.T.Fatalf("got %s", got.RawJSON())
		}
		s.recorded(rig.Exchange{API: llmproxy.APIResponses, Model: "gpt-5-mini", Answered: "gpt-5-mini"})

		next, err := s.Responses.New(s.T.Context(), responses.ResponseNewParams{
			Model: s.Model("gpt-5-mini"), Input: responses.ResponseNewParamsInputUnion{OfInputItemList: responses.ResponseInputParam{
				responses.ResponseInputItemParamOfCompaction(got.Output[1].EncryptedContent),
				responses.ResponseInputItemParamOfMessage("go on", responses.EasyInputMessageRoleUser),
			}},
		})
		s.Do(err)
		s.Hear(next.RawJSON())
		s.answered(next, responses.ResponseStatusCompleted, "You said: go on", simulator.Usage{Prompt: simulator.CompactionTokens + 2, Completion: 4})
		s.recorded(responding("gpt-5-mini"))
	})
}
