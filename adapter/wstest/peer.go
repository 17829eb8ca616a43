package wstest

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
)

const wsContinuation = 0

// frame is one frame (RFC 6455 §5.2).
type frame struct {
	fin     bool
	rsv     byte // the three reserved bits: 4, 2 and 1
	opcode  byte
	payload []byte
}

// append adds the frame's bytes to b, masked as those of clients are.
func (f frame) append(b []byte, masked bool) []byte {
	first := f.rsv<<4 | f.opcode
	if f.fin {
		first |= 0x80
	}
	var mask byte
	if masked {
		mask = 0x80
	}
	switch n := len(f.payload); {
	case n < 126:
		b = append(b, first, mask|byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, first, mask|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, first, mask|127), uint64(n))
	}
	if !masked {
		return append(b, f.payload...)
	}
	key := [4]byte{0x12, 0x34, 0x56, 0x78}
	b = append(b, key[:]...)
	for i, c := range f.payload {
		b = append(b, c^key[i%4])
	}
	return b
}

// maxPayload is in bytes: more than any test sends.
const maxPayload = 64 << 20

// readFrame returns the next frame of r, masked or not.
func readFrame(r io.Reader) (frame, error) {
	var head [14]byte
	if _, err := io.ReadFull(r, head[:2]); err != nil {
		return frame{}, err
	}
	f := frame{fin: head[0]&0x80 != 0, rsv: head[0] >> 4 & 7, opcode: head[0] & 0xf}
	n, masked := uint64(head[1]&0x7f), head[1]&0x80 != 0
	switch n {
	case 126:
		if _, err := io.ReadFull(r, head[:2]); err != nil {
			return frame{}, err
		}
		n = uint64(binary.BigEndian.Uint16(head[:]))
	case 127:
		if _, err := io.ReadFull(r, head[:8]); err != nil {
			return frame{}, err
		}
		n = binary.BigEndian.Uint64(head[:])
	}
	if n > maxPayload {
		return frame{}, fmt.Errorf("a frame of %d bytes", n)
	}
	var key [4]byte
	if masked {
		if _, err := io.ReadFull(r, key[:]); err != nil {
			return frame{}, err
		}
	}
	var err error
	if f.payload, err = io.ReadAll(io.LimitReader(r, int64(n))); err != nil {
		return frame{}, err
	}
	if uint64(len(f.payload)) < n {
		return frame{}, io.ErrUnexpectedEOF
	}
	for i := range f.payload {
		f.payload[i] ^= key[i%4]
	}
	return f, nil
}

// closeFrame is a close frame with a code and a reason.
func closeFrame(code int, reason string) frame {
	payload := binary.BigEndian.AppendUint16(nil, uint16(code))
	return frame{fin: true, opcode: llmproxy.WSClose, payload: append(payload, reason...)}
}

// peer is an end that a test speaks by hand.
type peer struct {
	net.Conn
	in     *bufio.Reader
	masked bool
}

func newPeer(t testing.TB, conn net.Conn, masked bool) *peer {
	t.Helper()
	p := &peer{Conn: conn, in: bufio.NewReader(conn), masked: masked}
	t.Cleanup(func() { p.Close() })
	// A test that waits for what does not come must end.
	if err := p.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return p
}

// connect opens a connection to the server at addr.
func connect(t *testing.T, addr string) *peer {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	// What the system holds for a peer that does not read must be less than stuck.
	if err := conn.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	return upgraded(t, conn)
}

// upgraded makes a client of conn.
func upgraded(t testing.TB, conn net.Conn) *peer {
	t.Helper()
	p := newPeer(t, conn, true)
	io.WriteString(p, "GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n\r\n")
	resp, err := http.ReadResponse(p.in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("the answer to a handshake: %v, %v", resp, err)
	}
	return p
}

// listen waits for one client, and sends the connection once it is upgraded.
func listen(t *testing.T) (net.Listener, <-chan *peer) {
	t.Helper()
	listener := listenTCP(t)
	return listener, accept(t, listener)
}

func listenTCP(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

// accept sends the next connection of listener once it is upgraded.
func accept(t testing.TB, listener net.Listener) <-chan *peer {
	peers := make(chan *peer, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return // the test has ended
		}
		p := newPeer(t, conn, false)
		r, err := http.ReadRequest(p.in)
		if err != nil {
			t.Errorf("the handshake: %v", err)
			return
		}
		p.Write(answer(r))
		peers <- p
	}()
	return peers
}

// answer returns the 101 for r (RFC 6455 §4.2.2).
func answer(r *http.Request) []byte {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return []byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n")
}

// send writes frames. The near end may have closed: then what it says is looked at.
func (p *peer) send(frames ...frame) {
	var b []byte
	for _, f := range frames {
		b = f.append(b, p.masked)
	}
	p.Write(b)
}

// receive returns the next frame.
func (p *peer) receive(t *testing.T) frame {
	t.Helper()
	f, err := readFrame(p.in)
	if err != nil {
		t.Fatalf("no frame came: %v", err)
	}
	return f
}

// receiveClose returns the code and the reason of the close frame that has to be next;
// code 1005 where it has none.
func (p *peer) receiveClose(t *testing.T) (code int, reason string) {
	t.Helper()
	f := p.receive(t)
	switch {
	case f.opcode != llmproxy.WSClose || !f.fin || f.rsv != 0 || len(f.payload) == 1:
		t.Fatalf("got a frame of type %d and %d bytes, want a close frame", f.opcode, len(f.payload))
	case len(f.payload) == 0:
		return llmproxy.WSCloseNoStatus, ""
	}
	return int(binary.BigEndian.Uint16(f.payload)), string(f.payload[2:])
}

// drain reads until the near end has closed, and closes too.
func (p *peer) drain() {
	io.Copy(io.Discard, p.in)
	p.Close()
}
