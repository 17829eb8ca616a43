package llmproxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// session is one client's WebSocket, and its sockets to providers: one each, nearly
// always one in all. The goroutine of the request reads the client; one for each provider
// reads that; each turn has one until its answer has begun.
type session struct {
	a      *AutoRouter
	r      *http.Request // the client's handshake
	id     string
	start  time.Time
	op     Operation // of its turns
	query  string    // of the handshake, less what only routed
	caller Caller
	tags   map[string]string
	limits WebSocketLimits
	fixed  Provider // the handshake named it; nil: the first message decides
	mount  bool

	ctx     context.Context // ends when all of it must
	cancel  context.CancelCauseFunc
	present context.Context // ends when the client has left
	leave   context.CancelCauseFunc
	wg      sync.WaitGroup // of all goroutines but the request's

	client  WSConn
	write   sync.Mutex   // one message at a time goes to the client
	writing atomic.Int64 // when the write under way began, in Unix nanoseconds; 0: none is
	active  atomic.Int64 // when the last message came or went, likewise
	reading atomic.Bool  // the client is being read

	dialing sync.Mutex // one at a time

	mu       sync.Mutex // guards the following, and the lanes of its upstreams
	primary  *upstream  // the first
	ups      map[string]*upstream
	provider Provider // of the primary; set before it is dialled
	model    string   // of the first create, as the client wrote it
	route    Route    // of the first create
	turns    map[*turn]struct{}
	homes    map[string]*upstream     // of responses that are not with the primary, by id with quotes
	sent     map[string]chan struct{} // of the last turn in each lane: closed when it has been forwarded
	creates  int                      // that have been admitted
	asides   int                      // messages that wait for a create before them
	unsent   int64                    // bytes of creates that have not been forwarded
	queried  string                   // the model of the handshake's query, for creates without one
	closing  *closing                 // nil: not yet
	ready    bool                     // the client has been upgraded
	finished bool                     // the last has been said to it
	last     chan closing             // what it is; has room for it

	turnsDone chan struct{} // signals that a turn has ended; has room for one

	settling sync.Mutex // guards ended, and keeps the callbacks in order
	ended    int        // turns
}

// closing is how a session is to end, once its turns have.
type closing struct {
	code   int
	reason string
	event  []byte // goes before it; nil for none

	unreached bool // because no provider could be dialled
}

// number gives r the next number of a turn. The function it returns lets the next turn
// have one.
func (s *session) number(r *Record) (unlock func()) {
	s.settling.Lock()
	s.ended++
	r.Turn = s.ended
	return s.settling.Unlock
}

// serve relays until the session has ended.
func (s *session) serve() {
	s.touch()
	s.mu.Lock()
	s.ready = true
	early := s.closing // before the upgrade was done
	s.mu.Unlock()
	s.wg.Go(s.keep)
	if early != nil {
		s.finish(*early)
	}
	err := s.readClient()
	s.leave(errClientGone)
	code, reason := closeOf(err)
	if drain := s.drain(); drain > 0 {
		timer := time.NewTimer(drain)
		defer timer.Stop()
		for s.running() > 0 && s.ctx.Err() == nil {
			select {
			case <-s.turnsDone:
			case <-timer.C:
				s.cancel(errClientGone)
			case <-s.ctx.Done():
			}
		}
	}
	s.mu.Lock()
	ups := slices.Collect(maps.Values(s.ups))
	s.mu.Unlock()
	if s.ctx.Err() == nil && code != WSCloseAbnormal {
		var wg sync.WaitGroup
		for _, u := range ups {
			wg.Go(func() { closeWith(u.conn, code, reason) })
		}
		wg.Wait()
	}
	s.cancel(errClientGone)
	s.wg.Wait()
	_ = s.client.Close()
}

// drain is how long turns that run are heard out when the client has left.
func (s *session) drain() time.Duration {
	if !s.a.metering {
		return 0
	}
	return s.a.disconnect.drain
}

// readClient reads the client until that ends, and returns why.
func (s *session) readClient() error {
	over := false // what still comes is not looked at: the close frame is on its way
	for first := true; ; first = false {
		messageType, p, err := s.read(first)
		if err != nil {
			return err
		}
		s.touch()
		over = over || !s.fromClient(messageType, p, first)
	}
}

// read waits for a message of the client; for the first one not for ever.
func (s *session) read(first bool) (int, []byte, error) {
	if first && s.limits.FirstMessage > 0 {
		timer := time.AfterFunc(s.limits.FirstMessage, func() {
			s.finish(closing{code: WSClosePolicy, reason: "no response.create came in time"})
		})
		defer timer.Stop()
	}
	s.reading.Store(true)
	defer s.reading.Store(false)
	return s.client.ReadMessage()
}

// fromClient takes a message of the client. It returns false when the session is over.
func (s *session) fromClient(messageType int, p []byte, first bool) bool {
	ev, err := readClientEvent(p)
	if first && (err != nil || !ev.create) {
		code := WSClosePolicy
		if err == nil {
			err = badMember("type", "the first message must be a response.create")
		} else if err.Param == "" {
			code = WSCloseInvalidPayload
		}
		s.finish(closing{code: code, reason: err.Message, event: appendErrorEvent(nil, err, ev.lane.name)})
		return false
	}
	switch {
	case err != nil:
		s.tell(err, ev.lane)
	case ev.create:
		s.create(messageType, p, ev)
	default:
		s.passOn(messageType, p, ev)
	}
	return true
}

