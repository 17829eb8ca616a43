package anthropicgo

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/conformance/rig"
	"github.com/llmproxy/llmproxy/internal/simulator"
	provider "github.com/llmproxy/llmproxy/providers/anthropic"
)

// message returns what an error of the API says.
func message(e *anthropic.Error) string {
	var body struct{ Error struct{ Message string } }
	if json.Unmarshal([]byte(e.RawJSON()), &body) != nil {
		return ""
	}
	return body.Error.Message
}

// refusal checks that err is the SDK's error for an answer of status, and returns it.
func (s *session) refusal(err error, status int, kind string) *anthropic.Error {
	s.T.Helper()
	got, ok := errors.AsType[*anthropic.Error](err)
	if !ok {
		s.T.Fatalf("got %v, want an error of the API", err)
	}
	s.Hear(got.RawJSON())
	if got.StatusCode != status || string(got.Type()) != kind || message(got) == "" {
		s.T.Errorf("got %d %s (%s), want %d %s", got.StatusCode, got.Type(), got.RawJSON(), status, kind)
	}
	return got
}

// ask makes a small request.
func (s *session) ask(model string, opts ...option.RequestOption) error {
	_, err := s.Messages.New(s.T.Context(), anthropic.MessageNewParams{Model: s.Model(model), MaxTokens: 9, Messages: user("hello")}, opts...)
	return err
}

// askStream does the same for a stream, and reads its beginning.
func (s *session) askStream(model string, opts ...option.RequestOption) error {
	stream := s.Messages.NewStreaming(s.T.Context(), anthropic.MessageNewParams{Model: s.Model(model), MaxTokens: 9, Messages: user("hello")}, opts...)
	if stream.Next() {
		s.T.Errorf("an event: %s", stream.Current().RawJSON())
	}
	return stream.Err()
}

// The provider's errors arrive as they are, of calls and of streams.
func TestErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		script     string // of the provider's misbehaviour
		model      string // sonnet
		opts       []option.RequestOption
		status     int
		kind       string
		retryAfter string
	}{
		{name: "a conversation that the assistant begins", opts: []option.RequestOption{option.WithJSONSet("messages.0.role", "assistant")}, status: 400, kind: "invalid_request_error"},
		{name: "what the version does not take", opts: []option.RequestOption{option.WithHeader("anthropic-version", "2026-10-21"), option.WithJSONSet("temperature", 0.5)}, status: 400, kind: "invalid_request_error"},
		{name: "a version of nobody's", opts: []option.RequestOption{option.WithHeader("anthropic-version", "1999-01-01")}, status: 400, kind: "invalid_request_error"},
		{name: "no such model", model: "claude-none", status: 404, kind: "not_found_error"},
		{name: "no money", script: "status=402,should-retry=false", status: 402, kind: "billing_error"},
		{name: "too large", script: "status=413", status: 413, kind: "request_too_large"},
		{name: "too many requests", script: "status=429,retry-after=7", status: 429, kind: "rate_limit_error", retryAfter: "7"},
		{name: "a fault", script: "status=500", status: 500, kind: "api_error"},
		{name: "too slow", script: "status=504", status: 504, kind: "timeout_error"},
		{name: "overload", script: "status=529,retry-after=3", status: 529, kind: "overloaded_error", retryAfter: "3"},
	} {
		for how, ask := range map[string]func(*session, string, ...option.RequestOption) error{
			"call": (*session).ask, "stream": (*session).askStream,
		} {
			t.Run(tt.name+"/"+how, func(t *testing.T) {
				t.Parallel()
				everywhere(t, every, func(s *session) {
					model := tt.model
					if model == "" {
						model = sonnet
					}
					got := s.refusal(ask(s, model, append(tt.opts, simulate(tt.script))...), tt.status, tt.kind)
					if after := got.Response.Header.Get("Retry-After"); after != tt.retryAfter || got.RequestID == "" {
						s.T.Errorf("retry after %q, want %q; request %q", after, tt.retryAfter, got.RequestID)
					}
					s.Recorded(failed(model, tt.status, tt.kind))
				})
			})
		}
	}
}

