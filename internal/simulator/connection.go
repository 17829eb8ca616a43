package simulator

import (
	"context"
	"maps"
	"net/http"
	"slices"
)

// Connection is what is known of one WebSocket. It is a copy: later news are in the next
// [Server.Connections].
type Connection struct {
	URI    string      // path and query exactly as in the request line
	Header http.Header // of the handshake; read only
	API    API

	Frames []Frame // the messages that have arrived, in their order
	Turns  []Turn  // in the order in which they began
	Pings  int     // that the client sent
	Pongs  int     // that answered the server's pings

	Open       bool
	ClientCode int // of the close frame with which the client ended it; 1005: without a code; 0: none
	ServerCode int // of the close frame with which the server ended it; 0: none
}

// Frame is one message of a client, however many frames it came in.
type Frame struct {
	Binary bool
	Data   []byte // read only; nil where the recorder had no room
	Size   int64  // in bytes
}

// Turn is one response on a WebSocket, or the error in its place, as the server counted
// it.
type Turn struct {
	Number             int // of the connection, in the order of arrival, from 1
	Lane               string
	ResponseID         string // empty if there was none
	PreviousResponseID string
	Model              string // as the response names it
	ServiceTier        string // as served
	WarmUp             bool   // nothing was to be generated
	Automatic          bool   // a successor that the client did not create

	Outcome Outcome
	Reason  string // of an incomplete response
	Status  int    // of an error event; 0: there was none
	Code    string // of an error event, or of a failed response
	Events  int    // that were sent

	// Usage is what was consumed. Of an aborted turn it is the prompt and what had been
	// said of a text, or all calls.
	Usage    Usage
	Reported bool // an event with the usage was sent
}

// Outcome is how a turn ended.
type Outcome int

// The outcomes.
const (
	TurnRunning    Outcome = iota
	TurnCompleted          // response.completed
	TurnIncomplete         // response.incomplete
	TurnFailed             // response.failed
	TurnErrored            // an error event, before response.created or after it
	TurnAborted            // the connection was gone first
)

// String returns the name of o, in lower case.
func (o Outcome) String() string {
	return [...]string{"running", "completed", "incomplete", "failed", "errored", "aborted"}[o]
}

// sockets are the WebSockets of a server: those that are open, and what is remembered of
// the last ones.
type sockets struct {
	keep      int
	keepBytes int64

	news
	open    map[*socket]bool // guarded by mu
	closed  bool             // there will be no more; guarded by mu
	made    int              // guarded by mu
	entries []*connection    // guarded by mu, the oldest first
	bytes   int64            // of their messages; guarded by mu
}

// connection is one remembered Connection.
type connection struct {
	sockets *sockets
	number  int        // of the server's, from 1
	record  Connection // guarded by sockets.mu
	bytes   int64      // of its messages; guarded by sockets.mu
	gone    bool       // forgotten: nothing is kept any more; guarded by sockets.mu
	turns   int        // that are forgotten; guarded by sockets.mu
}

// enter counts so as open and remembers c's handshake; nil if there shall be no more.
func (all *sockets) enter(so *socket, c *call) *connection {
	var e *connection
	all.change(func() {
		if all.closed {
			return
		}
		all.made++
		e = &connection{sockets: all, number: all.made, record: Connection{
			URI: c.RequestURI, Header: c.Header.Clone(), API: c.api, Open: true,
		}}
		if all.open == nil {
			all.open = map[*socket]bool{}
		}
		all.open[so] = true
		all.entries = append(all.entries, e)
		all.trim()
	})
	return e
}

// leave notes that nothing of so runs any more.
func (all *sockets) leave(so *socket) {
	all.change(func() {
		delete(all.open, so)
		so.entry.record.Open = false
	})
}

// withdraw forgets so, which never became a WebSocket.
func (all *sockets) withdraw(so *socket) {
	all.change(func() {
		delete(all.open, so)
		all.forget(so.entry)
		all.entries = slices.DeleteFunc(all.entries, func(e *connection) bool { return e == so.entry })
	})
}

// trim forgets the oldest connections until the rest fits. The caller holds mu.
func (all *sockets) trim() {
	for len(all.entries) > 1 && (len(all.entries) > all.keep || all.bytes > all.keepBytes) {
		all.forget(all.entries[0])
		all.entries = slices.Delete(all.entries, 0, 1)
	}
}

