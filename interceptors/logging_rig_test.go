package interceptors_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/coderws"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/anthropic"
	"github.com/llmproxy/llmproxy/providers/bedrock"
	"github.com/llmproxy/llmproxy/providers/googleai"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

const (
	siteKey    = "sk-canary-site-provider"
	visitorKey = "sk-canary-site-client"
	secretText = "canary-prompt-words"
)

// site is a gateway that serves HTTP and WebSockets, in front of one simulator that is
// every provider.
type site struct {
	t         *testing.T
	simulator *simulator.Server
	gateway   string
	router    *llmproxy.AutoRouter
	providers map[string]llmproxy.Provider
	records   chan llmproxy.Record
	frames    chan string // the creates that the provider got on WebSockets
	client    *http.Client
}

// newSite starts one with the interceptors. Models go to the providers that they are of.
func newSite(t *testing.T, is ...llmproxy.Interceptor) *site {
	return newSiteOf(t, llmproxy.Caller{}, is...)
}

// newSiteOf starts one all of whose requests are made on behalf of caller.
func newSiteOf(t *testing.T, caller llmproxy.Caller, is ...llmproxy.Interceptor) *site {
	t.Helper()
	s := &site{t: t, providers: map[string]llmproxy.Provider{}, records: make(chan llmproxy.Record, 256), frames: make(chan string, 256)}
	s.simulator = simulator.New(simulator.Options{AnyModel: true, TurnScript: func(frame []byte, _ int) simulator.Script {
		s.frames <- string(frame)
		return simulator.Script{}
	}})
	up := httptest.NewServer(s.simulator)
	t.Cleanup(up.Close)
	t.Cleanup(s.simulator.Close)
	transport := llmproxy.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	opts := []llmproxy.Option{
		llmproxy.WithRecorder(siteRecorder(s.records)), llmproxy.WithTransport(transport),
		llmproxy.WithLogger(slog.New(slog.DiscardHandler)), llmproxy.WithInterceptor(is...),
		llmproxy.WithWebSocket(coderws.Upgrader{}, coderws.Dialer{}), llmproxy.WithBilling(siteBilling()),
	}
	for _, typ := range []string{"openai", "xai", "fireworks", "groq"} {
		p, err := openai_compatible.New(openai_compatible.Config{Type: typ, BaseURL: up.URL, APIKey: siteKey})
		s.register(p, err)
	}
	a, err := anthropic.New(anthropic.Config{BaseURL: up.URL, APIKey: siteKey})
	s.register(a, err)
	b, err := bedrock.New(bedrock.Config{Region: "us-east-1", BaseURL: up.URL, BearerToken: siteKey})
	s.register(b, err)
	g, err := googleai.New(googleai.Config{BaseURL: up.URL, APIKey: siteKey})
	s.register(g, err)
	for _, p := range s.providers {
		opts = append(opts, llmproxy.WithProvider(p))
	}
	s.router = llmproxy.NewAutoRouter(opts...)
	handler := http.Handler(s.router)
	if caller.Key != "" {
		handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.router.ServeHTTP(w, r.WithContext(llmproxy.WithCaller(r.Context(), caller)))
		})
	}
	gateway := httptest.NewServer(handler)
	t.Cleanup(gateway.Close)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), sitePatience)
		defer cancel()
		if err := s.router.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	s.gateway = gateway.URL
	clientTransport := &http.Transport{DisableCompression: true}
	t.Cleanup(clientTransport.CloseIdleConnections)
	s.client = &http.Client{Transport: clientTransport}
	return s
}

func (s *site) register(p llmproxy.Provider, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	s.providers[p.Name()] = p
}

// siteBilling charges a microdollar for each token of models whose names begin with gpt.
func siteBilling() *llmproxy.BillingCalculator {
	return &llmproxy.BillingCalculator{Lookup: func(q llmproxy.CostQuery) (llmproxy.CostInfo, bool) {
		const each = 1_000_000 // picodollars
		return llmproxy.CostInfo{Input: each, CacheRead: each, Output: each, Reasoning: each}, strings.HasPrefix(q.Model, "gpt")
	}}
}

const sitePatience = 20 * time.Second

type siteRecorder chan llmproxy.Record

func (r siteRecorder) Begin(context.Context, *llmproxy.Record) error { return nil }

func (r siteRecorder) Record(_ context.Context, rec *llmproxy.Record) error {
	r <- *rec
	return nil
}

// post sends a JSON body; fields are name, value …. It returns the answer with its body.
func (s *site) post(path, body string, fields ...string) (*http.Response, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.gateway+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+visitorKey)
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Errorf("the answer broke off: %v", err)
	}
	return resp, string(answer)
}

// turns sends each of creates on one WebSocket, one after the other, and returns what came
// up to the end of each.
func (s *site) turns(fields []string, creates ...string) (answers [][]string) {
	s.t.Helper()
	header := http.Header{"Authorization": {"Bearer " + visitorKey}}
	for i := 0; i < len(fields); i += 2 {
		header.Set(fields[i], fields[i+1])
	}
	conn, _, err := coderws.Dialer{}.Dial(s.t.Context(), "ws"+strings.TrimPrefix(s.gateway, "http")+"/v1/responses", header)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	timer := time.AfterFunc(sitePatience, func() { conn.Close() })
	defer timer.Stop()
	for _, create := range creates {
		if err := conn.WriteMessage(llmproxy.WSText, []byte(create)); err != nil {
			s.t.Fatal(err)
		}
		var messages []string
		for done := false; !done; {
			_, p, err := conn.ReadMessage()
			if err != nil {
				s.t.Fatalf("after %q: %v", messages, err)
			}
			messages = append(messages, string(p))
			for _, last := range []string{`"type":"response.completed"`, `"type":"response.incomplete"`, `"type":"response.failed"`, `"type":"error"`} {
				done = done || strings.Contains(string(p), last)
			}
		}
		answers = append(answers, messages)
	}
	return answers
}

// record waits for the next record.
func (s *site) record() llmproxy.Record {
	s.t.Helper()
	select {
	case r := <-s.records:
		return r
	case <-time.After(sitePatience):
		s.t.Fatal("no record came")
		panic("unreachable")
	}
}

// sent returns the bodies that the providers got over HTTP.
func (s *site) sent() (bodies []string) {
	for _, r := range s.simulator.Requests() {
		bodies = append(bodies, string(r.Body))
	}
	return bodies
}

var errPlanned = errors.New("planned")

// twice sends what passes a second time when the first answer is a failure.
func twice() llmproxy.Interceptor {
	return llmproxy.InterceptorFunc(func(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
		reply, err := next(ctx, x)
		if err == nil && reply.StatusCode >= 500 {
			_ = reply.Stream.Close()
			return next(ctx, x)
		}
		return reply, err
	})
}
