package anthropic_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/anthropic"
)

const (
	providerKey = "sk-ant-provider"
	clientKey   = "sk-ant-client"
)

// rig is a gateway in front of one server that stands for Anthropic.
type rig struct {
	t       *testing.T
	gateway string
	records chan llmproxy.Record
	calls   chan call // each, as it arrives
	answer  func(w http.ResponseWriter, r *http.Request)
	client  *http.Client
}

// call is what reached the provider.
type call struct {
	method, uri, body string
	header            http.Header
}

// newRig starts both; the base URL of c is the server's. answer is called for every
// request that reaches it.
func newRig(t *testing.T, c anthropic.Config, answer http.HandlerFunc) *rig {
	t.Helper()
	r := &rig{t: t, records: make(chan llmproxy.Record, 8), calls: make(chan call, 8), answer: answer}
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.calls <- call{req.Method, req.URL.RequestURI(), string(body), req.Header.Clone()}
		answer(w, req)
	}))
	t.Cleanup(upstream.Close)
	c.BaseURL = upstream.URL + "/v1/"
	p, err := anthropic.New(c)
	if err != nil {
		t.Fatal(err)
	}
	router := llmproxy.NewAutoRouter(llmproxy.WithProvider(p), llmproxy.WithRecorder(recorder(r.records)))
	gateway := httptest.NewServer(router)
	t.Cleanup(gateway.Close)
	r.gateway = gateway.URL
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	r.client = &http.Client{Transport: transport}
	return r
}

// recorder sends each record into a channel.
type recorder chan llmproxy.Record

func (r recorder) Begin(context.Context, *llmproxy.Record) error { return nil }

func (r recorder) Record(_ context.Context, rec *llmproxy.Record) error {
	r <- *rec
	return nil
}

// reply is what a client received.
type reply struct {
	status  int
	header  http.Header
	body    string
	trailer http.Header
	err     error // of reading the body
}

// do sends a request as clients of Anthropic do; fields are name, value, name, value ….
func (r *rig) do(method, path, body string, fields ...string) reply {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.gateway+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Api-Key", clientKey)
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	resp, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(got), resp.Trailer, err}
}

// record returns the next record.
func (r *rig) record() llmproxy.Record {
	r.t.Helper()
	select {
	case rec := <-r.records:
		return rec
	case <-r.t.Context().Done():
		r.t.Fatal("no record came")
		panic("unreachable")
	}
}

// called returns what reached the provider next.
func (r *rig) called() call {
	r.t.Helper()
	select {
	case c := <-r.calls:
		return c
	case <-r.t.Context().Done():
		r.t.Fatal("nothing reached the provider")
		panic("unreachable")
	}
}

// uncalled checks that nothing reached the provider.
func (r *rig) uncalled() {
	r.t.Helper()
	select {
	case c := <-r.calls:
		r.t.Errorf("the provider received %s %s", c.method, c.uri)
	default:
	}
}

// cut writes text in pieces of odd sizes: primes, so that they fall into line ends, UTF-8
// and JSON alike.
func cut(w http.ResponseWriter, text string) {
	for i := 0; text != ""; i++ {
		n := min([]int{1, 7, 131, 3, 1021, 61, 4099}[i%7], len(text))
		_, _ = io.WriteString(w, text[:n])
		text = text[n:]
		_ = http.NewResponseController(w).Flush()
	}
}

// sends returns a handler that answers with text.
func sends(status int, contentType, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Request-Id", "req_1")
		w.WriteHeader(status)
		cut(w, text)
	}
}

const (
	request  = `{ "max_tokens":64,"model":"claude-sonnet-5" , "stream":true,"messages":[{"role":"user","content":"Hi é 1.0"}]}`
	message  = `{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-5","content":[{"type":"text","text":"é"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"cache_creation_input_tokens":0,"cache_read_input_tokens":2000,"output_tokens":15,"service_tier":"standard"}}` + "\n"
	sse      = "text/event-stream; charset=utf-8"
	started  = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-sonnet-5\",\"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":3,\"cache_read_input_tokens\":2000,\"output_tokens\":1,\"service_tier\":\"standard\"}}}\n\n"
	content  = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"é\"}}\n\nevent: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
	finished = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":15}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
	broken   = "event: error\ndata: {\"type\":\"error\",\"error\":{\"details\":null,\"type\":\"overloaded_error\",\"message\":\"Overloaded\"},\"request_id\":\"req_1\"}\n\n"
)

