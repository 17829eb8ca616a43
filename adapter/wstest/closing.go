package wstest

import (
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/llmproxy/llmproxy"
)

var closingTests = []test[end]{
	{"Close ends a read", closeEndsRead},
	{"Close ends a write", closeEndsWrite},
	{"Close by many at once", closeByMany},
	{"the peer's close frame", peerCloses},
	{"the peer's end without a close frame", peerVanishes},
	{"a frame that breaks off", frameBreaksOff},
	{"CloseWith tells code and reason", closeWithTells},
	{"CloseWith keeps to what may be sent", closeWithSendable},
	{"CloseWith while another reads", closeWithWhileReading},
	{"CloseWith passes over messages", closeWithPassesMessages},
	{"CloseWith and a peer that does not answer", closeWithSilentPeer},
	{"CloseWith and a peer that does not read", closeWithStuckPeer},
	{"Close ends CloseWith", closeEndsCloseWith},
	{"CloseWith after the end", closeWithAfterEnd},
}

// stuck is in bytes: more than the buffers of any connection hold, so that a write of it
// cannot return before the peer reads.
const stuck = 32 << 20

// closed returns how the peer closed, which err has to say.
func (e end) closed(t *testing.T, err error) llmproxy.WSCloseError {
	t.Helper()
	if err == nil {
		t.Fatal("got no error")
	}
	told, ok := errors.AsType[*llmproxy.WSCloseError](err)
	if !ok {
		e.missing(t, "how the peer closed: "+err.Error())
	}
	return *told
}

func (e end) closer(t *testing.T, conn llmproxy.WSConn) llmproxy.WSCloser {
	t.Helper()
	closer, ok := conn.(llmproxy.WSCloser)
	if !ok {
		e.missing(t, "WSCloser")
	}
	return closer
}

// expectClosed demands the error of what has been closed at this end.
func (e end) expectClosed(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil || e.all && !errors.Is(err, net.ErrClosed) {
		t.Errorf("%s: got %v, want %v", what, err, net.ErrClosed)
	}
}

func closeEndsRead(t *testing.T, e end) {
	near, far := e.raw(t)
	// The pong shows that the read is under way.
	failed := reading(near)
	far.send(frame{fin: true, opcode: llmproxy.WSPing})
	if f := far.receive(t); f.opcode != llmproxy.WSPong {
		t.Errorf("got a frame of type %d, want a pong", f.opcode)
	}
	if err := near.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	e.expectClosed(t, "the read", wait(t, failed, "the end of the read"))
	expectReadErrors(t, near)
	e.expectClosed(t, "a write afterwards", near.WriteMessage(llmproxy.WSText, []byte("x")))
}

func closeEndsWrite(t *testing.T, e end) {
	near, far := e.raw(t)
	written := after(func() error { return near.WriteMessage(llmproxy.WSText, make([]byte, stuck)) })
	if _, err := far.in.ReadByte(); err != nil { // the write is under way
		t.Fatal(err)
	}
	near.Close()
	e.expectClosed(t, "the write", wait(t, written, "the end of the write"))
	if err := near.WriteMessage(llmproxy.WSText, []byte("x")); err == nil {
		t.Error("a write after an error: got no error")
	}
}

func closeByMany(t *testing.T, e end) {
	near, far := e.pair(t)
	farFailed, nearFailed := reading(far), reading(near)
	nearWritten := after(func() error {
		for {
			if err := near.WriteMessage(llmproxy.WSText, []byte("message")); err != nil {
				return err
			}
		}
	})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { near.Close() })
	}
	wg.Wait()
	near.Close()
	for _, ch := range []<-chan error{farFailed, nearFailed, nearWritten} {
		if err := wait(t, ch, "the end"); err == nil {
			t.Error("got no error")
		}
	}
}

