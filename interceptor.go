package llmproxy

import "context"

// RoundTripFunc runs the rest of the pipeline. It must not be called by two goroutines at
// once. The error is an *Error where the gateway
// refuses or fails; an answer of 4xx or 5xx from a provider is a Reply.
type RoundTripFunc func(ctx context.Context, x *Exchange) (*Reply, error)

// Interceptor wraps the forwarding of an exchange. It may change what is sent (on a
// [Exchange.Clone]), call next several times, not at all, or change what comes back. It
// sees the client's dialect in both directions. A Reply that is not returned must have
// its Stream closed.
type Interceptor interface {
	Intercept(ctx context.Context, x *Exchange, next RoundTripFunc) (*Reply, error)
}

// InterceptorFunc is a function that is an Interceptor.
type InterceptorFunc func(ctx context.Context, x *Exchange, next RoundTripFunc) (*Reply, error)

// Intercept calls f.
func (f InterceptorFunc) Intercept(ctx context.Context, x *Exchange, next RoundTripFunc) (*Reply, error) {
	return f(ctx, x, next)
}

// chain wraps last in is, the first outermost: [A, B] runs A → B → last → B → A.
func chain(is []Interceptor, last RoundTripFunc) RoundTripFunc {
	for i := len(is) - 1; i >= 0; i-- {
		in, next := is[i], last
		last = func(ctx context.Context, x *Exchange) (*Reply, error) {
			return in.Intercept(ctx, x, next)
		}
	}
	return last
}
