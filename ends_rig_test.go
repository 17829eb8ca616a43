package llmproxy_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/coderws"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/bedrock"
	"github.com/llmproxy/llmproxy/providers/googleai"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// endRig is what a cell of the table of ends needs besides a script.
type endRig struct {
	leaves      bool            // the client goes away in the middle of the answer
	drain       bool            // and the provider is heard out: it goes on when the gateway has noticed
	forced      bool            // the gateway is shut down in the middle of the answer, and does not wait
	states      bool            // the provider states its charge
	refusal     string          // the provider's answer is a 400 with this body
	unreachable bool            // nobody is at the provider's address
	noIntents   bool            // the recorder refuses
	limits      llmproxy.Limits // zero: the defaults
}

// reported are the counts that all answers state.
const reported = "prompt-tokens=1200,cached-tokens=1000,completion-tokens=300"

// refusalWithUsage is the body of an error that was charged for all the same.
const refusalWithUsage = `{"error":{"message":"no","type":"invalid_request_error","code":"content_filter"},` +
	`"usage":{"prompt_tokens":1200,"completion_tokens":300,"total_tokens":1500,"prompt_tokens_details":{"cached_tokens":1000}}}`

// endBilling has the prices of loadBilling, for the models of Bedrock too.
func endBilling() *llmproxy.BillingCalculator {
	b := loadBilling()
	return &llmproxy.BillingCalculator{Lookup: func(q llmproxy.CostQuery) (llmproxy.CostInfo, bool) {
		q.Model = strings.TrimPrefix(q.Model, "anthropic.")
		return b.Lookup(q)
	}}
}

// endsRig is a gateway in front of a simulator that speaks as OpenAI, Bedrock and Google
// do, and knows when its client has left.
type endsRig struct {
	*rig
	gone     chan struct{} // closed when the gateway has noticed that the client left
	answered chan struct{} // closed when the provider's header, or first event, has come
	release  chan struct{} // closed to let a provider go on that is heard out
}

func (e endRig) start(t *testing.T, c end) *endsRig {
	t.Helper()
	r := &endsRig{gone: make(chan struct{}), answered: make(chan struct{}), release: make(chan struct{})}
	var left, begun sync.Once
	notice := func() { left.Do(func() { close(r.gone) }) }
	so := simulator.Options{APIKey: providerKey, AnyModel: true}
	// What is heard out waits after three events, or before a body.
	script := simulator.Script{}
	if e.drain && c.transport == overHTTP {
		script.BeforeBody = simulator.Until(r.release)
	} else if e.drain {
		script.BeforeEvent = simulator.At(3, simulator.Until(r.release))
	}
	if e.refusal != "" {
		script.Status, script.Body, script.ContentType = http.StatusBadRequest, e.refusal, "application/json"
	}
	so.Script = func(q *http.Request) simulator.Script {
		if q.Header.Get("Upgrade") != "" {
			return simulator.Script{}
		}
		return script
	}
	so.TurnScript = func([]byte, int) simulator.Script { return script }

	transport := llmproxy.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	var trip http.RoundTripper = transport
	var dialer llmproxy.WSDialer = coderws.Dialer{HandshakeTimeout: patience}
	config := openai_compatible.Config{Name: "openai", Type: "openai", APIKey: providerKey}
	if e.states {
		config.Type, trip, dialer = "xai", statingTrips{trip}, statingDialer{dialer}
	}
	if e.unreachable {
		config.BaseURL = "http://127.0.0.1:1"
	}
	policy := llmproxy.Cancel
	if e.drain {
		policy = llmproxy.Drain(patience)
	}
	r.rig = newSocketRig(t, so,
		llmproxy.WithTransport(trip), llmproxy.WithWebSocket(noticing{coderws.Upgrader{}, notice}, dialer),
		llmproxy.WithBilling(endBilling()), llmproxy.WithDisconnect(policy), llmproxy.WithLimits(e.limits),
		llmproxy.WithInterceptor(llmproxy.InterceptorFunc(func(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
			reply, err := next(ctx, x)
			begun.Do(func() { close(r.answered) })
			return reply, err
		})),
	)
	if e.noIntents {
		llmproxy.WithRecorder(noIntents{r.records})(r.router)
	}
	base := r.provider
	if e.unreachable {
		base = config.BaseURL
	}
	config.BaseURL = base
	own, err := openai_compatible.New(config)
	if err != nil {
		t.Fatal(err)
	}
	aws, err := bedrock.New(bedrock.Config{BaseURL: base, BearerToken: providerKey})
	if err != nil {
		t.Fatal(err)
	}
	google, err := googleai.New(googleai.Config{BaseURL: base, APIKey: providerKey})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []llmproxy.Provider{own, aws, google} {
		r.router.RegisterProvider(p)
	}
	// A gateway that tells when the context of its client has ended.
	noticed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Header.Get("Upgrade") == "" {
			defer context.AfterFunc(q.Context(), notice)()
		}
		r.router.ServeHTTP(w, q)
	}))
	t.Cleanup(noticed.Close)
	r.gateway = noticed.URL
	return r
}

