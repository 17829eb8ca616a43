package bedrockgo

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/llmproxy/llmproxy/conformance/rig"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

// question is a request to Converse, and what the provider's rules say about its answer.
type question struct {
	name   string
	model  string
	input  bedrockruntime.ConverseInput // the model is filled in
	text   string
	thinks bool
	stop   types.StopReason
	usage  simulator.Usage
}

func text(s string) types.ContentBlock { return &types.ContentBlockMemberText{Value: s} }

func user(blocks ...types.ContentBlock) types.Message {
	return types.Message{Role: types.ConversationRoleUser, Content: blocks}
}

// cachePoint marks the end of what is to be cached.
func cachePoint(ttl types.CacheTTL) types.CachePointBlock {
	return types.CachePointBlock{Type: types.CachePointTypeDefault, Ttl: ttl}
}

func questions() []question {
	return []question{
		{
			name: "one message", model: nova,
			input: bedrockruntime.ConverseInput{Messages: []types.Message{user(text("tell me one thing"))}},
			text:  "You said: tell me one thing", stop: types.StopReasonEndTurn,
			usage: simulator.Usage{Prompt: 4, Completion: 6},
		},
		{
			name: "history, an ARN", model: arn,
			input: bedrockruntime.ConverseInput{
				System: []types.SystemContentBlock{&types.SystemContentBlockMemberText{Value: "be brief"}},
				Messages: []types.Message{
					user(text("hello")),
					{Role: types.ConversationRoleAssistant, Content: []types.ContentBlock{text("You said: hello")}},
					user(text("<b>naïve</b> & 日本"), text("again")),
				},
			},
			text: "You said: <b>naïve</b> & 日本 again", stop: types.StopReasonEndTurn,
			usage: simulator.Usage{Prompt: 10, Completion: 6},
		},
		{
			name: "thinking", model: thinker,
			input: bedrockruntime.ConverseInput{Messages: []types.Message{user(text("why"))}},
			text:  "You said: why", thinks: true, stop: types.StopReasonEndTurn,
			usage: simulator.Usage{Prompt: 1, Completion: 67}, // and nobody says how much was thought
		},
		{
			name: "cached", model: sonnet,
			input: bedrockruntime.ConverseInput{
				System: []types.SystemContentBlock{
					&types.SystemContentBlockMemberText{Value: "one two three"},
					&types.SystemContentBlockMemberCachePoint{Value: cachePoint(types.CacheTTLOneHour)},
				},
				Messages: []types.Message{user(
					text("four five"), &types.ContentBlockMemberCachePoint{Value: cachePoint(types.CacheTTLOneHour)},
					text("six"), &types.ContentBlockMemberCachePoint{Value: cachePoint(types.CacheTTLFiveMinutes)},
					text("seven"),
				)},
			},
			text: "You said: four five six seven", stop: types.StopReasonEndTurn,
			usage: simulator.Usage{Prompt: 7, Cached: 3, CacheWrite: 3, CacheWrite1h: 2, Completion: 6},
		},
		{
			name: "a limit", model: nova,
			input: bedrockruntime.ConverseInput{
				Messages:        []types.Message{user(text("count to a hundred"))},
				InferenceConfig: &types.InferenceConfiguration{MaxTokens: aws.Int32(3)},
			},
			text: "You said: count", stop: types.StopReasonMaxTokens,
			usage: simulator.Usage{Prompt: 4, Completion: 3},
		},
	}
}

// answer is what comes of a call or of a stream.
type answer struct {
	message types.Message
	stop    types.StopReason
	usage   *types.TokenUsage
	request string // the provider's id of it
	header  http.Header
}

// ask asks q and returns the answer, put together where it is a stream.
func (q *question) ask(s *session, streamed bool, opts ...func(*bedrockruntime.Options)) *answer {
	s.T.Helper()
	input := q.input
	input.ModelId = s.model(q.model)
	if streamed {
		out, err := s.ConverseStream(s.T.Context(), &bedrockruntime.ConverseStreamInput{
			ModelId: input.ModelId, Messages: input.Messages, System: input.System,
			InferenceConfig: input.InferenceConfig, ToolConfig: input.ToolConfig,
		}, opts...)
		s.Do(err)
		return accumulated(s, out).with(out.ResultMetadata)
	}
	out, err := s.Converse(s.T.Context(), &input, opts...)
	s.Do(err)
	a := &answer{message: out.Output.(*types.ConverseOutputMemberMessage).Value, stop: out.StopReason, usage: out.Usage}
	return a.with(out.ResultMetadata)
}

// with adds what the SDK knows of the HTTP answer.
func (a *answer) with(m middleware.Metadata) *answer {
	a.request, _ = awsmiddleware.GetRequestIDMetadata(m)
	a.header = awsmiddleware.GetRawResponse(m).(*smithyhttp.Response).Header
	return a
}

