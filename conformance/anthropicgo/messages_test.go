package anthropicgo

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
	"github.com/anthropics/anthropic-sdk-go/packages/ssestream"

	"github.com/llmproxy/llmproxy/conformance/rig"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

// question is a request, and what the provider's rules say about its answer.
type question struct {
	name   string
	model  string
	params anthropic.MessageNewParams // the model, and a limit if there is none, are filled in
	opts   []option.RequestOption
	text   string
	stop   anthropic.StopReason
	usage  simulator.Usage
}

func user(text string) []anthropic.MessageParam {
	return []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(text))}
}

// cachedText is a text up to whose end the prompt is to be cached.
func cachedText(text string, ttl anthropic.CacheControlEphemeralTTL) *anthropic.TextBlockParam {
	return &anthropic.TextBlockParam{Text: text, CacheControl: anthropic.CacheControlEphemeralParam{TTL: ttl}}
}

func questions() []question {
	return []question{
		{
			name: "one message", model: sonnet,
			params: anthropic.MessageNewParams{Messages: user("tell me one thing")},
			text:   "You said: tell me one thing", stop: "end_turn",
			usage: simulator.Usage{Prompt: 4, Completion: 6},
		},
		{
			name: "history, system in blocks", model: "claude-haiku-4-5",
			params: anthropic.MessageNewParams{
				System: []anthropic.TextBlockParam{{Text: "be brief"}, {Text: "and kind"}},
				Messages: []anthropic.MessageParam{
					anthropic.NewUserMessage(anthropic.NewTextBlock("hello")),
					anthropic.NewAssistantMessage(anthropic.NewTextBlock("You said: hello")),
					anthropic.NewUserMessage(anthropic.NewTextBlock("<b>naïve</b> & 日本"), anthropic.NewTextBlock("again")),
				},
			},
			text: "You said: <b>naïve</b> & 日本 again", stop: "end_turn",
			usage: simulator.Usage{Prompt: 12, Completion: 6},
		},
		{
			name: "system as a string, content too", model: sonnet,
			params: anthropic.MessageNewParams{Messages: user("replaced")},
			opts: []option.RequestOption{
				option.WithJSONSet("system", "be brief"),
				option.WithJSONSet("messages", []map[string]string{{"role": "user", "content": "hello there"}}),
			},
			text: "You said: hello there", stop: "end_turn",
			usage: simulator.Usage{Prompt: 4, Completion: 4},
		},
		{
			name: "thinking", model: thinker,
			params: anthropic.MessageNewParams{
				MaxTokens: 2048, Messages: user("why"), Thinking: anthropic.ThinkingConfigParamOfEnabled(1024),
			},
			text: "You said: why", stop: "end_turn",
			usage: simulator.Usage{Prompt: 1, Completion: 67, Reasoning: 64},
		},
		{
			name: "cached", model: sonnet,
			params: anthropic.MessageNewParams{
				System: []anthropic.TextBlockParam{*cachedText("one two three", "1h")},
				Messages: []anthropic.MessageParam{anthropic.NewUserMessage(
					anthropic.ContentBlockParamUnion{OfText: cachedText("four five", "1h")},
					anthropic.ContentBlockParamUnion{OfText: cachedText("six", "5m")},
					anthropic.NewTextBlock("seven"),
				)},
			},
			text: "You said: four five six seven", stop: "end_turn",
			usage: simulator.Usage{Prompt: 7, Cached: 3, CacheWrite: 3, CacheWrite1h: 2, Completion: 6},
		},
		{
			name: "a limit", model: sonnet,
			params: anthropic.MessageNewParams{MaxTokens: 3, Messages: user("count to a hundred")},
			text:   "You said: count", stop: "max_tokens",
			usage: simulator.Usage{Prompt: 4, Completion: 3},
		},
	}
}

func (q *question) asked(s *session) anthropic.MessageNewParams {
	params := q.params
	params.Model = s.Model(q.model)
	if params.MaxTokens == 0 {
		params.MaxTokens = 100
	}
	return params
}

// answered checks what the SDK made of the answer.
func (q *question) answered(s *session, got *anthropic.Message) {
	s.T.Helper()
	text, thoughts := "", 0
	for i, block := range got.Content {
		switch block := block.AsAny().(type) {
		case anthropic.TextBlock:
			text += block.Text
		case anthropic.ThinkingBlock:
			thoughts++
			if i != 0 || block.Thinking != "Let me think about what was said." || len(block.Signature) != 44 {
				s.T.Errorf("block %d is the thought %q, signed %q", i, block.Thinking, block.Signature)
			}
		default:
			s.T.Errorf("block %d is %s", i, got.Content[i].RawJSON())
		}
	}
	if text != q.text || got.StopReason != q.stop || (thoughts == 1) != (q.usage.Reasoning > 0) {
		s.T.Errorf("says %q (%s) after %d thoughts, want %q (%s)", text, got.StopReason, thoughts, q.text, q.stop)
	}
	if got.Model != s.Snapshot(q.model) {
		s.T.Errorf("answered by %s, want %s", got.Model, s.Snapshot(q.model))
	}
	if u := told(got); *u != q.usage {
		s.T.Errorf("usage %+v, want %+v", *u, q.usage)
	}
}

// told is the usage that the SDK was told, with the totals that records have.
func told(m *anthropic.Message) *simulator.Usage {
	u := m.Usage
	return &simulator.Usage{
		Prompt: u.InputTokens + u.CacheReadInputTokens + u.CacheCreationInputTokens,
		Cached: u.CacheReadInputTokens, CacheWrite: u.CacheCreationInputTokens,
		CacheWrite1h: u.CacheCreation.Ephemeral1hInputTokens,
		Completion:   u.OutputTokens, Reasoning: u.OutputTokensDetails.ThinkingTokens,
	}
}

