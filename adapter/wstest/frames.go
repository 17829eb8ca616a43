package wstest

import (
	"bytes"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
)

var frameTests = []test[end]{
	{"a message in fragments", fragmentsAreOneMessage},
	{"control frames between fragments", controlBetweenFragments},
	{"a pong that nobody asked for", strayPong},
	{"faults of the protocol", protocolFaults},
	{"text that is not UTF-8", invalidText},
}

func fragmentsAreOneMessage(t *testing.T, e end) {
	near, far := e.raw(t)
	want := text(70_000)
	far.send(
		frame{opcode: llmproxy.WSBinary, payload: want[:1]},
		frame{opcode: wsContinuation},
		frame{opcode: wsContinuation, payload: want[1:66_000]},
		frame{opcode: wsContinuation, payload: want[66_000:]},
		frame{fin: true, opcode: wsContinuation},
		frame{opcode: llmproxy.WSText},
		frame{fin: true, opcode: wsContinuation, payload: []byte("next")},
	)
	if got := read(near); got.kind != llmproxy.WSBinary || !bytes.Equal(got.p, want) || got.err != nil {
		t.Errorf("got type %d, %d bytes, %v", got.kind, len(got.p), got.err)
	}
	if got := read(near); got.kind != llmproxy.WSText || string(got.p) != "next" || got.err != nil {
		t.Errorf("the next message: got type %d, %q, %v", got.kind, got.p, got.err)
	}
}

func controlBetweenFragments(t *testing.T, e end) {
	near, far := e.raw(t)
	payload := strings.Repeat("p", 125)
	far.send(
		frame{fin: true, opcode: llmproxy.WSPing},
		frame{opcode: llmproxy.WSText, payload: []byte("one ")},
		frame{fin: true, opcode: llmproxy.WSPing, payload: []byte(payload)},
		frame{fin: true, opcode: wsContinuation, payload: []byte("two")},
	)
	received := after(func() message { return read(near) })
	for _, want := range []string{"", payload} {
		if f := far.receive(t); f.opcode != llmproxy.WSPong || !f.fin || string(f.payload) != want {
			t.Errorf("got a frame of type %d, %q, want a pong, %q", f.opcode, f.payload, want)
		}
	}
	if got := wait(t, received, "the message"); string(got.p) != "one two" || got.err != nil {
		t.Errorf("got %q, %v", got.p, got.err)
	}
}

func strayPong(t *testing.T, e end) {
	near, far := e.raw(t)
	far.send(
		frame{fin: true, opcode: llmproxy.WSPong, payload: []byte("1")},
		frame{fin: true, opcode: llmproxy.WSText, payload: []byte("message")},
	)
	if got := read(near); string(got.p) != "message" || got.err != nil {
		t.Errorf("got %q, %v", got.p, got.err)
	}
}

// faults are bytes that no peer may send, as a server has to see them.
var faults = []struct {
	name   string
	frames []frame
	bytes  []byte // instead of frames
}{
	{name: "reserved bit 1", frames: []frame{{fin: true, rsv: 4, opcode: llmproxy.WSText, payload: []byte("x")}}},
	{name: "reserved bit 2", frames: []frame{{fin: true, rsv: 2, opcode: llmproxy.WSText, payload: []byte("x")}}},
	{name: "reserved bit 3", frames: []frame{{fin: true, rsv: 1, opcode: llmproxy.WSText, payload: []byte("x")}}},
	{name: "a reserved bit of a ping", frames: []frame{{fin: true, rsv: 4, opcode: llmproxy.WSPing}}},
	{name: "a reserved type", frames: []frame{{fin: true, opcode: 3, payload: []byte("x")}}},
	{name: "a reserved control frame", frames: []frame{{fin: true, opcode: 11}}},
	{name: "a continuation of nothing", frames: []frame{{fin: true, opcode: wsContinuation, payload: []byte("x")}}},
	{name: "a message within another", frames: []frame{{opcode: llmproxy.WSText}, {fin: true, opcode: llmproxy.WSText}}},
	{name: "a long ping", frames: []frame{{fin: true, opcode: llmproxy.WSPing, payload: make([]byte, 126)}}},
	{name: "a ping in fragments", frames: []frame{{opcode: llmproxy.WSPing}}},
	{name: "a close frame of one byte", frames: []frame{{fin: true, opcode: llmproxy.WSClose, payload: []byte{3}}}},
	{name: "code 999", frames: []frame{closeFrame(999, "")}},
	{name: "code 1005", frames: []frame{closeFrame(1005, "")}},
	{name: "code 1006", frames: []frame{closeFrame(1006, "")}},
	{name: "code 5000", frames: []frame{closeFrame(5000, "")}},
	{name: "a length beyond 63 bits", bytes: []byte{0x81, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}},
}

func protocolFaults(t *testing.T, e end) {
	for _, tt := range faults {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			near, far := e.raw(t)
			if tt.bytes == nil {
				far.send(tt.frames...)
			} else {
				far.Write(masked(tt.bytes, far.masked))
			}
			expectFault(t, near, far)
		})
	}
	if e.server {
		t.Run("a client's frame without a mask", func(t *testing.T) {
			t.Parallel()
			near, far := e.raw(t)
			far.Write(frame{fin: true, opcode: llmproxy.WSText, payload: []byte("x")}.append(nil, false))
			expectFault(t, near, far)
		})
	}
}

// masked sets the bit of the frame's head that says so.
func masked(head []byte, set bool) []byte {
	head = bytes.Clone(head)
	if set {
		head[1] |= 0x80
	}
	return head
}

// expectFault demands an error of the read, for good, and at most a close frame that says
// what is wrong.
func expectFault(t *testing.T, near llmproxy.WSConn, far *peer) {
	t.Helper()
	first := after(func() message { return read(near) })
	told := after(func() []frame {
		defer far.drain()
		var all []frame
		for {
			f, err := readFrame(far.in)
			if err != nil {
				return all
			}
			all = append(all, f)
		}
	})
	if got := wait(t, first, "the error"); got.err == nil {
		t.Errorf("got a message of type %d, %q", got.kind, got.p)
	}
	expectReadErrors(t, near)
	near.Close()
	frames := wait(t, told, "the end of the connection")
	if len(frames) == 0 {
		return // an end says enough
	}
	if len(frames) > 1 || frames[0].opcode != llmproxy.WSClose {
		t.Fatalf("got %d frames, the first of type %d", len(frames), frames[0].opcode)
	}
	if p := frames[0].payload; len(p) >= 2 {
		if code := int(p[0])<<8 | int(p[1]); code != llmproxy.WSCloseProtocolError && code != llmproxy.WSCloseInvalidPayload {
			t.Errorf("the peer was told %d", code)
		}
	}
}

// expectReadErrors demands that no read succeeds any more.
func expectReadErrors(t *testing.T, conn llmproxy.WSConn) {
	t.Helper()
	for range 3 {
		if got := read(conn); got.err == nil {
			t.Errorf("a read after an error: type %d, %q", got.kind, got.p)
		}
	}
}

// A library need not look at text (RFC 6455 §8.1 demands it; the large ones leave it to
// their users). It must not change it.
func invalidText(t *testing.T, e end) {
	near, far := e.raw(t)
	const broken = "\xff\xc0 text"
	far.send(frame{fin: true, opcode: llmproxy.WSText, payload: []byte(broken)})
	drained := after(func() bool {
		far.drain()
		return true
	})
	if got := read(near); got.err == nil && string(got.p) != broken {
		t.Errorf("got %q, want %q or an error", got.p, broken)
	}
	near.Close()
	wait(t, drained, "the end of the connection")
}
