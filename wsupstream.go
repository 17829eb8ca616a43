package llmproxy

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// upstream is a session's socket to one provider. One goroutine reads it.
type upstream struct {
	s        *session
	provider Provider
	conn     WSConn
	header   http.Header // of the handshake's answer, what of it concerns clients

	lanes lanes // guarded by s.mu
	gone  bool  // likewise: nothing can be forwarded any more

	write   sync.Mutex   // creates wait in the order in which they are written
	writing atomic.Int64 // when the write under way began, in Unix nanoseconds; 0: none is
	reading atomic.Bool  // run waits for a message
	heard   atomic.Int64 // when the last message came, in Unix nanoseconds
	cause   atomic.Value // why we closed it, an endCause
}

// refusal is a provider's answer to a handshake, where it is no 101.
type refusal struct {
	status int
	header http.Header
	body   []byte
}

func (r *refusal) Error() string {
	return "the provider refused the WebSocket with " + http.StatusText(r.status)
}

// handshakeFields are those of a client's handshake that reach a provider, besides those
// of coding agents below handshakePrefixes.
var handshakeFields = map[string]bool{
	"Openai-Beta": true, "User-Agent": true, "Originator": true, "Version": true,
	"X-Client-Request-Id": true, "Session-Id": true, "Session_id": true, "Thread-Id": true, "Conversation_id": true,
	"Traceparent": true, "Tracestate": true,
}

var handshakePrefixes = [...]string{"X-Codex-", "X-Openai-", "X-Responsesapi-", "X-Stainless-"}

// answerFields are those of a provider's 101 that reach a client, besides those below
// answerPrefixes.
var answerFields = map[string]bool{
	"X-Models-Etag": true, "X-Reasoning-Included": true, "X-Request-Id": true, "Apim-Request-Id": true,
}

var answerPrefixes = [...]string{"X-Codex-", "Openai-", "X-Ratelimit-"}

// onlyListed returns the fields of h that are listed, by name or by prefix.
func onlyListed(h http.Header, names map[string]bool, prefixes []string) http.Header {
	kept := http.Header{}
	named := h["Connection"]
	for name, values := range h {
		if named != nil && headerHasToken(named, name) || secretName(name) {
			continue
		}
		if names[name] || slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
			kept[name] = values
		}
	}
	return kept
}

