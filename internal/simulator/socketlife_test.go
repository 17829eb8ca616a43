package simulator_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

// inMemory serves s at connections without a network, and returns how to dial it.
func inMemory(t *testing.T, s *simulator.Server) func(path string, o websocket.DialOptions) *client {
	l := &pipeListener{make(chan net.Conn), make(chan struct{})}
	server := &http.Server{Handler: s}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		s.Close()
		_ = server.Close()
		<-served
	})
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return l.dial(ctx) }}
	t.Cleanup(transport.CloseIdleConnections)
	return func(path string, o websocket.DialOptions) *client {
		o.HTTPClient = &http.Client{Transport: transport}
		conn, _, err := websocket.Dial(t.Context(), "http://simulated"+path, &o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.CloseNow() })
		return &client{conn, t}
	}
}

type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *pipeListener) dial(ctx context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	close(l.done)
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "simulated"} }

// TestLifetime holds in virtual time when a connection is closed, and that it says so
// last.
func TestLifetime(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		options simulator.Options
		path    string
		want    time.Duration
	}{
		{simulator.Options{}, "/v1/responses", time.Hour},
		{simulator.Options{Manner: simulator.MannerXAI}, "/v1/responses", 25 * time.Minute},
		{simulator.Options{Manner: simulator.MannerXAI}, "/openai/v1/responses?api-version=v1", time.Hour},
		{simulator.Options{Manner: simulator.MannerXAI, Lifetime: time.Second}, "/v1/responses", time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := simulator.New(tt.options)
			c := inMemory(t, s)(tt.path, websocket.DialOptions{})
			start := time.Now()
			c.create(`"input":"x","metadata":{"simulate":"hang=2"}`)
			c.types(2)
			e := c.wantError(400, "websocket_connection_limit_reached")
			if got := time.Since(start); got != tt.want {
				t.Errorf("%s: after %v, want %v", tt.path, got, tt.want)
			}
			if strings.Contains(e.raw, "param") || strings.Contains(e.raw, "stream_id") {
				t.Errorf("got %s", e.raw)
			}
			c.wantClosed(websocket.StatusGoingAway)
			if err := s.AwaitNoSockets(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := s.Connections()[0]; got.ServerCode != 1001 || got.Turns[0].Outcome != simulator.TurnAborted {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// TestPings holds in virtual time that pings are sent and answered, and that a client
// that does not answer is gone.
func TestPings(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := simulator.New(simulator.Options{PingEvery: 20 * time.Second})
		var silent atomic.Bool
		c := inMemory(t, s)("/v1/responses", websocket.DialOptions{
			OnPingReceived: func(context.Context, []byte) bool { return !silent.Load() },
		})
		read := make(chan error, 1)
		go func() {
			_, _, err := c.Read(t.Context())
			read <- err
		}()
		if err := c.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		all, err := s.AwaitConnections(t.Context(), func(all []simulator.Connection) bool { return all[0].Pongs == 3 })
		if err != nil || all[0].Pings != 1 {
			t.Fatalf("%+v, %v", all, err)
		}
		start := time.Now()
		synctest.Wait()
		silent.Store(true)
		if err := <-read; err == nil {
			t.Error("a message came")
		}
		if got := time.Since(start); got != 40*time.Second {
			t.Errorf("gone after %v, want 20 s to the next ping and 20 s for its pong", got)
		}
	})
}

// TestClientThatTakesNothing holds in virtual time that a server can close what a client
// does not read.
func TestClientThatTakesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := simulator.New(simulator.Options{})
		c := inMemory(t, s)("/v1/responses", websocket.DialOptions{})
		c.create(`"input":"x","metadata":{"simulate":"huge=1000000"}`)
		synctest.Wait() // it writes
		start := time.Now()
		s.Close()
		if got := time.Since(start); got != time.Second {
			t.Errorf("closed after %v, want the second that the client has", got)
		}
		if turn := s.Connections()[0].Turns[0]; turn.Outcome != simulator.TurnAborted {
			t.Errorf("counted %+v", turn)
		}
	})
}
