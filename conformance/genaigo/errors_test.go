package genaigo

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/genai"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/conformance/rig"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/googleai"
)

// refusal checks that err is the SDK's error for an answer of status, and returns it.
func (s *session) refusal(err error, code int, status string) genai.APIError {
	s.T.Helper()
	got, ok := errors.AsType[genai.APIError](err)
	if !ok {
		s.T.Fatalf("got %v, want an error of the API", err)
	}
	s.Hear(got.Error())
	if got.Code != code || got.Status != status || got.Message == "" {
		s.T.Errorf("got %d %s (%s), want %d %s", got.Code, got.Status, got.Message, code, status)
	}
	return got
}

// ask makes a small request.
func (s *session) ask(model string) error {
	_, err := s.Models.GenerateContent(s.T.Context(), s.Model(model), genai.Text("hello"), nil)
	return err
}

// askStream does the same for a stream, and reads its beginning.
func (s *session) askStream(model string) error {
	for chunk, err := range s.Models.GenerateContentStream(s.T.Context(), s.Model(model), genai.Text("hello"), nil) {
		if chunk != nil {
			s.T.Errorf("a chunk: %+v", chunk)
		}
		return err
	}
	return nil
}

// calls are the ways to ask.
var calls = map[string]func(*session, string) error{"call": (*session).ask, "stream": (*session).askStream}

// The provider's errors arrive as they are, of calls and of streams.
func TestErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		script string // of the provider's misbehaviour
		model  string // flash
		code   int
		status string
		delay  string // that the provider asks for
	}{
		{name: "no such model", model: "gemini-none", code: 404, status: "NOT_FOUND"},
		{name: "a precondition", script: "status=400,code=FAILED_PRECONDITION", code: 400, status: "FAILED_PRECONDITION"},
		{name: "too many requests", script: "status=429,retry-after=31", code: 429, status: "RESOURCE_EXHAUSTED", delay: "31s"},
		{name: "a fault", script: "status=500", code: 500, status: "INTERNAL"},
		{name: "overload", script: "status=503", code: 503, status: "UNAVAILABLE"},
		{name: "too slow", script: "status=504", code: 504, status: "DEADLINE_EXCEEDED"},
	} {
		for how, ask := range calls {
			t.Run(tt.name+"/"+how, func(t *testing.T) {
				t.Parallel()
				everywhere(t, every, tt.script, func(s *session) {
					model := tt.model
					if model == "" {
						model = flash
					}
					got := s.refusal(ask(s, model), tt.code, tt.status)
					delay := ""
					for _, detail := range got.Details {
						if detail["@type"] == "type.googleapis.com/google.rpc.RetryInfo" {
							delay, _ = detail["retryDelay"].(string)
						}
					}
					if delay != tt.delay {
						s.T.Errorf("told to wait %q, want %q", delay, tt.delay)
					}
					s.Recorded(s.failed(model, tt.code, tt.status, fmt.Sprint(tt.code)))
				})
			})
		}
	}
}

// A request that the provider does not take: results without calls.
func TestBadRequest(t *testing.T) {
	t.Parallel()
	everywhere(t, every, "", func(s *session) {
		_, err := s.Models.GenerateContent(s.T.Context(), s.Model(flash), []*genai.Content{
			genai.NewContentFromFunctionResponse("get_time", map[string]any{"output": "noon"}, genai.RoleUser),
		}, nil)
		if got := s.refusal(err, 400, "INVALID_ARGUMENT"); !strings.Contains(got.Message, "function response") {
			s.T.Errorf("got %q", got.Message)
		}
		s.Recorded(s.failed(flash, 400, "INVALID_ARGUMENT", "400"))
	})
}

// An error page of something between the gateway and the provider arrives as it is; the
// SDK makes of it what it makes of the page itself.
func TestErrorPage(t *testing.T) {
	t.Parallel()
	everywhere(t, every, "status=502", func(s *session) {
		got, ok := errors.AsType[genai.APIError](s.ask(flash))
		if !ok || got.Code != 502 || !strings.Contains(got.Message, "<html>") {
			s.T.Fatalf("got %+v", got)
		}
		s.Recorded(s.failed(flash, 502, "", ""))
	})
}

