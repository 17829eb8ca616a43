package openresponses

import (
	"bytes"
	"context"
	"net/http"
	"strings"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/coderws"
)

// socketCases are the cases of the suite over a WebSocket.
func socketCases() []scenario {
	return []scenario{
		{"websocket-response", func(c *client) {
			s := c.connect()
			defer s.close()
			s.completes(object{"input": []any{message("user", "say hello")}})
		}},
		{"websocket-sequential-responses", func(c *client) {
			s := c.connect()
			defer s.close()
			first := s.completes(object{"input": []any{message("user", "one")}, "store": false})
			second := s.completes(object{"input": []any{message("user", "two")}, "store": false})
			if first["id"] == second["id"] {
				c.t.Errorf("both are %v", first["id"])
			}
		}},
		{"websocket-continuation", func(c *client) {
			s := c.connect()
			defer s.close()
			first := s.completes(object{"input": []any{message("user", "my name is Ada")}, "store": false})
			second := s.completes(object{"input": "what is my name", "store": false, "previous_response_id": first["id"]})
			if second["previous_response_id"] != first["id"] {
				c.t.Errorf("continued from %v", second["previous_response_id"])
			}
		}},
		{"websocket-reconnect-store-false-recovery", func(c *client) {
			s := c.connect()
			first := s.completes(object{"input": []any{message("user", "my name is Ada")}, "store": false})
			s.close()
			again := c.connect()
			defer again.close()
			again.fails(object{"input": "what is my name", "store": false, "previous_response_id": first["id"]}, "previous_response_not_found")
			again.completes(object{"input": []any{message("user", "my name is Ada, what is it")}, "store": false})
		}},
		{"websocket-previous-response-not-found", func(c *client) {
			s := c.connect()
			defer s.close()
			s.fails(object{"input": "hello", "store": false, "previous_response_id": "resp_of_nobody"}, "previous_response_not_found")
		}},
		{"websocket-failed-continuation-evicts-cache", func(c *client) {
			s := c.connect()
			defer s.close()
			first := s.completes(object{"input": []any{message("user", "remember me")}, "store": false})
			s.fails(object{
				"input":                []any{object{"type": "function_call_output", "call_id": "call_of_nobody", "output": "42"}},
				"previous_response_id": first["id"], "store": false,
			}, "")
			s.fails(object{"input": "are you there", "store": false, "previous_response_id": first["id"]}, "previous_response_not_found")
		}},
		{"websocket-compact-new-chain", func(c *client) {
			window := append(c.compacts(), message("user", "go on"))
			s := c.connect()
			defer s.close()
			s.completes(object{"input": window, "store": false})
		}},
	}
}

// socket is a connection of a client.
type socket struct {
	*client
	conn llmproxy.WSConn
	stop func() bool
}

// connect opens a WebSocket.
func (c *client) connect() *socket {
	c.t.Helper()
	conn, resp, err := coderws.Dialer{}.Dial(c.ctx, "ws"+strings.TrimPrefix(c.url, "http")+"/responses", http.Header{
		"Content-Type": {"application/json"}, "Authorization": {"Bearer " + c.key},
	})
	if err != nil {
		c.t.Fatalf("%v, %v", err, resp)
	}
	s := &socket{client: c, conn: conn, stop: context.AfterFunc(c.ctx, func() { conn.Close() })}
	c.t.Cleanup(func() { conn.Close() })
	return s
}

// close closes the socket.
func (s *socket) close() {
	s.stop()
	if err := s.conn.(llmproxy.WSCloser).CloseWith(llmproxy.WSCloseNormal, ""); err != nil {
		s.t.Errorf("close: %v", err)
	}
}

// turn sends a create and returns the last event of the answer, all of which must be
// valid.
func (s *socket) turn(members object) object {
	s.t.Helper()
	create := s.ask(members)
	create["type"] = "response.create"
	if err := s.conn.WriteMessage(llmproxy.WSText, encode(create)); err != nil {
		s.t.Fatal(err)
	}
	for {
		kind, p, err := s.conn.ReadMessage()
		if err != nil || kind != llmproxy.WSText || bytes.Equal(p, []byte("[DONE]")) {
			s.t.Fatalf("a message of type %d, %q: %v", kind, p, err)
		}
		e := s.decode(p)
		if err := checkEvent(e, true); err != nil {
			s.t.Error(err)
		}
		switch e["type"] {
		case "response.completed", "response.failed", "response.incomplete", "error":
			response, _ := e["response"].(object)
			s.told(response)
			return e
		}
	}
}

// completes has a turn that must end well.
func (s *socket) completes(members object) object {
	s.t.Helper()
	e := s.turn(members)
	response, _ := e["response"].(object)
	if e["type"] != "response.completed" || response["status"] != "completed" {
		s.t.Fatalf("got %v", e)
	}
	return response
}

// fails has a turn that must fail, with a code; "" is any.
func (s *socket) fails(members object, code string) {
	s.t.Helper()
	e := s.turn(members)
	fault, _ := e["error"].(object)
	if response, ok := e["response"].(object); ok && e["type"] == "response.failed" {
		fault, _ = response["error"].(object)
	}
	if fault == nil || code != "" && fault["code"] != code {
		s.t.Errorf("got %v, want %q", e, code)
	}
}
