package bench_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/coderws"
	"github.com/llmproxy/llmproxy/bench"
	"github.com/llmproxy/llmproxy/providers/openai"
)

// What a WebSocket of the Responses API carries. A delta has 290 bytes.
var (
	wsCreate    = []byte(`{"type":"response.create","model":"gpt-5-mini","store":false,"input":"hello"}`)
	wsCreated   = []byte(`{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","status":"in_progress","model":"gpt-5-mini"}}`)
	wsDelta     = []byte(`{"type":"response.output_text.delta","sequence_number":4,"item_id":"msg_0123456789abcdef0123456789abcdef","output_index":0,"content_index":0,"delta":" word","logprobs":[],"obfuscation":"` + strings.Repeat("x", 102) + `"}`)
	wsCompleted = []byte(`{"type":"response.completed","sequence_number":9,"response":{"id":"resp_1","object":"response","status":"completed","model":"gpt-5-mini","usage":{"input_tokens":3,"output_tokens":100,"total_tokens":103}}}`)
)

// wsProvider answers each create with so many deltas. A paced one waits with each until
// the client has the one before.
type wsProvider struct {
	deltas int
	acks   []chan struct{} // of each client, by the parameter client; nil: not paced
	served sync.WaitGroup
	fault  atomic.Value // error
}

func (p *wsProvider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.served.Add(1)
	defer p.served.Done()
	var ack chan struct{}
	if p.acks != nil {
		n, err := strconv.Atoi(r.URL.Query().Get("client"))
		if err != nil || n >= len(p.acks) {
			p.fault.CompareAndSwap(nil, fmt.Errorf("no client in %s", r.URL))
			http.Error(w, "no client", http.StatusBadRequest)
			return
		}
		ack = p.acks[n]
	}
	conn, err := coderws.Upgrader{}.Upgrade(w, r, nil)
	if err != nil {
		p.fault.CompareAndSwap(nil, err)
		return
	}
	defer conn.Close()
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			return // the client has left
		}
		if p.answer(conn, ack) != nil {
			return
		}
	}
}

func (p *wsProvider) answer(conn llmproxy.WSConn, ack <-chan struct{}) error {
	if err := conn.WriteMessage(llmproxy.WSText, wsCreated); err != nil {
		return err
	}
	for range p.deltas {
		if ack != nil {
			<-ack
		}
		if err := conn.WriteMessage(llmproxy.WSText, wsDelta); err != nil {
			return err
		}
	}
	if ack != nil {
		<-ack
	}
	return conn.WriteMessage(llmproxy.WSText, wsCompleted)
}

// wsTargets are what stands between. The gateway meters, and looks at each record.
var wsTargets = []struct {
	name    string
	handler func(upstream string) (h http.Handler, shut func() error)
}{
	{"direct", nil},
	{"reverseproxy", func(upstream string) (http.Handler, func() error) {
		h, _, err := bench.ReverseProxy.Handler(strings.TrimPrefix(upstream, "http://"))
		return h, func() error { return err }
	}},
	{"llmproxy", func(upstream string) (http.Handler, func() error) {
		p, err := openai.New(openai.Config{APIKey: "sk-none", BaseURL: upstream})
		if err != nil {
			return nil, func() error { return err }
		}
		var c wsCounter
		router := llmproxy.NewAutoRouter(llmproxy.WithProvider(p), llmproxy.WithRecorder(&c), llmproxy.WithWebSocket(coderws.Upgrader{}, coderws.Dialer{}))
		return router, func() error { return errors.Join(router.Shutdown(context.Background()), c.verify()) }
	}},
}

// wsCounter is a recorder that counts the records that are right.
type wsCounter struct{ begun, good atomic.Int64 }

func (c *wsCounter) Begin(context.Context, *llmproxy.Record) error {
	c.begun.Add(1)
	return nil
}

func (c *wsCounter) Record(_ context.Context, r *llmproxy.Record) error {
	if r.Outcome == llmproxy.OutcomeCompleted && r.Usage.PromptTokens == 3 && r.Usage.CompletionTokens == 100 && r.Turn > 0 {
		c.good.Add(1)
	}
	return nil
}

func (c *wsCounter) verify() error {
	if begun, good := c.begun.Load(), c.good.Load(); begun != good || good == 0 {
		return fmt.Errorf("%d turns of %d have the right record", good, begun)
	}
	return nil
}

// wsLoad is a number of clients, each on a connection of its own.
type wsLoad struct {
	provider *wsProvider
	clients  []llmproxy.WSConn
	dial     func(client int) (llmproxy.WSConn, error)
}

// newWSLoad starts a provider, and what target stands for.
func newWSLoad(tb testing.TB, target, clients, deltas int, paced bool) *wsLoad {
	tb.Helper()
	l := &wsLoad{provider: &wsProvider{deltas: deltas}}
	if paced {
		for range clients {
			l.provider.acks = append(l.provider.acks, make(chan struct{}, 1))
		}
	}
	upstream := httptest.NewServer(l.provider)
	tb.Cleanup(upstream.Close)
	address := upstream.URL
	if handler := wsTargets[target].handler; handler != nil {
		h, shut := handler(upstream.URL)
		server := httptest.NewServer(h)
		tb.Cleanup(server.Close)
		tb.Cleanup(func() {
			if err := shut(); err != nil {
				tb.Error(err)
			}
		})
		address = server.URL
	}
	l.dial = func(client int) (llmproxy.WSConn, error) {
		url := fmt.Sprintf("ws%s/v1/responses?client=%d", strings.TrimPrefix(address, "http"), client)
		conn, _, err := coderws.Dialer{}.Dial(context.Background(), url, nil)
		return conn, err
	}
	tb.Cleanup(func() {
		l.close()
		if err, ok := l.provider.fault.Load().(error); ok {
			tb.Error(err)
		}
	})
	return l
}

