package llmproxy

import (
	"io"
	"net/http"
	"slices"
	"sync"

	"github.com/llmproxy/llmproxy/wire"
)

// flight is one forwarding of a turn to a provider. A turn that is retried has several,
// one after the other. It is the Stream of its reply: a piece is a message.
//
// On the direct path nobody calls Next: the goroutine that reads the provider's socket
// shows each message to the tap and writes it to the client. Only when an interceptor
// reads or wraps the stream does it put copies into a queue, from which Next takes them.
type flight struct {
	turn     *turn
	up       *upstream
	lane     laneName
	tap      *tap
	messages *messages // the tap's framer
	metered  bool

	// What the matching of messages knows; guarded by the session's mu.
	id       string // of its response, with quotes; "" before response.created
	steered  bool   // response.steer.accepted has named it
	calls    bool   // a tool call for the client is in its output
	opened   bool   // its first event has come
	finished bool   // its terminal event has been matched

	heard   chan heard    // its first message, or why none comes; has room for it
	decided chan struct{} // closed when the path is known

	mu     sync.Mutex // guards the following
	path   path
	queue  [][]byte
	queued int           // bytes
	more   chan struct{} // signals the reader of the queue; has room for one
	room   chan struct{} // signals its writer; has room for one
	err    error         // after the queue; io.EOF after the terminal event
}

// heard is the first that comes of a flight.
type heard struct {
	status int // 200, or that of an error event
	header http.Header
	err    error
}

// path is how the messages of a flight go to the client.
type path int

const (
	pathOpen      path = iota // not known yet
	pathDraining              // to become direct: what has come meanwhile goes first
	pathDirect                // the reading goroutine writes them
	pathQueued                // by way of Next
	pathAbandoned             // not at all
)

// queueLimit bounds what waits for an interceptor, in bytes. A message larger than that
// goes through an empty queue.
const queueLimit = mib

func newFlight(t *turn, u *upstream, api API) *flight {
	x := ResponseExtractor(unmetered{})
	metered := t.a.metering && api.NewExtractor != nil
	if metered {
		x = api.NewExtractor()
	}
	f := &flight{
		metered: metered,
		turn:    t, up: u, lane: t.lane, heard: make(chan heard, 1), decided: make(chan struct{}),
		more: make(chan struct{}, 1), room: make(chan struct{}, 1),
	}
	f.tap = &tap{extractor: x, api: APIResponses, provider: u.provider.Name(), transport: TransportWebSocket}
	f.messages = &messages{tap: f.tap, lane: t.lane.name}
	f.tap.framer = f.messages
	return f
}

// messages is the framer of a WebSocket: a piece is a frame already.
type messages struct {
	tap   *tap
	lane  string
	blind bool // the reader of the tap has panicked: it is not asked again
}

func (m *messages) Write(p []byte) (int, error) {
	if !m.blind {
		m.tap.Frame(wire.Frame{Data: p})
	}
	return len(p), nil
}

// Oversized tells whether messages went by unread. None is too large: it would not have
// been received.
func (m *messages) Oversized() int {
	if m.blind {
		return 1
	}
	return 0
}

// reply is the answer that f is of, which began with h.
func (f *flight) reply(h heard, x *Exchange) *Reply {
	r := &Reply{StatusCode: h.status, Header: h.header, Stream: f, exchange: x}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if f.metered {
		r.Tap, r.tap = f.tap, f.tap
	}
	return r
}

// tell hands over the first that comes.
func (f *flight) tell(h heard) {
	select {
	case f.heard <- h:
	default: // it has been told
	}
}

// decide settles the path, once, and returns the one that holds.
func (f *flight) decide(p path) path {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.path == pathOpen {
		f.path = p
		if p == pathDirect && len(f.queue) > 0 {
			f.path = pathDraining
		}
		close(f.decided)
	}
	if f.path == pathDraining {
		return pathDirect
	}
	return f.path
}

// take takes the next message out of the queue of a flight that is to become direct; ok is
// false once there is none, and the flight is direct. last says that it is the flight's.
func (f *flight) take() (p []byte, last, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queue) == 0 {
		if f.path == pathDraining {
			f.path = pathDirect
		}
		return nil, false, false
	}
	p = f.queue[0]
	f.queue = f.queue[1:]
	f.queued -= len(p)
	signal(f.room)
	return p, len(f.queue) == 0 && f.err == io.EOF, true
}

// way returns the path.
func (f *flight) way() path {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.path
}

// abandon says that nobody waits for the answer any more.
func (f *flight) abandon() {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch f.path {
	case pathOpen:
		close(f.decided)
	case pathDirect, pathDraining, pathAbandoned:
		return
	}
	f.path, f.queue, f.queued = pathAbandoned, nil, 0
	f.end(errClosed)
	signal(f.room)
}

// end says what comes after the queue; f.mu is held.
func (f *flight) end(err error) {
	if f.err == nil {
		f.err = err
	}
	signal(f.more)
}

// fault returns why the flight was stopped before its end; nil if it was not.
func (f *flight) fault() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == io.EOF {
		return nil
	}
	return f.err
}

// push puts a copy of p into the queue, and waits for room if it has to. last says that
// nothing comes after it.
func (f *flight) push(p []byte, last bool) {
	for {
		f.mu.Lock()
		if f.path == pathDirect || f.path == pathAbandoned || f.err != nil {
			f.mu.Unlock()
			return
		}
		if f.queued == 0 || f.queued+len(p) <= queueLimit {
			f.queue = append(f.queue, slices.Clone(p))
			f.queued += len(p)
			if last {
				f.end(io.EOF)
			}
			signal(f.more)
			f.mu.Unlock()
			return
		}
		f.mu.Unlock()
		select {
		case <-f.room:
		case <-f.turn.s.ctx.Done():
			return
		}
	}
}

// stop ends the queue with err, unless the flight is on the direct path. It returns the
// path.
func (f *flight) stop(err error) path {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.path == pathOpen {
		f.path = pathQueued
		close(f.decided)
	}
	if f.path != pathDirect {
		f.end(err)
	}
	return f.path
}

// Next returns the next message, shown to the tap. Who calls it takes the flight off the
// direct path.
func (f *flight) Next() ([]byte, error) {
	if f.decide(pathQueued) == pathDirect {
		return nil, errClosed
	}
	for {
		f.mu.Lock()
		if len(f.queue) > 0 {
			p := f.queue[0]
			f.queue = f.queue[1:]
			f.queued -= len(p)
			signal(f.room)
			f.mu.Unlock()
			f.observe(p)
			return p, nil
		}
		err := f.err
		f.mu.Unlock()
		if err != nil {
			return nil, err
		}
		<-f.more
	}
}

// Close ends the flight early, unless it is on the direct path.
func (f *flight) Close() error {
	f.abandon()
	return nil
}

// observe shows p to the tap.
func (f *flight) observe(p []byte) {
	defer func() {
		if v := recover(); v != nil {
			f.messages.blind = true
			f.turn.logPanic("the reader of answers panicked", v)
		}
	}()
	f.tap.Observe(p)
}

// signal wakes whoever waits on c, or will.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
