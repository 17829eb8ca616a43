package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/llmproxy/llmproxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// buffer is a log that several goroutines write.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// watchedListener says when it is closed.
type watchedListener struct {
	net.Listener
	once   sync.Once
	closed chan struct{}
}

func (w *watchedListener) Close() error {
	err := w.Listener.Close()
	w.once.Do(func() { close(w.closed) })
	return err
}

// A running is a gateway that serves before one provider.
type running struct {
	url      string
	gateway  *Gateway
	config   *Config
	log      *buffer
	client   *http.Client
	stop     chan struct{}      // close it to shut down in good order
	kill     context.CancelFunc // ends everything
	listener *watchedListener
	served   chan error // what Serve returned
}

// start serves a configuration of one provider, whose base URL is upstream's.
func start(t *testing.T, upstream http.Handler, change func(*Config)) *running {
	t.Helper()
	u := httptest.NewServer(upstream)
	t.Cleanup(u.Close)
	c := &Config{Providers: []ProviderConfig{{Name: "openai", APIKey: "sk-canary", BaseURL: u.URL}}}
	c.withDefaults()
	if change != nil {
		change(c)
	}
	r := &running{log: &buffer{}, stop: make(chan struct{}), served: make(chan error, 1)}
	logger := Log{Format: formatJSON}.logger(r.log)
	g, err := New(c, Parts{Recorder: LogRecorder(logger)}, logger)
	if err != nil {
		t.Fatal(err)
	}
	r.gateway, r.config = g, c
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.listener = &watchedListener{Listener: l, closed: make(chan struct{})}
	r.url = addressOf(l)
	r.client = &http.Client{Transport: &http.Transport{}}
	ctx, cancel := context.WithCancel(context.Background())
	r.kill = cancel
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.served <- g.Serve(ctx, r.stop, r.listener)
	}()
	t.Cleanup(func() {
		r.client.CloseIdleConnections()
		cancel()
		<-done
	})
	return r
}

// post sends a chat completion.
func (r *running) post(t *testing.T, stream bool) *http.Response {
	t.Helper()
	body := fmt.Sprintf(`{"model":"gpt-5-mini","stream":%t,"messages":[{"role":"user","content":"prompt-canary"}]}`, stream)
	req, err := http.NewRequestWithContext(t.Context(), "POST", r.url+"/v1/chat/completions?query=canary", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer client-canary")
	resp, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// exchanges returns the exchange lines of the log.
func (r *running) exchanges(t *testing.T) (lines []map[string]any) {
	t.Helper()
	for line := range strings.Lines(r.log.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if m["msg"] == "exchange" {
			lines = append(lines, m)
		}
	}
	return lines
}

const answer = `{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-5-mini-2025-08-07",` +
	`"choices":[{"index":0,"message":{"role":"assistant","content":"answer-canary"},"finish_reason":"stop"}],` +
	`"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`

const (
	firstEvent = `data: {"id":"chatcmpl-1","model":"gpt-5-mini-2025-08-07","choices":[{"index":0,"delta":{"content":"answer-canary"}}]}` + "\n\n"
	lastEvents = `data: {"id":"chatcmpl-1","model":"gpt-5-mini-2025-08-07","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],` +
		`"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}` + "\n\ndata: [DONE]\n\n"
)

// gated streams its first event, and the rest once release is closed.
func gated(release <-chan struct{}) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, firstEvent)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-release:
			_, _ = io.WriteString(w, lastEvents)
		case <-r.Context().Done():
		}
	})
}

func plain(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, answer)
}

