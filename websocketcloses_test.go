package llmproxy_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/coderws"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

// Codes and reasons cross both ways, those that applications make up included.
func TestWebSocketCloseCodes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		code   int
		reason string
	}{
		{1000, ""},
		{1000, "done"},
		{1001, "elsewhere"},
		{1005, ""}, // a close frame without a code
		{1008, "policy"},
		{1011, "an error"},
		{1012, "restarting"},
		{1013, "later"},
		{3000, "registered"},
		{3999, ""},
		{4000, "private"},
		{4999, strings.Repeat("long ", 24)},
	} {
		for _, byClient := range []bool{true, false} {
			r := newPlayedRig(t)
			closer, other := r.open()
			if !byClient {
				closer, other = other, closer
			}
			type ending struct {
				code   int
				reason string
			}
			ended := make(chan ending, 1)
			go func() {
				code, reason := other.closed()
				ended <- ending{code, reason}
			}()
			if err := closer.conn.(llmproxy.WSCloser).CloseWith(tt.code, tt.reason); err != nil {
				t.Errorf("by the client %v: CloseWith(%d): %v", byClient, tt.code, err)
			}
			if got, want := <-ended, (ending{tt.code, tt.reason}); got != want {
				t.Errorf("by the client %v: got %+v, want %+v", byClient, got, want)
			}
		}
	}
}

// A provider that closes in the middle: its turns end with an event each, on their lanes,
// and then its code and reason cross.
func TestWebSocketProviderCloses(t *testing.T) {
	t.Parallel()
	r := newPlayedRig(t)
	client, provider := r.open()
	for _, lane := range []string{"a", "b"} {
		client.send(`{"type":"response.create",` + on(lane) + `"model":"gpt-5-mini","input":"x"}`)
		if _, err := provider.read(); err != nil {
			t.Fatal(err)
		}
	}
	provider.send(createdEvent("a", "resp_a"))
	client.want(createdEvent("a", "resp_a"))
	go provider.conn.(llmproxy.WSCloser).CloseWith(4321, "so be it")
	lanes := map[string]int{}
	for range 2 {
		e, err := client.read()
		if err != nil || e.Type != "error" || e.Status != 502 || e.Error.Code != "provider_broken" {
			t.Errorf("got %s, %v", e.raw, err)
		}
		lanes[e.StreamID]++
	}
	if lanes["a"] != 1 || lanes["b"] != 1 {
		t.Errorf("told on the lanes %v", lanes)
	}
	if code, reason := client.closed(); code != 4321 || reason != "so be it" {
		t.Errorf("closed with %d, %q", code, reason)
	}
	for range 2 {
		if rec := r.record(); rec.Outcome != llmproxy.OutcomeError || rec.Turn < 1 || rec.Turn > 2 || rec.Lane == "a" && rec.ResponseID != "resp_a" {
			t.Errorf("record %+v", rec)
		}
	}
}

// The context ends both sides, whatever runs.
func TestWebSocketContext(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, simulator.Options{AnyModel: true})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	returned := make(chan error, 1)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		returned <- r.router.ForwardWebSocket(ctx, w, req)
	}))
	t.Cleanup(front.Close)
	r.gateway = front.URL
	s := r.connect("/v1/responses")
	s.create(`"model":"m","metadata":{"simulate":"hang=3"},"input":"one two three"`)
	s.until("response.output_item.added")
	cancel()
	if err := <-returned; err != nil {
		t.Errorf("ForwardWebSocket: %v", err)
	}
	if code, _ := s.closed(); code != llmproxy.WSCloseAbnormal {
		t.Errorf("closed with %d", code)
	}
	r.turns()
	if rec := r.record(); rec.Turn != 1 || rec.Outcome != llmproxy.OutcomeCancelled {
		t.Errorf("record %+v", rec)
	}
	r.noMore()
}

// weighed counts the bytes of a connection.
type weighed struct {
	net.Conn
	in, out *atomic.Int64
}

func (w weighed) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.in.Add(int64(n))
	return n, err
}

func (w weighed) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	w.out.Add(int64(n))
	return n, err
}

// weighing returns a transport whose connections are weighed.
func weighing(t *testing.T) (transport *http.Transport, in, out *atomic.Int64) {
	in, out = new(atomic.Int64), new(atomic.Int64)
	transport = &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		return weighed{conn, in, out}, err
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return transport, in, out
}

