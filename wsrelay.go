package llmproxy

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// create takes a client's response.create.
func (s *session) create(messageType int, p []byte, ev clientEvent) {
	t := s.newTurn(ev.lane)
	t.messageType = messageType
	if err := s.admitted(t, p); err != nil {
		t.settle(ending{failure: err, refused: err.Status != http.StatusInternalServerError})
		t.releaseBody()
		s.mu.Lock()
		stays := s.primary != nil || len(s.turns) > 0
		s.mu.Unlock()
		if stays {
			s.tell(err, ev.lane)
		} else {
			s.finish(closing{code: closeFor(err), reason: err.Message, event: appendErrorEvent(nil, err, ev.lane.name)})
		}
		return
	}
	s.mu.Lock()
	t.before = s.sent[ev.lane.name]
	if t.before == nil {
		t.before = closedChannel
	}
	s.sent[ev.lane.name] = t.forwarded
	s.mu.Unlock()
	s.wg.Go(t.serve)
}

// closedChannel is of what has been forwarded.
var closedChannel = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// admitted is admit with the panics of callbacks contained.
func (s *session) admitted(t *turn, p []byte) (err *Error) {
	defer func() {
		if v := recover(); v != nil {
			t.logPanic("panic while a turn was admitted", v)
			err = internalError(nil)
		}
	}()
	return s.admit(t, p)
}

// tooManyTurns refuses what a client sends faster than it can be forwarded.
func tooManyTurns(message string) *Error {
	return &Error{
		Status: http.StatusTooManyRequests, Type: "invalid_request_error", Code: "too_many_turns",
		Message: message, RetryAfter: time.Second,
	}
}

// admit reads t's create and chooses its route. An admitted turn has been counted in.
func (s *session) admit(t *turn, p []byte) *Error {
	x := t.x
	text := append(getBuffer(len(p)), p...)
	body, err := ParseBody(text)
	if err != nil {
		putBuffer(text)
		return asError(err)
	}
	body.pooled = true
	body.users.Store(1)
	x.Body, t.body = body, body
	var failure *Error
	if x.Meta, failure = body.metadata(); failure != nil {
		return failure
	}
	x.Meta.Stream, x.Meta.Background = true, false // what they say has no meaning here
	if len(x.Meta.Model) > longestModel {
		x.Meta.Model = ""
		return badMember("model", "the name of the model is too long")
	}
	if !body.has(memberModel) {
		x.Meta.Model = s.queried // put into what is forwarded
	}
	if x.Route, failure = s.routeOf(x); failure != nil {
		return failure
	}
	if m := x.Route.Provider.Settings().Model; m != "" && !s.mount {
		x.Route.Model = m
	}
	if api, ok := x.Route.Provider.API(APIResponses); ok && api.Parser != nil {
		api.Parser.Parse(body, &x.Meta)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing != nil:
		return closingError(s.closing)
	case s.limits.Turns > 0 && len(s.turns) >= s.limits.Turns && s.unsettled() >= s.limits.Turns:
		return tooManyTurns("as many responses as the gateway allows are in flight on this WebSocket")
	case s.limits.Message > 0 && s.unsent > 0 && s.unsent+int64(len(p)) > 2*s.limits.Message:
		return tooManyTurns("the provider does not take what is sent on this WebSocket so fast")
	}
	if err := s.a.enter(t.run); err != nil {
		return err
	}
	s.turns[t] = struct{}{}
	s.creates++
	t.place, t.size = s.creates, int64(len(p))
	s.unsent += t.size
	if s.provider == nil {
		s.provider, s.model, s.route = x.Route.Provider, x.Meta.Model, x.Route
	} else if s.model == "" {
		s.model, s.route = x.Meta.Model, x.Route
	}
	return nil
}

// closingError refuses a create on a session that is about to end.
func closingError(c *closing) *Error {
	if c.code == WSCloseGoingAway && c.event == nil {
		return shuttingDown()
	}
	return &Error{
		Status: http.StatusBadRequest, Type: "invalid_request_error", Code: codeConnectionLimit,
		Message: "the WebSocket is about to be closed: open a new one",
	}
}

// routeOf chooses the provider of a create: for the first one like that of a POST, later
// the session's own or none.
func (s *session) routeOf(x *Exchange) (Route, *Error) {
	model := x.Meta.Model
	s.mu.Lock()
	provider, first, route := s.provider, s.model, s.route
	home := s.homes[`"`+x.Meta.PreviousResponseID+`"`]
	s.mu.Unlock()
	switch {
	case s.mount:
		return Route{Provider: s.fixed}, nil
	case home != nil && !home.gone:
		return Route{Provider: home.provider, Model: cutPrefix(home.provider, model)}, nil
	case s.fixed != nil:
		return Route{Provider: s.fixed, Model: cutPrefix(s.fixed, model)}, nil
	case provider != nil && model == "":
		return Route{Provider: provider}, nil
	case provider != nil && first == model:
		return route, nil
	}
	chosen, err := s.a.route(s.ctx, target{op: s.op}, x)
	if err != nil {
		return Route{}, err
	}
	if provider == nil {
		if _, _, err := socketOf(chosen.Provider, x); errors.Is(err, ErrNoWebSocket) {
			return Route{}, noWebSocket(chosen.Provider)
		}
		return chosen, nil
	}
	if chosen.Provider != provider {
		return Route{}, &Error{
			Status: http.StatusBadRequest, Type: "invalid_request_error", Code: "provider_mismatch", Param: "model",
			Message: "the model " + quote(model) + " is with another provider than the one this WebSocket is connected to: open another one",
		}
	}
	return chosen, nil
}

