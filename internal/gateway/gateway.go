// Package gateway is the program around the router: it reads the configuration, knows by
// name what the binary has (catalog.go), listens, and ends in good order.
//
// Everything about an exchange is the root package's business. What is here may use any
// package below; nothing imports it but cmd/llmproxy.
package gateway

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/keys"
	"github.com/llmproxy/llmproxy/pricing"
)

// Gateway serves a configuration, and, once it is told to, another one: what began under
// the one before goes on under it. It is an [http.Handler], safe for concurrent use.
type Gateway struct {
	first     *Config // whose listener it has
	logger    *slog.Logger
	transport http.RoundTripper // of all generations, so that connections stay warm
	draining  func()

	current atomic.Pointer[generation]

	mu          sync.Mutex               // guards the following
	generations map[*generation]struct{} // the current one, and those in which something runs
	down        bool                     // it is ending
}

// Parts is what a gateway works with besides its configuration. All of it may be left out.
type Parts struct {
	Recorder llmproxy.Recorder           // gets the record of each exchange
	Billing  *llmproxy.BillingCalculator // prices it
	Outer    []llmproxy.Interceptor      // around those of the configuration
	Inner    []llmproxy.Interceptor      // inside of them: each call of a provider passes
	Keys     keys.Lookup                 // has the keys of callers
	Book     func() *pricing.Book        // has the prices of models
	// Door wraps the handler of the data listener.
	Door func(http.Handler) http.Handler
	// Draining is called when the gateway takes nothing new any more.
	Draining func()
}

// New returns a gateway that runs c with parts, and logs to logger. The error is that of a
// provider which c has and which cannot be made, or of the files for TLS; a [Source] has
// checked that already.
func New(c *Config, parts Parts, logger *slog.Logger) (*Gateway, error) {
	g := &Gateway{
		first: c, logger: logger, transport: llmproxy.NewTransport(), draining: parts.Draining,
		generations: map[*generation]struct{}{},
	}
	if err := g.Reload(c, parts); err != nil {
		return nil, err
	}
	return g, nil
}

// limits returns those of c as the root package wants them.
func (c *Config) limits() llmproxy.Limits {
	l, ws := c.Limits, c.WebSocket
	return llmproxy.Limits{
		WebSocket: llmproxy.WebSocketLimits{
			Message:      int64(ws.MaxMessage),
			Turns:        int(ws.Turns),
			Total:        int(ws.Total),
			PerKey:       int(ws.PerKey),
			FirstMessage: time.Duration(ws.FirstMessage),
			Idle:         time.Duration(ws.IdleTimeout),
			Lifetime:     time.Duration(ws.Lifetime),
			Ping:         time.Duration(ws.Ping),
		},
		RequestBody:           int64(l.RequestBody),
		Upload:                int64(l.Upload),
		Header:                int(l.Header),
		Frame:                 int(l.Frame),
		Concurrent:            int(l.Concurrent),
		ResponseHeaderTimeout: time.Duration(l.ResponseHeaderTimeout),
		StreamIdleTimeout:     time.Duration(l.StreamIdleTimeout),
		ClientIdleTimeout:     time.Duration(l.ClientIdleTimeout),
	}
}

// origins returns the origins that may connect as patterns.
func (w WebSocket) origins() (patterns []string) {
	for _, o := range w.Origins {
		patterns = append(patterns, string(o))
	}
	return patterns
}

func (d Disconnect) router() llmproxy.Disconnect {
	if d.Policy == policyCancel {
		return llmproxy.Cancel
	}
	return llmproxy.Drain(time.Duration(d.Max))
}

const (
	// The root package's.
	defaultClientIdle = 2 * time.Minute
	// Longer than the load balancers before us keep a connection, so that they close it.
	idleTimeout = 5 * time.Minute
	// What the connections have, once the last exchange is settled, to say good-bye.
	closeTimeout = 2 * time.Second
)

// Serve answers on l until stop is closed. Then it takes no more connections, refuses
// new exchanges on those it has, and lets the running ones finish: for at most the
// configured time, and not beyond ctx, whose end ends everything at once. The records of
// all exchanges have been handed over when it returns. It closes l; its error is that of
// the listener.
func (g *Gateway) Serve(ctx context.Context, stop <-chan struct{}, l net.Listener) error {
	s := g.server()
	failed := make(chan error, 1)
	go func() {
		if s.TLSConfig != nil {
			failed <- s.ServeTLS(l, "", "")
			return
		}
		failed <- s.Serve(l)
	}()
	select {
	case err := <-failed:
		g.shutdown(ctx, s)
		return fmt.Errorf("%s: %w", l.Addr(), err)
	case <-stop:
	case <-ctx.Done():
	}
	g.shutdown(ctx, s)
	<-failed // http.ErrServerClosed, at once
	return nil
}

func (g *Gateway) server() *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)            // over TLS
	protocols.SetUnencryptedHTTP2(true) // some SDKs open with it
	return &http.Server{
		Handler:           g,
		Protocols:         &protocols,
		TLSConfig:         g.tls(),
		ReadHeaderTimeout: time.Duration(g.first.Limits.ReadHeaderTimeout),
		// For what is written outside of exchanges; the router moves it as an answer goes on.
		WriteTimeout: cmp.Or(time.Duration(g.first.Limits.ClientIdleTimeout), defaultClientIdle),
		IdleTimeout:  idleTimeout,
		// Above the router's own limit, which answers in the client's dialect.
		MaxHeaderBytes: max(http.DefaultMaxHeaderBytes, 2*int(g.first.Limits.Header)),
		ErrorLog:       slog.NewLogLogger(g.logger.Handler(), slog.LevelWarn),
	}
}

// shutdown ends s in good order.
func (g *Gateway) shutdown(ctx context.Context, s *http.Server) {
	if g.draining != nil {
		g.draining()
	}
	timeout := g.current.Load().config.ShutdownTimeout
	g.logger.Info("shutting down", "timeout", timeout.String())
	closed := make(chan struct{})
	closing, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	go func() {
		defer close(closed)
		// It closes the listener at once, and waits for the connections.
		_ = s.Shutdown(closing)
	}()

	bounded, cancel := context.WithTimeout(ctx, time.Duration(timeout))
	defer cancel()
	if err := g.endGenerations(bounded); err != nil {
		g.logger.Warn("running exchanges were cut short", "reason", err)
	}
	timer := time.NewTimer(closeTimeout)
	defer timer.Stop()
	select {
	case <-closed:
	case <-timer.C:
		giveUp()
		<-closed
		_ = s.Close()
	}
	g.logger.Info("stopped")
}

// Check loads the configuration from s and writes to w what it says, its warnings
// included.
func Check(s Source, w io.Writer) error {
	c, err := s.Load()
	if err != nil {
		return err
	}
	for _, f := range c.Warnings {
		f.Message = "warning: " + f.Message
		fmt.Fprintln(w, f)
	}
	for _, i := range c.Incomplete {
		fmt.Fprintf(w, "warning: %s\n", i)
	}
	fmt.Fprintf(w, "%s: no faults; listens on %s; providers: %s\n", c.origin(), c.Listen, strings.Join(c.providerNames(), ", "))
	return nil
}

// origin says where c was read from.
func (c *Config) origin() string {
	if c.File == "" {
		return "the environment"
	}
	return c.File
}

// logger returns the logger that l describes, which writes to w.
func (l Log) logger(w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: l.Level}
	if l.Format == formatJSON {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
