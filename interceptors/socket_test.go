package interceptors_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/coderws"
	"github.com/llmproxy/llmproxy/interceptors"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// patience bounds the waits for what must come.
const patience = 20 * time.Second

// socketRig is a gateway that serves WebSockets, in front of simulated providers.
type socketRig struct {
	t       *testing.T
	url     string
	router  *llmproxy.AutoRouter
	records chan llmproxy.Record
}

// newSocketRig starts the gateway, without a provider.
func newSocketRig(t *testing.T, opts ...llmproxy.Option) *socketRig {
	t.Helper()
	r := &socketRig{t: t, records: make(chan llmproxy.Record, 64)}
	r.router = llmproxy.NewAutoRouter(append([]llmproxy.Option{
		llmproxy.WithRecorder(recordsTo(r.records)), llmproxy.WithLogger(slog.New(slog.DiscardHandler)),
		llmproxy.WithWebSocket(coderws.Upgrader{}, coderws.Dialer{}),
	}, opts...)...)
	gateway := httptest.NewServer(r.router)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := r.router.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		gateway.Close()
	})
	r.url = "ws" + strings.TrimPrefix(gateway.URL, "http")
	return r
}

// add registers a provider whose handshakes and turns misbehave as the words say, one
// after the other.
func (r *socketRig) add(name string, handshakes, turns []string) llmproxy.Provider {
	r.t.Helper()
	turn := inTurn(turns...)
	return r.addScripted(name, inTurn(handshakes...), func([]byte, int) simulator.Script { return turn(nil) })
}

// addGated registers a provider whose first turn sends an event for each that ch does.
func (r *socketRig) addGated(name string, ch <-chan struct{}) {
	r.t.Helper()
	r.addScripted(name, nil, func(_ []byte, turn int) simulator.Script {
		if turn > 1 {
			return simulator.Script{}
		}
		return simulator.Script{BeforeEvent: simulator.Until(ch)}
	})
}

func (r *socketRig) addScripted(name string, handshake func(*http.Request) simulator.Script, turn func([]byte, int) simulator.Script) llmproxy.Provider {
	r.t.Helper()
	s := simulator.New(simulator.Options{AnyModel: true, Script: handshake, TurnScript: turn})
	upstream := httptest.NewServer(s)
	r.t.Cleanup(s.Close)
	r.t.Cleanup(upstream.Close)
	p, err := openai_compatible.New(openai_compatible.Config{Name: name, Type: "openai", BaseURL: upstream.URL, APIKey: "sk-canary-provider"})
	if err != nil {
		r.t.Fatal(err)
	}
	r.router.RegisterProvider(p)
	return p
}

type recordsTo chan llmproxy.Record

func (r recordsTo) Begin(context.Context, *llmproxy.Record) error { return nil }

func (r recordsTo) Record(_ context.Context, rec *llmproxy.Record) error {
	r <- *rec
	return nil
}

func (r *socketRig) record() llmproxy.Record {
	r.t.Helper()
	select {
	case rec := <-r.records:
		return rec
	case <-time.After(patience):
		r.t.Fatal("no record came")
		panic("unreachable")
	}
}

// lane is a client's connection.
type lane struct {
	t    *testing.T
	conn llmproxy.WSConn
}

func (r *socketRig) connect() *lane {
	r.t.Helper()
	conn, _, err := coderws.Dialer{}.Dial(r.t.Context(), r.url+"/v1/responses", http.Header{})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	return &lane{r.t, conn}
}

// turnEnd is an event of a turn, usually its last.
type turnEnd struct {
	Type     string `json:"type"`
	Status   int    `json:"status"`
	StreamID string `json:"stream_id"`
	Response struct {
		ID string `json:"id"`
	} `json:"response"`
	Error struct {
		Code string `json:"code"`
	} `json:"error"`
}

// turn sends a create with members, and returns its last event; the zero value where the
// connection ended before.
func (l *lane) turn(members string) (e turnEnd) {
	l.t.Helper()
	l.send(`{"type":"response.create","input":"say something",` + members + `}`)
	return l.await("response.completed")
}

func (l *lane) send(message string) {
	l.t.Helper()
	if err := l.conn.WriteMessage(llmproxy.WSText, []byte(message)); err != nil {
		l.t.Fatal(err)
	}
}