func peerCloses(t *testing.T, e end) {
	for _, tt := range []struct {
		name string
		sent frame
		want llmproxy.WSCloseError
	}{
		{"without a code", frame{fin: true, opcode: llmproxy.WSClose}, llmproxy.WSCloseError{Code: 1005}},
		{"1000", closeFrame(1000, ""), llmproxy.WSCloseError{Code: 1000}},
		{"1001", closeFrame(1001, "going"), llmproxy.WSCloseError{Code: 1001, Reason: "going"}},
		{"1012", closeFrame(1012, "restart"), llmproxy.WSCloseError{Code: 1012, Reason: "restart"}},
		{"4999", closeFrame(4999, strings.Repeat("é", 61)), llmproxy.WSCloseError{Code: 4999, Reason: strings.Repeat("é", 61)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			near, far := e.raw(t)
			far.send(tt.sent)
			got := read(near)
			expectReadErrors(t, near)
			if code, _ := far.receiveClose(t); code != tt.want.Code {
				t.Errorf("the peer was answered with %d, want %d", code, tt.want.Code)
			}
			if told := e.closed(t, got.err); told != tt.want {
				t.Errorf("got %d, %q, want %d, %q", told.Code, told.Reason, tt.want.Code, tt.want.Reason)
			}
			if err := near.WriteMessage(llmproxy.WSText, []byte("x")); err == nil {
				t.Error("a write after the end: got no error")
			}
		})
	}
}

func peerVanishes(t *testing.T, e end) {
	for _, tt := range []struct {
		name string
		end  func(*peer)
	}{
		{"an end", func(far *peer) { far.Close() }},
		{"a reset", func(far *peer) {
			far.Conn.(*net.TCPConn).SetLinger(0)
			far.Close()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			near, far := e.raw(t)
			tt.end(far)
			e.expectAbnormal(t, near)
		})
	}
}

func (e end) expectAbnormal(t *testing.T, near llmproxy.WSConn) {
	t.Helper()
	got := read(near)
	expectReadErrors(t, near)
	if told := e.closed(t, got.err); told != (llmproxy.WSCloseError{Code: llmproxy.WSCloseAbnormal}) {
		t.Errorf("got %d, %q, want %d", told.Code, told.Reason, llmproxy.WSCloseAbnormal)
	}
}

func frameBreaksOff(t *testing.T, e end) {
	for _, tt := range []struct {
		name string
		keep int // bytes of a frame with 200 bytes
	}{
		{"in its head", 1}, {"in its length", 3}, {"behind its head", 8}, {"in its payload", 100},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			near, far := e.raw(t)
			whole := frame{fin: true, opcode: llmproxy.WSText, payload: text(200)}.append(nil, far.masked)
			far.Write(whole[:tt.keep])
			far.Close()
			e.expectAbnormal(t, near)
		})
	}
	t.Run("between fragments", func(t *testing.T) {
		t.Parallel()
		near, far := e.raw(t)
		far.send(frame{opcode: llmproxy.WSText, payload: text(200)})
		far.Close()
		e.expectAbnormal(t, near)
	})
}

func closeWithTells(t *testing.T, e end) {
	for _, want := range []llmproxy.WSCloseError{
		{Code: 1000},
		{Code: 1001, Reason: "going away"},
		{Code: 1011, Reason: "é"},
		{Code: 3000},
		{Code: 4999, Reason: "own"},
		{Code: llmproxy.WSCloseNoStatus},
	} {
		near, far := e.pair(t)
		closer := e.closer(t, near)
		received := after(func() error { return read(far).err })
		if err := closer.CloseWith(want.Code, want.Reason); err != nil {
			t.Errorf("CloseWith(%d): %v", want.Code, err)
		}
		if told := e.closed(t, wait(t, received, "the close frame")); told != want {
			t.Errorf("got %d, %q, want %d, %q", told.Code, told.Reason, want.Code, want.Reason)
		}
		if got := read(near); got.err == nil {
			t.Errorf("a read after CloseWith: type %d, %q", got.kind, got.p)
		}
	}
}

