package otel_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/coderws"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/openai"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// rig is a gateway with interceptors in front of a simulated OpenAI.
type rig struct {
	t         *testing.T
	simulator *simulator.Server
	gateway   string
	records   chan llmproxy.Record
	client    *http.Client
}

func newRig(t *testing.T, is ...llmproxy.Interceptor) *rig {
	t.Helper()
	r := &rig{t: t, simulator: simulator.New(simulator.Options{}), records: make(chan llmproxy.Record, 16)}
	up := httptest.NewServer(r.simulator)
	t.Cleanup(up.Close)
	t.Cleanup(r.simulator.Close)
	p, err := openai.New(openai.Config{BaseURL: up.URL, APIKey: "sk-canary"})
	if err != nil {
		t.Fatal(err)
	}
	transport := llmproxy.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	router := llmproxy.NewAutoRouter(llmproxy.WithProvider(p), llmproxy.WithInterceptor(is...), llmproxy.WithTransport(transport),
		llmproxy.WithRecorder(recorder(r.records)), llmproxy.WithLogger(slog.New(slog.DiscardHandler)),
		llmproxy.WithWebSocket(coderws.Upgrader{}, coderws.Dialer{}),
		llmproxy.WithBilling(&llmproxy.BillingCalculator{Lookup: func(llmproxy.CostQuery) (llmproxy.CostInfo, bool) {
			return llmproxy.CostInfo{Input: 1_000_000, CacheRead: 1_000_000, Output: 2_000_000, Reasoning: 2_000_000}, true
		}}))
	gateway := httptest.NewServer(router)
	t.Cleanup(gateway.Close)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := router.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	r.gateway = gateway.URL
	clientTransport := &http.Transport{}
	t.Cleanup(clientTransport.CloseIdleConnections)
	r.client = &http.Client{Transport: clientTransport}
	return r
}

type recorder chan llmproxy.Record

func (r recorder) Begin(context.Context, *llmproxy.Record) error { return nil }

func (r recorder) Record(_ context.Context, rec *llmproxy.Record) error {
	r <- *rec
	return nil
}

// post sends a Responses body and returns the header of the answer, and its record.
func (r *rig) post(body string, fields ...string) (http.Header, llmproxy.Record) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.gateway+"/v1/responses", strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	resp, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		r.t.Fatal(err)
	}
	return resp.Header, r.record()
}

func (r *rig) record() llmproxy.Record {
	r.t.Helper()
	select {
	case rec := <-r.records:
		return rec
	case <-time.After(patience):
		r.t.Fatal("no record came")
		panic("unreachable")
	}
}

// dial opens a WebSocket that is closed when the test ends or takes too long.
func (r *rig) dial(traceparent string) llmproxy.WSConn {
	r.t.Helper()
	conn, _, err := coderws.Dialer{}.Dial(r.t.Context(), "ws"+strings.TrimPrefix(r.gateway, "http")+"/v1/responses", http.Header{"Traceparent": {traceparent}})
	if err != nil {
		r.t.Fatal(err)
	}
	timer := time.AfterFunc(patience, func() { conn.Close() })
	r.t.Cleanup(func() {
		timer.Stop()
		conn.Close()
	})
	return conn
}

func (r *rig) say(conn llmproxy.WSConn, message string) {
	r.t.Helper()
	if err := conn.WriteMessage(llmproxy.WSText, []byte(message)); err != nil {
		r.t.Fatal(err)
	}
}

// await reads up to an event of the type, and returns it.
func (r *rig) await(conn llmproxy.WSConn, kind string) string {
	r.t.Helper()
	for {
		_, p, err := conn.ReadMessage()
		if err != nil {
			r.t.Fatalf("waiting for %s: %v", kind, err)
		}
		if strings.Contains(string(p), `"type":"`+kind+`"`) {
			return string(p)
		}
	}
}

// turns sends creates on one WebSocket, and returns the records of the turns.
func (r *rig) turns(traceparent string, creates ...string) (records []llmproxy.Record) {
	r.t.Helper()
	conn := r.dial(traceparent)
	for _, create := range creates {
		r.say(conn, create)
		r.await(conn, "response.completed")
		records = append(records, r.record())
	}
	return records
}
