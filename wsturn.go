package llmproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/llmproxy/llmproxy/wire"
)

// turn is one exchange on a session: what a create asks for, or a response that goes on
// by itself. It runs through the same pipeline as a POST, in a goroutine of its own until
// the provider has begun to answer.
type turn struct {
	*run
	s           *session
	lane        laneName
	messageType int

	before    <-chan struct{} // closed when what came before in the lane has been forwarded
	forwarded chan struct{}   // closed when this has, or never will be
	once      sync.Once       // guards the closing of forwarded
	ending    atomic.Bool     // it has been settled
	place     int             // among the creates of the session
	size      int64           // of its create, in bytes
	failing   bool            // its first event was an error; guarded by the session's mu
	calm      chan struct{}   // closed once no interceptor decides any more whether to send it again
	calmed    sync.Once       // guards the closing of calm
}

// newTurn returns a turn of s in lane, without its body.
func (s *session) newTurn(lane laneName) *turn {
	now := time.Now()
	t := &turn{s: s, lane: lane, forwarded: make(chan struct{}), calm: make(chan struct{})}
	e := &run{a: s.a, r: s.r, client: s.present, turn: t, bodySeen: true}
	e.sink = &turnSink{s: s}
	e.forward = t.send
	e.x = &Exchange{
		ID: newID(now), Start: now, Method: s.r.Method, Header: s.r.Header, RawQuery: s.query,
		Operation: s.op, Transport: TransportWebSocket, Caller: s.caller, Tags: s.tags, settled: &e.hooks,
	}
	t.run = e
	return t
}

// serve runs the turn until its answer goes on without it.
func (t *turn) serve() {
	e, s := t.run, t.s
	direct := false
	defer func() {
		if p := recover(); p != nil {
			t.logPanic("panic in a turn", p)
			failure := internalError(nil)
			e.settle(ending{failure: failure})
			s.tell(failure, t.lane)
			direct = false
		}
		t.letPass()
		e.releaseBody()
		if !direct {
			e.tries.discard()
			t.end()
		}
	}()
	ctx, cancel := context.WithCancelCause(s.ctx)
	defer cancel(errClosed)
	e.a.watch(e, func() { cancel(errShutdown) })
	defer e.follow(ctx, cancel)()

	reply, failure := e.roundTrips(ctx)
	t.letPass()
	if failure != nil {
		s.tell(failure, t.lane)
		return
	}
	e.reply = reply
	if f, ok := reply.Stream.(*flight); ok && f.turn == t {
		e.sink.head(reply.StatusCode, true)
		if f.decide(pathDirect) == pathDirect {
			direct = true
			t.beCalm()
			s.catchUp(f)
			return // from here on, who reads the socket relays it
		}
	}
	defer reply.Stream.Close()
	if reply.StatusCode == http.StatusOK {
		t.beCalm()
	}
	if failure := e.relay(); failure != nil && !e.sink.begun() {
		s.tell(failure, t.lane)
	}
}

// intend notes a turn that nobody asked for, which cannot be refused.
func (t *turn) intend() {
	if t.a.recorder == nil {
		return
	}
	intent := describe(t.x)
	intent.ConnectionID, intent.Lane = t.s.id, t.lane.name
	intent.CostState = t.a.foresee(t.x, &intent)
	defer t.contain("the recorder panicked")
	if err := t.a.recorder.Begin(context.WithoutCancel(t.s.ctx), &intent); err != nil {
		t.a.log().Error("the recorder refused an intent", "id", t.x.ID, "error", err)
	}
}

// letPass lets what comes after in the lane be forwarded.
func (t *turn) letPass() {
	t.once.Do(func() {
		close(t.forwarded)
		if t.size > 0 {
			t.s.mu.Lock()
			t.s.unsent -= t.size
			t.s.mu.Unlock()
		}
	})
}

// beCalm says that the turn is not sent again.
func (t *turn) beCalm() { t.calmed.Do(func() { close(t.calm) }) }

// end counts the turn out.
func (t *turn) end() {
	t.beCalm()
	t.a.leave(t.run)
	t.s.turnEnded(t)
}