func usage(out int64) llmproxy.Usage {
	return llmproxy.Usage{PromptTokens: 2003, CompletionTokens: out, CacheRead: 2000}
}

// The paths of one request, and where it arrives: the query stays.
func TestPaths(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ path, model, want string }{
		{"/v1/messages", "claude-sonnet-5", "/v1/messages"},
		{"/v1/messages?beta=true", "claude-sonnet-5", "/v1/messages?beta=true"},
		{"/messages?beta=true", "claude-sonnet-5", "/v1/messages?beta=true"},
		{"/v1/v1/messages?beta=true&x=%2F", "claude-sonnet-5", "/v1/messages?beta=true&x=%2F"},
		{"/v1/messages", "a-model-nobody-knows", "/v1/messages"},
		{"/v1/messages?beta=true", "anthropic/claude-sonnet-5", "/v1/messages?beta=true"},
		{"/", "claude-sonnet-5", "/v1/messages"},
		{"/anthropic/v1/messages?beta=true", "claude-sonnet-5", "/v1/messages?beta=true"},
		{"/anthropic/v1/messages", "anthropic/claude-sonnet-5", "/v1/messages"}, // never cut on a mount
	} {
		r := newRig(t, anthropic.Config{APIKey: providerKey}, sends(200, sse, started+content+finished))
		sent := strings.Replace(request, "claude-sonnet-5", tt.model, 1)
		want := sent
		if !strings.HasPrefix(tt.path, "/anthropic") {
			want = strings.Replace(sent, "anthropic/", "", 1)
		}
		got := r.do("POST", tt.path, sent)
		if got.status != 200 || got.body != started+content+finished || got.err != nil {
			t.Errorf("%s, %s: got %d %q, %v", tt.path, tt.model, got.status, got.body, got.err)
		}
		if c := r.called(); c.uri != tt.want || c.body != want {
			t.Errorf("%s, %s: the provider received %s at %s", tt.path, tt.model, c.body, c.uri)
		}
		rec := r.record()
		if rec.Outcome != llmproxy.OutcomeCompleted || rec.UsageSource != llmproxy.UsageProvider || rec.Usage != usage(15) ||
			rec.API != llmproxy.APIMessages || rec.Transport != llmproxy.TransportSSE || rec.Provider != "anthropic" ||
			rec.ModelRequested != tt.model || rec.Model != "claude-sonnet-5" || rec.ResponseID != "msg_1" ||
			rec.FinishReason != "end_turn" || rec.ServiceTier != "standard" || rec.ProviderRequestID != "req_1" {
			t.Errorf("%s, %s: the record is %+v", tt.path, tt.model, rec)
		}
		if got.trailer.Get("X-Gateway-Prompt-Tokens") != "2003" || got.trailer.Get("X-Gateway-Completion-Tokens") != "15" {
			t.Errorf("%s, %s: trailers %v", tt.path, tt.model, got.trailer)
		}
	}
}

// Versions and betas are the client's; credentials are ours, in place of the client's.
func TestHeaders(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		config anthropic.Config
		fields []string
		want   map[string]string // "" for a field that must not be there
	}{
		{
			"our key",
			anthropic.Config{APIKey: providerKey},
			[]string{"anthropic-version", "2026-10-21", "anthropic-beta", "context-1m-2025-08-07,unknown-2030-01-01", "Cookie", clientKey},
			map[string]string{
				"X-Api-Key": providerKey, "Authorization": "", "Cookie": "",
				"Anthropic-Version": "2026-10-21", "Anthropic-Beta": "context-1m-2025-08-07,unknown-2030-01-01",
			},
		},
		{
			"our key in place of a bearer",
			anthropic.Config{APIKey: providerKey},
			[]string{"X-Api-Key", "", "Authorization", "Bearer " + clientKey, "anthropic-version", "2023-06-01"},
			map[string]string{"X-Api-Key": providerKey, "Authorization": "", "Anthropic-Version": "2023-06-01"},
		},
		{
			"our token, no version",
			anthropic.Config{AuthToken: "provider-token"},
			nil,
			map[string]string{"X-Api-Key": "", "Authorization": "Bearer provider-token", "Anthropic-Version": "2023-06-01", "Anthropic-Beta": ""},
		},
		{
			"the client's key",
			anthropic.Config{ClientKeys: true},
			nil,
			map[string]string{"X-Api-Key": clientKey, "Authorization": "", "Anthropic-Version": "2023-06-01"},
		},
		{
			"the client's bearer",
			anthropic.Config{ClientKeys: true},
			[]string{"X-Api-Key", "", "Authorization", "Bearer " + clientKey},
			map[string]string{"X-Api-Key": "", "Authorization": "Bearer " + clientKey, "Anthropic-Version": "2023-06-01"},
		},
	} {
		r := newRig(t, tt.config, sends(200, "application/json", message))
		for _, path := range []string{"/v1/messages", "/anthropic/v1/messages?beta=true"} {
			got := r.do("POST", path, request, tt.fields...)
			if got.status != 200 || got.body != message || got.header.Get("X-Gateway-Prompt-Tokens") != "2003" || got.header.Get("Request-Id") != "req_1" {
				t.Errorf("%s, %s: got %d %s %v", tt.name, path, got.status, got.body, got.header)
			}
			c := r.called()
			for name, want := range tt.want {
				if have := strings.Join(c.header.Values(name), "|"); have != want {
					t.Errorf("%s, %s: %s is %q, want %q", tt.name, path, name, have, want)
				}
			}
			if rec := r.record(); rec.Usage != usage(15) || rec.UsageSource != llmproxy.UsageProvider {
				t.Errorf("%s, %s: the record is %+v", tt.name, path, rec)
			}
		}
	}
}