// await reads up to an event of that type, or an error; the zero value where the
// connection ended before.
func (l *lane) await(kind string) (e turnEnd) {
	l.t.Helper()
	defer time.AfterFunc(patience, func() { _ = l.conn.Close() }).Stop()
	for {
		_, p, err := l.conn.ReadMessage()
		if err != nil {
			return turnEnd{}
		}
		e = turnEnd{}
		if err := json.Unmarshal(p, &e); err != nil {
			l.t.Fatal(err)
		}
		if e.Type == kind || e.Type == "error" {
			return e
		}
	}
}

// outline is a record's attempts, each as provider and status or error.
func outline(r llmproxy.Record) (list []string) {
	for _, a := range r.Attempts {
		if a.Status == 0 {
			list = append(list, a.Provider+" "+a.Error)
		} else {
			list = append(list, fmt.Sprint(a.Provider, " ", a.Status))
		}
	}
	return list
}

// An error event before response.created is an answer like any other.
func TestRetryOnWebSocket(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		words    []string
		members  string
		attempts []string
		end      string
		status   int
	}{
		{"good at once", nil, ``, []string{"openai 200"}, "response.completed", 0},
		{"twice bad", []string{"status=500", "status=503"}, ``, []string{"openai 500", "openai 503", "openai 200"}, "response.completed", 0},
		{"always bad", []string{"status=503", "status=503", "status=503"}, ``, []string{"openai 503", "openai 503", "openai 503"}, "error", 503},
		{"it says when", []string{"status=429,retry-after-ms=3"}, ``, []string{"openai 429", "openai 200"}, "response.completed", 0},
		{"too long to wait", []string{"status=429,retry-after=600"}, ``, []string{"openai 429"}, "error", 429},
		{"no quota", []string{"status=429,code=insufficient_quota"}, ``, []string{"openai 429"}, "error", 429},
		{"a bad request", []string{"status=400"}, ``, []string{"openai 400"}, "error", 400},
		{"after the beginning", []string{"status=500,cut-events=2"}, ``, []string{"openai 200"}, "error", 500},
		{"the connection is lost", []string{"close=1011"}, ``, []string{"openai provider_broken"}, "error", 502},
		{"in a lane of its own", []string{"status=503"}, `"stream_id":"one",`, []string{"openai 503", "openai 200"}, "response.completed", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newSocketRig(t, llmproxy.WithInterceptor(&interceptors.Retry{Base: 1, MaxWait: 2 * time.Second}))
			r.add("openai", nil, tt.words)
			l := r.connect()
			got, rec := l.turn(tt.members+`"model":"gpt-5-mini"`), r.record()
			if got.Type != tt.end || got.Status != tt.status || got.StreamID == "" != (tt.members == "") {
				t.Errorf("got %+v, want %s %d", got, tt.end, tt.status)
			}
			if list := outline(rec); !slices.Equal(list, tt.attempts) {
				t.Errorf("attempts %v, want %v", list, tt.attempts)
			}
		})
	}
}

// A continuation that has failed is forgotten by the provider, unless it is stored.
func TestRetryOfContinuations(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		members  string
		attempts int
	}{{`"store":false,`, 1}, {`"store":true,`, 2}, {``, 2}} {
		r := newSocketRig(t, llmproxy.WithInterceptor(&interceptors.Retry{Base: 1}))
		r.add("openai", nil, []string{"", "status=503"})
		l := r.connect()
		first := l.turn(tt.members + `"model":"gpt-5-mini"`)
		r.record()
		l.turn(tt.members + `"model":"gpt-5-mini","previous_response_id":"` + first.Response.ID + `"`)
		if rec := r.record(); len(rec.Attempts) != tt.attempts {
			t.Errorf("%s: attempts %v, want %d", tt.members, outline(rec), tt.attempts)
		}
	}
}

// A handshake that the provider refuses when a turn needs it is tried again.
func TestRetryOfHandshakes(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, llmproxy.WithInterceptor(&interceptors.Retry{Base: 1}), llmproxy.WithFallback("openai"))
	r.add("openai", []string{"status=503", "status=500"}, nil)
	r.add("other", nil, nil) // so that the first turn has to say which
	if got := r.connect().turn(`"model":"gpt-5-mini"`); got.Type != "response.completed" {
		t.Errorf("got %+v", got)
	}
	if rec, want := r.record(), []string{"openai 503", "openai 500", "openai 200"}; !slices.Equal(outline(rec), want) {
		t.Errorf("attempts %v, want %v", outline(rec), want)
	}
}

