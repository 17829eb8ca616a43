package llmproxy_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/coderws"
	"github.com/llmproxy/llmproxy/providers/openai"
)

// deltaEvent is about as long as a provider's.
func deltaEvent(lane string) string {
	return `{"type":"response.output_text.delta","sequence_number":4,` + on(lane) + `"item_id":"msg_0123456789abcdef0123456789abcdef","output_index":0,"content_index":0,"delta":" word","logprobs":[],"obfuscation":"` + strings.Repeat("x", 80) + `"}`
}

// heldConn is a connection in memory that reads what next has, and after that nothing
// until it is closed.
type heldConn struct {
	next    func() []byte // nil: nothing any more
	written func(p []byte)
	closed  chan struct{}
	once    sync.Once // guards the closing of closed
}

func newHeldConn(next func() []byte, written func([]byte)) *heldConn {
	return &heldConn{next: next, written: written, closed: make(chan struct{})}
}

func (c *heldConn) ReadMessage() (int, []byte, error) {
	if p := c.next(); p != nil {
		return llmproxy.WSText, p, nil
	}
	<-c.closed
	return 0, nil, &llmproxy.WSCloseError{Code: llmproxy.WSCloseAbnormal}
}

func (c *heldConn) WriteMessage(_ int, p []byte) error {
	c.written(p)
	return nil
}

func (c *heldConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

// Upgrade and Dial make c the one connection of a gateway's side.
func (c *heldConn) Upgrade(http.ResponseWriter, *http.Request, http.Header) (llmproxy.WSConn, error) {
	return c, nil
}

func (c *heldConn) Dial(context.Context, string, http.Header) (llmproxy.WSConn, *http.Response, error) {
	return c, nil, nil
}

// relaying runs a gateway between a client and a provider in memory, with a turn under
// way. The function it returns has the provider say n deltas, and returns when the client
// has them.
func relaying(tb testing.TB, lane string) (say func(n int)) {
	tb.Helper()
	delta, created := []byte(deltaEvent(lane)), []byte(createdEvent(lane, "resp_1"))
	create := []byte(`{"type":"response.create",` + on(lane) + `"model":"gpt-5-mini","input":"x"}`)
	asked, begun := make(chan struct{}), make(chan struct{})
	orders, done := make(chan int), make(chan struct{})
	// These belong to the goroutine that reads the provider, and writes to the client.
	said, left, missing := false, 0, 0
	provider := newHeldConn(func() []byte {
		if !said {
			said = true
			<-asked
			return created
		}
		if left == 0 {
			n, ok := <-orders
			if !ok {
				return nil
			}
			left, missing = n, n
		}
		left--
		return delta
	}, func([]byte) { close(asked) })
	client := newHeldConn(func() []byte {
		p := create
		create = nil
		return p
	}, func(p []byte) {
		if bytes.Equal(p, created) {
			close(begun)
			return
		}
		if missing--; missing == 0 {
			done <- struct{}{}
		}
	})
	p, err := openai.New(openai.Config{APIKey: providerKey})
	if err != nil {
		tb.Fatal(err)
	}
	router := llmproxy.NewAutoRouter(llmproxy.WithProvider(p), llmproxy.WithWebSocket(client, provider))
	r := httptest.NewRequest(http.MethodGet, "/v1/responses", nil)
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { ended <- router.ForwardWebSocket(ctx, httptest.NewRecorder(), r) }()
	<-begun
	tb.Cleanup(func() {
		cancel()
		close(orders)
		if err := <-ended; err != nil {
			tb.Error(err)
		}
	})
	return func(n int) {
		orders <- n
		<-done
	}
}

// A frame that is relayed allocates nothing: the only memory is the library's own read
// buffer. It is not parallel: allocations are counted for the whole process.
func TestWebSocketFrameAllocations(t *testing.T) {
	for _, lane := range []string{"", "main"} {
		say := relaying(t, lane)
		const frames = 1000
		say(frames)
		if n := testing.AllocsPerRun(20, func() { say(frames) }); n > 2 {
			t.Errorf("on the lane %q: %v allocations in %d frames", lane, n, frames)
		}
	}
}

// BenchmarkWebSocketFrame is what the gateway adds to a frame: it is classified, matched
// with its turn, metered and passed on, without the library's part.
func BenchmarkWebSocketFrame(b *testing.B) {
	for _, lane := range []string{"", "main"} {
		b.Run("lane="+lane, func(b *testing.B) {
			say := relaying(b, lane)
			b.SetBytes(int64(len(deltaEvent(lane))))
			b.ReportAllocs()
			b.ResetTimer()
			say(b.N)
		})
	}
}

// talker is a provider that answers each create with so many deltas. served has no more
// to wait for when no connection is left.
func talker(tb testing.TB, deltas int) (url string, served *sync.WaitGroup) {
	tb.Helper()
	delta := []byte(deltaEvent(""))
	served = new(sync.WaitGroup)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		defer served.Done()
		conn, err := coderws.Upgrader{}.Upgrade(w, r, nil)
		if err != nil {
			tb.Error(err)
			return
		}
		defer conn.Close()
		for {
			if _, _, err := conn.ReadMessage(); err != nil {
				return
			}
			if err := conn.WriteMessage(llmproxy.WSText, []byte(createdEvent("", "resp_1"))); err != nil {
				return
			}
			for range deltas {
				if err := conn.WriteMessage(llmproxy.WSText, delta); err != nil {
					return
				}
			}
			if err := conn.WriteMessage(llmproxy.WSText, []byte(completedEvent("", "resp_1", 1, 1))); err != nil {
				return
			}
		}
	}))
	tb.Cleanup(server.Close)
	return server.URL, served
}

