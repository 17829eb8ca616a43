package simulator_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

// TestFormsOfSurfaces holds that a form changes how an answer looks and not what it says.
func TestFormsOfSurfaces(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	for _, tt := range surfaces {
		plain := p.whole(p.ask(tt.path, tt.body, ""))
		for _, simulate := range []string{"piece", "piece=7", "trailers", "comments", "bom", "eol=lf", "eol=crlf"} {
			got := p.whole(p.ask(tt.path, tt.body, simulate))
			got = strings.TrimPrefix(strings.ReplaceAll(got, "\r\n", "\n"), "\ufeff")
			got = strings.ReplaceAll(got, ": keep-alive\n\n", "")
			if got != strings.ReplaceAll(plain, "\r\n", "\n") {
				t.Errorf("%s: %s: got %q", tt.path, simulate, got)
			}
		}
		for _, simulate := range []string{"gzip", "gzip,piece=3"} {
			if got := unzipped(p.whole(p.ask(tt.path, tt.body, simulate))); got != plain {
				t.Errorf("%s: %s: got %q", tt.path, simulate, got)
			}
		}
		// To the same question the same answer.
		if again := p.whole(p.ask(tt.path, tt.body, "")); again != plain {
			t.Errorf("%s: got %q after %q", tt.path, again, plain)
		}
	}
	google := p.whole(p.ask(geminiPath+":streamGenerateContent?alt=sse", geminiBody, ""))
	if n := strings.Count(google, "\r\n\r\n"); n != 6 || strings.Count(google, "\n") != 2*n {
		t.Errorf("the lines of Google's stream do not end in CRLF: %q", google)
	}
	if lf := p.whole(p.ask(geminiPath+":streamGenerateContent?alt=sse", geminiBody, "eol=lf")); strings.Contains(lf, "\r") {
		t.Errorf("eol=lf: %q", lf)
	}
}

// TestCutsOfSurfaces holds that each answer breaks off where the script says.
func TestCutsOfSurfaces(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	for _, tt := range surfaces {
		whole := p.whole(p.ask(tt.path, tt.body, ""))
		for _, n := range []string{"0", "1", "55"} {
			a := p.ask(tt.path, tt.body, "cut-bytes="+n)
			p.wantCut(a)
			if !strings.HasPrefix(whole, a.body) || len(a.body) > 55 {
				t.Errorf("%s: cut at %s: got %q", tt.path, n, a.body)
			}
		}
		if !isStream(tt.path, tt.body) {
			a := p.ask(tt.path, tt.body, "short")
			p.wantCut(a)
			if a.body != whole[:len(whole)/2] {
				t.Errorf("%s: short: got %q", tt.path, a.body)
			}
			const size = 100_001
			if a := p.ask(tt.path, tt.body, "json-bytes=100001"); len(p.whole(a)) != size || !json.Valid([]byte(a.body)) {
				t.Errorf("%s: json-bytes: %d bytes", tt.path, len(a.body))
			}
			continue
		}
		a := p.ask(tt.path, tt.body, "cut-events=2")
		p.wantCut(a)
		if !strings.HasPrefix(whole, a.body) || a.body == whole || a.body == "" {
			t.Errorf("%s: cut-events: got %q", tt.path, a.body)
		}
		a = p.ask(tt.path, tt.body, "unfinished")
		if got := p.whole(a); !strings.HasPrefix(whole, got) || len(got) >= len(whole) || !strings.Contains(got, "three") && !strings.Contains(tt.path, "invoke") {
			t.Errorf("%s: unfinished: got %q", tt.path, got)
		}
		if got := p.whole(p.ask(tt.path, tt.body, "huge")); len(got) < 3<<20 {
			t.Errorf("%s: huge: %d bytes", tt.path, len(got))
		}
		a = p.ask(tt.path, tt.body, "events=300")
		p.whole(a)
		if n := len(payloads(t, a)); n < 300 || n > 320 {
			t.Errorf("%s: %d events, want 300 and a few", tt.path, n)
		}
	}
}

