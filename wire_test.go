package llmproxy_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// Only end-to-end fields cross, in both directions, and no credential of the client.
func TestHeaders(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	got := r.post("/v1/chat/completions", chatJSON,
		"Connection", "keep-alive, X-Named", "X-Named", "stays", "Keep-Alive", "5", "Te", "trailers",
		"Proxy-Authorization", "Basic "+clientKey, "X-Api-Key", clientKey, "Api-Key", clientKey, "X-Goog-Api-Key", clientKey,
		"Cookie", "session="+clientKey, "X-Provider", "openai", "X-Org-Id", "victim", "X-Cache-Key", "k",
		"X-Gateway-Tags", "team=a, feature=b", "X-Forwarded-For", "10.0.0.1", "Accept-Encoding", "gzip, br",
		"Openai-Beta", "x=1", "X-Stainless-Lang", "js", "Idempotency-Key", "i", "Traceparent", "00-1-2-01", "User-Agent", "test/1",
		"X-Simulate", "cookies,hop-by-hop")
	if got.status != 200 {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	sent := r.simulator.Requests()[0].Header
	for name, want := range map[string]string{
		"Authorization": "Bearer " + providerKey, "Accept-Encoding": "identity", "Openai-Beta": "x=1",
		"X-Stainless-Lang": "js", "Idempotency-Key": "i", "Traceparent": "00-1-2-01", "User-Agent": "test/1",
		"Content-Type": "application/json",
	} {
		if sent.Get(name) != want {
			t.Errorf("the provider received %s: %q, want %q", name, sent.Get(name), want)
		}
	}
	for _, name := range []string{
		"Connection", "X-Named", "Keep-Alive", "Te", "Proxy-Authorization", "X-Api-Key", "Api-Key", "X-Goog-Api-Key",
		"Cookie", "X-Provider", "X-Org-Id", "X-Cache-Key", "X-Gateway-Tags", "X-Forwarded-For",
	} {
		if v := sent.Values(name); len(v) > 0 {
			t.Errorf("the provider received %s: %q", name, v)
		}
	}
	if all := fmt.Sprint(sent); strings.Contains(all, clientKey) {
		t.Errorf("the client's key reached the provider: %s", all)
	}
	direct := r.direct("/v1/chat/completions", chatJSON, "X-Simulate", "cookies,hop-by-hop")
	for name := range direct.header {
		kept := got.header.Get(name) == direct.header.Get(name)
		switch name {
		case "Date", "Content-Length":
		case "Set-Cookie", "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Upgrade":
			if got.header.Get(name) != "" {
				t.Errorf("the client received %s: %q", name, got.header.Get(name))
			}
		default:
			named := strings.Contains(strings.Join(direct.header.Values("Connection"), ","), name)
			if kept == named && !strings.HasPrefix(name, "X-Gateway-") {
				t.Errorf("%s: client %q, provider sent %q, named by Connection %t", name, got.header.Get(name), direct.header.Get(name), named)
			}
		}
	}
	if got.header.Get("X-Gateway-Provider") != "openai" || got.header.Get("X-Gateway-Model") != "gpt-5-mini" || len(got.header.Get("X-Gateway-Request-Id")) != 26 {
		t.Errorf("our own fields: %v", got.header)
	}
	rec := r.record()
	if rec.Tags["team"] != "a" || rec.Tags["feature"] != "b" || rec.ProviderRequestID != got.header.Get("X-Request-Id") {
		t.Errorf("record %+v", rec)
	}
}

// What a provider answers passes as it is, whatever it is; but a rejection of our own
// credential is our fault.
func TestProviderErrors(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 402, 404, 408, 409, 413, 422, 429, 500, 502, 503, 529} {
		for _, body := range []string{chatJSON, chatStream} {
			r := newRig(t)
			script := fmt.Sprintf("status=%d,retry-after=7,retry-after-ms=7000,should-retry=false", status)
			want := r.direct("/v1/chat/completions", body, "X-Simulate", script)
			got := r.post("/v1/chat/completions", body, "X-Simulate", script)
			if got.status != status || got.body != want.body || got.err != nil {
				t.Errorf("got %d %q, want %d %q", got.status, got.body, status, want.body)
			}
			for _, name := range []string{"Content-Type", "Retry-After", "Retry-After-Ms", "X-Should-Retry", "X-Request-Id", "X-Ratelimit-Limit-Requests"} {
				if got.header.Get(name) != want.header.Get(name) {
					t.Errorf("%d: %s is %q, want %q", status, name, got.header.Get(name), want.header.Get(name))
				}
			}
			rec := r.record()
			r.noMore()
			if rec.Outcome != llmproxy.OutcomeError || rec.Status != status || rec.UsageSource != llmproxy.UsageNone || rec.CostState != llmproxy.CostFree {
				t.Errorf("record %+v", rec)
			}
		}
	}
}