// An error page of something between the gateway and the provider arrives as it is; the
// SDK makes of it what it makes of the page itself.
func TestErrorPage(t *testing.T) {
	t.Parallel()
	everywhere(t, every, func(s *session) {
		got, ok := errors.AsType[*anthropic.Error](s.ask(sonnet, simulate("status=502")))
		if !ok || got.StatusCode != 502 || !strings.Contains(got.RawJSON(), "<html>") {
			s.T.Fatalf("got %v", got)
		}
		s.Recorded(failed(sonnet, 502, ""))
	})
}

// The other calls have errors of the same form.
func TestErrorsOfEachCall(t *testing.T) {
	t.Parallel()
	const none = "claude-none"
	everywhere(t, every, func(s *session) {
		_, err := s.Messages.CountTokens(s.T.Context(), anthropic.MessageCountTokensParams{Model: s.Model(none), Messages: user("hello")})
		s.refusal(err, 404, "not_found_error")
		s.Recorded(failed(none, 404, "")) // it is not read
		_, err = s.Models.Get(s.T.Context(), s.Model(none), anthropic.ModelGetParams{})
		s.refusal(err, 404, "not_found_error")
		want := rig.Failed("models", none, 404, "")
		if s.Mount { // there the path is the provider's
			want.Model = ""
		}
		s.Recorded(want)
	})
}

// The SDK retries what may go well, as often as it is told, and nobody else does.
func TestRetries(t *testing.T) {
	t.Parallel()
	const soon = ",retry-after-ms=1"
	for _, tt := range []struct {
		script   string
		retries  int
		attempts int
		status   int
		kind     string
	}{
		{"status=429" + soon, 2, 3, 429, "rate_limit_error"},
		{"status=500" + soon, 3, 4, 500, "api_error"},
		{"status=529" + soon, 1, 2, 529, "overloaded_error"},
		{"status=500" + soon, 0, 1, 500, "api_error"},
		{"status=529,should-retry=false" + soon, 2, 1, 529, "overloaded_error"},
		{"status=400,should-retry=true" + soon, 2, 3, 400, "invalid_request_error"},
		{"status=404" + soon, 2, 1, 404, "not_found_error"},
	} {
		t.Run(fmt.Sprintf("%s/%d", tt.script, tt.retries), func(t *testing.T) {
			t.Parallel()
			s := newSession(rig.New(t, setup()).Enter(byModel), clientKey, option.WithMaxRetries(tt.retries))
			s.refusal(s.ask(sonnet, simulate(tt.script)), tt.status, tt.kind)
			for range tt.attempts {
				s.Recorded(failed(sonnet, tt.status, tt.kind))
			}
			s.Settled()
			for i, request := range s.Rig.Simulator.Requests() {
				if got := request.Header.Get("X-Stainless-Retry-Count"); got != fmt.Sprint(i) {
					t.Errorf("retry %s, want %d", got, i)
				}
			}
		})
	}
}

// A retry that goes well is a second exchange, with a record of its own; a stream is
// retried before it has begun.
func TestRetryThatGoesWell(t *testing.T) {
	t.Parallel()
	setup := setup()
	setup.Simulator.Script = simulator.Sequence(simulator.Script{Status: 529, RetryAfterMS: "1"}, simulator.Script{})
	s := newSession(rig.New(t, setup).Enter(byModel), clientKey, option.WithMaxRetries(1))
	q := questions()[0]
	got := accumulated(s, s.Messages.NewStreaming(t.Context(), q.asked(s)))
	q.answered(s, got)
	s.Recorded(failed(sonnet, 529, "overloaded_error"))
	s.recorded(s.streamed(sonnet), got, &q.usage)
	s.Settled()
}

