package llmproxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy/wire"
)

// run is the passage of one exchange through the pipeline. There is one path:
// begin, admit, the interceptors around attempt, relay, settle. Handlers and Forward
// differ in their sink.
type run struct {
	a       *AutoRouter
	r       *http.Request
	client  context.Context // of the client's connection
	sink    sink
	cancel  context.CancelCauseFunc // of the exchange; guarded by a.mu
	x       *Exchange
	decoded bool  // the request body came in a content coding
	body    *Body // of the request; nil once it has been released
	upload  *clientBody
	trailer http.Header // announced by the client, filled at the end of its body

	attempts []Attempt
	last     *Exchange // as of the last attempt
	intent   bool      // Recorder.Begin has been called
	rec      Record
	reply    *Reply // what the interceptors gave back
	ttft     time.Duration
	settled  bool
	meta     ResponseMetadata // as settled
}

// do runs one exchange. On an error nothing has been written to s when s.begun() is
// false; otherwise the answer broke off, and the connection must be ended too.
func (a *AutoRouter) do(client context.Context, r *http.Request, s sink, fixed Provider) (e *run, err *Error) {
	now := time.Now()
	e = &run{a: a, r: r, client: client, sink: s}
	e.x = &Exchange{
		ID: newID(now), Start: now, Method: r.Method, Header: r.Header, RawQuery: r.URL.RawQuery,
		Transport: TransportHTTP, length: -1,
	}
	s.header()[headerRequestID] = []string{e.x.ID}
	defer func() {
		if p := recover(); p != nil {
			e.panicked(p)
			err = internalError(nil)
		}
	}()
	t, err := detect(r, fixed != nil)
	e.x.Operation = t.op
	if err == nil {
		if err = a.enter(e); err == nil {
			defer a.leave(e)
			defer e.releaseBody()
			err = e.admit(t, fixed)
			defer e.upload.release()
		}
	}
	if err != nil {
		e.settle(ending{failure: err, refused: true})
		return e, err
	}
	return e, e.exchange()
}

// panicked settles an exchange in which a callback panicked.
func (e *run) panicked(p any) {
	e.settle(ending{failure: internalError(nil)})
	if p == http.ErrAbortHandler { //nolint:errorlint // a sentinel value
		panic(p)
	}
	// What it says may be a prompt: its type has to do.
	e.a.log().Error("panic in an exchange", "id", e.x.ID, "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
}

// metadata is what the meter read, for callers of the library.
func (e *run) metadata() ResponseMetadata {
	m, x, provider := e.meta, e.served(), ""
	if p := x.Route.Provider; p != nil {
		provider = p.Name()
	}
	m.setCustom(x.Operation.API, provider)
	return m
}

func internalError(cause error) *Error {
	return &Error{Status: http.StatusInternalServerError, Type: "server_error", Code: "internal_error", Message: "the gateway failed", cause: cause}
}

// admit reads what routing needs and chooses the provider.
func (e *run) admit(t target, fixed Provider) *Error {
	a, r, x := e.a, e.r, e.x
	if upgrade(r.Header) {
		return &Error{
			Status: http.StatusUpgradeRequired, Type: "invalid_request_error", Code: "websocket_not_supported",
			Message: "no WebSocket is served at this path: use HTTP", NoRetry: true,
		}
	}
	if n := a.limits.Header; n > 0 && headerSize(r.Header) > n {
		return headersTooLarge(n)
	}
	var err *Error
	if x.Tags, err = parseTags(r.Header["X-Gateway-Tags"]); err != nil {
		return err
	}
	if t.provider != "" {
		p, ok := a.registry.Get(t.provider)
		if !ok {
			return providerNotFound(t.provider)
		}
		x.Route.Provider = p
	}
	if x.Operation.JSON {
		text, decoded, err := a.readBody(e.sink, r)
		if err != nil {
			return err
		}
		e.decoded = decoded
		body, perr := ParseBody(text)
		if perr != nil {
			putBuffer(text)
			return asError(perr)
		}
		body.buffer = text
		body.hold()
		x.Body, e.body = body, body
		if x.Meta, err = body.metadata(); err != nil {
			return err
		}
	} else if err := e.openUpload(); err != nil {
		return err
	}
	if t.model != "" {
		x.Meta.Model = t.model
	}
	x.Meta.Stream = x.Meta.Stream || t.streams
	if fixed != nil {
		x.Route = Route{Provider: fixed, Model: cutPrefix(fixed, x.Meta.Model)}
	} else if x.Route.Provider == nil {
		if x.Route, err = a.route(e.client, t, x); err != nil {
			return err
		}
		if m := x.Route.Provider.Settings().Model; m != "" {
			x.Route.Model = m
		}
	}
	if t.byBody {
		api, err := apiOfBody(x.Body, x.Route.Provider)
		if err != nil {
			return err
		}
		x.settleOn(api)
	}
	if x.Meta.Stream {
		x.Transport = TransportSSE
	}
	return nil
}

// openUpload prepares an opaque body.
func (e *run) openUpload() *Error {
	r, limit := e.r, e.a.limits.Upload
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil
	}
	if limit > 0 && r.ContentLength > limit {
		return tooLarge("the upload", limit)
	}
	e.sink.duplex()
	e.upload = newClientBody(r.Body, e.sink, e.a.limits, limit, "the upload")
	e.x.upload, e.x.length = e.upload, r.ContentLength
	if len(r.Trailer) > 0 {
		e.trailer = make(http.Header, len(r.Trailer))
		for name := range r.Trailer {
			if !staysHere(name) && !credential(name) {
				e.trailer[name] = nil
			}
		}
		e.upload.onEOF = func() {
			for name := range e.trailer {
				e.trailer[name] = r.Trailer[name]
			}
		}
	}
	return nil
}