// accumulated is the answer that a stream adds up to.
func accumulated(s *session, out *bedrockruntime.ConverseStreamOutput) *answer {
	s.T.Helper()
	var a answer
	blocks := map[int32]types.ContentBlock{}
	arguments := map[int32]string{}
	stream := out.GetStream()
	defer stream.Close()
	for event := range stream.Events() {
		switch e := event.(type) {
		case *types.ConverseStreamOutputMemberMessageStart:
			a.message.Role = e.Value.Role
		case *types.ConverseStreamOutputMemberContentBlockStart:
			start := e.Value.Start.(*types.ContentBlockStartMemberToolUse).Value
			blocks[*e.Value.ContentBlockIndex] = &types.ContentBlockMemberToolUse{Value: types.ToolUseBlock{Name: start.Name, ToolUseId: start.ToolUseId}}
		case *types.ConverseStreamOutputMemberContentBlockDelta:
			i := *e.Value.ContentBlockIndex
			if d, ok := e.Value.Delta.(*types.ContentBlockDeltaMemberToolUse); ok {
				arguments[i] += *d.Value.Input
			} else {
				blocks[i] = add(s, blocks[i], e.Value.Delta)
			}
		case *types.ConverseStreamOutputMemberContentBlockStop:
			block := blocks[*e.Value.ContentBlockIndex]
			if call, ok := block.(*types.ContentBlockMemberToolUse); ok {
				call.Value.Input = document(s, arguments[*e.Value.ContentBlockIndex])
			}
			a.message.Content = append(a.message.Content, block)
		case *types.ConverseStreamOutputMemberMessageStop:
			a.stop = e.Value.StopReason
		case *types.ConverseStreamOutputMemberMetadata:
			a.usage = e.Value.Usage
		default:
			s.T.Errorf("an event %T", e)
		}
	}
	s.Do(stream.Err())
	return &a
}

// add returns block with a piece added.
func add(s *session, block types.ContentBlock, delta types.ContentBlockDelta) types.ContentBlock {
	s.T.Helper()
	switch d := delta.(type) {
	case *types.ContentBlockDeltaMemberText:
		if block == nil {
			block = text("")
		}
		block.(*types.ContentBlockMemberText).Value += d.Value
	case *types.ContentBlockDeltaMemberReasoningContent:
		if block == nil {
			block = &types.ContentBlockMemberReasoningContent{Value: &types.ReasoningContentBlockMemberReasoningText{
				Value: types.ReasoningTextBlock{Text: new(string), Signature: new(string)},
			}}
		}
		thought := block.(*types.ContentBlockMemberReasoningContent).Value.(*types.ReasoningContentBlockMemberReasoningText)
		switch d := d.Value.(type) {
		case *types.ReasoningContentBlockDeltaMemberText:
			*thought.Value.Text += d.Value
		case *types.ReasoningContentBlockDeltaMemberSignature:
			*thought.Value.Signature += d.Value
		}
	default:
		s.T.Errorf("a piece %T", d)
	}
	return block
}

// answered checks what the SDK made of the answer.
func (q *question) answered(s *session, got *answer) {
	s.T.Helper()
	said, thoughts := "", 0
	for i, block := range got.message.Content {
		switch block := block.(type) {
		case *types.ContentBlockMemberText:
			said += block.Value
		case *types.ContentBlockMemberReasoningContent:
			thoughts++
			thought := block.Value.(*types.ReasoningContentBlockMemberReasoningText).Value
			if i != 0 || *thought.Text != "Let me think about what was said." || len(*thought.Signature) != 44 {
				s.T.Errorf("block %d is the thought %q, signed %q", i, *thought.Text, *thought.Signature)
			}
		default:
			s.T.Errorf("block %d is %T", i, block)
		}
	}
	if said != q.text || got.stop != q.stop || (thoughts == 1) != q.thinks || got.message.Role != types.ConversationRoleAssistant {
		s.T.Errorf("%s says %q (%s) after %d thoughts, want %q (%s)", got.message.Role, said, got.stop, thoughts, q.text, q.stop)
	}
	if u := told(got.usage); *u != q.usage || int64(*got.usage.TotalTokens) != u.Total() {
		s.T.Errorf("usage %+v, %d in total, want %+v", *u, *got.usage.TotalTokens, q.usage)
	}
	if got.request == "" {
		s.T.Error("the request has no id")
	}
}

// told is the usage that the SDK was told, with the totals that records have.
func told(u *types.TokenUsage) *simulator.Usage {
	read, written := aws.ToInt32(u.CacheReadInputTokens), aws.ToInt32(u.CacheWriteInputTokens)
	usage := &simulator.Usage{
		Prompt: int64(*u.InputTokens + read + written), Cached: int64(read), CacheWrite: int64(written), Completion: int64(*u.OutputTokens),
	}
	for _, d := range u.CacheDetails {
		if d.Ttl == types.CacheTTLOneHour {
			usage.CacheWrite1h += int64(*d.InputTokens)
		}
	}
	return usage
}

// recorded holds the next record against e, got and, if it is not nil, usage.
func (s *session) recorded(e rig.Exchange, got *answer, usage *simulator.Usage) {
	s.T.Helper()
	e.Usage, e.Told, e.Finish = usage, told(got.usage), string(got.stop)
	s.Recorded(e)
}

