package simulator

import (
	"context"
	"errors"
	"slices"
)

// turn is one response.create, or an automatic successor, on its way to an answer. What
// is not guarded belongs to the goroutine that runs it.
type turn struct {
	session   *session
	lane      *lane
	frame     []byte
	fields    fields
	number    int
	previous  string // the id it continues, if it can be read
	automatic bool
	script    Script
	digest    digest
	note      func(func(*Turn))

	response *response // nil: it is refused
	before   conversation
	carried  []steer // that its create took over
	sent     int     // events
	bytes    int64   // of them
	said     int     // deltas of the text

	sealed   bool    // it has an outcome; written under session.mu, read there by others
	outcome  Outcome // once sealed
	stop     string  // why its answer shall end; guarded by session.mu
	discard  bool    // with what is begun; guarded by session.mu
	injected int64   // tokens; guarded by session.mu
	steers   []steer // accepted; guarded by session.mu
}

var _ watcher = (*turn)(nil)

// run answers t and returns its automatic successor, if it has one.
func (t *turn) run(ctx context.Context) *turn {
	t.note = t.session.entry.begin(Turn{
		Number: t.number, Lane: t.lane.name, Automatic: t.automatic, PreviousResponseID: t.previous,
	})
	err := t.misbehave()
	if err == nil && t.script.Status != 0 && t.script.CutEvents == nil {
		err = t.script.fault(t.script.Status)
	}
	if err == nil {
		err = t.prepare()
	}
	for _, gate := range []Gate{t.script.BeforeHeader, t.script.BeforeBody} {
		if gateErr := gate.pass(ctx, 0); gateErr != nil {
			t.abandon(ending{})
			return nil
		}
	}
	switch f, isFault := errors.AsType[*fault](err); {
	case isFault:
		t.refuse(f)
	case err == nil:
		t.stream(ctx)
	}
	return t.successor()
}

// misbehave adds the words of metadata.simulate to the script.
func (t *turn) misbehave() error {
	var metadata struct {
		Simulate string `json:"simulate"`
	}
	if t.automatic {
		return nil // they were meant for the first of them
	}
	if err := t.fields.read("metadata", &metadata); err != nil {
		return err
	}
	script, err := ParseScript(metadata.Simulate, t.script)
	if err != nil {
		return badRequest("invalid_value", "metadata.simulate", "metadata.simulate: %v", err)
	}
	t.script = script
	return nil
}

// prepare finds out what t says, and makes it known under its id.
func (t *turn) prepare() error {
	s := t.session
	t.carried = s.takeOwed(t)
	req, err := createRequest(t.fields, s.server.options.StrictWebSocket)
	if err == nil {
		err = req.requireInput()
	}
	if err != nil {
		return err
	}
	model, err := s.server.model(req.model)
	if err != nil {
		return err
	}
	if t.before, err = s.before(t.lane, req); err != nil {
		return err
	}
	r := &response{
		request: req, script: t.script, digest: t.digest, model: model, watcher: t,
		tokens: t.before.tokens + req.prompt.tokens,
		answer: req.generate(&t.script),
	}
	s.begin(t, r)
	t.note(func(record *Turn) {
		record.ResponseID, record.Model, record.ServiceTier = r.id(), model, req.tier
		record.WarmUp = req.warmUp
	})
	return nil
}

// begin makes r, which is t's, active.
func (s *session) begin(t *turn, r *response) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.script.WebSocket.SameID {
		r.alias = s.first
	}
	if s.first == "" {
		s.first = r.id()
	}
	t.response = r
	s.active[r.id()] = t
}

// stream sends the events of the response.
func (t *turn) stream(ctx context.Context) {
	if t.cut() {
		t.breakOff()
		return
	}
	for e := range t.response.events() {
		if ctx.Err() != nil || t.script.BeforeEvent.pass(ctx, t.sent) != nil || t.emit(e) != nil {
			t.abandon(ending{})
			return
		}
		if t.cut() {
			t.breakOff()
			return
		}
	}
}

// cut reports whether the script lets the turn break off here.
func (t *turn) cut() bool {
	s := &t.script
	switch {
	case s.CutEvents != nil && t.sent >= *s.CutEvents, s.CutBytes != nil && t.bytes >= *s.CutBytes:
		return true
	default:
		return s.WebSocket.Close != 0 && s.CutEvents == nil && s.CutBytes == nil
	}
}

// breakOff does what the script wants where it cuts.
func (t *turn) breakOff() {
	s := &t.script
	if s.Status != 0 {
		t.refuse(s.fault(s.Status))
		return
	}
	t.abandon(ending{code: s.WebSocket.Close, reason: s.WebSocket.CloseReason})
}

