package llmproxy_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

// A provider that says nothing while a turn runs is given up.
func TestWebSocketSilentProvider(t *testing.T) {
	t.Parallel()
	for _, after := range []string{"0", "2"} {
		r := newSocketRig(t, simulator.Options{AnyModel: true}, llmproxy.WithLimits(llmproxy.Limits{StreamIdleTimeout: 50 * time.Millisecond}))
		s := r.connect("/v1/responses")
		s.create(`"stream_id":"l","model":"m","metadata":{"simulate":"hang=` + after + `"},"input":"x"`)
		var e event
		for e.Type != "error" {
			var err error
			if e, err = s.read(); err != nil {
				t.Fatal(err)
			}
		}
		if e.Status != 504 || e.StreamID != "l" || e.Error.Code != "provider_timeout" {
			t.Errorf("got %s", e.raw)
		}
		if code, _ := s.closed(); code != llmproxy.WSCloseInternalError {
			t.Errorf("closed with %d", code)
		}
		if rec := r.record(); rec.Outcome != llmproxy.OutcomeError || rec.Turn != 1 || rec.Error.Code != "provider_timeout" {
			t.Errorf("record %+v", rec)
		}
	}
}

// vanishing opens a connection whose client answers nothing, and keeps it open.
func (r *rig) vanishing() net.Conn {
	r.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.gateway, "http://"))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	_, err = io.WriteString(conn, "GET /v1/responses HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n\r\n")
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		r.t.Fatalf("got %v, %v", resp, err)
	}
	return conn
}

// A client whose connection stays up and that does not answer a ping has left.
func TestWebSocketClientVanishes(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a pong may take 20 s")
	}
	r := newSocketRig(t, simulator.Options{}, llmproxy.WithLimits(llmproxy.Limits{WebSocket: llmproxy.WebSocketLimits{Ping: time.Second}}))
	conn := r.vanishing()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	sent, err := io.ReadAll(conn)
	if len(sent) == 0 || sent[0] != 0x80|llmproxy.WSPing {
		t.Errorf("the client got %x, %v", sent, err)
	}
	r.turns() // its provider's socket is closed as well
}

// A gateway answers a provider's pings, and sends its own to both sides.
func TestWebSocketPings(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, simulator.Options{AnyModel: true, PingEvery: time.Second}, // which is also what a pong may take

		llmproxy.WithLimits(llmproxy.Limits{WebSocket: llmproxy.WebSocketLimits{Ping: 10 * time.Millisecond}}))
	s := r.connect("/v1/responses")
	s.create(hello)
	s.until("response.completed")
	read := make(chan error, 1)
	go func() { // pongs need a reader
		_, err := s.read()
		read <- err
	}()
	_, err := r.simulator.AwaitConnections(t.Context(), func(cs []simulator.Connection) bool {
		return cs[0].Pongs >= 2 && cs[0].Pings >= 3
	})
	if err != nil {
		t.Fatal(err)
	}
	s.create(hello)
	if err := <-read; err != nil {
		t.Error(err)
	}
	s.until("response.completed")
}
