package simulator_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

// client is the client of one WebSocket.
type client struct {
	*websocket.Conn
	t *testing.T
}

// socketEvent is what the tests read of an event.
type socketEvent struct {
	Type     string
	Sequence int    `json:"sequence_number"`
	StreamID string `json:"stream_id"`
	Delta    string
	Response response
	Item     struct {
		CallID string `json:"call_id"`
	}

	Status  int
	Code    string // of a flat error
	Headers map[string]string
	Error   struct{ Type, Code, Message, Param string }

	Steer struct {
		ID                 string
		PreviousResponseID string `json:"previous_response_id"`
	}
	Reason        string
	RequiredInput []struct {
		Type   string
		CallID string `json:"call_id"`
	} `json:"required_input"`
	ResponseID string `json:"response_id"`
	Usage      *struct {
		InputTokens int `json:"input_tokens"`
	}

	raw string
}

// dial opens a WebSocket; header is "Name: value" each.
func (p *provider) dial(path string, header ...string) *client {
	p.t.Helper()
	c, res, err := p.tryDial(p.t.Context(), path, header...)
	if err != nil {
		p.t.Fatalf("%s: %v, %+v", path, err, res)
	}
	return c
}

func (p *provider) tryDial(ctx context.Context, path string, header ...string) (*client, *http.Response, error) {
	p.t.Helper()
	r := p.request(http.MethodGet, path, "", header...)
	conn, res, err := websocket.Dial(ctx, r.URL.String(), &websocket.DialOptions{
		HTTPClient: p.server.Client(), HTTPHeader: r.Header,
	})
	if err != nil {
		return nil, res, err
	}
	conn.SetReadLimit(-1)
	p.t.Cleanup(func() { _ = conn.CloseNow() })
	return &client{conn, p.t}, res, nil
}

// send sends one text message.
func (c *client) send(text string) {
	c.t.Helper()
	if err := c.Write(c.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// create sends a response.create with members after the model.
func (c *client) create(members string) {
	c.t.Helper()
	c.send(`{"type":"response.create","model":"gpt-5-mini",` + members + `}`)
}

// event reads one event.
func (c *client) event() socketEvent {
	c.t.Helper()
	kind, data, err := c.Read(c.t.Context())
	if err != nil || kind != websocket.MessageText {
		c.t.Fatalf("read: %v, %v", kind, err)
	}
	e := socketEvent{raw: string(data)}
	if err := json.Unmarshal(data, &e); err != nil {
		c.t.Fatalf("%v: %s", err, data)
	}
	return e
}

// want reads one event and fails the test if it is of another type.
func (c *client) want(kind string) socketEvent {
	c.t.Helper()
	e := c.event()
	if e.Type != kind {
		c.t.Fatalf("got %s, want %s", e.raw, kind)
	}
	return e
}

// until reads events up to one of a type.
func (c *client) until(kind string) socketEvent {
	c.t.Helper()
	for {
		if e := c.event(); e.Type == kind {
			return e
		}
	}
}

// terminal reads events up to the end of a turn, and the text between.
func (c *client) terminal() (socketEvent, string) {
	c.t.Helper()
	var text strings.Builder
	for {
		switch e := c.event(); e.Type {
		case "response.completed", "response.incomplete", "response.failed", "error":
			return e, text.String()
		case "response.output_text.delta":
			text.WriteString(e.Delta)
		}
	}
}

// completed reads a turn to its end, which must be a good one.
func (c *client) completed() response {
	c.t.Helper()
	e, _ := c.terminal()
	if e.Type != "response.completed" {
		c.t.Fatalf("got %s, want response.completed", e.raw)
	}
	return e.Response
}

// wantError reads one event, an error of status and code.
func (c *client) wantError(status int, code string) socketEvent {
	c.t.Helper()
	e := c.want("error")
	if e.Status != status || e.Error.Code != code || e.Error.Message == "" {
		c.t.Fatalf("got %s, want %d %s", e.raw, status, code)
	}
	return e
}

// heard returns when the server has acted on all that was sent, and nothing else comes
// from it meanwhile.
func (c *client) heard() {
	c.t.Helper()
	c.send(`{"type":"nothing"}`)
	c.wantError(400, "invalid_value")
}

// wantClosed fails the test if anything comes but a close frame with code; -1 is none.
func (c *client) wantClosed(code websocket.StatusCode) {
	c.t.Helper()
	_, data, err := c.Read(c.t.Context())
	if err == nil {
		c.t.Fatalf("got %s, want a close frame", data)
	}
	if got := websocket.CloseStatus(err); got != code {
		c.t.Fatalf("got %d, want %d: %v", got, code, err)
	}
}

// leave closes the socket as a client does.
func (c *client) leave() {
	c.t.Helper()
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		c.t.Errorf("close: %v", err)
	}
}

// connection waits until ok says so of the only WebSocket, and returns it.
func (p *provider) connection(ok func(*simulator.Connection) bool) simulator.Connection {
	p.t.Helper()
	all, err := p.AwaitConnections(p.t.Context(), func(all []simulator.Connection) bool {
		return len(all) == 1 && ok(&all[0])
	})
	if err != nil {
		p.t.Fatalf("%v: %+v", err, all)
	}
	return all[0]
}

// gated returns a script of turns that holds back each event of the turn-th until
// something is received.
func gated(turn int, events <-chan struct{}) func([]byte, int) simulator.Script {
	return func(_ []byte, n int) simulator.Script {
		if n != turn {
			return simulator.Script{}
		}
		return simulator.Script{BeforeEvent: simulator.Until(events)}
	}
}
