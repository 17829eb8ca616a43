package llmproxy

import (
	"io"
	"time"
)

// deadliner sets the deadlines of the client's connection.
type deadliner interface {
	setReadDeadline(time.Time)
	clearReadDeadline()
}

// clientBody reads a client's request body: at most limit bytes, each piece within the
// idle time.
type clientBody struct {
	body     io.ReadCloser
	deadline deadliner
	idle     time.Duration
	left     int64 // bytes that may still come; meaningless without a limit
	limit    int64 // ≤ 0: none
	what     string
	armed    time.Time // when the deadline was last set
	err      error     // what ended the body, where the client is to blame
	sent     bool      // given to a transport
	onEOF    func()
}

func (c *clientBody) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	if c.idle > 0 {
		// Not on every read: a deadline moved by an eighth is as good.
		if now := time.Now(); now.Sub(c.armed) > c.idle/8 {
			c.armed = now
			c.deadline.setReadDeadline(now.Add(c.idle))
		}
	}
	if c.limit > 0 && int64(len(p)) > c.left+1 {
		p = p[:c.left+1]
	}
	n, err := c.body.Read(p)
	if c.limit > 0 {
		if c.left -= int64(n); c.left < 0 {
			c.err = tooLarge(c.what, c.limit)
			return 0, c.err
		}
	}
	if err == io.EOF && c.onEOF != nil {
		c.onEOF()
	}
	if err != nil && err != io.EOF {
		c.err = clientReadError(err)
		err = c.err
	}
	return n, err
}

func (c *clientBody) Close() error { return c.body.Close() }
