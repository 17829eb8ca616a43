package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/brotli"
	"github.com/llmproxy/llmproxy/adapter/coderws"
	"github.com/llmproxy/llmproxy/adapter/zstd"
	"github.com/llmproxy/llmproxy/interceptors"
)

// generation is what one configuration comes to. Requests stay in the generation that they
// came to, WebSockets with all their turns.
type generation struct {
	config    *Config
	router    *llmproxy.AutoRouter
	handler   http.Handler
	pair      *tls.Certificate // nil: in the clear
	providers map[string]llmproxy.Provider
	pools     *interceptors.Pools // nil without models
	quotas    map[quotaOf]*interceptors.Limits

	// holds counts the requests inside, and one more while it is the current generation. At 0
	// it is over, and nothing enters any more.
	holds atomic.Int64
}

// enter counts a request in; false says that the generation is over.
func (n *generation) enter() bool {
	for {
		holds := n.holds.Load()
		if holds == 0 {
			return false
		}
		if n.holds.CompareAndSwap(holds, holds+1) {
			return true
		}
	}
}

// ServeHTTP serves one request under the current configuration.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := g.current.Load()
	for !n.enter() {
		n = g.current.Load() // another has taken its place
	}
	defer g.leave(n)
	n.handler.ServeHTTP(w, r)
}

// leave gives back one hold of n.
func (g *Gateway) leave(n *generation) {
	if n.holds.Add(-1) > 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	// What outlives its request is ended with the gateway.
	if exchanges, webSockets := n.router.Running(); exchanges+webSockets == 0 {
		delete(g.generations, n)
	}
}

// errEnding refuses another configuration.
var errEnding = errors.New("the gateway is shutting down")

// Reload lets what comes from now on run under c, with parts. What is running goes on as it
// began. With an error nothing changes: it is that of [New]. The listener stays the first
// configuration's: see [Config.keep].
func (g *Gateway) Reload(c *Config, parts Parts) error {
	before := g.current.Load()
	n, err := g.build(c, parts, before)
	if err != nil {
		return err
	}
	g.mu.Lock()
	if g.down {
		g.mu.Unlock()
		return errEnding
	}
	g.generations[n] = struct{}{}
	g.current.Store(n)
	g.mu.Unlock()
	if before != nil {
		g.leave(before)
	}
	return nil
}

// build makes the generation of c. What it has in common with the one before, nil for the
// first, and what remembers something, it takes over.
func (g *Gateway) build(c *Config, parts Parts, before *generation) (*generation, error) {
	n := &generation{config: c, quotas: map[quotaOf]*interceptors.Limits{}}
	n.holds.Store(1)
	if before != nil {
		n.quotas = maps.Clone(before.quotas)
	}
	if before != nil && reflect.DeepEqual(before.config.Providers, c.Providers) && slices.EqualFunc(before.config.Models, c.Models, sameModel) {
		// Pools know who is down, and where conversations began; providers have tokens.
		n.providers, n.pools = before.providers, before.pools
		c.Models = before.config.Models // with their routes
	} else if err := n.buildProviders(c); err != nil {
		return nil, err
	}
	opts := []llmproxy.Option{
		llmproxy.WithTransport(g.transport),
		llmproxy.WithRecorder(parts.Recorder),
		llmproxy.WithBilling(parts.Billing),
		llmproxy.WithLogger(g.logger),
		llmproxy.WithLimits(c.limits()),
		llmproxy.WithDisconnect(c.Disconnect.router()),
		llmproxy.WithFallback(c.Fallback),
		llmproxy.WithWebSocket(coderws.Upgrader{Compression: c.WebSocket.Compression}, coderws.Dialer{}),
		llmproxy.WithWebSocketOrigins(c.WebSocket.origins()...),
		llmproxy.WithDecoder(zstd.Coding, zstd.NewReader),
		llmproxy.WithDecoder(brotli.Coding, brotli.NewReader),
	}
	for _, p := range c.Providers { // in their order
		opts = append(opts, llmproxy.WithProvider(n.providers[p.Name]))
	}
	opts = append(opts, llmproxy.WithInterceptor(parts.Outer...))
	switch {
	case parts.Keys != nil || len(c.Providers) > 1 || n.pools != nil:
		list := &models{
			pools: n.pools, config: c, providers: n.providers, keys: parts.Keys,
			billing: parts.Billing, book: parts.Book, unpriced: c.Pricing.Unpriced == unpricedAllow,
		}
		opts = append(opts, llmproxy.WithDetector(list), llmproxy.WithInterceptor(list))
	default: // the only provider knows best
	}
	inner := parts.Inner
	if len(c.Origins) > 0 {
		inner = append(slices.Clone(inner), ownCORS{})
	}
	opts = append(opts, llmproxy.WithInterceptor(c.chain(n.pools, n.quotas, inner, g.logger)...))
	n.router = llmproxy.NewAutoRouter(opts...)
	n.handler = g.door(n, parts)
	if c.TLS != (TLS{}) {
		pair, err := c.TLS.load()
		if err != nil {
			return nil, err
		}
		n.pair = &pair
	}
	return n, nil
}

