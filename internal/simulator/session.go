package simulator

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"sync"
)

// Limits of one WebSocket. What is queued is ours, the rest OpenAI's.
const (
	maxInFlight = 16 // responses that are made at the same time; more wait
	maxLanes    = 32 // named ones, in the life of the connection
	maxQueued   = 1024
	maxSteers   = 8  // of one response
	maxEnded    = 64 // ids that are known to have ended
)

// Codes of errors of a WebSocket.
const (
	codePreviousNotFound = "previous_response_not_found"
	codeLifetime         = "websocket_connection_limit_reached"
)

// sender carries the messages of a session.
type sender interface {
	// send sends m; many goroutines may call it at once.
	send(m outgoing) error
	// end asks for the end of the connection; it does not wait.
	end(e ending)
}

// session is what a WebSocket is about: its lanes and the turns in them. The messages of
// the client come from one goroutine; each turn has one of its own.
type session struct {
	server *Server
	sender sender
	entry  *connection
	manner Manner
	script Script // of turns, where the options have none

	turns sync.WaitGroup // added to under mu, while not stopped

	mu      sync.Mutex
	stopped bool             // no turn begins any more; guarded by mu
	lanes   map[string]*lane // guarded by mu
	queue   []*turn          // that wait, in the order of arrival; guarded by mu
	queued  int64            // bytes of their messages; guarded by mu
	running int              // guarded by mu
	active  map[string]*turn // by the id of its response, until that is complete; guarded by mu
	ended   []string         // the last ids that were active; guarded by mu
	made    int              // turns; guarded by mu
	first   string           // the id of the first response; guarded by mu
	notices int              // events outside a response; guarded by mu
}

// lane is one line of responses that follow each other. The default one has no name.
type lane struct {
	name    string
	running *turn
	latest  *storedResponse // nil: there was none, or it has been evicted
	owed    *owedSteers     // nil: none
}

// newSession returns the session of the handshake c.
func newSession(s *Server, c *call, entry *connection, out sender) *session {
	script := c.script
	script.BeforeHeader = nil // has been passed by the handshake
	return &session{
		server: s, sender: out, entry: entry, manner: s.manner(c), script: script,
		lanes:  map[string]*lane{"": {}},
		active: map[string]*turn{},
	}
}

// handle acts on a message of the client. Turns begin under ctx.
func (s *session) handle(ctx context.Context, data []byte) {
	f, err := parseFields(data)
	if err != nil {
		s.refuse("", badRequest("", "", "The message is not a JSON object."))
		return
	}
	var kind string
	if err := f.read("type", &kind); err != nil {
		s.refuse("", err)
		return
	}
	switch kind {
	case "response.create":
		s.create(ctx, data, f)
	case "response.steer":
		s.steer(f)
	case "response.inject":
		s.inject(f)
	case "response.interrupt":
		s.interrupt(f)
	case "response.cancel":
		s.cancel(f)
	case "response.processed": // an acknowledgement
	case "":
		s.refuse("", missing("type"))
	default:
		s.refuse("", badRequest("invalid_value", "type", "Unknown event type."))
	}
}

// refuse sends the error event of err, which is a fault, about no turn.
func (s *session) refuse(lane string, err error) {
	f, ok := first(err).(*fault)
	if !ok {
		f = scripted(http.StatusInternalServerError)
	}
	// That nobody takes it is noticed by who reads.
	_ = s.sender.send(outgoing{data: s.errorEvent(f, lane, &Script{})})
}

// expiry is the end of a connection that has lived long enough.
func (s *session) expiry() ending {
	f := badRequest(codeLifetime, "", "The connection has reached its time limit. Open another one to go on.")
	return ending{code: 1001, reason: "time limit", event: s.errorEvent(f, "", &Script{})}
}

// stop lets no turn begin any more and waits for those that run. Their context must have
// ended, or their connection.
func (s *session) stop() {
	s.mu.Lock()
	s.stopped = true
	s.queue = nil
	s.mu.Unlock()
	s.turns.Wait()
}

