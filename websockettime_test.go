package llmproxy_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/openai"
)

// timedConn is the gateway's end of a connection in memory, for tests on virtual time.
type timedConn struct {
	in, out chan string   // what the gateway reads, and what it has written
	pings   chan struct{} // each that the gateway sends; has room for many
	deaf    bool          // no ping is answered

	once   sync.Once // guards the following
	closed chan struct{}
	code   int // with which the gateway closed it; 0: without a close frame
	at     time.Time
}

func newTimedConn() *timedConn {
	return &timedConn{in: make(chan string, 8), out: make(chan string), pings: make(chan struct{}, 1024), closed: make(chan struct{})}
}

var errTimedClosed = errors.New("closed")

func (c *timedConn) ReadMessage() (int, []byte, error) {
	select {
	case p := <-c.in:
		return llmproxy.WSText, []byte(p), nil
	case <-c.closed:
		return 0, nil, errTimedClosed
	}
}

func (c *timedConn) WriteMessage(_ int, p []byte) error {
	select {
	case c.out <- string(p):
		return nil
	case <-c.closed:
		return errTimedClosed
	}
}

func (c *timedConn) Ping(ctx context.Context) error {
	c.pings <- struct{}{}
	if !c.deaf {
		return nil
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-c.closed:
		return errTimedClosed
	}
}

func (c *timedConn) CloseWith(code int, _ string) error {
	c.end(code)
	return nil
}

func (c *timedConn) Close() error {
	c.end(0)
	return nil
}

func (c *timedConn) end(code int) {
	c.once.Do(func() {
		c.code, c.at = code, time.Now()
		close(c.closed)
	})
}

func (c *timedConn) Upgrade(http.ResponseWriter, *http.Request, http.Header) (llmproxy.WSConn, error) {
	return c, nil
}

func (c *timedConn) Dial(context.Context, string, http.Header) (llmproxy.WSConn, *http.Response, error) {
	return c, nil, nil
}

// timed is a session on virtual time, with the default limits.
type timed struct {
	t                *testing.T
	start            time.Time
	client, provider *timedConn
	records          recorder
	ended            chan error
}

// onVirtualTime runs f with a session that has just been opened. f has to see it end.
func onVirtualTime(t *testing.T, prepare func(client, provider *timedConn), f func(s *timed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &timed{t, time.Now(), newTimedConn(), newTimedConn(), make(recorder, 8), make(chan error, 1)}
		if prepare != nil {
			prepare(s.client, s.provider)
		}
		p, err := openai.New(openai.Config{APIKey: providerKey})
		if err != nil {
			t.Fatal(err)
		}
		router := llmproxy.NewAutoRouter(llmproxy.WithProvider(p), llmproxy.WithRecorder(s.records),
			llmproxy.WithWebSocket(s.client, s.provider), llmproxy.WithLogger(slog.New(slog.DiscardHandler)))
		go func() {
			s.ended <- router.ForwardWebSocket(t.Context(), httptest.NewRecorder(), handshakeRequest())
		}()
		f(s)
		if err := <-s.ended; err != nil {
			t.Errorf("ForwardWebSocket: %v", err)
		}
		<-s.provider.closed
	})
}

// asks sends a create, and takes it.
func (s *timed) asks() {
	s.t.Helper()
	s.client.in <- `{"type":"response.create","model":"gpt-5-mini","input":"x"}`
	<-s.provider.out
}

// says has the provider say a message, and takes it.
func (s *timed) says(message string) {
	s.t.Helper()
	s.provider.in <- message
	if got := <-s.client.out; got != message {
		s.t.Errorf("got %s, want %s", got, message)
	}
}

// closes waits for the end of the client's connection, which is due at so many after its
// beginning, or up to late after that.
func (s *timed) closes(code int, after, late time.Duration) {
	s.t.Helper()
	select {
	case <-s.client.closed:
	case <-time.After(2 * time.Hour):
		s.t.Error("the connection was not closed")
		s.client.Close()
	}
	if got := s.client.at.Sub(s.start); s.client.code != code || got < after || got > after+late {
		s.t.Errorf("closed with %d after %s, want %d after %s", s.client.code, got, code, after)
	}
}

func TestWebSocketTimeFirstMessage(t *testing.T) {
	t.Parallel()
	onVirtualTime(t, nil, func(s *timed) { s.closes(llmproxy.WSClosePolicy, time.Minute, 0) })
}

// Ten minutes count from the last message, and not while a turn runs.
func TestWebSocketTimeIdle(t *testing.T) {
	t.Parallel()
	onVirtualTime(t, nil, func(s *timed) {
		s.asks()
		s.says(createdEvent("", "resp_1"))
		for range 5 { // a turn that takes its time
			time.Sleep(9 * time.Minute)
			s.says(deltaEvent(""))
		}
		s.says(completedEvent("", "resp_1", 1, 1))
		s.closes(llmproxy.WSCloseGoingAway, 55*time.Minute, 25*time.Second)
		if rec := <-s.records; rec.Outcome != llmproxy.OutcomeCompleted || rec.Duration != 45*time.Minute {
			s.t.Errorf("record %+v", rec)
		}
	})
}