// An exchange leaves one line with what it used, and with nothing that anyone said.
func TestExchangeIsLogged(t *testing.T) {
	t.Parallel()
	r := start(t, http.HandlerFunc(plain), nil)
	resp := r.post(t, false)
	if body, err := io.ReadAll(resp.Body); string(body) != answer || err != nil {
		t.Fatalf("got %s, %v", body, err)
	}
	lines := r.exchanges(t)
	if len(lines) != 1 {
		t.Fatalf("got %d exchange lines, want 1:\n%s", len(lines), r.log)
	}
	got := lines[0]
	want := map[string]any{
		"level": "INFO", "provider": "openai", "api": "chat_completions", "transport": "http",
		"id":              resp.Header.Get("X-Gateway-Request-Id"),
		"model_requested": "gpt-5-mini", "model": "gpt-5-mini-2025-08-07", "status": 200.0,
		"outcome": "completed", "finish_reason": "stop", "usage_source": "provider",
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %v, want %v", name, got[name], value)
		}
	}
	usage, _ := got["usage"].(map[string]any)
	if usage["prompt_tokens"] != 3.0 || usage["completion_tokens"] != 2.0 {
		t.Errorf("usage is %v", got["usage"])
	}
	if strings.Contains(r.log.String(), "canary") {
		t.Errorf("the log shows what it must not:\n%s", r.log)
	}
}

// After stop nothing new is taken, and the running stream arrives to its last byte.
func TestShutdownWaitsForStreams(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		proto  string
		secure bool
	}{{"HTTP/1.1", false}, {"HTTP/2.0", false}, {"HTTP/1.1", true}, {"HTTP/2.0", true}} {
		proto := tt.proto
		t.Run(fmt.Sprintf("%s, TLS %t", proto, tt.secure), func(t *testing.T) {
			t.Parallel()
			release := make(chan struct{})
			var r *running
			if tt.secure {
				r = startTLS(t, gated(release), proto)
			} else if r = start(t, gated(release), nil); proto == "HTTP/2.0" {
				r.speakHTTP2()
			}
			resp := r.post(t, true)
			body := bufio.NewReader(resp.Body)
			first := make([]byte, len(firstEvent))
			if _, err := io.ReadFull(body, first); err != nil || string(first) != firstEvent || resp.Proto != proto {
				t.Fatalf("got %s %q, %v", resp.Proto, first, err)
			}
			close(r.stop)
			<-r.listener.closed
			if c, err := net.Dial("tcp", r.listener.Addr().String()); err == nil {
				c.Close()
				t.Error("a new connection was taken")
			}
			select {
			case err := <-r.served:
				t.Fatalf("Serve returned %v before the stream was over", err)
			default:
			}
			close(release)
			if rest, err := io.ReadAll(body); err != nil || string(rest) != lastEvents {
				t.Errorf("got %q, %v", rest, err)
			}
			if err := <-r.served; err != nil {
				t.Errorf("Serve: %v", err)
			}
			lines := r.exchanges(t)
			if len(lines) != 1 || lines[0]["outcome"] != "completed" {
				t.Errorf("exchanges: %v", lines)
			}
		})
	}
}

// speakHTTP2 makes the client open with HTTP/2.
func (r *running) speakHTTP2() {
	var h2 http.Protocols
	h2.SetUnencryptedHTTP2(true)
	r.client = &http.Client{Transport: &http.Transport{Protocols: &h2}}
}

// A stream that takes too long is cut, so that no client takes it for whole, and it is
// recorded before Serve returns.
func TestShutdownIsBounded(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*Config)
		end    func(*running)
	}{
		{"timeout", func(c *Config) { c.ShutdownTimeout = 1 }, func(*running) {}},
		{"second signal", nil, func(r *running) { r.kill() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, gated(nil), tt.change)
			resp := r.post(t, true)
			first := make([]byte, len(firstEvent))
			if _, err := io.ReadFull(resp.Body, first); err != nil {
				t.Fatal(err)
			}
			close(r.stop)
			<-r.listener.closed
			tt.end(r)
			if rest, err := io.ReadAll(resp.Body); err == nil {
				t.Errorf("the stream ended as if it were whole, with %q", rest)
			}
			if err := <-r.served; err != nil {
				t.Errorf("Serve: %v", err)
			}
			lines := r.exchanges(t)
			if len(lines) != 1 || lines[0]["outcome"] == "completed" {
				t.Errorf("exchanges: %v", lines)
			}
		})
	}
}