// permessage-deflate is used on either side where it is configured, and nowhere else; what
// crosses is the same.
func TestWebSocketCompression(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ client, provider bool }{{false, false}, {true, false}, {false, true}, {true, true}} {
		toProvider, providerIn, providerOut := weighing(t)
		toGateway, clientIn, clientOut := weighing(t)
		r := newSocketRig(t, simulator.Options{AnyModel: true, Deflate: true}, llmproxy.WithWebSocket(
			coderws.Upgrader{Compression: tt.client},
			coderws.Dialer{HandshakeTimeout: patience, Compression: tt.provider, Transport: toProvider}))
		conn, resp, err := coderws.Dialer{HandshakeTimeout: patience, Compression: true, Transport: toGateway}.
			Dial(t.Context(), "ws"+strings.TrimPrefix(r.gateway, "http")+"/v1/responses", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if got := strings.HasPrefix(resp.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate"); got != tt.client {
			t.Errorf("%+v: negotiated with the client: %v", tt, got)
		}
		if got := strings.HasPrefix(r.simulator.Connections()[0].Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate"); got != tt.provider {
			t.Errorf("%+v: offered to the provider: %v", tt, got)
		}
		s := &socket{t: t, conn: conn}
		const size = 100_000
		create := `{"type":"response.create","model":"m","store":false,"input":"` + strings.Repeat("word ", size/5) + `","metadata":{"simulate":"huge=100000"}}`
		s.send(create)
		deltas := 0
		for {
			e, err := s.read()
			if err != nil || e.Type == "error" {
				t.Fatalf("%+v: got %.200s, %v", tt, e.raw, err)
			}
			if e.Type == "response.output_text.delta" {
				deltas += len(e.raw)
			}
			if e.Type == "response.completed" {
				break
			}
		}
		if deltas < size {
			t.Errorf("%+v: %d bytes were said", tt, deltas)
		}
		if got := string(r.simulator.Connections()[0].Frames[0].Data); got != create {
			t.Errorf("%+v: the provider got %d bytes, want %d", tt, len(got), len(create))
		}
		for _, side := range []struct {
			name       string
			compressed bool
			n          int64
		}{
			{"from the client", tt.client, clientOut.Load()},
			{"to the client", tt.client, clientIn.Load()},
			{"to the provider", tt.provider, providerOut.Load()},
			{"from the provider", tt.provider, providerIn.Load()},
		} {
			if got := side.n < size/2; got != side.compressed {
				t.Errorf("%+v: %d bytes %s", tt, side.n, side.name)
			}
		}
		if rec := r.record(); rec.UsageSource != llmproxy.UsageProvider || rec.Usage.PromptTokens != size/5 {
			t.Errorf("%+v: record %+v", tt, rec)
		}
	}
}

// failing is an upgrader that answers, and fails.
type failing struct{}

var errUpgrade = errors.New("no upgrade today")

func (failing) Upgrade(w http.ResponseWriter, _ *http.Request, _ http.Header) (llmproxy.WSConn, error) {
	http.Error(w, "no", http.StatusTeapot)
	return nil, errUpgrade
}

// What ForwardWebSocket returns tells whether the request has been answered.
func TestForwardWebSocketErrors(t *testing.T) {
	t.Parallel()
	dialer := coderws.Dialer{HandshakeTimeout: patience}
	refusing := func(*http.Request) simulator.Script {
		return simulator.Script{Status: 429, Code: "rate_limit_exceeded"}
	}
	for _, tt := range []struct {
		name     string
		script   func(*http.Request) simulator.Script
		upgrader llmproxy.WSUpgrader
		path     string
		fields   []string
		begun    bool
		written  int // the status; 0: nothing
		status   int // of the error
		code     string
	}{
		{"refused here", nil, failing{}, "/v1/responses", []string{"X-Provider", "nobody"}, false, 0, 404, "provider_not_found"},
		{"another path", nil, failing{}, "/v1/models", nil, false, 0, 426, "websocket_not_supported"},
		{"refused by the provider", refusing, failing{}, "/v1/responses", nil, true, 429, 429, "provider_refused"},
		{"failed by the upgrader", nil, failing{}, "/v1/responses", nil, true, 418, 400, "websocket_handshake"},
	} {
		r := newSocketRig(t, simulator.Options{Script: tt.script}, llmproxy.WithWebSocket(tt.upgrader, dialer))
		req := r.request("GET", r.gateway+tt.path, nil, append(tt.fields, "Connection", "Upgrade", "Upgrade", "websocket",
			"Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")...)
		w := httptest.NewRecorder()
		err := r.router.ForwardWebSocket(t.Context(), w, req)
		e, ok := errors.AsType[*llmproxy.Error](err)
		if !ok || e.Status != tt.status || e.Code != tt.code || llmproxy.Begun(err) != tt.begun {
			t.Errorf("%s: got %v, begun %v", tt.name, err, llmproxy.Begun(err))
		}
		if tt.written == 0 && (w.Body.Len() > 0 || len(w.Header()) > 0) || tt.written != 0 && w.Code != tt.written {
			t.Errorf("%s: answered with %d %s", tt.name, w.Code, w.Body)
		}
		if tt.code == "websocket_handshake" && !errors.Is(err, errUpgrade) {
			t.Errorf("%s: %v does not wrap the upgrader's error", tt.name, err)
		}
		if tt.code == "provider_refused" && !strings.Contains(w.Body.String(), `"code":"rate_limit_exceeded"`) {
			t.Errorf("%s: answered with %s", tt.name, w.Body)
		}
	}
}
