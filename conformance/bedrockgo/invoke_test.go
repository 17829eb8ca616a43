package bedrockgo

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	anthropicbedrock "github.com/anthropics/anthropic-sdk-go/bedrock"
	"github.com/anthropics/anthropic-sdk-go/option"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/conformance/rig"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

// invocation is a body for a model of Anthropic's, and what the provider's rules say about
// the answer.
type invocation struct {
	name, model string
	body        string
	text        string
	answered    string // the name of the model in the answer
	usage       simulator.Usage
}

func invocations() []invocation {
	return []invocation{
		{
			name: "one message", model: sonnet,
			body: `{"anthropic_version": "bedrock-2023-05-31", "max_tokens": 100, "messages": [{"role": "user", "content": "tell me one thing"}]}`,
			text: "You said: tell me one thing", answered: "claude-sonnet-4-5-20250929",
			usage: simulator.Usage{Prompt: 4, Completion: 6},
		},
		{
			name: "thinking", model: thinker,
			body: `{"anthropic_version": "2023-06-01", "max_tokens": 2048, "anthropic_beta": ["nobody-knows-this-2030-01-01"],
				"thinking": {"type": "enabled", "budget_tokens": 1024}, "messages": [{"role": "user", "content": "why"}]}`,
			text: "You said: why", answered: "claude-think-1",
			usage: simulator.Usage{Prompt: 1, Completion: 67, Reasoning: 64},
		},
		{
			name: "cached", model: sonnet,
			body: `{"anthropic_version": "bedrock-2023-05-31", "max_tokens": 100,
				"system": [{"type": "text", "text": "one two three", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
				"messages": [{"role": "user", "content": [
					{"type": "text", "text": "four five", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
					{"type": "text", "text": "six", "cache_control": {"type": "ephemeral", "ttl": "5m"}},
					{"type": "text", "text": "seven"}]}]}`,
			text: "You said: four five six seven", answered: "claude-sonnet-4-5-20250929",
			usage: simulator.Usage{Prompt: 7, Cached: 3, CacheWrite: 3, CacheWrite1h: 2, Completion: 6},
		},
	}
}

// checked checks what the answer says, and its record against e.
func (q *invocation) checked(s *session, e rig.Exchange, got *anthropic.Message) {
	s.T.Helper()
	said, signed := "", false
	for _, block := range got.Content {
		said += block.Text
		signed = signed || len(block.Signature) == 44
	}
	if said != q.text || got.StopReason != anthropic.StopReasonEndTurn || signed != (q.usage.Reasoning > 0) {
		s.T.Errorf("says %q (%s), signed: %t, want %q", said, got.StopReason, signed, q.text)
	}
	if u := messageTold(got); *u != q.usage {
		s.T.Errorf("usage %+v, want %+v", *u, q.usage)
	}
	e.API, e.Model, e.Answered, e.ID, e.Finish = llmproxy.APIInvokeModel, q.model, q.answered, got.ID, "end_turn"
	e.Usage, e.Told = &q.usage, messageTold(got)
	s.Recorded(e)
}

// messageTold is the usage that a message reports, with the totals that records have.
func messageTold(m *anthropic.Message) *simulator.Usage {
	u := m.Usage
	return &simulator.Usage{
		Prompt: u.InputTokens + u.CacheReadInputTokens + u.CacheCreationInputTokens,
		Cached: u.CacheReadInputTokens, CacheWrite: u.CacheCreationInputTokens,
		CacheWrite1h: u.CacheCreation.Ephemeral1hInputTokens,
		Completion:   u.OutputTokens, Reasoning: u.OutputTokensDetails.ThinkingTokens,
	}
}

func TestInvokeModel(t *testing.T) {
	t.Parallel()
	for _, q := range invocations() {
		t.Run(q.name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, every, func(s *session) {
				out, err := s.InvokeModel(s.T.Context(), &bedrockruntime.InvokeModelInput{
					ModelId: s.model(q.model), ContentType: aws.String("application/json"), Body: []byte(q.body),
				})
				s.Do(err)
				if *out.ContentType != "application/json" {
					s.T.Errorf("the answer is %s", *out.ContentType)
				}
				var got anthropic.Message
				s.Do(json.Unmarshal(out.Body, &got))
				q.checked(s, rig.Exchange{}, &got)
				s.called("/invoke", q.model)
				s.bodyIs(q.body)
			})
		})
	}
}

// bodyIs checks that the last request that reached the provider has the body.
func (s *session) bodyIs(body string) {
	s.T.Helper()
	if s.Rig == nil {
		return
	}
	requests := s.Rig.Simulator.Requests()
	if got := string(requests[len(requests)-1].Body); got != body {
		s.T.Errorf("the provider got %s\nwant %s", got, body)
	}
}

func TestInvokeModelWithResponseStream(t *testing.T) {
	t.Parallel()
	for _, q := range invocations() {
		t.Run(q.name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, every, func(s *session) {
				out, err := s.InvokeModelWithResponseStream(s.T.Context(), &bedrockruntime.InvokeModelWithResponseStreamInput{
					ModelId: s.model(q.model), ContentType: aws.String("application/json"), Accept: aws.String("application/json"), Body: []byte(q.body),
				})
				s.Do(err)
				if *out.ContentType != "application/json" {
					s.T.Errorf("the events are %s", *out.ContentType)
				}
				var got anthropic.Message
				stream := out.GetStream()
				defer stream.Close()
				for event := range stream.Events() {
					var inner anthropic.MessageStreamEventUnion
					s.Do(json.Unmarshal(event.(*types.ResponseStreamMemberChunk).Value.Bytes, &inner))
					s.Do(got.Accumulate(inner))
				}
				s.Do(stream.Err())
				q.checked(s, rig.Exchange{Transport: llmproxy.TransportEventStream}, &got)
				s.called("/invoke-with-response-stream", q.model)
				s.bodyIs(q.body)
			})
		})
	}
}