// sameModel reports whether the configuration says the same of two models.
func sameModel(a, b ModelConfig) bool {
	return a.Name == b.Name && slices.Equal(a.Targets, b.Targets) && slices.Equal(a.Weights, b.Weights)
}

// buildProviders makes the providers of c, and the pools of its models.
func (n *generation) buildProviders(c *Config) (err error) {
	n.providers = map[string]llmproxy.Provider{}
	for _, p := range c.Providers {
		t, ok := findType(p.Type)
		if !ok {
			return fmt.Errorf("provider %s: there is no type %s", p.Name, p.Type)
		}
		if n.providers[p.Name], err = t.build(p); err != nil {
			return err
		}
	}
	n.pools, err = c.pools(n.providers)
	return err
}

// door returns the router of n behind what keeps web pages and strangers out.
func (g *Gateway) door(n *generation, parts Parts) http.Handler {
	var h http.Handler = n.router
	if parts.Door != nil {
		h = refusals(parts.Door, h, n.config.TrustedProxies, g.logger)
	}
	h = crossOrigin(sameOrigin(h, n.config.Origins), n.config.Origins)
	if g.first.Listen.Loopback() && g.first.Listen.Network != "unix" && !n.config.Insecure {
		h = ownHost(h, n.config.Hosts)
	}
	return h
}

// tls returns how the listener speaks TLS: with the certificate of the current
// configuration. Nil: it does not.
func (g *Gateway) tls() *tls.Config {
	if g.first.TLS == (TLS{}) {
		return nil
	}
	return &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return g.current.Load().pair, nil
	}}
}

// endGenerations ends what runs under any configuration, as [llmproxy.AutoRouter.Shutdown]
// does.
func (g *Gateway) endGenerations(ctx context.Context) error {
	g.mu.Lock()
	g.down = true
	all := slices.Collect(maps.Keys(g.generations))
	g.mu.Unlock()
	errs := make([]error, len(all))
	var ending sync.WaitGroup
	for i, n := range all {
		ending.Go(func() { errs[i] = n.router.Shutdown(ctx) })
	}
	ending.Wait()
	for _, err := range errs {
		if err != nil {
			return err // of ctx, like the others
		}
	}
	return nil
}

// keep puts back into c what a gateway that runs with before cannot change, and returns the
// keys under which c has something else.
func (c *Config) keep(before *Config) (kept []string) {
	for _, k := range [...]struct {
		key  string
		same bool
		put  func()
	}{
		{"listen", c.Listen == before.Listen, func() { c.Listen = before.Listen }},
		// The files may be others, and what is in them; but not that there are none.
		{"tls", (c.TLS == TLS{}) == (before.TLS == TLS{}), func() { c.TLS = before.TLS }},
		{"admin", reflect.DeepEqual(c.Admin, before.Admin), func() { c.Admin = before.Admin }},
		{"auth.mode", c.Auth.Mode == before.Auth.Mode, func() { c.Auth.Mode = before.Auth.Mode }},
		{"pricing.unpriced", c.Pricing.Unpriced == before.Pricing.Unpriced, func() { c.Pricing.Unpriced = before.Pricing.Unpriced }},
		{"ledger", c.Ledger == before.Ledger, func() { c.Ledger = before.Ledger }},
		{"limits.header", c.Limits.Header == before.Limits.Header, func() { c.Limits.Header = before.Limits.Header }},
		{"limits.read_header_timeout", c.Limits.ReadHeaderTimeout == before.Limits.ReadHeaderTimeout, func() { c.Limits.ReadHeaderTimeout = before.Limits.ReadHeaderTimeout }},
		{"log", c.Log == before.Log, func() { c.Log = before.Log }},
	} {
		if !k.same {
			k.put()
			kept = append(kept, k.key)
		}
	}
	return kept
}
