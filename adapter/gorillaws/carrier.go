package gorillaws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/llmproxy/llmproxy/adapter/internal/ws"
)

var errRefused = errors.New("not a 101")

// carrier has net/http carry the library's handshake. The library's own way knows fewer
// proxies, does not listen to its context while it waits, and keeps just 1 KiB of an
// answer that refuses.
type carrier struct {
	handshake *ws.Handshake
	target    *url.URL
	request   *http.Request
}

// note is where a proxy would be chosen: the library shows the request that it is going
// to send, before it dials.
func (c *carrier) note(r *http.Request) (*url.URL, error) {
	c.request = r
	return nil, nil
}

// dial sends the request, and returns a connection with the answer to it.
func (c *carrier) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	r := c.request.Clone(ctx)
	r.URL = c.target
	resp, err := c.handshake.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	stream, ok := resp.Body.(io.ReadWriter)
	if resp.StatusCode != http.StatusSwitchingProtocols || !ok {
		resp.Body.Close()
		return nil, errRefused
	}
	var head bytes.Buffer
	fmt.Fprintf(&head, "HTTP/1.1 %03d %s\r\n", resp.StatusCode, http.StatusText(resp.StatusCode))
	resp.Header.Write(&head)
	head.WriteString("\r\n")
	return &upgraded{Conn: c.handshake.Socket, stream: stream, head: &head}, nil
}

// upgraded is a connection that has been upgraded without the library's knowledge. It
// swallows the request, which has been sent, and shows the answer, which has been read.
type upgraded struct {
	net.Conn
	stream io.ReadWriter // Conn, behind what net/http has read of it already
	head   *bytes.Buffer // the answer; nil once it has been shown
	asked  bool          // the library has begun to read the answer
}

func (u *upgraded) Write(p []byte) (int, error) {
	if !u.asked {
		return len(p), nil
	}
	return u.stream.Write(p)
}

func (u *upgraded) Read(p []byte) (int, error) {
	if !u.asked {
		u.asked = true // once: writers look at it
	}
	if u.head != nil {
		n, err := u.head.Read(p)
		if err == nil {
			return n, nil
		}
		u.head = nil
	}
	return u.stream.Read(p)
}

// CloseWrite is that of the connection, where it has one.
func (u *upgraded) CloseWrite() error {
	if half, ok := u.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
