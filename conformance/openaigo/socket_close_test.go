package openaigo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/websocket"
	"github.com/openai/openai-go/v3/responses"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/conformance/rig"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// closed reads up to the end of the connection, which must be a close frame with code; -1
// is none.
func closed(s *socketSession, r receiver, code coder.StatusCode) {
	s.T.Helper()
	err := s.closedWith(r)
	if got := coder.CloseStatus(err); got != code {
		s.T.Errorf("closed with %d, want %d: %v", got, code, err)
	}
}

// Each side's close reaches the other one.
func TestSocketClosedByTheClient(t *testing.T) {
	t.Parallel()
	overSockets(t, simulator.Options{}, socketEntries, func(s *socketSession) {
		c := s.connect()
		c.send(s.say("gpt-5-mini", "hello"))
		s.completed(c)
		c.leave()
		if _, err := c.Recv(s.ctx); !errors.Is(err, websocket.ErrClosed) {
			s.T.Errorf("after Close: %v", err)
		}
		s.Do(s.provider.AwaitNoSockets(s.ctx))
		if got := s.provider.Connections()[0].ClientCode; got != 1000 {
			s.T.Errorf("the provider's socket was closed with %d", got)
		}
	})
}

func TestSocketClosedByTheProvider(t *testing.T) {
	t.Parallel()
	for _, code := range []coder.StatusCode{1000, 1001, 1008, 1011, 1012, 1013, 4000} {
		t.Run(fmt.Sprint("idle, ", int(code)), func(t *testing.T) {
			t.Parallel()
			overSockets(t, simulator.Options{}, twoEntries, func(s *socketSession) {
				c := s.connect()
				c.send(s.say("gpt-5-mini", "hello"))
				s.completed(c)
				s.provider.CloseSockets(int(code), "because")
				closed(s, c, code)
			})
		})
		t.Run(fmt.Sprint("in a turn, ", int(code)), func(t *testing.T) {
			t.Parallel()
			s := openSocket(t, simulator.Options{}, &twoEntries[1])
			c := s.connect()
			c.send(script(s.say("gpt-5-mini", "hello"), fmt.Sprintf("close=%d,cut-events=3", code)))
			for range 3 {
				s.next(c)
			}
			s.fault(c, 502, "provider_broken")
			closed(s, c, code)
			s.counted()
			s.Settled()
		})
	}
}

// The provider's connection is lost without a word: the client is told so, and what was
// in flight is recorded, whether it had begun or not.
func TestSocketLost(t *testing.T) {
	t.Parallel()
	for _, e := range twoEntries {
		for _, events := range []int{0, 1, 3} {
			t.Run(fmt.Sprint(e.Name, ", after ", events), func(t *testing.T) {
				t.Parallel()
				s := openSocket(t, simulator.Options{}, &e)
				c := s.connect()
				c.send(on("waits", wait(s.say("gpt-5-mini", "I shall wait"))))
				s.pass(1)
				s.want(c, "response.created")
				c.send(script(s.say("gpt-5-mini", "hello"), fmt.Sprintf("cut-events=%d", events)))
				for range events {
					s.next(c)
				}
				lanes := map[string]bool{}
				for range 2 {
					lanes[s.fault(c, 502, "provider_broken").StreamID] = true
				}
				if !lanes[""] || !lanes["waits"] {
					t.Errorf("told in the lanes %v", lanes)
				}
				closed(s, c, 1011)
				s.counted()
				s.Settled()
			})
		}
	}
}

// The provider's limit of a connection's life reaches the client as the provider says it.
func TestSocketLifetime(t *testing.T) {
	t.Parallel()
	overSockets(t, simulator.Options{Lifetime: 1500 * time.Millisecond}, twoEntries, func(s *socketSession) {
		c := s.connect()
		c.send(s.say("gpt-5-mini", "hello"))
		s.completed(c)
		s.fault(c, 400, "websocket_connection_limit_reached")
		closed(s, c, 1001)
	})
}

