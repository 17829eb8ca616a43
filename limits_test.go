package llmproxy_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/brotli"
	"github.com/llmproxy/llmproxy/adapter/zstd"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

func gzipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.String()
}

// chunked hides the length of a body.
type chunked struct{ io.Reader }

// What is wrong with a request is said in its dialect, is on the record, and never
// reaches a provider.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	limits := llmproxy.WithLimits(llmproxy.Limits{RequestBody: 1 << 16, Upload: 1 << 16, Header: 4 << 10})
	large := `{"model":"gpt-5-mini","messages":"` + strings.Repeat("x", 1<<16) + `"}`
	for _, tt := range []struct {
		name, method, path string
		body               io.Reader
		fields             []string
		status             int
		code               string
		message            string // a part of it
	}{
		{name: "empty body", body: strings.NewReader(""), status: 400, code: "invalid_request", message: "body is empty"},
		{name: "white space", body: strings.NewReader(" \n"), status: 400, code: "invalid_request", message: "not valid JSON"},
		{name: "not JSON", body: strings.NewReader("model=gpt-5"), status: 400, code: "invalid_request", message: "not valid JSON"},
		{name: "truncated", body: strings.NewReader(`{"model":"gpt-5-mini"`), status: 400, code: "invalid_request", message: "not valid JSON"},
		{name: "trailing comma", body: strings.NewReader(`{"model":"gpt-5-mini",}`), status: 400, code: "invalid_request", message: "not valid JSON"},
		{name: "trailing garbage", body: strings.NewReader(chatJSON + "x"), status: 400, code: "invalid_request", message: "not valid JSON"},
		{name: "second document", body: strings.NewReader(chatJSON + chatJSON), status: 400, code: "invalid_request", message: "not valid JSON"},
		{name: "byte order mark", body: strings.NewReader("\ufeff" + chatJSON), status: 400, code: "invalid_request", message: "not valid JSON"},
		{name: "invalid UTF-8", body: strings.NewReader("{\"model\":\"gpt-5-mini\",\"messages\":\"\xff\"}"), status: 400, code: "invalid_request", message: "not valid JSON"},
		{name: "control byte", body: strings.NewReader("{\"model\":\"gpt-5-mini\",\"messages\":\"\x01\"}"), status: 400, code: "invalid_request", message: "not valid JSON"},
		{name: "an array", body: strings.NewReader(`[{"model":"gpt-5-mini"}]`), status: 400, code: "invalid_request", message: "must be a JSON object"},
		{name: "model twice", body: strings.NewReader(`{"model":"gpt-5-mini","model":"gpt-4o"}`), status: 400, code: "invalid_request", message: "the member model more than once"},
		{name: "model twice, once escaped", body: strings.NewReader(`{"model":"gpt-5-mini","mod\u0065l":"gpt-4o"}`), status: 400, code: "invalid_request", message: "the member model more than once"},
		{name: "stream twice", body: strings.NewReader(`{"stream":true,"stream":false}`), status: 400, code: "invalid_request", message: "the member stream more than once"},
		{name: "include_usage twice", body: strings.NewReader(`{"model":"gpt-5-mini","stream":true,"stream_options":{"include_usage":true,"include_usage":false}}`), status: 400, code: "invalid_request", message: "stream_options has a member more than once"},
		{name: "model is no string", body: strings.NewReader(`{"model":5}`), status: 400, code: "invalid_request", message: "model must be a string"},
		{name: "nesting", body: strings.NewReader(`{"a":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`), status: 400, code: "invalid_request", message: "nest"},
		{name: "nesting without end", body: strings.NewReader(`{"a":` + strings.Repeat("[", 60000)), status: 400, code: "invalid_request", message: "not valid JSON"},
		{name: "body of no API", path: "/", body: strings.NewReader(`{"model":"gpt-5-mini","x":1}`), status: 400, code: "invalid_request", message: "cannot tell the API"},
		{name: "too large", body: strings.NewReader(large), status: 413, code: "request_too_large", message: "limit of 65536 bytes"},
		{name: "too large, of unknown length", body: chunked{strings.NewReader(large)}, status: 413, code: "request_too_large", message: "limit of 65536 bytes"},
		{name: "too large once decoded", body: strings.NewReader(gzipped(large)), fields: []string{"Content-Encoding", "gzip"}, status: 413, code: "request_too_large", message: "decoded"},
		{name: "upload too large", path: "/v1/files", body: strings.NewReader(large), fields: []string{"Content-Type", "multipart/form-data"}, status: 413, code: "request_too_large", message: "the upload is larger"},
		{name: "unknown coding", body: strings.NewReader(chatJSON), fields: []string{"Content-Encoding", "compress"}, status: 415, code: "unsupported_content_encoding", message: `\"compress\"`},
		{name: "coding without its decoder", body: strings.NewReader(chatJSON), fields: []string{"Content-Encoding", "zstd"}, status: 415, code: "unsupported_content_encoding", message: `\"zstd\"`},
		{name: "not gzip", body: strings.NewReader(chatJSON), fields: []string{"Content-Encoding", "gzip"}, status: 400, code: "invalid_request", message: "not validly coded as gzip"},
		{name: "gzip cut short", body: strings.NewReader(gzipped(chatJSON)[:40]), fields: []string{"Content-Encoding", "gzip"}, status: 400, code: "invalid_request", message: "not validly coded as gzip"},
		{name: "headers too large", body: strings.NewReader(chatJSON), fields: []string{"X-Large", strings.Repeat("x", 5000)}, status: 431, code: "headers_too_large", message: "limit of 4096 bytes"},
		{name: "query too large", path: "/v1/chat/completions?x=" + strings.Repeat("x", 5000), body: strings.NewReader(chatJSON), status: 431, code: "headers_too_large", message: "limit of 4096 bytes"},
		{name: "model too long", body: strings.NewReader(`{"model":"` + strings.Repeat("m", 3000) + `"}`), status: 400, code: "invalid_request", message: "name of the model is too long"},
		{name: "bad tags", body: strings.NewReader(chatJSON), fields: []string{"X-Gateway-Tags", "novalue"}, status: 400, code: "invalid_request", message: "X-Gateway-Tags"},
		{name: "unconfigured X-Provider", body: strings.NewReader(chatJSON), fields: []string{"X-Provider", "gone"}, status: 404, code: "provider_not_found", message: `no provider named \"gone\"`},
		{name: "unconfigured mount", path: "/gone/v1/chat/completions", body: strings.NewReader(chatJSON), status: 404, code: "provider_not_found", message: `no provider named \"gone\"`},
		{name: "a dialect the provider does not speak", path: "/v1/messages", body: strings.NewReader(chatJSON), status: 400, code: "", message: `\"openai\" does not speak the API messages`},
		{name: "WebSocket", method: "GET", path: "/v1/responses", fields: []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-Websocket-Version", "13", "Sec-Websocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="}, status: 426, code: "websocket_not_supported", message: "use HTTP"},
		{name: "realtime", method: "GET", path: "/v1/realtime?model=gpt-realtime", status: 404, code: "realtime_not_supported", message: "Realtime"},
		{name: "dot segments", path: "/openai/v1/%2e%2e/x", body: strings.NewReader(chatJSON), status: 400, code: "invalid_request", message: "segments"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, limits)
			method, path := tt.method, tt.path
			if method == "" {
				method = "POST"
			}
			if path == "" {
				path = "/v1/chat/completions"
			}
			body := tt.body
			if body == nil {
				body = http.NoBody
			}
			got := r.do(r.request(method, r.gateway+path, body, tt.fields...))
			if tt.code != "" {
				r.fault(got, tt.status, tt.code)
			}
			if got.status != tt.status || !strings.Contains(got.body, tt.message) {
				t.Errorf("got %d %s, want %d and %q", got.status, got.body, tt.status, tt.message)
			}
			r.uncalled()
			rec := r.record()
			r.noMore()
			if rec.Outcome != llmproxy.OutcomeRejected || rec.Status != tt.status || rec.UsageSource != llmproxy.UsageNone ||
				rec.CostState != llmproxy.CostFree || rec.Error == nil || rec.ID != got.header.Get("X-Gateway-Request-Id") {
				t.Errorf("record %+v", rec)
			}
		})
	}
}

