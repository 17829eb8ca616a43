package llmproxy

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// WithWebSocket serves the WebSocket mode of Responses: upgrader turns requests into
// connections, dialer opens those to providers. Without it an upgrade is refused with 426.
func WithWebSocket(upgrader WSUpgrader, dialer WSDialer) Option {
	return func(a *AutoRouter) { a.upgrader, a.dialer = upgrader, dialer }
}

// WithWebSocketOrigins lets pages of other origins open WebSockets, besides those of the
// gateway's own host: patterns of origins, scheme and all, in which * stands for any
// characters ("https://*.example.com"). Programs that are no browsers send no Origin and
// are not concerned.
func WithWebSocketOrigins(patterns ...string) Option {
	return func(a *AutoRouter) { a.origins = append(a.origins, patterns...) }
}

// WithWSBillingCallback has f told of each turn of a WebSocket.
func WithWSBillingCallback(f WSBillingCallback) Option {
	return func(a *AutoRouter) { a.onTurn = f }
}

// ForwardWebSocket serves r, a request to upgrade, and returns when the connection has
// ended. When it fails before the upgrade, nothing has been written, and the caller may
// answer with [WriteError]: that is [ErrWebSocketNotConfigured], or an *[Error] of a refusal
// or a failure. A provider's refusal of the handshake, and the upgrader's, are answered
// already: [Begun] reports true of their errors. The connection ends with ctx.
func (a *AutoRouter) ForwardWebSocket(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	return a.forwardWebSocket(ctx, w, r, nil)
}

func (a *AutoRouter) forwardWebSocket(ctx context.Context, w http.ResponseWriter, r *http.Request, fixed Provider) error {
	if a.upgrader == nil || a.dialer == nil {
		return ErrWebSocketNotConfigured
	}
	s := a.newSession(ctx, r)
	defer s.cancel(errClosed)
	err := s.openContained(w, fixed)
	if err == nil {
		return nil
	}
	if r, ok := errors.AsType[*refusal](err); ok {
		w.Header()[headerRequestID] = []string{s.id}
		return r.passOn(w)
	}
	if e, ok := errors.AsType[*Error](err); ok && !Begun(err) {
		e.id = s.id
	}
	return err
}

// newSession returns a session for r that ends with ctx.
func (a *AutoRouter) newSession(ctx context.Context, r *http.Request) *session {
	now := time.Now()
	s := &session{
		a: a, r: r, id: newID(now), start: now, caller: callerOf(ctx), limits: a.limits.WebSocket,
		ups: map[string]*upstream{}, turns: map[*turn]struct{}{}, homes: map[string]*upstream{},
		sent: map[string]chan struct{}{}, turnsDone: make(chan struct{}, 1), last: make(chan closing, 1),
	}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	s.present, s.leave = context.WithCancelCause(ctx)
	return s
}

// openContained is open with the panics of callbacks contained.
func (s *session) openContained(w http.ResponseWriter, fixed Provider) (err error) {
	defer func() {
		if v := recover(); v != nil {
			s.logPanic("panic in a WebSocket", v)
			failure := internalError(nil)
			if err = failure; s.client != nil {
				err = &cutError{failure}
			} else {
				s.refused(nil, failure, failure)
			}
		}
	}()
	return s.open(w, fixed)
}

