// Package rig is what the tests of all SDKs have in common: a gateway in front of a
// simulated provider, and sessions with it. A session hears every byte that comes back,
// so that what was said through the gateway can be held against what the provider says
// itself, and knows what record each exchange must leave.
//
// It is no part of the product: only tests import it.
package rig

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

// Setup says what a rig is made of.
type Setup struct {
	API       simulator.API // of the provider
	Simulator simulator.Options
	// Upstream answers in place of the simulated provider; nil: it does that itself.
	Upstream http.Handler
	// Provider makes the provider that the gateway calls, at the address base.
	Provider func(base string) (llmproxy.Provider, error)
	// Options come after the rig's own.
	Options []llmproxy.Option

	// Agent is what the SDK's User-Agent begins with.
	Agent string
	// Secrets are the client's. None of them may reach the provider.
	Secrets []string
	// Credential tells what is wrong with the credential of a request that reached the
	// provider; "" if nothing is.
	Credential func(simulator.Request) string
}

// Rig is a gateway in front of a simulated provider.
type Rig struct {
	Simulator *simulator.Server
	Upstream  string // the provider's URL
	Gateway   string // the gateway's URL

	t        *testing.T
	setup    Setup
	provider string // its name
	records  recorder
	compared int // requests of the provider that have been held against a record
}

// New starts both. The gateway also knows a provider that nothing should be sent to.
func New(t *testing.T, setup Setup) *Rig {
	t.Helper()
	r := &Rig{t: t, setup: setup, Simulator: simulator.New(setup.Simulator), records: make(recorder, 64)}
	upstream := setup.Upstream
	if upstream == nil {
		upstream = r.Simulator
	}
	r.Upstream = Serve(t, upstream)
	p, err := setup.Provider(r.Upstream)
	if err != nil {
		t.Fatal(err)
	}
	r.provider = p.Name()
	transport := llmproxy.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	r.Gateway = Serve(t, llmproxy.NewAutoRouter(append([]llmproxy.Option{
		llmproxy.WithProvider(p, decoy(t)), llmproxy.WithRecorder(r.records), llmproxy.WithTransport(transport),
		llmproxy.WithLogger(slog.New(slog.NewTextHandler(t.Output(), nil))),
	}, setup.Options...)...))
	return r
}

// Decoy is the name of the provider that nothing should be sent to.
const Decoy = "decoy"

// decoy returns that provider: it speaks Chat Completions, and nobody answers for it.
func decoy(t *testing.T) llmproxy.Provider {
	t.Helper()
	base, err := llmproxy.NewBaseURL("http://127.0.0.1:1", "/v1", nil)
	if err != nil {
		t.Fatal(err)
	}
	return &llmproxy.BaseProvider{
		ID: Decoy, URLs: base, Speaks: map[llmproxy.APIType]llmproxy.API{llmproxy.APIChatCompletions: {}},
	}
}

// Serve serves h by HTTP/1.1, and by HTTP/2 to clients that begin with it.
func Serve(t *testing.T, h http.Handler) (url string) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

// recorder sends each record into a channel.
type recorder chan llmproxy.Record

func (r recorder) Begin(context.Context, *llmproxy.Record) error { return nil }

func (r recorder) Record(_ context.Context, rec *llmproxy.Record) error {
	r <- *rec
	return nil
}

// Record waits for the next record.
func (r *Rig) Record() llmproxy.Record {
	r.t.Helper()
	select {
	case rec := <-r.records:
		return rec
	case <-r.t.Context().Done():
		r.t.Fatal("no record came")
		panic("unreachable")
	}
}

// Skip passes over the next request of the provider: no record will be held against it.
func (r *Rig) Skip() { r.compared++ }

// Await waits until ok says so of the requests that have reached the provider.
func (r *Rig) Await(ok func([]simulator.Request) bool) {
	r.t.Helper()
	if _, err := r.Simulator.Await(r.t.Context(), ok); err != nil {
		r.t.Fatal(err)
	}
}

// Unset removes the environment variables whose names begin with one of prefixes: SDKs
// read them, and no test may depend on that.
func Unset(prefixes ...string) {
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		for _, prefix := range prefixes {
			if strings.HasPrefix(name, prefix) {
				_ = os.Unsetenv(name)
			}
		}
	}
}
