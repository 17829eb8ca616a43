package interceptorstest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
)

// patience bounds the waits for what must come.
const patience = 20 * time.Second

// rig is a gateway with the chain in front of the upstream.
type rig struct {
	t       *testing.T
	suite   Suite
	does    Case // what the chain does
	gateway string
	client  *http.Client
	records chan llmproxy.Record

	mu      sync.Mutex // guards the following
	flaky   bool       // the next call is to fail
	calls   []*call    // over HTTP
	sockets socketLog
	streams map[string]llmproxy.Stream // good answers as the innermost interceptor got them, by exchange
	changed []string                   // exchanges whose stream was another one in the end
}

// call is one that reached the upstream.
type call struct {
	body   string
	status int
	answer bytes.Buffer // as far as it has been read
}

func newRig(t *testing.T, s Suite, chain []Case, does Case) *rig {
	t.Helper()
	r := &rig{t: t, suite: s, does: does, records: make(chan llmproxy.Record, 256), streams: map[string]llmproxy.Stream{}}
	upstream := httptest.NewServer(s.Upstream(t))
	t.Cleanup(upstream.Close)
	providers := []llmproxy.Provider{s.Provider(t, "first", upstream.URL), s.Provider(t, "second", upstream.URL)}
	interceptors := []llmproxy.Interceptor{llmproxy.InterceptorFunc(r.outermost)}
	for _, c := range chain {
		interceptors = append(interceptors, c.New(t, providers))
	}
	interceptors = append(interceptors, llmproxy.InterceptorFunc(r.innermost))
	transport := llmproxy.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	router := llmproxy.NewAutoRouter(
		llmproxy.WithProvider(providers...), llmproxy.WithFallback("first"), llmproxy.WithRecorder(recorder(r.records)),
		llmproxy.WithTransport(&watchedTransport{r, transport}), llmproxy.WithWebSocket(s.Upgrader, &watchedDialer{r, s.Dialer}),
		llmproxy.WithInterceptor(interceptors...), llmproxy.WithLogger(slog.New(slog.DiscardHandler)),
	)
	gateway := httptest.NewServer(router)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := router.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		gateway.Close()
	})
	r.gateway = gateway.URL
	own := &http.Transport{DisableCompression: true}
	t.Cleanup(own.CloseIdleConnections)
	r.client = &http.Client{Transport: own, Timeout: patience}
	return r
}

// recorder sends each record into a channel.
type recorder chan llmproxy.Record

func (r recorder) Begin(context.Context, *llmproxy.Record) error { return nil }

func (r recorder) Record(_ context.Context, rec *llmproxy.Record) error {
	r <- *rec
	return nil
}

// record waits for the next record.
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

// noMore checks that no record is left.
func (r *rig) noMore() {
	r.t.Helper()
	select {
	case rec := <-r.records:
		r.t.Errorf("a further record: %+v", rec)
	default:
	}
}

// innermost notes the streams of good answers.
func (r *rig) innermost(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
	reply, err := next(ctx, x)
	if err == nil && reply.StatusCode < 300 {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.streams[x.ID] = reply.Stream
	}
	return reply, err
}

// outermost notes whose streams are others by now.
func (r *rig) outermost(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
	reply, err := next(ctx, x)
	if err == nil && reply.StatusCode < 300 {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.streams[x.ID] != reply.Stream {
			r.changed = append(r.changed, x.ID)
		}
	}
	return reply, err
}

// untouched checks that no good answer was read or wrapped on its way.
func (r *rig) untouched() {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.does.ReadsAnswer && !r.does.ChangesAnswer && len(r.changed) > 0 {
		r.t.Errorf("the stream was wrapped: not the direct path")
	}
}

// overload is how the upstream fails the first call of what is flaky.
const overload = `{"error":{"message":"overloaded","type":"server_error","param":null,"code":"server_is_overloaded"}}`

// watchedTransport notes what passes, and fails where it is told.
type watchedTransport struct {
	rig  *rig
	next http.RoundTripper
}

func (w *watchedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	c := &call{}
	if req.Body != nil {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		_ = req.Body.Close()
		c.body = string(body)
		if req.ContentLength >= 0 && req.ContentLength != int64(len(body)) {
			return nil, fmt.Errorf("a Content-Length of %d with a body of %d", req.ContentLength, len(body))
		}
		req.Body = io.NopCloser(strings.NewReader(c.body))
	}
	w.rig.mu.Lock()
	fails := w.rig.flaky
	w.rig.flaky = false
	w.rig.calls = append(w.rig.calls, c)
	w.rig.mu.Unlock()
	if fails {
		c.status = http.StatusServiceUnavailable
		c.answer.WriteString(overload)
		return &http.Response{
			StatusCode: c.status, ProtoMajor: 1, ProtoMinor: 1, Request: req, ContentLength: int64(len(overload)),
			Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(overload)),
		}, nil
	}
	resp, err := w.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	c.status = resp.StatusCode
	resp.Body = &watchedBody{resp.Body, &c.answer}
	return resp, nil
}

// watchedBody keeps what is read of a body.
type watchedBody struct {
	io.ReadCloser
	read *bytes.Buffer
}

func (w *watchedBody) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	w.read.Write(p[:n])
	return n, err
}