// open connects n clients more.
func (l *wsLoad) open(n int) error {
	for range n {
		conn, err := l.dial(len(l.clients))
		if err != nil {
			return err
		}
		l.clients = append(l.clients, conn)
	}
	return nil
}

// close ends all connections, and waits until the provider knows.
func (l *wsLoad) close() {
	for _, conn := range l.clients {
		conn.Close()
	}
	l.clients = nil
	l.provider.served.Wait()
}

// turn runs one turn of a client.
func (l *wsLoad) turn(client int) error {
	conn := l.clients[client]
	if err := conn.WriteMessage(llmproxy.WSText, wsCreate); err != nil {
		return err
	}
	for n := -1; ; n++ {
		_, p, err := conn.ReadMessage()
		switch {
		case err != nil:
			return err
		case bytes.Equal(p, wsCompleted):
			if n != l.provider.deltas {
				return fmt.Errorf("%d deltas came, want %d", n, l.provider.deltas)
			}
			return nil
		case !bytes.Equal(p, wsCreated) && !bytes.Equal(p, wsDelta):
			return fmt.Errorf("got %s", p)
		}
		if l.provider.acks != nil {
			l.provider.acks[client] <- struct{}{}
		}
	}
}

// run runs n turns, all clients at once.
func (l *wsLoad) run(n int) error {
	var left atomic.Int64
	left.Store(int64(n))
	errs := make([]error, len(l.clients))
	var wg sync.WaitGroup
	for client := range l.clients {
		wg.Go(func() {
			for left.Add(-1) >= 0 && errs[client] == nil {
				errs[client] = l.turn(client)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// wsCases are how events come: each when the client has the one before, or flat out.
var wsCases = []struct {
	name            string
	paced           bool
	clients, deltas int
}{
	{"ws-paced-100", true, 8, 100},
	{"ws-1000", false, 4, 1000},
}

func TestWebSocketTargetsServeTheCases(t *testing.T) {
	t.Parallel()
	for _, c := range wsCases {
		for target := range wsTargets {
			t.Run(c.name+"/"+wsTargets[target].name, func(t *testing.T) {
				t.Parallel()
				l := newWSLoad(t, target, c.clients, c.deltas, c.paced)
				if err := errors.Join(l.open(c.clients), l.run(2*c.clients)); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// BenchmarkWebSocket runs turns, several at a time, on each target. net-µs/event is CPU
// time of the whole process without that of the same turns on no target at all, which are
// measured first; allocs/event has provider and client in it.
func BenchmarkWebSocket(b *testing.B) {
	for _, c := range wsCases {
		b.Run(c.name, func(b *testing.B) {
			direct := 0.0
			for target := range wsTargets {
				b.Run(wsTargets[target].name, func(b *testing.B) {
					l := newWSLoad(b, target, c.clients, c.deltas, c.paced)
					if err := errors.Join(l.open(c.clients), l.run(2*c.clients)); err != nil {
						b.Fatal(err)
					}
					b.ResetTimer()
					cost, err := bench.Measure(func() error { return l.run(b.N) })
					if err != nil {
						b.Fatal(err)
					}
					b.StopTimer()
					events := float64(b.N) * float64(c.deltas)
					cpu := float64(cost.CPU.Nanoseconds()) / 1000 / events
					b.ReportMetric(cpu, "cpu-µs/event")
					b.ReportMetric(float64(cost.Allocs)/events, "allocs/event")
					if target == 0 {
						direct = cpu
					} else if direct > 0 {
						b.ReportMetric(cpu-direct, "net-µs/event")
					}
				})
			}
		})
	}
}

// BenchmarkWebSocketIdle opens 500 connections that have a turn each and then wait, and
// reports the growth of heap and stacks for each, without that of client and provider.
func BenchmarkWebSocketIdle(b *testing.B) {
	const sessions = 500
	direct := 0.0
	for target := range wsTargets {
		b.Run(wsTargets[target].name, func(b *testing.B) {
			l := newWSLoad(b, target, sessions, 10, false)
			sum := 0.0
			for b.Loop() {
				if err := errors.Join(l.open(1), l.run(1)); err != nil { // what is made once
					b.Fatal(err)
				}
				l.close()
				before := held()
				err := l.open(sessions)
				for client := range l.clients {
					err = errors.Join(err, l.turn(client))
				}
				if err != nil {
					b.Fatal(err)
				}
				sum += float64(held()-before) / sessions / 1024
				l.close()
			}
			kib := sum / float64(b.N)
			if target == 0 {
				direct = kib
			} else {
				kib -= direct
			}
			b.ReportMetric(kib, "KiB/session")
		})
	}
}

// held returns the bytes in use, of heap and stacks, after a collection.
func held() int64 {
	runtime.GC()
	runtime.GC() // what pools let go of
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
