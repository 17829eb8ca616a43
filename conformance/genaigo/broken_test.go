package genaigo

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"

	"google.golang.org/genai"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/conformance/rig"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

// tell reads the stream that answers "tell me one thing" up to its first error.
func (s *session) tell(ctx context.Context) (text string, err error) {
	for chunk, err := range s.Models.GenerateContentStream(ctx, s.Model(flash), genai.Text("tell me one thing"), nil) {
		if err != nil {
			return text, err
		}
		text += chunk.Text()
	}
	return text, nil
}

// cut is the record of a stream that broke off after so many words.
func (s *session) cut(words int64) rig.Exchange {
	e := s.streamed(flash)
	e.Outcome, e.Code, e.Unreported = llmproxy.OutcomeError, "provider_broken", words == 0
	if words > 0 {
		e.Usage, e.Source = &simulator.Usage{Prompt: 4, Completion: words}, llmproxy.UsagePartial
	}
	return e
}

// A stream that the provider cut does not pass for a whole one: the SDK gets what came
// before the cut, and an error that says what is wrong.
func TestCutStream(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		script, text string
		words        int64
	}{
		{"cut-bytes=0", "", 0},
		{"eol=lf,cut-events=2", "You said:", 2},
		{"eol=lf,cut-events=6", "You said: tell me one thing", 6}, // all but the last
		{"eol=lf,close-delimited,cut-events=2", "You said:", 2},
	} {
		t.Run(tt.script, func(t *testing.T) {
			t.Parallel()
			for _, e := range every {
				s := enter(t, setup(), e, tt.script)
				text, err := s.tell(t.Context())
				if text != tt.text {
					t.Errorf("%s: got %q, want %q", e.Name, text, tt.text)
				}
				s.refusal(err, 502, "UNAVAILABLE")
				s.Recorded(s.cut(tt.words))
				s.Settled()
			}
		})
	}
}

// The same with Google's own line ends, however the bytes arrive.
func TestCutStreamOfCRLF(t *testing.T) {
	t.Parallel()
	for _, at := range []int64{2, 6} {
		s := enter(t, setup(), byModel, map[int64]string{2: "cut-events=2", 6: "cut-events=6"}[at], func(c *genai.ClientConfig) {
			c.HTTPClient = &http.Client{Transport: atOnce{c.HTTPClient.Transport}}
		})
		text, err := s.tell(t.Context())
		if want := map[int64]string{2: "You said:", 6: "You said: tell me one thing"}[at]; text != want {
			t.Errorf("got %q, want %q", text, want)
		}
		s.refusal(err, 502, "UNAVAILABLE")
		s.Recorded(s.cut(at))
		s.Settled()
	}
}

// atOnce hands out answers when they are over, in one piece.
type atOnce struct{ http.RoundTripper }

func (a atOnce) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := a.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), broken{err}))
	return resp, nil
}

// broken ends with an error, if there is one.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	return 0, io.EOF
}

// An array that the provider cut is no JSON, and its connection breaks.
func TestCutArrayStream(t *testing.T) {
	t.Parallel()
	for _, e := range every {
		s := enter(t, setup(), e, "")
		body, err := io.ReadAll(s.array("cut-events=3"))
		if err == nil || !bytes.HasPrefix(body, []byte("[{")) {
			t.Errorf("%s: got %.40q, %v", e.Name, body, err)
		}
		want := s.cut(3)
		want.Transport = llmproxy.TransportHTTP
		s.Recorded(want)
		s.Settled()
	}
}

// The provider's own word that it failed arrives as the provider said it.
func TestErrorInAStream(t *testing.T) {
	t.Parallel()
	everywhere(t, every, "end=error", func(s *session) {
		text, err := s.tell(s.T.Context())
		if text != "You said: tell" {
			s.T.Errorf("got %q", text)
		}
		s.refusal(err, 503, "UNAVAILABLE")
		want := s.streamed(flash)
		want.Outcome, want.Type, want.Code = llmproxy.OutcomeFailed, "UNAVAILABLE", "503"
		want.Usage = &simulator.Usage{Prompt: 4, Completion: 3}
		s.Recorded(want)
	})
}

// A stream that ends well without a finish reason deceives the SDK, but not the record.
func TestUnfinishedStream(t *testing.T) {
	t.Parallel()
	everywhere(t, every, "unfinished", func(s *session) {
		text, err := s.tell(s.T.Context())
		if text != "You said: tell me one thing" || err != nil {
			s.T.Errorf("got %q, %v", text, err)
		}
		want := s.cut(6)
		want.Code = "unfinished_answer"
		s.Recorded(want)
	})
}

// A small answer that broke off becomes an error with a status; of a large one, the
// beginning is on its way already, and the connection breaks.
func TestCutAnswer(t *testing.T) {
	t.Parallel()
	r := rig.New(t, setup())
	s := newSession(r.Enter(byModel), clientKey, "short")
	s.refusal(s.ask(flash), 502, "UNAVAILABLE")
	want := s.failed(flash, 502, "", "provider_broken")
	s.Recorded(want)
	s.Settled()

	s = newSession(r.Enter(byModel), clientKey, "cut-bytes=2000000,json-bytes=3000000")
	if err := s.ask(flash); err == nil {
		t.Error("half an answer passed for a whole one")
	}
	want.Status = 200
	s.Recorded(want)
	s.Settled()
}

// A client that has heard enough ends the provider's call, however it says so.
func TestCancelledStream(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"context", "break"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			for _, e := range every {
				s := enter(t, setup(), e, "hang=2")
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				n := 0
				for _, err := range s.Models.GenerateContentStream(ctx, s.Model(flash), genai.Text("tell me one thing"), nil) {
					if n++; n < 2 {
						s.Do(err)
					} else if n == 2 && how == "context" {
						cancel()
					} else if how == "context" && !errors.Is(err, context.Canceled) {
						t.Errorf("got %v, want %v", err, context.Canceled)
					} else {
						break
					}
				}
				s.Departed()
				want := s.cut(2)
				want.Status, want.Outcome, want.Code = 499, llmproxy.OutcomeCancelled, ""
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
			s := enter(t, setup(), byModel, script)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			asked := make(chan error)
			go func() {
				_, err := s.Models.GenerateContent(ctx, flash, genai.Text("hello"), nil)
				asked <- err
			}()
			s.Rig.Await(simulator.Arrived(1))
			cancel()
			if err := <-asked; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want %v", err, context.Canceled)
			}
			s.Departed()
			rec := s.Rig.Record() // the header may have told the tier, or not yet
			if rec.Status != 499 || rec.Outcome != llmproxy.OutcomeCancelled || rec.Usage != (llmproxy.Usage{}) || rec.UsageSource != llmproxy.UsageNone {
				t.Errorf("record %+v", rec)
			}
			s.Rig.Skip()
			s.Settled()
		})
	}
}