// An upload of unknown length is found out on its way; the provider does not get it
// whole.
func TestUploadLimitOnTheWay(t *testing.T) {
	t.Parallel()
	r := newRig(t, llmproxy.WithLimits(llmproxy.Limits{Upload: 1 << 16}))
	got := r.do(r.request("POST", r.gateway+"/v1/files", chunked{strings.NewReader(strings.Repeat("x", 1<<17))}, "Content-Type", "multipart/form-data; boundary=x"))
	r.fault(got, 413, "request_too_large")
	for _, req := range r.simulator.Requests() {
		if req.BodyRead {
			t.Errorf("the provider received an upload of %d bytes as whole", req.Size)
		}
	}
}

// An unknown path is answered, and is nobody's exchange.
func TestUnknownRoute(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.fault(r.do(r.request("GET", r.gateway+"/favicon.ico", http.NoBody)), 404, "route_not_found")
	r.noMore()
	r.uncalled()
}

// Compressed requests arrive plain.
func TestContentCodings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ coding, body string }{
		{"gzip", gzipped(chatJSON)},
		{"zstd", string(compress(t, "zstd", chatJSON))},
		{"br", string(compress(t, "br", chatJSON))},
		{"gzip, zstd", string(compress(t, "zstd", gzipped(chatJSON)))},
		{"identity", chatJSON},
	} {
		t.Run(tt.coding, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, llmproxy.WithDecoder(zstd.Coding, zstd.NewReader), llmproxy.WithDecoder(brotli.Coding, brotli.NewReader))
			got := r.post("/v1/chat/completions", tt.body, "Content-Encoding", tt.coding)
			if got.status != 200 {
				t.Fatalf("got %d %s", got.status, got.body)
			}
			req := r.simulator.Requests()[0]
			if string(req.Body) != chatJSON || tt.coding != "identity" && req.Header.Get("Content-Encoding") != "" || req.ContentLength != int64(len(chatJSON)) {
				t.Errorf("the provider received %q, %v", req.Body, req.Header)
			}
			_ = r.record()
		})
	}
}