// forget makes e's messages free. The caller holds mu.
func (all *sockets) forget(e *connection) {
	all.bytes -= e.bytes
	e.bytes, e.gone = 0, true
	e.record.Frames, e.record.Turns = nil, nil
}

func (all *sockets) reset() {
	all.change(func() {
		for _, e := range all.entries {
			all.forget(e)
		}
		all.entries = nil
	})
}

// connections returns copies. The caller holds mu.
func (all *sockets) connections() []Connection {
	list := make([]Connection, len(all.entries))
	for i, e := range all.entries {
		list[i] = e.record
		list[i].Frames = slices.Clone(e.record.Frames)
		list[i].Turns = slices.Clone(e.record.Turns)
	}
	return list
}

// change changes what is remembered of e.
func (e *connection) change(f func(*Connection)) {
	e.sockets.change(func() { f(&e.record) })
}

// arrive remembers a message, which it owns from now on.
func (e *connection) arrive(binary bool, data []byte) {
	all := e.sockets
	all.change(func() {
		if e.gone {
			return
		}
		frame := Frame{Binary: binary, Size: int64(len(data))}
		if e.bytes+frame.Size <= all.keepBytes/4 {
			frame.Data = data
			e.bytes += frame.Size
			all.bytes += frame.Size
		}
		e.record.Frames = append(e.record.Frames, frame)
		if len(e.record.Frames) > all.keep {
			first := int64(len(e.record.Frames[0].Data))
			e.bytes -= first
			all.bytes -= first
			e.record.Frames = slices.Delete(e.record.Frames, 0, 1)
		}
		all.trim()
	})
}

// begin remembers a turn and returns how to change what is remembered of it.
func (e *connection) begin(t Turn) func(func(*Turn)) {
	place := 0
	e.sockets.change(func() {
		place = e.turns + len(e.record.Turns)
		if e.gone {
			return
		}
		e.record.Turns = append(e.record.Turns, t)
		if len(e.record.Turns) > e.sockets.keep {
			e.record.Turns = slices.Delete(e.record.Turns, 0, 1)
			e.turns++
		}
	})
	return func(f func(*Turn)) {
		e.sockets.change(func() {
			if i := place - e.turns; i >= 0 && i < len(e.record.Turns) {
				f(&e.record.Turns[i])
			}
		})
	}
}

// Connections returns what is known of the WebSockets that were opened since the last
// Reset, the oldest first. Of more than KeepRequests or KeepBytes the oldest are
// forgotten, and of each the oldest messages and turns.
func (s *Server) Connections() []Connection {
	s.sockets.mu.Lock()
	defer s.sockets.mu.Unlock()
	return s.sockets.connections()
}

// AwaitConnections waits until ok says so of the WebSockets, and returns them. ok is
// called at each change: a handshake, a message, a turn, an event, an end. When ctx ends
// first, AwaitConnections returns its error with what was there.
func (s *Server) AwaitConnections(ctx context.Context, ok func([]Connection) bool) ([]Connection, error) {
	return await(ctx, &s.sockets.news, s.sockets.connections, ok)
}

// OpenSockets returns how many WebSockets are open. One counts until all that it started
// has come to its end.
func (s *Server) OpenSockets() int {
	s.sockets.mu.Lock()
	defer s.sockets.mu.Unlock()
	return len(s.sockets.open)
}

// AwaitNoSockets waits until no WebSocket is open. When ctx ends first, it returns its
// error.
func (s *Server) AwaitNoSockets(ctx context.Context) error {
	_, err := await(ctx, &s.sockets.news,
		func() int { return len(s.sockets.open) }, func(n int) bool { return n == 0 })
	return err
}

// CloseSockets closes the WebSockets that are open, by a close frame with code and a
// reason of at most 123 bytes, or without one if code is 0. It does not wait. What a
// turn has not said yet, it does not say.
func (s *Server) CloseSockets(code int, reason string) {
	s.sockets.mu.Lock()
	open := slices.Collect(maps.Keys(s.sockets.open))
	s.sockets.mu.Unlock()
	for _, so := range open {
		so.end(ending{code: code, reason: reason})
	}
}

// Close closes all WebSockets with 1001 and refuses new ones. It returns when nothing of
// them runs any more, which an [http.Server] neither sees to nor waits for. It may be
// called more than once.
func (s *Server) Close() {
	s.sockets.change(func() { s.sockets.closed = true })
	s.CloseSockets(1001, "going away")
	// Every socket ends within its grace.
	_ = s.AwaitNoSockets(context.Background())
}