// passOn forwards a message that is no create, behind what its lane has to send before.
func (s *session) passOn(messageType int, p []byte, ev clientEvent) {
	s.mu.Lock()
	u := s.holder(ev.response)
	before := s.sent[ev.lane.name]
	if isClosed(before) {
		s.mu.Unlock()
		s.pass(u, messageType, p, ev)
		return
	}
	if s.asides >= mostAsides {
		s.mu.Unlock()
		s.tell(tooManyTurns("as many messages as the gateway keeps wait for the response.create before them"), ev.lane)
		return
	}
	s.asides++
	sent := make(chan struct{})
	s.sent[ev.lane.name] = sent
	s.mu.Unlock()
	p = slices.Clone(p)
	s.wg.Go(func() {
		defer close(sent)
		select {
		case <-before:
			s.mu.Lock()
			u := s.holder(ev.response)
			s.mu.Unlock()
			s.pass(u, messageType, p, ev)
		case <-s.ctx.Done():
		}
		s.mu.Lock()
		s.asides--
		s.mu.Unlock()
	})
}

// mostAsides bounds the messages that wait for a create which is not forwarded yet.
const mostAsides = 64

// isClosed reports whether c has been closed, or there is none.
func isClosed(c <-chan struct{}) bool {
	if c == nil {
		return true
	}
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// pass sends a message that is no create to u.
func (s *session) pass(u *upstream, messageType int, p []byte, ev clientEvent) {
	if u == nil {
		s.tell(BadRequest("no provider is connected"), ev.lane)
		return
	}
	if err := u.pass(messageType, p); err != nil {
		_ = u.conn.Close()
	}
}

// holder returns the upstream that has the response, the primary unless another one has;
// s.mu is held.
func (s *session) holder(response string) *upstream {
	if response != "" && (len(s.ups) > 1 || len(s.homes) > 0) {
		id := `"` + response + `"`
		if u := s.homes[id]; u != nil && !u.gone {
			return u
		}
		for _, u := range s.ups {
			if u.lanes.byID[id] != nil {
				return u
			}
		}
	}
	return s.primary
}

// toClient writes a message to the client, unless that has left.
func (s *session) toClient(messageType int, p []byte) error {
	if s.present.Err() != nil {
		return errClientGone
	}
	s.write.Lock()
	defer s.write.Unlock()
	now := time.Now().UnixNano()
	s.active.Store(now)
	s.writing.Store(now)
	err := s.client.WriteMessage(messageType, p)
	s.writing.Store(0)
	if err != nil {
		s.leave(errClientGone)
		_ = s.client.Close() // readClient returns
	}
	return err
}

// tell sends the client an error event.
func (s *session) tell(err *Error, lane laneName) {
	_ = s.toClient(WSText, appendErrorEvent(nil, err, lane.name))
}

func (s *session) touch() { s.active.Store(time.Now().UnixNano()) }

// running returns how many turns have not been settled.
func (s *session) running() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unsettled()
}

// unsettled is running; s.mu is held. A client that has the terminal event of a turn may
// ask for more before that has been counted out.
func (s *session) unsettled() (n int) {
	for t := range s.turns {
		if !t.ending.Load() {
			n++
		}
	}
	return n
}

// turnEnded counts t out.
func (s *session) turnEnded(t *turn) {
	s.mu.Lock()
	delete(s.turns, t)
	if s.sent[t.lane.name] == t.forwarded {
		delete(s.sent, t.lane.name)
	}
	c := s.closing
	idle := len(s.turns) == 0
	s.mu.Unlock()
	s.touch()
	signal(s.turnsDone)
	if idle && c != nil {
		s.finish(*c)
	}
}

// closeAfterTurns ends the session as c says once no turn runs. The first c counts.
func (s *session) closeAfterTurns(c closing) {
	s.mu.Lock()
	if s.closing == nil || s.closing.unreached {
		s.closing = &c
	}
	c = *s.closing
	idle := len(s.turns) == 0
	s.mu.Unlock()
	if idle {
		s.finish(c)
	}
}

// finish sends the client what c says and closes its socket, once. It does not wait.
func (s *session) finish(c closing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing == nil {
		s.closing = &c
	}
	if s.ready && !s.finished {
		s.finished = true
		s.last <- c
	}
}

// sayLast sends the client what c says, and closes its socket.
func (s *session) sayLast(c closing) {
	if c.event != nil {
		_ = s.toClient(WSText, c.event)
	}
	closeWith(s.client, c.code, c.reason)
}

// closeWith closes c with a code and a reason where it can say one.
func closeWith(c WSConn, code int, reason string) {
	if w, ok := c.(WSCloser); ok && code != WSCloseAbnormal {
		_ = w.CloseWith(code, reason)
	}
	_ = c.Close()
}

// closeOf returns what the peer said when it closed: [WSCloseAbnormal] where it said
// nothing.
func closeOf(err error) (code int, reason string) {
	if c, ok := errors.AsType[*WSCloseError](err); ok {
		return c.Code, c.Reason
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return WSCloseTooBig, "the message is larger than the gateway allows"
	}
	return WSCloseAbnormal, ""
}

// logPanic reports a panic. What it says may be a prompt: its type has to do.
func (s *session) logPanic(what string, p any) {
	s.a.log().Error(what, "connection_id", s.id, "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
}

// explain logs why a provider failed.
func (s *session) explain(failure *Error, err error) {
	if failure.Status >= 500 && !errors.Is(err, errShutdown) {
		s.a.log().Warn("a provider failed", "connection_id", s.id, "code", failure.Code, "message", failure.Message, "error", err)
	}
}

// withoutParameters returns query less some of its parameters.
func withoutParameters(query string, names ...string) string {
	if query == "" {
		return ""
	}
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		if name, _, _ := strings.Cut(pair, "="); !slices.Contains(names, name) {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}
