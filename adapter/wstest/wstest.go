// Package wstest holds WebSocket adapters to what the interfaces of llmproxy promise, over
// real connections: [Run] any pair of an upgrader and a dialer, [RunAll] a pair whose
// connections can do all that is optional.
//
// What a suite has started it has ended when it returns; a test's package that checks for
// goroutines left over, with goleak or otherwise, finds those of the adapters.
package wstest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
)

// patience bounds what should happen at once. It is long, as machines are busy.
const patience = time.Minute

// Run tests the connections between u and d. What they lack that is optional it reports as
// skipped: the capabilities that are interfaces of their own, and telling how a peer has
// closed.
func Run(t *testing.T, u llmproxy.WSUpgrader, d llmproxy.WSDialer) {
	suite{upgrader: u, dialer: d}.run(t)
}

// RunAll tests the connections between u and d as [Run] does, but takes nothing for
// optional. It also demands what the adapters of this module agree on:
//
//   - a peer's end without a close frame is code 1006,
//   - a read after Close is [net.ErrClosed], and so are a ping and CloseWith on an ended
//     connection,
//   - a read that its context ended is the context's cause,
//   - a message above the limit is an [http.MaxBytesError], and the peer gets the 1009
//     while it is still sending,
//   - a large message is sent in several frames,
//   - a handshake has none of the fields that are the library's, is upgraded from any
//     origin and behind any http.ResponseWriter that unwraps, and no error of Dial quotes
//     its URL.
func RunAll(t *testing.T, u llmproxy.WSUpgrader, d llmproxy.WSDialer) {
	suite{upgrader: u, dialer: d, all: true}.run(t)
}

type suite struct {
	upgrader llmproxy.WSUpgrader
	dialer   llmproxy.WSDialer
	all      bool // nothing is optional
}

func (s suite) run(t *testing.T) {
	for _, e := range []end{{s, false}, {s, true}} {
		t.Run(e.String(), func(t *testing.T) {
			t.Parallel()
			for _, tests := range [][]test[end]{messageTests, frameTests, closingTests, livenessTests, limitTests} {
				for _, tt := range tests {
					t.Run(tt.name, func(t *testing.T) {
						t.Parallel()
						tt.run(t, e)
					})
				}
			}
		})
	}
	t.Run("handshake", func(t *testing.T) {
		t.Parallel()
		for _, tt := range handshakeTests {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				tt.run(t, s)
			})
		}
	})
}

// test is a sentence about T.
type test[T any] struct {
	name string
	run  func(*testing.T, T)
}

// missing ends a test of what a connection cannot do.
func (s suite) missing(t *testing.T, what string) {
	t.Helper()
	if s.all {
		t.Fatalf("missing: %s", what)
	}
	t.Skipf("missing: %s", what)
}

// end is the end of a connection that is tested.
type end struct {
	suite
	server bool
}

func (e end) String() string {
	if e.server {
		return "server"
	}
	return "client"
}

// pair opens a connection between the upgrader and the dialer. near is the end that is
// tested. Both are closed when the test ends.
func (e end) pair(t testing.TB) (near, far llmproxy.WSConn) {
	t.Helper()
	accepted := make(chan llmproxy.WSConn, 1)
	url := e.serve(t, func(w http.ResponseWriter, r *http.Request) {
		if conn, err := e.upgrader.Upgrade(w, r, nil); err != nil {
			t.Errorf("Upgrade: %v", err)
		} else {
			accepted <- conn
		}
	})
	client := e.dial(t, url)
	server := wait(t, accepted, "the upgrade")
	t.Cleanup(func() { server.Close() })
	if e.server {
		return server, client
	}
	return client, server
}

// raw opens a connection that the test speaks the far end of, frame by frame.
func (e end) raw(t *testing.T) (near llmproxy.WSConn, far *peer) {
	t.Helper()
	if !e.server {
		listener, peers := listen(t)
		near = e.dial(t, "ws://"+listener.Addr().String()+"/")
		return near, wait(t, peers, "the handshake")
	}
	accepted := make(chan llmproxy.WSConn, 1)
	url := e.serve(t, func(w http.ResponseWriter, r *http.Request) {
		if conn, err := e.upgrader.Upgrade(w, r, nil); err != nil {
			t.Errorf("Upgrade: %v", err)
		} else {
			accepted <- conn
		}
	})
	far = connect(t, strings.TrimPrefix(url, "ws://"))
	near = wait(t, accepted, "the upgrade")
	t.Cleanup(func() { near.Close() })
	return near, far
}

func (s suite) dial(t testing.TB, url string) llmproxy.WSConn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, _, err := s.dialer.Dial(ctx, url, nil)
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// serve starts a server and returns its ws:// URL.
func (s suite) serve(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

// wait returns what comes from ch.
func wait[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case v := <-ch:
		return v
	case <-timer.C:
		t.Fatalf("%s has not come about within %v", what, patience)
		panic("unreachable")
	}
}

// after runs f, and sends what it returns.
func after[T any](f func() T) <-chan T {
	ch := make(chan T, 1)
	go func() { ch <- f() }()
	return ch
}

// message is what a read returned. p is a copy.
type message struct {
	kind int
	p    []byte
	err  error
}

func read(conn llmproxy.WSConn) message {
	kind, p, err := conn.ReadMessage()
	return message{kind, append([]byte(nil), p...), err}
}

// reading reads from conn until the error, which it sends.
func reading(conn llmproxy.WSConn) <-chan error {
	return after(func() error {
		for {
			if _, _, err := conn.ReadMessage(); err != nil {
				return err
			}
		}
	})
}
