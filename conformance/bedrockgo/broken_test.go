package bedrockgo

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/smithy-go"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/conformance/rig"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

// telling is a stream that answers "tell me one thing".
type telling struct {
	api   llmproxy.APIType
	model string
	next  func() (text string, ok bool)
	err   func() error
	close func() error

	answered string           // the model of the answer, once it has begun
	begun    *simulator.Usage // that its beginning reports; nil if it reports none
}

// tells are the ways to ask for such a stream.
var tells = map[string]func(s *session, ctx context.Context, script string) *telling{
	"ConverseStream": func(s *session, ctx context.Context, script string) *telling {
		s.T.Helper()
		out, err := s.ConverseStream(ctx, &bedrockruntime.ConverseStreamInput{
			ModelId: s.model(nova), Messages: []types.Message{user(text("tell me one thing"))},
		}, simulate(script))
		s.Do(err)
		stream := out.GetStream()
		s.T.Cleanup(func() { _ = stream.Close() })
		return &telling{
			api: llmproxy.APIConverse, model: nova, answered: nova, err: stream.Err, close: stream.Close,
			next: func() (text string, ok bool) {
				event, ok := <-stream.Events()
				if e, is := event.(*types.ConverseStreamOutputMemberContentBlockDelta); is {
					text = e.Value.Delta.(*types.ContentBlockDeltaMemberText).Value
				}
				return text, ok
			},
		}
	},
	"InvokeModelWithResponseStream": func(s *session, ctx context.Context, script string) *telling {
		s.T.Helper()
		out, err := s.InvokeModelWithResponseStream(ctx, &bedrockruntime.InvokeModelWithResponseStreamInput{
			ModelId: s.model(sonnet), ContentType: aws.String("application/json"), Body: []byte(invocations()[0].body),
		}, simulate(script))
		s.Do(err)
		stream := out.GetStream()
		s.T.Cleanup(func() { _ = stream.Close() })
		return &telling{
			api: llmproxy.APIInvokeModel, model: sonnet, answered: "claude-sonnet-4-5-20250929", err: stream.Err, close: stream.Close,
			begun: &simulator.Usage{Prompt: 4, Completion: 1},
			next: func() (string, bool) {
				event, ok := <-stream.Events()
				var inner anthropic.MessageStreamEventUnion
				if chunk, is := event.(*types.ResponseStreamMemberChunk); is {
					s.Do(inner.UnmarshalJSON(chunk.Value.Bytes))
				}
				return inner.Delta.Text, ok
			},
		}
	},
}

// end reads the stream to its end.
func (st *telling) end() (string, error) {
	said := ""
	for {
		text, ok := st.next()
		if !ok {
			return said, st.err()
		}
		said += text
	}
}

// ended is the record of a stream that has begun and ended so.
func (st *telling) ended(outcome llmproxy.Outcome) rig.Exchange {
	e := rig.Exchange{
		API: st.api, Model: st.model, Answered: st.answered, Transport: llmproxy.TransportEventStream, Outcome: outcome,
		Usage: st.begun, Unreported: st.begun == nil,
	}
	if st.begun != nil {
		e.Source = llmproxy.UsagePartial
	}
	return e
}

// exception checks that err is the SDK's error for an exception inside a stream.
func (s *session) exception(err error, code string) {
	s.T.Helper()
	got, ok := errors.AsType[smithy.APIError](err)
	if !ok || !strings.EqualFold(got.ErrorCode(), code) || got.ErrorMessage() == "" {
		s.T.Errorf("got %v, want %s with a message", err, code)
		return
	}
	s.Hear(got.Error())
}

