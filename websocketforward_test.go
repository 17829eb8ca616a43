package llmproxy_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/azure"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// Turns are on behalf of the caller of the handshake, and have its tags.
func TestWebSocketCaller(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, simulator.Options{AnyModel: true})
	r.byKey()
	s := r.connect("/v1/responses", "X-Key", "key-1", "X-Gateway-Tags", "team=red, feature=search")
	for turn := 1; turn <= 2; turn++ {
		s.create(hello)
		s.until("response.completed")
		rec := r.record()
		if d := cmp.Diff(map[string]string{"team": "blue", "feature": "search"}, rec.Tags); d != "" || rec.Key != "key-1" || rec.Turn != turn {
			t.Errorf("record %+v\n%s", rec, d)
		}
	}
	for _, frame := range r.simulator.Connections()[0].Frames {
		if strings.Contains(string(frame.Data), "key-1") {
			t.Errorf("the provider got %s", frame.Data)
		}
	}
	if got := r.simulator.Connections()[0].Header; got.Get("X-Key") != "" || got.Get("X-Gateway-Tags") != "" {
		t.Errorf("the provider got %v", got)
	}
	_, resp, err := r.handshake("/v1/responses", "X-Gateway-Tags", "=")
	if err == nil || resp == nil || resp.StatusCode != 400 {
		t.Errorf("tags that are none: got %v, %v", resp, err)
	}
}

// addAzure registers a resource of Azure at the simulator.
func (r *rig) addAzure(c azure.Config) {
	r.t.Helper()
	c.BaseURL, c.APIKey = r.provider, providerKey
	p, err := azure.New(c)
	if err != nil {
		r.t.Fatal(err)
	}
	r.router.RegisterProvider(p)
}

// Azure serves one conversation on a connection: a lane is refused where it is asked for,
// and the rest goes on.
func TestWebSocketAzure(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		config azure.Config
		uri    string
		model  string // in the message that the provider gets
	}{
		{azure.Config{}, "/openai/v1/responses", "gpt-5-mini"},
		{azure.Config{APIVersion: "preview"}, "/openai/v1/responses?api-version=preview", "gpt-5-mini"},
		{azure.Config{Deployment: "mine"}, "/openai/v1/responses", "mine"},
		{azure.Config{APIVersion: "2025-04-01-preview"}, "/openai/responses?api-version=2025-04-01-preview", "gpt-5-mini"},
	} {
		r := newSocketRig(t, simulator.Options{AnyModel: true})
		r.addAzure(tt.config)
		s := r.connect("/v1/responses", "X-Provider", "azure")
		s.create(`"model":"gpt-5-mini","stream":true,"input":"hello you"`)
		e := s.until("response.completed")
		if rec := r.record(); rec.Provider != "azure" || rec.Turn != 1 || rec.ModelRequested != "gpt-5-mini" || rec.ModelAsked != tt.model || rec.ResponseID != e.Response.ID || rec.UsageSource != llmproxy.UsageProvider {
			t.Errorf("%+v: record %+v", tt, rec)
		}
		s.create(`"stream_id":"l","model":"gpt-5-mini","input":"hello you"`)
		s.want(`{"type":"error","status":400,"stream_id":"l","error":{"message":"the provider \"azure\" serves one conversation on a WebSocket: open another one for each lane","type":"invalid_request_error","param":"stream_id","code":"unsupported_parameter"}}`)
		if rec := r.record(); rec.Outcome != llmproxy.OutcomeRejected || rec.Turn != 0 || rec.Lane != "l" || rec.CostState != llmproxy.CostFree {
			t.Errorf("%+v: record %+v", tt, rec)
		}
		s.create(`"model":"gpt-5-mini","previous_response_id":"` + e.Response.ID + `","input":"more"`)
		s.until("response.completed")
		if rec := r.record(); rec.Turn != 2 || rec.Outcome != llmproxy.OutcomeCompleted {
			t.Errorf("%+v: record %+v", tt, rec)
		}
		c := r.simulator.Connections()[0]
		if c.URI != tt.uri || c.Header.Get("Api-Key") != providerKey || c.Header.Get("Authorization") != "" {
			t.Errorf("%+v: the provider was called at %s with %v", tt, c.URI, c.Header)
		}
		if got, want := string(c.Frames[0].Data), `{"type":"response.create","store":false,"model":"`+tt.model+`","input":"hello you"}`; got != want || len(c.Frames) != 2 {
			t.Errorf("%+v: the provider got %d messages, the first %s", tt, len(c.Frames), got)
		}
	}
}

