package bedrock_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/bedrock"
)

// No test may leave a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	// address is the runtime's, without TLS: the tests' transport dials their own server.
	address = "http://bedrock-runtime.us-east-1.amazonaws.com"

	ourKey, ourSecret, ourSession = "AKIDOURS", "canary-secret", "canary-session=="
	ourToken                      = "canary-bearer"
)

// sent is a request as it reached AWS.
type sent struct {
	method, uri, host string
	header            http.Header
	body              string
	length            int64 // as announced; -1 if it was not
}

// rig is a router with one provider, whose AWS is a test server.
type rig struct {
	t       *testing.T
	url     string // the gateway's
	client  *http.Client
	records chan llmproxy.Record

	mu     sync.Mutex // guards the following
	got    sent
	answer http.HandlerFunc
}

func newRig(t *testing.T, c bedrock.Config, opts ...llmproxy.Option) *rig {
	t.Helper()
	g := &rig{t: t, records: make(chan llmproxy.Record, 8)}
	aws := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		g.mu.Lock()
		g.got = sent{r.Method, r.RequestURI, r.Host, r.Header, string(body), r.ContentLength}
		answer := g.answer
		g.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(aws.Close)
	if c.BaseURL == "" {
		c.BaseURL = address
	}
	p, err := bedrock.New(c)
	if err != nil {
		t.Fatal(err)
	}
	transport := llmproxy.NewTransport()
	transport.Proxy = nil
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, aws.Listener.Addr().String())
	}
	t.Cleanup(transport.CloseIdleConnections)
	gateway := httptest.NewServer(llmproxy.NewAutoRouter(append([]llmproxy.Option{
		llmproxy.WithProvider(p), llmproxy.WithRecorder(recorder(g.records)), llmproxy.WithTransport(transport),
	}, opts...)...))
	t.Cleanup(gateway.Close)
	g.url = gateway.URL
	clients := &http.Transport{DisableCompression: true}
	t.Cleanup(clients.CloseIdleConnections)
	g.client = &http.Client{Transport: clients}
	g.answers(http.StatusOK, http.Header{"Content-Type": {"application/json"}}, "{}")
	return g
}

// answers sets what AWS answers, in pieces whose sizes fit no frame.
func (g *rig) answers(status int, header http.Header, body string) {
	g.answerWith(func(w http.ResponseWriter, _ *http.Request) {
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
		rest := body
		for i := 0; rest != ""; i++ {
			n := min([]int{1, 7, 131, 3, 1021, 61, 4099}[i%7], len(rest))
			_, _ = io.WriteString(w, rest[:n])
			rest = rest[n:]
			_ = http.NewResponseController(w).Flush()
		}
	})
}

func (g *rig) answerWith(answer http.HandlerFunc) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answer = answer
}

// received is what a client got.
type received struct {
	status          int
	header, trailer http.Header
	body            string
	err             error // of reading the body
}

// send sends a request through the gateway, and returns it as it reached AWS, and the
// answer.
func (g *rig) send(method, target, body string, header http.Header) (sent, received) {
	g.t.Helper()
	return g.sendFrom(method, target, strings.NewReader(body), header)
}

func (g *rig) sendFrom(method, target string, body io.Reader, header http.Header) (sent, received) {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), method, g.url+target, body)
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for name, values := range header {
		r.Header[name] = values
	}
	g.mu.Lock()
	g.got = sent{}
	g.mu.Unlock()
	resp, err := g.client.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.got, received{resp.StatusCode, resp.Header, resp.Trailer, string(text), err}
}

// record waits for the next record.
func (g *rig) record() llmproxy.Record {
	g.t.Helper()
	select {
	case r := <-g.records:
		return r
	case <-g.t.Context().Done():
		g.t.Fatal("no record came")
		panic("unreachable")
	}
}

// recorder sends each record into a channel.
type recorder chan llmproxy.Record

func (r recorder) Begin(context.Context, *llmproxy.Record) error { return nil }

func (r recorder) Record(_ context.Context, rec *llmproxy.Record) error {
	r <- *rec
	return nil
}