// A stream that the provider cut does not pass for a whole one: the SDK gets what came
// before the cut, and an error that says what is wrong.
func TestCutStream(t *testing.T) {
	t.Parallel()
	for name, tell := range tells {
		for script, said := range map[string]string{
			"cut-events=4":                 "You said: tell",
			"cut-events=7":                 "You said: tell me one thing",
			"close-delimited,cut-events=4": "You said: tell",
		} {
			t.Run(name+"/"+script, func(t *testing.T) {
				t.Parallel()
				for _, e := range every {
					s := enter(t, setup(), e)
					st := tell(s, t.Context(), script)
					got, err := st.end()
					want := said
					if st.api == llmproxy.APIInvokeModel { // which begins with two events
						want = map[string]string{"You said: tell": "You said:", "You said: tell me one thing": "You said: tell me one"}[said]
					}
					if got != want {
						t.Errorf("%s: got %q, want %q", e.Name, got, want)
					}
					s.exception(err, "InternalServerException")
					if _, ok := errors.AsType[*types.InternalServerException](err); !ok {
						t.Errorf("%s: got %T", e.Name, err)
					}
					rec := st.ended(llmproxy.OutcomeError)
					rec.Code = "provider_broken"
					s.Recorded(rec)
					s.Settled()
				}
			})
		}
	}
}

// Inside an event nothing can be added: the SDK gets no half of an event, and learns of
// the cut where it would learn of it from the provider itself. Over HTTP/1.1 it takes a
// connection that breaks for the end of a stream.
func TestStreamCutInsideAnEvent(t *testing.T) {
	t.Parallel()
	for name, tell := range tells {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const script = "cut-bytes=1201"
			want, direct := tell(newSession(rig.Direct(t, setup(), ""), ours), t.Context(), script).end()
			if !strings.HasPrefix(want, "You") || !strings.HasPrefix("You said: tell me one", want) {
				t.Fatalf("the cut is in the wrong place: %q", want)
			}
			for _, e := range every {
				s := enter(t, setup(), e)
				st := tell(s, t.Context(), script)
				said, err := st.end()
				if said != want || err == nil && (e.HTTP2 || direct != nil) {
					t.Errorf("%s: got %q, %v, want %q, and %v at least", e.Name, said, err, want, direct)
				}
				rec := st.ended(llmproxy.OutcomeError)
				rec.Code = "provider_broken"
				s.Recorded(rec)
				s.Settled()
			}
		})
	}
}

// Nothing of a stream came.
func TestStreamCutAtOnce(t *testing.T) {
	t.Parallel()
	for name, tell := range tells {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := enter(t, setup(), byModel)
			st := tell(s, t.Context(), "cut-bytes=0")
			said, err := st.end()
			if said != "" {
				t.Errorf("got %q", said)
			}
			s.exception(err, "InternalServerException")
			s.Recorded(rig.Exchange{
				API: st.api, Model: st.model, Transport: llmproxy.TransportEventStream,
				Outcome: llmproxy.OutcomeError, Code: "provider_broken", Unreported: true,
			})
			s.Settled()
		})
	}
}

// The provider's own word that it failed arrives as the provider said it: as an exception,
// or as an error that the SDK has no type for.
func TestErrorInAStream(t *testing.T) {
	t.Parallel()
	for name, tell := range tells {
		for _, tt := range []struct{ script, kind, code string }{
			{"end=error", "internalServerException", "InternalServerException"},
			{"end=error,code=throttlingException", "throttlingException", "ThrottlingException"},
			{"end=error,code=modelStreamErrorException", "modelStreamErrorException", "ModelStreamErrorException"},
			{"end=failed", "InternalFailure", "InternalFailure"},
		} {
			t.Run(name+"/"+tt.script, func(t *testing.T) {
				t.Parallel()
				everywhere(t, every, func(s *session) {
					st := tell(s, s.T.Context(), tt.script)
					said, err := st.end()
					if said != "You said: tell" {
						s.T.Errorf("got %q", said)
					}
					s.exception(err, tt.code)
					want := st.ended(llmproxy.OutcomeFailed)
					want.Type, want.Source = tt.kind, ""
					s.Recorded(want)
				})
			})
		}
	}
}

