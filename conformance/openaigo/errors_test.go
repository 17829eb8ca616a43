package openaigo

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/realtime"
	"github.com/openai/openai-go/v3/responses"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/conformance/rig"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// refusal checks that err is the SDK's error for an answer of status, hears it, and
// returns it.
func (s *session) refusal(err error, status int, code, kind string) *openai.Error {
	s.T.Helper()
	got, ok := errors.AsType[*openai.Error](err)
	if !ok {
		s.T.Fatalf("got %v, want an error of the API", err)
	}
	s.Hear(got.RawJSON())
	if got.StatusCode != status || got.Code != code || got.Type != kind || got.Message == "" {
		s.T.Errorf("got %d %s %s (%s), want %d %s %s", got.StatusCode, got.Code, got.Type, got.Message, status, code, kind)
	}
	return got
}

// failed is the record of an exchange that the provider answered with an error.
func failed(api llmproxy.APIType, model string, status int, code string) rig.Exchange {
	return rig.Exchange{API: api, Model: model, Status: status, Code: code, Outcome: llmproxy.OutcomeError, Unreported: true}
}

// simulate tells the provider how to misbehave.
func simulate(script string) option.RequestOption { return option.WithHeader("X-Simulate", script) }

// ask makes a small request to Chat Completions.
func (s *session) ask(model string, opts ...option.RequestOption) error {
	_, err := s.Chat.Completions.New(s.T.Context(), openai.ChatCompletionNewParams{Model: s.Model(model), Messages: user("hello")}, opts...)
	return err
}

// The provider's errors arrive as they are, of calls and of streams.
func TestErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, script string // the script of the provider's misbehaviour
		model        string
		maxTokens    int64 // which new models refuse
		status       int
		code, kind   string
		param        string
		retryAfter   string
	}{
		{name: "a parameter that the model refuses", model: "gpt-5-mini", maxTokens: 5, status: 400, code: "unsupported_parameter", kind: "invalid_request_error", param: "max_tokens"},
		{name: "no such model", model: "gpt-6-none", status: 404, code: "model_not_found", kind: "invalid_request_error", param: "model"},
		{name: "too many requests", script: "status=429,retry-after=7", model: "gpt-5-mini", status: 429, code: "rate_limit_exceeded", kind: "requests", retryAfter: "7"},
		{name: "no quota", script: "status=429,code=insufficient_quota,should-retry=false", model: "gpt-5-mini", status: 429, code: "insufficient_quota", kind: "insufficient_quota"},
		{name: "a fault", script: "status=500", model: "gpt-5-mini", status: 500, code: "server_error", kind: "server_error"},
		{name: "a fault of the generation", script: "end=error", model: "gpt-5-mini", status: 500, code: "server_error", kind: "server_error"},
		{name: "overload", script: "status=503,retry-after=3", model: "gpt-5-mini", status: 503, code: "server_is_overloaded", kind: "service_unavailable_error", retryAfter: "3"},
	} {
		for _, streamed := range []bool{false, true} {
			if streamed && tt.script == "end=error" {
				continue // an error inside the stream
			}
			t.Run(fmt.Sprintf("%s/streamed=%t", tt.name, streamed), func(t *testing.T) {
				t.Parallel()
				everywhere(t, everyEntry, func(s *session) {
					params := openai.ChatCompletionNewParams{Model: s.Model(tt.model), Messages: user("hello")}
					if tt.maxTokens > 0 {
						params.MaxTokens = openai.Int(tt.maxTokens)
					}
					var err error
					if streamed {
						stream := s.Chat.Completions.NewStreaming(s.T.Context(), params, simulate(tt.script))
						if stream.Next() {
							s.T.Errorf("a chunk: %s", stream.Current().RawJSON())
						}
						err = stream.Err()
					} else {
						_, err = s.Chat.Completions.New(s.T.Context(), params, simulate(tt.script))
					}
					got := s.refusal(err, tt.status, tt.code, tt.kind)
					if got.Param != tt.param || got.Response.Header.Get("Retry-After") != tt.retryAfter {
						s.T.Errorf("parameter %q, retry after %q, want %q, %q", got.Param, got.Response.Header.Get("Retry-After"), tt.param, tt.retryAfter)
					}
					s.recorded(failed(llmproxy.APIChatCompletions, tt.model, tt.status, tt.code))
				})
			})
		}
	}
}

