package llmproxy_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// Forward gives the whole answer and what the meter read of it.
func TestForward(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, tt := range []struct{ path, body string }{
		{"/v1/chat/completions", chatJSON},
		{"/v1/chat/completions", chatStreamAdded},
		{"/v1/responses", responsesJSON},
	} {
		want := r.direct(tt.path, tt.body)
		resp, meta, err := r.router.Forward(t.Context(), r.request("POST", tt.path, strings.NewReader(tt.body)))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		usage, _ := simulator.UsageOf(tt.path, []byte(tt.body))
		if resp.StatusCode != 200 || string(body) != want.body || meta.Usage.PromptTokens != usage.Prompt ||
			meta.Usage.CompletionTokens != usage.Completion || meta.Custom["provider"] != "openai" {
			t.Errorf("got %d %q, %+v", resp.StatusCode, body, meta)
		}
		_ = r.record()
	}
	resp, _, err := r.router.Forward(t.Context(), r.request("POST", "/v1/chat/completions", strings.NewReader(chatJSON), "X-Simulate", "status=429"))
	if err != nil || resp.StatusCode != 429 {
		t.Errorf("a provider's refusal: %v, %v", resp, err)
	}
	_, _, err = r.router.Forward(t.Context(), r.request("POST", "/v1/chat/completions", strings.NewReader("{")))
	if e, ok := errors.AsType[*llmproxy.Error](err); !ok || e.Status != 400 {
		t.Errorf("our own refusal: %v", err)
	}
	// As in a test, or a tool: no body at all.
	_, _, err = r.router.Forward(t.Context(), &http.Request{Method: "POST", URL: resp.Request.URL, Header: http.Header{}})
	if e, ok := errors.AsType[*llmproxy.Error](err); !ok || e.Status != 400 {
		t.Errorf("no body: %v", err)
	}
	_, _, err = llmproxy.NewAutoRouter().Forward(t.Context(), r.request("POST", "/v1/chat/completions", strings.NewReader(chatJSON)))
	if !errors.Is(err, llmproxy.ErrNoProvider) {
		t.Errorf("no provider: %v", err)
	}
}