// request returns path, body and provider of what a cell asks for.
func (c end) request(model string) (path, body, provider string) {
	const said = `"tell me one thing"`
	stream := c.transport != overHTTP
	if c.transport == overAWS && c.ask != "invoke" {
		if path = "/model/" + model + "/converse-stream"; c.ask == "nonsense" {
			return path, `{"messages":`, "bedrock"
		}
		return path, `{"messages":[{"role":"user","content":[{"text":` + said + `}]}]}`, "bedrock"
	}
	switch c.ask {
	case "invoke":
		if path = "/model/anthropic." + model + "/invoke"; stream {
			path += "-with-response-stream"
		}
		return path, `{"anthropic_version":"bedrock-2023-05-31","max_tokens":1000,"messages":[{"role":"user","content":` + said + `}]}`, "bedrock"
	case "array":
		return "/v1beta/models/" + model + ":streamGenerateContent", `{"contents":[{"role":"user","parts":[{"text":` + said + `}]}]}`, "googleai"
	case "chat":
		return "/v1/chat/completions", fmt.Sprintf(`{"model":%q,"stream":%t,"messages":[{"role":"user","content":%s}]}`, model, stream, said), "openai"
	case "background":
		return "/v1/responses", fmt.Sprintf(`{"model":%q,"stream":%t,"background":true,"input":%s}`, model, stream, said), "openai"
	case "nonsense":
		return "/v1/responses", fmt.Sprintf(`{"model":%q,"stream":%t,"input":`, model, stream), "openai"
	}
	return "/v1/responses", fmt.Sprintf(`{"model":%q,"stream":%t,"input":%s}`, model, stream, said), "openai"
}

// overHTTP makes c's exchange, and returns when the client has its answer or has left.
func (r *endsRig) overHTTP(c end, model string) {
	r.t.Helper()
	path, body, provider := c.request(model)
	req := r.request("POST", r.gateway+path, strings.NewReader(body), "X-Provider", provider, "X-Simulate", reported+","+c.script)
	if !c.rig.leaves && !c.rig.forced {
		r.do(req)
		return
	}
	ctx, leave := context.WithCancel(r.t.Context())
	defer leave()
	req = req.WithContext(ctx)
	if c.transport == overHTTP {
		go func() {
			r.awaitAnswer(c)
			r.interrupt(c, leave)
		}()
	}
	resp, err := r.client.Do(req)
	switch {
	case err == nil:
		defer resp.Body.Close()
		if c.transport != overHTTP {
			readEvents(r.t, c.transport, resp.Body, 3)
			r.interrupt(c, leave)
		} else if c.rig.leaves {
			r.t.Errorf("an answer came: %d", resp.StatusCode)
		}
	case c.transport != overHTTP || c.rig.forced:
		r.t.Error(err)
	}
	if c.rig.leaves {
		r.letGo()
	}
}

// interrupt does to the exchange what c says: the client leaves, or the gateway ends.
func (r *endsRig) interrupt(c end, leave func()) {
	if c.rig.leaves {
		leave()
		return
	}
	ctx, cancel := context.WithCancel(r.t.Context())
	cancel()
	if err := r.router.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		r.t.Errorf("Shutdown: %v", err)
	}
}