// The other APIs have errors of the same form.
func TestErrorsOfEachAPI(t *testing.T) {
	t.Parallel()
	const none = "gpt-6-none"
	everywhere(t, everyEntry, func(s *session) {
		ctx := s.T.Context()
		for _, tt := range []struct {
			api  llmproxy.APIType
			call func() error
		}{
			{llmproxy.APIResponses, func() error {
				_, err := s.Responses.New(ctx, responses.ResponseNewParams{Model: s.Model(none), Input: text("hello")})
				return err
			}},
			{llmproxy.APIResponses, func() error {
				stream := s.Responses.NewStreaming(ctx, responses.ResponseNewParams{Model: s.Model(none), Input: text("hello")})
				stream.Next()
				return stream.Err()
			}},
			{llmproxy.APIResponses, func() error {
				_, err := s.Responses.Compact(ctx, responses.ResponseCompactParams{
					Model: responses.ResponseCompactParamsModel(s.Model(none)), Input: responses.ResponseCompactParamsInputUnion{OfString: openai.String("hello")},
				})
				return err
			}},
			{llmproxy.APICompletions, func() error {
				_, err := s.Completions.New(ctx, openai.CompletionNewParams{
					Model: openai.CompletionNewParamsModel(s.Model(none)), Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String("hello")},
				})
				return err
			}},
			{llmproxy.APIEmbeddings, func() error {
				_, err := s.Embeddings.New(ctx, openai.EmbeddingNewParams{
					Model: s.Model(none), Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String("hello")},
				})
				return err
			}},
			{llmproxy.APIImages, func() error {
				_, err := s.Images.Generate(ctx, openai.ImageGenerateParams{Model: s.Model(none), Prompt: "hello"})
				return err
			}},
		} {
			s.refusal(tt.call(), 404, "model_not_found", "invalid_request_error")
			s.recorded(failed(tt.api, none, 404, "model_not_found"))
		}
	})
}

// On a mount, the model is the provider's business, whatever it begins with.
func TestPrefixStaysOnAMount(t *testing.T) {
	t.Parallel()
	s := newRig(t).session("/openai/v1", "")
	got := s.refusal(s.ask("openai/gpt-5-mini"), 404, "model_not_found", "invalid_request_error")
	if !strings.Contains(got.Message, "'openai/gpt-5-mini'") {
		t.Errorf("got %q", got.Message)
	}
	s.recorded(failed(llmproxy.APIChatCompletions, "openai/gpt-5-mini", 404, "model_not_found"))
	s.Settled()
}