// open answers the handshake and serves the connection. An error comes before the
// upgrade, and has been recorded.
func (s *session) open(w http.ResponseWriter, fixed Provider) error {
	p, err := s.target(fixed)
	if err == nil {
		err = s.a.enterSession(s)
	}
	if err != nil {
		s.refused(p, err, nil)
		return err
	}
	defer s.a.leaveSession(s)
	header := http.Header{headerRequestID: {s.id}}
	if p != nil {
		u, err := s.dial(s.ctx, p, s.newTurn(laneName{}).x)
		if err != nil {
			s.refused(p, nil, err)
			return err
		}
		for name, values := range u.header {
			header[name] = values
		}
		header[headerProvider] = []string{p.Name()}
		defer u.conn.Close()
		s.mu.Lock()
		s.provider, s.primary = p, u
		s.ups[p.Name()] = u
		s.mu.Unlock()
	}
	client, uerr := s.a.upgrader.Upgrade(w, s.r, header)
	if uerr != nil {
		s.refused(p, &Error{
			Status: http.StatusBadRequest, Type: "invalid_request_error", Code: "websocket_handshake",
			Message: "the WebSocket handshake failed",
		}, nil)
		return &cutError{&Error{
			Status: http.StatusBadRequest, Type: "invalid_request_error", Code: "websocket_handshake",
			Message: "the WebSocket handshake failed", cause: uerr,
		}}
	}
	s.client = client
	if l, ok := client.(WSReadLimiter); ok && s.limits.Message > 0 {
		l.SetReadLimit(s.limits.Message)
	}
	defer context.AfterFunc(s.ctx, s.closeAll)()
	if s.primary != nil {
		s.wg.Go(s.primary.run)
	}
	s.serve()
	return nil
}

// closeAll ends all sockets at once.
func (s *session) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.ups {
		_ = u.conn.Close()
	}
	_ = s.client.Close()
}

// target reads the handshake. p is the provider that it names, nil where the first message
// has to.
func (s *session) target(fixed Provider) (p Provider, err *Error) {
	a, r := s.a, s.r
	t, err := detect(r, fixed != nil)
	if err != nil {
		return nil, err
	}
	s.op = t.op
	if r.Method != http.MethodGet || t.op.API != APIResponses || !strings.HasSuffix(t.op.Path, "/responses") {
		return nil, &Error{
			Status: http.StatusUpgradeRequired, Type: "invalid_request_error", Code: "websocket_not_supported",
			Message: "no WebSocket is served at this path: use HTTP", NoRetry: true,
		}
	}
	s.op.JSON, s.op.Metered = true, true
	if err := checkHandshake(r); err != nil {
		return nil, err
	}
	if n := a.limits.Header; n > 0 && headerSize(r) > n {
		return nil, headersTooLarge(n)
	}
	if !originAllowed(r.Header.Get("Origin"), r.Host, a.origins) {
		return nil, &Error{
			Status: http.StatusForbidden, Type: "invalid_request_error", Code: "origin_not_allowed",
			Message: "pages of this origin may not open WebSockets here", NoRetry: true,
		}
	}
	if s.tags, err = parseTags(r.Header["X-Gateway-Tags"]); err != nil {
		return nil, err
	}
	s.tags = s.caller.tags(s.tags)
	s.query = r.URL.RawQuery
	switch {
	case fixed != nil:
		s.fixed, s.mount = fixed, t.op.Mount
	case t.provider != "":
		mounted, ok := a.registry.Get(t.provider)
		if !ok {
			return nil, providerNotFound(t.provider)
		}
		s.fixed, s.mount = mounted, true
	default:
		if err := s.named(t); err != nil {
			return s.fixed, err
		}
	}
	return s.capable()
}

// checkHandshake refuses what no upgrader can serve (RFC 6455 §4.2.1), before a provider is
// called for it.
func checkHandshake(r *http.Request) *Error {
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-Websocket-Key"))
	switch {
	case !upgrade(r.Header):
	case r.Header.Get("Sec-Websocket-Version") != "13":
	case err != nil || len(key) != 16:
	default:
		return nil
	}
	return &Error{
		Status: http.StatusBadRequest, Type: "invalid_request_error", Code: "websocket_handshake",
		Message: "this is no WebSocket handshake of version 13", NoRetry: true,
	}
}