// exchange sends the request through the interceptors and relays the answer.
func (e *run) exchange() *Error {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(e.client))
	defer cancel(errClosed)
	e.a.watch(e, cancel)
	defer e.follow(ctx, cancel)()

	reply, err := chain(e.a.interceptors, e.attempt)(ctx, e.x)
	e.releaseBody() // nothing can be sent again
	if err == nil && reply == nil {
		err = internalError(errors.New("an interceptor returned neither a reply nor an error"))
	}
	if err != nil {
		failure := asError(err)
		e.settle(ending{failure: failure, refused: !e.intent, gone: failure.Status == statusClientGone})
		return failure
	}
	e.reply = reply
	defer reply.Stream.Close()
	return e.relay()
}

// releaseBody lets go of the request's body. It may be called more than once.
func (e *run) releaseBody() {
	if e.body != nil {
		e.body.release()
		e.body, e.x.Body = nil, nil
	}
}

// drain is how long the provider is heard out when the client has left: not at all where
// there is no usage to learn.
func (e *run) drain() time.Duration {
	if !e.a.metering || !e.x.Operation.Metered {
		return 0
	}
	return e.a.disconnect.drain
}

// follow ends the provider's call when the client leaves, as the policy says. The function
// it returns ends the watch.
func (e *run) follow(ctx context.Context, cancel context.CancelCauseFunc) (stop func() bool) {
	return context.AfterFunc(e.client, func() {
		drain := e.drain()
		if drain <= 0 {
			cancel(errClientGone)
			return
		}
		t := time.NewTimer(drain)
		defer t.Stop()
		select {
		case <-t.C:
			cancel(errClientGone)
		case <-ctx.Done():
		}
	})
}

// attempt sends the exchange to its provider: resolve, edit, enrich, forward. It is the
// innermost round trip, and all that depends on the provider is computed here.
func (e *run) attempt(ctx context.Context, x *Exchange) (*Reply, error) {
	p := x.Route.Provider
	if p == nil {
		return nil, noProvider(x.Meta.Model)
	}
	api, speaks := p.API(x.Operation.API)
	if op := &x.Operation; op.JSON && !op.Mount && dialects[op.API] && !speaks {
		return nil, mismatch(p, x.Operation.API)
	}
	u, err := p.Resolve(x)
	if err != nil {
		return nil, err
	}
	settings := p.Settings()
	u.RawQuery = joinQuery(u.RawQuery, upstreamQuery(x.RawQuery, settings))
	metered := e.a.metering && x.Operation.Metered && api.NewExtractor != nil

	ctx, cancel := context.WithCancelCause(ctx)
	sent := false
	defer func() {
		if !sent {
			cancel(errClosed)
		}
	}()
	req := (&http.Request{
		Method: x.Method, URL: u, Host: u.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        requestHeader(x.Header, settings.ClientKeys, e.decoded),
		ContentLength: x.length,
	}).WithContext(ctx)
	asked := false // include_usage, unasked by the client
	var body *payload
	switch {
	case x.Body != nil:
		edits := slices.Clone(x.Edits)
		switch {
		case x.bare:
			edits = append(edits, x.Body.withoutRouting()...)
		case x.Route.Model != "" && x.Route.Model != x.Meta.Model && x.Body.has(memberModel):
			edits = append(edits, wire.Edit{Span: x.Body.spans[memberModel], New: wire.AppendString(nil, x.Route.Model)})
		}
		if metered && x.Meta.Stream && api.IncludeUsage && !x.Meta.IncludeUsage &&
			(x.Operation.API == APIChatCompletions || x.Operation.API == APICompletions) {
			var edit wire.Edit
			if edit, asked = includeUsage(x.Body); asked {
				edits = append(edits, edit)
			}
		}
		if err := wire.Check(x.Body.bytes, edits...); err != nil {
			return nil, internalError(err)
		}
		body = newPayload(x.Body, edits)
		defer body.release()
		req.Body, _ = body.open()
		req.GetBody, req.ContentLength = body.open, body.size
	case x.Operation.JSON:
		return nil, internalError(errors.New("the exchange was sent again after its answer had begun"))
	case x.upload != nil:
		if e.upload.sent {
			return nil, internalError(errors.New("an opaque body was to be sent twice"))
		}
		e.upload.sent = true
		req.Body, req.Trailer = e.upload, e.trailer
	default:
		req.ContentLength = 0
	}
	if err := p.Enrich(req, x); err != nil {
		return nil, err
	}
	if err := e.begin(ctx, x); err != nil {
		return nil, err
	}
	e.attempts = append(e.attempts, Attempt{Provider: p.Name(), Model: x.UpstreamModel()})
	at := &e.attempts[len(e.attempts)-1]
	e.last = x

	timer := time.AfterFunc(math.MaxInt64, func() { cancel(errTooSlow) })
	if wait := cmp.Or(settings.Timeout, e.a.limits.ResponseHeaderTimeout); wait > 0 {
		timer.Reset(wait)
	}
	resp, err := e.a.transport.RoundTrip(req)
	timer.Stop()
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		failure := upstreamError(p, err)
		if fault := e.upload.blame(); fault != nil {
			failure = fault
		}
		at.Error = failure.Code
		return nil, failure
	}
	at.Status = resp.StatusCode
	e.rec.ProviderRequestID = providerRequestID(resp.Header)
	if (resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden) && !settings.ClientKeys {
		_ = resp.Body.Close()
		failure := providerAuth(p)
		at.Error = failure.Code
		return nil, failure
	}
	sent = true
	stream := &bodyStream{
		body: resp.Body, idle: e.a.limits.StreamIdleTimeout, timer: timer, cancel: cancel,
		cause: func() error { return context.Cause(ctx) }, buf: pieceBuffers.Get().(*[]byte),
	}
	reply := e.newReply(x, resp, stream)
	if metered && !e.rec.Unread {
		e.meter(x, reply, stream, api, asked)
	}
	return reply, nil
}