func TestProviderAuth(t *testing.T) {
	t.Parallel()
	for _, status := range []int{401, 403} {
		r := newRig(t)
		got := r.post("/v1/chat/completions", chatJSON, "X-Simulate", fmt.Sprintf("status=%d", status))
		r.fault(got, 502, "provider_auth")
		if got.header.Get("X-Should-Retry") != "false" {
			t.Errorf("X-Should-Retry is %q", got.header.Get("X-Should-Retry"))
		}
		rec := r.record()
		if rec.Outcome != llmproxy.OutcomeError || rec.Status != 502 || rec.CostState != llmproxy.CostFree || rec.Attempts[0].Status != status || rec.Attempts[0].Error != "provider_auth" {
			t.Errorf("record %+v", rec)
		}

		// The client's own credential, and the provider's answer to it.
		r = newRigOf(t, simulator.Options{APIKey: providerKey}, openai_compatible.Config{Type: "openai", ClientKeys: true})
		script := fmt.Sprintf("status=%d", status)
		want := r.direct("/v1/chat/completions", chatJSON, "X-Simulate", script)
		got = r.post("/v1/chat/completions", chatJSON, "X-Simulate", script)
		if got.status != status || got.body != want.body {
			t.Errorf("got %d %s", got.status, got.body)
		}
		requests := r.simulator.Requests()
		if a := requests[1].Header.Get("Authorization"); a != "Bearer "+clientKey {
			t.Errorf("the provider received %q", a)
		}
	}
}

// Some providers say so in the body of a 400, which otherwise passes unchanged.
func TestProviderAuthInABody(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		body     string
		rejected bool
	}{
		{`{"reason":"BAD_KEY","key":"` + providerKey + `"}`, true},
		{`{"reason":"BAD_REQUEST"}` + strings.Repeat(" ", 100_000), false},
	} {
		upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(400)
			_, _ = io.WriteString(w, tt.body)
		}))
		t.Cleanup(upstream.Close)
		urls, err := llmproxy.NewBaseURL(upstream.URL, "/v1", nil)
		if err != nil {
			t.Fatal(err)
		}
		p := &llmproxy.BaseProvider{ID: "other", URLs: urls, Options: llmproxy.Settings{RejectsKey: func(body []byte) bool { return strings.Contains(string(body), "BAD_KEY") }}}
		r := newRig(t, llmproxy.WithProvider(p))
		got := r.post("/other/v1/anything", "{}")
		if tt.rejected {
			r.fault(got, 502, "provider_auth")
		} else if got.status != 400 || got.body != tt.body || got.err != nil {
			t.Errorf("got %d, %d bytes, %v", got.status, len(got.body), got.err)
		}
		_ = r.record()
	}
}

// Redirects are the client's to follow: with our credential nobody does.
func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the redirect was followed, with %q", r.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	r := newRig(t)
	got := r.post("/v1/chat/completions", chatJSON, "X-Simulate", "redirect="+elsewhere.URL+"/x")
	if got.status != 307 || got.header.Get("Location") != elsewhere.URL+"/x" {
		t.Errorf("got %d, %v", got.status, got.header)
	}
	_ = r.record()
}

