package llmproxy_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/coderws"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

const hello = `"model":"gpt-5-mini","input":"hello you"`

func TestWebSocketFirstMessage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, message string
		code          int
		want          string // in the error event
	}{
		{"not a create", `{"type":"response.cancel","response_id":"x"}`, llmproxy.WSClosePolicy, "the first message must be a response.create"},
		{"no JSON", `{"type":`, llmproxy.WSCloseInvalidPayload, "not valid JSON"},
		{"plain text", `hello`, llmproxy.WSClosePolicy, "the first message must be a response.create"},
		{"an array", `[{"type":"response.create"}]`, llmproxy.WSCloseInvalidPayload, "must be a JSON object"},
		{"two types", `{"type":"response.cancel","type":"response.create"}`, llmproxy.WSClosePolicy, "more than once"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newSocketRig(t, simulator.Options{AnyModel: true})
			s := r.connect("/v1/responses")
			s.send(tt.message)
			e, err := s.read()
			if err != nil || e.Type != "error" || e.Status != 400 || !strings.Contains(e.Error.Message, tt.want) {
				t.Errorf("got %s, %v", e.raw, err)
			}
			if code, _ := s.closed(); code != tt.code {
				t.Errorf("closed with %d, want %d", code, tt.code)
			}
			if turns := r.turns(); len(turns) != 0 {
				t.Errorf("the provider got %+v", turns)
			}
			if n := len(r.simulator.Connections()[0].Frames); n != 0 {
				t.Errorf("the provider got %d messages", n)
			}
		})
	}
}

// Nothing may pass for something else with the provider than it does here.
func TestWebSocketDisguisedCreate(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, simulator.Options{AnyModel: true})
	s := r.connect("/v1/responses")
	s.create(hello)
	s.until("response.completed")
	r.record()
	for _, message := range []string{
		`{"type":"response.cancel","type":"response.create",` + hello + `}`,
		`{"type":"x","typ\u0065":"response.create",` + hello + `}`,
		"\ufeff" + `{"type":"response.create",` + hello + `}`,
		`{"type":"response.create",` + hello + `,}`,
		`[{"type":"response.create",` + hello + `}]`,
		`{"type":"response.create","model":"gpt-5-mini","model":"gpt-5"}`,
	} {
		s.send(message)
		e, err := s.read()
		if err != nil || e.Type != "error" || e.Status != 400 || e.Error.Type != "invalid_request_error" {
			t.Errorf("%s: got %s, %v", message, e.raw, err)
		}
	}
	// Another spelling of the same is the same, and charged.
	s.send(`{ "\u0074ype" : "response.cre\u0061te", ` + hello + `}`)
	s.until("response.completed")
	for {
		if rec := r.record(); rec.Outcome == llmproxy.OutcomeRejected {
			continue // the one with two models
		} else if rec.Turn != 2 || rec.UsageSource != llmproxy.UsageProvider {
			t.Errorf("record %+v", rec)
		}
		break
	}
	if n := len(r.simulator.Connections()[0].Frames); n != 2 {
		t.Errorf("the provider got %d messages, want 2", n)
	}
}

func TestWebSocketPassesOn(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, simulator.Options{AnyModel: true})
	s := r.connect("/v1/responses")
	s.create(hello)
	s.until("response.completed")
	const unknown = `{ "type" : "response.whatever" , "n":1.0, "big":9007199254740993 }`
	s.send(unknown)
	if e, err := s.read(); err != nil || e.Type != "error" {
		t.Errorf("got %s, %v", e.raw, err)
	}
	if err := s.conn.WriteMessage(llmproxy.WSBinary, []byte{0, 1, 2}); err != nil {
		t.Fatal(err)
	}
	_, _ = s.read()
	s.conn.Close()
	r.turns()
	frames := r.simulator.Connections()[0].Frames
	if len(frames) < 3 || string(frames[1].Data) != unknown || frames[1].Binary || string(frames[2].Data) != "\x00\x01\x02" || !frames[2].Binary {
		t.Errorf("the provider got %+v", frames)
	}
}