var streamID = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,256}$`)

// laneName returns the lane that f names; empty for the default one.
func (s *session) laneName(f fields) (string, error) {
	_, given := f["stream_id"]
	switch {
	case !given:
		return "", nil
	case !s.manner.multiplexes():
		return "", badRequest("unknown_parameter", "stream_id", "Unknown parameter: 'stream_id'.")
	}
	var name string
	if err := f.read("stream_id", &name); err != nil || !streamID.MatchString(name) {
		return "", badRequest("invalid_stream_id", "stream_id",
			"'stream_id' must be a string of 1 to 256 letters, digits, '_', '.' and '-'.")
	}
	return name, nil
}

// create puts the response that f asks for in its lane.
func (s *session) create(ctx context.Context, frame []byte, f fields) {
	name, err := s.laneName(f)
	if err != nil {
		s.refuse("", err)
		return
	}
	s.mu.Lock()
	l, err := s.lane(name)
	switch {
	case err != nil:
	case len(s.queue) >= maxQueued, s.queued+int64(len(frame)) > 2*s.server.options.MaxMessage:
		err = scripted(http.StatusTooManyRequests)
	}
	s.mu.Unlock()
	if err != nil {
		s.refuse(name, err)
		return
	}
	t := s.newTurn(l, frame, f)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, t)
	s.queued += int64(len(frame))
	s.dispatch(ctx)
}

// lane returns the lane that is called name. The caller holds mu.
func (s *session) lane(name string) (*lane, error) {
	if l := s.lanes[name]; l != nil {
		return l, nil
	}
	if len(s.lanes) > maxLanes { // with the default one
		return nil, badRequest("websocket_stream_limit_reached", "stream_id",
			"A connection has at most %d streams in its life.", maxLanes)
	}
	l := &lane{name: name}
	s.lanes[name] = l
	return l, nil
}

// dispatch begins what may begin: in each lane one turn. The caller holds mu.
func (s *session) dispatch(ctx context.Context) {
	for i := 0; i < len(s.queue) && s.running < maxInFlight && !s.stopped; {
		t := s.queue[i]
		if t.lane.running != nil {
			i++
			continue
		}
		s.queue = slices.Delete(s.queue, i, i+1)
		s.queued -= int64(len(t.frame))
		t.lane.running = t
		s.running++
		s.turns.Go(func() {
			next := t.run(ctx)
			s.done(ctx, t, next)
		})
	}
}

// done ends t, after which next comes; nil: whatever waits.
func (s *session) done(ctx context.Context, t, next *turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.lane.running = nil
	s.running--
	if next != nil && !s.stopped {
		s.queue = slices.Insert(s.queue, 0, next)
		s.queued += int64(len(next.frame))
	}
	s.dispatch(ctx)
}

// newTurn returns the next turn of the connection.
func (s *session) newTurn(l *lane, frame []byte, f fields) *turn {
	s.mu.Lock()
	s.made++
	t := &turn{session: s, lane: l, frame: frame, fields: f, number: s.made, script: s.script}
	s.mu.Unlock()
	if s.server.options.TurnScript != nil {
		t.script = s.server.options.TurnScript(frame, t.number)
	}
	// One that cannot be read is refused in its turn.
	_ = f.read("previous_response_id", &t.previous)
	t.digest = digestOf("turn "+strconv.Itoa(s.entry.number)+" "+strconv.Itoa(t.number), frame)
	return t
}

// before returns the conversation that req continues: from the latest response of a lane,
// its own first, or else from storage.
func (s *session) before(own *lane, req *responseRequest) (conversation, error) {
	if latest := s.latest(own, req.previous); latest != nil {
		return latest.context, latest.context.admits(req)
	}
	return s.server.responses.before(req)
}

func (s *session) latest(own *lane, id string) *storedResponse {
	s.mu.Lock()
	defer s.mu.Unlock()
	if own.latest != nil && own.latest.id() == id {
		return own.latest
	}
	for _, l := range s.lanes {
		if l.latest != nil && l.latest.id() == id {
			return l.latest
		}
	}
	return nil
}