// On a provider's mount a model has no prefix to be cut, and the query is the client's.
func TestWebSocketMount(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, simulator.Options{AnyModel: true})
	s := r.connect("/openai/v1/responses?a=b&model=x")
	const create = `{ "type" : "response.create", "model":"openai/gpt-5-mini", "n":1.0 , "input" : "hello you", "store":false }`
	s.send(create)
	e := s.until("response.completed")
	if e.Response.Model != "openai/gpt-5-mini" {
		t.Errorf("the model is %q", e.Response.Model)
	}
	c := r.simulator.Connections()[0]
	if got := string(c.Frames[0].Data); got != create || c.URI != "/v1/responses?a=b&model=x" {
		t.Errorf("the provider got %s at %s", got, c.URI)
	}
	if rec := r.record(); rec.Provider != "openai" || rec.ModelAsked != "openai/gpt-5-mini" || rec.UsageSource != llmproxy.UsageProvider || rec.Turn != 1 {
		t.Errorf("record %+v", rec)
	}
}

// aliases chooses by names of ours.
type aliases map[string][2]string

func (a aliases) DetectProvider(_ context.Context, hint llmproxy.ProviderHint) (provider, model string) {
	is := a[hint.Model]
	return is[0], is[1]
}

func TestWebSocketAlias(t *testing.T) {
	t.Parallel()
	other, err := openai_compatible.New(openai_compatible.Config{Name: "other", Type: "openai", APIKey: providerKey, BaseURL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	r := newSocketRig(t, simulator.Options{AnyModel: true}, llmproxy.WithProvider(other), llmproxy.WithDetector(aliases{
		"fast": {"openai", "gpt-5-mini"}, "slow": {"openai", "gpt-5"}, "far": {"other", "gpt-5"},
	}))
	s := r.connect("/v1/responses")
	for turn, tt := range []struct{ alias, model string }{{"fast", "gpt-5-mini"}, {"slow", "gpt-5"}, {"fast", "gpt-5-mini"}} {
		s.create(`"model":"` + tt.alias + `","input":"hello you"`)
		s.until("response.completed")
		if rec := r.record(); rec.ModelRequested != tt.alias || rec.ModelAsked != tt.model || rec.Turn != turn+1 || rec.Attempts[0].Model != tt.model {
			t.Errorf("record %+v", rec)
		}
		want := `{"type":"response.create","store":false,"model":"` + tt.model + `","input":"hello you"}`
		if frames := r.simulator.Connections()[0].Frames; string(frames[turn].Data) != want {
			t.Errorf("the provider got %s, want %s", frames[turn].Data, want)
		}
	}
	s.create(`"stream_id":"l","model":"far","input":"hello you"`)
	if e, err := s.read(); err != nil || e.StreamID != "l" || e.Error.Code != "provider_mismatch" {
		t.Errorf("got %s, %v", e.raw, err)
	}
}

// Without metering, nothing of an answer is read, and each turn has its record.
func TestWebSocketUnmetered(t *testing.T) {
	t.Parallel()
	told := make(chan int, 4)
	r := newSocketRig(t, simulator.Options{AnyModel: true}, llmproxy.WithMetering(false),
		llmproxy.WithWSBillingCallback(func(turn int, m llmproxy.ResponseMetadata, _ *llmproxy.BillingResult) {
			if m.ID != "" || m.UsageReported {
				t.Errorf("told of %+v", m)
			}
			told <- turn
		}))
	s := r.connect("/v1/responses")
	for turn := 1; turn <= 2; turn++ {
		s.create(`"stream_id":"l","model":"openai/gpt-5-mini","input":"hello you"`)
		s.until("response.completed")
		rec := r.record()
		if rec.Turn != turn || rec.Outcome != llmproxy.OutcomeCompleted || rec.UsageSource != llmproxy.UsageNone || rec.ResponseID != "" || rec.Lane != "l" || rec.CostState != llmproxy.CostFree {
			t.Errorf("record %+v", rec)
		}
		if got := <-told; got != turn {
			t.Errorf("told of turn %d", got)
		}
	}
}

// wary is a recorder that refuses some intents.
type wary struct {
	recorder
	model string // the one it refuses
}

func (w wary) Begin(_ context.Context, r *llmproxy.Record) error {
	if r.ModelAsked == w.model {
		return errPlanned
	}
	return nil
}

// What cannot be recorded is not forwarded.
func TestWebSocketIntentRefused(t *testing.T) {
	t.Parallel()
	records := make(recorder, 8)
	r := newSocketRig(t, simulator.Options{AnyModel: true}, llmproxy.WithRecorder(wary{records, "unlucky"}))
	r.records = records
	s := r.connect("/v1/responses")
	s.create(`"stream_id":"l","model":"unlucky","input":"hello you"`)
	e, err := s.read()
	if err != nil || e.Type != "error" || e.Status != 503 || e.StreamID != "l" || strings.Contains(e.raw, "planned") {
		t.Errorf("got %s, %v", e.raw, err)
	}
	if rec := r.record(); rec.Outcome != llmproxy.OutcomeRejected || rec.Status != 503 || rec.Turn != 0 || rec.CostState != llmproxy.CostFree {
		t.Errorf("record %+v", rec)
	}
	s.create(`"stream_id":"l","model":"lucky","input":"hello you"`)
	s.until("response.completed")
	if rec := r.record(); rec.Outcome != llmproxy.OutcomeCompleted || rec.Turn != 1 {
		t.Errorf("record %+v", rec)
	}
	if frames := r.simulator.Connections()[0].Frames; len(frames) != 1 || !strings.Contains(string(frames[0].Data), `"lucky"`) {
		t.Errorf("the provider got %d messages", len(frames))
	}
}

// A callback gets what the provider reported in full.
func TestWSBillingCallbackMetadata(t *testing.T) {
	t.Parallel()
	told := make(chan llmproxy.ResponseMetadata, 1)
	r := newSocketRig(t, simulator.Options{AnyModel: true}, llmproxy.WithWSBillingCallback(
		func(_ int, m llmproxy.ResponseMetadata, _ *llmproxy.BillingResult) { told <- m }))
	s := r.connect("/v1/responses")
	s.create(`"model":"think-1","service_tier":"flex","metadata":{"simulate":"prompt-tokens=2000,cached-tokens=1536,cache-write-tokens=64,reasoning-tokens=7,completion-tokens=19"},"input":"hello you"`)
	e := s.until("response.completed")
	got := <-told
	want := llmproxy.ResponseMetadata{
		ID: e.Response.ID, Model: "think-1", ServiceTier: "flex", FinishReason: "stop", Outcome: llmproxy.OutcomeCompleted, UsageReported: true,
		Usage:  llmproxy.Usage{PromptTokens: 2000, CompletionTokens: 19, CacheRead: 1536, CacheWrite: 64, Reasoning: 7},
		Custom: map[string]any{"api_type": "responses", "provider": "openai", "reasoning_tokens": 7, "cache_usage": got.Usage.Cache()},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("want - got +\n%s", d)
	}
}