// upstream returns the socket to p, and opens it if there is none.
func (s *session) upstream(ctx context.Context, p Provider, x *Exchange) (*upstream, error) {
	if u := s.connected(p); u != nil {
		return u, nil
	}
	s.dialing.Lock()
	defer s.dialing.Unlock()
	if u := s.connected(p); u != nil {
		return u, nil
	}
	u, err := s.dial(ctx, p, x)
	if err != nil {
		s.mu.Lock()
		alone := len(s.ups) == 0 && (s.primary == nil || s.primary.gone)
		s.mu.Unlock()
		if alone {
			s.closeAfterTurns(closing{code: closeFor(err), unreached: true})
		}
		return nil, err
	}
	s.connect(u)
	return u, nil
}

// connected returns the socket to p, nil if there is none.
func (s *session) connected(p Provider) *upstream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ups[p.Name()]
}

// connect takes in u, and begins to read it.
func (s *session) connect(u *upstream) {
	s.mu.Lock()
	s.ups[u.provider.Name()] = u
	if s.primary == nil || s.primary.gone {
		s.primary = u
		if s.closing != nil && s.closing.unreached {
			s.closing = nil // another one could not be dialled, this one could
		}
	}
	s.mu.Unlock()
	if s.ctx.Err() != nil {
		_ = u.conn.Close()
	}
	s.wg.Go(u.run)
}

// closeFor is the code with which a session ends whose provider could not be reached.
// Clients do not come back after a policy violation, and do after all others.
func closeFor(err error) int {
	status := http.StatusBadGateway
	if r, ok := errors.AsType[*refusal](err); ok {
		status = r.status
	} else {
		status = asError(err).Status
	}
	if status >= 500 || status == http.StatusTooManyRequests || status == statusClientGone {
		return WSCloseInternalError
	}
	return WSClosePolicy
}

// fromProvider passes a message of u on.
func (s *session) fromProvider(u *upstream, messageType int, p []byte) {
	if messageType != WSText {
		_ = s.toClient(messageType, p)
		return
	}
	s.mu.Lock()
	ev := readServerEvent(p, u.lanes.named)
	m := u.lanes.find(&ev)
	if m.orphan {
		m.f = s.orphan(u, m, ev.id())
	}
	f, opens := m.f, false
	if f != nil && (ev.kind == kindCreated || m.last) {
		opens, f.opened = !f.opened && !m.orphan, true
		if u != s.primary && f.id != "" {
			for id := range s.homes { // any one makes room
				if len(s.homes) < homesBound {
					break
				}
				delete(s.homes, id)
			}
			s.homes[f.id] = u
		}
	}
	s.mu.Unlock()
	if m.orphan {
		f.turn.intend()
	}
	if m.lost != nil {
		s.interrupt(m.lost, errUnfinished)
	}
	if f == nil {
		_ = s.toClient(messageType, p)
		return
	}
	switch {
	case opens && !m.last:
		f.tell(heard{status: http.StatusOK})
		s.await(f.decided) // longer, and it goes into the flight's queue
	case opens:
		// It goes through the turn, which may send it again rather than pass it on.
		h := heard{status: http.StatusOK, header: http.Header{}}
		if ev.kind == kindError {
			h.status, h.header = ev.eventStatus(), eventHeader(p)
		}
		// A turn behind it has been forwarded: sent again, this one would come after it.
		if m.behind {
			h.header.Set("X-Should-Retry", "false")
		}
		f.decide(pathQueued)
		f.push(p, true)
		s.mu.Lock()
		f.turn.failing = true
		s.mu.Unlock()
		f.tell(h)
		s.await(f.turn.calm)
		return
	}
	switch f.way() {
	case pathDirect:
		s.direct(f, p, m.last)
	case pathAbandoned:
		s.unwanted(f, p, m.last)
	default:
		f.push(p, m.last)
	}
}

// await waits for what an interceptor does between two messages, for a moment: the next
// messages, of other lanes too, come after it then. One that takes its time holds nobody up.
func (s *session) await(c <-chan struct{}) {
	if isClosed(c) {
		return
	}
	var over <-chan time.Time // never, where there is none that could take its time
	if len(s.a.interceptors) > 0 {
		const moment = 50 * time.Millisecond
		timer := time.NewTimer(moment)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-c:
	case <-over:
	case <-s.ctx.Done():
	}
}

