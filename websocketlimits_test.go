package llmproxy_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/coderws"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// playedRig is a gateway in front of a provider whose part a test plays itself.
type playedRig struct {
	*rig
	sockets chan *socket // the gateway's, as they are opened
}

func newPlayedRig(t *testing.T, opts ...llmproxy.Option) *playedRig {
	t.Helper()
	p := &playedRig{sockets: make(chan *socket, 16)}
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := coderws.Upgrader{}.Upgrade(w, r, nil)
		if err != nil {
			t.Errorf("the provider's upgrade: %v", err)
			return
		}
		p.sockets <- &socket{t, conn, r.Header}
	}))
	t.Cleanup(upstream.Close)
	p.rig = newRigOf(t, simulator.Options{}, openai_compatible.Config{Type: "openai", APIKey: providerKey, BaseURL: upstream.URL},
		append([]llmproxy.Option{llmproxy.WithWebSocket(coderws.Upgrader{}, coderws.Dialer{HandshakeTimeout: patience})}, opts...)...)
	t.Cleanup(func() {
		if err := p.router.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	return p
}

// open connects a client, and returns both ends.
func (p *playedRig) open(fields ...string) (client, provider *socket) {
	p.t.Helper()
	client = p.connect("/v1/responses", fields...)
	provider = <-p.sockets
	p.t.Cleanup(func() { provider.conn.Close() })
	return client, provider
}

// want reads the next message, and compares it to the byte.
func (s *socket) want(message string) {
	s.t.Helper()
	if e, err := s.read(); err != nil || e.raw != message {
		s.t.Fatalf("got %s, %v, want %s", e.raw, err, message)
	}
}

// on returns the member that names a lane, with a comma.
func on(lane string) string {
	if lane == "" {
		return ""
	}
	return `"stream_id":"` + lane + `",`
}

// createdEvent and completedEvent are what a provider says of a response.
func createdEvent(lane, id string) string {
	return `{"type":"response.created",` + on(lane) + `"response":{"id":"` + id + `","object":"response","status":"in_progress","model":"gpt-5-mini"}}`
}

func completedEvent(lane, id string, prompt, completion int) string {
	return fmt.Sprintf(`{"type":"response.completed",%s"response":{"id":%q,"object":"response","status":"completed","model":"gpt-5-mini","usage":{"input_tokens":%d,"output_tokens":%d,"total_tokens":%d}}}`,
		on(lane), id, prompt, completion, prompt+completion)
}

// A connection has so many turns in flight and no more; the lane of the one too many is
// told, and goes on as soon as another has ended.
func TestWebSocketTurnLimit(t *testing.T) {
	t.Parallel()
	r := newPlayedRig(t, llmproxy.WithLimits(llmproxy.Limits{WebSocket: llmproxy.WebSocketLimits{Turns: 2}}))
	client, provider := r.open()
	for _, lane := range []string{"a", "b"} {
		create := `{"type":"response.create","stream_id":"` + lane + `","model":"gpt-5-mini","input":"x"}`
		client.send(create)
		provider.want(create)
	}
	client.send(`{"type":"response.create","stream_id":"c","model":"gpt-5-mini","input":"x"}`)
	client.want(`{"type":"error","status":429,"stream_id":"c","error":{"message":"as many responses as the gateway allows are in flight on this WebSocket","type":"invalid_request_error","param":null,"code":"too_many_turns"},"headers":{"retry-after":"1"}}`)
	if rec := r.record(); rec.Outcome != llmproxy.OutcomeRejected || rec.Status != 429 || rec.Turn != 0 || rec.Lane != "c" || rec.CostState != llmproxy.CostFree {
		t.Errorf("record %+v", rec)
	}
	provider.send(createdEvent("a", "resp_a"))
	provider.send(completedEvent("a", "resp_a", 3, 4))
	client.want(createdEvent("a", "resp_a"))
	client.want(completedEvent("a", "resp_a", 3, 4))
	const third = `{"type":"response.create","stream_id":"c","model":"gpt-5-mini","input":"y"}`
	client.send(third)
	provider.want(third)
}

// lingering is an upgrader whose connections linger in the write of a terminal event until
// they are let: the client has it already.
type lingering struct {
	coderws.Upgrader
	let chan struct{}
}

type lingeringConn struct {
	llmproxy.WSConn
	let chan struct{}
}

func (l lingering) Upgrade(w http.ResponseWriter, r *http.Request, header http.Header) (llmproxy.WSConn, error) {
	conn, err := l.Upgrader.Upgrade(w, r, header)
	return lingeringConn{conn, l.let}, err
}

func (l lingeringConn) WriteMessage(kind int, data []byte) error {
	err := l.WSConn.WriteMessage(kind, data)
	if strings.Contains(string(data), "response.completed") {
		<-l.let
	}
	return err
}

// Who has the terminal event may ask for the next response, whatever else has still to be
// done about the last one.
func TestWebSocketTurnLimitIsOfTurnsThatRun(t *testing.T) {
	t.Parallel()
	let := make(chan struct{})
	r := newPlayedRig(t, llmproxy.WithWebSocket(lingering{let: let}, coderws.Dialer{}),
		llmproxy.WithLimits(llmproxy.Limits{WebSocket: llmproxy.WebSocketLimits{Turns: 1}}))
	client, provider := r.open()
	const create = `{"type":"response.create","model":"gpt-5-mini","input":"x"}`
	client.send(create)
	provider.want(create)
	provider.send(createdEvent("", "resp_1"))
	provider.send(completedEvent("", "resp_1", 1, 1))
	client.until("response.completed")
	client.send(create)
	defer close(let)
	if rec := r.record(); rec.Outcome != llmproxy.OutcomeCompleted {
		t.Errorf("record %+v", rec)
	}
	arrived := make(chan event, 1)
	go func() {
		e, _ := provider.read()
		arrived <- e
	}()
	select {
	case e := <-arrived:
		if e.raw != create {
			t.Errorf("the provider got %s", e.raw)
		}
	case rec := <-r.records:
		t.Errorf("the next create was not forwarded: %+v", rec.Error)
	}
}

// byKey puts a handler in front of the router that knows callers by a field. ended gets a
// signal for each request that is over.
func (r *rig) byKey() (ended chan struct{}) {
	ended = make(chan struct{}, 64)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		defer func() { ended <- struct{}{} }()
		caller := llmproxy.Caller{Key: req.Header.Get("X-Key"), Tags: map[string]string{"team": "blue"}}
		r.router.ServeHTTP(w, req.WithContext(llmproxy.WithCaller(req.Context(), caller)))
	}))
	r.t.Cleanup(front.Close)
	r.gateway = front.URL
	return ended
}

