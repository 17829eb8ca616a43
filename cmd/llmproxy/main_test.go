package main

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"llmproxy": main})
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{Dir: "testdata", RequireExplicitExec: true})
}

// A program is a running llmproxy.
type program struct {
	*exec.Cmd
	stdout, stderr *output
}

// output is what a program writes, line by line.
type output struct {
	lines *bufio.Scanner
	seen  strings.Builder
}

// next returns the first submatch of pattern in a line that is yet to come.
func (o *output) next(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for o.lines.Scan() {
		o.seen.WriteString(o.lines.Text() + "\n")
		if m := re.FindStringSubmatch(o.lines.Text()); m != nil {
			return m[len(m)-1]
		}
	}
	t.Fatalf("no line matches %s in\n%s", pattern, &o.seen)
	return ""
}

// rest reads to the end.
func (o *output) rest() string {
	for o.lines.Scan() {
		o.seen.WriteString(o.lines.Text() + "\n")
	}
	return o.seen.String()
}

// start runs llmproxy in an empty directory, with no variables but env and PATH.
func start(t *testing.T, env []string, args ...string) *program {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "llmproxy", args...)
	cmd.Dir = t.TempDir()
	// Under the race detector a program waits a second before it exits.
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0"}, env...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &program{cmd, &output{lines: bufio.NewScanner(stdout)}, &output{lines: bufio.NewScanner(stderr)}}
}

// end waits for p and checks its exit code. Its output must have been read.
func (p *program) end(t *testing.T, code int) {
	t.Helper()
	err := p.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if got := p.ProcessState.ExitCode(); got != code {
		t.Errorf("exit code %d, want %d\n%s", got, code, &p.stderr.seen)
	}
}

func (p *program) interrupt(t *testing.T) {
	t.Helper()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

// client returns an HTTP client without idle connections.
func client() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
}

// config writes a configuration for the provider at url and returns its file.
func config(t *testing.T, url, more string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	text := fmt.Sprintf("providers:\n  openai: {api_key: \"${KEY}\", base_url: %q}\n%s", url, more)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const request = `{"model":"gpt-5-mini","stream":true,"messages":[{"role":"user","content":"prompt-canary"}]}`

// After the first signal a running stream arrives whole; the exit code is 0, and neither
// a key nor a prompt is in what was written.
func TestServeShutsDownInOrder(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	provider := httptest.NewServer(simulator.New(simulator.Options{
		APIKey: "sk-canary",
		Script: func(*http.Request) simulator.Script {
			return simulator.Script{BeforeEvent: simulator.At(2, simulator.Until(gate))}
		},
	}))
	defer provider.Close()
	p := start(t, []string{"KEY=sk-canary"}, "serve", "--listen", "127.0.0.1:0", "--config", config(t, provider.URL, "log: {format: json}\n"))
	url := p.stderr.next(t, `"msg":"listening","address":"([^"]+)","providers":"openai"`)

	resp, err := client().Post(url+"/v1/chat/completions", "application/json", strings.NewReader(request))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body := bufio.NewReader(resp.Body)
	if first, err := body.ReadString('\n'); err != nil || !strings.HasPrefix(first, "data: {") {
		t.Fatalf("got %q, %v", first, err)
	}
	p.interrupt(t)
	p.stderr.next(t, `"msg":"shutting down"`)
	close(gate)
	rest, err := io.ReadAll(body)
	if err != nil || !strings.HasSuffix(string(rest), "data: [DONE]\n\n") {
		t.Errorf("got %q, %v", rest, err)
	}
	log := p.stderr.rest()
	p.end(t, 0)
	if !strings.Contains(log, `"outcome":"completed"`) {
		t.Errorf("no exchange that was completed in\n%s", log)
	}
	if out := p.stdout.rest(); out != "" || strings.Contains(log, "canary") {
		t.Errorf("wrote %q and\n%s", out, log)
	}
}

// The second signal ends a running stream at once, and not as if it were whole.
func TestServeEndsAtSecondSignal(t *testing.T) {
	t.Parallel()
	provider := httptest.NewServer(simulator.New(simulator.Options{
		Script: func(*http.Request) simulator.Script {
			return simulator.Script{BeforeEvent: simulator.At(2, simulator.Never)}
		},
	}))
	defer provider.Close()
	p := start(t, []string{"KEY=k"}, "serve", "--listen", "127.0.0.1:0", "--config", config(t, provider.URL, ""))
	url := p.stderr.next(t, `msg=listening address=(\S+)`)
	resp, err := client().Post(url+"/v1/chat/completions", "application/json", strings.NewReader(request))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body := bufio.NewReader(resp.Body)
	if _, err := body.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	p.interrupt(t)
	p.stderr.next(t, `msg="shutting down"`)
	p.interrupt(t)
	if rest, err := io.ReadAll(body); err == nil {
		t.Errorf("the stream ended as if it were whole, with %q", rest)
	}
	log := p.stderr.rest()
	p.stdout.rest()
	p.end(t, 0)
	if !strings.Contains(log, "msg=exchange") || strings.Contains(log, "outcome=completed") {
		t.Errorf("the log is\n%s", log)
	}
}

func TestServeOnUnixSocket(t *testing.T) {
	t.Parallel()
	provider := httptest.NewServer(simulator.New(simulator.Options{}))
	defer provider.Close()
	// Not t.TempDir: its names may be too long for a socket.
	dir, err := os.MkdirTemp("", "llmproxy")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	file := config(t, provider.URL, "listen: unix:"+filepath.Join(dir, "s.sock")+"\n")
	p := start(t, []string{"KEY=k"}, "serve", "--config", file)
	address := p.stderr.next(t, `msg=listening address=unix:(\S+)`)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", address)
	}
	unix := &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	resp, err := unix.Post("http://gateway/chat/completions", "application/json", strings.NewReader(request))
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); err != nil || !strings.HasSuffix(string(body), "data: [DONE]\n\n") {
		t.Errorf("got %q, %v", body, err)
	}
	resp.Body.Close()

	second := start(t, []string{"KEY=k"}, "serve", "--config", file)
	if got, want := second.stderr.rest(), "llmproxy: listen on unix:"+address+": another process listens on this socket\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	second.stdout.rest()
	second.end(t, 1)

	p.interrupt(t)
	p.stderr.rest()
	p.stdout.rest()
	p.end(t, 0)
	if _, err := os.Lstat(address); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}

