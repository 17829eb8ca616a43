package anthropic_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/anthropic"
	"github.com/llmproxy/llmproxy/providers/internal/provider/providertest"
)

const (
	providerKey = "sk-ant-provider"
	clientKey   = "sk-ant-client"
)

// newRig returns a gateway in front of Anthropic's service, and a client with a key.
func newRig(t *testing.T, c anthropic.Config) *providertest.Rig {
	t.Helper()
	r := providertest.New(t, func(baseURL string) (*llmproxy.BaseProvider, error) {
		c.BaseURL = baseURL + "/v1/"
		return anthropic.New(c)
	})
	r.Client = http.Header{"X-Api-Key": {clientKey}}
	return r
}

// answering returns r, whose service answers with text from now on, and with the
// identifier of a request.
func answering(r *providertest.Rig, status int, contentType, text string) *providertest.Rig {
	r.Answers(status, map[string]string{"Content-Type": contentType, "Request-Id": "req_1"}, text)
	return r
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
		r := answering(newRig(t, anthropic.Config{APIKey: providerKey}), 200, sse, started+content+finished)
		sent := strings.Replace(request, "claude-sonnet-5", tt.model, 1)
		want := sent
		if !strings.HasPrefix(tt.path, "/anthropic") {
			want = strings.Replace(sent, "anthropic/", "", 1)
		}
		got := r.Post(tt.path, sent)
		if a := got.Reply; a.Status != 200 || a.Body != started+content+finished || a.Err != nil {
			t.Errorf("%s, %s: got %d %q, %v", tt.path, tt.model, a.Status, a.Body, a.Err)
		}
		if c := got.Call; c.URI != tt.want || c.Body != want {
			t.Errorf("%s, %s: the provider received %s at %s", tt.path, tt.model, c.Body, c.URI)
		}
		rec := got.Record
		if rec.Outcome != llmproxy.OutcomeCompleted || rec.UsageSource != llmproxy.UsageProvider || rec.Usage != usage(15) ||
			rec.API != llmproxy.APIMessages || rec.Transport != llmproxy.TransportSSE || rec.Provider != "anthropic" ||
			rec.ModelRequested != tt.model || rec.Model != "claude-sonnet-5" || rec.ResponseID != "msg_1" ||
			rec.FinishReason != "end_turn" || rec.ServiceTier != "standard" || rec.ProviderRequestID != "req_1" {
			t.Errorf("%s, %s: the record is %+v", tt.path, tt.model, rec)
		}
		if trailer := got.Reply.Trailer; trailer.Get("X-Gateway-Prompt-Tokens") != "2003" || trailer.Get("X-Gateway-Completion-Tokens") != "15" {
			t.Errorf("%s, %s: trailers %v", tt.path, tt.model, trailer)
		}
	}
}

// Versions and betas are the client's; credentials are ours, in place of the client's.
func TestHeaders(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		config anthropic.Config
		client http.Header
		want   map[string]string // "" for a field that must not be there
	}{
		{
			"our key",
			anthropic.Config{APIKey: providerKey},
			http.Header{"Anthropic-Version": {"2026-10-21"}, "Anthropic-Beta": {"context-1m-2025-08-07,unknown-2030-01-01"}, "Cookie": {clientKey}},
			map[string]string{
				"X-Api-Key": providerKey, "Authorization": "", "Cookie": "",
				"Anthropic-Version": "2026-10-21", "Anthropic-Beta": "context-1m-2025-08-07,unknown-2030-01-01",
			},
		},
		{
			"our key in place of a bearer",
			anthropic.Config{APIKey: providerKey},
			http.Header{"X-Api-Key": {""}, "Authorization": {"Bearer " + clientKey}, "Anthropic-Version": {"2023-06-01"}},
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
			http.Header{"X-Api-Key": {""}, "Authorization": {"Bearer " + clientKey}},
			map[string]string{"X-Api-Key": "", "Authorization": "Bearer " + clientKey, "Anthropic-Version": "2023-06-01"},
		},
	} {
		r := answering(newRig(t, tt.config), 200, "application/json", message)
		for _, path := range []string{"/v1/messages", "/anthropic/v1/messages?beta=true"} {
			got := r.Do("POST", path, request, tt.client)
			if a := got.Reply; a.Status != 200 || a.Body != message || a.Header.Get("X-Gateway-Prompt-Tokens") != "2003" || a.Header.Get("Request-Id") != "req_1" {
				t.Errorf("%s, %s: got %d %s %v", tt.name, path, a.Status, a.Body, a.Header)
			}
			for name, want := range tt.want {
				if have := strings.Join(got.Call.Header.Values(name), "|"); have != want {
					t.Errorf("%s, %s: %s is %q, want %q", tt.name, path, name, have, want)
				}
			}
			if rec := got.Record; rec.Usage != usage(15) || rec.UsageSource != llmproxy.UsageProvider {
				t.Errorf("%s, %s: the record is %+v", tt.name, path, rec)
			}
		}
	}
}

