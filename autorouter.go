package llmproxy

import (
	"context"
	"log/slog"
	"net/http"
)

// AutoRouter routes LLM requests to providers. It is an [http.Handler], safe for
// concurrent use.
type AutoRouter struct {
	registry     *Registry
	detector     ProviderDetector
	lookup       ModelProviderLookup
	fallback     string
	transport    http.RoundTripper
	interceptors []Interceptor
	recorder     Recorder
	metering     bool
	disconnect   Disconnect
	limits       Limits
	logger       *slog.Logger
	decoders     map[string]Decoder
}

// NewAutoRouter returns a router.
func NewAutoRouter(opts ...Option) *AutoRouter {
	a := &AutoRouter{registry: NewRegistry(), metering: true, limits: Limits{}.withDefaults(), decoders: map[string]Decoder{}}
	for _, o := range opts {
		o(a)
	}
	return a
}

// RegisterProvider adds p.
func (a *AutoRouter) RegisterProvider(p Provider) { a.registry.Register(p) }

// ServeHTTP serves one request.
func (a *AutoRouter) ServeHTTP(w http.ResponseWriter, r *http.Request) {}

// Forward runs the pipeline and returns the whole answer.
func (a *AutoRouter) Forward(ctx context.Context, r *http.Request) (*http.Response, ResponseMetadata, error) {
	return nil, ResponseMetadata{}, nil
}

// ForwardStreaming runs the pipeline and writes the answer to w as it arrives.
func (a *AutoRouter) ForwardStreaming(ctx context.Context, w http.ResponseWriter, r *http.Request) (ResponseMetadata, error) {
	return ResponseMetadata{}, nil
}

// Shutdown refuses new exchanges with a 503 and waits for the running ones. When ctx
// ends first, it ends them and returns ctx's error once they are settled.
func (a *AutoRouter) Shutdown(ctx context.Context) error { return nil }

// NewTransport returns the transport a router uses by default.
func NewTransport() *http.Transport { return &http.Transport{} }
