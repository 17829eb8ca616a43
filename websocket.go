package llmproxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// The types of WebSocket messages (RFC 6455 §5.6, §11.8).
const (
	WSText   = 1
	WSBinary = 2
	WSClose  = 8
	WSPing   = 9
	WSPong   = 10
)

// Close codes (RFC 6455 §7.4.1).
const (
	WSCloseNormal         = 1000
	WSCloseGoingAway      = 1001
	WSCloseProtocolError  = 1002
	WSCloseUnsupported    = 1003
	WSCloseNoStatus       = 1005 // never sent: the peer's close frame had no code
	WSCloseAbnormal       = 1006 // never sent: the connection ended without a close frame
	WSCloseInvalidPayload = 1007
	WSClosePolicy         = 1008
	WSCloseTooBig         = 1009
	WSCloseInternalError  = 1011
)

// WSConn is one WebSocket connection, of a client or to a provider. The connection type
// of gorilla/websocket is one as it is; adapters for libraries are below adapter/.
//
// One goroutine reads and one writes at a time; Close may be called by any, at any time,
// more than once, and ends a read and a write that are under way. What else a connection
// can do, it shows by having the methods of [WSContextReader], [WSCloser], [WSPinger] or
// [WSReadLimiter].
type WSConn interface {
	// ReadMessage returns the next text or binary message, whole. p is valid until the
	// next call. After an error every call fails. A connection that the peer has closed
	// is a *[WSCloseError] where the library tells its code, with 1006 where it ended
	// without a close frame; a message beyond the read limit an *[http.MaxBytesError].
	ReadMessage() (messageType int, p []byte, err error)
	// WriteMessage sends a message. It must not keep data.
	WriteMessage(messageType int, data []byte) error
	// Close ends the connection at once.
	Close() error
}

// WSContextReader is a [WSConn] whose reads end with a context, and with them the
// connection.
type WSContextReader interface {
	ReadMessageContext(ctx context.Context) (messageType int, p []byte, err error)
}

// WSCloser is a [WSConn] that can say why it closes.
type WSCloser interface {
	// CloseWith sends a close frame with a code and a reason of at most 123 bytes, waits
	// a short and bounded time for the peer's, and ends the connection.
	CloseWith(code int, reason string) error
}

// WSPinger is a [WSConn] that can ask whether its peer is there.
type WSPinger interface {
	// Ping sends a ping and returns when the pong has come, or with an error when ctx
	// ends first. Another goroutine has to be reading.
	Ping(ctx context.Context) error
}

// WSReadLimiter is a [WSConn] that bounds the messages it reads; a larger one closes it
// with 1009.
type WSReadLimiter interface {
	SetReadLimit(bytes int64)
}

// WSCloseError is the error of a read from a connection that the peer has closed.
type WSCloseError struct {
	Code   int
	Reason string // the peer's words: not for logs
}

func (e *WSCloseError) Error() string {
	return fmt.Sprintf("websocket: closed by the peer with %d", e.Code)
}

// WSUpgrader turns a request into a WebSocket connection. The router has checked that it
// is one for an upgrade, and its Origin: an upgrader need not do so again.
type WSUpgrader interface {
	// Upgrade answers r with 101 and the fields of header. When it fails, it has answered
	// r itself.
	Upgrade(w http.ResponseWriter, r *http.Request, header http.Header) (WSConn, error)
}

// WSDialer opens WebSocket connections to providers.
type WSDialer interface {
	// Dial connects to url (ws:// or wss://) and sends header with the handshake. The
	// response is that of the handshake, with at most the first 64 KiB of its body where it
	// is not a 101, and nil where none came. It follows no redirect.
	Dial(ctx context.Context, url string, header http.Header) (WSConn, *http.Response, error)
}

// WebSocketCapableProvider is a [Provider] that serves the WebSocket mode of Responses.
type WebSocketCapableProvider interface {
	Provider
	// WebSocketURL returns where the mode is served to x: the URL that x's operation has
	// over HTTP, with the scheme ws or wss. The error is [ErrNoWebSocket] where the
	// provider, as it is configured, does not serve it.
	WebSocketURL(x *Exchange) (*url.URL, error)
	// WebSocketMode says how the provider's differs from OpenAI's.
	WebSocketMode() WebSocketMode
}

// WebSocketMode is how a provider serves the WebSocket mode.
type WebSocketMode struct {
	// NoLanes says that a connection carries one conversation: a stream_id is refused.
	NoLanes bool
	// Strict says that stream, stream_options and background, which have no meaning here,
	// are refused; they are taken out of what clients send.
	Strict bool
}

var (
	// ErrWebSocketNotConfigured means that the router was made without [WithWebSocket].
	ErrWebSocketNotConfigured = errors.New("websocket: not configured")
	// ErrNoWebSocket means that a provider does not support the WebSocket mode.
	ErrNoWebSocket = errors.New("does not support the WebSocket mode")
)

// WSBillingCallback is told of each turn that has ended, in the order in which they end:
// its number on its connection, from 1, what the provider reported, and what it costs; nil
// where no price is known. It is called before the client gets the terminal event, and a
// connection waits for it. It must be safe for concurrent use.
type WSBillingCallback func(turn int, meta ResponseMetadata, billing *BillingResult)