// A stream that the provider ends with an error passes as it stands. What was used until
// then is on the record.
func TestErrorInTheStream(t *testing.T) {
	t.Parallel()
	r := newRig(t, anthropic.Config{APIKey: providerKey}, sends(200, sse, started+content+broken))
	got := r.do("POST", "/v1/messages", request)
	if got.status != 200 || got.body != started+content+broken || got.err != nil {
		t.Errorf("got %d %q, %v", got.status, got.body, got.err)
	}
	rec := r.record()
	if rec.Status != 200 || rec.Outcome != llmproxy.OutcomeFailed || rec.Usage != usage(1) || rec.UsageSource != llmproxy.UsageProvider {
		t.Errorf("the record is %+v", rec)
	}
	if rec.Error == nil || *rec.Error != (llmproxy.RecordError{Type: "overloaded_error"}) {
		t.Errorf("the record's error is %+v", rec.Error)
	}
}

// A stream that breaks off ends in an error event of Anthropic's shape, on a connection
// that does not end well.
func TestBrokenStream(t *testing.T) {
	t.Parallel()
	r := newRig(t, anthropic.Config{APIKey: providerKey}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", sse)
		cut(w, started+content)
		panic(http.ErrAbortHandler)
	})
	got := r.do("POST", "/v1/messages", request)
	rest, whole := strings.CutPrefix(got.body, started+content)
	if got.status != 200 || !whole || got.err == nil || !strings.HasPrefix(rest, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"") {
		t.Errorf("got %d %q, %v", got.status, rest, got.err)
	}
	rec := r.record()
	if rec.Outcome != llmproxy.OutcomeError || rec.Usage != usage(1) || rec.UsageSource != llmproxy.UsagePartial {
		t.Errorf("the record is %+v", rec)
	}
}

// Errors of the provider pass as they stand; they cost nothing.
func TestProviderErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status int
		kind   string
	}{
		{400, "invalid_request_error"},
		{402, "billing_error"},
		{404, "not_found_error"},
		{413, "request_too_large"},
		{429, "rate_limit_error"},
		{500, "api_error"},
		{529, "overloaded_error"},
	} {
		body := `{"type":"error","error":{"type":"` + tt.kind + `","message":"in its own words"},"request_id":"req_1"}`
		r := newRig(t, anthropic.Config{APIKey: providerKey}, func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.Header().Set("X-Should-Retry", "true")
			w.Header().Set("Anthropic-Ratelimit-Tokens-Remaining", "0")
			sends(tt.status, "application/json", body)(w, req)
		})
		for _, path := range []string{"/v1/messages", "/anthropic/v1/messages"} {
			got := r.do("POST", path, request)
			if got.status != tt.status || got.body != body || got.header.Get("Retry-After") != "7" ||
				got.header.Get("X-Should-Retry") != "true" || got.header.Get("Anthropic-Ratelimit-Tokens-Remaining") != "0" {
				t.Errorf("%d: got %d %s %v", tt.status, got.status, got.body, got.header)
			}
			rec := r.record()
			if rec.Status != tt.status || rec.Outcome != llmproxy.OutcomeError || rec.UsageSource != llmproxy.UsageNone ||
				rec.CostState != llmproxy.CostFree || rec.Error == nil || *rec.Error != (llmproxy.RecordError{Type: tt.kind}) {
				t.Errorf("%d: the record is %+v, %+v", tt.status, rec, rec.Error)
			}
			r.called()
		}
	}
}

