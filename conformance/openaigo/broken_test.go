package openaigo

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/openai/openai-go/v3/responses"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/conformance/rig"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

// telling is a stream of one of the APIs that answers "tell me one thing".
type telling struct {
	api   llmproxy.APIType
	model string
	next  func() bool
	text  func() string // of the event at hand
	code  func() string // of the error that the event at hand reports; "" if it reports none
	err   func() error
	close func() error
}

// tell starts the stream of an API.
func (s *session) tell(ctx context.Context, api llmproxy.APIType, opts ...option.RequestOption) telling {
	const prompt = "tell me one thing"
	none := func() string { return "" }
	switch api {
	case llmproxy.APICompletions:
		stream := s.Completions.NewStreaming(ctx, openai.CompletionNewParams{
			Model: openai.CompletionNewParamsModel(s.Model(instruct)), Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String(prompt)},
		}, opts...)
		text := func() (text string) {
			for _, c := range stream.Current().Choices {
				text += c.Text
			}
			return text
		}
		return telling{api, instruct, stream.Next, text, none, stream.Err, stream.Close}
	case llmproxy.APIResponses:
		stream := s.Responses.NewStreaming(ctx, responses.ResponseNewParams{Model: s.Model("gpt-5-mini"), Input: text(prompt)}, opts...)
		code := func() string {
			switch e := stream.Current(); e.Type {
			case "error":
				return e.Code
			case "response.failed":
				return string(e.Response.Error.Code)
			}
			return ""
		}
		return telling{api, "gpt-5-mini", stream.Next, func() string { return stream.Current().Delta }, code, stream.Err, stream.Close}
	default:
		stream := s.Chat.Completions.NewStreaming(ctx, openai.ChatCompletionNewParams{Model: s.Model("gpt-5-mini"), Messages: user(prompt)}, opts...)
		text := func() (text string) {
			for _, c := range stream.Current().Choices {
				text += c.Delta.Content
			}
			return text
		}
		return telling{api, "gpt-5-mini", stream.Next, text, none, stream.Err, stream.Close}
	}
}

// end reads the stream to its end: its text, and the code of the error that it reports.
func (st telling) end() (text, code string, err error) {
	for st.next() {
		text += st.text()
		code += st.code()
	}
	err = st.err()
	if reported, ok := errors.AsType[*ssestream.StreamError](err); ok {
		var body struct{ Error openai.Error }
		if err := json.Unmarshal(reported.Event.Data, &body); err != nil {
			return text, code, err
		}
		code += body.Error.Code
	}
	return text, code, err
}

// A stream that the provider cut does not pass for a whole one: the SDK gets what came
// before the cut, what is wrong, and an error.
func TestCutStream(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		api          llmproxy.APIType
		script, text string
		begun        bool // the model had told its name
	}{
		{llmproxy.APIChatCompletions, "cut-bytes=0", "", false},
		{llmproxy.APIChatCompletions, "cut-events=3", "You said:", true},
		{llmproxy.APIChatCompletions, "cut-events=7", "You said: tell me one thing", true},
		{llmproxy.APIChatCompletions, "close-delimited,cut-events=3", "You said:", true},
		{llmproxy.APICompletions, "cut-bytes=0", "", false},
		{llmproxy.APICompletions, "cut-events=3", "You said: tell", true},
		{llmproxy.APIResponses, "cut-bytes=0", "", false},
		{llmproxy.APIResponses, "cut-events=6", "You said:", true},
		{llmproxy.APIResponses, "cut-events=12", "You said: tell me one thing", true},
		{llmproxy.APIResponses, "close-delimited,cut-events=6", "You said:", true},
	} {
		t.Run(string(tt.api)+"/"+tt.script, func(t *testing.T) {
			t.Parallel()
			for _, e := range everyEntry {
				s := newRig(t).session(e.Base, e.Prefix)
				st := s.tell(t.Context(), tt.api, simulate(tt.script))
				text, code, err := st.end()
				if text != tt.text || code != "provider_broken" || err == nil {
					t.Errorf("%s: got %q, error %q, %v, want %q", e.Name, text, code, err, tt.text)
				}
				want := failed(tt.api, st.model, 200, "provider_broken")
				want.Transport = llmproxy.TransportSSE
				if tt.begun {
					want.Answered = snapshot(st.model)
					want.Tier = map[llmproxy.APIType]string{llmproxy.APIChatCompletions: "default"}[tt.api]
				}
				s.recorded(want)
				s.Settled()
			}
		})
	}
}

// The same inside an event: the SDK fails, and takes no half of an event for a whole.
func TestStreamCutInsideAnEvent(t *testing.T) {
	t.Parallel()
	for api, script := range map[llmproxy.APIType]string{
		llmproxy.APIChatCompletions: "cut-bytes=1100", llmproxy.APICompletions: "cut-bytes=500", llmproxy.APIResponses: "cut-bytes=2600",
	} {
		t.Run(string(api), func(t *testing.T) {
			t.Parallel()
			s := newRig(t).session("/v1", "")
			st := s.tell(t.Context(), api, simulate(script))
			text, _, err := st.end()
			if text != "You said:" || err == nil {
				t.Errorf("got %q, %v, want the words before the cut and an error", text, err)
			}
			rec := s.Rig.Record()
			if rec.Outcome != llmproxy.OutcomeError || rec.Error == nil || rec.Error.Code != "provider_broken" || rec.Usage != (llmproxy.Usage{}) {
				t.Errorf("record %+v", rec)
			}
			s.Rig.Skip()
			s.Settled()
		})
	}
}

