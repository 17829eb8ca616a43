package llmproxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"
)

// run is the passage of one exchange through the pipeline. There is one path:
// begin, admit, the interceptors around attempt, relay, settle. Handlers and Forward
// differ in their sink.
type run struct {
	a       *AutoRouter
	r       *http.Request
	client  context.Context // of the client's connection
	sink    sink
	stop    func() // ends what it does at the moment; guarded by a.mu
	x       *Exchange
	decoded bool  // the request body came in a content coding
	body    *Body // of the request; nil once it has been released
	upload  *clientBody
	trailer http.Header // announced by the client, filled at the end of its body

	bodySeen bool // the request's body has been read, or is somebody's to read

	// forward makes one call of a provider: send, or that of a turn.
	forward func(ctx context.Context, t *try) (*Reply, error)
	turn    *turn // nil: not on a WebSocket

	tries   tries
	rec     Record
	reply   *Reply // what the interceptors gave back
	ttft    time.Duration
	crlf    bool // the answer's lines end in CR LF
	settled bool
	meta    ResponseMetadata // as settled
	billed  BillingResult    // likewise
	hooks   settledHooks
}

// do runs one exchange. On an error nothing has been written to s when s.begun() is
// false; otherwise the answer broke off, and the connection must be ended too.
func (a *AutoRouter) do(client context.Context, r *http.Request, s sink, fixed Provider) (e *run, err *Error) {
	now := time.Now()
	e = &run{a: a, r: r, client: client, sink: s}
	e.forward = e.send
	e.x = &Exchange{
		ID: newID(now), Start: now, Method: r.Method, Header: r.Header, RawQuery: r.URL.RawQuery,
		Transport: TransportHTTP, Caller: callerOf(client), length: -1, settled: &e.hooks,
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

// exchange sends the request through the interceptors and relays the answer.
func (e *run) exchange() *Error {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(e.client))
	defer cancel(errClosed)
	e.a.watch(e, func() { cancel(errShutdown) })
	defer e.follow(ctx, cancel)()
	defer e.tries.discard()

	reply, failure := e.roundTrips(ctx)
	if failure != nil {
		return failure
	}
	e.reply = reply
	defer reply.Stream.Close()
	return e.relay()
}

// roundTrips sends the exchange through the interceptors. An exchange that ends there has
// been settled.
func (e *run) roundTrips(ctx context.Context) (*Reply, *Error) {
	reply, err := chain(e.a.interceptors, e.attempt)(ctx, e.x)
	e.tries.close()
	e.releaseBody()
	if err == nil && (reply == nil || reply.Stream == nil || reply.StatusCode < 200 || reply.StatusCode > 999) {
		err = internalError(errors.New("an interceptor returned neither an error nor a reply with a status and a stream"))
	}
	if err == nil {
		return reply, nil
	}
	failure := asError(err)
	switch {
	case errors.Is(err, errShutdown) && failure.Status == http.StatusInternalServerError:
		failure = shuttingDown()
	case e.client.Err() != nil && (errors.Is(err, errClientGone) || errors.Is(err, context.Canceled)):
		failure = clientGone() // an interceptor that waited has given up
	}
	if failure.Status == statusClientGone && failure.cause == nil {
		failure = e.clientGone()
	}
	e.settle(ending{failure: failure, refused: !e.tries.begun, gone: failure.Status == statusClientGone})
	return nil, failure
}

// releaseBody lets go of the request's body. It may be called more than once.
func (e *run) releaseBody() {
	if e.body != nil {
		e.body.release()
		e.body, e.x.Body = nil, nil
	}
}

// drain is how long the provider is heard out when the client has left: not at all where
// there is no usage to learn, and where the client is a caller of Forward, which ends
// with its context.
func (e *run) drain() time.Duration {
	if _, whole := e.sink.(*bufferSink); whole || !e.a.metering || !e.x.Operation.Metered {
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

// served is the exchange as it was sent to the provider that answered, else to the last
// one that was tried, else as the client asked for it.
func (e *run) served() *Exchange {
	switch {
	case e.reply != nil && e.reply.exchange != nil:
		return e.reply.exchange
	case e.tries.last != nil:
		return e.tries.last
	}
	return e.x
}

// describe returns the record of x as far as it is known before the answer.
func describe(x *Exchange) Record {
	r := Record{
		ID: x.ID, Time: x.Start, API: x.Operation.API, Transport: x.Transport,
		ModelRequested: x.Meta.Model, ModelAsked: x.UpstreamModel(), Model: x.UpstreamModel(),
		Key: x.Caller.Key, Tags: x.Tags, ServiceTier: x.Meta.ServiceTier,
	}
	if x.Route.Provider != nil {
		r.Provider = x.Route.Provider.Name()
	}
	return r
}
