package otel

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"strconv"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/internal/genaiattr"
	"github.com/llmproxy/llmproxy/interceptors"
)

// Attributes that the conventions have no name for.
const (
	attrExchange   = "llmproxy.exchange.id"
	attrAPI        = "llmproxy.api"
	attrTransport  = "llmproxy.transport"
	attrConnection = "llmproxy.connection.id"
	attrTurn       = "llmproxy.turn"
	attrLane       = "llmproxy.lane"
	attrOutcome    = "llmproxy.outcome"
	attrAttempts   = "llmproxy.attempts"
	attrCost       = "llmproxy.cost_usd" // a decimal, exact
	attrCostState  = "llmproxy.cost_state"
)

// Tracing makes a span of each exchange. Its parent is the span of the request's context
// where there is one (of a server's instrumentation, say), else the one that the client's
// traceparent names. The provider gets traceparent and tracestate of the new span, and
// X-Request-Id with the trace's id unless the client sent one.
//
// A turn of a WebSocket has no header, and its connection may last for an hour: its span
// begins a trace of its own, with a link to what opened the connection. A response that
// goes on by itself from a turn has one as well, with a link to the turn's.
//
// It belongs outside of retries and fallbacks, which are events of the span; inside, an
// exchange still has one span.
type Tracing struct {
	// ResponseHeader is the field of the answer that gets the trace's id, unless the
	// provider has set it; "" means X-Request-Id. It must not change after the first use.
	ResponseHeader string

	tracer trace.Tracer
	mu     sync.Mutex // guards spans
	spans  map[string]trace.Span
}

var _ llmproxy.Interceptor = (*Tracing)(nil)

// mostSpans bounds the spans that are remembered for further attempts.
const mostSpans = 1 << 16

// NewTracing returns a Tracing whose spans are provider's.
func NewTracing(provider trace.TracerProvider) *Tracing {
	return &Tracing{tracer: provider.Tracer(scope), spans: map[string]trace.Span{}}
}

// Intercept implements [llmproxy.Interceptor].
func (t *Tracing) Intercept(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
	span := t.span(ctx, x)
	sc := span.SpanContext()
	if !sc.IsValid() {
		return next(ctx, x) // nobody listens
	}
	ctx = trace.ContextWithSpan(ctx, span)
	if x.Transport == llmproxy.TransportWebSocket {
		return next(ctx, x)
	}
	id := sc.TraceID().String()
	y := x.Clone()
	y.Header = maps.Clone(x.Header)
	if y.Header == nil {
		y.Header = http.Header{}
	}
	delete(y.Header, "Tracestate")
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(y.Header))
	if y.Header.Get("X-Request-Id") == "" {
		y.Header["X-Request-Id"] = []string{id}
	}
	reply, err := next(ctx, y)
	if err == nil && reply != nil && reply.Header != nil {
		if name := cmp.Or(t.ResponseHeader, "X-Request-Id"); reply.Header.Get(name) == "" {
			reply.Header.Set(name, id)
		}
	}
	return reply, err
}

// span returns the span of x, which begins with its first attempt and ends when x has been
// settled.
func (t *Tracing) span(ctx context.Context, x *llmproxy.Exchange) trace.Span {
	t.mu.Lock()
	span := t.spans[x.ID]
	t.mu.Unlock()
	if span != nil {
		return span
	}
	operation := interceptors.OperationName(&x.Operation)
	options := []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(x.Start),
		trace.WithAttributes(requested(x, operation)...),
	}
	if !trace.SpanContextFromContext(ctx).IsValid() {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(x.Header))
	}
	if x.Transport == llmproxy.TransportWebSocket {
		options = append(options, trace.WithNewRoot())
		if from := trace.SpanContextFromContext(ctx); from.IsValid() {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: from}))
		}
	}
	_, span = t.tracer.Start(ctx, spanName(operation, x.UpstreamModel()), options...)
	if !span.SpanContext().IsValid() {
		return span
	}
	t.mu.Lock()
	if len(t.spans) >= mostSpans {
		clear(t.spans)
	}
	t.spans[x.ID] = span
	t.mu.Unlock()
	x.OnSettled(func(r *llmproxy.Record) {
		if r.ID != x.ID {
			_, successor := t.tracer.Start(ctx, spanName(operation, r.ModelAsked), trace.WithNewRoot(),
				trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(r.Time),
				trace.WithLinks(trace.Link{SpanContext: span.SpanContext()}),
				trace.WithAttributes(attribute.String(genaiattr.OperationName, operation),
					attribute.String(attrExchange, r.ID), attribute.String(attrAPI, string(r.API))))
			finish(successor, r, operation)
			return
		}
		t.mu.Lock()
		delete(t.spans, x.ID)
		t.mu.Unlock()
		finish(span, r, operation)
	})
	return span
}