func TestWebSocketLanes(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, simulator.Options{AnyModel: true})
	s := r.connect("/v1/responses")
	const lanes, each = 8, 5
	names := []string{"", "a", "b", "c", "d", "e", "f", "g"}
	for range each {
		for i, name := range names {
			lane := ""
			if name != "" {
				lane = `"stream_id":"` + name + `",`
			}
			s.create(lane + `"model":"` + []string{"gpt-5-mini", "gpt-5", "gpt-4o-mini"}[i%3] + `","input":"` + strings.Repeat("word ", i+1) + `"`)
		}
	}
	for range lanes * each {
		s.until("response.completed")
	}
	s.conn.Close()
	want := map[string]simulator.Turn{}
	for _, turn := range r.turns() {
		want[turn.ResponseID] = turn
	}
	seen := map[int]bool{}
	for range lanes * each {
		rec := r.record()
		turn, ok := want[rec.ResponseID]
		if !ok || rec.Model != turn.Model || rec.Lane != turn.Lane || rec.Usage.PromptTokens != int64(turn.Usage.Prompt) || rec.Usage.CompletionTokens != int64(turn.Usage.Completion) {
			t.Errorf("record %+v, the provider counted %+v", rec, turn)
		}
		delete(want, rec.ResponseID)
		if seen[rec.Turn] || rec.Turn < 1 || rec.Turn > lanes*each {
			t.Errorf("turn %d twice, or out of range", rec.Turn)
		}
		seen[rec.Turn] = true
	}
}

func TestWebSocketErrors(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, simulator.Options{AnyModel: true})
	s := r.connect("/v1/responses")
	for i, tt := range []struct {
		members string
		status  int
		code    string
		outcome llmproxy.Outcome
	}{
		{`"model":"gpt-5-mini","previous_response_id":"resp_none","input":"x"`, 400, "previous_response_not_found", llmproxy.OutcomeError},
		{`"model":"gpt-5-mini","stream_id":"a b","input":"x"`, 400, "invalid_stream_id", llmproxy.OutcomeError},
		{`"model":"gpt-5-mini","stream_id":"lane","metadata":{"simulate":"status=429,code=rate_limit_exceeded"},"input":"x"`, 429, "rate_limit_exceeded", llmproxy.OutcomeError},
	} {
		s.create(tt.members)
		e, err := s.read()
		if err != nil || e.Type != "error" || e.Status != tt.status || e.Error.Code != tt.code {
			t.Errorf("%s: got %s, %v", tt.members, e.raw, err)
		}
		rec := r.record()
		if rec.Outcome != tt.outcome || rec.Status != tt.status || rec.Turn != i+1 || rec.CostState != llmproxy.CostFree || rec.UsageSource != llmproxy.UsageNone || rec.Error == nil || rec.Error.Code != tt.code {
			t.Errorf("%s: record %+v, %+v", tt.members, rec, rec.Error)
		}
	}
	for i, tt := range []struct {
		simulate string
		last     string
		outcome  llmproxy.Outcome
		source   llmproxy.UsageSource
	}{
		{"end=incomplete", "response.incomplete", llmproxy.OutcomeIncomplete, llmproxy.UsageProvider},
		{"end=failed", "response.failed", llmproxy.OutcomeFailed, llmproxy.UsageProvider},
		{"end=failed,usage=none", "response.failed", llmproxy.OutcomeFailed, llmproxy.UsageNone},
	} {
		s.create(`"model":"gpt-5-mini","metadata":{"simulate":"` + tt.simulate + `"},"input":"some words here"`)
		s.until(tt.last)
		rec := r.record()
		if rec.Outcome != tt.outcome || rec.Status != 200 || rec.Turn != i+4 || rec.UsageSource != tt.source {
			t.Errorf("%s: record %+v", tt.simulate, rec)
		}
	}
}

