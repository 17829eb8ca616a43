package simulator_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{MaxBody: 2000})
	for _, tt := range []struct {
		path, body  string
		status      int
		code, param string
	}{
		{"/v1/chat/completions", `{`, 400, "", ""},
		{"/v1/chat/completions", ``, 400, "", ""},
		{"/v1/chat/completions", `[]`, 400, "", ""},
		{"/v1/chat/completions", `null`, 400, "", ""},
		{"/v1/chat/completions", chatBody + `{}`, 400, "", ""},
		{"/v1/chat/completions", `{"messages":[{"role":"user","content":"x"}]}`, 400, "missing_required_parameter", "model"},
		{"/v1/chat/completions", `{"Model":"gpt-5-mini","messages":[{"role":"user","content":"x"}]}`, 400, "missing_required_parameter", "model"},
		{"/v1/chat/completions", `{"model":"gpt-5-mini"}`, 400, "missing_required_parameter", "messages"},
		{"/v1/chat/completions", `{"model":"gpt-5-mini","messages":[]}`, 400, "empty_array", "messages"},
		{"/v1/chat/completions", `{"model":"gpt-5-mini","messages":"x"}`, 400, "invalid_type", "messages"},
		{"/v1/chat/completions", `{"model":1,"messages":[{"role":"user","content":"x"}]}`, 400, "invalid_type", "model"},
		{"/v1/chat/completions", `{"model":"gpt-5-mini","stream":"yes","messages":[{"role":"user","content":"x"}]}`, 400, "invalid_type", "stream"},
		{"/v1/chat/completions", `{"model":"gpt-5-mini","stream_options":{"include_usage":true},"messages":[{"role":"user","content":"x"}]}`, 400, "", "stream_options"},
		{"/v1/chat/completions", `{"model":"gpt-5-mini","stream":false,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"x"}]}`, 400, "", "stream_options"},
		{"/v1/chat/completions", `{"model":"gpt-5-mini","stream":true,"stream_options":{"usage":true},"messages":[{"role":"user","content":"x"}]}`, 400, "unknown_parameter", "stream_options.usage"},
		{"/v1/chat/completions", `{"model":"gpt-5-mini","n":0,"messages":[{"role":"user","content":"x"}]}`, 400, "invalid_value", "n"},
		{"/v1/chat/completions", `{"model":"gpt-5-mini","max_tokens":9,"messages":[{"role":"user","content":"x"}]}`, 400, "unsupported_parameter", "max_tokens"},
		{"/v1/chat/completions", `{"model":"gpt-6","messages":[{"role":"user","content":"x"}]}`, 404, "model_not_found", "model"},
		{"/v1/chat/completions", `{"model":"openai/gpt-5-mini","messages":[{"role":"user","content":"x"}]}`, 404, "model_not_found", "model"},
		{"/v1/chat/completions", strings.Repeat(" ", 2001), 413, "", ""},
		{"/v1/completions", `{"model":"gpt-3.5-turbo-instruct"}`, 400, "missing_required_parameter", "prompt"},
		{"/v1/completions", `{"model":"gpt-3.5-turbo-instruct","prompt":{}}`, 400, "invalid_type", "prompt"},
		{"/v1/completions", `{"model":"gpt-3.5-turbo-instruct","prompt":"x","stream_options":{}}`, 400, "", "stream_options"},
		{"/v1/responses", `{"model":"gpt-5-mini"}`, 400, "missing_required_parameter", "input"},
		{"/v1/responses", `{"model":"gpt-5-mini","input":null}`, 400, "missing_required_parameter", "input"},
		{"/v1/responses", `{"input":"x"}`, 400, "missing_required_parameter", "model"},
		{"/v1/responses", `{"model":"gpt-5-mini","input":[1]}`, 400, "invalid_value", "input[0]"},
		{"/v1/responses", `{"model":"gpt-5-mini","input":[null]}`, 400, "invalid_value", "input[0]"},
		{"/v1/responses", `{"model":"openai/gpt-5-mini","input":"x"}`, 404, "model_not_found", "model"},
		{"/v1/responses", `{"model":"gpt-5-mini","input":"x","stream":true,"stream_options":{"include_usage":false}}`, 400, "unknown_parameter", "stream_options.include_usage"},
		{"/v1/responses", `{"model":"gpt-5-mini","input":"x","stream_options":{"include_obfuscation":false}}`, 400, "", "stream_options"},
		{"/v1/responses", `{"model":"gpt-5-mini","input":"x","stream":true,"stream_options":{"include_obfuscation":false}}`, 200, "", ""},
		{"/v1/responses", `{"model":"gpt-5-mini","input":"x","max_output_tokens":0}`, 400, "integer_below_min_value", "max_output_tokens"},
		{"/v1/responses", `{"model":"gpt-5-mini","input":"x","background":true,"store":false}`, 400, "invalid_value", "background"},
		{"/v1/responses", `{"model":"gpt-5-mini","input":"x","previous_response_id":"resp_x"}`, 400, "previous_response_not_found", "previous_response_id"},
		{"/v1/responses", `{"model":"gpt-5-mini","input":[{"type":"function_call_output","call_id":"c","output":"x"}]}`, 400, "", "input"},
		{"/v1/responses/compact", `{"input":"x"}`, 400, "missing_required_parameter", "model"},
		{"/v1/responses/compact", `{"model":"gpt-5-mini"}`, 400, "missing_required_parameter", "input"},
		{"/v1/responses/input_tokens", `{"model":"nope","input":"x"}`, 404, "model_not_found", "model"},
		{"/v1/embeddings", `{"model":"text-embedding-3-small"}`, 400, "missing_required_parameter", "input"},
		{"/v1/embeddings", `{"input":"x"}`, 400, "missing_required_parameter", "model"},
		{"/v1/embeddings", `{"model":"text-embedding-3-small","input":"x","encoding_format":"hex"}`, 400, "invalid_value", "encoding_format"},
		{"/v1/images/generations", `{"model":"gpt-image-1"}`, 400, "missing_required_parameter", "prompt"},
	} {
		a := p.post(tt.path, tt.body, "")
		if tt.status == http.StatusOK && a.StatusCode == http.StatusOK {
			continue
		}
		var e struct {
			Error struct{ Type, Message, Code, Param string }
		}
		if err := json.Unmarshal([]byte(a.body), &e); err != nil {
			t.Errorf("%s %.80s: %v: %s", tt.path, tt.body, err, a.body)
			continue
		}
		if a.StatusCode != tt.status || e.Error.Code != tt.code || e.Error.Param != tt.param ||
			e.Error.Type != "invalid_request_error" || e.Error.Message == "" {
			t.Errorf("%s %.80s: got %d %s, want %d %s %s", tt.path, tt.body, a.StatusCode, a.body, tt.status, tt.code, tt.param)
		}
		for _, name := range []string{"X-Request-Id", "Openai-Processing-Ms", "X-Ratelimit-Remaining-Tokens"} {
			if a.Header.Get(name) == "" {
				t.Errorf("%s: no %s", tt.path, name)
			}
		}
	}
}

