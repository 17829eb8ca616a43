package openaigo

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/shared"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/conformance/rig"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

// question is a request to Chat Completions, and what the provider's rules say about its
// answer.
type question struct {
	name   string
	model  string
	params openai.ChatCompletionNewParams // the model is filled in
	text   string                         // of each choice
	finish string
	usage  simulator.Usage
	tier   string // default
}

func user(text string) []openai.ChatCompletionMessageParamUnion {
	return []openai.ChatCompletionMessageParamUnion{openai.UserMessage(text)}
}

func questions() []question {
	long := strings.TrimSpace(strings.Repeat("word ", 1100))
	return []question{
		{
			name: "one message", model: "gpt-5-mini",
			params: openai.ChatCompletionNewParams{Messages: user("tell me one thing")},
			text:   "You said: tell me one thing", finish: "stop",
			usage: simulator.Usage{Prompt: 4, Completion: 6},
		},
		{
			name: "history", model: "gpt-4o-mini",
			params: openai.ChatCompletionNewParams{Messages: []openai.ChatCompletionMessageParamUnion{
				openai.SystemMessage("be brief"), openai.UserMessage("hello"), openai.AssistantMessage("You said: hello"),
				openai.UserMessage([]openai.ChatCompletionContentPartUnionParam{openai.TextContentPart("<b>naïve</b> & 日本"), openai.TextContentPart("again")}),
			}},
			text: "You said: <b>naïve</b> & 日本 again", finish: "stop",
			usage: simulator.Usage{Prompt: 10, Completion: 6},
		},
		{
			name: "thinking", model: "gpt-5-reason",
			params: openai.ChatCompletionNewParams{Messages: user("why"), ReasoningEffort: shared.ReasoningEffortHigh},
			text:   "You said: why", finish: "stop",
			usage: simulator.Usage{Prompt: 1, Completion: 67, Reasoning: 64},
		},
		{
			name: "cached", model: "gpt-5-mini",
			params: openai.ChatCompletionNewParams{Messages: user(long)},
			text:   "You said:" + strings.Repeat(" word", 32), finish: "stop",
			usage: simulator.Usage{Prompt: 1100, Cached: 1024, Completion: 34},
		},
		{
			name: "two choices, a limit and a tier", model: "gpt-5-mini",
			params: openai.ChatCompletionNewParams{
				Messages: user("count to a hundred"), N: openai.Int(2), MaxCompletionTokens: openai.Int(3),
				ServiceTier: openai.ChatCompletionNewParamsServiceTierFast,
			},
			text: "You said: count", finish: "length",
			usage: simulator.Usage{Prompt: 4, Completion: 6}, tier: "priority",
		},
	}
}

func (q question) asked(s *session) openai.ChatCompletionNewParams {
	q.params.Model = s.Model(q.model)
	return q.params
}

// recorded is what the record of the exchange must say.
func (q question) recorded(transport llmproxy.Transport) rig.Exchange {
	e := rig.Exchange{API: llmproxy.APIChatCompletions, Model: q.model, Transport: transport, Tier: "default", Usage: &q.usage}
	if q.tier != "" {
		e.Tier = q.tier
	}
	return e
}

// answered checks what the SDK made of the answer.
func (q question) answered(s *session, got *openai.ChatCompletion) {
	s.T.Helper()
	choices := int64(1)
	if q.params.N.Valid() {
		choices = q.params.N.Value
	}
	if len(got.Choices) != int(choices) {
		s.T.Fatalf("%d choices, want %d", len(got.Choices), choices)
	}
	for i, c := range got.Choices {
		if c.Message.Content != q.text || c.FinishReason != q.finish || c.Index != int64(i) {
			s.T.Errorf("choice %d says %q (%s), want %q (%s)", i, c.Message.Content, c.FinishReason, q.text, q.finish)
		}
	}
	if got.Model != snapshot(q.model) {
		s.T.Errorf("answered by %s, want %s", got.Model, snapshot(q.model))
	}
	q.counted(s, got.Usage)
}

// counted checks the usage that the SDK was told.
func (q question) counted(s *session, u openai.CompletionUsage) {
	s.T.Helper()
	got := simulator.Usage{
		Prompt: u.PromptTokens, Cached: u.PromptTokensDetails.CachedTokens, CacheWrite: u.PromptTokensDetails.CacheWriteTokens,
		Completion: u.CompletionTokens, Reasoning: u.CompletionTokensDetails.ReasoningTokens,
	}
	if got != q.usage || u.TotalTokens != got.Total() {
		s.T.Errorf("usage %+v, %d in total, want %+v", got, u.TotalTokens, q.usage)
	}
}

// The table's counts are those that the provider reports.
func TestQuestionsAreCountedAsTheProviderDoes(t *testing.T) {
	t.Parallel()
	s := newRig(t).session("/v1", "")
	for _, q := range questions() {
		got, err := s.Chat.Completions.New(t.Context(), q.asked(s))
		s.Do(err)
		q.answered(s, got)
		e := q.recorded(llmproxy.TransportHTTP)
		e.Usage = nil // ask simulator.UsageOf
		s.recorded(e)
	}
	s.Settled()
}