// When the listener fails, Serve says so, and settles what is running.
func TestServeReportsListener(t *testing.T) {
	t.Parallel()
	r := start(t, http.HandlerFunc(plain), nil)
	r.listener.Listener.Close()
	err := <-r.served
	if want := r.listener.Addr().String() + ": "; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s…", err, want)
	}
}

// The data listener speaks HTTP/1.1, and HTTP/2 without an upgrade.
func TestProtocols(t *testing.T) {
	t.Parallel()
	r := start(t, http.HandlerFunc(plain), nil)
	for _, want := range []string{"HTTP/1.1", "HTTP/2.0"} {
		if want == "HTTP/2.0" {
			r.client.CloseIdleConnections()
			r.speakHTTP2()
		}
		resp, err := r.client.Post(r.url+"/v1/chat/completions", "application/json", strings.NewReader(`{"model":"gpt-5-mini"}`))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.Proto != want || string(body) != answer || err != nil {
			t.Errorf("%s: got %s, %s, %v", want, resp.Proto, body, err)
		}
	}
}

// Headers that are too large are refused by the router, in the client's dialect, and not
// by the server.
func TestLargeHeader(t *testing.T) {
	t.Parallel()
	r := start(t, http.HandlerFunc(plain), nil)
	req, err := http.NewRequestWithContext(t.Context(), "POST", r.url+"/v1/chat/completions", strings.NewReader(`{"model":"gpt-5-mini"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Large", strings.Repeat("x", 70<<10))
	resp, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body struct{ Error struct{ Type string } }
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil || resp.StatusCode != 431 || body.Error.Type != "invalid_request_error" {
		t.Errorf("got %s, %+v, %v", resp.Status, body, err)
	}
}

// What the configuration says reaches the router.
func TestConfigIsUsed(t *testing.T) {
	t.Parallel()
	upstream := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"path":%q,"key":%q,"team":%q}`, r.URL.Path, r.Header.Get("Authorization"), r.Header.Get("X-Team"))
	})
	r := start(t, upstream, func(c *Config) {
		other := c.Providers[0]
		other.Name, other.Type, other.APIKey = "mine", "openai_compatible", "other-key"
		other.APIPath, other.Models = "/api", []string{"qwen*"}
		other.Headers = map[string]string{"X-Team": "a"}
		c.Providers = append(c.Providers, other)
		c.Fallback = "mine"
		c.Limits.RequestBody = 40
	})
	for _, tt := range []struct {
		path, body string
		status     int
		want       string
	}{
		{"/v1/chat/completions", `{"model":"qwen3-8b"}`, 200, `{"path":"/api/chat/completions","key":"Bearer other-key","team":"a"}`},
		{"/v1/chat/completions", `{"model":"unheard-of"}`, 200, `{"path":"/api/chat/completions","key":"Bearer other-key","team":"a"}`},
		{"/v1/chat/completions", `{"model":"gpt-5"}`, 200, `{"path":"/v1/chat/completions","key":"Bearer sk-canary","team":""}`},
		{"/v1/chat/completions", `{"model":"` + strings.Repeat("x", 40) + `"}`, 413, ""},
	} {
		resp, err := r.client.Post(r.url+tt.path, "application/json", strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != tt.status || err != nil || tt.want != "" && string(body) != tt.want {
			t.Errorf("%s: got %s, %s, %v, want %d, %s", tt.body, resp.Status, body, err, tt.status, tt.want)
		}
	}
}

// A web page cannot spend the providers' keys, unless its origin was named.
func TestWebPages(t *testing.T) {
	t.Parallel()
	upstream := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{}`) })
	r := start(t, upstream, func(c *Config) { c.Origins = []Origin{"http://localhost:3000"} })
	for _, tt := range []struct {
		origin, site string
		status       int
	}{
		{"", "", 200},
		{"https://evil.example", "cross-site", 403},
		{"http://localhost:9999", "same-site", 403},
		{"null", "cross-site", 403},
		{"http://localhost:3000", "cross-site", 200},
		{r.url, "same-origin", 200},
		{r.url, "", 200}, // an old browser
	} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", r.url+"/v1/chat/completions", strings.NewReader(`{"model":"gpt-5"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "text/plain") // what needs no preflight
		if tt.origin != "" {
			req.Header.Set("Origin", tt.origin)
		}
		if tt.site != "" {
			req.Header.Set("Sec-Fetch-Site", tt.site)
		}
		resp, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != tt.status || err != nil || tt.status == 403 && !strings.Contains(string(body), `"code":"cross_origin"`) {
			t.Errorf("origin %q, %s: got %s, %s, %v", tt.origin, tt.site, resp.Status, body, err)
		}
	}
}