func TestWebSocketUnconfigured(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, resp, err := r.handshake("/v1/responses")
	if err == nil || resp == nil || resp.StatusCode != http.StatusUpgradeRequired {
		t.Fatalf("got %v, %v", resp, err)
	}
	req := r.request("GET", r.gateway+"/v1/responses", nil, "Connection", "keep-alive, Upgrade", "Upgrade", "websocket")
	if err := r.router.ForwardWebSocket(t.Context(), nil, req); !errors.Is(err, llmproxy.ErrWebSocketNotConfigured) {
		t.Errorf("got %v", err)
	}
}

func TestWebSocketRefusals(t *testing.T) {
	t.Parallel()
	other, err := openai_compatible.New(openai_compatible.Config{Type: "groq", APIKey: providerKey, BaseURL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	r := newSocketRig(t, simulator.Options{AnyModel: true}, llmproxy.WithProvider(other), llmproxy.WithWebSocketOrigins("https://*.example.com"))
	for _, tt := range []struct {
		name, path string
		fields     []string
		status     int
	}{
		{"a provider without", "/v1/responses", []string{"X-Provider", "groq"}, 426},
		{"on its mount", "/groq/openai/v1/responses", nil, 426},
		{"another path", "/v1/responses/resp_1", nil, 426},
		{"no path", "/nothing", nil, 404},
		{"no provider", "/v1/responses", []string{"X-Provider", "nobody"}, 404},
		{"a page of another origin", "/v1/responses", []string{"Origin", "https://evil.example"}, 403},
		{"a page whose origin ends alike", "/v1/responses", []string{"Origin", "https://evilexample.com"}, 403},
		{"a page of the list", "/v1/responses", []string{"Origin", "https://a.example.com", "X-Provider", "openai"}, 101},
		{"a page of our own", "/v1/responses", []string{"Origin", r.gateway, "X-Provider", "openai"}, 101},
		{"by query", "/v1/responses?model=gpt-5-mini", nil, 101},
		{"by a query that says groq", "/v1/responses?model=groq/x", nil, 426},
		{"by the mount", "/openai/v1/responses", nil, 101},
		{"without a hint", "/v1/responses", nil, 101},
	} {
		conn, resp, err := r.handshake(tt.path, tt.fields...)
		if resp == nil || resp.StatusCode != tt.status {
			t.Errorf("%s: got %v, %v, want %d", tt.name, resp, err, tt.status)
		}
		if conn != nil {
			conn.Close()
		}
	}
}

// What the first message chooses, later ones cannot change.
func TestWebSocketOtherProvider(t *testing.T) {
	t.Parallel()
	other, err := openai_compatible.New(openai_compatible.Config{Type: "groq", APIKey: providerKey, BaseURL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	r := newSocketRig(t, simulator.Options{AnyModel: true}, llmproxy.WithProvider(other))
	s := r.connect("/v1/responses")
	s.create(hello)
	s.until("response.completed")
	if rec := r.record(); rec.Turn != 1 {
		t.Errorf("record %+v", rec)
	}
	s.create(`"stream_id":"l","model":"groq/llama-3.3-70b-versatile","input":"x"`)
	e, err := s.read()
	if err != nil || e.Type != "error" || e.StreamID != "l" || e.Status != 400 || e.Error.Code != "provider_mismatch" {
		t.Errorf("got %s, %v", e.raw, err)
	}
	if rec := r.record(); rec.Outcome != llmproxy.OutcomeRejected || rec.Turn != 0 || rec.ConnectionID == "" || rec.Lane != "l" {
		t.Errorf("record %+v", rec)
	}
	s.create(`"stream_id":"l","model":"openai/gpt-5","input":"x"`)
	s.until("response.completed")
	if rec := r.record(); rec.Turn != 2 || rec.ModelAsked != "gpt-5" {
		t.Errorf("record %+v", rec)
	}

	// Known from the first message only: an error event, then the close.
	s = r.connect("/v1/responses")
	s.create(`"model":"groq/llama-3.3-70b-versatile","input":"x"`)
	if e, err := s.read(); err != nil || e.Status != 426 || e.Error.Code != "websocket_not_supported" {
		t.Errorf("got %s, %v", e.raw, err)
	}
	if code, _ := s.closed(); code != llmproxy.WSClosePolicy {
		t.Errorf("closed with %d", code)
	}
}

func TestWebSocketProviderRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		simulate string
		status   int
		code     string
	}{
		{"status=429,code=rate_limit_exceeded,retry-after=7", 429, "rate_limit_exceeded"},
		{"status=503", 503, ""},
		{"status=401", 502, "provider_auth"},
	} {
		r := newSocketRig(t, simulator.Options{Script: func(*http.Request) simulator.Script {
			s, err := simulator.ParseScript(tt.simulate, simulator.Script{})
			if err != nil {
				t.Error(err)
			}
			return s
		}})
		_, resp, err := r.handshake("/v1/responses")
		if err == nil || resp == nil || resp.StatusCode != tt.status {
			t.Errorf("%s: got %v, %v", tt.simulate, resp, err)
			continue
		}
		if rec := r.record(); rec.Outcome != llmproxy.OutcomeError || rec.Status != tt.status || rec.Transport != llmproxy.TransportWebSocket || rec.CostState != llmproxy.CostFree {
			t.Errorf("%s: record %+v", tt.simulate, rec)
		}

		// The same where only the first message tells.
		other, err := openai_compatible.New(openai_compatible.Config{Type: "groq", APIKey: providerKey})
		if err != nil {
			t.Fatal(err)
		}
		r.router.RegisterProvider(other)
		s := r.connect("/v1/responses")
		s.create(`"stream_id":"l",` + hello)
		e, err := s.read()
		if err != nil || e.Type != "error" || e.Status != tt.status || e.StreamID != "l" || tt.code != "" && e.Error.Code != tt.code {
			t.Errorf("%s: got %s, %v", tt.simulate, e.raw, err)
		}
		want := llmproxy.WSCloseInternalError
		if code, _ := s.closed(); code != want {
			t.Errorf("%s: closed with %d, want %d", tt.simulate, code, want)
		}
		if rec := r.record(); rec.Outcome != llmproxy.OutcomeError || rec.Status != tt.status {
			t.Errorf("%s: record %+v", tt.simulate, rec)
		}
	}
}

func TestWebSocketUnreachable(t *testing.T) {
	t.Parallel()
	p, err := openai_compatible.New(openai_compatible.Config{Type: "openai", APIKey: providerKey, BaseURL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, llmproxy.WithProvider(p), llmproxy.WithWebSocket(coderws.Upgrader{}, coderws.Dialer{}))
	_, resp, err := r.handshake("/v1/responses")
	if err == nil || resp == nil || resp.StatusCode != http.StatusBadGateway {
		t.Errorf("got %v, %v", resp, err)
	}
	if rec := r.record(); rec.Outcome != llmproxy.OutcomeError || rec.Status != 502 || rec.Error.Code != "provider_unreachable" {
		t.Errorf("record %+v", rec)
	}
}

// A provider that goes away in the middle: the turn ends with an error event, and its code
// crosses.
func TestWebSocketProviderGone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		simulate string
		code     int
	}{
		{"close=1012,cut-events=4", 1012},
		{"cut-events=4", llmproxy.WSCloseInternalError},
	} {
		r := newSocketRig(t, simulator.Options{AnyModel: true})
		s := r.connect("/v1/responses")
		s.create(`"stream_id":"l","model":"gpt-5-mini","metadata":{"simulate":"` + tt.simulate + `"},"input":"one two three four five six seven"`)
		var last event
		for {
			e, err := s.read()
			if err != nil {
				t.Fatalf("%s: %v after %s", tt.simulate, err, last.raw)
			}
			if last = e; e.Type == "error" {
				break
			}
		}
		if last.Status != 502 || last.StreamID != "l" || last.Error.Code != "provider_broken" {
			t.Errorf("%s: got %s", tt.simulate, last.raw)
		}
		if code, _ := s.closed(); code != tt.code {
			t.Errorf("%s: closed with %d, want %d", tt.simulate, code, tt.code)
		}
		if rec := r.record(); rec.Outcome != llmproxy.OutcomeError || rec.Status != 200 || rec.Turn != 1 || rec.UsageSource != llmproxy.UsageNone || rec.ResponseID == "" {
			t.Errorf("%s: record %+v", tt.simulate, rec)
		}
	}
}

func TestWebSocketClientGone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		policy llmproxy.Disconnect
		source llmproxy.UsageSource
	}{
		{"cancel", llmproxy.Cancel, llmproxy.UsageNone},
		{"drain", llmproxy.Drain(patience), llmproxy.UsageProvider},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newSocketRig(t, simulator.Options{AnyModel: true}, llmproxy.WithDisconnect(tt.policy))
			s := r.connect("/v1/responses")
			s.create(`"model":"gpt-5-mini","metadata":{"simulate":"pace=20ms"},"input":"one two three four five six seven"`)
			s.until("response.output_text.delta")
			s.conn.Close()
			rec := r.record()
			if rec.Outcome != llmproxy.OutcomeCancelled || rec.Status != 499 || rec.UsageSource != tt.source || rec.Turn != 1 {
				t.Errorf("record %+v", rec)
			}
		})
	}
}