// A provider that cannot be reached is a 502 that does not say where it is.
func TestProviderUnreachable(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, simulator.Options{}, openai_compatible.Config{Type: "openai", BaseURL: "http://127.0.0.1:1"})
	for _, body := range []string{chatJSON, chatStream} {
		got := r.post("/v1/chat/completions", body)
		r.fault(got, 502, "provider_unreachable")
		if strings.Contains(got.body, "127.0.0.1") {
			t.Errorf("the answer names the address: %s", got.body)
		}
		if rec := r.record(); rec.Outcome != llmproxy.OutcomeError || rec.Status != 502 || rec.CostState != llmproxy.CostFree {
			t.Errorf("record %+v", rec)
		}
	}
}

// A JSON answer that breaks off while it is held is a clear 502.
func TestBrokenJSON(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"short", "cut-bytes=20", "close-delimited,cut-bytes=20"} {
		r := newRig(t)
		got := r.post("/v1/chat/completions", chatJSON, "X-Simulate", script)
		if script == "close-delimited,cut-bytes=20" && got.status == 200 {
			// Nothing tells this cut from an end but the JSON itself, which passes.
			_ = r.record()
			continue
		}
		r.fault(got, 502, "provider_broken")
		if v := got.header.Get("X-Request-Id"); v != "" {
			t.Errorf("the refusal carries the provider's fields: %v", got.header)
		}
		if rec := r.record(); rec.Outcome != llmproxy.OutcomeError || rec.Status != 502 || rec.CostState != llmproxy.CostUnpriced {
			t.Errorf("record %+v", rec)
		}
	}
	// Beyond what is held, the connection is cut.
	r := newRig(t)
	got := r.post("/v1/chat/completions", chatJSON, "X-Simulate", "json-bytes=3000000,short")
	if got.status != 200 || got.err == nil {
		t.Errorf("got %d, %v", got.status, got.err)
	}
}

// Everything that is no known JSON API passes with any method, its query, its path as
// it was spelled.
func TestPassThrough(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ method, path, want, body string }{
		{"GET", "/v1/models", "/v1/models", ""},
		{"HEAD", "/v1/models", "/v1/models", ""},
		{"GET", "/models/gpt-5-mini?a=%20b&beta=true", "/v1/models/gpt-5-mini?a=%20b&beta=true", ""},
		{"GET", "/v1/responses/resp_1?stream=true&starting_after=4", "/v1/responses/resp_1?stream=true&starting_after=4", ""},
		{"DELETE", "/v1/responses/resp_1", "/v1/responses/resp_1", ""},
		{"POST", "/v1/responses/resp_1/cancel", "/v1/responses/resp_1/cancel", ""},
		{"GET", "/v1/responses/resp_1/input_items", "/v1/responses/resp_1/input_items", ""},
		{"POST", "/v1/responses/input_tokens", "/v1/responses/input_tokens", `{"model":"gpt-5-mini","input":"a b"}`},
		{"PATCH", "/v1/files/a%2Fb", "/v1/files/a%2Fb", "anything"},
		{"OPTIONS", "/openai/v1/whatever", "/v1/whatever", ""},
		{"PROPFIND", "/openai/any%20thing/x%2Fy/?q=%2F", "/any%20thing/x%2Fy/?q=%2F", "not { json"},
		{"GET", "/openai/v1/models/meta-llama/x", "/v1/models/meta-llama/x", ""},
	} {
		r := newRig(t)
		got := r.do(r.request(tt.method, r.gateway+tt.path, strings.NewReader(tt.body)))
		req := r.simulator.Requests()[0]
		if req.Method != tt.method || req.URI != tt.want || string(req.Body) != tt.body {
			t.Errorf("%s %s arrived as %s %s %q", tt.method, tt.path, req.Method, req.URI, req.Body)
		}
		want := r.do(func() *http.Request {
			d := r.request(tt.method, r.provider+tt.want, strings.NewReader(tt.body))
			d.Header.Set("Authorization", "Bearer "+providerKey)
			return d
		}())
		if got.status != want.status || got.body != want.body || got.header.Get("Content-Length") != want.header.Get("Content-Length") || len(got.trailer) > 0 {
			t.Errorf("%s %s: got %d %q (%v), want %d %q", tt.method, tt.path, got.status, got.body, got.header, want.status, want.body)
		}
		rec := r.record()
		if rec.UsageSource != llmproxy.UsageNone || rec.CostState != llmproxy.CostFree {
			t.Errorf("record %+v", rec)
		}
	}
}

