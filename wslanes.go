package llmproxy

import (
	"slices"
)

// lanes matches the messages of one provider's socket with the turns they belong to. The
// session's mu guards it.
//
// A create waits in its lane until response.created takes it; from then on the flight is
// known by its lane and by the id of the response. The responses of a lane follow each
// other, so what names no response belongs to the one that runs there.
type lanes struct {
	byName  map[string]*lane
	byID    map[string]*flight // running, by the id of their response
	invalid []*flight          // creates whose lane the provider cannot accept, in order
	named   bool               // there are lanes besides the default one
	count   int                // flights that have not ended
}

// lane is one lane of a socket.
type lane struct {
	name    string
	newest  *turn     // the last that was forwarded; its body may be gone
	waiting []*flight // forwarded, in order
	running *flight   // created

	// The response that ended last: its id, with quotes; whether it was steered; whether a
	// tool call for the client was left open.
	last    string
	steered bool
	calls   bool
	told    bool // its terminal event has come, not only an error
}

// laneBound is how many lanes are remembered while nothing runs in them. Providers allow
// 32 of them.
const laneBound = 64

func newLanes() lanes { return lanes{byName: map[string]*lane{}, byID: map[string]*flight{}} }

// of returns the lane that value, a stream_id in a provider's message, names: the default
// one where it is nil. It allocates nothing for a lane that is known.
func (l *lanes) of(value []byte) *lane {
	if len(value) > 2 && value[0] == '"' {
		if n := l.byName[string(value[1:len(value)-1])]; n != nil {
			return n
		}
	}
	if value == nil {
		return l.at("")
	}
	return l.at(readLane(value).name) // of an invalid one the default
}

// at returns the lane of that name.
func (l *lanes) at(name string) *lane {
	n := l.byName[name]
	if n == nil {
		if len(l.byName) >= laneBound {
			for other, lane := range l.byName {
				if lane.running == nil && len(lane.waiting) == 0 {
					delete(l.byName, other)
				}
			}
		}
		n = &lane{name: name}
		l.byName[name] = n
	}
	return n
}

// wait notes that f's create is about to be forwarded.
func (l *lanes) wait(f *flight) {
	l.count++
	if f.lane.invalid {
		l.invalid = append(l.invalid, f)
		return
	}
	if f.lane.name != "" {
		l.named = true
	}
	n := l.at(f.lane.name)
	n.waiting = append(n.waiting, f)
	n.newest = f.turn
}

// match is what a provider's message means to a flight.
type match struct {
	f    *flight // nil: it concerns no turn, or one without a create
	lane *lane
	// orphan says that it belongs to a response that no create asked for: the successor of
	// a steered one, say. It begins with this message.
	orphan bool
	last   bool    // the flight, or the orphan, ends with it
	behind bool    // creates have been forwarded after the flight's, in its lane
	lost   *flight // another flight, whose end the provider has never told
}

// find returns the flight that ev belongs to, and moves it on.
func (l *lanes) find(ev *serverEvent) match {
	n := l.of(ev.lane)
	switch ev.kind {
	case kindCreated:
		return l.created(ev, n)
	case kindTerminal:
		return l.terminal(ev, n)
	case kindError:
		return l.fault(ev, n)
	case kindSteered:
		l.steer(ev.steered(), n, true)
	case kindSteer:
		l.steer(ev.steered(), n, false)
	}
	f := n.running
	if f != nil && ev.kind == kindItemDone && callsClient(ev.item()) {
		f.calls = true
	}
	return match{f: f, lane: n}
}

// created matches the beginning of a response.
func (l *lanes) created(ev *serverEvent, n *lane) match {
	// A steered response that left no tool call to the client goes on by itself; with one
	// left open, the client's own create is answered.
	goesOn := n.steered && n.last != "" && n.last == string(ev.previous())
	if goesOn {
		n.steered = false
	}
	if goesOn && !n.calls || len(n.waiting) == 0 {
		return match{orphan: true, lane: n, lost: l.displaced(n)}
	}
	m := match{f: n.waiting[0], lane: n, lost: l.displaced(n)}
	n.waiting = slices.Delete(n.waiting, 0, 1)
	l.begin(m.f, n, ev.id())
	return m
}