// A key of the gateway that the provider refuses is no fault of the client's, who learns
// nothing about it and need not try again.
func TestGatewayKeyIsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, script string
		api          llmproxy.APIType
		call         func(*session, option.RequestOption) error
	}{
		{"401", "", llmproxy.APIMessages, func(s *session, o option.RequestOption) error { return s.ask(sonnet, o) }},
		{"403", "status=403", llmproxy.APIMessages, func(s *session, o option.RequestOption) error { return s.ask(sonnet, o) }},
		{"401 to a stream", "", llmproxy.APIMessages, func(s *session, o option.RequestOption) error { return s.askStream(sonnet, o) }},
		{"401 to a count", "", llmproxy.APIMessages, func(s *session, o option.RequestOption) error {
			_, err := s.Messages.CountTokens(s.T.Context(), anthropic.MessageCountTokensParams{Model: sonnet, Messages: user("hello")}, o)
			return err
		}},
		{"401 to a list", "", "models", func(s *session, o option.RequestOption) error {
			_, err := s.Models.List(s.T.Context(), anthropic.ModelListParams{}, o)
			return err
		}},
	} {
		for _, base := range []string{"", "/anthropic"} {
			t.Run(tt.name+base, func(t *testing.T) {
				t.Parallel()
				setup := setup(llmproxy.WithFallback("anthropic"))
				setup.Provider = configured(provider.Config{APIKey: "sk-Zmistaken-key-Xw9"})
				s := newSession(rig.New(t, setup).Enter(rig.Entry{Base: base}), clientKey, option.WithMaxRetries(2))
				kind := "api_error"
				if tt.api == "models" {
					kind = "server_error" // a path of OpenAI's, too
				}
				got := s.refusal(tt.call(s, simulate(tt.script)), 502, kind)
				if !strings.Contains(message(got), "anthropic") {
					t.Errorf("the answer does not name the provider: %s", got.RawJSON())
				}
				// The provider shows the ends of the key that it refuses.
				if dump := string(got.DumpResponse(true)); strings.Contains(dump, "sk-Z") || strings.Contains(dump, "-Xw9") {
					t.Errorf("the answer tells of the key: %s", dump)
				}
				rec := s.Rig.Record()
				if rec.API != tt.api || rec.Status != 502 || rec.Outcome != llmproxy.OutcomeError || rec.Error == nil || rec.Error.Code != "provider_auth" || rec.Usage != (llmproxy.Usage{}) {
					t.Errorf("record %+v", rec)
				}
				s.Rig.Skip()
				s.Settled()
			})
		}
	}
}

// Where clients bring their own keys, in whichever field, the provider's word on them is
// theirs.
func TestClientKeys(t *testing.T) {
	t.Parallel()
	for _, bearer := range []bool{false, true} {
		t.Run(fmt.Sprintf("bearer=%t", bearer), func(t *testing.T) {
			t.Parallel()
			with := func(key string) []option.RequestOption {
				if bearer {
					return []option.RequestOption{option.WithHeaderDel("X-Api-Key"), option.WithAuthToken(key)}
				}
				return []option.RequestOption{option.WithAPIKey(key)}
			}
			d := newSession(rig.Direct(t, setup(), ""), providerKey)
			d.refusal(d.ask(sonnet, with("sk-nobody-knows-this")...), 401, "authentication_error")

			setup := setup()
			setup.Provider = configured(provider.Config{APIKey: "sk-never-sent", ClientKeys: true})
			setup.Credential = nil
			s := newSession(rig.New(t, setup).Enter(byModel), clientKey)
			s.refusal(s.ask(sonnet, with("sk-nobody-knows-this")...), 401, "authentication_error")
			s.Same(d.Session)
			s.Recorded(failed(sonnet, 401, "authentication_error"))

			s.Do(s.ask(sonnet, with(providerKey)...))
			s.Recorded(s.completed(sonnet))
			s.Settled()
		})
	}
}