// begin hands the intent to the recorder, once.
func (e *run) begin(ctx context.Context, x *Exchange) error {
	if e.intent {
		return nil
	}
	e.intent = true
	if e.a.recorder == nil {
		return nil
	}
	e.describe(x)
	if err := e.a.recorder.Begin(ctx, &e.rec); err != nil {
		e.intent = false
		e.a.log().Error("the recorder refused an intent", "id", x.ID, "error", err)
		return unavailable("ledger_unavailable", "the gateway cannot keep its records at the moment", 5*time.Second)
	}
	return nil
}

// newReply makes a reply of resp, whose body is stream's.
func (e *run) newReply(x *Exchange, resp *http.Response, stream *bodyStream) *Reply {
	reply := &Reply{StatusCode: resp.StatusCode, Header: resp.Header, Stream: stream, exchange: x}
	if len(resp.Trailer) > 0 {
		reply.trailer = resp.Trailer
	}
	// Over HTTP/1, an answer without a length and without chunks ends where the
	// connection does, whoever ended it.
	reply.unproven = resp.ContentLength < 0 && resp.ProtoMajor == 1 &&
		!slices.Contains(resp.TransferEncoding, "chunked")
	e.rec.Unread = false
	if codings := contentCodings(resp.Header); len(codings) > 0 && x.Method != http.MethodHead {
		if src, ok := e.a.decode(resp.Body, codings); ok {
			stream.body = src
			resp.Header.Del("Content-Encoding")
			resp.Header.Del("Content-Length")
		} else {
			e.rec.Unread = true
		}
	}
	responseHeader(resp.Header)
	return reply
}

// meter puts a tap on reply, and withholds what only the meter asked for.
func (e *run) meter(x *Exchange, reply *Reply, stream *bodyStream, api API, asked bool) {
	extractor := api.NewExtractor()
	if r, ok := extractor.(RequestExtractor); ok {
		r.Request(x)
	}
	if h, ok := extractor.(HeaderExtractor); ok {
		h.Header(reply.Header)
	}
	t := newTap(extractor, x, reply.Header.Get("Content-Type"), e.a.limits.Frame)
	reply.Tap, reply.tap = t, t
	stream.tap = t
	if asked && t.transport == TransportSSE && reply.StatusCode < 300 {
		reply.Stream = &withhold{src: stream, limit: withholdLimit}
	}
}

// withholdLimit bounds the one event that may be kept back. A usage-only event is small.
const withholdLimit = 64 * kib

// served is the exchange as it was sent to the provider that answered, else to the last
// one that was tried, else as the client asked for it.
func (e *run) served() *Exchange {
	switch {
	case e.reply != nil && e.reply.exchange != nil:
		return e.reply.exchange
	case e.last != nil:
		return e.last
	}
	return e.x
}

// describe writes what is known before the answer into the record.
func (e *run) describe(x *Exchange) {
	r := &e.rec
	r.ID, r.Time, r.API, r.Transport = x.ID, x.Start, x.Operation.API, x.Transport
	r.ModelRequested, r.Model, r.Tags = x.Meta.Model, x.UpstreamModel(), x.Tags
	r.ServiceTier = strings.Clone(x.Meta.ServiceTier)
	if x.Route.Provider != nil {
		r.Provider = x.Route.Provider.Name()
	}
}