// An upload reaches the provider while the client is still sending it.
func TestUploadStreams(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pr, pw := io.Pipe()
	got := make(chan answer)
	req := r.request("POST", r.gateway+"/v1/files", pr, "Content-Type", "multipart/form-data; boundary=x")
	req.Trailer = http.Header{"X-Checksum": nil}
	go func() { got <- r.do(req) }()
	part := "--x\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n" +
		"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n" + strings.Repeat("a", 100_000)
	_, _ = io.WriteString(pw, part)
	if _, err := r.simulator.Await(t.Context(), func(all []simulator.Request) bool {
		return len(all) == 1 && all[0].Size >= 100_000 && !all[0].BodyRead
	}); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(pw, "\r\n--x--\r\n")
	req.Trailer.Set("X-Checksum", "abc")
	_ = pw.Close()
	a := <-got
	sent := r.simulator.Requests()[0]
	if a.status != 200 || !strings.Contains(a.body, `"bytes":100000`) {
		t.Errorf("got %d %s", a.status, a.body)
	}
	if sent.Size != int64(len(part)+len("\r\n--x--\r\n")) || sent.Trailer.Get("X-Checksum") != "abc" {
		t.Errorf("the provider received %d bytes, trailer %v", sent.Size, sent.Trailer)
	}
	_ = r.record()
}

// Trailers of a provider reach the client, with ours.
func TestTrailers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ path, body, contentType string }{
		{"/v1/chat/completions", chatStreamAdded, "application/json"},
		{"/v1/files", "--x\r\n\r\n--x--\r\n", "multipart/form-data; boundary=x"},
	} {
		r := newRig(t)
		want := r.direct(tt.path, tt.body, "X-Simulate", "trailers,piece=100", "Content-Type", tt.contentType)
		got := r.post(tt.path, tt.body, "X-Simulate", "trailers,piece=100", "Content-Type", tt.contentType)
		if got.body != want.body || got.trailer.Get("X-Sim-Sha256") != want.trailer.Get("X-Sim-Sha256") {
			t.Errorf("%s: got trailer %v, want %v", tt.path, got.trailer, want.trailer)
		}
		_ = r.record()
	}
}

// What providers charge for and nobody here reads is not free.
func TestChargedIsNotFree(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]llmproxy.CostState{
		"/v1/audio/transcriptions":        llmproxy.CostUnpriced,
		"/openai/v1/audio/transcriptions": llmproxy.CostUnpriced,
		"/v1/files":                       llmproxy.CostFree,
	} {
		r := newRigBehind(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, "{}")
		})
		_ = r.post(path, "--x--\r\n", "Content-Type", "multipart/form-data; boundary=x")
		if rec := r.record(); rec.CostState != want || rec.UsageSource != llmproxy.UsageNone {
			t.Errorf("%s: record %+v", path, rec)
		}
	}
}