// A stream whose checksum is wrong arrives as it is: the SDK notices, and so does the
// record.
func TestWrongChecksum(t *testing.T) {
	t.Parallel()
	for name, tell := range tells {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newSession(rig.Direct(t, setup(), ""), ours)
			said, wrong := tell(d, t.Context(), "bad-crc=4").end()
			if wrong == nil {
				t.Fatal("the SDK does not look at checksums")
			}
			for _, e := range every {
				s := enter(t, setup(), e)
				st := tell(s, t.Context(), "bad-crc=4")
				got, err := st.end()
				if got != said || err == nil || err.Error() != wrong.Error() {
					t.Errorf("%s: got %q, %v, want %q, %v", e.Name, got, err, said, wrong)
				}
				// The rest may have been sent by the time the SDK gives up, or not.
				if rec := s.Rig.Record(); !rec.Unread || rec.UsageSource == llmproxy.UsageProvider {
					t.Errorf("%s: record %+v", e.Name, rec)
				}
			}
		})
	}
}

// A stream that ends well without its last events deceives the SDK, but not the record.
func TestUnfinishedStream(t *testing.T) {
	t.Parallel()
	for name, tell := range tells {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, every, func(s *session) {
				st := tell(s, s.T.Context(), "unfinished")
				if said, err := st.end(); said != "You said: tell me one thing" || err != nil {
					s.T.Errorf("got %q, %v", said, err)
				}
				want := st.ended(llmproxy.OutcomeError)
				want.Code = "unfinished_answer"
				s.Recorded(want)
			})
		})
	}
}

// A small answer that broke off becomes an error with a status; of a large one, the
// beginning is on its way already, and the connection breaks.
func TestCutAnswer(t *testing.T) {
	t.Parallel()
	s := enter(t, setup(), byModel)
	s.refusal(calls[0].ask(s, nova, simulate("short")), 502, "ServiceUnavailableException")
	want := rig.Failed(llmproxy.APIConverse, nova, 502, "")
	want.Code = "provider_broken"
	s.Recorded(want)

	if err := calls[0].ask(s, nova, simulate("json-bytes=3000000,cut-bytes=2000000")); err == nil {
		t.Error("half an answer passed for a whole one")
	}
	want.Status = 200
	s.Recorded(want)
	s.Settled()
}

// A client that has heard enough ends the provider's call, however it says so.
func TestCancelledStream(t *testing.T) {
	t.Parallel()
	for name, tell := range tells {
		for _, how := range []string{"context", "close"} {
			t.Run(name+"/"+how, func(t *testing.T) {
				t.Parallel()
				for _, e := range every {
					s := enter(t, setup(), e)
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					st := tell(s, ctx, "hang=3")
					for range 3 {
						if _, ok := st.next(); !ok {
							t.Fatalf("no event: %v", st.err())
						}
					}
					if how == "context" {
						cancel()
						if _, ok := st.next(); ok || st.err() == nil {
							t.Errorf("%s: got %v", e.Name, st.err())
						}
					}
					_ = st.close() // it repeats the error
					s.Departed()
					want := st.ended(llmproxy.OutcomeCancelled)
					want.Status = 499
					s.Recorded(want)
					s.Settled()
				}
			})
		}
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
				_, err := s.Converse(ctx, &bedrockruntime.ConverseInput{ModelId: aws.String(nova), Messages: []types.Message{user(text("hello"))}}, simulate(script))
				asked <- err
			}()
			s.Rig.Await(simulator.Arrived(1))
			cancel()
			if err := <-asked; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want %v", err, context.Canceled)
			}
			s.Departed()
			s.Recorded(rig.Exchange{API: llmproxy.APIConverse, Model: nova, Status: 499, Outcome: llmproxy.OutcomeCancelled, Unreported: true})
			s.Settled()
		})
	}
}
