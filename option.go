package llmproxy

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"
)

// Option configures an [AutoRouter] or a [Proxy].
type Option func(*AutoRouter)

// ModelProviderLookup names the provider of a model. ok is false when it has no opinion;
// a name that is not registered counts as none.
type ModelProviderLookup func(ctx context.Context, model string) (provider string, ok bool)

// ProviderHint is what a [ProviderDetector] may decide by.
type ProviderHint struct {
	Operation Operation
	Model     string // as the client wrote it; "" if the request names none
	Header    http.Header
	Meta      BodyMetadata
	Transport Transport // as in [Exchange]
	Caller    Caller
}

// ProviderDetector chooses provider and model ahead of the router's own rules: an alias,
// a weighted pool. It returns an empty provider when it has no opinion; an empty model
// keeps the client's.
type ProviderDetector interface {
	DetectProvider(ctx context.Context, hint ProviderHint) (provider, model string)
}

// Decoder undoes one content coding.
type Decoder func(io.Reader) (io.ReadCloser, error)

// Disconnect says what happens to the provider's call when the client has left.
type Disconnect struct{ drain time.Duration }

// Cancel ends the provider's call at once.
var Cancel = Disconnect{}

// Drain keeps reading the provider's answer for at most max, to learn its exact usage.
func Drain(max time.Duration) Disconnect { return Disconnect{drain: max} }

// WithProvider registers providers.
func WithProvider(ps ...Provider) Option {
	return func(a *AutoRouter) {
		for _, p := range ps {
			a.RegisterProvider(p)
		}
	}
}

// WithRegistry shares a registry of providers. Those that are registered already are
// added to it.
func WithRegistry(r *Registry) Option {
	return func(a *AutoRouter) {
		for _, p := range a.registry.All() {
			r.Register(p)
		}
		a.registry = r
	}
}

// WithDetector asks d before the router's own rules.
func WithDetector(d ProviderDetector) Option { return func(a *AutoRouter) { a.detector = d } }

// WithLookup asks f for models that no pattern knows.
func WithLookup(f ModelProviderLookup) Option { return func(a *AutoRouter) { a.lookup = f } }

// WithFallback names the provider of requests that nothing else routes. Without it, the
// only registered provider is the fallback, and with several there is none.
func WithFallback(name string) Option { return func(a *AutoRouter) { a.fallback = name } }

// WithTransport sends requests through rt. It must not follow redirects and must not
// undo content codings. The default is [NewTransport].
func WithTransport(rt http.RoundTripper) Option { return func(a *AutoRouter) { a.transport = rt } }

// WithInterceptor adds interceptors, the outermost first.
func WithInterceptor(is ...Interceptor) Option {
	return func(a *AutoRouter) { a.interceptors = append(a.interceptors, is...) }
}

// WithRecorder hands every exchange's record to r.
func WithRecorder(r Recorder) Option { return func(a *AutoRouter) { a.recorder = r } }

// WithMetering turns the reading of usage off, or on again. It is on by default. Off,
// answers are not read, not held and not given token headers, and requests never get
// stream_options added.
func WithMetering(on bool) Option { return func(a *AutoRouter) { a.metering = on } }

// WithDisconnect sets what happens when a client leaves. The default is [Cancel].
func WithDisconnect(d Disconnect) Option { return func(a *AutoRouter) { a.disconnect = d } }

// WithLimits sets the limits.
func WithLimits(l Limits) Option { return func(a *AutoRouter) { a.limits = l.withDefaults() } }

// WithLogger sets where the router reports what it cannot tell a client: panics in
// callbacks, records that could not be kept. The default is [slog.Default].
func WithLogger(l *slog.Logger) Option { return func(a *AutoRouter) { a.logger = l } }

// WithDecoder decodes bodies of a content coding ("zstd", "br"). gzip is built in.
func WithDecoder(coding string, d Decoder) Option {
	return func(a *AutoRouter) { a.decoders[coding] = d }
}

// WithBilling prices every exchange by b.
func WithBilling(b *BillingCalculator) Option { return func(a *AutoRouter) { a.billing = b } }

// WithBillingCallback has f told of every exchange, WebSocket turns included, once it has
// been priced and before its record is kept: r as it will be kept, and what it costs. Neither
// may be kept or changed. It must be safe for concurrent use, and the end of the answer
// waits for it. A background response that a later answer settles at once is told of again,
// with r.Revision 1; one that the recorder settles by itself, later, is not.
func WithBillingCallback(f func(r *Record, b *BillingResult)) Option {
	return func(a *AutoRouter) { a.onBilling = f }
}