// When Anthropic rejects our key, the client does not see its text. When it rejects the
// client's own, it does.
func TestRejectedKeys(t *testing.T) {
	t.Parallel()
	const body = `{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}`
	r := newRig(t, anthropic.Config{APIKey: providerKey}, sends(401, "application/json", body))
	got := r.do("POST", "/v1/messages", request)
	if got.status != 502 || !strings.HasPrefix(got.body, `{"type":"error","error":{"type":"api_error","message":"`) || strings.Contains(got.body, "invalid x-api-key") {
		t.Errorf("our key: got %d %s", got.status, got.body)
	}
	r = newRig(t, anthropic.Config{ClientKeys: true}, sends(401, "application/json", body))
	got = r.do("POST", "/v1/messages", request)
	if got.status != 401 || got.body != body {
		t.Errorf("the client's key: got %d %s", got.status, got.body)
	}
}

// Counting tokens is free, and its answer no usage.
func TestCountTokens(t *testing.T) {
	t.Parallel()
	r := newRig(t, anthropic.Config{APIKey: providerKey}, sends(200, "application/json", `{"input_tokens":671}`))
	for path, want := range map[string]string{
		"/v1/messages/count_tokens?beta=true":           "/v1/messages/count_tokens?beta=true",
		"/messages/count_tokens":                        "/v1/messages/count_tokens",
		"/anthropic/v1/messages/count_tokens?beta=true": "/v1/messages/count_tokens?beta=true",
	} {
		got := r.do("POST", path, request)
		if got.status != 200 || got.body != `{"input_tokens":671}` || got.header.Get("X-Gateway-Prompt-Tokens") != "" {
			t.Errorf("%s: got %d %s %v", path, got.status, got.body, got.header)
		}
		if c := r.called(); c.uri != want || c.body != request || c.header.Get("X-Api-Key") != providerKey {
			t.Errorf("%s: the provider received %+v", path, c)
		}
		rec := r.record()
		if rec.Outcome != llmproxy.OutcomeCompleted || rec.UsageSource != llmproxy.UsageNone || rec.CostState != llmproxy.CostFree || rec.Usage != (llmproxy.Usage{}) {
			t.Errorf("%s: the record is %+v", path, rec)
		}
	}
}

// What else Anthropic serves passes through, with our key and a version.
func TestOtherEndpoints(t *testing.T) {
	t.Parallel()
	const list = `{"data":[{"type":"model","id":"claude-sonnet-5"}],"has_more":false}`
	r := newRig(t, anthropic.Config{APIKey: providerKey}, sends(200, "application/json", list))
	for _, tt := range []struct{ method, path, body, want string }{
		{"GET", "/v1/models?limit=5", "", "/v1/models?limit=5"},
		{"GET", "/v1/models/claude-sonnet-5", "", "/v1/models/claude-sonnet-5"},
		{"GET", "/anthropic/v1/models?limit=5", "", "/v1/models?limit=5"},
		{"POST", "/v1/messages/batches", `{"requests":[]}`, "/v1/messages/batches"},
		{"GET", "/v1/messages/batches/msgbatch_1/results", "", "/v1/messages/batches/msgbatch_1/results"},
		{"POST", "/anthropic/v1/messages/batches/msgbatch_1/cancel", "", "/v1/messages/batches/msgbatch_1/cancel"},
		{"DELETE", "/anthropic/v1/files/file_1", "", "/v1/files/file_1"},
		{"POST", "/anthropic/v1/anything/new?x=1", `[ 1.0 ]`, "/v1/anything/new?x=1"},
	} {
		got := r.do(tt.method, tt.path, tt.body)
		if got.status != 200 || got.body != list {
			t.Errorf("%s: got %d %s", tt.path, got.status, got.body)
		}
		c := r.called()
		if c.method != tt.method || c.uri != tt.want || c.body != tt.body || c.header.Get("X-Api-Key") != providerKey || c.header.Get("Anthropic-Version") != "2023-06-01" {
			t.Errorf("%s: the provider received %+v", tt.path, c)
		}
		if rec := r.record(); rec.UsageSource != llmproxy.UsageNone || rec.CostState != llmproxy.CostFree || rec.Outcome != llmproxy.OutcomeCompleted {
			t.Errorf("%s: the record is %+v", tt.path, rec)
		}
	}
}

