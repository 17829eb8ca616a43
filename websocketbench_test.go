package llmproxy_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/llmproxy/llmproxy"
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

// handshakeRequest is a client's, for upgraders that need no connection.
func handshakeRequest() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/v1/responses", nil)
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
	} {
		r.Header.Set(name, value)
	}
	return r
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
	r := handshakeRequest()
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