// TestErrorsOfSurfaces holds that each API refuses in its own shape.
func TestErrorsOfSurfaces(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	for _, tt := range []struct {
		path   string
		status string
		want   string // in the body, or the name in X-Amzn-Errortype
	}{
		{"/v1/messages", "400", `{"type":"error","error":{"type":"invalid_request_error","message":"Bad Request."},"request_id":"req_`},
		{"/v1/messages", "401", `"type":"authentication_error"`},
		{"/v1/messages", "402", `"type":"billing_error"`},
		{"/v1/messages", "403", `"type":"permission_error"`},
		{"/v1/messages", "404", `"type":"not_found_error"`},
		{"/v1/messages", "413", `"type":"request_too_large"`},
		{"/v1/messages", "429", `"type":"rate_limit_error"`},
		{"/v1/messages", "500", `"type":"api_error"`},
		{"/v1/messages", "529", `"type":"overloaded_error"`},
		{"/v1/messages", "400,code=custom_error", `"type":"custom_error"`},
		{geminiPath + ":generateContent", "400", `"status": "INVALID_ARGUMENT"`},
		{geminiPath + ":generateContent", "401", `"status": "UNAUTHENTICATED"`},
		{geminiPath + ":generateContent", "403", `"status": "PERMISSION_DENIED"`},
		{geminiPath + ":generateContent", "404", `"status": "NOT_FOUND"`},
		{geminiPath + ":generateContent", "429,retry-after=31", `"retryDelay": "31s"`},
		{geminiPath + ":generateContent", "500", `"status": "INTERNAL"`},
		{vertexPath + ":generateContent", "503", `"status": "UNAVAILABLE"`},
		{claudePath + ":rawPredict", "429", `"status": "RESOURCE_EXHAUSTED"`},
		{"/model/x/converse", "400", "ValidationException"},
		{"/model/x/converse", "403", "AccessDeniedException"},
		{"/model/x/converse", "404", "ResourceNotFoundException"},
		{"/model/x/converse", "424", "ModelErrorException"},
		{"/model/x/invoke", "429", "ThrottlingException"},
		{"/model/x/invoke", "500", "InternalServerException"},
		{"/model/x/invoke", "503", "ServiceUnavailableException"},
		{"/model/x/invoke", "429,code=ModelNotReadyException", "ModelNotReadyException"},
		{"/v2/chat", "429", `"message":"Rate limit reached.`},
		{"/openai/deployments/d/chat/completions", "401", `{"error":{"code":"401","message":"`},
		{"/openai/deployments/d/chat/completions", "429", `{"error":{"code":"RateLimitReached","message":"`},
		{"/openai/deployments/d/chat/completions", "400,code=content_filter", `"code":"content_filter"`},
		{"/openai/deployments/d/chat/completions", "500", `"type":"server_error"`},
		{"/v1/messages", "502", "<html>"},
	} {
		a := p.ask(tt.path, "{}", "status="+tt.status)
		where := a.body
		if strings.HasPrefix(tt.path, "/model/") {
			where = a.Header.Get("X-Amzn-Errortype")
		}
		if !strings.HasPrefix(tt.status, a.Status[:3]) || !strings.Contains(where, tt.want) {
			t.Errorf("%s, status=%s: got %s %s, want %s", tt.path, tt.status, a.Status, where, tt.want)
		}
		if strings.Contains(tt.status, "retry-after") && a.Header.Get("Retry-After") != "" {
			t.Errorf("%s: Google does not send Retry-After", tt.path)
		}
	}
	for _, tt := range surfaces {
		a := p.ask(tt.path, tt.body, "end=error")
		if isStream(tt.path, tt.body) != (a.StatusCode == http.StatusOK) {
			t.Errorf("%s: end=error: %d", tt.path, a.StatusCode)
		}
		a = p.ask(tt.path, tt.body, "end=incomplete")
		p.whole(a)
		text := strings.Join(payloads(t, a), "")
		if !slices.ContainsFunc([]string{`"max_tokens"`, `"MAX_TOKENS"`}, func(reason string) bool { return strings.Contains(text, reason) }) {
			t.Errorf("%s: end=incomplete: got %s", tt.path, text)
		}
	}
}
