package llmproxy_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

// billedTurn is what a WSBillingCallback was told.
type billedTurn struct {
	Turn       int
	ID, Model  string
	Prompt     int64
	Cost       llmproxy.USD
	HasBilling bool
}

func TestWSBillingCallback(t *testing.T) {
	t.Parallel()
	told := make(chan billedTurn, 8)
	r := newSocketRig(t, simulator.Options{AnyModel: true}, llmproxy.WithBilling(loadBilling()),
		llmproxy.WithWSBillingCallback(func(turn int, m llmproxy.ResponseMetadata, b *llmproxy.BillingResult) {
			bt := billedTurn{Turn: turn, ID: m.ID, Model: m.Model, Prompt: m.Usage.PromptTokens, HasBilling: b != nil}
			if b != nil {
				bt.Cost = b.Cost
			}
			told <- bt
			if turn == 2 {
				panic("canary of a panic")
			}
		}))
	s := r.connect("/v1/responses")
	for i, model := range []string{"cheap-1", "dear-1", "unknown-1"} {
		s.create(`"model":"` + model + `","input":"one two three"`)
		e := s.until("response.completed")
		want := billedTurn{Turn: i + 1, ID: e.Response.ID, Model: model, Prompt: 3}
		if price, ok := loadModels[model]; ok {
			want.HasBilling = true
			want.Cost = llmproxy.USD(3*int64(price.Input) + e.Response.Usage.OutputTokens*int64(price.Output))
		}
		if d := cmp.Diff(want, <-told); d != "" {
			t.Errorf("want - got +\n%s", d)
		}
		if rec := r.record(); rec.Turn != i+1 || rec.Cost != want.Cost || rec.CostKnown != want.HasBilling {
			t.Errorf("record %+v", rec)
		}
	}
	if strings.Contains(r.log.String(), "canary") || !strings.Contains(r.log.String(), "panicked") {
		t.Errorf("log %s", r.log)
	}
}

// A panic in an interceptor ends its turn and no other.
func TestWebSocketPanic(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, simulator.Options{AnyModel: true}, llmproxy.WithInterceptor(llmproxy.InterceptorFunc(
		func(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
			if x.Meta.Model == "bad" {
				panic("canary")
			}
			return next(ctx, x)
		})))
	s := r.connect("/v1/responses")
	s.create(`"stream_id":"good","model":"m","metadata":{"simulate":"pace=5ms"},"input":"one two three four"`)
	s.create(`"stream_id":"bad","model":"bad","input":"x"`)
	failed := false
	for {
		e, err := s.read()
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == "error" {
			failed = true
			if e.StreamID != "bad" || e.Status != 500 || strings.Contains(e.raw, "canary") {
				t.Errorf("got %s", e.raw)
			}
		}
		if e.Type == "response.completed" {
			break
		}
	}
	if !failed {
		t.Error("the turn that panicked got no error event")
	}
	for range 2 {
		if rec := r.record(); rec.Lane == "bad" && rec.Status != 500 || rec.Lane == "good" && rec.Outcome != llmproxy.OutcomeCompleted {
			t.Errorf("record %+v", rec)
		}
	}
}

// An error before response.created is held until the interceptors have decided.
func TestWebSocketRetried(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	r := newSocketRig(t, simulator.Options{AnyModel: true, TurnScript: func([]byte, int) simulator.Script {
		var s simulator.Script
		if calls.Add(1) < 3 {
			s, _ = simulator.ParseScript("status=429,code=rate_limit_exceeded,retry-after=2", s)
		}
		return s
	}}, llmproxy.WithInterceptor(llmproxy.InterceptorFunc(
		func(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
			for {
				reply, err := next(ctx, x)
				if err != nil || reply.StatusCode != http.StatusTooManyRequests {
					return reply, err
				}
				if got := reply.Header.Get("Retry-After"); got != "2" {
					t.Errorf("Retry-After %q", got)
				}
				reply.Stream.Close()
			}
		})))
	s := r.connect("/v1/responses")
	s.create(`"model":"m","input":"one two"`)
	if e, err := s.read(); err != nil || e.Type != "response.created" {
		t.Errorf("got %s, %v", e.raw, err)
	}
	s.until("response.completed")
	rec := r.record()
	want := []llmproxy.Attempt{{Provider: "openai", Model: "m", Status: 429}, {Provider: "openai", Model: "m", Status: 429}, {Provider: "openai", Model: "m", Status: 200}}
	if d := cmp.Diff(want, rec.Attempts); d != "" || rec.Turn != 1 || rec.Outcome != llmproxy.OutcomeCompleted || rec.UsageSource != llmproxy.UsageProvider {
		t.Errorf("record %+v\n%s", rec, d)
	}
}