// The SDK retries where it is told to, and nobody else does.
func TestRetries(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		script   string
		attempts int // that the SDK may make
		want     int // that reach the provider
		code     int
		status   string
	}{
		{"status=429", 3, 3, 429, "RESOURCE_EXHAUSTED"},
		{"status=500", 2, 2, 500, "INTERNAL"},
		{"status=503", 1, 1, 503, "UNAVAILABLE"},
		{"status=404", 3, 1, 404, "NOT_FOUND"},
	} {
		for how, ask := range calls {
			t.Run(tt.script+"/"+how, func(t *testing.T) {
				t.Parallel()
				s := enter(t, setup(), byModel, tt.script, retries(tt.attempts))
				s.refusal(ask(s, flash), tt.code, tt.status)
				for range tt.want {
					s.Recorded(s.failed(flash, tt.code, tt.status, fmt.Sprint(tt.code)))
				}
				s.Settled()
			})
		}
	}
}

// retries lets the SDK make so many attempts, one right after the other.
func retries(attempts int) func(*genai.ClientConfig) {
	return func(c *genai.ClientConfig) {
		c.HTTPOptions.RetryOptions = &genai.HTTPRetryOptions{
			Attempts: genai.Ptr(int32(attempts)), InitialDelay: genai.Ptr(0.001), MaxDelay: genai.Ptr(0.001), Jitter: genai.Ptr(0.0),
		}
	}
}

// A retry that goes well is a second exchange, with a record of its own.
func TestRetryThatGoesWell(t *testing.T) {
	t.Parallel()
	setup := setup()
	setup.Simulator.Script = simulator.Sequence(simulator.Script{Status: 503}, simulator.Script{})
	s := enter(t, setup, byModel, "", retries(2))
	q := questions()[0]
	got := q.ask(s, true)
	q.answered(s, got)
	s.Recorded(s.failed(flash, 503, "UNAVAILABLE", "503"))
	s.recorded(s.streamed(flash), got, &q.usage)
	s.Settled()
}

// A key of the gateway that the provider refuses is no fault of the client's, who learns
// nothing about it. Google says it with a 400, too.
func TestGatewayKeyIsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, key, script string }{
		{"400", "AIza-Zmistaken-key-Xw9", ""},
		{"401", providerKey, "status=401"},
		{"403", providerKey, "status=403"},
	} {
		for how, ask := range calls {
			for _, base := range []string{"", "/googleai"} {
				t.Run(tt.name+"/"+how+base, func(t *testing.T) {
					t.Parallel()
					setup := setup()
					setup.Provider = configured(googleai.Config{APIKey: tt.key})
					s := enter(t, setup, rig.Entry{Base: base}, tt.script)
					if got := s.refusal(ask(s, flash), 502, "UNAVAILABLE"); !strings.Contains(got.Message, "googleai") || strings.Contains(got.Message, "Xw9") {
						t.Errorf("got %q", got.Message)
					}
					s.provider("provider_auth")
				})
			}
		}
	}
}

// provider checks that the next record says with a 502 that the provider is at fault.
func (s *session) provider(code string) {
	s.T.Helper()
	rec := s.Rig.Record()
	if rec.Status != 502 || rec.Outcome != llmproxy.OutcomeError || rec.Error == nil || rec.Error.Code != code || rec.Usage != (llmproxy.Usage{}) {
		s.T.Errorf("record %+v", rec)
	}
	if code != "provider_unreachable" {
		s.Rig.Skip()
	}
	s.Settled()
}

// Where clients bring their own keys, in the header or in the query, the provider's word
// on them is theirs.
func TestClientKeys(t *testing.T) {
	t.Parallel()
	d := newSession(rig.Direct(t, setup(), ""), "AIza-nobody-knows-this", "")
	d.refusal(d.ask(flash), 400, "INVALID_ARGUMENT")
	for _, query := range []bool{false, true} {
		t.Run(fmt.Sprintf("query=%t", query), func(t *testing.T) {
			t.Parallel()
			setup := setup()
			setup.Provider = configured(googleai.Config{APIKey: "AIza-never-sent", ClientKeys: true})
			setup.Simulator.NoQueryKey = false
			setup.Credential = nil
			base := rig.New(t, setup).Enter(byModel)
			put := func(c *genai.ClientConfig) {
				if query {
					c.HTTPClient.Transport = keyInQuery{c.HTTPClient.Transport}
				}
			}
			bad := newSession(base, "AIza-nobody-knows-this", "", put)
			got := bad.refusal(bad.ask(flash), 400, "INVALID_ARGUMENT")
			if len(got.Details) != 1 || got.Details[0]["reason"] != "API_KEY_INVALID" {
				t.Errorf("details %+v", got.Details)
			}
			bad.Same(d.Session)
			bad.Recorded(bad.failed(flash, 400, "INVALID_ARGUMENT", "400"))

			good := newSession(base, providerKey, "")
			good.Do(good.ask(flash))
			good.Recorded(good.completed(flash))
			good.Settled()
		})
	}
}

