package simulator

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
)

// AWSFrame is the frame of an event.
func AWSFrame(name, payload string) string {
	return string(awsFrame(event{name: name, data: []byte(payload)}))
}

// collector is a client that takes everything.
type collector struct {
	mu       sync.Mutex
	messages [][]byte // guarded by mu
}

func (c *collector) send(m outgoing) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.messages = append(c.messages, m.data)
	return nil
}

func (c *collector) end(ending) {}

// Converse returns what s says on a WebSocket to messages that come one after the other,
// without waiting, and the turns it counted. No socket is needed for it.
func Converse(ctx context.Context, s *Server, path string, messages ...[]byte) ([][]byte, []Turn) {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	c := &call{Request: r}
	c.api, c.base, c.rest = s.locate(r)
	so := &socket{}
	so.entry = s.sockets.enter(so, c)
	out := &collector{}
	session := newSession(s, c, so.entry, out)
	for _, m := range messages {
		session.handle(ctx, m)
	}
	session.settled()
	s.sockets.leave(so)
	return out.messages, so.entry.record.Turns
}

// settled waits until nothing runs.
func (s *session) settled() { s.turns.Wait() }
