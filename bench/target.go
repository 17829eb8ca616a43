package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/bench/internal/reference"
	"github.com/llmproxy/llmproxy/internal/gateway"
	"github.com/llmproxy/llmproxy/providers/openai"
)

// Target is what stands between the clients and an Upstream.
type Target struct {
	Name      string
	Withholds bool // it keeps usage from clients that did not ask for it
	// Handler returns the handler that forwards to upstream, a host and port, and a
	// function that tells what the handler did wrong. It is nil for Direct.
	Handler func(upstream string) (h http.Handler, verify func() error, err error)
}

// The targets. Direct is no target at all: what the clients and the Upstream cost.
var (
	Direct       = Target{Name: "direct"}
	ReverseProxy = Target{Name: "reverseproxy", Handler: func(upstream string) (http.Handler, func() error, error) {
		return reference.New(upstream), func() error { return nil }, nil
	}}
	Gateway = Target{Name: "llmproxy", Withholds: true, Handler: func(upstream string) (http.Handler, func() error, error) {
		return newGateway(upstream, nil)
	}}
	// LoggingGateway also writes a JSON log line about each exchange.
	LoggingGateway = Target{Name: "llmproxy-log", Withholds: true, Handler: func(upstream string) (http.Handler, func() error, error) {
		return newGateway(upstream, gateway.LogRecorder(slog.New(slog.NewJSONHandler(io.Discard, nil))))
	}}
)

// newGateway returns a router to upstream, a host and port, that meters and records.
func newGateway(upstream string, next llmproxy.Recorder) (http.Handler, func() error, error) {
	p, err := openai.New(openai.Config{APIKey: "sk-none", BaseURL: "http://" + upstream})
	if err != nil {
		return nil, nil, err
	}
	r := &recorder{next: next}
	return llmproxy.NewAutoRouter(llmproxy.WithProvider(p), llmproxy.WithRecorder(r)), r.verify, nil
}

// recorder looks at records and keeps none.
type recorder struct {
	next  llmproxy.Recorder // nil: there is none
	begun atomic.Int64
	good  atomic.Int64 // completed, with the usage that the provider sent
}

func (r *recorder) Begin(context.Context, *llmproxy.Record) error {
	r.begun.Add(1)
	return nil
}

func (r *recorder) Record(ctx context.Context, rec *llmproxy.Record) error {
	if rec.Outcome == llmproxy.OutcomeCompleted && rec.Usage.PromptTokens == 215 && rec.Usage.CacheRead == 64 && rec.Usage.CompletionTokens == 100 {
		r.good.Add(1)
	}
	if r.next == nil {
		return nil
	}
	return r.next.Record(ctx, rec)
}

func (r *recorder) verify() error {
	if begun, good := r.begun.Load(), r.good.Load(); begun != good {
		return fmt.Errorf("%d exchanges of %d have the right record", good, begun)
	}
	return nil
}

// Running is a target that listens.
type Running struct {
	addr   string
	server *http.Server
	verify func() error
	served chan error
	once   sync.Once
	err    error
}

// Start starts the target in front of u, on a free port of the loopback address. It must
// be closed.
func (t Target) Start(u *Upstream) (*Running, error) {
	if t.Handler == nil {
		return &Running{addr: u.Addr()}, nil
	}
	h, verify, err := t.Handler(u.Addr())
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Running{addr: l.Addr().String(), verify: verify, served: make(chan error, 1)}
	r.server = &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { r.served <- r.server.Serve(l) }()
	return r, nil
}

// Addr is the host and port of the target.
func (r *Running) Addr() string { return r.addr }

// Close ends the target, and reports what it did wrong.
func (r *Running) Close() error {
	r.once.Do(func() {
		if r.server == nil {
			return
		}
		r.err = r.server.Close()
		if err := <-r.served; !errors.Is(err, http.ErrServerClosed) {
			r.err = err
		}
		r.err = errors.Join(r.err, r.verify())
	})
	return r.err
}
