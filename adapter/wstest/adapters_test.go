package wstest_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/coderws"
	"github.com/llmproxy/llmproxy/adapter/gorillaws"
)

// adapters have the same settings.
var adapters = []struct {
	name     string
	upgrader func(compression bool) llmproxy.WSUpgrader
	dialer   func(compression bool, transport *http.Transport) llmproxy.WSDialer
}{
	{
		"coderws",
		func(c bool) llmproxy.WSUpgrader { return coderws.Upgrader{Compression: c} },
		func(c bool, t *http.Transport) llmproxy.WSDialer { return coderws.Dialer{Compression: c, Transport: t} },
	},
	{
		"gorillaws",
		func(c bool) llmproxy.WSUpgrader { return gorillaws.Upgrader{Compression: c} },
		func(c bool, t *http.Transport) llmproxy.WSDialer {
			return gorillaws.Dialer{Compression: c, Transport: t}
		},
	},
}

// echo sends the first message back, and closes.
func echo(t *testing.T, u llmproxy.WSUpgrader) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, err := u.Upgrade(w, r, nil)
		if err != nil {
			t.Errorf("Upgrade: %v", err)
			return
		}
		defer conn.Close()
		kind, p, err := conn.ReadMessage()
		if err == nil {
			err = conn.WriteMessage(kind, p)
		}
		if err != nil {
			t.Errorf("the server: %v", err)
		}
		conn.ReadMessage() // the client closes
	}
}

// expectEcho dials, has one message come back, and returns the response.
func expectEcho(t *testing.T, d llmproxy.WSDialer, url string) *http.Response {
	t.Helper()
	conn, resp, err := d.Dial(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	want := strings.Repeat("text ", 500)
	if err := conn.WriteMessage(llmproxy.WSText, []byte(want)); err != nil {
		t.Fatal(err)
	}
	if _, p, err := conn.ReadMessage(); string(p) != want || err != nil {
		t.Errorf("got %d bytes, %v", len(p), err)
	}
	return resp
}

// wss:// through a proxy, with a certificate of the test's own.
func TestDialThroughProxy(t *testing.T) {
	t.Parallel()
	for _, tt := range adapters {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewTLSServer(echo(t, tt.upgrader(false)))
			defer server.Close()
			var tunnels atomic.Int64
			proxy := httptest.NewServer(tunnel(t, &tunnels))
			defer proxy.Close()
			proxyURL, err := url.Parse(proxy.URL)
			if err != nil {
				t.Fatal(err)
			}
			transport := &http.Transport{
				Proxy:           http.ProxyURL(proxyURL),
				TLSClientConfig: &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs},
			}
			defer transport.CloseIdleConnections()
			url := "wss" + strings.TrimPrefix(server.URL, "https")
			expectEcho(t, tt.dialer(false, transport), url)
			if n := tunnels.Load(); n != 1 {
				t.Errorf("%d connections through the proxy, want 1", n)
			}
			if _, resp, err := tt.dialer(false, nil).Dial(t.Context(), url, nil); err == nil || resp != nil {
				t.Errorf("an unknown certificate: got %v, %v", resp, err)
			}
		})
	}
}

// tunnel is a proxy that knows CONNECT only.
func tunnel(t *testing.T, count *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			t.Errorf("the proxy was asked to %s", r.Method)
			return
		}
		count.Add(1)
		target, err := net.Dial("tcp", r.Host)
		if err != nil {
			t.Error(err)
			return
		}
		w.WriteHeader(http.StatusOK)
		client, brw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		pass := func(to, from net.Conn, src io.Reader) {
			io.Copy(to, src)
			to.Close()
			from.Close()
		}
		var wg sync.WaitGroup
		wg.Go(func() { pass(target, client, brw) })
		pass(client, target, target)
		wg.Wait()
	}
}

func TestCompressionIsNegotiated(t *testing.T) {
	t.Parallel()
	for _, server := range adapters {
		for _, client := range adapters {
			for _, tt := range []struct{ accepts, offers, want bool }{
				{false, false, false}, {true, false, false}, {false, true, false}, {true, true, true},
			} {
				s := httptest.NewServer(echo(t, server.upgrader(tt.accepts)))
				resp := expectEcho(t, client.dialer(tt.offers, nil), "ws"+strings.TrimPrefix(s.URL, "http"))
				s.Close()
				got := resp.Header.Get("Sec-WebSocket-Extensions")
				if strings.HasPrefix(got, "permessage-deflate") != tt.want {
					t.Errorf("%s accepts: %v, %s offers: %v: negotiated %q", server.name, tt.accepts, client.name, tt.offers, got)
				}
			}
		}
	}
}

// As Codex offers it.
func TestCompressionWithWindowBits(t *testing.T) {
	t.Parallel()
	for _, tt := range adapters {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if conn, err := tt.upgrader(true).Upgrade(w, r, nil); err != nil {
				t.Error(err)
			} else {
				conn.Close()
			}
		}))
		r, err := http.NewRequest(http.MethodGet, s.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{
			"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
			"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"AAECAwQFBgcICQoLDA0ODw=="},
			"Sec-Websocket-Extensions": {"permessage-deflate; client_max_window_bits"},
		}
		resp, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		s.Close()
		const want = "permessage-deflate; client_no_context_takeover; server_no_context_takeover"
		got := strings.Split(resp.Header.Get("Sec-WebSocket-Extensions"), "; ")
		if resp.StatusCode != http.StatusSwitchingProtocols || len(got) != 3 || got[0] != "permessage-deflate" {
			t.Errorf("%s: got %d, %q, want %q", tt.name, resp.StatusCode, got, want)
		}
	}
}

func TestSubprotocol(t *testing.T) {
	t.Parallel()
	for _, tt := range adapters {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if got := r.Header.Get("Sec-WebSocket-Protocol"); got != "realtime, other" && got != "realtime,other" {
				t.Errorf("%s: asked for %q", tt.name, got)
			}
			conn, err := tt.upgrader(false).Upgrade(w, r, http.Header{"Sec-Websocket-Protocol": {"realtime"}})
			if err != nil {
				t.Error(err)
				return
			}
			conn.Close()
		}))
		header := http.Header{"Sec-Websocket-Protocol": {"realtime, other"}}
		conn, resp, err := tt.dialer(false, nil).Dial(t.Context(), "ws"+strings.TrimPrefix(s.URL, "http"), header)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		conn.Close()
		s.Close()
		if got := resp.Header.Get("Sec-WebSocket-Protocol"); got != "realtime" {
			t.Errorf("%s: got %q", tt.name, got)
		}
	}
}
