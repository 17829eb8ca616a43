package simulator_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

// TestHandshake holds that a handshake is refused as any other request, in its shape.
func TestHandshake(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{APIKey: "sk-good"})
	const good = "Authorization: Bearer sk-good"
	for _, tt := range []struct {
		path     string
		header   []string
		status   int
		contains string // its body, or the value of its header "Name: value"
	}{
		{"/v1/responses", []string{good}, 101, ""},
		{"/responses", []string{good}, 101, ""},
		{"/api/v1/responses", []string{good}, 101, ""},
		{"/openai/v1/responses", []string{"Api-Key: sk-good"}, 101, ""},
		{"/openai/responses?api-version=preview", []string{"Api-Key: sk-good"}, 101, ""},
		{"/openai/responses", []string{"Api-Key: sk-good"}, 404, "api-version"},
		{"/v1/responses", nil, 401, `"code":"invalid_api_key"`},
		{"/v1/responses", []string{"Authorization: Bearer sk-bad"}, 401, `"code":"invalid_api_key"`},
		{"/openai/v1/responses", []string{"Api-Key: sk-bad"}, 401, `{"error":{"code":"401"`},
		{"/v1/chat/completions", []string{good}, 405, "is not allowed"},
		{"/v1/responses", []string{good, "X-Simulate: status=426"}, 426, `"error"`},
		{"/v1/responses", []string{good, "X-Simulate: status=429,code=insufficient_quota,retry-after=7"}, 429, "Retry-After: 7"},
		{"/v1/responses", []string{good, "X-Simulate: status=502"}, 502, "<html>"},
		{"/v1/responses", []string{good, "X-Simulate: redirect=/elsewhere"}, 307, "Location: /elsewhere"},
		{"/v1/responses", []string{good, "X-Simulate: nonsense"}, 400, "nonsense"},
		{"/v1/responses", []string{good, "X-Simulate: cookies,delay=1ms"}, 101, "Set-Cookie: __cf_bm=simulated"},
		{"/v1/responses", []string{good, "Origin: https://elsewhere.example"}, 101, "Openai-Version: 2020-10-01"},
	} {
		c, res, err := p.tryDial(t.Context(), tt.path, tt.header...)
		if res == nil {
			t.Errorf("%s %v: %v", tt.path, tt.header, err)
			continue
		}
		found := tt.contains == ""
		if name, value, ok := strings.Cut(tt.contains, ": "); ok {
			found = strings.HasPrefix(res.Header.Get(name), value)
		} else if !found {
			body, _ := io.ReadAll(res.Body) // of a refusal the first bytes are there
			found = strings.Contains(string(body), tt.contains)
		}
		if res.StatusCode != tt.status || (err == nil) != (tt.status == 101) || !found {
			t.Errorf("%s %v: got %d, %v, %v, want %d and %q", tt.path, tt.header, res.StatusCode, res.Header, err, tt.status, tt.contains)
		}
		if c != nil {
			c.leave()
		}
	}
	if err := p.AwaitNoSockets(t.Context()); err != nil {
		t.Error(err)
	}
	if got := len(p.Connections()); got != 7 {
		t.Errorf("%d WebSockets, want 7", got)
	}
}

