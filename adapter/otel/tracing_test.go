package otel_test

import (
	"context"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/otel"
)

const (
	traceID     = "0af7651916cd43dd8448eb211c80319c"
	parentID    = "b7ad6b7169203331"
	traceparent = "00-" + traceID + "-" + parentID + "-01"
)

func newTracing(t *testing.T) (*otel.Tracing, *tracetest.InMemoryExporter) {
	t.Helper()
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	t.Cleanup(func() {
		if err := provider.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return otel.NewTracing(provider), spans
}

// attributes returns attrs by name.
func attributes(attrs []attribute.KeyValue) map[string]any {
	m := map[string]any{}
	for _, a := range attrs {
		m[string(a.Key)] = a.Value.AsInterface()
	}
	return m
}

func TestSpanOfAnExchange(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		body, transport string
		more            map[string]any
	}{
		{`{"model":"gpt-5-mini","max_output_tokens":100,"input":"canary-prompt"}`, "http", map[string]any{"gen_ai.request.max_tokens": int64(100)}},
		{`{"model":"gpt-5-mini","stream":true,"input":"canary-prompt"}`, "sse", map[string]any{"gen_ai.request.stream": true}},
	} {
		tracing, spans := newTracing(t)
		r := newRig(t, tracing)
		_, rec := r.post(tt.body, "Traceparent", traceparent, "Tracestate", "vendor=1")
		all := spans.GetSpans()
		if len(all) != 1 {
			t.Fatalf("%s: got %d spans", tt.transport, len(all))
		}
		span := all[0]
		if span.Name != "chat gpt-5-mini" || span.SpanKind != trace.SpanKindClient || span.Parent.SpanID().String() != parentID ||
			span.SpanContext.TraceID().String() != traceID || span.Status.Code != codes.Unset {
			t.Errorf("%s: got %+v", tt.transport, span)
		}
		if !span.StartTime.Equal(rec.Time) || span.EndTime.Sub(span.StartTime) != rec.Duration {
			t.Errorf("%s: from %v for %v, want %v for %v", tt.transport, span.StartTime, span.EndTime.Sub(span.StartTime), rec.Time, rec.Duration)
		}
		want := map[string]any{
			"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-5-mini",
			"gen_ai.response.id": rec.ResponseID, "gen_ai.response.model": rec.Model,
			"gen_ai.usage.input_tokens": rec.Usage.PromptTokens, "gen_ai.usage.output_tokens": rec.Usage.CompletionTokens,
			"http.response.status_code": int64(200), "llmproxy.exchange.id": rec.ID, "llmproxy.api": "responses",
			"llmproxy.transport": tt.transport, "llmproxy.outcome": "completed",
			"llmproxy.cost_usd": rec.Cost.String(), "llmproxy.cost_state": string(rec.CostState),
		}
		if rec.FinishReason != "" {
			want["gen_ai.response.finish_reasons"] = []string{rec.FinishReason}
		}
		if rec.TTFT > 0 {
			want["gen_ai.response.time_to_first_chunk"] = rec.TTFT.Seconds()
		}
		for name, value := range tt.more {
			want[name] = value
		}
		if got := attributes(span.Attributes); !cmp.Equal(got, want) || rec.Usage.PromptTokens == 0 {
			t.Errorf("%s: %s", tt.transport, cmp.Diff(want, got))
		}
		sent := r.simulator.Requests()[0].Header
		carried := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), propagation.HeaderCarrier(sent)))
		if carried.SpanID() != span.SpanContext.SpanID() || carried.TraceID() != span.SpanContext.TraceID() || !carried.IsSampled() ||
			sent.Get("Tracestate") != "vendor=1" || sent.Get("X-Request-Id") != traceID {
			t.Errorf("%s: the provider got %v", tt.transport, sent)
		}
	}
}

// Each attempt is an event, and all are one span, inside of a retry as well.
func TestSpanOfAttempts(t *testing.T) {
	t.Parallel()
	twice := llmproxy.InterceptorFunc(func(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
		reply, err := next(ctx, x)
		if err == nil {
			_ = reply.Stream.Close()
		}
		return next(ctx, x)
	})
	for _, inside := range []bool{false, true} {
		tracing, spans := newTracing(t)
		is := []llmproxy.Interceptor{tracing, twice}
		if inside {
			is = []llmproxy.Interceptor{twice, tracing}
		}
		r := newRig(t, is...)
		_, _ = r.post(`{"model":"gpt-5-mini","input":"hello"}`, "X-Simulate", "status=503")
		all := spans.GetSpans()
		if len(all) != 1 {
			t.Fatalf("inside %v: got %d spans", inside, len(all))
		}
		span := all[0]
		attrs := attributes(span.Attributes)
		if attrs["error.type"] != "503" || attrs["llmproxy.attempts"] != int64(2) || span.Status.Code != codes.Error {
			t.Errorf("inside %v: got %v, %v", inside, attrs, span.Status)
		}
		if len(span.Events) != 2 {
			t.Fatalf("inside %v: got events %+v", inside, span.Events)
		}
		want := map[string]any{"gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-5-mini", "http.response.status_code": int64(503), "error.type": "503"}
		for _, e := range span.Events {
			if got := attributes(e.Attributes); e.Name != "llmproxy.attempt" || !cmp.Equal(got, want) {
				t.Errorf("inside %v: %s: %s", inside, e.Name, cmp.Diff(want, got))
			}
		}
		requests := r.simulator.Requests()
		if len(requests) != 2 || requests[0].Header.Get("Traceparent") != requests[1].Header.Get("Traceparent") || requests[0].Header.Get("Traceparent") == "" {
			t.Errorf("inside %v: the attempts have different traces", inside)
		}
	}
}

