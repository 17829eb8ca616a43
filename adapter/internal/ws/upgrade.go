package ws

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/textproto"
)

// Upgrade is the [http.ResponseWriter] that a library answers a handshake with.
type Upgrade struct {
	http.ResponseWriter
	// Socket is the connection, once the library has taken it over.
	Socket net.Conn

	hijacker http.Hijacker
	fields   http.Header // of a 101, and of no other answer
}

// NewUpgrade prepares an answer to r that has the fields of header where it is a 101. A
// request that no library could upgrade it answers itself, and returns why.
func NewUpgrade(w http.ResponseWriter, r *http.Request, header http.Header) (*Upgrade, error) {
	if r.ProtoMajor != 1 || r.ProtoMinor < 1 {
		if r.ProtoMajor < 2 { // later versions forbid the fields
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "websocket")
		}
		// 426 rather than 505: it tells Codex to use HTTP from here on.
		http.Error(w, "A WebSocket connection needs HTTP/1.1.", http.StatusUpgradeRequired)
		return nil, fmt.Errorf("%s cannot be upgraded", r.Proto)
	}
	hijacker, ok := findHijacker(w)
	if !ok {
		http.Error(w, "WebSocket connections are not possible here.", http.StatusNotImplemented)
		return nil, errors.New("the http.ResponseWriter is no http.Hijacker")
	}
	return &Upgrade{ResponseWriter: w, hijacker: hijacker, fields: Fields(header)}, nil
}

// WriteHeader adds the fields to a 101.
func (u *Upgrade) WriteHeader(status int) {
	if status == http.StatusSwitchingProtocols {
		maps.Copy(u.Header(), u.fields)
	}
	u.ResponseWriter.WriteHeader(status)
}

// Hijack notes the connection.
func (u *Upgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, brw, err := u.hijacker.Hijack()
	u.Socket = conn
	return conn, brw, err
}

// findHijacker looks behind the writers that others have put around the server's, as
// [http.ResponseController] does. It does so before anything has been answered.
func findHijacker(w http.ResponseWriter) (http.Hijacker, bool) {
	for {
		switch t := w.(type) {
		case http.Hijacker:
			return t, true
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		default:
			return nil, false
		}
	}
}

// Fields returns the fields of header that a handshake may carry besides the library's
// own, under their canonical names. The values are header's.
func Fields(header http.Header) http.Header {
	fields := make(http.Header, len(header))
	for name, values := range header {
		name = textproto.CanonicalMIMEHeaderKey(name)
		if !ofConnection(name) {
			fields[name] = append(fields[name], values...)
		}
	}
	return fields
}

// ofConnection reports whether the field is one of the connection or of the handshake
// itself (RFC 9110 §7.6.1, RFC 6455 §4), or of a body, which a handshake does not have.
func ofConnection(name string) bool {
	switch name {
	case "Connection", "Content-Length", "Host", "Keep-Alive", "Proxy-Connection", "Te",
		"Trailer", "Transfer-Encoding", "Upgrade",
		"Sec-Websocket-Accept", "Sec-Websocket-Extensions", "Sec-Websocket-Key", "Sec-Websocket-Version":
		return true
	}
	return false
}