// A stream that the provider ends with an error passes as it stands. What was used until
// then is on the record.
func TestErrorInTheStream(t *testing.T) {
	t.Parallel()
	r := answering(newRig(t, anthropic.Config{APIKey: providerKey}), 200, sse, started+content+broken)
	got := r.Post("/v1/messages", request)
	if a := got.Reply; a.Status != 200 || a.Body != started+content+broken || a.Err != nil {
		t.Errorf("got %d %q, %v", a.Status, a.Body, a.Err)
	}
	rec := got.Record
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
	r := newRig(t, anthropic.Config{APIKey: providerKey})
	r.AnswersWith(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", sse)
		providertest.Cut(w, started+content)
		panic(http.ErrAbortHandler)
	})
	got := r.Post("/v1/messages", request)
	rest, whole := strings.CutPrefix(got.Reply.Body, started+content)
	if got.Reply.Status != 200 || !whole || got.Reply.Err == nil || !strings.HasPrefix(rest, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"") {
		t.Errorf("got %d %q, %v", got.Reply.Status, rest, got.Reply.Err)
	}
	rec := got.Record
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
		r := newRig(t, anthropic.Config{APIKey: providerKey})
		r.Answers(tt.status, map[string]string{
			"Content-Type": "application/json", "Request-Id": "req_1",
			"Retry-After": "7", "X-Should-Retry": "true", "Anthropic-Ratelimit-Tokens-Remaining": "0",
		}, body)
		for _, path := range []string{"/v1/messages", "/anthropic/v1/messages"} {
			got := r.Post(path, request)
			if a := got.Reply; a.Status != tt.status || a.Body != body || a.Header.Get("Retry-After") != "7" ||
				a.Header.Get("X-Should-Retry") != "true" || a.Header.Get("Anthropic-Ratelimit-Tokens-Remaining") != "0" {
				t.Errorf("%d: got %d %s %v", tt.status, a.Status, a.Body, a.Header)
			}
			rec := got.Record
			if rec.Status != tt.status || rec.Outcome != llmproxy.OutcomeError || rec.UsageSource != llmproxy.UsageNone ||
				rec.CostState != llmproxy.CostFree || rec.Error == nil || *rec.Error != (llmproxy.RecordError{Type: tt.kind}) {
				t.Errorf("%d: the record is %+v, %+v", tt.status, rec, rec.Error)
			}
			if got.Call.Body != request {
				t.Errorf("%d: the provider received %s", tt.status, got.Call.Body)
			}
		}
	}
}

// When Anthropic rejects our key, the client does not see its text. When it rejects the
// client's own, it does.
func TestRejectedKeys(t *testing.T) {
	t.Parallel()
	const body = `{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}`
	r := answering(newRig(t, anthropic.Config{APIKey: providerKey}), 401, "application/json", body)
	got := r.Post("/v1/messages", request).Reply
	if got.Status != 502 || !strings.HasPrefix(got.Body, `{"type":"error","error":{"type":"api_error","message":"`) || strings.Contains(got.Body, "invalid x-api-key") {
		t.Errorf("our key: got %d %s", got.Status, got.Body)
	}
	r = answering(newRig(t, anthropic.Config{ClientKeys: true}), 401, "application/json", body)
	got = r.Post("/v1/messages", request).Reply
	if got.Status != 401 || got.Body != body {
		t.Errorf("the client's key: got %d %s", got.Status, got.Body)
	}
}

// Counting tokens is free, and its answer no usage.
func TestCountTokens(t *testing.T) {
	t.Parallel()
	r := answering(newRig(t, anthropic.Config{APIKey: providerKey}), 200, "application/json", `{"input_tokens":671}`)
	for path, want := range map[string]string{
		"/v1/messages/count_tokens?beta=true":           "/v1/messages/count_tokens?beta=true",
		"/messages/count_tokens":                        "/v1/messages/count_tokens",
		"/anthropic/v1/messages/count_tokens?beta=true": "/v1/messages/count_tokens?beta=true",
	} {
		got := r.Post(path, request)
		if a := got.Reply; a.Status != 200 || a.Body != `{"input_tokens":671}` || a.Header.Get("X-Gateway-Prompt-Tokens") != "" {
			t.Errorf("%s: got %d %s %v", path, a.Status, a.Body, a.Header)
		}
		if c := got.Call; c.URI != want || c.Body != request || c.Header.Get("X-Api-Key") != providerKey {
			t.Errorf("%s: the provider received %+v", path, c)
		}
		rec := got.Record
		if rec.Outcome != llmproxy.OutcomeCompleted || rec.UsageSource != llmproxy.UsageNone || rec.CostState != llmproxy.CostFree || rec.Usage != (llmproxy.Usage{}) {
			t.Errorf("%s: the record is %+v", path, rec)
		}
	}
}

