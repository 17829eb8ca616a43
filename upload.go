package llmproxy

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// clientBody reads a client's request body: at most limit bytes, each piece within the
// idle time. A transport may read it in a goroutine of its own, and still do so when the
// exchange is over.
type clientBody struct {
	body  io.ReadCloser
	sink  sink
	idle  time.Duration
	limit int64       // ≤ 0: none
	what  string      // names the body in errors
	sent  atomic.Bool // given to a transport
	onEOF func()      // may be nil

	armed time.Time // when the deadline was last set; the reader's own

	mu       sync.Mutex // guards the following
	reading  bool
	idling   sync.Cond // reading has become false
	over     bool      // the exchange is
	progress func()    // called now and then as the body goes on; may be nil
	whole    bool      // the end has been read
	fault    *Error    // what ended the body, where the client is to blame
}

func newClientBody(body io.ReadCloser, s sink, l Limits, limit int64, what string) *clientBody {
	c := &clientBody{body: body, sink: s, idle: l.ClientIdleTimeout, limit: limit, what: what}
	c.idling.L = &c.mu
	if limit > 0 {
		c.body = s.limit(body, limit)
	}
	return c
}

func (c *clientBody) Read(p []byte) (int, error) {
	if err := c.begin(); err != nil {
		return 0, err
	}
	n, err := c.body.Read(p)
	if err == io.EOF && c.onEOF != nil {
		c.onEOF()
	}
	return n, c.end(err)
}

// begin gives the client its time for the next piece. It fails when the body is over.
func (c *clientBody) begin() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.fault != nil:
		return c.fault
	case c.over:
		return errClosed
	}
	c.reading = true
	if c.progress != nil {
		c.progress()
	}
	if c.idle > 0 {
		// Not on every read: a deadline that is an eighth late is as good.
		if now := time.Now(); now.Sub(c.armed) > c.idle/8 {
			c.armed = now
			c.sink.setReadDeadline(now.Add(c.idle))
		}
	}
	return nil
}

// end notes how a read ended, and returns what its caller is told.
func (c *clientBody) end(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading = false
	c.idling.Broadcast()
	switch {
	case err == nil:
		return nil
	case err == io.EOF:
		c.whole = true
		return err
	case c.over:
		return errClosed
	case c.fault != nil:
		return c.fault
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		c.fault = tooLarge(c.what, c.limit)
	} else {
		c.fault = clientReadError(err)
	}
	return c.fault
}

// blame returns what ended the body, if the client is to blame for it. c may be nil.
func (c *clientBody) blame() *Error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fault
}

// abort ends the body because the gateway is shut down.
func (c *clientBody) abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault == nil && !c.over {
		c.fault = shuttingDown()
		c.sink.setReadDeadline(time.Now())
	}
}

// onProgress sets what is called as the body goes on. c may be nil.
func (c *clientBody) onProgress(f func()) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.progress = f
}

// unread reports whether some of the body has not been read. c may be nil.
func (c *clientBody) unread() bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.whole
}

// lingering is how long net/http may look at what a client still sends of a request
// that has been answered.
const lingering = time.Second

// release says that the exchange is over: no one reads the body after it. The connection
// gets its read deadline back; where a part of the body is still to come, it is to be
// closed, and does not wait for it. c may be nil.
func (c *clientBody) release() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	if c.reading && c.sink.setReadDeadline(time.Now()) {
		for c.reading {
			c.idling.Wait()
		}
	}
	if c.idle <= 0 && c.whole {
		return
	}
	if c.whole {
		c.sink.setReadDeadline(time.Time{})
	} else {
		c.sink.setReadDeadline(time.Now().Add(lingering))
	}
}

// Close leaves the body to the server it came from.
func (c *clientBody) Close() error { return nil }

// clientReadError is the error of a client whose body did not arrive.
func clientReadError(err error) *Error {
	e := &Error{
		Status: http.StatusBadRequest, Type: "invalid_request_error", Code: "incomplete_request",
		Message: "the request body did not arrive whole", cause: err,
	}
	if t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err); ok && t.Timeout() {
		e.Status, e.Code, e.Message = http.StatusRequestTimeout, "request_timeout", "the request body stopped arriving"
	}
	return e
}