// A gateway that shuts down lets turns end, and then closes with 1001.
func TestSocketShutdown(t *testing.T) {
	t.Parallel()
	for _, e := range twoEntries {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			s := openSocket(t, simulator.Options{}, &e)
			idle := s.connect()
			idle.send(s.say("gpt-5-mini", "I am done"))
			s.completed(idle)
			c := s.connect()
			c.send(wait(s.say("gpt-5-mini", "I take my time")))
			s.pass(1)
			s.want(c, "response.created")

			down := make(chan error, 1)
			go func() { down <- s.rig.Router.Shutdown(s.ctx) }()
			closed(s, idle, 1001)
			c.send(on("late", s.say("gpt-5-mini", "one more")))
			late := s.want(c, "error").AsResponsesServerEventResponseWsError()
			if late.Status != 503 || late.Error.Code != "shutting_down" || late.StreamID != "late" {
				s.T.Errorf("got %s", late.RawJSON())
			}
			s.more = append(s.more, rig.Uncounted{Lane: "late", Status: 503, Code: "shutting_down", Refused: true})
			s.open()
			s.answered(s.completed(c), responses.ResponseStatusCompleted, "You said: I take my time", simulator.Usage{Prompt: 4, Completion: 6})
			closed(s, c, 1001)
			s.Do(<-down)

			var answer *http.Response
			_, err := s.Responses.Connect(s.ctx, responses.ResponseConnectionOptions{}, option.WithResponseInto(&answer))
			if err == nil || answer == nil || answer.StatusCode != 503 || answer.Header.Get("Retry-After") == "" {
				s.T.Errorf("a handshake after the shutdown: %v, %v", answer, err)
			}
			s.more = append(s.more, rig.Uncounted{Status: 503, Code: "shutting_down", Refused: true})
			s.counted()
			s.Settled()
		})
	}
}

// A client that goes away in the middle of a turn takes it along: the provider is not kept
// at work, and the turn is recorded.
func TestSocketAborted(t *testing.T) {
	t.Parallel()
	for _, e := range twoEntries {
		for _, politely := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, politely=%t", e.Name, politely), func(t *testing.T) {
				t.Parallel()
				s := openSocket(t, simulator.Options{}, &e)
				s.aborted = llmproxy.OutcomeCancelled
				c := s.connect()
				c.send(s.say("gpt-5-mini", "this one ends"))
				s.completed(c)
				c.send(wait(s.say("gpt-5-mini", "this one does not")))
				s.pass(3)
				s.want(c, "response.created")
				c.send(wait(on("other", s.say("gpt-4o-mini", "nor does this"))))
				s.arrived(3)
				if politely {
					c.leave()
				} else {
					c.Abort()
				}
				s.counted()
				s.Settled()
			})
		}
	}
}

// The end of a context ends the wait for an event, and nothing else.
func TestSocketContext(t *testing.T) {
	t.Parallel()
	overSockets(t, simulator.Options{}, twoEntries, func(s *socketSession) {
		c := s.connect()
		c.send(wait(s.say("gpt-5-mini", "hello")))
		ctx, cancel := context.WithCancel(s.ctx)
		cancel()
		if _, err := c.Recv(ctx); !errors.Is(err, context.Canceled) {
			s.T.Errorf("got %v", err)
		}
		s.open()
		s.completed(c)
		c.leave()
	})
}

// A client that gives up its handshake while the provider hangs leaves no socket behind.
func TestSocketHandshakeGivenUp(t *testing.T) {
	t.Parallel()
	s := openSocket(t, simulator.Options{Script: func(*http.Request) simulator.Script {
		return simulator.Script{BeforeHeader: simulator.Never}
	}}, &twoEntries[0])
	ctx, cancel := context.WithCancel(s.ctx)
	connected := make(chan error, 1)
	go func() {
		_, err := s.Responses.Connect(ctx, responses.ResponseConnectionOptions{})
		connected <- err
	}()
	s.rig.Await(func(rs []simulator.Request) bool { return len(rs) == 1 })
	cancel()
	if err := <-connected; !errors.Is(err, context.Canceled) {
		s.T.Errorf("got %v", err)
	}
	s.Departed()
	s.rig.Skip()
	rec := s.rig.Record()
	if rec.Status != 499 || rec.Outcome != llmproxy.OutcomeCancelled || rec.Usage != (llmproxy.Usage{}) || rec.UsageSource != llmproxy.UsageNone {
		s.T.Errorf("record %+v", rec)
	}
	s.Settled()
}

// refusals are answers of a provider to a handshake, and what becomes of them.
var refusals = []struct {
	script simulator.Script
	status int // that the client sees
	code   string
	close  coder.StatusCode // where it was upgraded before
}{
	{simulator.Script{Status: 403}, 502, "provider_auth", 1011},
	{simulator.Script{Status: 404}, 404, "", 1008},
	{simulator.Script{Status: 429, Code: "rate_limit_exceeded", RetryAfter: "7"}, 429, "rate_limit_exceeded", 1011},
	{simulator.Script{Status: 500}, 500, "server_error", 1011},
	{simulator.Script{Status: 503}, 503, "", 1011},
	{simulator.Script{Redirect: "http://127.0.0.1:1/"}, 502, "provider_unreachable", 1011},
}