// A count of tokens is no usage, whatever is counted.
func TestCountTokens(t *testing.T) {
	t.Parallel()
	q := questions()[1]
	for name, input := range map[string]types.CountTokensInput{
		"converse":    &types.CountTokensInputMemberConverse{Value: types.ConverseTokensRequest{Messages: q.input.Messages, System: q.input.System}},
		"invokeModel": &types.CountTokensInputMemberInvokeModel{Value: types.InvokeModelTokensRequest{Body: []byte(invocations()[2].body)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, every, func(s *session) {
				model, want := arn, int32(10)
				if name == "invokeModel" {
					model, want = sonnet, 7
				}
				out, err := s.CountTokens(s.T.Context(), &bedrockruntime.CountTokensInput{ModelId: s.model(model), Input: input})
				s.Do(err)
				if *out.InputTokens != want {
					s.T.Errorf("%d tokens, want %d", *out.InputTokens, want)
				}
				s.Recorded(rig.Exchange{API: llmproxy.APIConverse, Model: model, Unreported: true})
				s.called("/count-tokens", model)
			})
		})
	}
}

// claude is Anthropic's SDK in its form for Bedrock.
func claude(s *rig.Session, keys aws.Credentials) anthropic.Client {
	return anthropic.NewClient(
		anthropicbedrock.WithConfig(aws.Config{Region: region, Credentials: aws.NewCredentialsCache(staticKeys(keys))}),
		option.WithBaseURL(s.URL), option.WithHTTPClient(s.Client), option.WithMaxRetries(0),
	)
}

// staticKeys are credentials that never change.
type staticKeys aws.Credentials

func (k staticKeys) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials(k), nil
}

// Anthropic's SDK has paths of its own: it cannot be put below a mount.
func TestAnthropicSDK(t *testing.T) {
	t.Parallel()
	setup := setup()
	setup.Agent = "Anthropic/Go "
	entries := []rig.Entry{every[0], every[1], every[2], every[6], every[7]}
	for _, streamed := range []bool{false, true} {
		rig.Everywhere(t, entries, func(t *testing.T, e *rig.Entry) *session {
			if e == nil {
				return &session{Session: rig.Direct(t, setup, "")}
			}
			return &session{Session: rig.New(t, setup).Enter(*e)}
		}, func(s *session) {
			keys := theirs
			if s.Rig == nil {
				keys = ours
			}
			client := claude(s.Session, keys)
			q := invocations()[2]
			params := anthropic.MessageNewParams{
				Model: s.Model(sonnet), MaxTokens: 100,
				System: []anthropic.TextBlockParam{{Text: "one two three", CacheControl: anthropic.CacheControlEphemeralParam{TTL: "1h"}}},
				Messages: []anthropic.MessageParam{anthropic.NewUserMessage(
					anthropic.ContentBlockParamUnion{OfText: &anthropic.TextBlockParam{Text: "four five", CacheControl: anthropic.CacheControlEphemeralParam{TTL: "1h"}}},
					anthropic.ContentBlockParamUnion{OfText: &anthropic.TextBlockParam{Text: "six", CacheControl: anthropic.CacheControlEphemeralParam{TTL: "5m"}}},
					anthropic.NewTextBlock("seven"),
				)},
			}
			if !streamed {
				got, err := client.Messages.New(s.T.Context(), params)
				s.Do(err)
				q.checked(s, rig.Exchange{}, got)
				return
			}
			var got anthropic.Message
			stream := client.Messages.NewStreaming(s.T.Context(), params)
			for stream.Next() {
				s.Do(got.Accumulate(stream.Current()))
			}
			s.Do(stream.Err())
			q.checked(s, rig.Exchange{Transport: llmproxy.TransportEventStream}, &got)
		})
	}
}

// Bedrock also speaks Messages as Anthropic itself does, signed as all else.
func TestMessages(t *testing.T) {
	t.Parallel()
	setup := setup()
	setup.Agent = "Anthropic/Go "
	setup.Simulator.AnyModel = true
	for _, e := range []rig.Entry{byModel, {Name: "by a prefix", Prefix: "bedrock/"}, {Name: "mount", Base: "/bedrock/anthropic"}} {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			s := rig.New(t, setup).Enter(e)
			client := anthropic.NewClient(
				option.WithoutEnvironmentDefaults(), option.WithBaseURL(s.URL), option.WithAPIKey(theirs.SecretAccessKey),
				option.WithHTTPClient(s.Client), option.WithMaxRetries(0),
			)
			var got anthropic.Message
			stream := client.Messages.NewStreaming(t.Context(), anthropic.MessageNewParams{
				Model: s.Model(sonnet), MaxTokens: 100, Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("tell me one thing"))},
			})
			for stream.Next() {
				s.Do(got.Accumulate(stream.Current()))
			}
			s.Do(stream.Err())
			if text := got.Content[0].Text; text != "You said: tell me one thing" {
				t.Errorf("got %q", text)
			}
			s.Recorded(rig.Exchange{
				API: llmproxy.APIMessages, Model: sonnet, Transport: llmproxy.TransportSSE, Tier: "standard", ID: got.ID,
				Usage: &simulator.Usage{Prompt: 4, Completion: 6}, Told: messageTold(&got),
			})
			s.Settled()
		})
	}
}
