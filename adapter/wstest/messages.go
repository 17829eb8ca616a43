package wstest

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/llmproxy/llmproxy"
)

var messageTests = []test[end]{
	{"messages keep their types and bytes", messagesArriveWhole},
	{"a message of 16 MiB", largeMessageArrives},
	{"both ways at once, in order", bothWaysInOrder},
	{"a message is its own until the next read", messageIsValid},
	{"what is written is not kept", writtenIsNotKept},
	{"a large message is sent in several frames", largeMessageIsSplit},
}

// text returns n bytes that do not repeat soon.
func text(n int) []byte {
	p := make([]byte, 0, n+24)
	for i := 0; len(p) < n; i++ {
		p = fmt.Appendf(p, "%d,", i*i)
	}
	return p[:n]
}

func messagesArriveWhole(t *testing.T, e end) {
	near, far := e.pair(t)
	// The lengths at which a frame's head and the usual buffers change.
	lengths := []int{0, 1, 125, 126, 4095, 4096, 4097, 0, 65535, 65536, 1 << 20, 3}
	echoed := after(func() error {
		for {
			kind, p, err := far.ReadMessage()
			if err == nil {
				err = far.WriteMessage(kind, p)
			}
			if err != nil {
				return err
			}
		}
	})
	for _, kind := range []int{llmproxy.WSText, llmproxy.WSBinary} {
		for _, n := range lengths {
			want := text(n)
			if err := near.WriteMessage(kind, want); err != nil {
				t.Fatalf("WriteMessage(%d, %d bytes): %v", kind, n, err)
			}
			got := read(near)
			if got.kind != kind || !bytes.Equal(got.p, want) || got.err != nil {
				t.Fatalf("type %d, %d bytes: got type %d, %d bytes, %v", kind, n, got.kind, len(got.p), got.err)
			}
		}
	}
	near.Close()
	if err := wait(t, echoed, "the end of the echo"); err == nil {
		t.Error("no error at the end")
	}
}

func largeMessageArrives(t *testing.T, e end) {
	near, far := e.pair(t)
	want := text(16 << 20)
	received := after(func() message { return read(far) })
	if err := near.WriteMessage(llmproxy.WSText, want); err != nil {
		t.Fatal(err)
	}
	got := wait(t, received, "the message")
	if got.kind != llmproxy.WSText || !bytes.Equal(got.p, want) || got.err != nil {
		t.Errorf("got type %d, %d bytes, %v", got.kind, len(got.p), got.err)
	}
}

func bothWaysInOrder(t *testing.T, e end) {
	const count = 500
	near, far := e.pair(t)
	write := func(conn llmproxy.WSConn) <-chan error {
		return after(func() error {
			for i := range count {
				if err := conn.WriteMessage(llmproxy.WSText, fmt.Appendf(nil, "message %d", i)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	receive := func(conn llmproxy.WSConn) <-chan error {
		return after(func() error {
			for i := range count {
				want := fmt.Sprintf("message %d", i)
				if _, p, err := conn.ReadMessage(); err != nil || string(p) != want {
					return fmt.Errorf("got %q, %v, want %q", p, err, want)
				}
			}
			return nil
		})
	}
	for _, done := range []<-chan error{write(near), write(far), receive(near), receive(far)} {
		if err := wait(t, done, "the end"); err != nil {
			t.Error(err)
		}
	}
}

func messageIsValid(t *testing.T, e end) {
	near, far := e.raw(t)
	// The second message is there before the first is looked at.
	far.send(
		frame{fin: true, opcode: llmproxy.WSText, payload: []byte("first")},
		frame{fin: true, opcode: llmproxy.WSText, payload: []byte("second")},
	)
	_, p, err := near.ReadMessage()
	if string(p) != "first" || err != nil {
		t.Errorf("got %q, %v", p, err)
	}
	// Whoever reads may write into it, up to its capacity.
	p = append(p, bytes.Repeat([]byte("x"), cap(p)-len(p))...)
	clear(p)
	if got := read(near); string(got.p) != "second" || got.err != nil {
		t.Errorf("got %q, %v", got.p, got.err)
	}
}

func writtenIsNotKept(t *testing.T, e end) {
	near, far := e.pair(t)
	for _, n := range []int{20, 5000, 100_000} {
		want := text(n)
		data := slices.Clone(want)
		received := after(func() message { return read(far) })
		if err := near.WriteMessage(llmproxy.WSBinary, data); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(data, want) {
			t.Errorf("%d bytes: WriteMessage has changed them", n)
		}
		clear(data)
		if got := wait(t, received, "the message"); !bytes.Equal(got.p, want) || got.err != nil {
			t.Errorf("%d bytes: got %d others, %v", n, len(got.p), got.err)
		}
	}
}

// Codex refuses frames above 16 MiB. Frames are far smaller so that a pong gets out in
// time while a large message goes to a slow peer.
func largeMessageIsSplit(t *testing.T, e end) {
	if !e.all {
		e.missing(t, "large messages in several frames")
	}
	near, far := e.raw(t)
	want := text(3 << 20)
	written := after(func() error { return near.WriteMessage(llmproxy.WSText, want) })
	var got []byte
	for first := true; ; first = false {
		f := far.receive(t)
		opcode := byte(wsContinuation)
		if first {
			opcode = llmproxy.WSText
		}
		if f.opcode != opcode || len(f.payload) > 1<<20 {
			t.Fatalf("a frame of type %d and %d bytes, want type %d and at most 1 MiB", f.opcode, len(f.payload), opcode)
		}
		got = append(got, f.payload...)
		if f.fin {
			break
		}
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the frames have %d bytes that are not those of the message", len(got))
	}
	if err := wait(t, written, "the write"); err != nil {
		t.Error(err)
	}
}