// TestNoHandshake holds what a request gets that is no whole handshake.
func TestNoHandshake(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	for _, tt := range []struct {
		header []string
		status int
	}{
		{nil, 405},
		{[]string{"Connection: Upgrade", "Upgrade: h2c"}, 405},
		{[]string{"Connection: keep-alive", "Upgrade: websocket"}, 405},
		{[]string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 12"}, 400},
		{[]string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: x"}, 400},
	} {
		a := p.do(p.request(http.MethodGet, "/v1/responses", "", tt.header...))
		if a.StatusCode != tt.status || tt.status == 405 && a.Header.Get("Allow") != "POST" {
			t.Errorf("%v: got %d %s, want %d", tt.header, a.StatusCode, a.body, tt.status)
		}
	}
	if len(p.Connections()) != 0 || p.OpenSockets() != 0 {
		t.Errorf("%+v are there", p.Connections())
	}
}

// TestHandshakeScript holds that what does not concern the handshake concerns the turns,
// if nothing else does.
func TestHandshakeScript(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	c := p.dial("/v1/responses", "X-Simulate: end=failed,delay=1ms")
	c.create(`"input":"x"`)
	c.until("response.failed")
	c.create(`"input":"x","metadata":{"simulate":"end=incomplete"}`)
	c.until("response.incomplete")

	p = run(t, simulator.Options{TurnScript: simulator.TurnScripts(simulator.Script{Ending: simulator.EndIncomplete})})
	c = p.dial("/v1/responses", "X-Simulate: end=failed")
	c.create(`"input":"x"`)
	c.until("response.incomplete")
	c.create(`"input":"x"`)
	c.completed()
}

// TestBadMessages holds which messages end the connection.
func TestBadMessages(t *testing.T) {
	t.Parallel()
	const limit = 1000
	for _, tt := range []struct {
		kind   websocket.MessageType
		data   string
		code   websocket.StatusCode
		frames int
	}{
		{websocket.MessageBinary, `{"type":"x"}`, websocket.StatusUnsupportedData, 1},
		{websocket.MessageText, "{\"type\":\"\xff\"}", websocket.StatusInvalidFramePayloadData, 1},
		{websocket.MessageText, strings.Repeat(" ", limit+1), websocket.StatusMessageTooBig, 0},
		{websocket.MessageText, strings.Repeat(" ", 1<<20), websocket.StatusMessageTooBig, 0},
	} {
		p := run(t, simulator.Options{MaxMessage: limit})
		c := p.dial("/v1/responses")
		c.send(strings.Repeat(" ", limit))
		c.wantError(400, "")
		writing, written := c.Conn, make(chan error, 1)
		go func() { written <- writing.Write(t.Context(), tt.kind, []byte(tt.data)) }()
		c.wantClosed(tt.code)
		<-written // with or without an error
		if err := p.AwaitNoSockets(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := p.Connections()[0]; got.ServerCode != int(tt.code) || got.ClientCode != 0 || len(got.Frames) != 1+tt.frames ||
			got.Frames[tt.frames].Binary != (tt.kind == websocket.MessageBinary) {
			t.Errorf("%d: got %+v", tt.code, got)
		}
	}
}

// TestLeaving holds how a client that leaves is noticed, and what becomes of its turn.
func TestLeaving(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		leave    func(*rawSocket)
		code     int
		departed bool
		frames   int
	}{
		{func(c *rawSocket) { c.frame(0x88, "\x03\xe9bye") }, 1001, false, 1},
		{func(c *rawSocket) { c.frame(0x88, "") }, 1005, false, 1},
		{func(c *rawSocket) { _ = c.Close() }, 0, true, 1},
		{func(c *rawSocket) { // in the middle of a message
			c.frame(0x01, `{"type":"respon`)
			_ = c.Close()
		}, 0, true, 1},
	} {
		p := run(t, simulator.Options{TurnScript: func([]byte, int) simulator.Script {
			return simulator.Script{BeforeEvent: simulator.At(5, simulator.Never)}
		}})
		c := p.dialRaw()
		c.frame(0x81, `{"type":"response.create","model":"gpt-5-mini","input":"one two"}`)
		p.connection(func(c *simulator.Connection) bool { return len(c.Turns) == 1 && c.Turns[0].Events == 5 })
		tt.leave(c)
		if err := p.AwaitNoSockets(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := p.Connections()[0]
		if got.ClientCode != tt.code || got.ServerCode != 0 || got.Open || len(got.Frames) != tt.frames {
			t.Errorf("got %+v, want code %d", got, tt.code)
		}
		if turn := got.Turns[0]; turn.Outcome != simulator.TurnAborted || turn.Reported ||
			turn.Usage != (simulator.Usage{Prompt: 2, Completion: 1}) {
			t.Errorf("counted %+v", turn)
		}
		requests, err := p.Await(t.Context(), simulator.Finished(1))
		if err != nil || requests[0].Departed != tt.departed {
			t.Errorf("got %+v, %v, want departed: %t", requests, err, tt.departed)
		}
	}
}

// TestCloseSockets holds that the server can end what is open, with and without a close
// frame, while a turn is under way.
func TestCloseSockets(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	for _, code := range []int{0, 1012, 4000} {
		p.Reset()
		idle, busy := p.dial("/v1/responses"), p.dial("/v1/responses")
		busy.create(`"input":"x","metadata":{"simulate":"hang=1"}`)
		busy.want("response.created")
		if p.OpenSockets() != 2 {
			t.Errorf("%d are open, want 2", p.OpenSockets())
		}
		p.CloseSockets(code, "over")
		for _, c := range []*client{idle, busy} {
			want := websocket.StatusCode(code)
			if code == 0 {
				want = -1
			}
			c.wantClosed(want)
		}
		if err := p.AwaitNoSockets(t.Context()); err != nil {
			t.Fatal(err)
		}
		all := p.Connections()
		if all[0].ServerCode != code || all[1].ServerCode != code || all[1].Turns[0].Outcome != simulator.TurnAborted {
			t.Errorf("%d: got %+v", code, all)
		}
	}
	open := p.dial("/v1/responses")
	open.create(`"input":"x"`)
	open.completed()
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Close()
	}()
	open.wantClosed(websocket.StatusGoingAway)
	<-done
	if p.OpenSockets() != 0 {
		t.Errorf("%d are open", p.OpenSockets())
	}
	_, res, err := p.tryDial(t.Context(), "/v1/responses")
	if err == nil || res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%v, %v, want 503", res, err)
	}
	p.whole(p.post("/v1/responses", responseBody, "")) // the rest is served on
	p.Close()
}

// TestAwaitNoSockets holds that the wait ends with its context.
func TestAwaitNoSockets(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	c := p.dial("/v1/responses")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.AwaitNoSockets(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the end of the context", err)
	}
	if _, err := p.AwaitConnections(ctx, func([]simulator.Connection) bool { return false }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the end of the context", err)
	}
	c.leave()
}

// TestStopEndsSockets holds that nothing outlives a server that was started.
func TestStopEndsSockets(t *testing.T) {
	t.Parallel()
	s := simulator.New(simulator.Options{})
	base, stop, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	conn, _, err := websocket.Dial(t.Context(), base+"/responses", nil)
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if s.OpenSockets() != 0 {
		t.Errorf("%d are open", s.OpenSockets())
	}
	if _, _, err := conn.Read(t.Context()); err == nil {
		t.Error("the client can still read")
	}
	_ = conn.CloseNow()
}

// TestRecordsAreBounded holds that the oldest messages, turns and connections are
// forgotten, and that messages that are too large are not kept.
func TestRecordsAreBounded(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{KeepRequests: 2, KeepBytes: 4000})
	c := p.dial("/v1/responses", "X-Test: 1")
	for range 3 {
		c.create(`"input":"x"`)
		c.completed()
	}
	c.send(strings.Repeat(" ", 1001))
	c.wantError(400, "")
	got := p.Connections()[0]
	if len(got.Frames) != 2 || got.Frames[1].Data != nil || got.Frames[1].Size != 1001 ||
		len(got.Turns) != 2 || got.Turns[0].Number != 2 || got.Turns[1].Outcome != simulator.TurnCompleted {
		t.Errorf("got %+v", got)
	}
	p.dial("/v1/responses", "X-Test: 2")
	p.dial("/v1/responses", "X-Test: 3")
	c.create(`"input":"x"`)
	c.completed()
	all := p.Connections()
	if len(all) != 2 || all[0].Header.Get("X-Test") != "2" || len(all[0].Turns) != 0 || p.OpenSockets() != 3 {
		t.Errorf("got %+v and %d open", all, p.OpenSockets())
	}
	p.Reset()
	if got := p.Connections(); len(got) != 0 {
		t.Errorf("after Reset: %+v", got)
	}
}

// TestDeflate holds that permessage-deflate is used where both want it.
func TestDeflate(t *testing.T) {
	t.Parallel()
	for _, deflate := range []bool{false, true} {
		p := run(t, simulator.Options{Deflate: deflate})
		conn, res, err := websocket.Dial(t.Context(), p.server.URL+"/v1/responses",
			&websocket.DialOptions{CompressionMode: websocket.CompressionContextTakeover})
		if err != nil {
			t.Fatal(err)
		}
		if got := res.Header.Get("Sec-WebSocket-Extensions"); strings.HasPrefix(got, "permessage-deflate") != deflate {
			t.Errorf("extensions %q", got)
		}
		c := &client{conn, t}
		c.create(`"input":"` + strings.Repeat("word ", 1000) + `"`)
		if r := c.completed(); r.Usage.InputTokens != 1000 {
			t.Errorf("got %+v", r)
		}
		c.leave()
	}
}
