package prometheus_test

import (
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/prometheus"
	"github.com/llmproxy/llmproxy/interceptors"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/openai"
)

var update = flag.Bool("update", false, "rewrite the golden file")

// histogram has one value in each of the buckets of the bounds.
func histogram(sum int64, bounds ...int64) interceptors.Histogram {
	counts := make([]int64, len(bounds)+1)
	for i := range counts {
		counts[i] = 1
	}
	return interceptors.Histogram{Bounds: bounds, Counts: counts, Sum: sum}
}

// snapshot has all that a series can have, and one with little.
func snapshot() interceptors.MetricsSnapshot {
	return interceptors.MetricsSnapshot{
		{
			MetricLabels: interceptors.MetricLabels{Operation: "chat", Provider: "openai", Model: "a \"quoted\\\" name\nof two lines \xff"},
			Duration:     histogram(int64(1500*time.Millisecond), int64(10*time.Millisecond), int64(1280*time.Millisecond)),

			TimeToFirstToken:   histogram(int64(60*time.Millisecond), int64(time.Millisecond)),
			TimePerOutputToken: histogram(int64(25*time.Millisecond), int64(25*time.Millisecond)),
			InputTokens:        histogram(1034, 1, 1024), OutputTokens: histogram(5, 4),
			CacheRead: 512, CacheWrite: 128, Reasoning: 3,
			Cost: 1_250_000_000_001, Unpriced: 2,
		},
		{
			MetricLabels: interceptors.MetricLabels{Operation: "other", Error: "429"},
			Duration:     histogram(1, 10),
		},
	}
}

// The names are an interface: dashboards and alerts hold them.
func TestText(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := prometheus.Write(&b, snapshot()); err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/metrics.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// Every line is one of the format's.
func TestLines(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := prometheus.Write(&b, snapshot()); err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`^(# HELP [a-z_]+ [^\n]+|# TYPE [a-z_]+ (counter|histogram)|[a-z_]+\{[a-z_]+="([^"\\\n]|\\["\\n])*"(,[a-z_]+="([^"\\\n]|\\["\\n])*")*\} [0-9.e+-]+)$`)
	for l := range strings.Lines(b.String()) {
		if !line.MatchString(strings.TrimSuffix(l, "\n")) {
			t.Errorf("%q", l)
		}
	}
}

type failing struct{}

var errFull = errors.New("full")

func (failing) Write([]byte) (int, error) { return 0, errFull }

func TestWriteReturnsTheWritersError(t *testing.T) {
	t.Parallel()
	if err := prometheus.Write(failing{}, snapshot()); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
}

func TestHandler(t *testing.T) {
	t.Parallel()
	up := httptest.NewServer(simulator.New(simulator.Options{}))
	defer up.Close()
	p, err := openai.New(openai.Config{APIKey: "sk-canary", BaseURL: up.URL})
	if err != nil {
		t.Fatal(err)
	}
	transport := llmproxy.NewTransport()
	defer transport.CloseIdleConnections()
	m := &interceptors.Metrics{}
	router := llmproxy.NewAutoRouter(llmproxy.WithProvider(p), llmproxy.WithInterceptor(m), llmproxy.WithTransport(transport))
	ask := httptest.NewRequestWithContext(llmproxy.WithCaller(context.Background(), llmproxy.Caller{Key: "canary-key"}),
		http.MethodPost, "/v1/chat/completions", strings.NewReader(`{"model":"gpt-5-mini","messages":[{"role":"user","content":"hello"}]}`))
	router.ServeHTTP(httptest.NewRecorder(), ask)

	h := prometheus.Handler(m)
	for _, tt := range []struct {
		method string
		status int
		body   bool
	}{{http.MethodGet, 200, true}, {http.MethodHead, 200, false}, {http.MethodPost, 405, true}} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(tt.method, "/metrics", nil))
		body, _ := io.ReadAll(w.Body)
		if w.Code != tt.status || (len(body) > 0) != tt.body {
			t.Errorf("%s: got %d %s", tt.method, w.Code, body)
		}
		if tt.status == 405 {
			if w.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("Allow is %q", w.Header().Get("Allow"))
			}
			continue
		}
		if got := w.Header().Get("Content-Type"); got != prometheus.ContentType {
			t.Errorf("%s: Content-Type is %s", tt.method, got)
		}
		want := `gen_ai_server_request_duration_seconds_count{gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-5-mini"} 1` + "\n"
		if tt.body && !strings.Contains(string(body), want) {
			t.Errorf("got\n%s\nwithout\n%s", body, want)
		}
		if strings.Contains(string(body), "canary") {
			t.Errorf("a key is in\n%s", body)
		}
	}
}
