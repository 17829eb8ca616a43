package openaigo

import (
	"fmt"
	"slices"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

// responding is the record of a response that a model wrote.
func responding(model string) exchange {
	return exchange{api: llmproxy.APIResponses, model: model, tier: "default"}
}

func streaming(model string) exchange {
	e := responding(model)
	e.transport = llmproxy.TransportSSE
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
	s.t.Helper()
	if r.Status != status || r.OutputText() != text {
		s.t.Errorf("%s: %q, want %s: %q", r.Status, r.OutputText(), status, text)
	}
	if got := tokens(r.Usage); got != usage || r.Usage.TotalTokens != usage.Total() {
		s.t.Errorf("usage %+v, want %+v", got, usage)
	}
}

func TestResponses(t *testing.T) {
	t.Parallel()
	everywhere(t, everyEntry, func(s *session) {
		got, err := s.Responses.New(s.t.Context(), responses.ResponseNewParams{
			Model: s.model("gpt-5-reason"), Input: text("tell me one thing"), Instructions: openai.String("be brief"),
			Metadata: map[string]string{"ticket": "<7>"},
		})
		s.do(err)
		s.hear(got.RawJSON())
		s.answered(got, responses.ResponseStatusCompleted, "You said: tell me one thing", simulator.Usage{Prompt: 6, Completion: 70, Reasoning: 64})
		s.recorded(responding("gpt-5-reason"))

		limited, err := s.Responses.New(s.t.Context(), responses.ResponseNewParams{
			Model: s.model("gpt-5-mini"), Input: text("tell me one thing"), MaxOutputTokens: openai.Int(3),
		})
		s.do(err)
		s.hear(limited.RawJSON())
		s.answered(limited, responses.ResponseStatusIncomplete, "You said: tell", simulator.Usage{Prompt: 4, Completion: 3})
		if limited.IncompleteDetails.Reason != "max_output_tokens" {
			s.t.Errorf("incomplete because of %q", limited.IncompleteDetails.Reason)
		}
		e := responding("gpt-5-mini")
		e.outcome = llmproxy.OutcomeIncomplete
		s.recorded(e)
	})
}

// The events of a stream come in order, numbered from 0 without a gap, and agree with
// the response at their end.
func TestResponsesStream(t *testing.T) {
	t.Parallel()
	everywhere(t, everyEntry, func(s *session) {
		events := listen(s, s.Responses.NewStreaming(s.t.Context(), responses.ResponseNewParams{
			Model: s.model("gpt-5-reason"), Input: text("tell me one"),
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
			s.t.Fatalf("events\n%q, want\n%q", got, want)
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
	s.t.Helper()
	for i, e := range events {
		if e.SequenceNumber != from+int64(i) || !e.JSON.SequenceNumber.Valid() {
			s.t.Errorf("event %d is numbered %d: %s", i, e.SequenceNumber, e.RawJSON())
		}
	}
}

// adds checks that the deltas of each item add up to the item, and that every event
// about an item speaks of one that final has at that place.
func (s *session) adds(events []responses.ResponseStreamEventUnion, final *responses.Response) {
	s.t.Helper()
	deltas := map[string]string{}
	for _, e := range events {
		id := e.ItemID
		switch e.Type {
		case "response.created", "response.queued", "response.in_progress", "response.completed":
			if e.Response.ID != final.ID {
				s.t.Errorf("response %s became %s", e.Response.ID, final.ID)
			}
			continue
		case "response.output_item.added", "response.output_item.done":
			id = e.Item.ID
		case "response.output_text.delta", "response.function_call_arguments.delta":
			deltas[id] += e.Delta
		}
		if int(e.OutputIndex) >= len(final.Output) || final.Output[e.OutputIndex].ID != id {
			s.t.Errorf("%s is about item %s at %d, which the response does not have", e.Type, id, e.OutputIndex)
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
			s.t.Errorf("the deltas of %s add up to %q, want %q", item.ID, deltas[item.ID], want)
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
				return listen(s, s.Responses.NewStreaming(s.t.Context(), responses.ResponseNewParams{
					Model: s.model("gpt-5-mini"), Input: text("tell me one thing"),
				}, option.WithHeader("X-Simulate", script)))
			}
			d, s := direct(t), newRig(t).session("/v1", "")
			ask(d)
			events := ask(s)
			s.same(d)
			s.numbered(events, 0)
			e := streaming("gpt-5-mini")
			u := tokens(events[len(events)-1].Response.Usage)
			e.usage = &u
			s.recorded(e)
			s.settled()
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
						s.t.Fatalf("an item of type %s", item.Type)
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
					s.t.Errorf("called %q, want %q", calls, wantCalls)
				}
				if got, want := s.respond(input, streamed).OutputText(), "You said: the output of get_time"; got != want {
					s.t.Errorf("got %q, want %q", got, want)
				}
			})
		})
	}
}

// respond asks for one response with the tools, and checks its record.
func (s *session) respond(input responses.ResponseInputParam, streamed bool) *responses.Response {
	s.t.Helper()
	params := responses.ResponseNewParams{
		Model: s.model("gpt-5-mini"), Tools: tools(), Store: openai.Bool(false),
		Input: responses.ResponseNewParamsInputUnion{OfInputItemList: input},
	}
	if streamed {
		events := listen(s, s.Responses.NewStreaming(s.t.Context(), params))
		s.numbered(events, 0)
		final := events[len(events)-1].Response
		s.adds(events, &final)
		s.recorded(streaming("gpt-5-mini"))
		return &final
	}
	got, err := s.Responses.New(s.t.Context(), params)
	s.do(err)
	s.hear(got.RawJSON())
	s.recorded(responding("gpt-5-mini"))
	return got
}

// A response is stored, continued, looked up, listed and deleted.
func TestResponsesStored(t *testing.T) {
	t.Parallel()
	everywhere(t, everyEntry, func(s *session) {
		ctx := s.t.Context()
		first, err := s.Responses.New(ctx, responses.ResponseNewParams{Model: s.model("gpt-5-mini"), Input: text("my name is Ada")})
		s.do(err)
		s.hear(first.RawJSON())
		s.recorded(responding("gpt-5-mini"))

		second, err := s.Responses.New(ctx, responses.ResponseNewParams{
			Model: s.model("gpt-5-mini"), Input: text("who am I"), PreviousResponseID: openai.String(first.ID),
		})
		s.do(err)
		s.hear(second.RawJSON())
		e := responding("gpt-5-mini")
		e.usage = &simulator.Usage{Prompt: 4 + 6 + 3, Completion: 5}
		s.answered(second, responses.ResponseStatusCompleted, "You said: who am I", *e.usage)
		s.recorded(e)

		got, err := s.Responses.Get(ctx, first.ID, responses.ResponseGetParams{Include: []responses.ResponseIncludable{responses.ResponseIncludableMessageInputImageImageURL}})
		s.do(err)
		s.hear(got.RawJSON())
		s.recorded(unmetered(llmproxy.APIResponses))
		if got.RawJSON() != first.RawJSON() {
			s.t.Errorf("got %s, want %s", got.RawJSON(), first.RawJSON())
		}

		items, err := s.Responses.InputItems.List(ctx, first.ID, responses.InputItemListParams{Limit: openai.Int(1), Order: responses.InputItemListParamsOrderAsc})
		s.do(err)
		s.hear(items.RawJSON())
		s.recorded(unmetered(llmproxy.APIResponses))
		if len(items.Data) != 1 || items.Data[0].AsMessage().Content[0].Text != "my name is Ada" {
			s.t.Errorf("got %s", items.RawJSON())
		}

		s.do(s.Responses.Delete(ctx, first.ID))
		s.recorded(unmetered(llmproxy.APIResponses))
		_, err = s.Responses.Get(ctx, first.ID, responses.ResponseGetParams{})
		s.refusal(err, 404, "", "invalid_request_error")
		e = unmetered(llmproxy.APIResponses)
		e.status, e.outcome = 404, llmproxy.OutcomeError
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
		made, err := s.Responses.New(s.t.Context(), responses.ResponseNewParams{
			Model: s.model("gpt-5-mini"), Input: responses.ResponseNewParamsInputUnion{OfInputItemList: input},
		})
		s.do(err)
		s.recorded(responding("gpt-5-mini"))
		var got []string
		pages := s.Responses.InputItems.ListAutoPaging(s.t.Context(), made.ID, responses.InputItemListParams{
			Limit: openai.Int(2), Order: responses.InputItemListParamsOrderAsc,
		})
		for pages.Next() {
			item := pages.Current()
			s.hear(item.RawJSON())
			got = append(got, item.AsMessage().Content[0].Text)
		}
		s.do(pages.Err())
		if !slices.Equal(got, want) {
			s.t.Errorf("got %q, want %q", got, want)
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
		ctx := s.t.Context()
		accepted := responding("gpt-5-mini")
		accepted.unreported, accepted.outcome, accepted.answered, accepted.tier = true, llmproxy.OutcomePending, snapshot("gpt-5-mini"), ""
		start := func(input string) *responses.Response {
			r, err := s.Responses.New(ctx, responses.ResponseNewParams{Model: s.model("gpt-5-mini"), Input: text(input), Background: openai.Bool(true)})
			s.do(err)
			s.hear(r.RawJSON())
			s.recorded(accepted)
			return r
		}
		polled := start("take your time")
		for _, want := range []responses.ResponseStatus{responses.ResponseStatusInProgress, responses.ResponseStatusCompleted} {
			r, err := s.Responses.Get(ctx, polled.ID, responses.ResponseGetParams{})
			s.do(err)
			s.hear(r.RawJSON())
			s.recorded(unmetered(llmproxy.APIResponses))
			if r.Status != want {
				s.t.Errorf("status %s, want %s", r.Status, want)
			}
		}
		cancelled, err := s.Responses.Cancel(ctx, start("never mind").ID)
		s.do(err)
		s.hear(cancelled.RawJSON())
		s.recorded(unmetered(llmproxy.APIResponses))
		if cancelled.Status != responses.ResponseStatusCancelled {
			s.t.Errorf("status %s, want cancelled", cancelled.Status)
		}
	})
}

// The stream of a background response can be taken up where it was left.
func TestResponsesStreamTakenUp(t *testing.T) {
	t.Parallel()
	everywhere(t, everyEntry, func(s *session) {
		events := listen(s, s.Responses.NewStreaming(s.t.Context(), responses.ResponseNewParams{
			Model: s.model("gpt-5-mini"), Input: text("tell me one thing"), Background: openai.Bool(true),
		}))
		s.numbered(events, 0)
		s.recorded(streaming("gpt-5-mini"))
		// The SDK puts stream into the body of its GET; the service reads the query.
		rest := listen(s, s.Responses.GetStreaming(s.t.Context(), events[0].Response.ID,
			responses.ResponseGetParams{StartingAfter: openai.Int(4)}, option.WithQuery("stream", "true")))
		s.numbered(rest, 5)
		e := unmetered(llmproxy.APIResponses)
		e.transport = llmproxy.TransportSSE
		s.recorded(e)
		if len(rest) != len(events)-5 || rest[len(rest)-1].RawJSON() != events[len(events)-1].RawJSON() {
			s.t.Errorf("%d events after the fifth of %d", len(rest), len(events))
		}
	})
}

func TestResponsesInputTokens(t *testing.T) {
	t.Parallel()
	everywhere(t, everyEntry, func(s *session) {
		got, err := s.Responses.InputTokens.Count(s.t.Context(), responses.InputTokenCountParams{
			Model: openai.String(s.model("gpt-5-mini")), Instructions: openai.String("be brief"), Tools: tools(),
			Input: responses.InputTokenCountParamsInputUnion{OfString: openai.String("how long is this")},
		})
		s.do(err)
		s.hear(got.RawJSON())
		if got.InputTokens != 6 {
			s.t.Errorf("%d tokens, want 6", got.InputTokens)
		}
		s.recorded(exchange{api: llmproxy.APIResponses, model: "gpt-5-mini", unreported: true})
	})
}

// A compacted conversation is what the next response begins with.
func TestResponsesCompact(t *testing.T) {
	t.Parallel()
	everywhere(t, everyEntry, func(s *session) {
		got, err := s.Responses.Compact(s.t.Context(), responses.ResponseCompactParams{
			Model: responses.ResponseCompactParamsModel(s.model("gpt-5-mini")), PromptCacheKey: openai.String("ada"),
			Input: responses.ResponseCompactParamsInputUnion{OfString: openai.String("a long story")},
		})
		s.do(err)
		s.hear(got.RawJSON())
		if len(got.Output) != 2 || got.Output[1].Type != "compaction" || tokens(got.Usage) != (simulator.Usage{Prompt: 3, Completion: simulator.CompactionTokens}) {
			s.t.Fatalf("got %s", got.RawJSON())
		}
		s.recorded(exchange{api: llmproxy.APIResponses, model: "gpt-5-mini", answered: "gpt-5-mini"})

		next, err := s.Responses.New(s.t.Context(), responses.ResponseNewParams{
			Model: s.model("gpt-5-mini"), Input: responses.ResponseNewParamsInputUnion{OfInputItemList: responses.ResponseInputParam{
				responses.ResponseInputItemParamOfCompaction(got.Output[1].EncryptedContent),
				responses.ResponseInputItemParamOfMessage("go on", responses.EasyInputMessageRoleUser),
			}},
		})
		s.do(err)
		s.hear(next.RawJSON())
		s.answered(next, responses.ResponseStatusCompleted, "You said: go on", simulator.Usage{Prompt: simulator.CompactionTokens + 2, Completion: 4})
		s.recorded(responding("gpt-5-mini"))
	})
}
