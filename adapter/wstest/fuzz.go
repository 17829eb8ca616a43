package wstest

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/llmproxy/llmproxy"
)

// Fuzz sends bytes of anyone's making to both ends of connections between u and the
// dialers that dialer returns. Each must read the messages that are in them, as far as
// they keep to the protocol, and then an error.
//
// The connections are Unix sockets: a fuzzer would use up the ports of TCP.
func Fuzz(f *testing.F, u llmproxy.WSUpgrader, dialer func(*http.Transport) llmproxy.WSDialer) {
	folder := f.TempDir()
	listenAt := func(name string) net.Listener {
		listener, err := net.Listen("unix", filepath.Join(folder, name))
		if err != nil {
			f.Fatal(err)
		}
		return listener
	}
	dial := func(ctx context.Context, listener net.Listener) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", listener.Addr().String())
	}

	accepted := make(chan llmproxy.WSConn, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := u.Upgrade(w, r, nil); err != nil {
			f.Errorf("Upgrade: %v", err)
		} else {
			accepted <- conn
		}
	}))
	server.Listener.Close()
	server.Listener = listenAt("server")
	server.Start()
	f.Cleanup(server.Close)
	toServer := func(t *testing.T) (llmproxy.WSConn, *peer) {
		conn, err := dial(t.Context(), server.Listener)
		if err != nil {
			t.Fatal(err)
		}
		far := upgraded(t, conn)
		return wait(t, accepted, "the upgrade"), far
	}

	listener := listenAt("listener")
	f.Cleanup(func() { listener.Close() })
	d := dialer(&http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, listener) },
	})
	toClient := func(t *testing.T) (llmproxy.WSConn, *peer) {
		peers := accept(t, listener)
		conn, _, err := d.Dial(t.Context(), "ws://test/", nil)
		if err != nil {
			t.Fatal(err)
		}
		return conn, wait(t, peers, "the handshake")
	}

	var hello []byte
	for _, fr := range []frame{
		{opcode: llmproxy.WSText, payload: []byte("hel")},
		{fin: true, opcode: llmproxy.WSPing, payload: []byte("?")},
		{fin: true, opcode: wsContinuation, payload: []byte("lo")},
		{fin: true, opcode: llmproxy.WSBinary, payload: text(300)},
		closeFrame(1000, "bye"),
	} {
		hello = fr.append(hello, true)
	}
	f.Add(hello)
	f.Add(hello[:len(hello)/2])
	f.Add([]byte{0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	f.Add([]byte{0x81, 0x01, 'x', 0x01, 0x01, 'y', 0x80, 0x00, 0x88, 0x00})
	for _, tt := range faults {
		b := tt.bytes
		for _, fr := range tt.frames {
			b = fr.append(b, true)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		near, far := toServer(t)
		expectMessages(t, near, far, sent)
		near, far = toClient(t)
		expectMessages(t, near, far, sent)
	})
}

// expectMessages sends bytes to near and demands the messages that are in them.
func expectMessages(t *testing.T, near llmproxy.WSConn, far *peer, sent []byte) {
	t.Helper()
	received := after(func() []message {
		var all []message
		for {
			m := read(near)
			if m.err != nil {
				return all
			}
			all = append(all, m)
		}
	})
	far.Write(sent)
	far.Conn.(*net.UnixConn).CloseWrite()
	far.drain()
	got := wait(t, received, "the error")
	near.Close()
	want, whole := messagesOf(sent, far.masked)
	if whole && len(got) > len(want) {
		t.Errorf("masked %v: read %d messages of %d", far.masked, len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if got[i].kind != want[i].kind || !bytes.Equal(got[i].p, want[i].p) {
			t.Errorf("masked %v: message %d: type %d, %q, want type %d, %q",
				far.masked, i, got[i].kind, got[i].p, want[i].kind, want[i].p)
		}
	}
}

// messagesOf returns the messages in b, whatever else there is. whole is false where b
// has a frame that is not masked as the others, behind which anything may be read.
func messagesOf(b []byte, masked bool) (all []message, whole bool) {
	r := bytes.NewReader(b)
	var next message
	for {
		head := b[len(b)-r.Len():]
		if len(head) > 1 && (head[1]&0x80 != 0) != masked {
			return all, false
		}
		f, err := readFrame(r)
		if err != nil {
			return all, true
		}
		switch f.opcode {
		case llmproxy.WSText, llmproxy.WSBinary:
			next = message{kind: int(f.opcode), p: f.payload}
		case wsContinuation:
			next.p = append(next.p, f.payload...)
		default:
			continue
		}
		if f.fin {
			all = append(all, next)
		}
	}
}