// A provider that refuses the handshake: where the handshake names it, the client sees
// its answer.
func TestSocketRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range refusals {
		t.Run(fmt.Sprint(tt.script.Status), func(t *testing.T) {
			t.Parallel()
			s := openSocket(t, simulator.Options{Script: func(*http.Request) simulator.Script { return tt.script }}, &twoEntries[0])
			var answer *http.Response
			_, err := s.Responses.Connect(s.ctx, responses.ResponseConnectionOptions{}, option.WithResponseInto(&answer))
			if err == nil || answer == nil || answer.StatusCode != tt.status || answer.Header.Get("Retry-After") != tt.script.RetryAfter {
				t.Errorf("got %v, %v, want %d", answer, err, tt.status)
			}
			s.rig.Skip()
			rec := s.rig.Record()
			if rec.Status != tt.status || rec.Outcome != llmproxy.OutcomeError || len(rec.Attempts) != 1 || rec.Turn != 0 || rec.UsageSource != llmproxy.UsageNone {
				t.Errorf("record %+v", rec)
			}
			s.Settled()
		})
	}
}

// Where only the first message names it, the refusal is an error event with the
// provider's status, and the connection ends.
func TestSocketRefusedAfterTheUpgrade(t *testing.T) {
	t.Parallel()
	for _, tt := range refusals {
		t.Run(fmt.Sprint(tt.script.Status), func(t *testing.T) {
			t.Parallel()
			s := openSocket(t, simulator.Options{Script: func(*http.Request) simulator.Script { return tt.script }}, &twoEntries[1])
			c := s.connect()
			c.send(on("main", s.say("gpt-5-mini", "hello")))
			e := s.want(c, "error").AsResponsesServerEventResponseWsError()
			if int(e.Status) != tt.status || tt.code != "" && e.Error.Code != tt.code || e.StreamID != "main" {
				t.Errorf("got %s, want %d %s", e.RawJSON(), tt.status, tt.code)
			}
			closed(s, c, tt.close)
			s.rig.Skip()
			rec := s.rig.Record()
			if rec.Status != tt.status || rec.Outcome != llmproxy.OutcomeError || len(rec.Attempts) != 1 || rec.Lane != "main" || rec.UsageSource != llmproxy.UsageNone {
				t.Errorf("record %+v", rec)
			}
			s.Settled()
		})
	}
}

// A provider without the mode, or a gateway without it: 426, before the upgrade.
func TestSocketNotServed(t *testing.T) {
	t.Parallel()
	without := func(config openai_compatible.Config, opts ...llmproxy.Option) func(*testing.T, string) *session {
		return func(t *testing.T, base string) *session {
			config := config
			config.APIKey = providerKey
			r := rig.NewSockets(t, setup(simulator.Options{APIKey: providerKey}, config, opts...))
			s := r.Enter(rig.Entry{Base: base})
			return newSession(s, "", clientKey, option.WithHTTPClient(s.SocketClient()))
		}
	}
	for _, tt := range []struct {
		name string
		open func(*testing.T, string) *session
		base []string
	}{
		{"a provider without the mode", without(openai_compatible.Config{}), []string{"/" + rig.Decoy + "/v1"}},
		{
			"a provider told not to", without(openai_compatible.Config{WebSocket: new(bool)}),
			[]string{"/v1", "", "/openai/v1", "/openai"},
		},
		{
			"a gateway without the mode", without(openai_compatible.Config{}, llmproxy.WithWebSocket(nil, nil)),
			[]string{"/v1", "/openai/v1"},
		},
	} {
		for _, base := range tt.base {
			t.Run(tt.name+" at "+base, func(t *testing.T) {
				t.Parallel()
				s := tt.open(t, base)
				ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
				defer cancel()
				var answer *http.Response
				_, err := s.Responses.Connect(ctx, responses.ResponseConnectionOptions{}, option.WithResponseInto(&answer))
				if err == nil || answer == nil || answer.StatusCode != http.StatusUpgradeRequired {
					t.Fatalf("got %v, %v", answer, err)
				}
				if len(s.Rig.Simulator.Requests()) != 0 {
					t.Error("the provider was asked")
				}
			})
		}
	}
}
