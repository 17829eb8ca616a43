package llmproxy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/coderws"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// patience bounds the waits of these tests for what must come.
const patience = 2 * time.Minute

// newSocketRig starts a gateway that serves WebSockets, in front of a simulator that is
// like so.
func newSocketRig(t *testing.T, so simulator.Options, opts ...llmproxy.Option) *rig {
	t.Helper()
	so.APIKey = providerKey
	var r *rig
	// The sockets are closed before the servers wait for their handlers.
	t.Cleanup(func() { r.simulator.Close() })
	r = newRigOf(t, so, openai_compatible.Config{Type: "openai", APIKey: providerKey},
		append([]llmproxy.Option{llmproxy.WithWebSocket(coderws.Upgrader{}, coderws.Dialer{HandshakeTimeout: patience})}, opts...)...)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := r.router.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := r.simulator.AwaitNoSockets(ctx); err != nil {
			t.Errorf("a socket to the provider is left: %v", err)
		}
	})
	return r
}

// socket is a client's connection.
type socket struct {
	t      *testing.T
	conn   llmproxy.WSConn
	header http.Header // of the 101
}

// connect opens a connection at path; fields are name, value ….
func (r *rig) connect(path string, fields ...string) *socket {
	r.t.Helper()
	conn, resp, err := r.handshake(path, fields...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	return &socket{r.t, conn, resp.Header}
}

func (r *rig) handshake(path string, fields ...string) (llmproxy.WSConn, *http.Response, error) {
	header := http.Header{"Authorization": {"Bearer " + clientKey}}
	for i := 0; i < len(fields); i += 2 {
		header.Set(fields[i], fields[i+1])
	}
	return coderws.Dialer{HandshakeTimeout: patience}.Dial(r.t.Context(), "ws"+strings.TrimPrefix(r.gateway, "http")+path, header)
}

// send sends a text message.
func (s *socket) send(message string) {
	s.t.Helper()
	if err := s.conn.WriteMessage(llmproxy.WSText, []byte(message)); err != nil {
		s.t.Fatal(err)
	}
}

// create sends a response.create with members, of which a text is the last.
func (s *socket) create(members string) {
	s.t.Helper()
	s.send(`{"type":"response.create","store":false,` + members + `}`)
}

// event is a message of a provider.
type event struct {
	Type     string `json:"type"`
	StreamID string `json:"stream_id"`
	Status   int    `json:"status"`
	Response struct {
		ID                 string `json:"id"`
		Model              string `json:"model"`
		PreviousResponseID string `json:"previous_response_id"`
		Usage              *struct {
			InputTokens  int64 `json:"input_tokens"`
			OutputTokens int64 `json:"output_tokens"`
		} `json:"usage"`
		Output []struct {
			Type   string `json:"type"`
			CallID string `json:"call_id"`
		} `json:"output"`
	} `json:"response"`
	Error struct {
		Type, Code, Message string
	} `json:"error"`
	raw string
}

// read returns the next message.
func (s *socket) read() (event, error) {
	timer := time.AfterFunc(patience, func() { s.conn.Close() })
	defer timer.Stop()
	kind, p, err := s.conn.ReadMessage()
	if err != nil {
		return event{}, err
	}
	e := event{raw: string(p)}
	if err := json.Unmarshal(p, &e); err != nil || kind != llmproxy.WSText {
		return e, fmt.Errorf("message of type %d, %q: %w", kind, p, err)
	}
	return e, nil
}

// until reads up to an event of one of types.
func (s *socket) until(types ...string) event {
	s.t.Helper()
	for {
		e, err := s.read()
		if err != nil {
			s.t.Fatalf("waiting for %v: %v", types, err)
		}
		for _, t := range types {
			if e.Type == t {
				return e
			}
		}
		if e.Type == "error" {
			s.t.Fatalf("waiting for %v: %s", types, e.raw)
		}
	}
}

// closed reads up to the close, and returns its code.
func (s *socket) closed() (code int, reason string) {
	s.t.Helper()
	for {
		if _, err := s.read(); err != nil {
			if c, ok := errors.AsType[*llmproxy.WSCloseError](err); ok {
				return c.Code, c.Reason
			}
			return llmproxy.WSCloseAbnormal, ""
		}
	}
}

// turns returns the turns that the simulator has counted, once the last connection is
// closed.
func (r *rig) turns() []simulator.Turn {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	if err := r.simulator.AwaitNoSockets(ctx); err != nil {
		r.t.Fatal(err)
	}
	var turns []simulator.Turn
	for _, c := range r.simulator.Connections() {
		turns = append(turns, c.Turns...)
	}
	return turns
}
