package wstest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
)

var handshakeTests = []test[suite]{
	{"fields go both ways", fieldsGoBothWays},
	{"fields of the connection stay out", fieldsStayOut},
	{"a refusal is returned", refusalIsReturned},
	{"the start of a long refusal", longRefusal},
	{"a redirect is not followed", redirectIsReturned},
	{"a message right behind the 101", messageBehindAnswer},
	{"an answer for another key", wrongAnswer},
	{"an answer that is not HTTP", noHTTP},
	{"nobody listens", nobodyListens},
	{"no answer", noAnswer},
	{"other URLs", otherURLs},
	{"requests that are no handshake", noHandshake},
	{"HTTP/2", http2},
	{"another origin", otherOrigin},
	{"a wrapped ResponseWriter", wrappedWriter},
}

func fieldsGoBothWays(t *testing.T, s suite) {
	asked := make(chan http.Header, 1)
	url := s.serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header.Clone()
		conn, err := s.upgrader.Upgrade(w, r, http.Header{"X-Answer": {"one", "two"}, "Openai-Model": {"gpt-5"}})
		if err != nil {
			t.Errorf("Upgrade: %v", err)
			return
		}
		conn.Close()
	})
	header := http.Header{"Authorization": {"Bearer test"}, "X-Asked": {"one", "two"}}
	conn, resp, err := s.dialer.Dial(t.Context(), url+"/v1/responses?a=b", header)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	got := wait(t, asked, "the request")
	for name, want := range header {
		if !slices.Equal(got[name], want) {
			t.Errorf("asked with %s: %q, want %q", name, got[name], want)
		}
	}
	if len(header) != 2 {
		t.Errorf("Dial has changed the header: %q", header)
	}
	if resp == nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got the response %v, want a 101", resp)
	}
	for name, want := range map[string][]string{"X-Answer": {"one", "two"}, "Openai-Model": {"gpt-5"}} {
		if !slices.Equal(resp.Header[name], want) {
			t.Errorf("answered with %s: %q, want %q", name, resp.Header[name], want)
		}
	}
	if body, err := io.ReadAll(resp.Body); len(body) != 0 || err != nil {
		t.Errorf("the body of a 101: %q, %v", body, err)
	}
}

func fieldsStayOut(t *testing.T, s suite) {
	if !s.all {
		s.missing(t, "leaving out the fields of the connection")
	}
	host := make(chan string, 1)
	url := s.serve(t, func(w http.ResponseWriter, r *http.Request) {
		host <- r.Host
		conn, err := s.upgrader.Upgrade(w, r, http.Header{
			"Connection": {"close"}, "Content-Length": {"7"}, "Sec-Websocket-Accept": {"x"}, "Sec-Websocket-Extensions": {"x"},
		})
		if err != nil {
			t.Errorf("Upgrade: %v", err)
			return
		}
		conn.Close()
	})
	conn, resp, err := s.dialer.Dial(t.Context(), url, http.Header{
		"Connection": {"close"}, "connection": {"close"}, "Upgrade": {"h2c"}, "Host": {"other.example"},
		"Sec-Websocket-Key": {"x"}, "Sec-Websocket-Version": {"7"}, "Sec-Websocket-Extensions": {"x"},
	})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if got := wait(t, host, "the request"); got != "other.example" {
		t.Errorf("asked for the host %q", got)
	}
	if got := resp.Header.Get("Content-Length"); got != "" {
		t.Errorf("answered with Content-Length: %q", got)
	}
}

// refuse dials url, which does not upgrade, and returns the response's body.
func (s suite) refuse(t *testing.T, url string, status int) (*http.Response, []byte) {
	t.Helper()
	conn, resp, err := s.dialer.Dial(t.Context(), url, nil)
	if err == nil {
		conn.Close()
		t.Fatal("Dial: no error")
	}
	if conn != nil {
		t.Errorf("Dial has returned a connection besides %v", err)
	}
	if resp == nil || resp.StatusCode != status {
		t.Fatalf("got the response %v, want a %d (%v)", resp, status, err)
	}
	body, readErr := io.ReadAll(resp.Body)
	if readErr != nil {
		t.Errorf("the response's body: %v", readErr)
	}
	return resp, body
}