func TestChat(t *testing.T) {
	t.Parallel()
	for _, q := range questions() {
		t.Run(q.name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, everyEntry, func(s *session) {
				got, err := s.Chat.Completions.New(s.T.Context(), q.asked(s))
				s.Do(err)
				q.answered(s, got)
				s.Hear(got.RawJSON())
				s.recorded(q.recorded(llmproxy.TransportHTTP))
			})
		})
	}
}

// A client that asks for usage gets the chunk with it, the last, without choices.
func TestChatStreamWithUsage(t *testing.T) {
	t.Parallel()
	for _, q := range questions() {
		q.params.StreamOptions = openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)}
		t.Run(q.name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, everyEntry, func(s *session) {
				chunks := listen(s, s.Chat.Completions.NewStreaming(s.T.Context(), q.asked(s)))
				q.answered(s, accumulated(s, chunks))
				last := len(chunks) - 1
				for i, c := range chunks {
					if (len(c.Choices) == 0) != (i == last) || c.JSON.Usage.Valid() != (i == last) {
						s.T.Errorf("chunk %d of %d: %s", i, len(chunks), c.RawJSON())
					}
				}
				s.recorded(q.recorded(llmproxy.TransportSSE))
			})
		})
	}
}

// A client that does not ask gets no such chunk, and all others, while the record has
// the usage all the same.
func TestChatStreamWithoutUsage(t *testing.T) {
	t.Parallel()
	for _, q := range questions() {
		for _, tt := range []struct {
			name    string
			options openai.ChatCompletionStreamOptionsParam
		}{
			{"no options", openai.ChatCompletionStreamOptionsParam{}},
			{"not wanted", openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(false)}},
			{"other options", openai.ChatCompletionStreamOptionsParam{IncludeObfuscation: openai.Bool(false)}},
		} {
			for _, e := range everyEntry {
				t.Run(q.name+"/"+tt.name+"/"+e.Name, func(t *testing.T) {
					t.Parallel()
					s := newRig(t).session(e.Base, e.Prefix)
					params := q.asked(s)
					params.StreamOptions = tt.options
					chunks := listen(s, s.Chat.Completions.NewStreaming(t.Context(), params))
					for _, c := range chunks {
						if len(c.Choices) == 0 || c.JSON.Usage.Valid() {
							t.Errorf("chunk without choices or with usage: %s", c.RawJSON())
						}
					}
					s.recorded(q.recorded(llmproxy.TransportSSE))
					s.Settled()

					// What the gateway sent brings one chunk more when it is sent directly.
					d := direct(t)
					whole := listen(d, d.Chat.Completions.NewStreaming(t.Context(), params,
						option.WithRequestBody("application/json", s.Rig.Simulator.Requests()[0].Body)))
					q.answered(d, accumulated(d, whole))
					d.Forget()
					s.Alike(d.Session)
				})
			}
		}
	}
}

// accumulated is the answer that a stream adds up to.
func accumulated(s *session, chunks []openai.ChatCompletionChunk) *openai.ChatCompletion {
	s.T.Helper()
	var acc openai.ChatCompletionAccumulator
	for _, c := range chunks {
		if !acc.AddChunk(c) {
			s.T.Fatalf("a chunk that does not fit: %s", c.RawJSON())
		}
	}
	return &acc.ChatCompletion
}

// However a stream's bytes look, the SDK hears what it hears from the provider.
func TestChatStreamForms(t *testing.T) {
	t.Parallel()
	q := questions()[0]
	q.params.StreamOptions = openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)}
	for _, script := range []string{
		"piece", "piece=7", "eol=crlf", "eol=crlf,piece=3", "comments", "no-space", "multi-line", "gzip", "no-done",
		"huge", "events=2000", "usage=every", "usage=finish", "usage=x_groq", "close-delimited", "trailers", "cookies,hop-by-hop",
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			ask := func(s *session) []openai.ChatCompletionChunk {
				return listen(s, s.Chat.Completions.NewStreaming(s.T.Context(), q.asked(s), option.WithHeader("X-Simulate", script)))
			}
			d, s := direct(t), newRig(t).session("/v1", "")
			want := ask(d)
			ask(s)
			s.Same(d.Session)
			e := q.recorded(llmproxy.TransportSSE)
			if script == "huge" {
				e.Usage.Completion++
			} else if script == "events=2000" {
				e.Usage.Completion = 2000
			}
			s.recorded(e)
			s.Settled()
			if u := want[len(want)-1].Usage; u.CompletionTokens != 0 && u.CompletionTokens != e.Usage.Completion {
				t.Errorf("the provider reports %d tokens, want %d", u.CompletionTokens, e.Usage.Completion)
			}
		})
	}
}