func TestEncodedRequest(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	a := p.do(p.request(http.MethodPost, "/v1/chat/completions", chatBody, "Content-Encoding: gzip"))
	if a.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("gzip: %d, want 415", a.StatusCode)
	}
	p.whole(p.do(p.request(http.MethodPost, "/v1/chat/completions", chatBody, "Content-Encoding: identity")))
}

func TestAPIKey(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{APIKey: "sk-0123456789abcdef"})
	for _, tt := range []struct {
		field  string
		status int
		text   string
	}{
		{"Authorization: Bearer sk-0123456789abcdef", 200, ""},
		{"Authorization: bearer sk-0123456789abcdef", 200, ""},
		{"Authorization: Bearer sk-0123456789abcdeX", 401, "sk-0***********cdeX"},
		{"Authorization: Bearer short", 401, ": *****."},
		{"Authorization: Basic sk-0123456789abcdef", 401, "No API key"},
		{"X-Api-Key: sk-0123456789abcdef", 401, "No API key"},
	} {
		a := p.do(p.request(http.MethodPost, "/v1/chat/completions", chatBody, tt.field))
		if a.StatusCode != tt.status || !strings.Contains(a.body, tt.text) ||
			(tt.status == 401) != strings.Contains(a.body, `"code":"invalid_api_key"`) {
			t.Errorf("%s: got %d %s, want %d", tt.field, a.StatusCode, a.body, tt.status)
		}
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{AnyModel: true})
	for _, tt := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/v1/models", 200, ""},
		{"GET", "/models", 200, ""},
		{"GET", "/openai/v1/models", 200, ""},
		{"GET", "/api/v1/models", 200, ""},
		{"GET", "/inference/v1/models", 200, ""},
		{"GET", "/v1/models/openai/gpt-oss-120b", 200, ""},
		{"GET", "/v1/models/ft:gpt-5:a%2Fb", 200, ""},
		{"GET", "/v1/v1/models", 404, ""},
		{"GET", "/v2/models", 404, ""},
		{"GET", "/v1beta/models", 200, ""},
		{"GET", "/v1beta2/models", 404, ""},
		{"GET", "/v1/models/", 404, ""},
		{"GET", "/v1", 404, ""},
		{"GET", "/", 404, ""},
		{"POST", "/v1/chat/completion", 404, ""},
		{"GET", "/v1/chat/completions", 405, "POST"},
		{"GET", "/v1/responses", 405, "POST"},
		{"GET", "/v1/responses/compact", 405, "POST"},
		{"PUT", "/v1/responses/resp_1", 405, "GET, DELETE"},
		{"DELETE", "/v1/files", 405, "POST, GET"},
	} {
		a := p.do(p.request(tt.method, tt.path, ""))
		if a.StatusCode != tt.status || a.Header.Get("Allow") != tt.allow {
			t.Errorf("%s %s: got %d, Allow %q; want %d, %q", tt.method, tt.path, a.StatusCode, a.Header.Get("Allow"), tt.status, tt.allow)
		}
	}
	if got, want := p.whole(p.get("/v1/models/a/b%2Fc")), `"id":"a/b/c"`; !strings.Contains(got, want) {
		t.Errorf("got %s, want %s in it", got, want)
	}
	only := run(t, simulator.Options{BasePaths: []string{"/serving/v1"}})
	if a := only.get("/v1/models"); a.StatusCode != 404 {
		t.Errorf("another base path: %d, want 404", a.StatusCode)
	}
	only.whole(only.get("/serving/v1/models"))
}