func closeWithSendable(t *testing.T, e end) {
	long := strings.Repeat("a", 122) + "é" // of 124 bytes
	for _, tt := range []struct {
		code     int
		reason   string
		wantCode int
		want     string
	}{
		{1000, strings.Repeat("a", 123), 1000, strings.Repeat("a", 123)},
		{1000, strings.Repeat("a", 200), 1000, strings.Repeat("a", 123)},
		{1000, long, 1000, strings.Repeat("a", 122)},
		{1000, "a\xffb", 1000, "a" + string(utf8.RuneError) + "b"},
		{1005, "why", 1005, ""},
		{1006, "why", 1011, "why"},
		{1015, "", 1011, ""},
		{1004, "", 1011, ""},
		{0, "", 1011, ""},
		{2999, "", 1011, ""},
		{5000, "", 1011, ""},
	} {
		near, far := e.raw(t)
		closer := e.closer(t, near)
		done := after(func() error { return closer.CloseWith(tt.code, tt.reason) })
		code, reason := far.receiveClose(t)
		if code != tt.wantCode || reason != tt.want {
			t.Errorf("CloseWith(%d, %q): sent %d, %q, want %d, %q", tt.code, tt.reason, code, reason, tt.wantCode, tt.want)
		}
		// The peer need not answer with the same code.
		far.send(closeFrame(llmproxy.WSCloseGoingAway, ""))
		if err := wait(t, done, "CloseWith"); err != nil {
			t.Errorf("CloseWith(%d, %q): %v", tt.code, tt.reason, err)
		}
	}
}

func closeWithWhileReading(t *testing.T, e end) {
	near, far := e.pair(t)
	closer := e.closer(t, near)
	nearFailed, farFailed := reading(near), reading(far)
	if err := closer.CloseWith(llmproxy.WSClosePolicy, "why"); err != nil {
		t.Errorf("CloseWith: %v", err)
	}
	if err := wait(t, nearFailed, "the end of the read"); err == nil {
		t.Error("the read: got no error")
	}
	want := llmproxy.WSCloseError{Code: llmproxy.WSClosePolicy, Reason: "why"}
	if told := e.closed(t, wait(t, farFailed, "the close frame")); told != want {
		t.Errorf("got %d, %q, want %d, %q", told.Code, told.Reason, want.Code, want.Reason)
	}
}

// The peer may have sent much before it sees the close frame.
func closeWithPassesMessages(t *testing.T, e end) {
	near, far := e.raw(t)
	closer := e.closer(t, near)
	far.send(
		frame{fin: true, opcode: llmproxy.WSText, payload: text(5000)},
		frame{opcode: llmproxy.WSText, payload: text(5000)},
		frame{fin: true, opcode: wsContinuation, payload: text(5000)},
		closeFrame(1000, ""),
	)
	if err := closer.CloseWith(1000, ""); err != nil {
		t.Errorf("CloseWith: %v", err)
	}
}

func closeWithSilentPeer(t *testing.T, e end) {
	near, far := e.raw(t)
	closer := e.closer(t, near)
	done := after(func() error { return closer.CloseWith(1000, "") })
	far.receiveClose(t)
	e.expectLate(t, wait(t, done, "CloseWith"))
	expectReadErrors(t, near)
}

func closeWithStuckPeer(t *testing.T, e end) {
	near, far := e.raw(t)
	closer := e.closer(t, near)
	written := after(func() error { return near.WriteMessage(llmproxy.WSText, make([]byte, stuck)) })
	if _, err := far.in.ReadByte(); err != nil {
		t.Fatal(err)
	}
	e.expectLate(t, wait(t, after(func() error { return closer.CloseWith(1000, "") }), "CloseWith"))
	if err := wait(t, written, "the end of the write"); err == nil {
		t.Error("the write: got no error")
	}
}

func (e end) expectLate(t *testing.T, err error) {
	t.Helper()
	if err == nil || e.all && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("CloseWith: got %v, want %v", err, os.ErrDeadlineExceeded)
	}
}

func closeEndsCloseWith(t *testing.T, e end) {
	near, far := e.raw(t)
	closer := e.closer(t, near)
	done := after(func() error { return closer.CloseWith(1000, "") })
	far.receiveClose(t) // it waits for ours now
	start := time.Now()
	near.Close()
	wait(t, done, "CloseWith")
	// The bounded wait is some seconds.
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("CloseWith returned %v after Close", took)
	}
}

func closeWithAfterEnd(t *testing.T, e end) {
	near, _ := e.pair(t)
	closer := e.closer(t, near)
	near.Close()
	e.expectClosed(t, "after Close", closer.CloseWith(1000, ""))

	near, far := e.raw(t)
	far.send(closeFrame(1000, ""))
	read(near)
	e.expectClosed(t, "after the peer's close frame", e.closer(t, near).CloseWith(1000, ""))
}