func refusalIsReturned(t *testing.T, s suite) {
	const want = `{"error":{"code":"rate_limit_exceeded"}}`
	url := s.serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
		io.WriteString(w, want)
	})
	resp, body := s.refuse(t, url, http.StatusTooManyRequests)
	if got := resp.Header.Get("Retry-After"); got != "7" || string(body) != want {
		t.Errorf("got Retry-After: %s, %q", got, body)
	}
}

func longRefusal(t *testing.T, s suite) {
	long := text(200 << 10)
	url := s.serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		w.Write(long)
	})
	_, body := s.refuse(t, url, http.StatusBadGateway)
	if len(body) > 64<<10 || s.all && len(body) != 64<<10 || !bytes.HasPrefix(long, body) {
		t.Errorf("got %d bytes, want the first 64 KiB", len(body))
	}
}

func redirectIsReturned(t *testing.T, s suite) {
	url := s.serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			t.Errorf("the redirect was followed to %s", r.URL.Path)
		}
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	resp, _ := s.refuse(t, url+"/", http.StatusTemporaryRedirect)
	if got := resp.Header.Get("Location"); got != "/elsewhere" {
		t.Errorf("got Location: %s", got)
	}
}

// handle answers one connection's first bytes with f's.
func (s suite) handle(t *testing.T, f func(*http.Request) []byte) (url string) {
	t.Helper()
	listener := listenTCP(t)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		p := newPeer(t, conn, false)
		if r, err := http.ReadRequest(p.in); err == nil {
			p.Write(f(r))
		}
	}()
	return "ws://" + listener.Addr().String() + "/"
}

func messageBehindAnswer(t *testing.T, s suite) {
	want := text(10_000)
	url := s.handle(t, func(r *http.Request) []byte {
		return frame{fin: true, opcode: llmproxy.WSText, payload: want}.append(answer(r), false)
	})
	if got := read(s.dial(t, url)); !bytes.Equal(got.p, want) || got.err != nil {
		t.Errorf("got %d bytes, %v", len(got.p), got.err)
	}
}

func wrongAnswer(t *testing.T, s suite) {
	s.refuse(t, s.handle(t, func(r *http.Request) []byte {
		r.Header.Set("Sec-WebSocket-Key", "another")
		return answer(r)
	}), http.StatusSwitchingProtocols)
}

// fail dials url, where no response can come from.
func (s suite) fail(t *testing.T, ctx context.Context, url string) {
	t.Helper()
	conn, resp, err := s.dialer.Dial(ctx, url, nil)
	if err == nil || conn != nil || resp != nil {
		t.Errorf("Dial: got %v, %v, %v, want an error alone", conn, resp, err)
	}
	if s.all && err != nil && strings.Contains(err.Error(), "secret") {
		t.Errorf("the error quotes the URL: %v", err)
	}
}

func noHTTP(t *testing.T, s suite) {
	s.fail(t, t.Context(), s.handle(t, func(*http.Request) []byte { return []byte("SSH-2.0-\r\n\r\n") })+"?key=secret")
}

func nobodyListens(t *testing.T, s suite) {
	listener := listenTCP(t)
	listener.Close()
	s.fail(t, t.Context(), "ws://"+listener.Addr().String()+"/?key=secret")
}

func noAnswer(t *testing.T, s suite) {
	listener := listenTCP(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	s.fail(t, ctx, "ws://"+listener.Addr().String()+"/?key=secret")
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("Dial returned %v after its context", took-50*time.Millisecond)
	}
}