// The SDK retries what may go well, as often as it is told, and nobody else does.
func TestRetries(t *testing.T) {
	t.Parallel()
	const soon = ",retry-after-ms=1"
	for _, tt := range []struct {
		name, script string
		retries      int
		attempts     int
		status       int
		code         string
	}{
		{"429", "status=429" + soon, 2, 3, 429, "rate_limit_exceeded"},
		{"500", "status=500" + soon, 3, 4, 500, "server_error"},
		{"503", "status=503" + soon, 1, 2, 503, "server_is_overloaded"},
		{"none wanted", "status=500" + soon, 0, 1, 500, "server_error"},
		{"the provider forbids it", "status=500,should-retry=false" + soon, 2, 1, 500, "server_error"},
		{"the provider wants it", "status=400,should-retry=true" + soon, 2, 3, 400, ""},
		{"the provider wants more time", "status=429,retry-after=3600", 2, 1, 429, "rate_limit_exceeded"},
		{"not worth it", "status=404" + soon, 2, 1, 404, "model_not_found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newRig(t).session("/v1", "", option.WithMaxRetries(tt.retries))
			got, ok := errors.AsType[*openai.Error](s.ask("gpt-5-mini", simulate(tt.script)))
			if !ok || got.StatusCode != tt.status || got.Code != tt.code {
				t.Errorf("got %v, want %d %s", got, tt.status, tt.code)
			}
			for range tt.attempts {
				e := failed(llmproxy.APIChatCompletions, "gpt-5-mini", tt.status, tt.code)
				s.recorded(e)
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

// A retry that goes well is a second rig.Exchange, with a record of its own; a stream is
// retried before it has begun.
func TestRetryThatGoesWell(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, simulator.Options{APIKey: providerKey, Script: simulator.Sequence(
		simulator.Script{Status: 500, RetryAfterMS: "1"}, simulator.Script{},
		simulator.Script{Status: 429, RetryAfterMS: "1"}, simulator.Script{},
	)}, openai_compatible.Config{APIKey: providerKey})
	s := r.session("/v1", "", option.WithMaxRetries(1))
	s.Do(s.ask("gpt-5-mini"))
	s.recorded(failed(llmproxy.APIChatCompletions, "gpt-5-mini", 500, "server_error"))
	s.recorded(rig.Exchange{API: llmproxy.APIChatCompletions, Model: "gpt-5-mini", Tier: "default"})

	events := listen(s, s.Responses.NewStreaming(t.Context(), responses.ResponseNewParams{Model: "gpt-5-mini", Input: text("hello")}))
	s.numbered(events, 0)
	s.recorded(failed(llmproxy.APIResponses, "gpt-5-mini", 429, "rate_limit_exceeded"))
	s.recorded(streaming("gpt-5-mini"))
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
		{"401", "", llmproxy.APIChatCompletions, func(s *session, o option.RequestOption) error { return s.ask("gpt-5-mini", o) }},
		{"403", "status=403", llmproxy.APIChatCompletions, func(s *session, o option.RequestOption) error { return s.ask("gpt-5-mini", o) }},
		{"401 to a stream", "", llmproxy.APIResponses, func(s *session, o option.RequestOption) error {
			stream := s.Responses.NewStreaming(s.T.Context(), responses.ResponseNewParams{Model: "gpt-5-mini", Input: text("hello")}, o)
			stream.Next()
			return stream.Err()
		}},
		{"401 to an upload", "", "files", func(s *session, o option.RequestOption) error {
			_, err := s.Files.New(s.T.Context(), openai.FileNewParams{File: strings.NewReader("text"), Purpose: openai.FilePurposeUserData}, o)
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRigOf(t, simulator.Options{APIKey: providerKey}, openai_compatible.Config{APIKey: "sk-Zmistaken-key-Xw9"})
			s := r.session("/v1", "", option.WithMaxRetries(2))
			got := s.refusal(tt.call(s, simulate(tt.script)), 502, "provider_auth", "server_error")
			// The provider shows the ends of the key that it refuses.
			if dump := string(got.DumpResponse(true)); strings.Contains(dump, "sk-Z") || strings.Contains(dump, "-Xw9") {
				t.Errorf("the answer tells of the key: %s", dump)
			}
			rec := r.Record()
			if rec.API != tt.api || rec.Status != 502 || rec.Outcome != llmproxy.OutcomeError || rec.Error == nil || rec.Error.Code != "provider_auth" || rec.Usage != (llmproxy.Usage{}) {
				t.Errorf("record %+v", rec)
			}
			r.Skip()
			s.Settled()
		})
	}
}

// Where clients bring their own keys, the provider's word on them is theirs.
func TestClientKeys(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, simulator.Options{APIKey: providerKey}, openai_compatible.Config{APIKey: "sk-never-sent", ClientKeys: true})
	bad, good := option.WithAPIKey("sk-nobody-knows-this"), option.WithAPIKey(providerKey)
	d := direct(t)
	d.refusal(d.ask("gpt-5-mini", bad), 401, "invalid_api_key", "invalid_request_error")

	s := r.session("/v1", "")
	s.refusal(s.ask("gpt-5-mini", bad), 401, "invalid_api_key", "invalid_request_error")
	s.Same(d.Session)
	rec := r.Record()
	if rec.Status != 401 || rec.Outcome != llmproxy.OutcomeError || rec.Error == nil || rec.Error.Code != "invalid_api_key" || rec.Usage != (llmproxy.Usage{}) {
		t.Errorf("record %+v", rec)
	}
	r.Skip()

	s.Do(s.ask("gpt-5-mini", good))
	s.recorded(rig.Exchange{API: llmproxy.APIChatCompletions, Model: "gpt-5-mini", Tier: "default"})
	s.Settled()
}

// An error page of something between the gateway and the provider arrives as it is; the
// SDK makes of it what it makes of the page itself.
func TestErrorPage(t *testing.T) {
	t.Parallel()
	everywhere(t, everyEntry, func(s *session) {
		var resp *http.Response
		err := s.ask("gpt-5-mini", simulate("status=502"), option.WithResponseInto(&resp))
		if err == nil || resp == nil || resp.StatusCode != 502 {
			s.T.Fatalf("got %v, %v", resp, err)
		}
		s.Hear(err.Error(), resp.Header.Get("Content-Type"))
		s.recorded(failed(llmproxy.APIChatCompletions, "gpt-5-mini", 502, ""))
	})
}

// What the gateway itself refuses reads like an error of the API.
func TestRefusals(t *testing.T) {
	t.Parallel()
	large := bytes.Repeat([]byte("x"), 1<<17)
	second, err := openai_compatible.New(openai_compatible.Config{Name: "second", BaseURL: "http://127.0.0.1:1", APIKey: providerKey})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, base  string
		opts        []llmproxy.Option
		call        func(*session) error
		status      int
		code, param string
		want        rig.Exchange
		unrecorded  bool
	}{
		{
			name: "a provider that is not configured", base: "/v1", status: 404, code: "provider_not_found",
			call: func(s *session) error { return s.ask("gpt-5-mini", option.WithHeader("X-Provider", "nobody")) },
			want: rig.Exchange{API: llmproxy.APIChatCompletions, Model: "gpt-5-mini"},
		},
		{
			name: "a mount that is not configured", base: "/nobody/v1", status: 404, code: "provider_not_found",
			call: func(s *session) error { return s.ask("gpt-5-mini") },
			want: rig.Exchange{API: llmproxy.APIChatCompletions},
		},
		{
			name: "a model of nobody's", base: "/v1", status: 404, code: "model_not_found", param: "model",
			opts: []llmproxy.Option{llmproxy.WithProvider(second), llmproxy.WithFallback("")},
			call: func(s *session) error { return s.ask("unheard-of") },
			want: rig.Exchange{API: llmproxy.APIChatCompletions, Model: "unheard-of"},
		},
		{
			name: "no model and no fallback", base: "/v1", status: 404, code: "model_not_found", param: "model",
			opts: []llmproxy.Option{llmproxy.WithProvider(second), llmproxy.WithFallback("")},
			call: func(s *session) error {
				_, err := s.Models.List(s.T.Context())
				return err
			},
			want: rig.Exchange{API: "models"},
		},
		{
			name: "an API that is not served", base: "/v1", status: 404, code: "route_not_found",
			call: func(s *session) error {
				_, err := s.Containers.List(s.T.Context(), openai.ContainerListParams{})
				return err
			},
			unrecorded: true,
		},
		{
			name: "Realtime", base: "/v1", status: 404, code: "realtime_not_supported",
			call: func(s *session) error {
				_, err := s.Realtime.ClientSecrets.New(s.T.Context(), realtime.ClientSecretNewParams{})
				return err
			},
		},
		{
			name: "a request that is too large", base: "/v1", status: 413, code: "request_too_large",
			opts: []llmproxy.Option{llmproxy.WithLimits(llmproxy.Limits{RequestBody: 1 << 16})},
			call: func(s *session) error { return s.ask("gpt-5-mini", option.WithJSONSet("user", string(large))) },
			want: rig.Exchange{API: llmproxy.APIChatCompletions},
		},
		{
			name: "an upload that is too large", base: "/v1", status: 413, code: "request_too_large",
			opts: []llmproxy.Option{llmproxy.WithLimits(llmproxy.Limits{Upload: 1 << 16})},
			call: func(s *session) error {
				_, err := s.Files.New(s.T.Context(), openai.FileNewParams{File: bytes.NewReader(large), Purpose: openai.FilePurposeUserData})
				return err
			},
			want: rig.Exchange{API: "files"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, tt.opts...)
			s := r.session(tt.base, "", option.WithMaxRetries(2), option.WithMaxRetryDelay(time.Microsecond))
			got := s.refusal(tt.call(s), tt.status, tt.code, "invalid_request_error")
			if got.Param != tt.param {
				t.Errorf("parameter %q, want %q", got.Param, tt.param)
			}
			if got.Response.Header.Get("X-Gateway-Request-Id") == "" || strings.Contains(got.RawJSON(), clientKey) {
				t.Errorf("got %s", got.DumpResponse(true))
			}
			if !tt.unrecorded {
				tt.want.Status, tt.want.Code, tt.want.Outcome, tt.want.Unreported = tt.status, tt.code, llmproxy.OutcomeRejected, true
				s.Refused(tt.want)
			}
			s.Settled()
		})
	}
}