// ForwardStreaming leaves the answer to a refusal to its caller.
func TestForwardStreaming(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	want := r.direct("/v1/responses", responsesStream)
	w := httptest.NewRecorder()
	meta, err := r.router.ForwardStreaming(t.Context(), w, r.request("POST", "/v1/responses", strings.NewReader(responsesStream)))
	if err != nil || w.Body.String() != want.body || !w.Flushed || meta.Usage.Reasoning != simulator.ReasoningTokens || meta.Custom["reasoning_tokens"] != simulator.ReasoningTokens {
		t.Errorf("got %v, %+v, %d bytes", err, meta, w.Body.Len())
	}
	w = httptest.NewRecorder()
	req := r.request("POST", "/v1/responses", strings.NewReader("{"))
	_, err = r.router.ForwardStreaming(t.Context(), w, req)
	if err == nil || llmproxy.Begun(err) || w.Body.Len() != 0 {
		t.Errorf("a refusal: %v, %q", err, w.Body)
	}
	llmproxy.WriteError(w, req, err)
	if w.Code != 400 || !strings.Contains(w.Body.String(), `"code":"invalid_request"`) {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	w = httptest.NewRecorder()
	_, err = r.router.ForwardStreaming(t.Context(), w, r.request("POST", "/v1/responses", strings.NewReader(responsesStream), "X-Simulate", "cut-events=3"))
	if !llmproxy.Begun(err) {
		t.Errorf("a cut answer: %v", err)
	}
	if e, ok := errors.AsType[*llmproxy.Error](err); !ok || e.Code != "provider_broken" {
		t.Errorf("a cut answer: %v", err)
	}
}

// A Proxy sends everything to its one provider.
func TestProxy(t *testing.T) {
	t.Parallel()
	sim := simulator.New(simulator.Options{AnyModel: true, BasePaths: []string{"/openai/v1"}})
	upstream := httptest.NewServer(sim)
	t.Cleanup(upstream.Close)
	p, err := openai_compatible.New(openai_compatible.Config{Type: "groq", BaseURL: upstream.URL})
	if err != nil {
		t.Fatal(err)
	}
	transport := llmproxy.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	proxy := llmproxy.NewProxy(p, llmproxy.WithTransport(transport))
	for _, tt := range []struct{ path, want string }{
		{"/v1/chat/completions", "/openai/v1/chat/completions"},
		{"/chat/completions", "/openai/v1/chat/completions"},
		{"/openai/v1/chat/completions", "/openai/v1/chat/completions"},
	} {
		resp, meta, err := proxy.Forward(t.Context(), httptest.NewRequest("POST", tt.path, strings.NewReader(strings.Replace(chatJSON, "gpt-5-mini", "openai/gpt-oss-120b", 1))))
		if err != nil || resp.StatusCode != 200 || meta.Usage.PromptTokens == 0 {
			t.Fatalf("%s: %v, %v", tt.path, resp, err)
		}
		all := sim.Requests()
		last := all[len(all)-1]
		if last.URI != tt.want || !strings.Contains(string(last.Body), `"openai/gpt-oss-120b"`) {
			t.Errorf("%s arrived at %s with %s", tt.path, last.URI, last.Body)
		}
	}
	w := httptest.NewRecorder()
	proxy.ServeHTTP(w, httptest.NewRequest("GET", "/some/thing?x=1", http.NoBody))
	all := sim.Requests()
	if last := all[len(all)-1]; last.URI != "/some/thing?x=1" || w.Code != 404 {
		t.Errorf("arrived at %s, answered %d", last.URI, w.Code)
	}
	if _, err := proxy.ForwardStreaming(t.Context(), httptest.NewRecorder(), httptest.NewRequest("POST", "/v1/chat/completions", strings.NewReader(chatStream))); err != nil {
		t.Error(err)
	}
	if err := proxy.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// Without metering nothing is read, held, asked for or announced.
func TestWithoutMetering(t *testing.T) {
	t.Parallel()
	r := newRig(t, llmproxy.WithMetering(false))
	for _, body := range []string{chatJSON, chatStream} {
		want := r.direct("/v1/chat/completions", body)
		got := r.post("/v1/chat/completions", body)
		if got.body != want.body || got.header.Get("Content-Length") != want.header.Get("Content-Length") || len(got.trailer) != 0 || got.header.Get("X-Gateway-Prompt-Tokens") != "" {
			t.Errorf("got %q %v %v", got.body, got.header, got.trailer)
		}
		if rec := r.record(); rec.UsageSource != llmproxy.UsageNone {
			t.Errorf("record %+v", rec)
		}
	}
}

// wrapped is a middleware's response writer: only Unwrap leads to Flush.
type wrapped struct{ w http.ResponseWriter }

func (w *wrapped) Header() http.Header         { return w.w.Header() }
func (w *wrapped) Write(b []byte) (int, error) { return w.w.Write(b) }
func (w *wrapped) WriteHeader(status int)      { w.w.WriteHeader(status) }
func (w *wrapped) Unwrap() http.ResponseWriter { return w.w }

func TestWrappedResponseWriter(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	inner := httptest.NewRecorder()
	r.router.ServeHTTP(&wrapped{inner}, r.request("POST", "/v1/chat/completions", strings.NewReader(chatStream)))
	if !inner.Flushed || !strings.HasSuffix(inner.Body.String(), "data: [DONE]\n\n") {
		t.Errorf("flushed %t, %q", inner.Flushed, inner.Body)
	}
	_ = r.record()
}

// bare has neither Flush nor deadlines.
type bare struct {
	header http.Header
	body   strings.Builder
}

func (b *bare) Header() http.Header         { return b.header }
func (b *bare) Write(p []byte) (int, error) { return b.body.Write(p) }
func (b *bare) WriteHeader(int)             {}

func TestBareResponseWriter(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := &bare{header: http.Header{}}
	r.router.ServeHTTP(w, r.request("POST", "/v1/chat/completions", strings.NewReader(chatStream)))
	if !strings.HasSuffix(w.body.String(), "data: [DONE]\n\n") {
		t.Errorf("got %q", w.body.String())
	}
	_ = r.record()
}