// A create that continues nothing may go to another target, one that does may not.
func TestPoolsOnWebSocket(t *testing.T) {
	t.Parallel()
	pools := &interceptors.Pools{}
	r := newSocketRig(t, llmproxy.WithDetector(pools), llmproxy.WithInterceptor(pools))
	first := r.add("first", nil, []string{"", "status=503", "status=503"})
	second := r.add("second", nil, []string{"", "status=503"})
	pools.Models = map[string][]interceptors.Target{"best": {
		{Provider: &llmproxy.BaseProvider{ID: "none", Speaks: map[llmproxy.APIType]llmproxy.API{llmproxy.APIResponses: {}}, URLs: first}, Tier: -1}, // no WebSocket
		{Provider: first, Model: "m1"}, {Provider: second, Model: "m2", Tier: 1},
	}}
	l := r.connect()
	one := l.turn(`"model":"best"`)
	rec := []llmproxy.Record{r.record()}
	two := l.turn(`"model":"best","previous_response_id":"` + one.Response.ID + `"`)
	rec = append(rec, r.record())
	three := l.turn(`"model":"best"`)
	rec = append(rec, r.record())
	four := l.turn(`"model":"best","previous_response_id":"` + three.Response.ID + `"`)
	rec = append(rec, r.record())
	for i, want := range []struct {
		end      turnEnd
		kind     string
		attempts []string
	}{
		{one, "response.completed", []string{"first 200"}},
		{two, "error", []string{"first 503"}},
		{three, "response.completed", []string{"first 503", "second 200"}},
		{four, "error", []string{"second 503"}},
	} {
		if want.end.Type != want.kind || !slices.Equal(outline(rec[i]), want.attempts) {
			t.Errorf("turn %d: %s by %v, want %s by %v", i+1, want.end.Type, outline(rec[i]), want.kind, want.attempts)
		}
	}
	if rec[2].ModelAsked != "m2" || rec[2].ModelRequested != "best" {
		t.Errorf("record %+v", rec[2])
	}
}

// A refused turn is an error event on its lane; the connection goes on.
func TestLimitsOnWebSocket(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, llmproxy.WithInterceptor(&interceptors.Limits{
		Per: interceptors.PerModel, Quota: interceptors.Quota{Requests: 2}, Quotas: map[string]interceptors.Quota{"other": {Tokens: 1100}},
	}))
	r.add("openai", nil, []string{"", "", "", "prompt-tokens=5000"})
	l := r.connect()
	var got []string
	for _, members := range []string{
		`"model":"gpt-5-mini"`, `"model":"gpt-5-mini"`, `"model":"gpt-5-mini","stream_id":"one"`,
		`"model":"other"`, `"model":"other"`, `"model":"other"`,
	} {
		e := l.turn(members)
		got = append(got, strings.TrimSpace(fmt.Sprint(e.Type, " ", e.Status, " ", e.Error.Code, e.StreamID)))
		rec := r.record()
		if refused := e.Status == 429; refused != (rec.Outcome == llmproxy.OutcomeRejected) {
			t.Errorf("%s: record %+v", members, rec)
		}
	}
	const completed, refused = "response.completed 0", "error 429 rate_limit_exceeded"
	if want := []string{completed, completed, refused + "one", completed, completed, refused}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A turn counts until its end, though nobody but the reader of the socket sees that.
func TestLimitsOfTurns(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	r := newSocketRig(t, llmproxy.WithInterceptor(&interceptors.Limits{Quota: interceptors.Quota{Concurrent: 1}}))
	r.addGated("openai", gate)
	slow, other := r.connect(), r.connect()
	slow.send(`{"type":"response.create","model":"gpt-5-mini","input":"say something"}`)
	gate <- struct{}{}
	slow.await("response.created")
	if got := other.turn(`"model":"gpt-5-mini"`); got.Status != 429 || got.Error.Code != "concurrency_limit_exceeded" {
		t.Errorf("beside it: %+v", got)
	}
	close(gate)
	slow.await("response.completed")
	if got := other.turn(`"model":"gpt-5-mini"`); got.Type != "response.completed" {
		t.Errorf("after it: %+v", got)
	}
}
