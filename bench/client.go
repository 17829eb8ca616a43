package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strconv"
)

// client sends one request again and again on one connection, and checks the answers. It
// allocates nothing on the way.
type client struct {
	conn    net.Conn
	r       *bufio.Reader
	request []byte
	answer  *answer
	length  int           // of the body it wants to see
	gate    chan struct{} // told of each event; nil where nobody waits
	got     int           // bytes of the body in hand
	marks   []int         // those not reached
	tail    [len(done)]byte
}

// hello sends the request.
func (c *client) hello() error {
	c.got, c.marks = 0, c.answer.marks
	clear(c.tail[:])
	_, err := c.conn.Write(c.request)
	return err
}

// call sends the request and reads the answer.
func (c *client) call() error {
	if err := c.hello(); err != nil {
		return err
	}
	length, err := c.head()
	if err != nil {
		return err
	}
	return c.body(length)
}

// head reads the head of an answer. length is -1 where the body is chunked.
func (c *client) head() (length int, err error) {
	length = -1
	chunked := false
	for first := true; ; first = false {
		line, err := c.line()
		if err != nil {
			return 0, err
		}
		switch n, ok := number(line, "Content-Length: "); {
		case first:
			if !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
				rest, _ := c.r.Peek(c.r.Buffered())
				return 0, fmt.Errorf("got %s, want 200: %s", line, rest)
			}
		case len(line) == 0 && chunked == (length >= 0):
			return 0, fmt.Errorf("an answer with length %d, chunked %t", length, chunked)
		case len(line) == 0:
			return length, nil
		case ok:
			length = n
		case string(line) == "Transfer-Encoding: chunked":
			chunked = true
		}
	}
}

// body reads the body of an answer and checks that it is whole.
func (c *client) body(length int) error {
	if length >= 0 {
		if err := c.take(length); err != nil {
			return err
		}
		return c.check()
	}
	for {
		n, err := c.chunk()
		if err != nil {
			return err
		}
		if n == 0 {
			return c.check()
		}
	}
}

// chunk reads one chunk, or what follows the last one, and returns its length.
func (c *client) chunk() (length int, err error) {
	line, err := c.line()
	if err != nil {
		return 0, err
	}
	for _, digit := range line {
		if digit > '9' {
			digit += 9 // its low four bits are now those of the digit's value
		}
		length = length<<4 | int(digit&0xf)
	}
	if length > 0 {
		if err := c.take(length); err != nil {
			return 0, err
		}
		_, err := c.r.Discard(len("\r\n"))
		return length, err
	}
	for { // trailers
		if line, err = c.line(); err != nil || len(line) == 0 {
			return 0, err
		}
	}
}

// take reads n bytes of the body.
func (c *client) take(n int) error {
	for n > 0 {
		if _, err := c.r.Peek(1); err != nil {
			return err
		}
		m := min(n, c.r.Buffered())
		piece, _ := c.r.Peek(m)
		if len(piece) >= len(c.tail) {
			copy(c.tail[:], piece[len(piece)-len(c.tail):])
		} else {
			copy(c.tail[:], c.tail[len(piece):])
			copy(c.tail[len(c.tail)-len(piece):], piece)
		}
		_, _ = c.r.Discard(m)
		n -= m
		c.got += m
		for c.gate != nil && len(c.marks) > 0 && c.got >= c.marks[0] {
			c.marks = c.marks[1:]
			c.gate <- struct{}{}
		}
	}
	return nil
}

// check reports whether the body was the one it wants to see.
func (c *client) check() error {
	if c.got != c.length {
		return fmt.Errorf("the answer has %d bytes, want %d", c.got, c.length)
	}
	if len(c.answer.pieces) > 0 && string(c.tail[:]) != done {
		return fmt.Errorf("the stream ends in %q, want %q", c.tail, done)
	}
	return nil
}

// line reads a line and returns it without its end.
func (c *client) line() ([]byte, error) {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return nil, fmt.Errorf("reading a line after %s: %w", strconv.Quote(string(line)), err)
	}
	return bytes.TrimSuffix(line, []byte("\r\n")), nil
}