func otherURLs(t *testing.T, s suite) {
	for _, url := range []string{"", "ftp://127.0.0.1/?key=secret", "://secret", "ws://", "ws://127.0.0.1:port/?key=secret", "wss://[secret/"} {
		s.fail(t, t.Context(), url)
	}
}

func noHandshake(t *testing.T, s suite) {
	upgraded := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := s.upgrader.Upgrade(w, r, http.Header{"X-Answer": {"of a 101"}})
		upgraded <- err
	}))
	defer server.Close()
	whole := http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"AAECAwQFBgcICQoLDA0ODw=="},
	}
	for _, tt := range []struct {
		name, method string
		change       func(http.Header)
	}{
		{"no Upgrade", "GET", func(h http.Header) { clear(h) }},
		{"another protocol", "GET", func(h http.Header) { h.Set("Upgrade", "h2c") }},
		{"another method", "POST", func(http.Header) {}},
		{"another version", "GET", func(h http.Header) { h.Set("Sec-WebSocket-Version", "8") }},
		{"no key", "GET", func(h http.Header) { h.Del("Sec-WebSocket-Key") }},
		{"no key to speak of", "GET", func(h http.Header) { h.Set("Sec-WebSocket-Key", "short") }},
	} {
		r, err := http.NewRequest(tt.method, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = whole.Clone()
		tt.change(r.Header)
		resp, err := server.Client().Do(r)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		resp.Body.Close()
		if resp.StatusCode < 400 || resp.StatusCode > 499 || resp.Header.Get("X-Answer") != "" {
			t.Errorf("%s: answered with %d, X-Answer: %q", tt.name, resp.StatusCode, resp.Header.Get("X-Answer"))
		}
		if err := wait(t, upgraded, "Upgrade"); err == nil {
			t.Errorf("%s: Upgrade: no error", tt.name)
		}
	}
}

func http2(t *testing.T, s suite) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := s.upgrader.Upgrade(w, r, nil); err == nil {
			t.Error("Upgrade: no error")
		}
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	resp, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.ProtoMajor != 2 || resp.StatusCode < 400 || s.all && resp.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("%s was answered with %d", resp.Proto, resp.StatusCode)
	}
}

func otherOrigin(t *testing.T, s suite) {
	if !s.all {
		s.missing(t, "leaving the Origin to the router")
	}
	url := s.serve(t, func(w http.ResponseWriter, r *http.Request) {
		conn, err := s.upgrader.Upgrade(w, r, nil)
		if err != nil {
			t.Errorf("Upgrade: %v", err)
			return
		}
		conn.Close()
	})
	conn, _, err := s.dialer.Dial(t.Context(), url, http.Header{"Origin": {"https://app.example"}})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// wrapped hides what else an http.ResponseWriter can do, as middleware does.
type wrapped struct{ w http.ResponseWriter }

func (w wrapped) Header() http.Header         { return w.w.Header() }
func (w wrapped) Write(p []byte) (int, error) { return w.w.Write(p) }
func (w wrapped) WriteHeader(status int)      { w.w.WriteHeader(status) }

// unwraps shows it to those who ask.
type unwraps struct{ wrapped }

func (w unwraps) Unwrap() http.ResponseWriter { return w.w }

func wrappedWriter(t *testing.T, s suite) {
	if !s.all {
		s.missing(t, "looking behind a wrapped http.ResponseWriter")
	}
	url := s.serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hidden" {
			if _, err := s.upgrader.Upgrade(wrapped{w}, r, nil); err == nil {
				t.Error("Upgrade without a connection: no error")
			}
			return
		}
		conn, err := s.upgrader.Upgrade(unwraps{wrapped{w}}, r, nil)
		if err != nil {
			t.Errorf("Upgrade: %v", err)
			return
		}
		conn.Close()
	})
	s.dial(t, url)
	s.refuse(t, url+"/hidden", http.StatusNotImplemented)
}
