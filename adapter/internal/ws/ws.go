// Package ws is what the adapters of WebSocket libraries share: how a handshake goes out
// and comes in, where a message is read into, and how a connection ends.
//
// It knows no frames, which are the libraries' business.
package ws

import (
	"io"
	"net"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/llmproxy/llmproxy"
)

// CloseWait bounds how long a connection that is closing waits for its peer.
const CloseWait = 5 * time.Second

// MaxFrame is in bytes. Larger messages are sent in several frames: Codex refuses frames
// above 16 MiB, and a pong, which has to be on its way within seconds, can only go out
// between two frames.
const MaxFrame = 256 << 10

// MinCompressed is in bytes. Smaller messages are not worth a compressor.
const MinCompressed = 512

// maxReason is in bytes: a control frame has 125, two of which are the code (RFC 6455
// §5.5, §5.5.1).
const maxReason = 123

// CloseFrame returns what a close frame may carry of code and reason. The code is
// [llmproxy.WSCloseNoStatus] for a frame that has none, and then there is no reason
// either. Other codes that must not be sent (RFC 6455 §7.4) become
// [llmproxy.WSCloseInternalError], which clients try again after, as they do after the
// end without a close frame that such a code stands for.
func CloseFrame(code int, reason string) (int, string) {
	if code == llmproxy.WSCloseNoStatus {
		return code, ""
	}
	if !sendable(code) {
		code = llmproxy.WSCloseInternalError
	}
	reason = strings.ToValidUTF8(reason, string(utf8.RuneError))
	if len(reason) > maxReason {
		n := maxReason
		for !utf8.RuneStart(reason[n]) {
			n--
		}
		reason = reason[:n]
	}
	return code, reason
}

// sendable reports whether a close frame may carry code: the registered ones, and those
// for libraries and applications.
func sendable(code int) bool {
	switch code {
	case 1004, llmproxy.WSCloseNoStatus, llmproxy.WSCloseAbnormal, 1015:
		return false
	}
	return 1000 <= code && code <= 1014 || 3000 <= code && code <= 4999
}

// Linger ends a connection whose last frame is out, and gives the peer a chance to read
// it: closing a socket that has unread bytes makes TCP drop what the peer has not read
// yet. It returns when the peer has closed too, after [CloseWait], or when someone else
// closes conn.
func Linger(conn net.Conn) {
	timer := time.AfterFunc(CloseWait, func() { conn.Close() })
	defer timer.Stop()
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	io.Copy(io.Discard, conn)
	conn.Close()
}
