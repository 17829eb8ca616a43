package rig

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/coderws"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

// Patience bounds the waits of tests for what must come.
const Patience = 30 * time.Second

// Sockets is a rig whose gateway serves WebSockets, and bills their turns by [Prices].
type Sockets struct {
	*Rig
	Router *llmproxy.AutoRouter

	mu    sync.Mutex
	bills []bill // guarded by mu
}

// bill is what the gateway's callback was told of one turn.
type bill struct {
	turn int
	id   string // of the response
	cost llmproxy.USD
	ok   bool // cost is known
}

// NewSockets starts a rig as [New] does. At the end of the test its sockets are closed
// before its servers, and none may be left.
func NewSockets(t *testing.T, setup Setup) *Sockets {
	t.Helper()
	s := &Sockets{}
	records := make(recorder, 4096) // an exchange waits where its record has no room
	setup.Options = append([]llmproxy.Option{
		llmproxy.WithWebSocket(coderws.Upgrader{}, coderws.Dialer{}),
		llmproxy.WithBilling(&llmproxy.BillingCalculator{Lookup: Prices}),
		llmproxy.WithWSBillingCallback(s.billed),
		llmproxy.WithRecorder(records),
		func(a *llmproxy.AutoRouter) { s.Router = a },
	}, setup.Options...)
	s.Rig = New(t, setup)
	s.records = records
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		defer cancel()
		if err := s.Router.Shutdown(ctx); err != nil {
			t.Errorf("the gateway does not shut down: %v", err)
		}
		if err := s.Simulator.AwaitNoSockets(ctx); err != nil {
			t.Errorf("a socket to the provider is left: %v", err)
		}
		s.Simulator.Close()
	})
	return s
}

func (s *Sockets) billed(turn int, meta llmproxy.ResponseMetadata, billing *llmproxy.BillingResult) {
	b := bill{turn: turn, id: meta.ID}
	if billing != nil {
		b.cost, b.ok = billing.Cost, billing.CostKnown
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bills = append(s.bills, b)
}

// DirectTo returns a session with a provider that the test keeps in its hands. Its base
// URL ends in path.
func DirectTo(t *testing.T, setup Setup, provider *simulator.Server, path string) *Session {
	t.Helper()
	url := Serve(t, provider)
	t.Cleanup(provider.Close) // its sockets, before the server
	return newSession(t, setup, url+path, false)
}

// SocketClient returns a client for SDKs that open WebSockets with it. It hears nothing:
// what comes over a socket is for the test to keep with Hear.
func (s *Session) SocketClient() *http.Client { return &http.Client{Transport: s.tap.transport} }

// price is that of a model, in picodollars a token.
type price struct{ input, cached, written, output, reasoning int64 }

// priceOf returns the price of a model, or of its snapshot. No two rates are alike, and
// none is a multiple of another.
func priceOf(model string) (price, bool) {
	switch Snapshot(simulator.OpenAI, model) {
	case "gpt-5-mini-2025-08-07":
		return price{250_007, 25_013, 312_509, 2_000_003, 2_100_011}, true
	case "gpt-5-reason":
		return price{1_250_003, 125_017, 1_562_527, 10_000_019, 10_100_009}, true
	case "gpt-4o-mini-2024-07-18":
		return price{150_011, 75_011, 187_507, 600_011, 610_031}, true
	}
	return price{}, false
}

// Prices is the price list of rigs with WebSockets.
func Prices(q llmproxy.CostQuery) (llmproxy.CostInfo, bool) {
	p, ok := priceOf(q.Model)
	return llmproxy.CostInfo{
		Input: llmproxy.Rate(p.input), CacheRead: llmproxy.Rate(p.cached), CacheWrite: llmproxy.Rate(p.written),
		Output: llmproxy.Rate(p.output), Reasoning: llmproxy.Rate(p.reasoning),
	}, ok
}

// cost is what u costs with the model, by arithmetic of our own.
func cost(model string, u simulator.Usage) (llmproxy.USD, bool) {
	p, ok := priceOf(model)
	return llmproxy.USD((u.Prompt-u.Cached-u.CacheWrite)*p.input + u.Cached*p.cached + u.CacheWrite*p.written +
		(u.Completion-u.Reasoning)*p.output + u.Reasoning*p.reasoning), ok
}

// Pending returns how many records there are that nobody has looked at.
func (s *Sockets) Pending() int { return len(s.records) }