func TestWebSocketShutdown(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, simulator.Options{AnyModel: true})
	idle, busy := r.connect("/v1/responses"), r.connect("/v1/responses")
	idle.create(hello)
	idle.until("response.completed")
	r.record()
	busy.create(`"model":"gpt-5-mini","metadata":{"simulate":"pace=20ms"},"input":"one two three four five six seven"`)
	busy.until("response.output_text.delta")
	done := make(chan error, 1)
	go func() { done <- r.router.Shutdown(t.Context()) }()
	if code, _ := idle.closed(); code != llmproxy.WSCloseGoingAway {
		t.Errorf("idle: closed with %d", code)
	}
	busy.create(`"stream_id":"late",` + hello)
	for {
		e, err := busy.read()
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == "error" && (e.StreamID != "late" || e.Status != 503) {
			t.Errorf("got %s", e.raw)
		}
		if e.Type == "response.completed" {
			break
		}
	}
	if code, _ := busy.closed(); code != llmproxy.WSCloseGoingAway {
		t.Errorf("busy: closed with %d", code)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	outcomes := map[llmproxy.Outcome]int{}
	for range 2 {
		outcomes[r.record().Outcome]++
	}
	if outcomes[llmproxy.OutcomeCompleted] != 1 || outcomes[llmproxy.OutcomeRejected] != 1 {
		t.Errorf("outcomes %v", outcomes)
	}
}

func TestWebSocketShutdownForced(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, simulator.Options{AnyModel: true})
	s := r.connect("/v1/responses")
	s.create(`"model":"gpt-5-mini","metadata":{"simulate":"pace=1h"},"input":"one two"`)
	if _, err := r.simulator.AwaitConnections(t.Context(), func(cs []simulator.Connection) bool { return len(cs) == 1 && len(cs[0].Frames) == 1 }); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := r.router.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	if rec := r.record(); rec.Outcome != llmproxy.OutcomeError {
		t.Errorf("record %+v", rec)
	}
	if code, _ := s.closed(); code != llmproxy.WSCloseGoingAway {
		t.Errorf("closed with %d", code)
	}
}