// secretName reports whether a field looks as if it carried a credential.
func secretName(name string) bool {
	for _, word := range [...]string{"Auth", "Token", "Key", "Secret"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// socketOf returns p as a provider of the WebSocket mode, and the URL of x there.
func socketOf(p Provider, x *Exchange) (WebSocketCapableProvider, string, error) {
	capable, ok := p.(WebSocketCapableProvider)
	if !ok {
		return nil, "", ErrNoWebSocket
	}
	if _, speaks := p.API(APIResponses); !speaks {
		return nil, "", ErrNoWebSocket
	}
	u, err := capable.WebSocketURL(x)
	if err != nil {
		return nil, "", err
	}
	return capable, u.String(), nil
}

// noWebSocket refuses a socket to p, or to anybody where p is nil.
func noWebSocket(p Provider) *Error {
	e := &Error{
		Status: http.StatusUpgradeRequired, Type: "invalid_request_error", Code: "websocket_not_supported",
		Message: "no configured provider serves WebSockets: use HTTP", NoRetry: true, cause: ErrNoWebSocket,
	}
	if p != nil {
		e.Message = "the provider " + quote(p.Name()) + " does not support the WebSocket mode: use HTTP"
	}
	return e
}

// dial opens a socket to p for x. The error is an *Error or a *refusal.
func (s *session) dial(ctx context.Context, p Provider, x *Exchange) (*upstream, error) {
	y := x.Clone()
	y.Route = Route{Provider: p}
	y.Body, y.Edits = nil, nil
	_, address, err := socketOf(p, y)
	if errors.Is(err, ErrNoWebSocket) {
		return nil, noWebSocket(p)
	}
	if err != nil {
		return nil, asError(err)
	}
	settings := p.Settings()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http"+strings.TrimPrefix(address, "ws"), nil)
	if err != nil {
		return nil, internalError(err)
	}
	req.URL.RawQuery = joinQuery(req.URL.RawQuery, upstreamQuery(s.query, settings))
	req.Header = onlyListed(x.Header, handshakeFields, handshakePrefixes[:])
	if settings.ClientKeys {
		for name, values := range x.Header {
			if credential(name) {
				req.Header[name] = values
			}
		}
	}
	if err := p.Enrich(req, y); err != nil {
		return nil, asError(err)
	}
	for _, name := range [...]string{"Host", "Content-Type", "Content-Length", "Accept", "Accept-Encoding"} {
		req.Header.Del(name)
	}
	conn, resp, err := s.a.dialer.Dial(ctx, "ws"+strings.TrimPrefix(req.URL.String(), "http"), req.Header)
	if err != nil {
		return nil, s.undialled(ctx, p, resp, err)
	}
	if l, ok := conn.(WSReadLimiter); ok && s.limits.Message > 0 {
		l.SetReadLimit(s.limits.Message)
	}
	u := &upstream{s: s, provider: p, conn: conn, lanes: newLanes(), header: http.Header{}}
	if resp != nil {
		u.header = onlyListed(resp.Header, answerFields, answerPrefixes[:])
	}
	u.heard.Store(time.Now().UnixNano())
	return u, nil
}

// undialled is why a socket to p could not be opened.
func (s *session) undialled(ctx context.Context, p Provider, resp *http.Response, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, context.Canceled) {
			cause = errClientGone
		}
		return upstreamError(p, cause)
	}
	if resp == nil || resp.StatusCode < 300 {
		failure := upstreamError(p, err)
		s.explain(failure, err)
		return failure
	}
	head, _ := readHead(resp.Body)
	settings := p.Settings()
	if !settings.ClientKeys && (resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden ||
		resp.StatusCode == http.StatusBadRequest && settings.RejectsKey != nil && settings.RejectsKey(head)) {
		return providerAuth(p)
	}
	if resp.StatusCode < 400 { // a redirect, which nobody follows
		failure := upstreamError(p, err)
		s.explain(failure, err)
		return failure
	}
	responseHeader(resp.Header)
	for _, name := range [...]string{"Content-Length", "Content-Encoding", "Sec-Websocket-Version", "Sec-Websocket-Extensions"} {
		resp.Header.Del(name)
	}
	return &refusal{status: resp.StatusCode, header: resp.Header, body: head}
}

// forward sends message, f's create.
func (u *upstream) forward(f *flight, messageType int, message []byte) error {
	u.write.Lock()
	defer u.write.Unlock()
	u.s.mu.Lock()
	gone := u.gone
	if !gone {
		u.lanes.wait(f)
	}
	u.s.mu.Unlock()
	if gone {
		return brokenAnswer(u.provider, errGone)
	}
	u.heard.Store(time.Now().UnixNano()) // its silence is counted from here
	if err := u.send(messageType, message); err != nil {
		_ = u.conn.Close() // who reads it tells all flights
	}
	return nil
}

// pass sends a client's message that is no create.
func (u *upstream) pass(messageType int, message []byte) error {
	u.write.Lock()
	defer u.write.Unlock()
	return u.send(messageType, message)
}

// send writes a message; u.write is held.
func (u *upstream) send(messageType int, message []byte) error {
	u.writing.Store(time.Now().UnixNano())
	defer u.writing.Store(0)
	return u.conn.WriteMessage(messageType, message)
}

// end closes the socket because of cause.
func (u *upstream) end(cause error) {
	u.cause.CompareAndSwap(nil, endCause{cause})
	_ = u.conn.Close()
}

// endCause is why we closed a socket.
type endCause struct{ error }

func (c endCause) Unwrap() error { return c.error }

var errGone = errors.New("the provider's socket is closed")

// run reads the socket until it ends.
func (u *upstream) run() {
	defer func() {
		if p := recover(); p != nil {
			u.s.logPanic("panic while a message of a provider was passed on", p)
			u.s.finish(closing{code: WSCloseInternalError})
			u.s.lost(u, errGone)
		}
	}()
	for {
		u.reading.Store(true)
		messageType, p, err := u.conn.ReadMessage()
		u.reading.Store(false)
		if err != nil {
			u.s.lost(u, err)
			return
		}
		u.heard.Store(time.Now().UnixNano())
		u.s.fromProvider(u, messageType, p)
	}
}