// refused opens a connection that must be refused.
func (r *rig) refused(status int, code string, fields ...string) {
	r.t.Helper()
	conn, resp, err := r.handshake("/v1/responses", fields...)
	if conn != nil {
		conn.Close()
	}
	if err == nil || resp == nil {
		r.t.Fatalf("got %v, %v", resp, err)
	}
	body, rerr := io.ReadAll(resp.Body)
	if resp.StatusCode != status || !strings.Contains(string(body), `"code":"`+code+`"`) || rerr != nil || resp.Header.Get("Retry-After") != "1" {
		r.t.Errorf("got %d %s, %v, Retry-After %q", resp.StatusCode, body, rerr, resp.Header.Get("Retry-After"))
	}
}

func TestWebSocketConnectionLimits(t *testing.T) {
	t.Parallel()
	r := newPlayedRig(t, llmproxy.WithLimits(llmproxy.Limits{WebSocket: llmproxy.WebSocketLimits{Total: 3, PerKey: 2}}))
	ended := r.byKey()
	first, _ := r.open("X-Key", "key-1")
	second, _ := r.open("X-Key", "key-1")
	r.refused(429, "too_many_websockets", "X-Key", "key-1")
	<-ended
	if rec := r.record(); rec.Outcome != llmproxy.OutcomeRejected || rec.Status != 429 || rec.Key != "key-1" || rec.Transport != llmproxy.TransportWebSocket || rec.ConnectionID != rec.ID {
		t.Errorf("record %+v", rec)
	}
	r.open("X-Key", "key-2")
	r.refused(503, "too_many_websockets", "X-Key", "key-2")
	<-ended
	if rec := r.record(); rec.Outcome != llmproxy.OutcomeRejected || rec.Status != 503 || rec.Key != "key-2" {
		t.Errorf("record %+v", rec)
	}
	first.conn.Close()
	<-ended
	r.open("X-Key", "key-1")
	second.conn.Close()
	<-ended
	r.open() // nobody in particular has no limit but the total
	r.noMore()
}

func TestWebSocketFirstMessageLate(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, simulator.Options{}, llmproxy.WithLimits(llmproxy.Limits{WebSocket: llmproxy.WebSocketLimits{FirstMessage: 20 * time.Millisecond}}))
	s := r.connect("/v1/responses")
	if code, reason := s.closed(); code != llmproxy.WSClosePolicy || reason != "no response.create came in time" {
		t.Errorf("closed with %d, %q", code, reason)
	}
	r.turns()
	r.noMore()
}

func TestWebSocketIdle(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, simulator.Options{AnyModel: true}, llmproxy.WithLimits(llmproxy.Limits{WebSocket: llmproxy.WebSocketLimits{Idle: 50 * time.Millisecond}}))
	s := r.connect("/v1/responses")
	s.create(hello)
	s.until("response.completed")
	if code, reason := s.closed(); code != llmproxy.WSCloseGoingAway || reason != "idle for too long" {
		t.Errorf("closed with %d, %q", code, reason)
	}
	r.turns()
	if got := r.simulator.Connections()[0].ClientCode; got != llmproxy.WSCloseGoingAway {
		t.Errorf("the provider's socket was closed with %d", got)
	}
}

