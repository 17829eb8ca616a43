// Package gorillaws fits github.com/gorilla/websocket to the WebSocket interfaces of
// llmproxy, for programs that have that library already; others are better off with
// package coderws.
//
// The library's own connections are a [llmproxy.WSConn] as they are. Those of this package
// are also a [llmproxy.WSContextReader], [llmproxy.WSCloser], [llmproxy.WSPinger] and
// [llmproxy.WSReadLimiter], and tell how the peer closed. A connection that waits for a
// message holds no memory for it, nor for what it will write, and messages above 256 KiB
// are sent in several frames. Whether text is UTF-8 is left to the reader.
package gorillaws

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/internal/ws"
)

var (
	_ llmproxy.WSUpgrader = Upgrader{}
	_ llmproxy.WSDialer   = Dialer{}
	_ llmproxy.WSConn     = (*websocket.Conn)(nil)
)

// writeBuffer is in bytes. A client's frames are that long at most, each a system call of
// its own.
const writeBuffer = 16 << 10

// writeBuffers are the library's, between two writes.
var writeBuffers sync.Pool

// Upgrader accepts the connections of clients. The zero value is ready and safe for
// concurrent use.
//
// It answers what cannot be upgraded with 4xx, or 501 where the server's connection
// cannot be taken over; HTTP/2 with 426. A client that sends messages before it has the
// answer is cut off.
type Upgrader struct {
	// Compression accepts permessage-deflate (RFC 7692) where a client offers it, without
	// a context from one message to the next. It costs 1.2 MB for each message that is
	// being written.
	Compression bool
}

// Upgrade implements [llmproxy.WSUpgrader].
func (u Upgrader) Upgrade(w http.ResponseWriter, r *http.Request, header http.Header) (llmproxy.WSConn, error) {
	up, err := ws.NewUpgrade(w, r, header)
	if err != nil {
		return nil, fmt.Errorf("gorillaws: upgrade: %w", err)
	}
	upgrader := websocket.Upgrader{
		WriteBufferSize: writeBuffer,
		WriteBufferPool: &writeBuffers,
		// The router has checked the Origin, against a list of its own; the library's check
		// would refuse what that list allows. A server without such a check must not do this.
		CheckOrigin:       func(*http.Request) bool { return true },
		EnableCompression: u.Compression,
	}
	lib, err := upgrader.Upgrade(up, r, ws.Fields(header))
	if err != nil {
		return nil, fmt.Errorf("gorillaws: upgrade: %w", err)
	}
	return newConn(lib, u.Compression), nil
}

// Dialer opens connections to providers. The zero value is ready and safe for concurrent
// use.
type Dialer struct {
	// Transport carries the handshakes, and says which proxies, TLS settings and addresses
	// they use; nil means a transport that goes through the proxy of the environment.
	Transport *http.Transport
	// HandshakeTimeout bounds a Dial, besides its context; 0 means 15 s.
	HandshakeTimeout time.Duration
	// Compression offers permessage-deflate to providers; see [Upgrader].
	Compression bool
}

// Dial implements [llmproxy.WSDialer]. A Host in header is the one that the provider is
// asked for; fields that are the handshake's own are left out. No error names url.
func (d Dialer) Dial(ctx context.Context, url string, header http.Header) (llmproxy.WSConn, *http.Response, error) {
	target, err := ws.ParseURL(url)
	if err != nil {
		return nil, nil, fmt.Errorf("gorillaws: dial: %w", err)
	}
	h, ctx, cancel := ws.NewHandshake(ctx, d.Transport, d.HandshakeTimeout)
	defer cancel()
	fields := ws.Fields(header)
	if host := header.Get("Host"); host != "" {
		fields["Host"] = []string{host} // the library knows it, and takes it for the request's
	}
	carrier := &carrier{handshake: h, target: target}
	dialer := websocket.Dialer{
		Proxy:             carrier.note,
		NetDialContext:    carrier.dial,
		WriteBufferSize:   writeBuffer,
		WriteBufferPool:   &writeBuffers,
		EnableCompression: d.Compression,
	}
	plain := *target
	plain.Scheme = "ws" // net/http does the TLS
	lib, _, err := dialer.DialContext(ctx, plain.String(), fields)
	if err != nil {
		return nil, h.Response(), fmt.Errorf("gorillaws: dial: %w", h.Failure(err))
	}
	return newConn(lib, d.Compression), h.Response(), nil
}