// "/" finds the API by the body; probes of it are answered.
func TestRoot(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, tt := range []struct{ body, want string }{
		{chatJSON, "/v1/chat/completions"},
		{responsesJSON, "/v1/responses"},
		{`{"model":"gpt-3.5-turbo-instruct","prompt":"x"}`, "/v1/completions"},
	} {
		r.simulator.Reset()
		if got := r.post("/?beta=true", tt.body); got.status != 200 {
			t.Errorf("got %d %s", got.status, got.body)
		}
		if uri := r.simulator.Requests()[0].URI; uri != tt.want+"?beta=true" {
			t.Errorf("%s went to %s", tt.body, uri)
		}
		if rec := r.record(); rec.Usage.PromptTokens == 0 {
			t.Errorf("record %+v", rec)
		}
	}
	r.simulator.Reset()
	got := r.post("/", `{"model":"gemini","contents":[]}`)
	if got.status != 400 || !strings.Contains(got.body, "does not speak the API generate_content") {
		t.Errorf("got %d %s", got.status, got.body)
	}
	r.uncalled()
	_ = r.record()
	for _, method := range []string{"GET", "HEAD"} {
		if got := r.do(r.request(method, r.gateway+"/", http.NoBody)); got.status != 200 {
			t.Errorf("%s /: %d", method, got.status)
		}
	}
	r.noMore()
}

// A prefix that chose the provider is cut from the model, and nothing else is touched.
func TestPrefixIsSpliced(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const before = "{ \"z\":9007199254740993, \"a\" : 1.0e2,\"model\":\"openai\\/gpt-5-mini\" ,\"messages\":[{\"role\":\"user\",\"content\":\"<>& \\u00e9 é\"}],\"unknown\":{\"b\":1,\"a\":2}}\n"
	const after = "{ \"z\":9007199254740993, \"a\" : 1.0e2,\"model\":\"gpt-5-mini\" ,\"messages\":[{\"role\":\"user\",\"content\":\"<>& \\u00e9 é\"}],\"unknown\":{\"b\":1,\"a\":2}}\n"
	if got := r.post("/v1/chat/completions", before); got.status != 200 || got.header.Get("X-Gateway-Model") != "gpt-5-mini" {
		t.Errorf("got %d %s %v", got.status, got.body, got.header)
	}
	if sent := string(r.simulator.Requests()[0].Body); sent != after {
		t.Errorf("the provider received %q", sent)
	}
	if rec := r.record(); rec.ModelRequested != "openai/gpt-5-mini" || rec.Model != "gpt-5-mini-2025-08-07" {
		t.Errorf("record %+v", rec)
	}
	// On the mount it stays.
	r.simulator.Reset()
	if got := r.post("/openai/v1/chat/completions", before); got.status != 404 {
		t.Errorf("got %d", got.status)
	}
	if sent := string(r.simulator.Requests()[0].Body); sent != before {
		t.Errorf("the provider received %q", sent)
	}
}

// A recorder that cannot note an intent stops the exchange before it costs anything.
func TestNoIntentNoCall(t *testing.T) {
	t.Parallel()
	r := newRig(t, llmproxy.WithRecorder(brokenRecorder{}))
	got := r.post("/v1/chat/completions", chatJSON)
	r.fault(got, 503, "ledger_unavailable")
	if got.header.Get("Retry-After") != "5" {
		t.Errorf("Retry-After is %q", got.header.Get("Retry-After"))
	}
	r.uncalled()
}

type brokenRecorder struct{}

func (brokenRecorder) Begin(context.Context, *llmproxy.Record) error  { return errPlanned }
func (brokenRecorder) Record(context.Context, *llmproxy.Record) error { return errPlanned }

// A provider that answers before it has read an upload is heard, and what the client
// still sends is never taken for another request.
func TestEarlyAnswerToAnUpload(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.gateway, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const smuggled = "GET /openai/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	_, _ = fmt.Fprintf(conn, "POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"+
		"Content-Length: 1000000\r\nX-Simulate: status=429,early\r\n\r\n%s", smuggled)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Error(err)
	}
	if resp.StatusCode != 429 || !resp.Close {
		t.Errorf("got %d, Close %t", resp.StatusCode, resp.Close)
	}
	_, _ = io.WriteString(conn, smuggled)
	if rest, _ := io.ReadAll(conn); len(rest) > 0 {
		t.Errorf("a second answer: %q", rest)
	}
	for _, req := range r.simulator.Requests() {
		if req.URI != "/v1/files" {
			t.Errorf("the provider received %s", req.URI)
		}
	}
	_ = r.record()
}