// More exchanges than may run are refused, and those that end make room.
func TestConcurrencyLimit(t *testing.T) {
	t.Parallel()
	step := make(chan struct{})
	r := newRigOf(t, simulator.Options{Script: func(*http.Request) simulator.Script {
		return simulator.Script{BeforeHeader: simulator.Until(step)}
	}}, openai_compatible.Config{Type: "openai"}, llmproxy.WithLimits(llmproxy.Limits{Concurrent: 1}))
	first := make(chan answer)
	go func() { first <- r.post("/v1/chat/completions", chatJSON) }()
	if _, err := r.simulator.Await(t.Context(), simulator.Arrived(1)); err != nil {
		t.Fatal(err)
	}
	second := r.post("/v1/chat/completions", chatJSON)
	r.fault(second, 503, "too_many_exchanges")
	if second.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After is %q", second.header.Get("Retry-After"))
	}
	if rec := r.record(); rec.Outcome != llmproxy.OutcomeRejected || rec.Status != 503 {
		t.Errorf("record %+v", rec)
	}
	close(step)
	if got := <-first; got.status != 200 {
		t.Errorf("the first got %d", got.status)
	}
	_ = r.record()
	if got := r.post("/v1/chat/completions", chatJSON); got.status != 200 {
		t.Errorf("after the first, got %d", got.status)
	}
}