// The table's counts are those that the provider reports.
func TestQuestionsAreCountedAsTheProviderDoes(t *testing.T) {
	t.Parallel()
	s := enter(t, setup(), byModel)
	for _, q := range questions() {
		got := q.ask(s, false)
		q.answered(s, got)
		s.recorded(converses(q.model), got, nil)
	}
	s.Settled()
}

func TestConverse(t *testing.T) {
	t.Parallel()
	for _, q := range questions() {
		t.Run(q.name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, every, func(s *session) {
				got := q.ask(s, false)
				q.answered(s, got)
				s.recorded(converses(q.model), got, &q.usage)
				s.called("/converse", q.model)
			})
		})
	}
}

func TestConverseStream(t *testing.T) {
	t.Parallel()
	for _, q := range questions() {
		t.Run(q.name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, every, func(s *session) {
				got := q.ask(s, true)
				q.answered(s, got)
				s.recorded(conversesStream(q.model), got, &q.usage)
				s.called("/converse-stream", q.model)
			})
		})
	}
}

// called checks how the provider was called last: with the model as one segment of the
// path, its colons and slashes escaped.
func (s *session) called(operation, model string) {
	s.T.Helper()
	if s.Rig == nil {
		return
	}
	requests := s.Rig.Simulator.Requests()
	last := requests[len(requests)-1]
	if want := "/model/" + strings.NewReplacer(":", "%3A", "/", "%2F").Replace(model) + operation; last.URI != want {
		s.T.Errorf("the provider was called at %s, want %s", last.URI, want)
	}
	if last.Header.Get("Amz-Sdk-Invocation-Id") == "" || last.Header.Get("Content-Type") != "application/json" {
		s.T.Errorf("the provider was called with the header %v", last.Header)
	}
}

// However a stream's bytes look, the SDK hears what it hears from the provider.
func TestStreamForms(t *testing.T) {
	t.Parallel()
	q := questions()[3]
	for _, script := range []string{"piece", "piece=7", "gzip", "close-delimited", "trailers", "cookies,hop-by-hop"} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			everywhere(t, some, func(s *session) {
				got := q.ask(s, true, simulate(script))
				q.answered(s, got)
				s.recorded(conversesStream(q.model), got, &q.usage)
			})
		})
	}
}

// A stream may be long, and an event large.
func TestLargeStream(t *testing.T) {
	t.Parallel()
	q := questions()[0]
	for script, tokens := range map[string]int64{"huge": 7, "events=2000": 2000} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			everywhere(t, some, func(s *session) {
				s.recorded(conversesStream(q.model), q.ask(s, true, simulate(script)), &simulator.Usage{Prompt: 4, Completion: tokens})
			})
		})
	}
}

// What the gateway adds to an answer is in its header.
func TestHeader(t *testing.T) {
	t.Parallel()
	s := enter(t, setup(), rig.Entry{Prefix: "bedrock/"})
	q := questions()[3]
	got := q.ask(s, false)
	rec := s.Rig.Record()
	if rec.ProviderRequestID != got.request {
		t.Errorf("the record has the request %q, the SDK was told %q", rec.ProviderRequestID, got.request)
	}
	for name, want := range map[string]string{
		"X-Gateway-Request-Id":        rec.ID,
		"X-Gateway-Provider":          "bedrock",
		"X-Gateway-Model":             sonnet,
		"X-Gateway-Prompt-Tokens":     "7",
		"X-Gateway-Completion-Tokens": "6",
	} {
		if got := got.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// Many streams at a time keep apart, over one connection too. Each has a client of its own,
// since streams of one client share a buffer (smithy-go 1.28.8).
func TestStreamsSideBySide(t *testing.T) {
	t.Parallel()
	for _, e := range some {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			s := enter(t, setup(), e)
			const streams = 16
			texts := make(chan string, streams)
			for i := range streams {
				go func() {
					out, err := newSession(s.Session, theirs).ConverseStream(t.Context(), &bedrockruntime.ConverseStreamInput{
						ModelId: s.model(nova), Messages: []types.Message{user(text(fmt.Sprintf("number %d", i)))},
					})
					if err != nil {
						texts <- err.Error()
						return
					}
					said := ""
					stream := out.GetStream()
					defer stream.Close()
					for event := range stream.Events() {
						if e, ok := event.(*types.ConverseStreamOutputMemberContentBlockDelta); ok {
							said += e.Value.Delta.(*types.ContentBlockDeltaMemberText).Value
						}
					}
					texts <- said
				}()
			}
			got := map[string]bool{}
			for range streams {
				got[<-texts] = true
				e := conversesStream(nova)
				e.Usage = &simulator.Usage{Prompt: 2, Completion: 4}
				s.Recorded(e)
			}
			for i := range streams {
				if want := fmt.Sprintf("You said: number %d", i); !got[want] {
					t.Errorf("nobody heard %q, but %v", want, got)
				}
			}
			s.Settled()
		})
	}
}
