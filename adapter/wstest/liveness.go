package wstest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
)

var livenessTests = []test[end]{
	{"a ping comes back", pingComesBack},
	{"a ping without a pong", pingUnanswered},
	{"a ping when the connection ends", pingAtTheEnd},
	{"a ping behind a write that is stuck", pingBehindWrite},
	{"a read under a context", readUnderContext},
	{"a context ends a read", contextEndsRead},
	{"a read after the context's end", readAfterContext},
}

func (e end) pinger(t *testing.T, conn llmproxy.WSConn) llmproxy.WSPinger {
	t.Helper()
	pinger, ok := conn.(llmproxy.WSPinger)
	if !ok {
		e.missing(t, "WSPinger")
	}
	return pinger
}

func (e end) contextReader(t *testing.T, conn llmproxy.WSConn) llmproxy.WSContextReader {
	t.Helper()
	reader, ok := conn.(llmproxy.WSContextReader)
	if !ok {
		e.missing(t, "WSContextReader")
	}
	return reader
}

func pingComesBack(t *testing.T, e end) {
	near, far := e.pair(t)
	pinger := e.pinger(t, near)
	nearFailed, farFailed := reading(near), reading(far)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// Several at once, among messages of both ends.
	var pings []<-chan error
	for range 4 {
		pings = append(pings, after(func() error { return pinger.Ping(ctx) }))
	}
	for _, conn := range []llmproxy.WSConn{near, far} {
		if err := conn.WriteMessage(llmproxy.WSText, text(100_000)); err != nil {
			t.Error(err)
		}
	}
	for _, ping := range pings {
		if err := wait(t, ping, "the pong"); err != nil {
			t.Error(err)
		}
	}
	near.Close()
	wait(t, nearFailed, "the end")
	wait(t, farFailed, "the end")
}

func pingUnanswered(t *testing.T, e end) {
	near, far := e.raw(t)
	pinger := e.pinger(t, near)
	failed := reading(near)
	ctx, cancel := context.WithCancel(t.Context())
	ping := after(func() error { return pinger.Ping(ctx) })
	if f := far.receive(t); f.opcode != llmproxy.WSPing {
		t.Errorf("got a frame of type %d, want a ping", f.opcode)
	}
	far.send(frame{fin: true, opcode: llmproxy.WSPong, payload: []byte("another's")})
	cancel()
	if err := wait(t, ping, "the end of the ping"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	near.Close()
	wait(t, failed, "the end of the read")
}

func pingAtTheEnd(t *testing.T, e end) {
	for _, tt := range []struct {
		name string
		end  func(near llmproxy.WSConn, far *peer)
	}{
		{"closed here", func(near llmproxy.WSConn, _ *peer) { near.Close() }},
		{"closed by the peer", func(_ llmproxy.WSConn, far *peer) { far.send(closeFrame(1000, "")) }},
		{"ended by the peer", func(_ llmproxy.WSConn, far *peer) { far.Close() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			near, far := e.raw(t)
			pinger := e.pinger(t, near)
			failed := reading(near)
			ping := after(func() error { return pinger.Ping(t.Context()) })
			far.receive(t)
			tt.end(near, far)
			e.expectClosed(t, "the ping", wait(t, ping, "the end of the ping"))
			wait(t, failed, "the end of the read")
			e.expectClosed(t, "the next", pinger.Ping(t.Context()))
		})
	}
}

// A peer may take its time for a large message. Neither the ping nor the connection may
// end of that before the ping's context does.
func pingBehindWrite(t *testing.T, e end) {
	near, far := e.raw(t)
	pinger := e.pinger(t, near)
	failed := reading(near)
	written := after(func() error { return near.WriteMessage(llmproxy.WSText, make([]byte, stuck)) })
	if _, err := far.in.Peek(1); err != nil { // the write is under way
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ping := after(func() error { return pinger.Ping(ctx) })
	// Longer than the libraries wait by themselves. Only time can show that nothing happens.
	stall := time.NewTimer(6 * time.Second)
	defer stall.Stop()
	select {
	case err := <-ping:
		t.Fatalf("the ping has ended while it could not be sent: %v", err)
	case <-stall.C:
	}
	for {
		f := far.receive(t)
		if f.opcode == llmproxy.WSPing {
			far.send(frame{fin: true, opcode: llmproxy.WSPong, payload: f.payload})
			break
		}
	}
	if err := wait(t, ping, "the pong"); err != nil {
		t.Error(err)
	}
	near.Close()
	wait(t, failed, "the end of the read")
	wait(t, written, "the end of the write")
}

func readUnderContext(t *testing.T, e end) {
	near, far := e.pair(t)
	reader := e.contextReader(t, near)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, ctx := range []context.Context{ctx, context.WithoutCancel(ctx), ctx} {
		if err := far.WriteMessage(llmproxy.WSText, []byte("message")); err != nil {
			t.Fatal(err)
		}
		if kind, p, err := reader.ReadMessageContext(ctx); kind != llmproxy.WSText || string(p) != "message" || err != nil {
			t.Errorf("got type %d, %q, %v", kind, p, err)
		}
	}
	// The context does not matter between reads.
	cancel()
	if err := near.WriteMessage(llmproxy.WSText, []byte("answer")); err != nil {
		t.Fatal(err)
	}
	if got := read(far); string(got.p) != "answer" || got.err != nil {
		t.Errorf("got %q, %v", got.p, got.err)
	}
}

func contextEndsRead(t *testing.T, e end) {
	near, far := e.raw(t)
	reader := e.contextReader(t, near)
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	failed := after(func() error {
		_, _, err := reader.ReadMessageContext(ctx)
		return err
	})
	far.send(frame{fin: true, opcode: llmproxy.WSPing}) // the read is under way when the pong comes
	far.receive(t)
	cancel(cause)
	err := wait(t, failed, "the end of the read")
	if err == nil || e.all && !errors.Is(err, cause) {
		t.Errorf("got %v, want %v", err, cause)
	}
	if _, err := readFrame(far.in); err == nil {
		t.Error("the connection has not ended")
	}
	expectReadErrors(t, near)
	if err := near.WriteMessage(llmproxy.WSText, []byte("x")); err == nil {
		t.Error("a write after the end: got no error")
	}
}

func readAfterContext(t *testing.T, e end) {
	near, far := e.raw(t)
	reader := e.contextReader(t, near)
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, _, err := reader.ReadMessageContext(ctx); err == nil || e.all && !errors.Is(err, cause) {
		t.Errorf("got %v, want %v", err, cause)
	}
	if _, err := readFrame(far.in); err == nil {
		t.Error("the connection has not ended")
	}
	expectReadErrors(t, near)
}
