package coderws

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

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
	lib    *websocket.Conn
	socket net.Conn // below lib, for what lib cannot do at once
	limit  atomic.Int64

	ending   sync.Once
	endError error

	// The reader's alone.
	message ws.Buffer
	failure error // the first of a read
}

func newConn(lib *websocket.Conn, socket net.Conn) *conn {
	lib.SetReadLimit(-1) // ours is exact for every kind of message, and off until it is set
	return &conn{lib: lib, socket: socket}
}

// ReadMessage returns the next message. A connection that the peer has closed is a
// *[llmproxy.WSCloseError]: with code 1005 for a close frame without one, and 1006 for an
// end without a close frame. After Close the error is [net.ErrClosed], and for a message
// above the read limit [*http.MaxBytesError]. After any error the connection is closed.
func (c *conn) ReadMessage() (int, []byte, error) {
	if c.failure != nil {
		return 0, nil, c.failure
	}
	c.message.Release()
	// A context that can end would cost a goroutine's start and its stop for every frame.
	kind, r, err := c.lib.Reader(context.Background())
	if err == nil {
		var p []byte
		if p, err = c.message.Read(r, c.limit.Load()); err == nil {
			return int(kind), p, nil
		}
	}
	c.failure = c.readError(err)
	return 0, nil, c.failure
}

// readError ends the connection after an error of a read, and returns what to call it.
func (c *conn) readError(err error) error {
	defer c.Close()
	if e, ok := errors.AsType[websocket.CloseError](err); ok {
		return &llmproxy.WSCloseError{Code: int(e.Code), Reason: e.Reason}
	}
	if e, ok := errors.AsType[*llmproxy.WSCloseError](err); ok {
		return e // the socket's
	}
	switch _, tooBig := errors.AsType[*http.MaxBytesError](err); {
	case tooBig:
		c.CloseWith(llmproxy.WSCloseTooBig, "")
	case !errors.Is(err, net.ErrClosed):
		ws.Linger(c.socket) // the library has told the peer what is wrong
	}
	return fmt.Errorf("coderws: read: %w", err)
}

// ReadMessageContext is ReadMessage until ctx ends. Then the error is ctx's cause, and the
// connection is closed.
func (c *conn) ReadMessageContext(ctx context.Context) (int, []byte, error) {
	if c.failure == nil && ctx.Err() != nil {
		c.Close()
		c.failure = fmt.Errorf("coderws: read: %w", context.Cause(ctx))
	}
	if c.failure != nil || ctx.Done() == nil {
		return c.ReadMessage()
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	kind, p, err := c.ReadMessage()
	if !stop() && err != nil {
		c.failure = fmt.Errorf("coderws: read: %w", context.Cause(ctx))
		return 0, nil, c.failure
	}
	return kind, p, err
}

// WriteMessage sends a text or a binary message.
func (c *conn) WriteMessage(kind int, data []byte) error {
	if kind != llmproxy.WSText && kind != llmproxy.WSBinary {
		return fmt.Errorf("coderws: write: %d is no type of message", kind)
	}
	if err := c.write(websocket.MessageType(kind), data); err != nil {
		return fmt.Errorf("coderws: write: %w", err)
	}
	return nil
}

func (c *conn) write(kind websocket.MessageType, data []byte) error {
	if len(data) <= ws.MaxFrame {
		return c.lib.Write(context.Background(), kind, data)
	}
	w, err := c.lib.Writer(context.Background(), kind)
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
		// The library's own way would wait where a CloseWith is under way.
		c.endError = c.socket.Close()
		if errors.Is(c.endError, net.ErrClosed) {
			c.endError = nil // the library was first
		}
		c.lib.CloseNow() // reports the same
	})
	return c.endError
}

// CloseWith closes the connection in order. Codes that must not be sent become 1011, but
// 1005, which is a close frame without a code. It waits for the peer's close frame for at
// most five seconds; the error is [os.ErrDeadlineExceeded] when none came, and
// [net.ErrClosed] on a connection that has ended.
func (c *conn) CloseWith(code int, reason string) error {
	code, reason = ws.CloseFrame(code, reason)
	start := time.Now()
	timer := time.AfterFunc(ws.CloseWait, func() { c.socket.Close() })
	defer timer.Stop()
	err := c.lib.Close(websocket.StatusCode(code), reason)
	if time.Since(start) >= ws.CloseWait { // by our timer, or by one of the library's
		err = os.ErrDeadlineExceeded
	}
	c.Close()
	if _, answered := errors.AsType[websocket.CloseError](err); answered || err == nil {
		return nil // the library minds another code than ours
	}
	return fmt.Errorf("coderws: close: %w", err)
}

// Ping returns when the peer has answered a ping. Where the connection ends first, the
// error is [net.ErrClosed].
func (c *conn) Ping(ctx context.Context) error {
	err := c.lib.Ping(ctx)
	for errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		// The library waits five seconds for the frame that is being written. That says
		// nothing against the peer of a large one.
		err = c.lib.Ping(ctx)
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("coderws: ping: %w", err)
	}
	return nil
}

// SetReadLimit bounds the messages that are read from now on, in bytes as the reader sees
// them; 0 or less is no limit, as at the beginning.
func (c *conn) SetReadLimit(bytes int64) { c.limit.Store(bytes) }