// The provider's own word that it failed arrives as the provider said it.
func TestErrorInAStream(t *testing.T) {
	t.Parallel()
	half := simulator.Usage{Prompt: 4, Completion: 3}
	for _, tt := range []struct {
		api     llmproxy.APIType
		script  string
		text    string
		usage   *simulator.Usage
		tier    string
		surface bool // the SDK makes an error of it; else it is an event
	}{
		{llmproxy.APIChatCompletions, "end=error", "You said: tell", nil, "default", true},
		{llmproxy.APICompletions, "end=error", "You said: tell", nil, "", true},
		{llmproxy.APIResponses, "end=error", "You said: tell", nil, "", false},
		{llmproxy.APIResponses, "end=failed", "You said: tell", &half, "default", false},
	} {
		t.Run(string(tt.api)+"/"+tt.script, func(t *testing.T) {
			t.Parallel()
			everywhere(t, everyEntry, func(s *session) {
				opts := []option.RequestOption{simulate(tt.script)}
				if tt.api != llmproxy.APIResponses { // else the gateway asks, and the request is another
					opts = append(opts, option.WithJSONSet("stream_options.include_usage", true))
				}
				st := s.tell(s.T.Context(), tt.api, opts...)
				text, code, err := st.end()
				if text != tt.text || code != "server_error" || (err != nil) != tt.surface {
					s.T.Errorf("got %q, error %q, %v", text, code, err)
				}
				s.Hear(text, code)
				want := rig.Exchange{
					API: tt.api, Model: st.model, Transport: llmproxy.TransportSSE, Outcome: llmproxy.OutcomeFailed,
					Code: "server_error", Answered: snapshot(st.model), Tier: tt.tier, Usage: tt.usage, Unreported: tt.usage == nil,
				}
				s.recorded(want)
			})
		})
	}
}

// A small answer that broke off becomes an error with a status; of a large one, the
// beginning is on its way already, and the connection breaks.
func TestCutAnswer(t *testing.T) {
	t.Parallel()
	s := newRig(t).session("/v1", "")
	s.refusal(s.ask("gpt-5-mini", simulate("short")), 502, "provider_broken", "server_error")
	s.recorded(failed(llmproxy.APIChatCompletions, "gpt-5-mini", 502, "provider_broken"))

	if err := s.ask("gpt-5-mini", simulate("json-bytes=3000000,cut-bytes=2000000")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
	s.recorded(failed(llmproxy.APIChatCompletions, "gpt-5-mini", 200, "provider_broken"))

	resp, err := s.Files.Content(t.Context(), "file-made-3000000", simulate("cut-bytes=2000000"))
	s.Do(err)
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); n > 2_000_000 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %d bytes, %v", n, err)
	}
	s.recorded(failed("files", "", 200, "provider_broken"))
	s.Settled()
}

// A client that has heard enough ends the provider's call, however it says so.
func TestCancelledStream(t *testing.T) {
	t.Parallel()
	for _, api := range []llmproxy.APIType{llmproxy.APIChatCompletions, llmproxy.APICompletions, llmproxy.APIResponses} {
		for _, how := range []string{"context", "close"} {
			t.Run(string(api)+"/"+how, func(t *testing.T) {
				t.Parallel()
				for _, e := range everyEntry {
					s := newRig(t).session(e.Base, e.Prefix)
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					st := s.tell(ctx, api, simulate("hang=2"))
					for range 2 {
						if !st.next() {
							t.Fatalf("no event: %v", st.err())
						}
					}
					if how == "context" {
						cancel()
						if st.next() || !errors.Is(st.err(), context.Canceled) {
							t.Errorf("got %v, want %v", st.err(), context.Canceled)
						}
					} else {
						s.Do(st.close())
					}
					s.Departed()
					want := rig.Exchange{
						API: api, Model: st.model, Answered: snapshot(st.model), Transport: llmproxy.TransportSSE,
						Status: 499, Outcome: llmproxy.OutcomeCancelled, Unreported: true,
					}
					if api == llmproxy.APIChatCompletions {
						want.Tier = "default"
					}
					s.recorded(want)
					s.Settled()
				}
			})
		}
	}
}

// A client may leave before there is an answer, too.
func TestCancelledCall(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, script string }{{"before the header", "hang"}, {"before the body", "hang=body"}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newRig(t).session("/v1", "")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			asked := make(chan error)
			go func() {
				_, err := s.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{Model: "gpt-5-mini", Messages: user("hello")}, simulate(tt.script))
				asked <- err
			}()
			if _, err := s.Rig.Simulator.Await(ctx, simulator.Arrived(1)); err != nil {
				t.Fatal(err)
			}
			cancel()
			if err := <-asked; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want %v", err, context.Canceled)
			}
			s.Departed()
			rec := s.Rig.Record()
			if rec.Status != 499 || rec.Outcome != llmproxy.OutcomeCancelled || rec.Usage != (llmproxy.Usage{}) || rec.UsageSource != llmproxy.UsageNone {
				t.Errorf("record %+v", rec)
			}
			s.Rig.Skip()
			s.Settled()
		})
	}
}