// What the gateway refuses on Anthropic's paths, it refuses in Anthropic's words.
func TestRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t, anthropic.Config{APIKey: providerKey}, sends(200, "application/json", message))
	for _, tt := range []struct {
		name, path, body string
		fields           []string
		status           int
		kind             string
	}{
		{"not JSON", "/v1/messages", `{"model":`, nil, 400, "invalid_request_error"},
		{"a model twice", "/v1/messages?beta=true", `{"model":"claude-1","model":"claude-2"}`, nil, 400, "invalid_request_error"},
		{"a model twice, on the mount", "/anthropic/v1/messages", `{"model":"claude-1","model":"claude-2"}`, nil, 400, "invalid_request_error"},
		{"an unknown provider", "/v1/messages", request, []string{"X-Provider", "nobody"}, 404, "not_found_error"},
		{"a coding that is not known", "/v1/messages/count_tokens", request, []string{"Content-Encoding", "x-own"}, 415, "invalid_request_error"},
	} {
		got := r.do("POST", tt.path, tt.body, tt.fields...)
		if got.status != tt.status || !strings.HasPrefix(got.body, `{"type":"error","error":{"type":"`+tt.kind+`","message":"`) {
			t.Errorf("%s: got %d %s, want %d %s", tt.name, got.status, got.body, tt.status, tt.kind)
		}
		if rec := r.record(); rec.Outcome != llmproxy.OutcomeRejected || rec.UsageSource != llmproxy.UsageNone || rec.Status != tt.status {
			t.Errorf("%s: the record is %+v", tt.name, rec)
		}
	}
	r.uncalled()
}

// A request in another dialect is refused in that one, but for the mount: what Anthropic
// serves there is its own business.
func TestOtherDialects(t *testing.T) {
	t.Parallel()
	const chat = `{"model":"claude-sonnet-5","messages":[]}`
	r := newRig(t, anthropic.Config{APIKey: providerKey}, sends(200, "application/json", message))
	got := r.do("POST", "/v1/chat/completions", chat)
	if got.status != 400 || !strings.Contains(got.body, `"code":"unsupported_api"`) {
		t.Errorf("got %d %s", got.status, got.body)
	}
	r.uncalled()
	got = r.do("POST", "/anthropic/v1/chat/completions", chat)
	if c := r.called(); got.status != 200 || got.body != message || c.uri != "/v1/chat/completions" || c.body != chat {
		t.Errorf("on the mount: got %d %s; the provider received %s at %s", got.status, got.body, c.body, c.uri)
	}
}

// Cache entries whose lifetime the stream leaves open live as the request asked.
func TestLifetimesOfAStream(t *testing.T) {
	t.Parallel()
	const (
		marked   = `{"model":"claude-sonnet-5","stream":true,"system":[{"type":"text","text":"a","cache_control":{"type":"ephemeral","ttl":"1h"}}],"messages":[]}`
		start    = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"claude-sonnet-5\",\"usage\":{\"input_tokens\":3,\"cache_creation_input_tokens\":2000,\"cache_creation\":{\"ephemeral_5m_input_tokens\":0,\"ephemeral_1h_input_tokens\":2000},\"output_tokens\":1}}}\n\n"
		grown    = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"input_tokens\":5,\"cache_creation_input_tokens\":3000,\"output_tokens\":15}}\n\n"
		complete = start + grown + "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
	)
	r := newRig(t, anthropic.Config{APIKey: providerKey}, sends(200, sse, complete))
	for body, want := range map[string]llmproxy.Usage{
		marked:  {PromptTokens: 3005, CompletionTokens: 15, CacheWrite1h: 3000},
		request: {PromptTokens: 3005, CompletionTokens: 15, CacheWrite: 1000, CacheWrite1h: 2000},
	} {
		r.do("POST", "/v1/messages", body)
		if rec := r.record(); rec.Usage != want {
			t.Errorf("%s: got %+v, want %+v", body, rec.Usage, want)
		}
	}
}

// counted checks the token counts that the client was given.
func counted(got reply, rec *llmproxy.Record) bool {
	from := got.header
	if strings.HasPrefix(got.header.Get("Content-Type"), "text/event-stream") {
		from = got.trailer
	}
	in, out := "", ""
	if rec.UsageSource == llmproxy.UsageProvider {
		in, out = strconv.FormatInt(rec.Usage.PromptTokens, 10), strconv.FormatInt(rec.Usage.CompletionTokens, 10)
	}
	return from.Get("X-Gateway-Prompt-Tokens") == in && from.Get("X-Gateway-Completion-Tokens") == out
}
