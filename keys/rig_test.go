package keys_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/coderws"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/keys"
	"github.com/llmproxy/llmproxy/providers/anthropic"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

const (
	providerKey = "sk-canary-provider"
	patience    = 2 * time.Minute
	dollar      = llmproxy.USD(1_000_000_000_000)
)

// rig is a gateway that asks for keys, in front of a simulator that is two providers,
// openai and anthropic.
type rig struct {
	t         *testing.T
	store     keys.Memory
	ring      *keys.Ring
	simulator *simulator.Server
	access    *keys.Access
	budget    *keys.Budget
	url       string
	client    *http.Client
	records   chan llmproxy.Record
	log       *logBuffer
}

// logBuffer is a log that many may write.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder // guarded by mu
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// newRig starts both. set may change the interceptors before they are used.
func newRig(t *testing.T, so simulator.Options, set ...func(r *rig)) *rig {
	t.Helper()
	so.APIKey, so.AnyModel = providerKey, true
	r := &rig{t: t, simulator: simulator.New(so), records: make(chan llmproxy.Record, 1024), log: &logBuffer{}}
	logger := slog.New(slog.NewTextHandler(r.log, nil))
	upstream := httptest.NewServer(r.simulator)
	t.Cleanup(upstream.Close)
	openai, err := openai_compatible.New(openai_compatible.Config{Type: "openai", APIKey: providerKey, BaseURL: upstream.URL})
	if err != nil {
		t.Fatal(err)
	}
	claude, err := anthropic.New(anthropic.Config{APIKey: providerKey, BaseURL: upstream.URL + "/anthropic"})
	if err != nil {
		t.Fatal(err)
	}
	if r.ring, err = keys.NewRing(t.Context(), &r.store, keys.RingOptions{Logger: logger}); err != nil {
		t.Fatal(err)
	}
	billing := &llmproxy.BillingCalculator{Lookup: prices}
	r.access = &keys.Access{Keys: r.ring, Owners: keys.NewOwners(nil, keys.OwnersOptions{Logger: logger})}
	r.budget = &keys.Budget{Keys: r.ring, Holder: keys.NewLocal(nil), Billing: billing, Logger: logger}
	for _, f := range set {
		f(r)
	}
	transport := llmproxy.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	router := llmproxy.NewAutoRouter(
		llmproxy.WithProvider(openai, claude), llmproxy.WithFallback("openai"), llmproxy.WithTransport(transport),
		llmproxy.WithRecorder(recorder(r.records)), llmproxy.WithBilling(billing), llmproxy.WithLogger(logger),
		llmproxy.WithInterceptor(r.budget, r.access),
		llmproxy.WithWebSocket(coderws.Upgrader{}, coderws.Dialer{HandshakeTimeout: patience}),
	)
	gateway := httptest.NewServer(keys.Authenticate(r.ring, router))
	t.Cleanup(gateway.Close)
	t.Cleanup(func() { r.simulator.Close() })
	r.url = gateway.URL
	clients := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 256}
	t.Cleanup(clients.CloseIdleConnections)
	r.client = &http.Client{Transport: clients}
	return r
}

// What a token costs in these tests: one of output is dear, so that what is held for a call
// is not much more than what it costs.
const inputRate, outputRate = 10_000, 2_000_000

// prices are those of all models but "free", which costs nothing, and "unknown", of which
// nobody knows.
func prices(q llmproxy.CostQuery) (llmproxy.CostInfo, bool) {
	switch q.Model {
	case "unknown", "":
		return llmproxy.CostInfo{}, false
	case "free":
		return llmproxy.CostInfo{}, true
	}
	return flat(inputRate, outputRate), true
}

// flat is a price of so much for every token of input, and of output.
func flat(in, out llmproxy.Rate) llmproxy.CostInfo {
	return llmproxy.CostInfo{
		Input: in, InputAudio: in, InputImage: in, InputVideo: in, InputTool: in, Citation: in,
		CacheRead: in, CacheReadAudio: in, CacheReadImage: in, CacheWrite: in, CacheWrite1h: in,
		Output: out, Reasoning: out, OutputAudio: out, OutputImage: out,
	}
}

// recorder sends each record into a channel.
type recorder chan llmproxy.Record

func (r recorder) Begin(context.Context, *llmproxy.Record) error { return nil }

func (r recorder) Record(_ context.Context, rec *llmproxy.Record) error {
	r <- *rec
	return nil
}

// key creates k, and returns its secret.
func (r *rig) key(k keys.Key) (keys.Key, string) {
	r.t.Helper()
	if k.Name == "" {
		k.Name = "test"
	}
	k, secret, err := keys.New(k, time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.store.Create(r.t.Context(), k); err != nil {
		r.t.Fatal(err)
	}
	if err := r.ring.Refresh(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	return k, string(secret)
}

// answer is what a client received.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request with a secret; fields are name, value ….
func (r *rig) do(method, path, secret, body string, fields ...string) answer {
	r.t.Helper()
	a, err := r.try(method, path, secret, body, fields...)
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

func (r *rig) try(method, path, secret, body string, fields ...string) (answer, error) {
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if secret != "" {
		req.Header.Set("Authorization", "Bearer "+secret)
	}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(text)}, err
}

// want checks the status of a, and that its body has part.
func (a answer) want(t *testing.T, what string, status int, part string) {
	t.Helper()
	if a.status != status || !strings.Contains(a.body, part) {
		t.Errorf("%s: got %d %s, want %d with %q", what, a.status, a.body, status, part)
	}
}
