package gorillaws

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/llmproxy/llmproxy/adapter/internal/ws"
)

// pings are those whose pongs have not come.
type pings struct {
	mu      sync.Mutex // guards what follows
	count   int64
	waiting map[string]chan struct{} // by the ping's payload; closed by its pong
}

// add returns the payload of a new ping, and what its pong closes.
func (p *pings) add() (string, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	payload, pong := strconv.FormatInt(p.count, 10), make(chan struct{})
	if p.waiting == nil {
		p.waiting = make(map[string]chan struct{})
	}
	p.waiting[payload] = pong
	return payload, pong
}

func (p *pings) remove(payload string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, payload)
}

// answered is told of each pong. One that nobody has asked for is no fault (RFC 6455
// §5.5.3).
func (p *pings) answered(payload string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if pong, ok := p.waiting[payload]; ok {
		close(pong)
		delete(p.waiting, payload)
	}
	return nil
}

// Ping returns when the peer has answered a ping. Where the connection ends first, the
// error is [net.ErrClosed]. A ping that cannot be sent, as the peer takes nothing, is
// given up at ctx's deadline, or after five seconds where ctx has none.
func (c *conn) Ping(ctx context.Context) error {
	if err := c.ping(ctx); err != nil {
		return fmt.Errorf("gorillaws: ping: %w", err)
	}
	return nil
}

func (c *conn) ping(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(ws.CloseWait)
	}
	payload, pong := c.pings.add()
	defer c.pings.remove(payload)
	if err := c.lib.WriteControl(websocket.PingMessage, []byte(payload), deadline); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return ended(err)
	}
	select {
	case <-pong:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-c.ended:
		return net.ErrClosed
	}
}

// pong answers a ping. It waits for the frame that is being written; the library's own
// handler gives up after a second, which a slow peer may need.
func (c *conn) pong(payload string) error {
	err := c.lib.WriteControl(websocket.PongMessage, []byte(payload), time.Now().Add(ws.CloseWait))
	if late, ok := errors.AsType[net.Error](err); ok && late.Timeout() || errors.Is(err, websocket.ErrCloseSent) {
		return nil // the peer may ask again
	}
	return err
}

// ended gives the library's error of a connection that has been closed its usual name.
func ended(err error) error {
	if errors.Is(err, websocket.ErrCloseSent) {
		return net.ErrClosed
	}
	return err
}