// displaced takes out what still runs in n although another response begins there.
func (l *lanes) displaced(n *lane) *flight {
	f := n.running
	if f != nil {
		l.forget(f)
	}
	return f
}

// begin notes that f is what runs in n.
func (l *lanes) begin(f *flight, n *lane, id []byte) {
	n.running = f
	if len(id) > 0 {
		f.id = string(id)
		l.byID[f.id] = f
	}
}

// adopt takes in f, the flight of an orphan that has just begun.
func (l *lanes) adopt(f *flight, n *lane, id []byte) {
	l.count++
	l.begin(f, n, id)
}

// terminal matches the end of a response.
func (l *lanes) terminal(ev *serverEvent, n *lane) match {
	id := ev.id()
	f := l.byID[string(id)]
	switch {
	case f != nil:
	case n.running != nil:
		if n.running.id == "" || len(id) == 0 {
			f = n.running
		}
	case len(n.waiting) > 0:
		f = n.waiting[0] // it ended before it was said to have begun
	}
	if f == nil && n.told && len(id) > 0 && n.last == string(id) {
		return match{} // response.done may come beside another end
	}
	if f == nil {
		n.last, n.steered, n.calls, n.told = string(id), false, false, true
		return match{orphan: true, lane: n, last: true}
	}
	f.calls = f.calls || f.steered && outputCallsClient(ev.response)
	n.last, n.steered, n.calls, n.told = string(id), f.steered, f.calls, true
	l.forget(f)
	return match{f: f, lane: n, last: true}
}

// fault matches an error event: it ends the turn that runs in its lane, else the first
// that waits there, else nothing.
func (l *lanes) fault(ev *serverEvent, n *lane) match {
	switch code := ev.code(); {
	case code == codeConnectionLimit:
		return match{} // the close ends the turns
	case ev.besides():
		return match{}
	case code == codeInvalidLane && ev.lane == nil && len(l.invalid) > 0:
		f := l.invalid[0]
		l.forget(f)
		return match{f: f, last: true}
	}
	f := n.running
	if f == nil && len(n.waiting) > 0 {
		f = n.waiting[0]
	}
	if f == nil && ev.lane == nil {
		f, n = l.only()
	}
	if f == nil {
		return match{}
	}
	if f == n.running {
		n.last, n.steered, n.calls, n.told = f.id, false, f.calls, false
	}
	l.forget(f)
	return match{f: f, lane: n, last: true, behind: n.newest != f.turn}
}

// only returns the flight that an error without a lane can be about: the only one there
// is, else the only one that waits.
func (l *lanes) only() (*flight, *lane) {
	var f *flight
	var at *lane
	waiting := 0
	for _, n := range l.byName {
		if l.count == 1 && n.running != nil {
			return n.running, n
		}
		waiting += len(n.waiting)
		if len(n.waiting) > 0 {
			f, at = n.waiting[0], n
		}
	}
	if waiting != 1 {
		return nil, nil
	}
	return f, at
}

// steer notes whether the response id will be followed by one that no create asks for.
func (l *lanes) steer(id []byte, n *lane, accepted bool) {
	if f := l.byID[string(id)]; f != nil {
		f.steered = accepted
	} else if len(id) > 0 && n.last == string(id) {
		n.steered = accepted
	}
}

// forget takes f out of all lists: it has ended, or its provider has gone.
func (l *lanes) forget(f *flight) {
	if f.finished {
		return
	}
	f.finished = true
	l.count--
	is := func(other *flight) bool { return other == f }
	if f.lane.invalid {
		l.invalid = slices.DeleteFunc(l.invalid, is)
		return
	}
	if n := l.byName[f.lane.name]; n != nil {
		n.waiting = slices.DeleteFunc(n.waiting, is)
		if n.running == f {
			n.running = nil
		}
	}
	if l.byID[f.id] == f {
		delete(l.byID, f.id)
	}
}

// all returns the flights that have not ended, in the order of their lanes.
func (l *lanes) all() (fs []*flight) {
	fs = append(fs, l.invalid...)
	for _, n := range l.byName {
		if n.running != nil {
			fs = append(fs, n.running)
		}
		fs = append(fs, n.waiting...)
	}
	return fs
}
