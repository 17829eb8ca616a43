package gorillaws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/internal/ws"
)

var _ interface {
	llmproxy.WSConn
	llmproxy.WSContextReader
	llmproxy.WSCloser
	llmproxy.WSPinger
	llmproxy.WSReadLimiter
} = (*conn)(nil)

// conn is a connection of either side.
type conn struct {
	lib        *websocket.Conn
	compressed bool // where the peer agreed
	limit      atomic.Int64
	pings      pings

	ending   sync.Once
	ended    chan struct{} // closed by Close
	endError error

	// reading is held by the one that reads: ReadMessage, or CloseWith when no one else
	// does. It guards message and failure.
	reading sync.Mutex
	message ws.Buffer
	failure error // the first of a read
}

func newConn(lib *websocket.Conn, compressed bool) *conn {
	c := &conn{lib: lib, compressed: compressed, ended: make(chan struct{})}
	lib.SetPongHandler(c.pings.answered)
	lib.SetPingHandler(c.pong)
	return c
}

// ReadMessage returns the next message. A connection that the peer has closed is a
// *[llmproxy.WSCloseError]: with code 1005 for a close frame without one, and 1006 for an
// end without a close frame. After Close the error is [net.ErrClosed], and for a message
// above the read limit [*http.MaxBytesError]. After any error the connection is closed.
func (c *conn) ReadMessage() (int, []byte, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	if c.failure != nil {
		return 0, nil, c.failure
	}
	c.message.Release()
	kind, r, err := c.lib.NextReader()
	if err == nil {
		var p []byte
		if p, err = c.message.Read(r, c.limit.Load()); err == nil {
			return kind, p, nil
		}
	}
	c.failure = c.readError(err)
	return 0, nil, c.failure
}

// readError ends the connection after an error of a read, and returns what to call it.
func (c *conn) readError(err error) error {
	defer c.Close()
	if e, ok := errors.AsType[*websocket.CloseError](err); ok {
		if e.Code == websocket.CloseAbnormalClosure {
			return &llmproxy.WSCloseError{Code: e.Code} // the text is the library's
		}
		return &llmproxy.WSCloseError{Code: e.Code, Reason: e.Text}
	}
	if e, ok := ws.PeerGone(err); ok {
		return e
	}
	if _, tooBig := errors.AsType[*http.MaxBytesError](err); tooBig {
		c.sendClose(llmproxy.WSCloseTooBig, "")
	}
	if !errors.Is(err, net.ErrClosed) {
		ws.Linger(c.lib.NetConn()) // the peer has been told what is wrong
	}
	return fmt.Errorf("gorillaws: read: %w", err)
}

// ReadMessageContext is ReadMessage until ctx ends. Then the error is ctx's cause, and the
// connection is closed.
func (c *conn) ReadMessageContext(ctx context.Context) (int, []byte, error) {
	if ctx.Done() == nil {
		return c.ReadMessage()
	}
	if ctx.Err() != nil {
		c.Close()
		return 0, nil, c.fail(context.Cause(ctx))
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	kind, p, err := c.ReadMessage()
	if !stop() && err != nil {
		return 0, nil, c.fail(context.Cause(ctx))
	}
	return kind, p, err
}

// fail makes err that of every later read.
func (c *conn) fail(err error) error {
	c.reading.Lock()
	defer c.reading.Unlock()
	c.failure = fmt.Errorf("gorillaws: read: %w", err)
	return c.failure
}

// WriteMessage sends a text or a binary message.
func (c *conn) WriteMessage(kind int, data []byte) error {
	if kind != llmproxy.WSText && kind != llmproxy.WSBinary {
		return fmt.Errorf("gorillaws: write: %d is no type of message", kind)
	}
	if err := c.write(kind, data); err != nil {
		return fmt.Errorf("gorillaws: write: %w", ended(err))
	}
	return nil
}

func (c *conn) write(kind int, data []byte) error {
	if c.compressed {
		c.lib.EnableWriteCompression(len(data) >= ws.MinCompressed)
	}
	if len(data) <= ws.MaxFrame {
		return c.lib.WriteMessage(kind, data)
	}
	w, err := c.lib.NextWriter(kind)
	if err != nil {
		return err
	}
	for len(data) > 0 {
		n := min(len(data), ws.MaxFrame)
		if _, err := w.Write(data[:n]); err != nil {
			return err
		}
		data = data[n:]
	}
	return w.Close()
}

// Close ends the connection, and with it what is being read and written.
func (c *conn) Close() error {
	c.ending.Do(func() {
		close(c.ended)
		c.endError = c.lib.Close()
		if errors.Is(c.endError, net.ErrClosed) {
			c.endError = nil // its peer, or the time, was first
		}
	})
	return c.endError
}

// CloseWith closes the connection in order. Codes that must not be sent become 1011, but
// 1005, which is a close frame without a code. It waits for the peer's close frame for at
// most five seconds; the error is [os.ErrDeadlineExceeded] when none came, and
// [net.ErrClosed] on a connection that has ended.
func (c *conn) CloseWith(code int, reason string) error {
	start := time.Now()
	timer := time.AfterFunc(ws.CloseWait, func() { c.lib.Close() })
	defer timer.Stop()
	err := c.sendClose(ws.CloseFrame(code, reason))
	if err == nil {
		err = c.awaitClose()
	}
	if time.Since(start) >= ws.CloseWait { // by our timer, or by the close frame's
		err = os.ErrDeadlineExceeded
	}
	c.Close()
	if err != nil {
		return fmt.Errorf("gorillaws: close: %w", err)
	}
	return nil
}

// sendClose sends a close frame: the last one.
func (c *conn) sendClose(code int, reason string) error {
	select {
	case <-c.ended:
		return net.ErrClosed
	default:
	}
	frame := websocket.FormatCloseMessage(code, reason)
	err := c.lib.WriteControl(websocket.CloseMessage, frame, time.Now().Add(ws.CloseWait))
	return ended(err)
}

// awaitClose returns when the peer's close frame has come, to this goroutine or to the
// one that reads.
func (c *conn) awaitClose() error {
	c.reading.Lock()
	defer c.reading.Unlock()
	for c.failure == nil {
		_, r, err := c.lib.NextReader()
		if err == nil {
			_, err = io.Copy(io.Discard, r)
		}
		if err != nil {
			c.failure = c.readError(err)
		}
	}
	if e, ok := errors.AsType[*llmproxy.WSCloseError](c.failure); ok && e.Code != llmproxy.WSCloseAbnormal {
		return nil
	}
	return c.failure
}

// SetReadLimit bounds the messages that are read from now on, in bytes as the reader sees
// them; 0 or less is no limit, as at the beginning. The library's own limit counts
// compressed bytes.
func (c *conn) SetReadLimit(bytes int64) { c.limit.Store(bytes) }