// A provider that cannot be reached is the gateway's to report.
func TestProviderOutOfReach(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, simulator.Options{}, openai_compatible.Config{APIKey: providerKey, BaseURL: "http://127.0.0.1:1"})
	s := r.session("/v1", "", option.WithMaxRetries(2), option.WithMaxRetryDelay(time.Microsecond))
	s.refusal(s.ask("gpt-5-mini"), 502, "provider_unreachable", "server_error")
	for range 3 { // the SDK has tried again
		rec := r.Record()
		if rec.Status != 502 || rec.Outcome != llmproxy.OutcomeError || rec.Error == nil || rec.Error.Code != "provider_unreachable" || rec.Usage != (llmproxy.Usage{}) {
			t.Errorf("record %+v", rec)
		}
	}
	s.Settled()
}

// The gateway serves no WebSockets, and says so during the handshake.
func TestWebSocketIsRefused(t *testing.T) {
	t.Parallel()
	s := newRig(t).session("/v1", "")
	conn, err := s.Responses.Connect(t.Context(), responses.ResponseConnectionOptions{})
	if err == nil {
		_ = conn.Close()
		t.Fatal("connected")
	}
	t.Log(err)
	s.Refused(rig.Exchange{
		API: llmproxy.APIResponses, Status: http.StatusUpgradeRequired, Code: "websocket_not_supported",
		Outcome: llmproxy.OutcomeRejected, Unreported: true,
	})
	s.Settled()
}