// With tls the gateway speaks it, and says so.
func TestServeTLS(t *testing.T) {
	t.Parallel()
	provider := httptest.NewServer(simulator.New(simulator.Options{}))
	defer provider.Close()
	secure := httptest.NewUnstartedServer(nil) // for its certificate, and a client that trusts it
	secure.EnableHTTP2 = true
	secure.StartTLS()
	defer secure.Close()
	pair := secure.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	file := config(t, provider.URL, "tls: {cert: tls/server.pem, key: tls/server.key}\n")
	dir := filepath.Join(filepath.Dir(file), "tls")
	if err := errors.Join(
		os.Mkdir(dir, 0o700),
		os.WriteFile(filepath.Join(dir, "server.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}), 0o600),
		os.WriteFile(filepath.Join(dir, "server.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	p := start(t, []string{"KEY=k"}, "serve", "--listen", "127.0.0.1:0", "--config", file)
	url := p.stderr.next(t, `msg=listening address=(https://\S+)`)
	resp, err := secure.Client().Post(url+"/v1/chat/completions", "application/json", strings.NewReader(request))
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); resp.Proto != "HTTP/2.0" || err != nil || !strings.HasSuffix(string(body), "data: [DONE]\n\n") {
		t.Errorf("got %s, %q, %v", resp.Proto, body, err)
	}
	resp.Body.Close()
	secure.Client().CloseIdleConnections()
	p.interrupt(t)
	p.stderr.rest()
	p.stdout.rest()
	p.end(t, 0)
}

func TestServePortTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := start(t, []string{"OPENAI_API_KEY=k"}, "serve", "--listen", l.Addr().String())
	want := fmt.Sprintf("llmproxy: listen on %s: address already in use; choose another with --listen\n", l.Addr())
	if got := p.stderr.rest(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	p.stdout.rest()
	p.end(t, 1)
}

// What the environment says about the way to a provider is heeded: a proxy, and a
// certificate authority of one's own.
func TestServeReachesProviders(t *testing.T) {
	t.Parallel()
	provider := simulator.New(simulator.Options{})
	secure := httptest.NewTLSServer(provider)
	defer secure.Close()
	pool := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(pool, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	proxied := make(chan string, 1)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxied <- r.Method + " " + r.URL.String()
		provider.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	for _, tt := range []struct {
		name, env, url string
		proxied        string // what the proxy is asked for
	}{
		{"authority", "SSL_CERT_FILE=" + pool, secure.URL, ""},
		{"proxy", "HTTP_PROXY=" + proxy.URL, "http://provider.invalid", "POST http://provider.invalid/v1/chat/completions"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t, []string{"KEY=k", tt.env}, "serve", "--listen", "127.0.0.1:0", "--config", config(t, tt.url, ""))
			url := p.stderr.next(t, `msg=listening address=(\S+)`)
			resp, err := client().Post(url+"/v1/chat/completions", "application/json", strings.NewReader(request))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if body, err := io.ReadAll(resp.Body); err != nil || !strings.HasSuffix(string(body), "data: [DONE]\n\n") {
				t.Errorf("got %s, %q, %v", resp.Status, body, err)
			}
			if tt.proxied != "" {
				if got := <-proxied; got != tt.proxied {
					t.Errorf("the proxy was asked for %s, want %s", got, tt.proxied)
				}
			}
			p.interrupt(t)
			p.stderr.rest()
			p.stdout.rest()
			p.end(t, 0)
		})
	}
}

// Without a file the environment is the configuration; what it has half of is named in
// the log, and no value is.
func TestServeFromEnvironment(t *testing.T) {
	t.Parallel()
	env := []string{
		"GROQ_API_KEY=sk-canary", "OPENAI_API_KEY=sk-canary", "GEMINI_API_KEY=sk-canary", "AZURE_OPENAI_API_KEY=sk-canary",
		"AWS_REGION=us-east-1", "AWS_BEARER_TOKEN_BEDROCK=sk-canary",
	}
	p := start(t, env, "serve", "--listen", "127.0.0.1:0")
	p.stderr.next(t, `msg="a provider is left out: a variable is missing" provider=azure set=AZURE_OPENAI_API_KEY missing=AZURE_OPENAI_RESOURCE$`)
	p.stderr.next(t, `msg=listening address=\S+ providers=openai,googleai,bedrock,groq `)
	p.interrupt(t)
	if log := p.stderr.rest(); strings.Contains(log, "canary") {
		t.Errorf("a key is in the log:\n%s", log)
	}
	p.stdout.rest()
	p.end(t, 0)
}

// The demo routes, meters and serves, and leaves no file behind.
func TestDemo(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "demo", "--listen", "127.0.0.1:0")
	url := p.stdout.next(t, `a gateway at (http://\S+)\.$`)
	p.stdout.next(t, "SIMULATED")
	// Request, kind, provider, model, status, tokens in, tokens out, and two times.
	for _, row := range []string{
		`POST /v1/chat/completions +json +openai +gpt-5-mini-2025-08-07 +200 +5 +7 `,
		`POST /v1/chat/completions +sse +openai +gpt-5-mini-2025-08-07 +200 +5 +7 `,
		`POST /v1/chat/completions +sse +groq +llama-3.3-70b-versatile +200 +5 +7 `,
		`POST /v1/responses +json +openai +gpt-5-mini-2025-08-07 +200 +5 +7 `,
		`POST /v1/responses +sse +groq +openai/gpt-oss-120b +200 +5 +7 `,
		`POST /v1/completions +json +openai +gpt-3.5-turbo-instruct +200 +4 +6 `,
		`POST /v1/completions +sse +openai +gpt-3.5-turbo-instruct +200 +4 +6 `,
		`POST /v1/embeddings +json +openai +text-embedding-3-small +200 +5 +0 `,
		`POST /v1/messages +json +anthropic +claude-sonnet-4-5-20250929 +200 +5 +7 `,
		`POST /v1/messages +sse +anthropic +claude-sonnet-4-5-20250929 +200 +5 +7 `,
		`POST /v1beta/models/…:generateContent +json +googleai +gemini-2.5-flash +200 +5 +7 `,
		`POST /v1beta/models/…:streamGenerateContent +sse +googleai +gemini-2.5-flash +200 +5 +7 `,
		`POST /model/…/converse +json +bedrock +amazon.nova-micro-v1:0 +200 +5 +7 `,
		`POST /model/…/converse-stream +eventstream +bedrock +amazon.nova-micro-v1:0 +200 +5 +7 `,
		`POST /openai/deployments/…/chat/completions +json +azure +gpt-4o-mini-2024-07-18 +200 +5 +7 `,
		`POST /v1/chat/completions +sse +azure +gpt-4o-mini-2024-07-18 +200 +5 +7 `,
		`POST /v2/chat +json +cohere +command-r7b-12-2024 +200 +5 +7 `,
		`POST /v2/chat +sse +cohere +command-r7b-12-2024 +200 +5 +7 `,
		`POST /groq/openai/v1/chat/completions +json +groq +llama-3.3-70b-versatile +200 +5 +7 `,
		`GET /v1/models +json +openai +- +200 +- +- `,
	} {
		p.stdout.next(t, `^`+row+` *(0\.0\d+|-) +\d+\.\d ms +\d+\.\d ms$`)
	}
	for _, row := range []string{
		`1 +openai +gpt-5-mini-2025-08-07 +completed +9 +2 +0.00000625 +calls the tool price_of$`,
		`2 +openai +gpt-5-mini-2025-08-07 +completed +14 +5 +0.0000135 +gets its result$`,
		`3 +openai +gpt-5-mini-2025-08-07 +completed +23 +6 +0.00001775 +goes on from there$`,
		`PROVIDER +EXCHANGES +ERRORS +TOKENS IN +CACHED +OUT +COST USD +UNPRICED$`,
		`total +23 +0 +139 +0 +137 +0\.0\d+ +0$`,
	} {
		p.stdout.next(t, `^`+row)
	}
	p.stdout.next(t, `curl -sN `+regexp.QuoteMeta(url)+`/v1/chat/completions `)
	p.stdout.next(t, "^Serving until interrupted")

	resp, err := client().Get(url + "/v1/models")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("X-Gateway-Provider") != "openai" {
		t.Errorf("got %s from %s", resp.Status, resp.Header.Get("X-Gateway-Provider"))
	}
	p.stderr.next(t, "msg=exchange")
	p.interrupt(t)
	p.stdout.rest()
	p.stderr.rest()
	p.end(t, 0)
	if entries, err := os.ReadDir(p.Dir); len(entries) != 0 || err != nil {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// Without --listen the demo takes another port than the default when that is taken.
func TestDemoFindsAPort(t *testing.T) {
	t.Parallel()
	if l, err := net.Listen("tcp", "127.0.0.1:8080"); err == nil {
		defer l.Close()
	}
	p := start(t, nil, "demo")
	if url := p.stdout.next(t, `a gateway at (http://\S+)\.$`); url == "http://127.0.0.1:8080" {
		t.Errorf("it listens on %s, which is taken", url)
	}
	p.stdout.next(t, "^Serving until interrupted")
	p.interrupt(t)
	p.stdout.rest()
	p.stderr.rest()
	p.end(t, 0)
}

func TestBuildInfo(t *testing.T) {
	t.Parallel()
	want := regexp.MustCompile(`^llmproxy \S+\ncommit \S+( \(modified\))?\ngo\S+ \w+/\w+\n$`)
	if got := buildInfo(); !want.MatchString(got) {
		t.Errorf("got %q, want a match of %s", got, want)
	}
}

// No command is missing from the help.
func TestHelpNamesCommands(t *testing.T) {
	t.Parallel()
	var stdout, stderr strings.Builder
	if code := run([]string{"--help"}, &stdout, &stderr); code != 0 || stderr.String() != "" {
		t.Errorf("exit code %d, and wrote %q", code, &stderr)
	}
	var missing []string
	for _, name := range []string{"serve", "demo", "check", "usage", "prices", "version", "--config"} {
		if !strings.Contains(stdout.String(), name) {
			missing = append(missing, name)
		}
	}
	if !slices.Equal(missing, nil) {
		t.Errorf("missing %q in\n%s", missing, &stdout)
	}
}