// emit sends e, with what the script has around it.
func (t *turn) emit(e event) error {
	s := &t.script.WebSocket
	if s.Meta && t.sent < len(metaEvents) {
		if err := t.send(metaEvents[t.sent]); err != nil {
			return err
		}
	}
	if s.Garbage != nil && *s.Garbage == t.sent {
		if err := t.send("{not JSON"); err != nil {
			return err
		}
	}
	m := outgoing{data: t.dress(e), piece: t.script.PieceBytes}
	m.binary = s.Binary != nil && *s.Binary == t.sent
	if limit := t.script.CutBytes; limit != nil && t.bytes+int64(len(m.data)) > *limit {
		m.data, m.open = m.data[:*limit-t.bytes], true
		return errors.Join(errCut, t.session.sender.send(m))
	}
	if t.sealed {
		t.note(func(record *Turn) { record.Reported = t.reports(e) || record.Reported })
	}
	if err := t.session.sender.send(m); err != nil {
		t.note(func(record *Turn) { record.Reported = false })
		return err
	}
	t.sent++
	t.bytes += int64(len(m.data))
	if e.name == "response.output_text.delta" {
		t.said++
	}
	t.note(func(record *Turn) { record.Events = t.sent })
	if s.Meta && isTerminal(e.name) {
		return t.send(timingEvent)
	}
	return nil
}

func (t *turn) send(text string) error {
	return t.session.sender.send(outgoing{data: []byte(text)})
}

// reports reports whether e states the usage.
func (t *turn) reports(e event) bool {
	return isTerminal(e.name) && t.script.Report != ReportNone
}

func isTerminal(name string) bool {
	return name == "response.completed" || name == "response.incomplete" || name == "response.failed"
}

// dress returns e in the form that it has on a WebSocket.
func (t *turn) dress(e event) []byte {
	if e.name == "error" && !t.script.WebSocket.FlatError {
		return t.session.errorEvent(t.script.fault(500), t.lane.name, &t.script)
	}
	if e.name == "error" && t.script.WebSocket.NoStreamID {
		return e.data
	}
	return onLane(e.data, t.lane.name)
}

// stops says why the answer shall end here.
func (t *turn) stops(asks bool) (reason string, discard bool) {
	t.session.mu.Lock()
	defer t.session.mu.Unlock()
	if asks && t.stop == reasonSteered {
		return "", false // what was said waits for the results
	}
	return t.stop, t.discard
}

// seal gives the response its outcome, before its last event is sent: who has seen that
// can rely on it.
func (t *turn) seal() {
	r := t.response
	record := Turn{}
	switch {
	case t.script.Ending == EndError:
		f := t.script.fault(500)
		record.Outcome, record.Status, record.Code = TurnErrored, f.status, f.code
	case r.end() == "failed":
		record.Outcome, record.Code = TurnFailed, t.script.fault(500).code
	case r.end() == "incomplete":
		record.Outcome, record.Reason = TurnIncomplete, r.reason()
	default:
		record.Outcome = TurnCompleted
	}
	t.settle(record)
}

// settle gives t the outcome, reason, status and code of as, and its usage. It happens
// once.
func (t *turn) settle(as Turn) {
	s := t.session
	var latest *storedResponse
	s.mu.Lock()
	t.sealed, t.outcome = true, as.Outcome
	if r := t.response; r != nil {
		if s.active[r.id()] == t {
			delete(s.active, r.id())
		}
		s.ended = append(s.ended, r.id())
		s.ended = slices.Delete(s.ended, 0, max(0, len(s.ended)-maxEnded))
		r.watcher = nil // who keeps r has no use for t
		r.tokens += t.injected
		t.injected = 0
	}
	switch as.Outcome {
	case TurnCompleted, TurnIncomplete:
		latest = after(t.response, t.before)
		t.lane.latest = latest
	case TurnFailed, TurnErrored:
		if l := t.lane; l.latest != nil && l.latest.id() == t.previous {
			l.latest = nil
		}
	case TurnRunning, TurnAborted:
	}
	s.mu.Unlock()
	if latest != nil {
		s.server.responses.put(latest)
	}
	t.note(func(record *Turn) {
		record.Outcome, record.Reason, record.Status, record.Code = as.Outcome, as.Reason, as.Status, as.Code
		if t.response != nil {
			record.Usage = t.response.usage()
		}
	})
}

// refuse ends t by an error event.
func (t *turn) refuse(f *fault) {
	if t.sealed {
		t.note(func(record *Turn) { record.Status, record.Code = f.status, f.code })
	} else {
		t.forgetRest()
		t.settle(Turn{Outcome: TurnErrored, Status: f.status, Code: f.code})
	}
	// That nobody takes it is noticed by who reads.
	_ = t.session.sender.send(outgoing{data: t.session.errorEvent(f, t.lane.name, &t.script)})
}

// abandon ends t without a word, and the connection as e says.
func (t *turn) abandon(e ending) {
	t.session.sender.end(e)
	if !t.sealed {
		t.forgetRest()
		t.settle(Turn{Outcome: TurnAborted})
	}
}

// forgetRest leaves of a text what has been said of it.
func (t *turn) forgetRest() {
	if r := t.response; r != nil && r.stopped == "" && r.answer.deltas != nil {
		r.breakOff("", min(t.said, len(r.answer.deltas)), false)
	}
}