// awaitAnswer waits until the gateway waits for the rest of a body, or for all of it.
func (r *endsRig) awaitAnswer(c end) {
	if c.script == "hang" {
		_, _ = r.simulator.Await(r.t.Context(), simulator.Arrived(1))
		return
	}
	select {
	case <-r.answered:
	case <-r.t.Context().Done():
	}
}

// letGo lets the provider go on, once the gateway has noticed that its client left.
func (r *endsRig) letGo() {
	r.t.Helper()
	select {
	case <-r.gone:
	case <-r.t.Context().Done():
		r.t.Fatal("the gateway has not noticed that the client left")
	}
	close(r.release)
}

// readEvents reads n events.
func readEvents(t *testing.T, transport llmproxy.Transport, body io.Reader, n int) {
	t.Helper()
	one := make([]byte, 1)
	for range n {
		if transport == overAWS {
			length := make([]byte, 4)
			if _, err := io.ReadFull(body, length); err != nil {
				t.Fatal(err)
			}
			if _, err := io.CopyN(io.Discard, body, int64(binary.BigEndian.Uint32(length))-4); err != nil {
				t.Fatal(err)
			}
			continue
		}
		var event []byte
		for !bytes.HasSuffix(event, []byte("\n\n")) {
			if _, err := io.ReadFull(body, one); err != nil {
				t.Fatal(err)
			}
			event = append(event, one...)
		}
	}
}

// overSocket makes c's exchange as the first turn of a WebSocket.
func (r *endsRig) overSocket(c end, model string) {
	r.t.Helper()
	if c.rig.unreachable {
		if _, resp, err := r.handshake("/v1/responses", "X-Provider", "openai"); err == nil || resp == nil || resp.StatusCode != http.StatusBadGateway {
			r.t.Errorf("got %v, %v", resp, err)
		}
		return
	}
	s := r.connect("/v1/responses", "X-Provider", "openai")
	members := fmt.Sprintf(`"metadata":{"simulate":"%s,%s"},"model":%q,"input":"tell me one thing"`, reported, c.script, model)
	if c.ask == "nonsense" {
		members = `"model":["` + model + `"],"input":"tell me one thing"`
	}
	s.create(members)
	if c.rig.leaves || c.rig.forced {
		for range 3 {
			if _, err := s.read(); err != nil {
				r.t.Fatal(err)
			}
		}
		r.interrupt(c, func() { s.conn.Close() })
		if c.rig.leaves {
			r.letGo()
		}
		return
	}
	for {
		e, err := s.read()
		if err != nil {
			r.t.Fatal(err)
		}
		switch e.Type {
		case "response.completed", "response.incomplete", "response.failed", "error":
			s.conn.Close()
			return
		}
	}
}

// noIntents is a recorder that refuses every intent.
type noIntents struct{ recorder }

func (noIntents) Begin(context.Context, *llmproxy.Record) error { return errPlanned }

// noticing upgrades to connections that tell when their client has left, and do not write
// to it any more.
type noticing struct {
	llmproxy.WSUpgrader
	notice func()
}

func (n noticing) Upgrade(w http.ResponseWriter, q *http.Request, header http.Header) (llmproxy.WSConn, error) {
	conn, err := n.WSUpgrader.Upgrade(w, q, header)
	if err != nil {
		return nil, err
	}
	return &noticingConn{WSConn: conn, notice: n.notice, gone: make(chan struct{})}, nil
}

type noticingConn struct {
	llmproxy.WSConn
	notice func()
	once   sync.Once
	gone   chan struct{}
}

func (n *noticingConn) ReadMessage() (int, []byte, error) {
	kind, p, err := n.WSConn.ReadMessage()
	if err != nil {
		n.once.Do(func() { close(n.gone) })
		n.notice()
	}
	return kind, p, err
}

func (n *noticingConn) WriteMessage(kind int, p []byte) error {
	select {
	case <-n.gone:
		return errors.New("the client has left")
	default:
		return n.WSConn.WriteMessage(kind, p)
	}
}