// What runs at the end of a connection's life has a minute.
func TestWebSocketTimeLifetime(t *testing.T) {
	t.Parallel()
	for _, inTime := range []bool{true, false} {
		onVirtualTime(t, nil, func(s *timed) {
			s.asks()
			s.says(createdEvent("", "resp_1"))
			for range 7 {
				time.Sleep(8*time.Minute + 40*time.Second)
				s.says(deltaEvent(""))
			}
			end := 61 * time.Minute
			if inTime { // now it is 60 min and 40 s
				s.says(completedEvent("", "resp_1", 1, 1))
				end = 60*time.Minute + 40*time.Second
			} else if got := <-s.client.out; !strings.Contains(got, `"status":504`) || !strings.Contains(got, `"code":"provider_timeout"`) {
				s.t.Errorf("got %s", got)
			}
			if got := <-s.client.out; !strings.Contains(got, `"code":"websocket_connection_limit_reached"`) {
				s.t.Errorf("got %s", got)
			}
			s.closes(llmproxy.WSCloseGoingAway, end, 0)
			want := llmproxy.OutcomeCompleted
			if !inTime {
				want = llmproxy.OutcomeError
			}
			if rec := <-s.records; rec.Outcome != want || rec.Turn != 1 {
				s.t.Errorf("record %+v", rec)
			}
		})
	}
}

// Both sides are asked every 25 s whether they are there, and have 20 s to say so.
func TestWebSocketTimePings(t *testing.T) {
	t.Parallel()
	t.Run("a client that vanishes", func(t *testing.T) {
		t.Parallel()
		onVirtualTime(t, func(client, _ *timedConn) { client.deaf = true }, func(s *timed) {
			s.asks()
			s.closes(0, 45*time.Second, 0)
			if rec := <-s.records; rec.Outcome != llmproxy.OutcomeCancelled || rec.Turn != 1 {
				s.t.Errorf("record %+v", rec)
			}
		})
	})
	t.Run("a provider that vanishes", func(t *testing.T) {
		t.Parallel()
		onVirtualTime(t, func(_, provider *timedConn) { provider.deaf = true }, func(s *timed) {
			s.asks()
			if got := <-s.client.out; !strings.Contains(got, `"code":"provider_broken"`) {
				s.t.Errorf("got %s", got)
			}
			s.closes(llmproxy.WSCloseInternalError, 45*time.Second, 0)
			if rec := <-s.records; rec.Outcome != llmproxy.OutcomeError || rec.Turn != 1 {
				s.t.Errorf("record %+v", rec)
			}
		})
	})
	t.Run("a provider that talks instead", func(t *testing.T) {
		t.Parallel()
		onVirtualTime(t, func(_, provider *timedConn) { provider.deaf = true }, func(s *timed) {
			s.asks()
			s.says(createdEvent("", "resp_1"))
			for range 31 { // to ten seconds after the twelfth
				time.Sleep(10 * time.Second)
				s.says(deltaEvent(""))
			}
			s.says(completedEvent("", "resp_1", 1, 1))
			if got := len(s.provider.pings); got != 12 {
				s.t.Errorf("%d pings, want 12", got)
			}
			s.client.Close()
			<-s.records
		})
	})
}

// A provider that answers pings and says nothing is given up after ten minutes, counted
// from what it has said last.
func TestWebSocketTimeSilence(t *testing.T) {
	t.Parallel()
	onVirtualTime(t, nil, func(s *timed) {
		s.asks()
		time.Sleep(9 * time.Minute)
		s.says(createdEvent("", "resp_1"))
		if got := <-s.client.out; !strings.Contains(got, `"status":504`) || !strings.Contains(got, `"code":"provider_timeout"`) {
			s.t.Errorf("got %s", got)
		}
		s.closes(llmproxy.WSCloseInternalError, 19*time.Minute, 25*time.Second)
		<-s.records
	})
}

// A client that takes nothing holds nobody up for ever.
func TestWebSocketTimeStuckClient(t *testing.T) {
	t.Parallel()
	onVirtualTime(t, nil, func(s *timed) {
		s.asks()
		s.provider.in <- createdEvent("", "resp_1") // which nobody takes
		s.closes(0, 2*time.Minute, 25*time.Second)
		if rec := <-s.records; rec.Outcome != llmproxy.OutcomeCancelled || rec.Status != 499 || rec.Turn != 1 {
			s.t.Errorf("record %+v", rec)
		}
	})
}

// Neither does one that does not take the last word.
func TestWebSocketTimeStuckAtTheEnd(t *testing.T) {
	t.Parallel()
	onVirtualTime(t, nil, func(s *timed) {
		s.asks()
		s.says(createdEvent("", "resp_1"))
		for range 7 {
			time.Sleep(8*time.Minute + 30*time.Second)
			s.says(deltaEvent(""))
		}
		s.says(completedEvent("", "resp_1", 1, 1))                     // 59 min and 30 s
		s.closes(0, time.Hour+time.Minute+time.Second, 15*time.Second) // a minute of grace, a second for the last word
		<-s.records
	})
}