// A name that was pointed at this machine is not this machine's.
func TestHosts(t *testing.T) {
	t.Parallel()
	upstream := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{}`) })
	r := start(t, upstream, func(c *Config) { c.Hosts = []Host{"Gateway.internal"} })
	for host, status := range map[string]int{
		"127.0.0.1:1234": 200, "127.8.8.8": 200, "[::1]:80": 200, "localhost:8080": 200, "LOCALHOST.": 200, "a.localhost": 200,
		"gateway.internal": 200, "gateway.internal:8080": 200,
		"evil.example": 403, "evil.example:8080": 403, "127.0.0.1.evil.example": 403, "10.0.0.1": 403, "localhost.evil.example": 403,
	} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", r.url+"/v1/chat/completions", strings.NewReader(`{"model":"gpt-5"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != status || err != nil || status == 403 && !strings.Contains(string(body), `"code":"unknown_host"`) {
			t.Errorf("%s: got %s, %s, %v, want %d", host, resp.Status, body, err, status)
		}
	}
}

func TestLogRecorderBegins(t *testing.T) {
	t.Parallel()
	var b buffer
	if err := LogRecorder(Log{}.logger(&b)).Begin(t.Context(), &llmproxy.Record{}); err != nil || b.String() != "" {
		t.Errorf("got %v, and wrote %q", err, b.String())
	}
}

func TestLogLevel(t *testing.T) {
	t.Parallel()
	var b buffer
	logger := Log{Level: slog.LevelWarn}.logger(&b)
	logger.Info("not this")
	logger.Warn("this")
	if got := b.String(); strings.Contains(got, "not") || !strings.Contains(got, "msg=this") {
		t.Errorf("got %q", got)
	}
}

func TestUnixSocket(t *testing.T) {
	t.Parallel()
	// Not t.TempDir: its names may be too long for a socket.
	dir, err := os.MkdirTemp("", "llmproxy")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s.sock")
	a := Address{"unix", path}
	first, err := a.listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("the socket is %v, %v", info.Mode(), err)
	}
	if got, want := addressOf(first), "unix:"+path; got != want {
		t.Errorf("the address is %s, want %s", got, want)
	}
	if _, err := a.listen(t.Context()); err == nil || err.Error() != "listen on unix:"+path+": another process listens on this socket" {
		t.Errorf("a socket in use: %v", err)
	}
	// As left behind by a process that was killed.
	stale := first.(*unixListener)
	stale.UnixListener.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Fatal(err)
	}
	second, err := a.listen(t.Context())
	if err != nil {
		t.Fatalf("over a stale socket: %v", err)
	}
	first.Close() // must not take the second's file away
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	second.Close()
	if entries, err := os.ReadDir(dir); len(entries) != 0 || err != nil {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	// A file that is none of ours stays.
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := a.listen(t.Context()); err == nil || err.Error() != "listen on unix:"+path+": a file that is no socket is there already" {
		t.Errorf("a file in the way: %v", err)
	}
	if text, err := os.ReadFile(path); string(text) != "precious" || err != nil {
		t.Errorf("the file is %q, %v", text, err)
	}
	_, err = Address{"unix", filepath.Join(dir, "none", "s.sock")}.listen(t.Context())
	if err == nil || !strings.HasSuffix(err.Error(), "no such file or directory") {
		t.Errorf("a directory that is not there: %v", err)
	}
}

func TestPortTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = Address{"tcp", l.Addr().String()}.listen(t.Context())
	if want := fmt.Sprintf("listen on %s: address already in use; choose another with --listen", l.Addr()); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