// logPanic reports a panic in a callback. What it says may be a prompt: its type has to do.
func (t *turn) logPanic(what string, p any) {
	t.a.log().Error(what, "id", t.x.ID, "connection_id", t.s.id, "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
}

// send forwards the turn to the provider of c's route, and waits until that begins to
// answer.
func (t *turn) send(ctx context.Context, c *try) (*Reply, error) {
	x, p := c.x, c.x.Route.Provider
	if p == nil {
		return nil, noProvider(x.Meta.Model)
	}
	u, err := t.s.upstream(ctx, p, x)
	if err != nil {
		if r, ok := errors.AsType[*refusal](err); ok {
			c.called, c.status = true, r.status
			return r.reply(t, x), nil
		}
		c.called = asError(err).Status >= 500
		return nil, err
	}
	capable, _ := p.(WebSocketCapableProvider)
	mode := capable.WebSocketMode()
	if mode.NoLanes && (t.lane.invalid || t.lane.name != "") {
		return nil, &Error{
			Status: http.StatusBadRequest, Type: "invalid_request_error", Code: "unsupported_parameter", Param: "stream_id",
			Message: "the provider " + quote(p.Name()) + " serves one conversation on a WebSocket: open another one for each lane",
		}
	}
	message, err := t.message(x, mode)
	if err != nil {
		return nil, err
	}
	if err := t.begin(ctx, x); err != nil {
		return nil, err
	}
	api, _ := p.API(APIResponses)
	f := newFlight(t, u, api)
	if r, ok := f.tap.extractor.(RequestExtractor); ok {
		r.Request(x)
	}
	select {
	case <-t.before:
	case <-ctx.Done():
		return nil, upstreamError(p, context.Cause(ctx))
	}
	// While it is open whether the turn before is sent again, this one waits.
	for other := t.s.unsettledBefore(t); other != nil; other = t.s.unsettledBefore(t) {
		select {
		case <-other.calm:
		case <-ctx.Done():
			return nil, upstreamError(p, context.Cause(ctx))
		}
	}
	c.called = true
	if err := u.forward(f, t.messageType, message); err != nil {
		return nil, err
	}
	t.letPass()
	select {
	case h := <-f.heard:
		if h.err != nil {
			t.explain(asError(h.err), errors.Unwrap(h.err))
			return nil, h.err
		}
		c.status = h.status
		return f.reply(h, x), nil
	case <-ctx.Done():
		f.abandon()
		return nil, upstreamError(p, context.Cause(ctx))
	}
}

// message is the create as the provider of x's route gets it.
func (t *turn) message(x *Exchange, mode WebSocketMode) ([]byte, error) {
	edits, _ := x.edits(false)
	if model := x.UpstreamModel(); !x.Body.has(memberModel) && model != "" {
		at := wire.Span{Start: x.Body.root.Start + 1, End: x.Body.root.Start + 1}
		edits = append(edits, wire.Edit{Span: at, New: append(wire.AppendString([]byte(`"model":`), model), ',')})
	}
	if mode.Strict {
		edits = append(edits, x.Body.without(memberStream, memberStreamOptions, memberBackground)...)
	}
	if len(edits) == 0 {
		return x.Body.bytes, nil
	}
	if err := wire.Check(x.Body.bytes, edits...); err != nil {
		return nil, internalError(err)
	}
	return wire.Splice(x.Body.bytes, edits...), nil
}

// unmetered reads nothing.
type unmetered struct{}

func (unmetered) Frame(wire.Frame)           {}
func (unmetered) Done() bool                 { return false }
func (unmetered) Metadata() ResponseMetadata { return ResponseMetadata{} }

// reply makes a reply of a handshake's answer.
func (r *refusal) reply(t *turn, x *Exchange) *Reply {
	return &Reply{
		StatusCode: r.status, Header: r.header, exchange: x,
		Stream: &onePiece{piece: appendForeignError(nil, r.status, r.body, t.lane.name)},
	}
}

// onePiece is a stream of one piece.
type onePiece struct{ piece []byte }

func (o *onePiece) Next() ([]byte, error) {
	p := o.piece
	o.piece = nil
	if p == nil {
		return nil, io.EOF
	}
	return p, nil
}

func (o *onePiece) Close() error { return nil }

// eventHeader is what an error event says in fields of a header, inside or beside its
// error object.
func eventHeader(event []byte) http.Header {
	h := http.Header{}
	for _, fields := range [...][]byte{wire.Member(event, "headers"), wire.Member(wire.Member(event, "error"), "headers")} {
		for name, value := range wire.Members(fields) {
			if s, ok := wire.String(value); ok {
				h.Set(string(name), s)
			} else if n, ok := wire.Int(value); ok {
				h.Set(string(name), fmt.Sprint(n))
			}
		}
	}
	responseHeader(h)
	return h
}

// eventStatus is the status of an error event: the one it names, else what its kind of
// error has over HTTP.
func (ev *serverEvent) eventStatus() int {
	if n := ev.status(); n >= 400 {
		return n
	}
	kind, _ := wire.String(wire.Member(wire.Member(ev.event, "error"), "type"))
	switch code := ev.code(); {
	case strings.HasPrefix(code, "rate_limit"), code == "slow_down", code == "insufficient_quota":
		return http.StatusTooManyRequests
	case code == "server_is_overloaded":
		return http.StatusServiceUnavailable
	case kind == "server_error", code == "server_error", code == "" && kind == "":
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}

// turnSink writes messages to the client of a session.
type turnSink struct {
	s       *session
	started bool
}

func (k *turnSink) setReadDeadline(time.Time) bool                  { return false }
func (k *turnSink) limit(body io.ReadCloser, _ int64) io.ReadCloser { return body }
func (k *turnSink) hangUp()                                         {}
func (k *turnSink) duplex()                                         {}
func (k *turnSink) header() http.Header                             { return http.Header{} }
func (k *turnSink) head(int, bool)                                  { k.started = true }
func (k *turnSink) begun() bool                                     { return k.started }
func (k *turnSink) finish(http.Header)                              {}
func (k *turnSink) write(piece []byte, _ bool) error                { return k.s.toClient(WSText, piece) }
