package vertexai_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/vertexai"
)

const (
	ourKey    = "AIza-canary-ours"
	ourToken  = "ya29.canary-ours"
	clientKey = "AIza-canary-client"
)

// sent is what reached Google: the path with its query, the body, the key and the token.
type sent struct{ target, body, key, token string }

// received is what the client got.
type received struct {
	status            int
	contentType, body string
	header, trailer   http.Header
}

// gateway is a router with one provider whose Vertex AI is a test server.
type gateway struct {
	t       *testing.T
	url     string
	sent    sent        // what Google got, of the last request
	header  http.Header // of that
	records chan llmproxy.Record
	log     *strings.Builder

	mu     sync.Mutex       // guards the following
	answer http.HandlerFunc // what Google answers
	got    sent
	fields http.Header
}

func newGateway(t *testing.T, c vertexai.Config) *gateway {
	t.Helper()
	g := &gateway{t: t, records: make(chan llmproxy.Record, 1), log: &strings.Builder{}}
	google := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		g.mu.Lock()
		g.got = sent{r.RequestURI, string(body), strings.Join(r.Header["X-Goog-Api-Key"], ","), strings.Join(r.Header["Authorization"], ",")}
		g.fields = r.Header
		answer := g.answer
		g.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(google.Close)
	if c.BaseURL == "" {
		c.BaseURL = google.URL
	}
	p, err := vertexai.New(c)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(llmproxy.NewAutoRouter(
		llmproxy.WithProvider(p), llmproxy.WithRecorder(recorder(g.records)),
		llmproxy.WithLogger(slog.New(slog.NewTextHandler(g.log, nil))),
	))
	t.Cleanup(server.Close)
	g.url = server.URL
	g.answers(http.StatusOK, map[string]string{"content-type": "application/json"}, "{}")
	return g
}

// answers sets what Google answers, in odd pieces.
func (g *gateway) answers(status int, header map[string]string, body string) {
	g.answerWith(func(w http.ResponseWriter, _ *http.Request) {
		for name, value := range header {
			w.Header().Set(name, value)
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

func (g *gateway) answerWith(answer http.HandlerFunc) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answer = answer
}

// post sends a JSON body as a client does that has keys and cookies.
func (g *gateway) post(target, body string) received {
	g.t.Helper()
	return g.do(http.MethodPost, target, body)
}

func (g *gateway) do(method, target, body string) received {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), method, g.url+target, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "X-Goog-Api-Key": clientKey,
		"Authorization": "Bearer " + clientKey, "Cookie": "k=" + clientKey,
	} {
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sent, g.header = g.got, g.fields
	g.got, g.fields = sent{}, nil
	return received{resp.StatusCode, resp.Header.Get("Content-Type"), string(text), resp.Header, resp.Trailer}
}

// record waits for the record of the last exchange.
func (g *gateway) record() llmproxy.Record {
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