func TestModels(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{Models: []simulator.Model{{ID: "a/b", Snapshot: "a/b-1", OwnedBy: "me"}}, AnyModel: true})
	for _, tt := range []struct{ asked, told string }{
		{"a/b", "a/b-1"}, {"a/b-1", "a/b-1"}, {"any/thing", "any/thing"},
	} {
		got := p.whole(p.post("/v1/responses", `{"model":"`+tt.asked+`","input":"x"}`, ""))
		if !strings.Contains(got, `"model":"`+tt.told+`"`) {
			t.Errorf("%s: want %s in %s", tt.asked, tt.told, got)
		}
	}
	if got := p.whole(p.get("/v1/models")); strings.Count(got, `"id"`) != 1 || !strings.Contains(got, `"owned_by":"me"`) {
		t.Errorf("the list is %s", got)
	}
}

func TestScriptedRefusals(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	for _, tt := range []struct {
		simulate   string
		status     int
		kind, code string
		header     map[string]string
	}{
		{"status=400", 400, "invalid_request_error", "", nil},
		{"status=401", 401, "invalid_request_error", "invalid_api_key", nil},
		{"status=403", 403, "invalid_request_error", "insufficient_permissions", nil},
		{"status=404", 404, "invalid_request_error", "model_not_found", nil},
		{
			"status=429,retry-after=7,retry-after-ms=6500,should-retry=false", 429, "requests", "rate_limit_exceeded",
			map[string]string{"Retry-After": "7", "Retry-After-Ms": "6500", "X-Should-Retry": "false", "X-Ratelimit-Remaining-Requests": "0"},
		},
		{"status=429,code=insufficient_quota", 429, "insufficient_quota", "insufficient_quota", map[string]string{"X-Ratelimit-Remaining-Requests": "9999"}},
		{"status=500", 500, "server_error", "server_error", nil},
		{"status=503", 503, "service_unavailable_error", "server_is_overloaded", nil},
	} {
		a := p.post("/v1/anything", "body", tt.simulate)
		var e struct {
			Error struct{ Type, Code string }
		}
		if err := json.Unmarshal([]byte(a.body), &e); err != nil {
			t.Fatal(err)
		}
		if a.StatusCode != tt.status || e.Error.Type != tt.kind || e.Error.Code != tt.code {
			t.Errorf("%s: got %d %s", tt.simulate, a.StatusCode, a.body)
		}
		for name, want := range tt.header {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", tt.simulate, name, got, want)
			}
		}
		if last := p.Requests()[len(p.Requests())-1]; string(last.Body) != "body" {
			t.Errorf("%s: recorded %q", tt.simulate, last.Body)
		}
	}
	a := p.post("/v1/chat/completions", chatBody, "redirect=/elsewhere,status=308")
	if a.StatusCode != 308 || a.Header.Get("Location") != "/elsewhere" {
		t.Errorf("got %d to %q, want 308 to /elsewhere", a.StatusCode, a.Header.Get("Location"))
	}
}

func TestRefusalBody(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{Script: func(*http.Request) simulator.Script {
		return simulator.Script{Status: 529, Body: "busy", ContentType: "text/plain"}
	}})
	a := p.post("/v1/chat/completions", chatBody, "")
	if a.StatusCode != 529 || a.body != "busy" || a.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("got %d %q %q", a.StatusCode, a.Header.Get("Content-Type"), a.body)
	}
}
