package anthropicgo

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
	"github.com/anthropics/anthropic-sdk-go/packages/ssestream"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/conformance/rig"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

// tell starts a stream that answers "tell me one thing".
func (s *session) tell(ctx context.Context, opts ...option.RequestOption) *ssestream.Stream[anthropic.MessageStreamEventUnion] {
	return s.Messages.NewStreaming(ctx, anthropic.MessageNewParams{Model: s.Model(sonnet), MaxTokens: 100, Messages: user("tell me one thing")}, opts...)
}

// begun is the usage that the beginning of a stream reports.
func begun() *simulator.Usage { return &simulator.Usage{Prompt: 4, Completion: 1} }

// A stream that the provider cut does not pass for a whole one: the SDK gets what came
// before the cut, and an error that says what is wrong.
func TestCutStream(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		script, text string
		begun        bool // usage had been reported
	}{
		{"cut-bytes=0", "", false},
		{"cut-events=1", "", true},
		{"cut-events=5", "You said:", true},
		{"cut-events=9", "You said: tell me one thing", true},
		{"cut-events=11", "You said: tell me one thing", true}, // all but message_stop
		{"eol=crlf,cut-events=5", "You said:", true},
		{"close-delimited,cut-events=5", "You said:", true},
	} {
		t.Run(tt.script, func(t *testing.T) {
			t.Parallel()
			for _, e := range every {
				s := enter(t, setup(), e)
				stream := s.tell(t.Context(), simulate(tt.script))
				text := ""
				for stream.Next() {
					text += stream.Current().Delta.Text
				}
				if text != tt.text {
					t.Errorf("%s: got %q, want %q", e.Name, text, tt.text)
				}
				s.refusal(stream.Err(), 200, "api_error")
				want := rig.Exchange{
					API: llmproxy.APIMessages, Model: sonnet, Transport: llmproxy.TransportSSE,
					Outcome: llmproxy.OutcomeError, Code: "provider_broken", Unreported: !tt.begun,
				}
				if tt.begun {
					want.Answered, want.Tier, want.Usage, want.Source = s.Snapshot(sonnet), "standard", begun(), llmproxy.UsagePartial
				}
				if tt.script == "cut-events=11" { // with the final usage
					want.Usage, want.Source = &simulator.Usage{Prompt: 4, Completion: 6}, llmproxy.UsageProvider
				}
				s.Recorded(want)
				s.Settled()
			}
		})
	}
}

// The same inside an event: the SDK fails, and takes no half of an event for a whole.
func TestStreamCutInsideAnEvent(t *testing.T) {
	t.Parallel()
	s := enter(t, setup(), byModel)
	stream := s.tell(t.Context(), simulate("cut-bytes=1000"))
	text := ""
	for stream.Next() {
		text += stream.Current().Delta.Text
	}
	if text != "You said:" || stream.Err() == nil {
		t.Errorf("got %q, %v, want the words before the cut and an error", text, stream.Err())
	}
	want := s.streamed(sonnet)
	want.Outcome, want.Code, want.Usage, want.Source = llmproxy.OutcomeError, "provider_broken", begun(), llmproxy.UsagePartial
	s.Recorded(want)
	s.Settled()
}

// The provider's own word that it failed arrives as the provider said it.
func TestErrorInAStream(t *testing.T) {
	t.Parallel()
	everywhere(t, every, func(s *session) {
		stream := s.tell(s.T.Context(), simulate("end=error"))
		text := ""
		for stream.Next() {
			text += stream.Current().Delta.Text
		}
		if text != "You said: tell" {
			s.T.Errorf("got %q", text)
		}
		s.refusal(stream.Err(), 200, "overloaded_error")
		want := s.streamed(sonnet)
		want.Outcome, want.Type, want.Usage = llmproxy.OutcomeFailed, "overloaded_error", begun()
		s.Recorded(want)
	})
}

// A stream that ends well without its last event deceives the SDK, but not the record.
func TestUnfinishedStream(t *testing.T) {
	t.Parallel()
	everywhere(t, every, func(s *session) {
		got := accumulated(s, s.tell(s.T.Context(), simulate("unfinished")))
		if got.StopReason != "" {
			s.T.Errorf("got %s", got.RawJSON())
		}
		want := s.streamed(sonnet)
		want.Outcome, want.Code, want.Usage, want.Source = llmproxy.OutcomeError, "unfinished_answer", begun(), llmproxy.UsagePartial
		s.Recorded(want)
	})
}

// A small answer that broke off becomes an error with a status; of a large one, the
// beginning is on its way already, and the connection breaks.
func TestCutAnswer(t *testing.T) {
	t.Parallel()
	s := enter(t, setup(), byModel)
	s.refusal(s.ask(sonnet, simulate("short")), 502, "api_error")
	want := failed(sonnet, 502, "")
	want.Code = "provider_broken"
	s.Recorded(want)

	if err := s.ask(sonnet, simulate("json-bytes=3000000,cut-bytes=2000000")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
	want.Status = 200
	s.Recorded(want)
	s.Settled()
}

// A client that has heard enough ends the provider's call, however it says so.
func TestCancelledStream(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"context", "close"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			for _, e := range every {
				s := enter(t, setup(), e)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				stream := s.tell(ctx, simulate("hang=5"))
				for range 4 { // and a ping
					if !stream.Next() {
						t.Fatalf("no event: %v", stream.Err())
					}
				}
				if how == "context" {
					cancel()
					if stream.Next() || !errors.Is(stream.Err(), context.Canceled) {
						t.Errorf("got %v, want %v", stream.Err(), context.Canceled)
					}
				}
				s.Do(stream.Close())
				s.Departed()
				want := s.streamed(sonnet)
				want.Status, want.Outcome, want.Usage, want.Source = 499, llmproxy.OutcomeCancelled, begun(), llmproxy.UsagePartial
				s.Recorded(want)
				s.Settled()
			}
		})
	}
}

// A client may leave before there is an answer, too.
func TestCancelledCall(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"hang", "hang=body"} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			s := enter(t, setup(), byModel)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			asked := make(chan error)
			go func() {
				_, err := s.Messages.New(ctx, anthropic.MessageNewParams{Model: sonnet, MaxTokens: 9, Messages: user("hello")}, simulate(script))
				asked <- err
			}()
			s.Rig.Await(simulator.Arrived(1))
			cancel()
			if err := <-asked; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want %v", err, context.Canceled)
			}
			s.Departed()
			s.Recorded(rig.Exchange{API: llmproxy.APIMessages, Model: sonnet, Status: 499, Outcome: llmproxy.OutcomeCancelled, Unreported: true})
			s.Settled()
		})
	}
}
