package llmproxy

import (
	"context"
	"maps"
	"slices"
	"time"
)

// keep looks after the session until it ends: it pings both sides, ends what is idle, too
// slow or too old.
func (s *session) keep() {
	tick := time.NewTicker(s.tick())
	defer tick.Stop()
	var old <-chan time.Time
	if s.limits.Lifetime > 0 {
		timer := time.NewTimer(s.limits.Lifetime)
		defer timer.Stop()
		old = timer.C
	}
	var pings <-chan time.Time
	if s.limits.Ping > 0 {
		ticker := time.NewTicker(s.limits.Ping)
		defer ticker.Stop()
		pings = ticker.C
	}
	for {
		select {
		case <-s.ctx.Done():
			return
		case c := <-s.last:
			s.wg.Go(func() { s.sayLast(c) }) // a client may not take it
		case <-old:
			s.expire()
		case <-pings:
			s.ping()
		case now := <-tick.C:
			s.check(now)
		}
	}
}

// tick is how often keep looks at what is late: an eighth of the shortest time it has to
// keep.
func (s *session) tick() time.Duration {
	const most = 25 * time.Second
	tick := most
	for _, d := range [...]time.Duration{s.limits.Idle / 8, s.a.limits.StreamIdleTimeout / 8, s.a.limits.ClientIdleTimeout / 8} {
		if d > 0 {
			tick = min(tick, d)
		}
	}
	return max(tick, time.Millisecond)
}

// expire ends a session that has lived long enough: new creates are refused, what runs may
// finish within the grace.
func (s *session) expire() {
	e := &Error{
		Status: 400, Type: "invalid_request_error", Code: codeConnectionLimit,
		Message: "the WebSocket has reached the age at which the gateway closes it: open a new one",
	}
	c := closing{code: WSCloseGoingAway, event: appendErrorEvent(nil, e, "")}
	s.closeAfterTurns(c)
	const grace = time.Minute
	timer := time.AfterFunc(grace, func() { s.force(errTooSlow) })
	context.AfterFunc(s.ctx, func() { timer.Stop() })
}

// check ends what has been silent, or stuck in a write, for too long.
func (s *session) check(now time.Time) {
	older := func(at int64, most time.Duration) bool {
		return at != 0 && most > 0 && now.Sub(time.Unix(0, at)) > most
	}
	if older(s.writing.Load(), s.a.limits.ClientIdleTimeout) {
		s.leave(errClientGone)
		_ = s.client.Close()
	}
	s.mu.Lock()
	var slow []*upstream
	for _, u := range s.ups {
		if u.lanes.count > 0 && older(u.heard.Load(), s.a.limits.StreamIdleTimeout) ||
			older(u.writing.Load(), s.a.limits.ClientIdleTimeout) {
			slow = append(slow, u)
		}
	}
	idle := len(s.turns) == 0
	s.mu.Unlock()
	for _, u := range slow {
		u.end(errTooSlow)
	}
	if idle && older(s.active.Load(), s.limits.Idle) {
		s.closeAfterTurns(closing{code: WSCloseGoingAway, reason: "idle for too long"})
	}
}

// ping asks both sides whether they are there. One that does not answer in time has
// vanished.
func (s *session) ping() {
	asked := time.Now().UnixNano()
	// A pong counts as missed only where somebody was there to read it.
	s.pingOne(s.client, func() bool { return !s.reading.Load() || s.writing.Load() != 0 || s.active.Load() > asked })
	s.mu.Lock()
	ups := slices.Collect(maps.Values(s.ups))
	s.mu.Unlock()
	for _, u := range ups {
		s.pingOne(u.conn, func() bool { return !u.reading.Load() || u.heard.Load() > asked })
	}
}

// pingOne ends c if it does not answer and shows no life otherwise.
func (s *session) pingOne(c WSConn, alive func() bool) {
	p, ok := c.(WSPinger)
	if !ok {
		return
	}
	s.wg.Go(func() {
		const patience = 20 * time.Second
		ctx, cancel := context.WithTimeout(s.ctx, patience)
		defer cancel()
		if p.Ping(ctx) != nil && s.ctx.Err() == nil && !alive() {
			_ = c.Close()
		}
	})
}

// farewell is what a session has left to say why it ends, once its turns have been cut.
const farewell = time.Second

// force ends all turns and then the session, whoever does not take part.
func (s *session) force(cause error) {
	s.mu.Lock()
	ready := s.ready
	s.mu.Unlock()
	if !ready {
		s.cancel(cause)
		return
	}
	s.interruptAll(cause)
	timer := time.AfterFunc(farewell, func() { s.cancel(cause) })
	context.AfterFunc(s.ctx, func() { timer.Stop() })
}

// interruptAll ends all turns, and with them the session.
func (s *session) interruptAll(cause error) {
	s.mu.Lock()
	ups := make([]*upstream, 0, len(s.ups))
	for _, u := range s.ups {
		ups = append(ups, u)
	}
	s.mu.Unlock()
	for _, u := range ups {
		u.end(cause)
	}
}
