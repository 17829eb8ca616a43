package interceptors

import (
	"cmp"
	"context"
	"crypto/sha256"
	"maps"
	"net/http"

	"github.com/llmproxy/llmproxy"
)

// Tracing lets a provider's request continue a trace, and tells the client its id, for
// programs that have spans of their own or none. Package adapter/otel makes spans.
//
// Upstream go traceparent and tracestate, and X-Request-Id with the trace's id unless the
// client sent one. The answer has the id in a field that the provider did not use.
//
// Turns of a WebSocket pass: they have no header. Its handshake does not come here; what
// the client sent with that travels by itself.
//
// The zero value continues the client's trace as it stands, and begins one of its own for
// an exchange that comes without. A Tracing is safe for concurrent use.
type Tracing struct {
	// Info returns the place in a trace that the provider's call is to be a child of. An
	// invalid one (the zero [Trace], say) sends nothing. Nil: the client's own, else a new
	// one that is not sampled.
	Info func(ctx context.Context, x *llmproxy.Exchange) Trace
	// ResponseHeader is the field of the answer that gets the trace's id, unless the
	// provider has set it; "" means X-Request-Id.
	ResponseHeader string
}

// Intercept implements [llmproxy.Interceptor].
func (t *Tracing) Intercept(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
	if x.Transport == llmproxy.TransportWebSocket {
		return next(ctx, x)
	}
	trace := t.trace(ctx, x)
	if !trace.Valid() {
		return next(ctx, x)
	}
	parent := trace.String()
	id := parent[len("00-"):][:2*len(trace.ID)]
	values := [...]string{parent, id}
	y := x.Clone()
	y.Header = maps.Clone(x.Header)
	if y.Header == nil {
		y.Header = http.Header{}
	}
	y.Header["Traceparent"] = values[:1:1]
	delete(y.Header, "Tracestate")
	if trace.State != "" {
		y.Header["Tracestate"] = []string{trace.State}
	}
	if y.Header.Get("X-Request-Id") == "" {
		y.Header["X-Request-Id"] = values[1:]
	}
	reply, err := next(ctx, y)
	if err == nil && reply != nil && reply.Header != nil {
		if name := cmp.Or(t.ResponseHeader, "X-Request-Id"); reply.Header.Get(name) == "" {
			reply.Header.Set(name, id)
		}
	}
	return reply, err
}

func (t *Tracing) trace(ctx context.Context, x *llmproxy.Exchange) Trace {
	if t.Info != nil {
		return t.Info(ctx, x)
	}
	if trace := traceOf(x.Header); trace.Valid() {
		return trace
	}
	// The same for all attempts at the exchange.
	sum := sha256.Sum256([]byte(x.ID))
	var trace Trace
	copy(trace.ID[:], sum[:])
	copy(trace.Span[:], sum[len(trace.ID):])
	return trace
}