func TestSpansOfTurns(t *testing.T) {
	t.Parallel()
	tracing, spans := newTracing(t)
	r := newRig(t, tracing)
	create := `{"type":"response.create","model":"gpt-5-mini","store":false,"input":"hello"}`
	records := r.turns(traceparent, create, create)
	all := spans.GetSpans()
	if len(all) != 2 {
		t.Fatalf("got %d spans", len(all))
	}
	for i, span := range all {
		if span.Parent.IsValid() || len(span.Links) != 1 || span.Links[0].SpanContext.TraceID().String() != traceID || span.Links[0].SpanContext.SpanID().String() != parentID {
			t.Errorf("turn %d: parent %v, links %v", i+1, span.Parent, span.Links)
		}
		attrs := attributes(span.Attributes)
		if attrs["llmproxy.turn"] != int64(i+1) || attrs["llmproxy.connection.id"] != records[i].ConnectionID || attrs["llmproxy.transport"] != "websocket" ||
			attrs["gen_ai.usage.output_tokens"] != records[i].Usage.CompletionTokens || records[i].Usage.CompletionTokens == 0 {
			t.Errorf("turn %d: got %v", i+1, attrs)
		}
	}
	if all[0].SpanContext.TraceID() == all[1].SpanContext.TraceID() {
		t.Error("two turns are in one trace")
	}
}

// A response that goes on from a turn by itself has a span of its own.
func TestSpanOfASuccessor(t *testing.T) {
	t.Parallel()
	tracing, spans := newTracing(t)
	r := newRig(t, tracing)
	conn := r.dial(traceparent)
	r.say(conn, `{"type":"response.create","model":"gpt-5-mini","input":"one two three","metadata":{"simulate":"pace=1ms,events=300"}}`)
	id := regexp.MustCompile(`resp_[0-9A-Za-z]+`).FindString(r.await(conn, "response.created"))
	r.say(conn, `{"type":"response.steer","previous_response_id":"`+id+`","input":"four"}`)
	r.await(conn, "response.steer.accepted")
	r.await(conn, "response.incomplete")
	first := r.record()
	r.await(conn, "response.completed")
	second := r.record()
	all := spans.GetSpans()
	if len(all) != 2 {
		t.Fatalf("got %d spans", len(all))
	}
	span := all[1]
	if span.Name != "chat gpt-5-mini" || span.Parent.IsValid() || len(span.Links) != 1 || span.Links[0].SpanContext.SpanID() != all[0].SpanContext.SpanID() ||
		!span.StartTime.Equal(second.Time) || span.EndTime.Sub(span.StartTime) != second.Duration {
		t.Errorf("got %+v", span)
	}
	if attributes(all[0].Attributes)["llmproxy.exchange.id"] != first.ID || attributes(span.Attributes)["llmproxy.exchange.id"] != second.ID || first.ID == second.ID {
		t.Errorf("the spans are of %v and %v", all[0].Attributes, span.Attributes)
	}
}

// The span of a server's instrumentation is the parent, whatever the client's header says.
func TestSpanHasItsServersSpanAsParent(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	ctx, server := provider.Tracer("server").Start(t.Context(), "POST")
	outer := llmproxy.InterceptorFunc(func(_ context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
		return next(ctx, x)
	})
	r := newRig(t, outer, otel.NewTracing(provider))
	_, _ = r.post(`{"model":"gpt-5-mini","input":"hello"}`, "Traceparent", traceparent)
	all := spans.GetSpans()
	if len(all) != 1 || all[0].Parent.SpanID() != server.SpanContext().SpanID() {
		t.Errorf("got %+v", all)
	}
}

// Without an SDK, the client's trace travels as it came.
func TestNoSpansWithoutAnSDK(t *testing.T) {
	t.Parallel()
	r := newRig(t, otel.NewTracing(noop.NewTracerProvider()))
	_, _ = r.post(`{"model":"gpt-5-mini","input":"hello"}`, "Traceparent", traceparent)
	if got := r.simulator.Requests()[0].Header.Get("Traceparent"); got != traceparent {
		t.Errorf("the provider got %s", got)
	}
	_, _ = r.post(`{"model":"gpt-5-mini","input":"hello"}`)
	if got := r.simulator.Requests()[1].Header["Traceparent"]; got != nil {
		t.Errorf("the provider got %s", got)
	}
}

// A field of the answer has the trace's id.
func TestResponseHeader(t *testing.T) {
	t.Parallel()
	tracing, _ := newTracing(t)
	tracing.ResponseHeader = "X-Trace-Id"
	r := newRig(t, tracing)
	h, _ := r.post(`{"model":"gpt-5-mini","stream":true,"input":"hello"}`, "Traceparent", traceparent)
	if h.Get("X-Trace-Id") != traceID || h.Get("X-Request-Id") == traceID {
		t.Errorf("got %v", h)
	}
}