// What the gateway itself refuses reads like an error of the API.
func TestRefusals(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 1<<17)
	for _, tt := range []struct {
		name, base string
		opts       []llmproxy.Option
		call       func(*session) error
		status     int
		kind, code string
		says       []string
		want       rig.Exchange
	}{
		{
			name: "a provider that is not configured", status: 404, kind: "not_found_error", code: "provider_not_found", says: []string{"nobody"},
			call: func(s *session) error { return s.ask(sonnet, option.WithHeader("X-Provider", "nobody")) },
			want: rig.Exchange{API: llmproxy.APIMessages, Model: sonnet},
		},
		{
			name: "a stream of it", status: 404, kind: "not_found_error", code: "provider_not_found", says: []string{"nobody"},
			call: func(s *session) error { return s.askStream(sonnet, option.WithHeader("X-Provider", "nobody")) },
			want: rig.Exchange{API: llmproxy.APIMessages, Model: sonnet},
		},
		{
			name: "a mount that is not configured", base: "/nobody", status: 404, kind: "not_found_error", code: "provider_not_found", says: []string{"nobody"},
			call: func(s *session) error { return s.ask(sonnet) },
			want: rig.Exchange{API: llmproxy.APIMessages},
		},
		{
			name: "a provider that does not speak it", status: 400, kind: "invalid_request_error", code: "unsupported_api", says: []string{rig.Decoy, "messages"},
			call: func(s *session) error { return s.ask(sonnet, option.WithHeader("X-Provider", rig.Decoy)) },
			want: rig.Exchange{API: llmproxy.APIMessages, Model: sonnet},
		},
		{
			name: "the same by a prefix, of a stream", status: 400, kind: "invalid_request_error", code: "unsupported_api", says: []string{rig.Decoy, "messages"},
			call: func(s *session) error { return s.askStream(rig.Decoy + "/" + sonnet) },
			want: rig.Exchange{API: llmproxy.APIMessages, Model: sonnet, Requested: rig.Decoy + "/" + sonnet, Transport: llmproxy.TransportSSE},
		},
		{
			name: "a request that is too large", status: 413, kind: "request_too_large", code: "request_too_large",
			opts: []llmproxy.Option{llmproxy.WithLimits(llmproxy.Limits{RequestBody: 1 << 16})},
			call: func(s *session) error { return s.ask(sonnet, option.WithJSONSet("metadata.user_id", large)) },
			want: rig.Exchange{API: llmproxy.APIMessages},
		},
		{
			name: "a body that is no JSON", status: 400, kind: "invalid_request_error", code: "invalid_request",
			call: func(s *session) error {
				return s.ask(sonnet, option.WithRequestBody("application/json", strings.NewReader(`{"model":`)))
			},
			want: rig.Exchange{API: llmproxy.APIMessages},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := enter(t, setup(tt.opts...), rig.Entry{Base: tt.base})
			got := s.refusal(tt.call(s), tt.status, tt.kind)
			for _, word := range tt.says {
				if !strings.Contains(message(got), word) {
					t.Errorf("%q does not name %s", message(got), word)
				}
			}
			if got.Response.Header.Get("X-Gateway-Request-Id") == "" || strings.Contains(got.RawJSON(), clientKey) {
				t.Errorf("got %s", got.DumpResponse(true))
			}
			tt.want.Status, tt.want.Code = tt.status, tt.code
			s.Refused(tt.want)
			s.Settled()
		})
	}
}

// A provider that cannot be reached is the gateway's to report.
func TestProviderOutOfReach(t *testing.T) {
	t.Parallel()
	setup := setup()
	setup.Provider = configured(provider.Config{APIKey: providerKey, BaseURL: "http://127.0.0.1:1"})
	s := enter(t, setup, byModel)
	s.refusal(s.ask(sonnet), http.StatusBadGateway, "api_error")
	rec := s.Rig.Record()
	if rec.Status != 502 || rec.Outcome != llmproxy.OutcomeError || rec.Error == nil || rec.Error.Code != "provider_unreachable" || rec.Usage != (llmproxy.Usage{}) {
		t.Errorf("record %+v", rec)
	}
	s.Settled()
}
