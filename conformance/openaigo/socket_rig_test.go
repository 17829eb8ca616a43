package openaigo

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/conformance/rig"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// socketSession is a client that opens WebSockets, with the provider behind it.
type socketSession struct {
	*session
	rig      *rig.Sockets // nil where the client speaks to the provider itself
	provider *simulator.Server
	gate     gate
	ctx      context.Context
	aborted  llmproxy.Outcome // of turns that break off
	more     []rig.Uncounted  // creates without a turn
}

// gate holds back the events of turns that are marked for it.
type gate struct {
	reached chan struct{} // an event has come to it
	pass    chan struct{} // lets that one pass
	open    chan struct{} // closed: all pass
	holds   bool          // one has come and was not let pass
}

// wait is where events wait.
func (g *gate) wait(ctx context.Context, _ int) error {
	select {
	case g.reached <- struct{}{}:
	case <-g.open:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-g.pass:
		return nil
	case <-g.open:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// socketEntries are the ways into the gateway for a WebSocket. HTTP/2 is none.
var socketEntries = append(
	slices.Clone(plain),
	rig.Entry{Name: "by a prefix", Base: "/v1", Prefix: "openai/"},
	rig.Entry{Name: "by a prefix, no v1", Prefix: "openai/"},
	rig.Entry{Name: "by a header", Base: "/v1"},
	rig.Entry{Name: "by the query", Base: "/v1"},
)

// twoEntries are one where the provider is known from the handshake, and one where the
// first message tells it.
var twoEntries = []rig.Entry{{Name: "mount", Base: "/openai/v1"}, {Name: "by a prefix", Base: "/v1", Prefix: "openai/"}}

// naming are the options with which the entries of a name are entered.
var naming = map[string]option.RequestOption{
	"by a header":  option.WithHeader("X-Provider", "openai"),
	"by the query": option.WithQuery("provider", "openai"),
}

// gated marks the creates whose events wait at the gate.
const gated = "gated"

// openSocket returns a session by e; nil is the provider itself.
func openSocket(t *testing.T, so simulator.Options, e *rig.Entry, opts ...llmproxy.Option) *socketSession {
	t.Helper()
	s := &socketSession{
		gate:    gate{reached: make(chan struct{}), pass: make(chan struct{}), open: make(chan struct{})},
		aborted: llmproxy.OutcomeError,
	}
	so.APIKey = providerKey
	script := so.TurnScript
	so.TurnScript = func(frame []byte, turn int) simulator.Script {
		var sc simulator.Script
		if script != nil {
			sc = script(frame, turn)
		}
		if bytes.Contains(frame, []byte(`"`+gated+`":`)) {
			sc.BeforeEvent = s.gate.wait
		}
		return sc
	}
	setup := setup(so, openai_compatible.Config{APIKey: providerKey}, opts...)
	if e == nil {
		s.provider = simulator.New(so)
		base := rig.DirectTo(t, setup, s.provider, "/v1")
		s.session = newSession(base, "", providerKey, option.WithHTTPClient(base.SocketClient()))
	} else {
		s.rig = rig.NewSockets(t, setup)
		s.provider = s.rig.Simulator
		base := s.rig.Enter(*e)
		options := []option.RequestOption{option.WithHTTPClient(base.SocketClient())}
		if o := naming[e.Name]; o != nil {
			options = append(options, o)
		}
		s.session = newSession(base, "", clientKey, options...)
	}
	ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
	t.Cleanup(cancel)
	s.ctx = ctx
	return s
}

// overSockets runs a scenario with the provider itself, which is like so, and then by
// each entry. All must have heard the same messages, and each turn that the provider has
// counted must have its record and its bill. The scenario closes its sockets.
func overSockets(t *testing.T, so simulator.Options, entries []rig.Entry, scenario func(*socketSession)) {
	t.Helper()
	rig.Everywhere(t, entries, func(t *testing.T, e *rig.Entry) *socketSession {
		return openSocket(t, so, e)
	}, func(s *socketSession) {
		scenario(s)
		s.counted()
	})
}

// counted holds the records against what the provider has counted.
func (s *socketSession) counted() {
	s.T.Helper()
	if s.rig != nil {
		s.rig.Counted(s.Session, s.aborted, s.more...)
	}
}

// socket is a connection of the SDK.
type socket struct {
	*responses.ResponseConnection
	s         *socketSession
	handshake *http.Response
}

// connect opens a WebSocket.
func (s *socketSession) connect(opts ...option.RequestOption) *socket {
	s.T.Helper()
	c := &socket{s: s}
	opts = append(opts, option.WithResponseInto(&c.handshake))
	conn, err := s.Responses.Connect(s.ctx, responses.ResponseConnectionOptions{MaxPendingSends: 256}, opts...)
	s.Do(err)
	s.T.Cleanup(conn.Abort)
	c.ResponseConnection = conn
	return c
}

// open passes all gated turns.
func (s *socketSession) open() { close(s.gate.open) }

// pass lets n events of gated turns pass, and returns when the next one has come to the
// gate: what the client sends from then on comes after it was made.
func (s *socketSession) pass(n int) {
	s.T.Helper()
	g := &s.gate
	for i := range n + 1 {
		if !g.holds {
			select {
			case <-g.reached:
				g.holds = true
			case <-s.ctx.Done():
				s.T.Fatal("no event comes to the gate")
			}
		}
		if i == n {
			return
		}
		select {
		case g.pass <- struct{}{}:
			g.holds = false
		case <-s.ctx.Done():
			s.T.Fatal("no event waits at the gate")
		}
	}
}

// arrived waits until n messages have reached the provider on the first connection.
func (s *socketSession) arrived(n int) {
	s.T.Helper()
	_, err := s.provider.AwaitConnections(s.ctx, func(cs []simulator.Connection) bool {
		return len(cs) > 0 && len(cs[0].Frames) >= n
	})
	s.Do(err)
}

// create is a response.create for the model.
type create = responses.ResponsesClientEventResponseCreateParam

// say is a create with a text.
func (s *socketSession) say(model, text string) create {
	return create{
		Model: s.Model(model), Store: openai.Bool(false),
		Input: responses.ResponsesClientEventResponseCreateInputUnionParam{OfString: openai.String(text)},
	}
}

// give is a create with items.
func (s *socketSession) give(model string, items ...responses.ResponseInputItemUnionParam) create {
	list := responses.ResponseInputParam(items)
	return create{
		Model: s.Model(model), Store: openai.Bool(false),
		Input: responses.ResponsesClientEventResponseCreateInputUnionParam{OfResponse: &list},
	}
}

// after makes c continue from the response id.
func after(c create, id string) create {
	c.PreviousResponseID = openai.String(id)
	return c
}

// on puts c into a lane.
func on(lane string, c create) create {
	c.StreamID = openai.String(lane)
	return c
}

// script lets the turn of c misbehave.
func script(c create, words string) create {
	c.Metadata = map[string]string{"simulate": words}
	return c
}

// wait lets the events of c's turn wait at the gate.
func wait(c create) create {
	c.Metadata = map[string]string{gated: "yes"}
	return c
}

// send sends a create.
func (c *socket) send(event create) {
	c.s.T.Helper()
	c.s.Do(c.Create(c.s.ctx, event))
}

// receiver is a connection or a lane of it.
type receiver interface {
	Recv(ctx context.Context) (responses.ResponsesServerEventUnion, error)
}

// next returns the next event, and hears it.
func (s *socketSession) next(r receiver) responses.ResponsesServerEventUnion {
	s.T.Helper()
	e, err := r.Recv(s.ctx)
	s.Do(err)
	s.Hear(e.RawJSON())
	return e
}

// want returns the next event, which must be of a type.
func (s *socketSession) want(r receiver, kind string) responses.ResponsesServerEventUnion {
	s.T.Helper()
	e := s.next(r)
	if e.Type != kind {
		s.T.Fatalf("got %s, want %s", e.RawJSON(), kind)
	}
	return e
}

// until reads up to an event of a type.
func (s *socketSession) until(r receiver, kind string) responses.ResponsesServerEventUnion {
	s.T.Helper()
	for {
		switch e := s.next(r); e.Type {
		case kind:
			return e
		case "error":
			s.T.Fatalf("got %s, want %s", e.RawJSON(), kind)
		}
	}
}

// events reads up to the end of a turn.
func (s *socketSession) events(r receiver) []responses.ResponsesServerEventUnion {
	s.T.Helper()
	var all []responses.ResponsesServerEventUnion
	for {
		e := s.next(r)
		all = append(all, e)
		switch e.Type {
		case "response.completed", "response.incomplete", "response.failed", "error":
			return all
		}
	}
}

// completed reads up to the end of a turn, which must be a good one.
func (s *socketSession) completed(r receiver) *responses.Response {
	s.T.Helper()
	return new(s.until(r, "response.completed").AsResponseCompleted().Response)
}

// fault reads the next event, which must be an error.
func (s *socketSession) fault(r receiver, status int64, code string) responses.ResponsesServerEventResponseWsError {
	s.T.Helper()
	e := s.want(r, "error").AsResponsesServerEventResponseWsError()
	if e.Status != status || e.Error.Code != code || e.Error.Message == "" {
		s.T.Errorf("got %s, want %d %s", e.RawJSON(), status, code)
	}
	return e
}

// leave closes the socket as clients do.
func (c *socket) leave() {
	c.s.T.Helper()
	c.s.Do(c.Close())
}

// closedWith reads up to the end of the connection, and returns what the SDK says of it.
func (s *socketSession) closedWith(r receiver) error {
	for {
		e, err := r.Recv(s.ctx)
		if err != nil {
			return err
		}
		s.Hear(e.RawJSON())
	}
}

// decode reads a JSON text.
func (s *socketSession) decode(text string, v any) {
	s.T.Helper()
	s.Do(json.Unmarshal([]byte(text), v))
}
