package interceptorstest

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/llmproxy/llmproxy"
)

// socketLog is what passed between the gateway and the upstream's WebSockets.
type socketLog struct {
	creates []string   // messages of the gateway
	events  [][]string // that came after each of them
}

// turns makes two turns on one connection, of which the second goes on from the first, and
// checks what became of them.
func (r *rig) turns(flaky bool) {
	t := r.t
	r.flaky = flaky
	conn, _, err := r.suite.Dialer.Dial(t.Context(), "ws"+strings.TrimPrefix(r.gateway, "http")+"/v1/responses", http.Header{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	defer time.AfterFunc(patience, func() { _ = conn.Close() }).Stop()
	previous := ""
	for n := range 2 {
		create := `{"type":"response.create","store":false,"model":"gpt-5-mini","input":"tell me"` + previous + `}`
		if err := conn.WriteMessage(llmproxy.WSText, []byte(create)); err != nil {
			t.Fatal(err)
		}
		var got []string
		for {
			_, p, err := conn.ReadMessage()
			if err != nil {
				t.Fatalf("turn %d, after %d events: %v", n, len(got), err)
			}
			got = append(got, string(p))
			if isLast(p) {
				break
			}
		}
		failed := strings.Contains(got[len(got)-1], `"type":"error"`)
		r.turn(create, got, failed)
		if failed {
			if !flaky {
				t.Errorf("turn %d failed: %s", n, got)
			}
			return
		}
		_, id, _ := strings.Cut(got[0], `"id":"resp_`)
		id, _, _ = strings.Cut(id, `"`)
		previous = `,"previous_response_id":"resp_` + id + `"`
	}
	r.untouched()
}

// turn checks what became of create, which was answered with events.
func (r *rig) turn(create string, events []string, failed bool) {
	t := r.t
	rec := r.record()
	r.noMore()
	r.mu.Lock()
	defer r.mu.Unlock()
	log := &r.sockets
	if len(log.creates) == 0 {
		t.Fatalf("no create reached the provider; the client got %s", events)
	}
	said := log.events[len(log.events)-1]
	if !r.does.ChangesAnswer && !slices.Equal(events, said) {
		t.Errorf("the client got\n%s\nthe provider said\n%s", strings.Join(events, "\n"), strings.Join(said, "\n"))
	}
	for i, sent := range log.creates {
		if sent != log.creates[len(log.creates)-1] || !r.does.ChangesRequest && sent != create {
			t.Errorf("create %d was\n%s\nthe client's was\n%s", i, sent, create)
		}
	}
	if len(rec.Attempts) != len(log.creates) || rec.Transport != llmproxy.TransportWebSocket || failed != (rec.Outcome == llmproxy.OutcomeError) {
		t.Errorf("%d creates; the record says %s, %+v", len(log.creates), rec.Outcome, rec.Attempts)
	}
	if !failed && (rec.Outcome != llmproxy.OutcomeCompleted || rec.Usage.TotalTokens() == 0) {
		t.Errorf("the record says %s, %+v", rec.Outcome, rec.Usage)
	}
	*log = socketLog{}
}

// isLast reports whether an event ends a turn.
func isLast(event []byte) bool {
	return bytes.Contains(event, []byte(`"type":"response.completed"`)) || bytes.Contains(event, []byte(`"type":"error"`))
}

// watchedDialer notes what passes over the connections to the upstream.
type watchedDialer struct {
	rig  *rig
	next llmproxy.WSDialer
}

func (w *watchedDialer) Dial(ctx context.Context, url string, header http.Header) (llmproxy.WSConn, *http.Response, error) {
	conn, resp, err := w.next.Dial(ctx, url, header)
	if err != nil {
		return nil, resp, err
	}
	c := &watchedConn{WSConn: conn, rig: w.rig, came: make(chan message), put: make(chan message, 1), closed: make(chan struct{})}
	c.reader.Go(c.read)
	return c, resp, nil
}

// watchedConn is a connection into which an event can be put that nobody has sent.
type watchedConn struct {
	llmproxy.WSConn
	rig    *rig
	came   chan message
	put    chan message // has room for one
	once   sync.Once    // guards the closing of closed
	closed chan struct{}
	reader sync.WaitGroup
}

type message struct {
	kind int
	text []byte
	err  error
}

// read reads the connection until it ends.
func (c *watchedConn) read() {
	for {
		kind, p, err := c.WSConn.ReadMessage()
		select {
		case c.came <- message{kind, bytes.Clone(p), err}:
		case <-c.closed:
			return
		}
		if err != nil {
			return
		}
	}
}

// ReadMessage returns the next message, whosever it is.
func (c *watchedConn) ReadMessage() (int, []byte, error) {
	var m message
	select {
	case m = <-c.put:
	case m = <-c.came:
	case <-c.closed:
		return 0, nil, net.ErrClosed
	}
	if m.err == nil {
		c.rig.mu.Lock()
		defer c.rig.mu.Unlock()
		if n := len(c.rig.sockets.events); n > 0 {
			c.rig.sockets.events[n-1] = append(c.rig.sockets.events[n-1], string(m.text))
		}
	}
	return m.kind, m.text, m.err
}

// overloadEvent is how a turn fails that is flaky.
const overloadEvent = `{"type":"error","status":503,"error":{"type":"server_error","code":"server_is_overloaded","message":"overloaded"}}`

// WriteMessage sends a message, or answers it with an error.
func (c *watchedConn) WriteMessage(kind int, data []byte) error {
	c.rig.mu.Lock()
	fails := c.rig.flaky
	c.rig.flaky = false
	c.rig.sockets.creates = append(c.rig.sockets.creates, string(data))
	c.rig.sockets.events = append(c.rig.sockets.events, nil)
	c.rig.mu.Unlock()
	if fails {
		c.put <- message{kind: llmproxy.WSText, text: []byte(overloadEvent)}
		return nil
	}
	return c.WSConn.WriteMessage(kind, data)
}

// Close ends the connection.
func (c *watchedConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	err := c.WSConn.Close()
	c.reader.Wait()
	return err
}
