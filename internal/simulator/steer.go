package simulator

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// Reasons for which a response is incomplete, besides its limit. That of a cancellation
// is ours: OpenAI documents no response.cancel on a WebSocket.
const (
	reasonSteered     = "steered"
	reasonInterrupted = "interrupted"
	reasonCancelled   = "cancelled"
)

// steer is what a response.steer adds to a response.
type steer struct {
	id    string
	input []json.RawMessage // messages of the user
	raw   json.RawMessage   // the same as it came
}

// owedSteers wait for a create that answers the calls of a response.
type owedSteers struct {
	target string
	steers []steer
}

// steer acts on response.steer: it is accepted, and the response ends where it is, or it
// fails.
func (s *session) steer(f fields) {
	var target string
	err := f.read("previous_response_id", &target)
	input, ok := steerInput(f)

	// The lock is held while the answer is sent, so that nothing that follows from it can
	// come before it.
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.active[target]
	code := ""
	switch {
	case err != nil || target == "" || !ok:
		code = "invalid_input"
	case !s.manner.steers():
		code = "steering_not_supported"
	case t == nil:
		code = s.absent(target)
	case t.response.request.warmUp || t.fields["conversation"] != nil:
		code = "steering_not_supported"
	case len(t.steers) >= maxSteers:
		code = "too_many_pending_steers"
	}
	lane := ""
	if t != nil {
		lane = t.lane.name
	}
	if code != "" {
		s.notify(steerEvent{
			Type: "response.steer.failed", Error: newSteerError(code),
			Steer: steerObject{PreviousResponseID: target, Input: f["input"]}, StreamID: lane,
		})
		return
	}
	one := steer{id: t.digest.id("steer_", s.notices), input: input, raw: f["input"]}
	t.steers = append(t.steers, one)
	if t.stop == "" {
		t.stop = reasonSteered
	}
	s.notify(steerEvent{
		Type: "response.steer.accepted", Steer: steerObject{ID: one.id, PreviousResponseID: target}, StreamID: lane,
	})
}

// absent returns why the response called id cannot be changed. The caller holds mu.
func (s *session) absent(id string) string {
	if slices.Contains(s.ended, id) {
		return "response_already_completed"
	}
	if _, err := s.server.responses.get(id); err == nil {
		return "response_not_active"
	}
	return "response_not_found"
}

// steerInput returns the messages of a response.steer that has no other members than it
// may have.
func steerInput(f fields) (input []json.RawMessage, ok bool) {
	for name := range f {
		if name != "type" && name != "previous_response_id" && name != "input" {
			return nil, false
		}
	}
	raw := f["input"]
	if bytes.HasPrefix(raw, []byte(`"`)) {
		return []json.RawMessage{userMessage(raw)}, len(raw) > 2
	}
	if err := json.Unmarshal(raw, &input); err != nil || len(input) == 0 {
		return nil, false
	}
	for _, item := range input {
		if !steers(item) {
			return nil, false
		}
	}
	return input, true
}

// steers reports whether a response can be steered by item: a message of the user.
func steers(item json.RawMessage) bool {
	var m struct {
		Type    *string         `json:"type"`
		Role    string          `json:"role"`
		Content json.RawMessage `json:"content"`
	}
	if err := json.Unmarshal(item, &m); err != nil || m.Role != "user" || m.Type != nil && *m.Type != "message" {
		return false
	}
	if bytes.HasPrefix(m.Content, []byte(`"`)) {
		return true
	}
	var parts []struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(m.Content, &parts); err != nil || len(parts) == 0 {
		return false
	}
	for _, p := range parts {
		if p.Type != "input_text" && p.Type != "input_image" && p.Type != "input_file" {
			return false
		}
	}
	return true
}

// userMessage returns the message whose content is the JSON text.
func userMessage(text json.RawMessage) json.RawMessage {
	return encode(struct {
		Role    string          `json:"role"`
		Content json.RawMessage `json:"content"`
	}{"user", text})
}

// successor does with the steers of t, which has ended, what is due, and returns the
// automatic successor.
func (t *turn) successor() *turn {
	s := t.session
	s.mu.Lock()
	steers, stop := t.steers, t.stop
	t.steers = nil
	s.mu.Unlock()
	if t.outcome == TurnErrored {
		steers = slices.Concat(t.carried, steers)
	}
	if len(steers) == 0 || t.outcome == TurnAborted {
		return nil
	}
	switch {
	case stop == reasonInterrupted || stop == reasonCancelled:
		t.fail(steers, "response_not_active")
	case t.script.WebSocket.NoSuccessor, t.outcome != TurnCompleted && t.outcome != TurnIncomplete:
		t.fail(steers, "successor_creation_failed")
	case len(t.response.answer.calls) > 0:
		t.owe(steers)
	default:
		return t.continued(steers)
	}
	return nil
}

// fail says that steers, which were accepted, come to nothing.
func (t *turn) fail(steers []steer, code string) {
	for _, one := range steers {
		t.session.locked(func(s *session) {
			s.notify(steerEvent{
				Type: "response.steer.failed", Error: newSteerError(code),
				Steer:    steerObject{ID: one.id, PreviousResponseID: t.targetOf(one), Input: one.raw},
				StreamID: t.lane.name,
			})
		})
	}
}

// targetOf returns the id of the response that was steered.
func (t *turn) targetOf(one steer) string {
	for _, c := range t.carried {
		if c.id == one.id {
			return t.previous
		}
	}
	return t.response.id()
}

// owe keeps steers for the create that answers t's calls, and asks for it unless it is
// there.
func (t *turn) owe(steers []steer) {
	id := t.response.id()
	var required []requiredInput
	for j := range t.response.answer.calls {
		required = append(required, requiredInput{"function_call_output", t.response.callItem(j, false).CallID})
	}
	t.session.locked(func(s *session) {
		t.lane.owed = &owedSteers{id, steers}
		if slices.ContainsFunc(s.queue, func(q *turn) bool { return q.lane == t.lane && q.previous == id }) {
			return
		}
		for _, one := range steers {
			s.notify(steerEvent{
				Type: "response.steer.pending", Steer: steerObject{ID: one.id, PreviousResponseID: id},
				Reason: "waiting_for_required_input", RequiredInput: required, StreamID: t.lane.name,
			})
		}
	})
}

// takeOwed puts what waits for t before its input.
func (s *session) takeOwed(t *turn) []steer {
	s.mu.Lock()
	defer s.mu.Unlock()
	owed := t.lane.owed
	if owed == nil || owed.target != t.previous {
		return nil
	}
	t.lane.owed = nil
	var items []json.RawMessage
	for _, one := range owed.steers {
		items = append(items, one.input...)
	}
	own := t.fields["input"]
	var list []json.RawMessage
	switch {
	case bytes.HasPrefix(own, []byte(`"`)):
		list = []json.RawMessage{userMessage(own)}
	case own != nil && json.Unmarshal(own, &list) != nil:
		return owed.steers // the request will be refused for it
	}
	t.fields = maps.Clone(t.fields)
	t.fields["input"] = encode(append(items, list...))
	return owed.steers
}

// continued returns the turn that goes on from t with steers as its input and t's
// settings.
func (t *turn) continued(steers []steer) *turn {
	var items []json.RawMessage
	for _, one := range steers {
		items = append(items, one.input...)
	}
	f := maps.Clone(t.fields)
	f["input"] = encode(items)
	f["previous_response_id"] = encode(t.response.id())
	next := t.session.newTurn(t.lane, encode(f), f)
	next.automatic = true
	return next
}

// locked runs f under the lock.
func (s *session) locked(f func(*session)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}
