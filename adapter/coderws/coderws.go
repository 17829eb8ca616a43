// Package coderws fits github.com/coder/websocket to the WebSocket interfaces of
// llmproxy.
//
// Its connections are also a [llmproxy.WSContextReader], [llmproxy.WSCloser],
// [llmproxy.WSPinger] and [llmproxy.WSReadLimiter]. A connection that waits for a message
// holds no memory for it, and messages above 256 KiB are sent in several frames. Whether
// text is UTF-8 is left to the reader.
//
// The library gives up a peer that takes no byte for five seconds while a ping, a pong or
// a close frame is to be sent.
package coderws

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/internal/ws"
)

var (
	_ llmproxy.WSUpgrader = Upgrader{}
	_ llmproxy.WSDialer   = Dialer{}
)

// Upgrader accepts the connections of clients. The zero value is ready and safe for
// concurrent use.
//
// It answers what cannot be upgraded with 4xx, or 501 where the server's connection
// cannot be taken over; HTTP/2 with 426.
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
		return nil, fmt.Errorf("coderws: upgrade: %w", err)
	}
	lib, err := websocket.Accept(upgrade{up}, r, &websocket.AcceptOptions{
		// The router has checked the Origin, against a list of its own; the library's check
		// would refuse what that list allows. A server without such a check must not do this.
		InsecureSkipVerify:   true,
		CompressionMode:      mode(u.Compression),
		CompressionThreshold: ws.MinCompressed,
	})
	if err != nil {
		return nil, fmt.Errorf("coderws: upgrade: %w", err)
	}
	return newConn(lib, up.Socket), nil
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
		return nil, nil, fmt.Errorf("coderws: dial: %w", err)
	}
	h, ctx, cancel := ws.NewHandshake(ctx, d.Transport, d.HandshakeTimeout)
	defer cancel()
	fields := ws.Fields(header)
	lib, _, err := websocket.Dial(ctx, target.String(), &websocket.DialOptions{
		HTTPClient:           &http.Client{Transport: handshake{h}, CheckRedirect: followNone},
		HTTPHeader:           fields,
		Host:                 header.Get("Host"),
		Subprotocols:         subprotocols(fields), // which the library wants to know by itself
		CompressionMode:      mode(d.Compression),
		CompressionThreshold: ws.MinCompressed,
	})
	if err != nil {
		return nil, h.Response(), fmt.Errorf("coderws: dial: %w", h.Failure(err))
	}
	return newConn(lib, h.Socket), h.Response(), nil
}

func followNone(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func subprotocols(fields http.Header) []string {
	var names []string
	for _, list := range fields.Values("Sec-WebSocket-Protocol") {
		for name := range strings.SplitSeq(list, ",") {
			names = append(names, strings.TrimSpace(name))
		}
	}
	return names
}

// mode chooses compression without a context: with one, every connection would hold a
// compressor for as long as it lives.
func mode(compression bool) websocket.CompressionMode {
	if compression {
		return websocket.CompressionNoContextTakeover
	}
	return websocket.CompressionDisabled
}