// named looks for what header and query say of the provider, off the mounts.
func (s *session) named(t target) *Error {
	a, query := s.a, url.Values{}
	if s.query != "" {
		query, _ = url.ParseQuery(s.query)
		s.query = withoutParameters(s.query, "model", "provider")
	}
	name := s.r.Header.Get("X-Provider")
	if name == "" {
		name = query.Get("provider")
	}
	if name != "" {
		p, ok := a.registry.Get(name)
		if !ok {
			return providerNotFound(name)
		}
		s.fixed = p
		return nil
	}
	if model := query.Get("model"); model != "" && len(model) <= longestModel {
		x := s.newTurn(laneName{}).x
		x.Meta.Model = model
		route, err := a.route(s.ctx, t, x)
		if err != nil {
			return err
		}
		s.provider, s.model, s.route, s.queried = route.Provider, model, route, model
	}
	return nil
}

// capable returns the provider that the handshake has chosen, if it serves WebSockets; nil
// if it has chosen none and there is one that does.
func (s *session) capable() (Provider, *Error) {
	x := s.newTurn(laneName{}).x
	chosen := s.fixed
	if chosen == nil {
		chosen = s.provider
	}
	all := s.a.registry.All()
	if chosen == nil && len(all) == 1 && s.a.detector == nil {
		chosen = all[0]
	}
	if chosen != nil {
		all = []Provider{chosen}
	}
	for _, p := range all {
		y := x.Clone()
		y.Route = Route{Provider: p}
		if _, _, err := socketOf(p, y); !errors.Is(err, ErrNoWebSocket) {
			return chosen, nil
		}
	}
	return chosen, noWebSocket(chosen)
}

// refused records a handshake that came to nothing: by err, or by a provider's doing.
func (s *session) refused(p Provider, err *Error, byProvider error) {
	t := s.newTurn(laneName{})
	e := t.run
	e.x.ID, e.x.Start, e.x.Route = s.id, s.start, Route{Provider: p}
	end := ending{failure: err, refused: byProvider == nil}
	if r, ok := errors.AsType[*refusal](byProvider); ok {
		e.reply = &Reply{StatusCode: r.status, Header: r.header, exchange: e.x}
		e.tries.list = []Attempt{{Provider: p.Name(), Status: r.status}}
	} else if byProvider != nil {
		end.failure = asError(byProvider)
		end.gone = end.failure.Status == statusClientGone
		e.tries.list = []Attempt{{Provider: p.Name(), Error: end.failure.Code}}
	}
	e.settle(end)
}

// passOn answers a handshake as the provider did. The error says that it is answered.
func (r *refusal) passOn(w http.ResponseWriter) error {
	h := w.Header()
	for name, values := range r.header {
		h[name] = values
	}
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body)
	return &cutError{&Error{Status: r.status, Type: "server_error", Code: "provider_refused", Message: r.Error(), cause: r}}
}

func (a *AutoRouter) serveWebSocket(w http.ResponseWriter, r *http.Request, fixed Provider) {
	err := a.forwardWebSocket(r.Context(), w, r, fixed)
	if err == nil || Begun(err) {
		return
	}
	e := asError(err)
	if e.id != "" {
		w.Header()[headerRequestID] = []string{e.id}
	}
	writeError(w, APIResponses, e)
}

// enterSession counts s in.
func (a *AutoRouter) enterSession(s *session) *Error {
	a.mu.Lock()
	defer a.mu.Unlock()
	key, l := s.caller.Key, s.limits
	switch {
	case a.down:
		return shuttingDown()
	case l.Total > 0 && len(a.sessions) >= l.Total:
		return unavailable("too_many_websockets", "the gateway has as many WebSockets open as it may", time.Second)
	case key != "" && l.PerKey > 0 && a.perKey[key] >= l.PerKey:
		return &Error{
			Status: http.StatusTooManyRequests, Type: "rate_limit_error", Code: "too_many_websockets",
			Message: "the gateway key has as many WebSockets open as it may", RetryAfter: time.Second,
		}
	}
	a.sessions[s] = struct{}{}
	if key != "" {
		a.perKey[key]++
	}
	return nil
}

// leaveSession counts s out.
func (a *AutoRouter) leaveSession(s *session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.sessions, s)
	if key := s.caller.Key; key != "" {
		if a.perKey[key]--; a.perKey[key] == 0 {
			delete(a.perKey, key)
		}
	}
	a.settled()
}