// recorded holds the next record against e, got and, if it is not nil, usage.
func (s *session) recorded(e rig.Exchange, got *anthropic.Message, usage *simulator.Usage) {
	s.T.Helper()
	e.Usage, e.Told, e.Finish, e.ID = usage, told(got), string(got.StopReason), got.ID
	s.Recorded(e)
}

// The table's counts are those that the provider reports.
func TestQuestionsAreCountedAsTheProviderDoes(t *testing.T) {
	t.Parallel()
	s := enter(t, setup(), byModel)
	for _, q := range questions() {
		got, err := s.Messages.New(t.Context(), q.asked(s), q.opts...)
		s.Do(err)
		q.answered(s, got)
		s.recorded(s.completed(q.model), got, nil)
	}
	s.Settled()
}

func TestMessages(t *testing.T) {
	t.Parallel()
	for _, q := range questions() {
		t.Run(q.name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, every, func(s *session) {
				got, err := s.Messages.New(s.T.Context(), q.asked(s), q.opts...)
				s.Do(err)
				q.answered(s, got)
				s.Hear(got.RawJSON())
				s.recorded(s.completed(q.model), got, &q.usage)
			})
		})
	}
}

func TestStream(t *testing.T) {
	t.Parallel()
	for _, q := range questions() {
		t.Run(q.name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, every, func(s *session) {
				got := accumulated(s, s.Messages.NewStreaming(s.T.Context(), q.asked(s), q.opts...))
				q.answered(s, got)
				s.recorded(s.streamed(q.model), got, &q.usage)
			})
		})
	}
}

// accumulated is the message that a stream adds up to. It hears the events, and the
// message.
func accumulated(s *session, stream *ssestream.Stream[anthropic.MessageStreamEventUnion]) *anthropic.Message {
	s.T.Helper()
	var message anthropic.Message
	for stream.Next() {
		s.Hear(stream.Current().RawJSON())
		s.Do(message.Accumulate(stream.Current()))
	}
	s.Do(stream.Err())
	s.Hear(message.RawJSON())
	return &message
}

// However a stream's bytes look, the SDK hears what it hears from the provider.
func TestStreamForms(t *testing.T) {
	t.Parallel()
	q := questions()[4]
	zero := q.usage
	zero.CacheWrite1h = 0 // message_delta does not say how long they live
	for script, usage := range map[string]simulator.Usage{
		"piece": q.usage, "piece=7": q.usage, "eol=crlf": q.usage, "eol=crlf,piece=3": q.usage, "comments": q.usage,
		"no-space": q.usage, "multi-line": q.usage, "gzip": q.usage, "keepalive": q.usage, "close-delimited": q.usage,
		"trailers": q.usage, "cookies": q.usage, "usage=start": q.usage, "usage=finish": zero,
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			d, s := newSession(rig.Direct(t, setup(), ""), providerKey), enter(t, setup(), byModel)
			accumulated(d, d.Messages.NewStreaming(t.Context(), q.asked(d), simulate(script)))
			got := accumulated(s, s.Messages.NewStreaming(t.Context(), q.asked(s), simulate(script)))
			s.Same(d.Session)
			e := s.streamed(q.model)
			e.Ageless = script == "usage=finish"
			s.recorded(e, got, &usage)
			s.Settled()
		})
	}
}

// A stream may be long, and an event large.
func TestLargeStream(t *testing.T) {
	t.Parallel()
	q := questions()[0]
	q.params.MaxTokens = 4000
	for script, tokens := range map[string]int64{"huge": 7, "events=2000": 2000} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			everywhere(t, some, func(s *session) {
				got := accumulated(s, s.Messages.NewStreaming(s.T.Context(), q.asked(s), simulate(script)))
				s.recorded(s.streamed(q.model), got, &simulator.Usage{Prompt: 4, Completion: tokens})
			})
		})
	}
}

// What the gateway adds to an answer is in its header.
func TestHeader(t *testing.T) {
	t.Parallel()
	s := enter(t, setup(), rig.Entry{Prefix: "anthropic/"})
	q := questions()[4]
	resp := new(responses)
	_, err := s.Messages.New(t.Context(), q.asked(s), resp.keep())
	s.Do(err)
	rec := s.Rig.Record()
	for name, want := range map[string]string{
		"X-Gateway-Request-Id":        rec.ID,
		"X-Gateway-Provider":          "anthropic",
		"X-Gateway-Model":             sonnet,
		"X-Gateway-Prompt-Tokens":     "7",
		"X-Gateway-Completion-Tokens": "6",
		"Request-Id":                  rec.ProviderRequestID,
	} {
		if got := resp.last.Header.Get(name); got != want || want == "" {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// Many streams at a time keep apart.
func TestStreamsSideBySide(t *testing.T) {
	t.Parallel()
	s := enter(t, setup(), byModel)
	const streams = 32
	texts := make(chan string, streams)
	for i := range streams {
		go func() {
			q := question{model: sonnet, params: anthropic.MessageNewParams{Messages: user(fmt.Sprintf("number %d", i))}}
			stream := s.Messages.NewStreaming(t.Context(), q.asked(s))
			var text strings.Builder
			for stream.Next() {
				text.WriteString(stream.Current().Delta.Text)
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
		s.Recorded(func() rig.Exchange {
			e := s.streamed(sonnet)
			e.Usage = &simulator.Usage{Prompt: 2, Completion: 4}
			return e
		}())
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	s.Settled()
}