// What the gateway adds to an answer is in its header.
func TestChatHeader(t *testing.T) {
	t.Parallel()
	var resp *http.Response
	s := newRig(t).session("/v1", "openai/")
	_, err := s.Chat.Completions.New(t.Context(), questions()[0].asked(s), option.WithResponseInto(&resp))
	s.Do(err)
	rec := s.Rig.Record()
	for name, want := range map[string]string{
		"X-Gateway-Request-Id":        rec.ID,
		"X-Gateway-Provider":          "openai",
		"X-Gateway-Model":             "gpt-5-mini",
		"X-Gateway-Prompt-Tokens":     "4",
		"X-Gateway-Completion-Tokens": "6",
		"X-Request-Id":                rec.ProviderRequestID,
	} {
		if got := resp.Header.Get(name); got != want || want == "" {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// weather and clock are two tools.
func weather() openai.ChatCompletionToolUnionParam { return function("get_weather", "city", "days") }

func clock() openai.ChatCompletionToolUnionParam { return function("get_time", "zone", "exact") }

// function returns a tool with a string and another parameter.
func function(name, text, other string) openai.ChatCompletionToolUnionParam {
	return openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
		Name: name, Description: openai.String("A tool called " + name + "."), Strict: openai.Bool(true),
		Parameters: parameters(text, other),
	})
}

func parameters(text, other string) map[string]any {
	return map[string]any{
		"type": "object", "additionalProperties": false, "required": []string{text, other},
		"properties": map[string]any{text: map[string]any{"type": "string"}, other: map[string]any{"type": "integer"}},
	}
}

const askForTools = "call get_weather and get_time for Paris"

// The calls that the provider answers askForTools with.
var wantCalls = []string{
	`get_weather({"city":"call get_weather and get_time for Paris","days":1})`,
	`get_time({"exact":1,"zone":"call get_weather and get_time for Paris"})`,
}

// A conversation with tools: two calls, their outputs, the answer.
func TestChatTools(t *testing.T) {
	t.Parallel()
	for _, streamed := range []bool{false, true} {
		t.Run(fmt.Sprintf("streamed=%t", streamed), func(t *testing.T) {
			t.Parallel()
			everywhere(t, everyEntry, func(s *session) {
				params := openai.ChatCompletionNewParams{
					Messages: user(askForTools), Model: s.Model("gpt-5-mini"),
					Tools: []openai.ChatCompletionToolUnionParam{weather(), clock()},
				}
				message := s.say(params, streamed)
				if got := called(message); !slices.Equal(got, wantCalls) {
					s.T.Errorf("called %q, want %q", got, wantCalls)
				}
				params.Messages = append(params.Messages, message.ToParam())
				for _, c := range message.ToolCalls {
					params.Messages = append(params.Messages, openai.ToolMessage("the output of "+c.Function.Name, c.ID))
				}
				if got, want := s.say(params, streamed).Content, "You said: the output of get_time"; got != want {
					s.T.Errorf("got %q, want %q", got, want)
				}
			})
		})
	}
}

// called writes down the calls of a message.
func called(m openai.ChatCompletionMessage) []string {
	var calls []string
	for _, c := range m.ToolCalls {
		calls = append(calls, c.Function.Name+"("+c.Function.Arguments+")")
	}
	return calls
}

// say asks for one message, and checks its record.
func (s *session) say(params openai.ChatCompletionNewParams, streamed bool) openai.ChatCompletionMessage {
	s.T.Helper()
	e := rig.Exchange{API: llmproxy.APIChatCompletions, Model: "gpt-5-mini", Tier: "default"}
	var got *openai.ChatCompletion
	if streamed {
		e.Transport = llmproxy.TransportSSE
		params.StreamOptions = openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)}
		got = accumulated(s, listen(s, s.Chat.Completions.NewStreaming(s.T.Context(), params)))
	} else {
		var err error
		got, err = s.Chat.Completions.New(s.T.Context(), params)
		s.Do(err)
		s.Hear(got.RawJSON())
	}
	s.recorded(e)
	return got.Choices[0].Message
}

// Many streams at a time keep apart.
func TestChatStreamsSideBySide(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.session("/v1", "")
	const streams = 32
	texts := make(chan string, streams)
	for i := range streams {
		go func() {
			var text strings.Builder
			stream := s.Chat.Completions.NewStreaming(t.Context(), openai.ChatCompletionNewParams{Model: "gpt-5-mini", Messages: user(fmt.Sprintf("number %d", i))})
			for stream.Next() {
				for _, c := range stream.Current().Choices {
					text.WriteString(c.Delta.Content)
				}
			}
			if err := stream.Err(); err != nil {
				text.WriteString(err.Error())
			}
			texts <- text.String()
		}()
	}
	var got, want []string
	for i := range streams {
		got = append(got, <-texts)
		want = append(want, fmt.Sprintf("You said: number %d", i))
		if rec := r.Record(); rec.Usage.PromptTokens != 2 || rec.Usage.CompletionTokens != 4 || rec.Outcome != llmproxy.OutcomeCompleted {
			t.Errorf("record %+v", rec)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
