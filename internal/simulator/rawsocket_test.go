package simulator_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"testing"
)

// rawSocket is a WebSocket whose bytes a test sees.
type rawSocket struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func (p *provider) dialRaw() *rawSocket {
	p.t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(p.t.Context(), "tcp", p.server.Listener.Addr().String())
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	c := &rawSocket{conn, p.t, bufio.NewReader(conn)}
	c.write("GET /v1/responses HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	res, err := http.ReadResponse(c.r, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		p.t.Fatalf("%+v, %v", res, err)
	}
	_ = res.Body.Close()
	return c
}

func (c *rawSocket) write(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Fatal(err)
	}
}

// frame sends a frame of up to 65535 bytes, with a mask that changes nothing.
func (c *rawSocket) frame(first byte, payload string) {
	c.t.Helper()
	head := binary.BigEndian.AppendUint16([]byte{first, 0x80 | 126}, uint16(len(payload)))
	if len(payload) < 126 {
		head = []byte{first, 0x80 | byte(len(payload))}
	}
	c.write(string(head) + "\x00\x00\x00\x00" + payload)
}

// bytes reads n bytes.
func (c *rawSocket) bytes(n int) string {
	c.t.Helper()
	b := make([]byte, n)
	if m, err := io.ReadFull(c.r, b); err != nil {
		c.t.Fatalf("%v after %q", err, b[:m])
	}
	return string(b)
}