// What else Anthropic serves passes through, with our key and a version.
func TestOtherEndpoints(t *testing.T) {
	t.Parallel()
	const list = `{"data":[{"type":"model","id":"claude-sonnet-5"}],"has_more":false}`
	r := answering(newRig(t, anthropic.Config{APIKey: providerKey}), 200, "application/json", list)
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
		got := r.Do(tt.method, tt.path, tt.body, nil)
		if got.Reply.Status != 200 || got.Reply.Body != list {
			t.Errorf("%s: got %d %s", tt.path, got.Reply.Status, got.Reply.Body)
		}
		c := got.Call
		if c.Method != tt.method || c.URI != tt.want || c.Body != tt.body || c.Header.Get("X-Api-Key") != providerKey || c.Header.Get("Anthropic-Version") != "2023-06-01" {
			t.Errorf("%s: the provider received %+v", tt.path, c)
		}
		cost := llmproxy.CostFree
		if tt.method == "POST" && !strings.HasSuffix(tt.path, "/cancel") {
			cost = llmproxy.CostUnpriced // a batch, and what nobody knows
		}
		if rec := got.Record; rec.UsageSource != llmproxy.UsageNone || rec.CostState != cost || rec.Outcome != llmproxy.OutcomeCompleted {
			t.Errorf("%s: the record is %+v", tt.path, rec)
		}
	}
}

// What the gateway refuses on Anthropic's paths, it refuses in Anthropic's words.
func TestRefusals(t *testing.T) {
	t.Parallel()
	r := answering(newRig(t, anthropic.Config{APIKey: providerKey}), 200, "application/json", message)
	for _, tt := range []struct {
		name, path, body string
		client           http.Header
		status           int
		kind             string
	}{
		{"not JSON", "/v1/messages", `{"model":`, nil, 400, "invalid_request_error"},
		{"a model twice", "/v1/messages?beta=true", `{"model":"claude-1","model":"claude-2"}`, nil, 400, "invalid_request_error"},
		{"a model twice, on the mount", "/anthropic/v1/messages", `{"model":"claude-1","model":"claude-2"}`, nil, 400, "invalid_request_error"},
		{"an unknown provider", "/v1/messages", request, http.Header{"X-Provider": {"nobody"}}, 404, "not_found_error"},
		{"a coding that is not known", "/v1/messages/count_tokens", request, http.Header{"Content-Encoding": {"x-own"}}, 415, "invalid_request_error"},
	} {
		got := r.Do("POST", tt.path, tt.body, tt.client)
		if a := got.Reply; a.Status != tt.status || !strings.HasPrefix(a.Body, `{"type":"error","error":{"type":"`+tt.kind+`","message":"`) {
			t.Errorf("%s: got %d %s, want %d %s", tt.name, a.Status, a.Body, tt.status, tt.kind)
		}
		if got.Call.Method != "" {
			t.Errorf("%s: the provider received %s %s", tt.name, got.Call.Method, got.Call.URI)
		}
		if rec := got.Record; rec.Outcome != llmproxy.OutcomeRejected || rec.UsageSource != llmproxy.UsageNone || rec.Status != tt.status {
			t.Errorf("%s: the record is %+v", tt.name, rec)
		}
	}
}

// A request in another dialect is refused in that one, but for the mount: what Anthropic
// serves there is its own business.
func TestOtherDialects(t *testing.T) {
	t.Parallel()
	const chat = `{"model":"claude-sonnet-5","messages":[]}`
	r := answering(newRig(t, anthropic.Config{APIKey: providerKey}), 200, "application/json", message)
	got := r.Post("/v1/chat/completions", chat)
	if got.Reply.Status != 400 || !strings.Contains(got.Reply.Body, `"code":"unsupported_api"`) || got.Call.Method != "" {
		t.Errorf("got %d %s; the provider received %+v", got.Reply.Status, got.Reply.Body, got.Call)
	}
	got = r.Post("/anthropic/v1/chat/completions", chat)
	if a, c := got.Reply, got.Call; a.Status != 200 || a.Body != message || c.URI != "/v1/chat/completions" || c.Body != chat {
		t.Errorf("on the mount: got %d %s; the provider received %s at %s", a.Status, a.Body, c.Body, c.URI)
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
	r := answering(newRig(t, anthropic.Config{APIKey: providerKey}), 200, sse, complete)
	for body, want := range map[string]llmproxy.Usage{
		marked:  {PromptTokens: 3005, CompletionTokens: 15, CacheWrite1h: 3000},
		request: {PromptTokens: 3005, CompletionTokens: 15, CacheWrite: 1000, CacheWrite1h: 2000},
	} {
		if rec := r.Post("/v1/messages", body).Record; rec.Usage != want {
			t.Errorf("%s: got %+v, want %+v", body, rec.Usage, want)
		}
	}
}