// A provider that is silent for too long is given up.
func TestProviderTimeouts(t *testing.T) {
	t.Parallel()
	soon := 20 * time.Millisecond
	t.Run("no header", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, llmproxy.WithLimits(llmproxy.Limits{ResponseHeaderTimeout: soon}))
		r.fault(r.post("/v1/chat/completions", chatJSON, "X-Simulate", "hang"), 504, "provider_timeout")
		if rec := r.record(); rec.Outcome != llmproxy.OutcomeError || rec.Status != 504 || rec.CostState != llmproxy.CostUnpriced {
			t.Errorf("record %+v", rec)
		}
	})
	t.Run("no header, the provider's own time", func(t *testing.T) {
		t.Parallel()
		r := newRigOf(t, simulator.Options{}, openai_compatible.Config{Type: "openai", Timeout: soon})
		r.fault(r.post("/v1/chat/completions", chatJSON, "X-Simulate", "hang"), 504, "provider_timeout")
		_ = r.record()
	})
	t.Run("no body", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, llmproxy.WithLimits(llmproxy.Limits{StreamIdleTimeout: soon}))
		r.fault(r.post("/v1/chat/completions", chatJSON, "X-Simulate", "hang=body"), 504, "provider_timeout")
		if rec := r.record(); rec.Outcome != llmproxy.OutcomeError || rec.Status != 504 {
			t.Errorf("record %+v", rec)
		}
	})
	t.Run("a stream that stops", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, llmproxy.WithLimits(llmproxy.Limits{StreamIdleTimeout: soon}))
		got := r.post("/v1/chat/completions", chatStream, "X-Simulate", "hang=2")
		if got.status != 200 || got.err == nil || !strings.Contains(got.body, `"code":"provider_timeout"`) {
			t.Errorf("got %d, %v, %q", got.status, got.err, got.body)
		}
		if rec := r.record(); rec.Outcome != llmproxy.OutcomeError || rec.Status != 200 || rec.Error.Code != "provider_timeout" {
			t.Errorf("record %+v", rec)
		}
	})
}

// A client that stops sending, or taking, does not hold an exchange for ever.
func TestClientTimeouts(t *testing.T) {
	t.Parallel()
	t.Run("sending", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, llmproxy.WithLimits(llmproxy.Limits{ClientIdleTimeout: 20 * time.Millisecond}))
		pr, pw := io.Pipe()
		defer pw.Close()
		go func() { _, _ = pw.Write([]byte(`{"model":`)) }()
		r.fault(r.do(r.request("POST", r.gateway+"/v1/chat/completions", pr)), 408, "request_timeout")
		r.uncalled()
		if rec := r.record(); rec.Outcome != llmproxy.OutcomeRejected || rec.Status != 408 {
			t.Errorf("record %+v", rec)
		}
	})
	t.Run("taking", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, llmproxy.WithLimits(llmproxy.Limits{ClientIdleTimeout: 50 * time.Millisecond}))
		resp, err := r.client.Do(r.request("POST", r.gateway+"/v1/chat/completions", strings.NewReader(chatStream), "X-Simulate", "huge=67108864"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		// Nothing is read: the network's buffers fill, and the write must give up.
		if rec := r.record(); rec.Outcome != llmproxy.OutcomeCancelled || rec.Status != 499 {
			t.Errorf("record %+v", rec)
		}
	})
}

// An answer above the meter's bound passes; the record says that it was not read.
func TestFrameLimit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ body, script string }{
		{chatStreamAdded, "huge=200000"},
		{chatJSON, "json-bytes=200000"},
	} {
		r := newRig(t, llmproxy.WithLimits(llmproxy.Limits{Frame: 1 << 16}))
		want := r.direct("/v1/chat/completions", tt.body, "X-Simulate", tt.script)
		got := r.post("/v1/chat/completions", tt.body, "X-Simulate", tt.script)
		if got.err != nil || got.body != want.body {
			t.Errorf("%s: got %d bytes, %v, want %d", tt.script, len(got.body), got.err, len(want.body))
		}
		if rec := r.record(); !rec.Unread || rec.Outcome != llmproxy.OutcomeCompleted {
			t.Errorf("%s: record %+v", tt.script, rec)
		}
	}
}