// spanName is that of the conventions: the operation and the model.
func spanName(operation, model string) string {
	if model == "" {
		return operation
	}
	return operation + " " + model
}

// requested are the attributes that are known before the answer.
func requested(x *llmproxy.Exchange, operation string) []attribute.KeyValue {
	attrs := []attribute.KeyValue{
		attribute.String(genaiattr.OperationName, operation),
		attribute.String(attrExchange, x.ID),
		attribute.String(attrAPI, string(x.Operation.API)),
	}
	if p := x.Route.Provider; p != nil {
		attrs = append(attrs, attribute.String(genaiattr.ProviderName, p.Name()))
	}
	if model := x.UpstreamModel(); model != "" {
		attrs = append(attrs, attribute.String(genaiattr.RequestModel, model))
	}
	if x.Meta.Stream {
		attrs = append(attrs, attribute.Bool(genaiattr.RequestStream, true))
	}
	if n := x.Meta.MaxTokens; n > 0 {
		attrs = append(attrs, attribute.Int64(genaiattr.RequestMaxTokens, n))
	}
	return attrs
}

// finish ends span with what r says.
func finish(span trace.Span, r *llmproxy.Record, operation string) {
	if !span.IsRecording() {
		span.End()
		return
	}
	span.SetName(spanName(operation, r.ModelAsked))
	var attrs []attribute.KeyValue
	str := func(name, value string) {
		if value != "" {
			attrs = append(attrs, attribute.String(name, value))
		}
	}
	num := func(name string, n int64) {
		if n != 0 {
			attrs = append(attrs, attribute.Int64(name, n))
		}
	}
	str(genaiattr.ProviderName, r.Provider)
	str(genaiattr.RequestModel, r.ModelAsked)
	str(genaiattr.ResponseModel, r.Model)
	str(genaiattr.ResponseID, r.ResponseID)
	if r.FinishReason != "" {
		attrs = append(attrs, attribute.StringSlice(genaiattr.ResponseFinishReasons, []string{r.FinishReason}))
	}
	if r.TTFT > 0 {
		attrs = append(attrs, attribute.Float64(genaiattr.ResponseTimeToFirstChunk, r.TTFT.Seconds()))
	}
	if r.UsageSource != llmproxy.UsageNone {
		attrs = append(attrs, attribute.Int64(genaiattr.UsageInputTokens, r.Usage.PromptTokens),
			attribute.Int64(genaiattr.UsageOutputTokens, r.Usage.CompletionTokens))
		cache := r.Usage.Cache()
		num(genaiattr.UsageCacheReadTokens, int64(cache.CachedTokens))
		num(genaiattr.UsageCacheCreationTokens, int64(cache.CacheCreationTokens))
		num(genaiattr.UsageReasoningTokens, r.Usage.Reasoning)
	}
	num(genaiattr.StatusCode, int64(r.Status))
	str(attrTransport, string(r.Transport))
	str(attrOutcome, string(r.Outcome))
	str(attrConnection, r.ConnectionID)
	num(attrTurn, int64(r.Turn))
	str(attrLane, r.Lane)
	if r.CostKnown && r.CostState != llmproxy.CostFree {
		str(attrCost, r.Cost.String())
	}
	str(attrCostState, string(r.CostState))
	if len(r.Attempts) > 1 {
		num(attrAttempts, int64(len(r.Attempts)))
		for _, a := range r.Attempts {
			span.AddEvent("llmproxy.attempt", trace.WithAttributes(attemptOf(a)...))
		}
	}
	if kind := interceptors.ErrorType(r); kind != "" {
		str(genaiattr.ErrorType, kind)
		description := ""
		if r.Error != nil {
			description = r.Error.Code
		}
		span.SetStatus(codes.Error, description)
	}
	span.SetAttributes(attrs...)
	span.End(trace.WithTimestamp(r.Time.Add(r.Duration)))
}

// attemptOf are the attributes of one call of a provider.
func attemptOf(a llmproxy.Attempt) []attribute.KeyValue {
	attrs := []attribute.KeyValue{attribute.String(genaiattr.ProviderName, a.Provider)}
	if a.Model != "" {
		attrs = append(attrs, attribute.String(genaiattr.RequestModel, a.Model))
	}
	if a.Status != 0 {
		attrs = append(attrs, attribute.Int(genaiattr.StatusCode, a.Status))
	}
	switch {
	case a.Error != "":
		attrs = append(attrs, attribute.String(genaiattr.ErrorType, a.Error))
	case a.Status >= 400:
		attrs = append(attrs, attribute.String(genaiattr.ErrorType, strconv.Itoa(a.Status)))
	}
	return attrs
}