// gatewayTo serves a gateway in front of the provider at url.
func gatewayTo(tb testing.TB, url string) string {
	tb.Helper()
	p, err := openai.New(openai.Config{APIKey: providerKey, BaseURL: url})
	if err != nil {
		tb.Fatal(err)
	}
	router := llmproxy.NewAutoRouter(llmproxy.WithProvider(p), llmproxy.WithWebSocket(coderws.Upgrader{}, coderws.Dialer{}),
		llmproxy.WithLimits(llmproxy.Limits{WebSocket: llmproxy.WebSocketLimits{PerKey: -1, Total: -1}}))
	server := httptest.NewServer(router)
	tb.Cleanup(func() {
		if err := router.Shutdown(context.Background()); err != nil {
			tb.Error(err)
		}
		server.Close()
	})
	return server.URL
}

// turnOn runs one turn on conn.
func turnOn(tb testing.TB, conn llmproxy.WSConn) {
	tb.Helper()
	if err := conn.WriteMessage(llmproxy.WSText, []byte(`{"type":"response.create","model":"gpt-5-mini","input":"x"}`)); err != nil {
		tb.Fatal(err)
	}
	for {
		_, p, err := conn.ReadMessage()
		if err != nil {
			tb.Fatal(err)
		}
		if bytes.HasPrefix(p, []byte(`{"type":"response.completed"`)) {
			return
		}
		if !bytes.HasPrefix(p, []byte(`{"type":"response.`)) {
			tb.Fatalf("got %s", p)
		}
	}
}

func dialBench(tb testing.TB, url string) llmproxy.WSConn {
	tb.Helper()
	conn, _, err := coderws.Dialer{HandshakeTimeout: patience}.Dial(context.Background(), "ws"+strings.TrimPrefix(url, "http")+"/v1/responses", nil)
	if err != nil {
		tb.Fatal(err)
	}
	return conn
}

// BenchmarkWebSocketSockets is a turn of 1,000 deltas over real sockets, provider and
// client included: the difference of the two is the gateway.
func BenchmarkWebSocketSockets(b *testing.B) {
	const deltas = 1000
	for _, through := range []string{"direct", "gateway"} {
		b.Run(through, func(b *testing.B) {
			url, _ := talker(b, deltas)
			if through == "gateway" {
				url = gatewayTo(b, url)
			}
			conn := dialBench(b, url)
			defer conn.Close()
			turnOn(b, conn)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			b.ResetTimer()
			for range b.N {
				turnOn(b, conn)
			}
			b.StopTimer()
			runtime.ReadMemStats(&after)
			frames := float64(b.N) * deltas
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/frames, "ns/frame")
			b.ReportMetric(float64(after.Mallocs-before.Mallocs)/frames, "allocs/frame")
			b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/frames, "B/frame")
		})
	}
}

// BenchmarkWebSocketIdle is what a connection holds that has had a turn and waits for the
// next: heap and stacks, those of provider and client included. The difference of the two
// is the gateway with both of its sockets.
func BenchmarkWebSocketIdle(b *testing.B) {
	const sessions = 500
	for _, through := range []string{"direct", "gateway"} {
		b.Run(through, func(b *testing.B) {
			url, served := talker(b, 10)
			if through == "gateway" {
				url = gatewayTo(b, url)
			}
			turnOnce := func() llmproxy.WSConn {
				conn := dialBench(b, url)
				turnOn(b, conn)
				return conn
			}
			for range b.N {
				turnOnce().Close() // so that what is made once is there
				served.Wait()
				before := held()
				conns := make([]llmproxy.WSConn, sessions)
				for i := range conns {
					conns[i] = turnOnce()
				}
				b.ReportMetric(float64(held()-before)/sessions, "B/session")
				for _, conn := range conns {
					conn.Close()
				}
				served.Wait()
			}
		})
	}
}

// held returns the bytes that heap and stacks hold.
func held() int64 {
	// Twice, as pools keep what they have for one collection more.
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