// upper is a stream whose pieces an interceptor changes.
type upper struct{ llmproxy.Stream }

func (u upper) Next() ([]byte, error) {
	p, err := u.Stream.Next()
	return []byte(strings.ReplaceAll(string(p), "secret", "XXXXXX")), err
}

// An interceptor that wraps the stream sees each message, and what it makes of it goes to
// the client; the meter reads what the provider sent.
func TestWebSocketWrapped(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, simulator.Options{AnyModel: true}, llmproxy.WithInterceptor(llmproxy.InterceptorFunc(
		func(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
			reply, err := next(ctx, x)
			if err == nil && strings.HasPrefix(x.Meta.Model, "secret") {
				reply.Stream = upper{reply.Stream}
			}
			return reply, err
		})))
	s := r.connect("/v1/responses")
	s.create(`"stream_id":"a","model":"secret-1","input":"the secret of the matter"`)
	s.create(`"stream_id":"b","model":"open-1","input":"the secret of the matter"`)
	completed := 0
	for completed < 2 {
		e, err := s.read()
		if err != nil {
			t.Fatal(err)
		}
		if e.StreamID == "a" && strings.Contains(e.raw, "secret") {
			t.Errorf("got %s", e.raw)
		}
		if e.Type == "response.completed" {
			completed++
			if e.StreamID == "a" && e.Response.Model != "XXXXXX-1" || e.StreamID == "b" && e.Response.Model != "open-1" {
				t.Errorf("got %s", e.raw)
			}
		}
	}
	for range 2 {
		rec := r.record()
		if rec.Outcome != llmproxy.OutcomeCompleted || rec.UsageSource != llmproxy.UsageProvider || rec.Usage.PromptTokens != 5 || rec.Lane == "a" && rec.Model != "secret-1" {
			t.Errorf("record %+v", rec)
		}
	}
}

// An interceptor that answers by itself.
func TestWebSocketAnswered(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, simulator.Options{AnyModel: true}, llmproxy.WithInterceptor(llmproxy.InterceptorFunc(
		func(_ context.Context, x *llmproxy.Exchange, _ llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
			if x.Meta.Model == "refused" {
				return nil, &llmproxy.Error{Status: 402, Type: "insufficient_quota", Code: "budget_exceeded", Message: "no more money", NoRetry: true}
			}
			return &llmproxy.Reply{StatusCode: 200, Header: http.Header{}, Stream: &list{pieces: []string{`{"type":"response.created"}`, `{"type":"response.completed"}`}}}, nil
		})))
	s := r.connect("/v1/responses")
	s.create(`"model":"refused","stream_id":"l","input":"x"`)
	if e, err := s.read(); err != nil || e.raw != `{"type":"error","status":402,"stream_id":"l","error":{"message":"no more money","type":"insufficient_quota","param":null,"code":"budget_exceeded"},"headers":{"x-should-retry":"false"}}` {
		t.Errorf("got %s, %v", e.raw, err)
	}
	if rec := r.record(); rec.Outcome != llmproxy.OutcomeRejected || rec.Status != 402 || rec.Turn != 0 {
		t.Errorf("record %+v", rec)
	}
	s.create(`"model":"m","input":"x"`)
	s.until("response.completed")
	if rec := r.record(); rec.Outcome != llmproxy.OutcomeCompleted || rec.Status != 200 || rec.Turn != 0 || rec.UsageSource != llmproxy.UsageNone {
		t.Errorf("record %+v", rec)
	}
	s.conn.Close()
	if turns := r.turns(); len(turns) != 0 {
		t.Errorf("the provider got %+v", turns)
	}
}

// list is a stream of pieces.
type list struct{ pieces []string }

func (l *list) Next() ([]byte, error) {
	if len(l.pieces) == 0 {
		return nil, io.EOF
	}
	p := l.pieces[0]
	l.pieces = l.pieces[1:]
	return []byte(p), nil
}

func (l *list) Close() error { return nil }