// At the end of its life a connection takes no more creates, lets what runs end, and says
// why it closes.
func TestWebSocketLifetime(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	r := newSocketRig(t, simulator.Options{AnyModel: true, TurnScript: func(_ []byte, turn int) (s simulator.Script) {
		if turn == 1 {
			s.BeforeEvent = simulator.Until(gate)
		}
		return s
	}}, llmproxy.WithRecorder(newLedgerOf()), llmproxy.WithLimits(llmproxy.Limits{WebSocket: llmproxy.WebSocketLimits{Lifetime: time.Second}}))
	s := r.connect("/v1/responses")
	s.create(`"stream_id":"long",` + hello)
	gate <- struct{}{}
	s.until("response.created")
	for { // others come and go, until none is taken any more
		s.create(hello)
		e := event{}
		for e.Type != "response.completed" && e.Type != "error" {
			var err error
			if e, err = s.read(); err != nil {
				t.Fatal(err)
			}
		}
		if e.Type == "error" {
			if e.Status != 400 || e.Error.Code != "websocket_connection_limit_reached" {
				t.Errorf("got %s", e.raw)
			}
			break
		}
	}
	close(gate)
	if e := s.until("response.completed"); e.StreamID != "long" {
		t.Errorf("got %s", e.raw)
	}
	s.want(`{"type":"error","status":400,"error":{"message":"the WebSocket has reached the age at which the gateway closes it: open a new one","type":"invalid_request_error","param":null,"code":"websocket_connection_limit_reached"}}`)
	if code, _ := s.closed(); code != llmproxy.WSCloseGoingAway {
		t.Errorf("closed with %d", code)
	}
}

// The provider's own end of a connection's life crosses.
func TestWebSocketProviderLifetime(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, simulator.Options{AnyModel: true, Lifetime: 100 * time.Millisecond})
	s := r.connect("/v1/responses")
	s.create(`"model":"m","metadata":{"simulate":"hang=2"},"input":"x"`)
	var codes []string
	for {
		e, err := s.read()
		if err != nil {
			break
		}
		if e.Type == "error" {
			codes = append(codes, e.Error.Code)
		}
	}
	if got := strings.Join(codes, " "); got != "websocket_connection_limit_reached provider_broken" {
		t.Errorf("error events %s", got)
	}
	if rec := r.record(); rec.Outcome != llmproxy.OutcomeError || rec.Turn != 1 || rec.Error.Code != "provider_broken" {
		t.Errorf("record %+v", rec)
	}
}

// 1009 crosses, whoever was too large.
func TestWebSocketMessageSize(t *testing.T) {
	t.Parallel()
	limits := llmproxy.WithLimits(llmproxy.Limits{WebSocket: llmproxy.WebSocketLimits{Message: 16 << 10}})
	t.Run("of a client", func(t *testing.T) {
		t.Parallel()
		r := newSocketRig(t, simulator.Options{AnyModel: true}, limits)
		s := r.connect("/v1/responses")
		s.create(hello)
		s.until("response.completed")
		s.create(`"model":"m","input":"` + strings.Repeat("x", 16<<10) + `"`)
		if code, _ := s.closed(); code != llmproxy.WSCloseTooBig {
			t.Errorf("closed with %d", code)
		}
		if turns := r.turns(); len(turns) != 1 {
			t.Errorf("the provider counted %+v", turns)
		}
		if got := r.simulator.Connections()[0].ClientCode; got != llmproxy.WSCloseTooBig {
			t.Errorf("the provider's socket was closed with %d", got)
		}
	})
	t.Run("of a provider", func(t *testing.T) {
		t.Parallel()
		r := newSocketRig(t, simulator.Options{AnyModel: true}, limits)
		s := r.connect("/v1/responses")
		s.create(`"stream_id":"l","model":"m","metadata":{"simulate":"huge=20000"},"input":"one two three four"`)
		for {
			e, err := s.read()
			if err != nil {
				t.Fatal(err)
			}
			if e.Type == "error" {
				if e.Status != 502 || e.StreamID != "l" || e.Error.Code != "provider_broken" {
					t.Errorf("got %s", e.raw)
				}
				break
			}
		}
		if code, _ := s.closed(); code != llmproxy.WSCloseTooBig {
			t.Errorf("closed with %d", code)
		}
		if rec := r.record(); rec.Outcome != llmproxy.OutcomeError || rec.Turn != 1 {
			t.Errorf("record %+v", rec)
		}
	})
	t.Run("as large as may be", func(t *testing.T) {
		t.Parallel()
		r := newPlayedRig(t, limits)
		client, provider := r.open()
		create := `{"type":"response.create","model":"m","input":"`
		create += strings.Repeat("x", 16<<10-len(create)-2) + `"}`
		client.send(create)
		provider.want(create)
		event := `{"type":"other","x":"`
		event += strings.Repeat("x", 16<<10-len(event)-2) + `"}`
		provider.send(event)
		client.want(event)
	})
}