// The dividing line between token headers and token trailers is 1 MiB.
func TestTokensInHeaderOrTrailer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		size    int
		trailer bool
	}{{1 << 20, false}, {1<<20 + 1, true}, {5 << 20, true}} {
		for _, gz := range []string{"", ",gzip"} {
			r := newRig(t)
			script := fmt.Sprintf("json-bytes=%d%s", tt.size, gz)
			got := r.post("/v1/chat/completions", chatJSON, "X-Simulate", script)
			if got.err != nil || len(got.body) != tt.size || !strings.HasPrefix(got.body, `{"padding":`) {
				t.Fatalf("%s: %d bytes, %v", script, len(got.body), got.err)
			}
			in, out := got.header, got.trailer
			if tt.trailer {
				in, out = out, in
			}
			rec := r.record()
			if in.Get("X-Gateway-Prompt-Tokens") != fmt.Sprint(rec.Usage.PromptTokens) || in.Get("X-Gateway-Completion-Tokens") != fmt.Sprint(rec.Usage.CompletionTokens) {
				t.Errorf("%s: header %v, trailer %v, usage %+v", script, got.header, got.trailer, rec.Usage)
			}
			if out.Get("X-Gateway-Prompt-Tokens") != "" {
				t.Errorf("%s: token counts in both header and trailer", script)
			}
			if hasLength := got.header.Get("Content-Length") != ""; hasLength == tt.trailer {
				t.Errorf("%s: Content-Length %q", script, got.header.Get("Content-Length"))
			}
			if got.header.Get("Content-Encoding") != "" {
				t.Errorf("%s: Content-Encoding %q", script, got.header.Get("Content-Encoding"))
			}
		}
	}
}

// Shutdown lets what runs finish, refuses what comes, and ends what outlives its time.
func TestShutdown(t *testing.T) {
	t.Parallel()
	step := make(chan struct{})
	r := newRigOf(t, simulator.Options{Script: func(*http.Request) simulator.Script {
		return simulator.Script{BeforeEvent: simulator.At(2, simulator.Until(step))}
	}}, openai_compatible.Config{Type: "openai"})
	first := make(chan answer)
	go func() { first <- r.post("/v1/chat/completions", chatStream) }()
	if _, err := r.simulator.Await(t.Context(), simulator.Arrived(1)); err != nil {
		t.Fatal(err)
	}
	down := make(chan error)
	go func() { down <- r.router.Shutdown(context.Background()) }()
	for {
		if got := r.post("/v1/chat/completions", chatJSON); got.status == 503 {
			r.fault(got, 503, "shutting_down")
			break
		}
		_ = r.record() // Shutdown has not begun yet
	}
	select {
	case err := <-down:
		t.Fatalf("Shutdown did not wait: %v", err)
	default:
	}
	close(step)
	if got := <-first; got.status != 200 || got.err != nil || !strings.HasSuffix(got.body, "data: [DONE]\n\n") {
		t.Errorf("the running stream got %d, %v", got.status, got.err)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
}

func TestShutdownEndsWhatOutlivesIt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := make(chan answer)
	go func() { first <- r.post("/v1/chat/completions", chatStream, "X-Simulate", "hang=2") }()
	if _, err := r.simulator.Await(t.Context(), simulator.Arrived(1)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.router.Shutdown(ctx); err != context.Canceled { //nolint:errorlint // the very error
		t.Errorf("got %v", err)
	}
	if got := <-first; got.err == nil && got.status == 200 {
		t.Errorf("the stream ended as if whole: %q", got.body)
	}
	if rec := r.record(); rec.Outcome != llmproxy.OutcomeError {
		t.Errorf("record %+v", rec)
	}
}
