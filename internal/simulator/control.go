package simulator

// inject acts on response.inject: the response gains input while it is made.
func (s *session) inject(f fields) {
	var id string
	if err := f.read("response_id", &id); err != nil {
		s.refuse("", err)
		return
	}
	req, err := parseResponse(encode(fields{"input": f["input"]}))
	switch {
	case id == "":
		err = missing("response_id")
	case err == nil && len(req.items) == 0:
		err = missing("input")
	}
	if err != nil {
		s.refuse("", err)
		return
	}
	s.locked(func(s *session) { // as for steer
		t := s.active[id]
		if t == nil {
			s.notify(injectEvent{
				Type: "response.inject.failed", ResponseID: id, Input: f["input"], Error: newInjectError(s.absent(id)),
			})
			return
		}
		t.injected += req.prompt.tokens
		s.notify(injectEvent{Type: "response.inject.created", ResponseID: id, StreamID: t.lane.name})
	})
}

// interrupt acts on response.interrupt: the response ends incomplete, without what it
// has begun.
func (s *session) interrupt(f fields) {
	var mode string
	if err := f.read("mode", &mode); err != nil || mode != "discard_partial_items" {
		s.refuse("", badRequest("invalid_value", "mode", "'mode' must be 'discard_partial_items'."))
		return
	}
	s.halt(f, reasonInterrupted, true)
}

// cancel acts on response.cancel, which OpenAI does not document on a WebSocket: the
// response that is named, or the one that is made in the lane, ends incomplete with what
// it has said.
func (s *session) cancel(f fields) { s.halt(f, reasonCancelled, false) }

// halt ends the response that f is about.
func (s *session) halt(f fields, reason string, discard bool) {
	var id string
	err := f.read("response_id", &id)
	name, laneErr := s.laneName(f)
	if err == nil {
		err = laneErr
	}
	if err == nil && id == "" && reason == reasonInterrupted {
		err = missing("response_id")
	}
	if err != nil {
		s.refuse("", err)
		return
	}
	s.mu.Lock()
	t := s.active[id]
	if l := s.lanes[name]; id == "" && l != nil {
		t = l.running
	}
	found := t != nil && t.response != nil && !t.sealed
	if found {
		t.stop, t.discard = reason, discard
	}
	s.mu.Unlock()
	if !found {
		s.refuse(name, badRequest("response_not_found", "response_id", "There is no such response in progress."))
	}
}
