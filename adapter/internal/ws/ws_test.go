package ws_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/internal/ws"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The codes by RFC 6455 §7.4 and the registry that it set up.
func TestCloseFrameCodes(t *testing.T) {
	t.Parallel()
	var sent []int
	for code := -1; code < 5002; code++ {
		got, _ := ws.CloseFrame(code, "")
		if got == code {
			sent = append(sent, code)
		} else if got != llmproxy.WSCloseInternalError {
			t.Errorf("%d became %d", code, got)
		}
	}
	want := []int{1000, 1001, 1002, 1003, 1005, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014}
	for code := 3000; code < 5000; code++ {
		want = append(want, code)
	}
	if !slices.Equal(sent, want) {
		t.Error(cmp.Diff(want, sent))
	}
}

// A reason is the longest part of what was meant that a frame can carry.
func FuzzCloseFrame(f *testing.F) {
	f.Add("why")
	f.Add(strings.Repeat("a", 122) + "é")
	f.Add(strings.Repeat("日", 41))
	f.Add("\xff" + strings.Repeat("\xf0\x9f\x98\x80", 40))
	f.Fuzz(func(t *testing.T, reason string) {
		_, got := ws.CloseFrame(1000, reason)
		whole := strings.ToValidUTF8(reason, "\uFFFD")
		if !utf8.ValidString(got) || !strings.HasPrefix(whole, got) {
			t.Errorf("%q became %q", reason, got)
		}
		_, next := utf8.DecodeRuneInString(whole[len(got):])
		if len(got) > 123 || len(got) < len(whole) && len(got)+next <= 123 {
			t.Errorf("%q became %d bytes", reason, len(got))
		}
	})
}

func TestPeerGone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{io.EOF, true},
		{fmt.Errorf("frame: %w", io.ErrUnexpectedEOF), true},
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, true},
		{net.ErrClosed, false},
		{errors.New("a reserved bit"), false},
		{nil, false},
	} {
		got, ok := ws.PeerGone(tt.err)
		if ok != tt.want || ok && *got != (llmproxy.WSCloseError{Code: 1006}) {
			t.Errorf("%v: got %v, %v, want %v", tt.err, got, ok, tt.want)
		}
	}
}

func TestFields(t *testing.T) {
	t.Parallel()
	got := ws.Fields(http.Header{
		"Authorization": {"Bearer test"}, "X-Two": {"one", "two"}, "sec-websocket-protocol": {"a"},
		"Connection": {"close"}, "upgrade": {"h2c"}, "SEC-WEBSOCKET-KEY": {"x"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Extensions": {"x"}, "Sec-Websocket-Accept": {"x"}, "Host": {"h"}, "Content-Length": {"1"},
		"Transfer-Encoding": {"chunked"}, "Keep-Alive": {"x"}, "Te": {"x"}, "Trailer": {"x"}, "Proxy-Connection": {"x"},
	})
	want := http.Header{"Authorization": {"Bearer test"}, "X-Two": {"one", "two"}, "Sec-Websocket-Protocol": {"a"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{"ws://127.0.0.1:80/v1/responses?a=b#c", "http://127.0.0.1:80/v1/responses?a=b"},
		{"wss://api.example/v1%2Fx", "https://api.example/v1%2Fx"},
		{"WSS://api.example", "https://api.example"},
		{"https://api.example", ""},
		{"wss://user:secret@api.example", ""},
		{"wss:///secret", ""},
		{"wss://api.example/%zz?secret", ""},
		{"", ""},
	} {
		got, err := ws.ParseURL(tt.in)
		switch {
		case tt.want == "" && err == nil:
			t.Errorf("%s: got %s, want an error", tt.in, got)
		case tt.want == "" && strings.Contains(err.Error(), "secret"):
			t.Errorf("%s: the error quotes it: %v", tt.in, err)
		case tt.want != "" && (err != nil || got.String() != tt.want):
			t.Errorf("%s: got %v, %v, want %s", tt.in, got, err, tt.want)
		}
	}
}

// What the peer is still sending is read, so that TCP does not drop what it was told.
func TestLingerLetsThePeerRead(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	peer, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.WriteString(conn, "the last word")
		ws.Linger(conn)
	}()
	if n, err := peer.Write(make([]byte, 16<<20)); err != nil {
		t.Errorf("the peer could write %d bytes: %v", n, err)
	}
	if got, err := io.ReadAll(peer); string(got) != "the last word" || err != nil {
		t.Errorf("the peer got %q, %v", got, err)
	}
	peer.Close()
	<-done
	if _, err := conn.Write(nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the connection is open: %v", err)
	}
}
