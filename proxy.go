package llmproxy

import (
	"context"
	"net/http"
)

// Proxy forwards every request to one provider, through the same pipeline as an
// [AutoRouter]. Paths that a router lists reach the provider's API wherever it serves
// it; any other path goes to it as it stands, below the root of its base URL. There are
// no mounts.
type Proxy struct {
	router   *AutoRouter
	provider Provider
}

// NewProxy returns a proxy for p. Options that concern routing have no effect.
func NewProxy(p Provider, opts ...Option) *Proxy {
	return &Proxy{router: NewAutoRouter(append(opts[:len(opts):len(opts)], WithProvider(p))...), provider: p}
}

// ServeHTTP is [AutoRouter.ServeHTTP] for the one provider.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.router.serve(w, r, p.provider)
}

// Forward is [AutoRouter.Forward] for the one provider.
func (p *Proxy) Forward(ctx context.Context, r *http.Request) (*http.Response, ResponseMetadata, error) {
	return p.router.forward(ctx, r, p.provider)
}

// ForwardStreaming is [AutoRouter.ForwardStreaming] for the one provider.
func (p *Proxy) ForwardStreaming(ctx context.Context, w http.ResponseWriter, r *http.Request) (ResponseMetadata, error) {
	return p.router.forwardStreaming(ctx, w, r, p.provider)
}

// Shutdown is [AutoRouter.Shutdown].
func (p *Proxy) Shutdown(ctx context.Context) error { return p.router.Shutdown(ctx) }
