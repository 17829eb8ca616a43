package llmproxy_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	abrotli "github.com/andybalholm/brotli"
	kzstd "github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// No test may leave a goroutine behind, whatever became of its streams.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	providerKey = "sk-canary-provider"
	clientKey   = "sk-canary-client"
)

// rig is a gateway in front of a simulated provider.
type rig struct {
	t         *testing.T
	simulator *simulator.Server
	provider  string // its URL
	gateway   string // the gateway's URL
	router    *llmproxy.AutoRouter
	records   chan llmproxy.Record // each, as it is made
	log       *strings.Builder
	client    *http.Client
}

// newRig starts both. The provider is named openai; opts come after the rig's own.
func newRig(t *testing.T, opts ...llmproxy.Option) *rig {
	t.Helper()
	return newRigOf(t, simulator.Options{APIKey: providerKey}, openai_compatible.Config{Type: "openai", APIKey: providerKey}, opts...)
}

func newRigOf(t *testing.T, so simulator.Options, config openai_compatible.Config, opts ...llmproxy.Option) *rig {
	t.Helper()
	r := &rig{t: t, simulator: simulator.New(so), records: make(chan llmproxy.Record, 64), log: &strings.Builder{}}
	upstream := httptest.NewServer(r.simulator)
	t.Cleanup(upstream.Close)
	r.provider = upstream.URL
	if config.BaseURL == "" {
		config.BaseURL = upstream.URL
	}
	p, err := openai_compatible.New(config)
	if err != nil {
		t.Fatal(err)
	}
	transport := llmproxy.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	r.router = llmproxy.NewAutoRouter(append([]llmproxy.Option{
		llmproxy.WithProvider(p), llmproxy.WithRecorder(recorder(r.records)), llmproxy.WithTransport(transport),
		llmproxy.WithLogger(slog.New(slog.NewTextHandler(r.log, nil))),
	}, opts...)...)
	gateway := httptest.NewServer(r.router)
	t.Cleanup(gateway.Close)
	r.gateway = gateway.URL
	clientTransport := &http.Transport{DisableCompression: true}
	t.Cleanup(clientTransport.CloseIdleConnections)
	r.client = &http.Client{Transport: clientTransport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return r
}

// recorder sends each record into a channel.
type recorder chan llmproxy.Record

func (r recorder) Begin(context.Context, *llmproxy.Record) error { return nil }

func (r recorder) Record(_ context.Context, rec *llmproxy.Record) error {
	r <- *rec
	return nil
}

// answer is what a client received.
type answer struct {
	status  int
	header  http.Header
	body    string
	trailer http.Header
	err     error // of reading the body
}

// post sends a JSON body; fields are name, value, name, value ….
func (r *rig) post(path, body string, fields ...string) answer {
	r.t.Helper()
	return r.do(r.request("POST", r.gateway+path, strings.NewReader(body), fields...))
}

func (r *rig) request(method, url string, body io.Reader, fields ...string) *http.Request {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, url, body)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+clientKey)
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	return req
}

func (r *rig) do(req *http.Request) answer {
	r.t.Helper()
	resp, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body), resp.Trailer, err}
}

// direct asks the provider itself.
func (r *rig) direct(path, body string, fields ...string) answer {
	r.t.Helper()
	req := r.request("POST", r.provider+path, strings.NewReader(body), fields...)
	req.Header.Set("Authorization", "Bearer "+providerKey)
	return r.do(req)
}

// record waits for the next record.
func (r *rig) record() llmproxy.Record {
	r.t.Helper()
	select {
	case rec := <-r.records:
		return rec
	case <-r.t.Context().Done():
		r.t.Fatal("no record came")
		panic("unreachable")
	}
}

// noMore checks that no record is left.
func (r *rig) noMore() {
	r.t.Helper()
	select {
	case rec := <-r.records:
		r.t.Errorf("a further record: %+v", rec)
	default:
	}
}

// uncalled checks that no request has reached the provider.
func (r *rig) uncalled() {
	r.t.Helper()
	if got := r.simulator.Requests(); len(got) != 0 {
		r.t.Errorf("the provider received %s %s", got[0].Method, got[0].URI)
	}
}

// fault checks that a is an OpenAI error object with status and code.
func (r *rig) fault(a answer, status int, code string) {
	r.t.Helper()
	if a.status != status || !strings.HasPrefix(a.body, `{"error":{"message":"`) || !strings.Contains(a.body, `"code":"`+code+`"}}`) ||
		a.header.Get("Content-Type") != "application/json" || a.header.Get("X-Gateway-Request-Id") == "" {
		r.t.Errorf("got %d %s %v, want %d with code %s", a.status, a.body, a.header, status, code)
	}
}

var errPlanned = errors.New("planned")

// slowRecorder keeps records only when it is let.
type slowRecorder struct{ asked, let chan struct{} }

func (s *slowRecorder) Begin(context.Context, *llmproxy.Record) error { return nil }

func (s *slowRecorder) Record(context.Context, *llmproxy.Record) error {
	close(s.asked)
	<-s.let
	return nil
}

// latest passes on what was written first.
type latest struct{ seen chan string }

func (l *latest) Write(p []byte) (int, error) {
	select {
	case l.seen <- string(p):
	default:
	}
	return len(p), nil
}

// compress codes text with one of the codings of the adapters.
func compress(t *testing.T, coding, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "zstd":
		enc, err := kzstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		w = enc
	case "br":
		w = abrotli.NewWriter(&b)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