// catchUp passes on what came of f while its path was open.
func (s *session) catchUp(f *flight) {
	for {
		p, last, ok := f.take()
		if !ok {
			break
		}
		s.direct(f, p, last)
		if last {
			return
		}
	}
	if err := f.fault(); err != nil { // the provider has gone meanwhile
		f.turn.broken(err, false)
		f.turn.end()
	}
}

// unsettledBefore returns a turn of t's lane that has got an error and may be sent again.
func (s *session) unsettledBefore(t *turn) *turn {
	s.mu.Lock()
	defer s.mu.Unlock()
	for other := range s.turns {
		if other != t && other.failing && other.place > 0 && other.lane == t.lane && other.place < t.place && !isClosed(other.calm) {
			return other
		}
	}
	return nil
}

// homesBound is how many responses are remembered that are not with the primary.
const homesBound = 4096

var errUnfinished = errors.New("another response began in the lane")

// direct passes a message of f on, and settles its turn with the last.
func (s *session) direct(f *flight, p []byte, last bool) {
	e := f.turn.run
	if e.ttft == 0 {
		e.ttft = time.Since(e.x.Start)
	}
	f.observe(p)
	if last {
		// The record is kept before the client can have the whole answer.
		e.settle(ending{whole: true, gone: s.present.Err() != nil})
	}
	_ = s.toClient(WSText, p)
	if last {
		f.turn.end()
	}
}

// unwanted meters a message of a flight that an interceptor gave up waiting for: the
// client does not get it, and what it cost is recorded all the same.
func (s *session) unwanted(f *flight, p []byte, last bool) {
	f.observe(p)
	if !last || !f.tap.extractor.Metadata().UsageReported {
		return
	}
	s.mu.Lock()
	o := s.unasked(f.up, f.lane, f.turn.x)
	s.mu.Unlock()
	o.turn.reply = o.reply(heard{status: http.StatusOK}, o.turn.x)
	o.turn.reply.tap, o.turn.reply.Tap = f.tap, f.tap
	o.turn.settle(ending{whole: true, gone: s.present.Err() != nil})
	o.turn.end()
}

// orphan returns the flight of a response that no create asked for, which begins with m;
// s.mu is held. It is charged, and cannot be refused.
func (s *session) orphan(u *upstream, m match, id []byte) *flight {
	var like *Exchange
	if m.lane.newest != nil {
		like = m.lane.newest.x
	}
	f := s.unasked(u, laneName{name: m.lane.name}, like)
	f.opened = true
	if !m.last {
		u.lanes.adopt(f, m.lane, id)
	}
	return f
}

// unasked returns the flight of a turn that no create asked for, on the direct path; s.mu
// is held. What it is asked for is what like was, where that is known.
func (s *session) unasked(u *upstream, lane laneName, like *Exchange) *flight {
	t := s.newTurn(lane)
	t.letPass()
	t.x.Route = Route{Provider: u.provider}
	if like != nil {
		t.x.Meta, t.x.Route, t.x.settled = like.Meta, like.Route, like.settled
	}
	api, _ := u.provider.API(APIResponses)
	f := newFlight(t, u, api)
	if r, ok := f.tap.extractor.(RequestExtractor); ok {
		r.Request(t.x)
	}
	t.sink.head(http.StatusOK, true)
	t.reply = f.reply(heard{status: http.StatusOK}, t.x)
	t.tries.begun = true
	t.tries.list = []Attempt{{Provider: u.provider.Name(), Model: t.x.UpstreamModel(), Status: http.StatusOK}}
	f.decide(pathDirect)
	s.a.enterUnasked(t.run)
	s.turns[t] = struct{}{}
	return f
}

// interrupt ends f, whose provider says no more.
func (s *session) interrupt(f *flight, err error) {
	broken := brokenAnswer(f.up.provider, err)
	if broken.cause == nil {
		broken.cause = err
	}
	f.tell(heard{err: broken})
	if f.stop(err) == pathDirect {
		f.turn.broken(err, false)
		f.turn.end()
	}
}

// lost ends what u carried: reading it failed with err.
func (s *session) lost(u *upstream, err error) {
	code, reason := closeOf(err)
	cause := context.Cause(s.ctx)
	if cause == nil {
		if p, ok := u.cause.Load().(error); ok {
			cause = p
		}
	}
	if cause == nil && s.present.Err() != nil {
		cause = errClientGone // its close has crossed
	}
	if cause == nil {
		cause = err
	}
	s.mu.Lock()
	u.gone = true
	fs := u.lanes.all()
	for _, f := range fs {
		u.lanes.forget(f)
	}
	if s.ups[u.provider.Name()] == u {
		delete(s.ups, u.provider.Name())
	}
	over := u == s.primary || len(s.ups) == 0
	s.mu.Unlock()
	_ = u.conn.Close()
	for _, f := range fs {
		s.interrupt(f, cause)
	}
	if !over || s.ctx.Err() != nil {
		return
	}
	switch {
	case errors.Is(cause, errShutdown):
		code, reason = WSCloseGoingAway, ""
	case code == WSCloseAbnormal:
		code, reason = WSCloseInternalError, "the provider's connection was lost"
	}
	s.closeAfterTurns(closing{code: code, reason: reason})
}
