package wstest

import (
	"errors"
	"net/http"
	"testing"

	"github.com/llmproxy/llmproxy"
)

var limitTests = []test[end]{
	{"no read limit at first", noLimitAtFirst},
	{"the read limit is exact", limitIsExact},
	{"the read limit counts fragments", limitCountsFragments},
	{"the read limit counts what the reader gets", limitCountsMessages},
	{"the read limit reaches a peer that is sending", limitReachesSender},
	{"the read limit can be lifted", limitIsLifted},
}

func (e end) limit(t *testing.T, conn llmproxy.WSConn, bytes int64) {
	t.Helper()
	limiter, ok := conn.(llmproxy.WSReadLimiter)
	if !ok {
		e.missing(t, "WSReadLimiter")
	}
	limiter.SetReadLimit(bytes)
}

// expectTooBig demands the error of a message above limit.
func (e end) expectTooBig(t *testing.T, err error, limit int64) {
	t.Helper()
	if err == nil {
		t.Fatal("got no error")
	}
	tooBig, ok := errors.AsType[*http.MaxBytesError](err)
	if e.all && (!ok || tooBig.Limit != limit) {
		t.Errorf("got %v, want an http.MaxBytesError of %d", err, limit)
	}
}

func noLimitAtFirst(t *testing.T, e end) {
	near, far := e.raw(t)
	far.send(frame{fin: true, opcode: llmproxy.WSText, payload: text(40 << 10)})
	if got := read(near); len(got.p) != 40<<10 || got.err != nil {
		t.Errorf("got %d bytes, %v", len(got.p), got.err)
	}
}

func limitIsExact(t *testing.T, e end) {
	for _, limit := range []int64{1, 1000, 4096, 100_000} {
		near, far := e.raw(t)
		e.limit(t, near, limit)
		far.send(
			frame{fin: true, opcode: llmproxy.WSText, payload: text(int(limit))},
			frame{fin: true, opcode: llmproxy.WSText, payload: text(int(limit) + 1)},
		)
		if got := read(near); int64(len(got.p)) != limit || got.err != nil {
			t.Fatalf("got %d bytes, %v, want %d", len(got.p), got.err, limit)
		}
		e.refuses(t, near, far, limit)
	}
}

// refuses demands that near, which has something too large to read, says so to both sides.
func (e end) refuses(t *testing.T, near llmproxy.WSConn, far *peer, limit int64) {
	t.Helper()
	received := after(func() message { return read(near) })
	if code, _ := far.receiveClose(t); code != llmproxy.WSCloseTooBig {
		t.Errorf("the peer was told %d, want %d", code, llmproxy.WSCloseTooBig)
	}
	far.send(closeFrame(llmproxy.WSCloseTooBig, ""))
	far.Close()
	e.expectTooBig(t, wait(t, received, "the error").err, limit)
	expectReadErrors(t, near)
}

func limitCountsFragments(t *testing.T, e end) {
	near, far := e.raw(t)
	e.limit(t, near, 1000)
	far.send(
		frame{opcode: llmproxy.WSText, payload: text(400)},
		frame{opcode: wsContinuation, payload: text(600)},
		frame{fin: true, opcode: wsContinuation, payload: text(1)},
	)
	e.refuses(t, near, far, 1000)
}

// A message of zeros is small while it is compressed.
func limitCountsMessages(t *testing.T, e end) {
	const limit = 1 << 20
	near, far := e.pair(t)
	e.limit(t, near, limit)
	nearFailed, farFailed := reading(near), reading(far)
	if err := far.WriteMessage(llmproxy.WSText, make([]byte, limit)); err != nil {
		t.Fatal(err)
	}
	far.WriteMessage(llmproxy.WSText, make([]byte, limit+1)) // may fail: the peer refuses it
	err := wait(t, farFailed, "the close frame")
	e.expectTooBig(t, wait(t, nearFailed, "the error"), limit)
	if told := e.closed(t, err); told.Code != llmproxy.WSCloseTooBig {
		t.Errorf("the peer was told %d, want %d", told.Code, llmproxy.WSCloseTooBig)
	}
}

func limitReachesSender(t *testing.T, e end) {
	if !e.all {
		e.missing(t, "a close frame for a peer that is sending")
	}
	const limit = 1000
	near, far := e.pair(t)
	e.limit(t, near, limit)
	nearFailed, farFailed := reading(near), reading(far)
	// It may be sent whole before the peer's answer is read, or break off.
	sent := after(func() error { return far.WriteMessage(llmproxy.WSText, text(16<<20)) })
	if told := e.closed(t, wait(t, farFailed, "the close frame")); told.Code != llmproxy.WSCloseTooBig {
		t.Errorf("the peer was told %d, want %d", told.Code, llmproxy.WSCloseTooBig)
	}
	e.expectTooBig(t, wait(t, nearFailed, "the error"), limit)
	wait(t, sent, "the end of the write")
}

func limitIsLifted(t *testing.T, e end) {
	near, far := e.raw(t)
	e.limit(t, near, 10)
	e.limit(t, near, 0)
	far.send(frame{fin: true, opcode: llmproxy.WSText, payload: text(40 << 10)})
	if got := read(near); len(got.p) != 40<<10 || got.err != nil {
		t.Errorf("got %d bytes, %v", len(got.p), got.err)
	}
}