// What the gateway itself refuses reads like an error of the API.
func TestRefusals(t *testing.T) {
	t.Parallel()
	header := func(name, value string) func(*genai.ClientConfig) {
		return func(c *genai.ClientConfig) { c.HTTPOptions.Headers.Set(name, value) }
	}
	for _, tt := range []struct {
		name   string
		entry  rig.Entry
		opts   []llmproxy.Option
		change func(*genai.ClientConfig)
		ask    func(*session, string) error
		code   int
		status string
		reason string // that the record gives
		says   []string
		want   rig.Exchange
	}{
		{
			name: "a provider that is not configured", change: header("X-Provider", "nobody"), ask: (*session).ask,
			code: 404, status: "NOT_FOUND", reason: "provider_not_found", says: []string{"nobody"},
			want: rig.Exchange{Model: flash},
		},
		{
			name: "a stream of it", change: header("X-Provider", "nobody"), ask: (*session).askStream,
			code: 404, status: "NOT_FOUND", reason: "provider_not_found", says: []string{"nobody"},
			want: rig.Exchange{Model: flash},
		},
		{
			name: "a mount that is not configured", entry: rig.Entry{Base: "/nobody"}, ask: (*session).ask,
			code: 404, status: "NOT_FOUND", reason: "provider_not_found", says: []string{"nobody"},
			want: rig.Exchange{},
		},
		{
			name: "a provider that does not speak it", change: header("X-Provider", rig.Decoy), ask: (*session).ask,
			code: 400, status: "INVALID_ARGUMENT", reason: "unsupported_api", says: []string{rig.Decoy, "generate_content"},
			want: rig.Exchange{Model: flash},
		},
		{
			name: "the same by a prefix, of a stream", entry: rig.Entry{Prefix: rig.Decoy + "/"}, ask: (*session).askStream,
			code: 400, status: "INVALID_ARGUMENT", reason: "unsupported_api", says: []string{rig.Decoy, "generate_content"},
			want: rig.Exchange{Model: flash, Transport: llmproxy.TransportSSE},
		},
		{
			name: "a request that is too large", opts: []llmproxy.Option{llmproxy.WithLimits(llmproxy.Limits{RequestBody: 1 << 10})},
			ask: func(s *session, model string) error {
				_, err := s.Models.GenerateContent(s.T.Context(), s.Model(model), genai.Text(strings.Repeat("x", 1<<11)), nil)
				return err
			},
			code: 413, status: "INVALID_ARGUMENT", reason: "request_too_large",
			want: rig.Exchange{},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.change == nil {
				tt.change = func(*genai.ClientConfig) {}
			}
			s := enter(t, setup(tt.opts...), tt.entry, "", tt.change)
			got := s.refusal(tt.ask(s, flash), tt.code, tt.status)
			for _, word := range tt.says {
				if !strings.Contains(got.Message, word) {
					t.Errorf("%q does not name %s", got.Message, word)
				}
			}
			tt.want.API, tt.want.Status, tt.want.Code = llmproxy.APIGenerateContent, tt.code, tt.reason
			s.Refused(tt.want)
			s.Settled()
		})
	}
}

// A provider that cannot be reached is the gateway's to report.
func TestProviderOutOfReach(t *testing.T) {
	t.Parallel()
	setup := setup()
	setup.Provider = configured(googleai.Config{APIKey: providerKey, BaseURL: "http://127.0.0.1:1"})
	s := enter(t, setup, byModel, "")
	s.refusal(s.ask(flash), 502, "UNAVAILABLE")
	s.provider("provider_unreachable")
}
