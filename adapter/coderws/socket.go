package coderws

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"

	"github.com/llmproxy/llmproxy/adapter/internal/ws"
)

// socket is a connection whose end is not io.EOF. The library would take that for the end
// of a message: one that breaks off between two frames, or anywhere where it is
// compressed, would pass for a whole one.
type socket struct {
	net.Conn
	from io.Reader // Conn, behind what net/http has read of it already
}

func (s socket) Read(p []byte) (int, error) {
	n, err := s.from.Read(p)
	if gone, ok := ws.PeerGone(err); ok {
		err = gone
	}
	return n, err
}

// upgrade gives the library a socket when it takes a server's connection over.
type upgrade struct{ *ws.Upgrade }

func (u upgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, brw, err := u.Upgrade.Hijack()
	if err != nil {
		return nil, nil, err
	}
	return socket{conn, conn}, brw, nil
}

// handshake gives the library a socket when its request has been answered with 101.
type handshake struct{ *ws.Handshake }

func (h handshake) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := h.Handshake.RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		return resp, err
	}
	if h.Socket == nil {
		return nil, errors.Join(errors.New("a 101 without a connection"), resp.Body.Close())
	}
	resp.Body = socket{h.Socket, resp.Body}
	return resp, nil
}
