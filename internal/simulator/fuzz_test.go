package simulator_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

// FuzzRequest holds that every body has an answer: a good one, or an error object with
// a status of 4xx; and that no part of a usage exceeds its whole.
func FuzzRequest(f *testing.F) {
	paths := []string{
		"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/responses/input_tokens",
		"/v1/responses/compact", "/v1/embeddings", "/v1/images/generations",
		"/v1/messages/count_tokens", geminiPath + ":countTokens", "/model/m/count-tokens",
		"/v1beta/models/m:embedContent", "/v1beta/models/m:batchEmbedContents", vertexPath + ":predict",
		"/v2/embed", "/v2/rerank", "/openai/deployments/m/chat/completions?api-version=x",
	}
	for _, tt := range surfaces {
		paths = append(paths, tt.path)
	}
	for i := range paths {
		for _, tt := range surfaces {
			f.Add(uint8(i), tt.body)
		}
	}
	for i := range paths {
		f.Add(uint8(i), chatBody)
		f.Add(uint8(i), responseStream)
		f.Add(uint8(i), `{"model":"gpt-5-mini","input":[null,1,{},{"type":"x"},{"role":"user","content":[{"text":1}]}]}`)
		f.Add(uint8(i), `{"model":"gpt-5-mini","messages":[{}],"input":[{"type":"x"},{ "type":"y", "id":""}],"prompt":"p","tools":[null,{"type":"function","name":"f","parameters":[]}],"tool_choice":{}}`)
	}
	s := simulator.New(simulator.Options{AnyModel: true})
	f.Fuzz(func(t *testing.T, n uint8, body string) {
		w := httptest.NewRecorder()
		path := paths[int(n)%len(paths)]
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Anthropic-Version", "2023-06-01")
		r.Header.Set("Authorization", "Bearer sk")
		s.ServeHTTP(w, r)
		text := w.Body.String()
		if w.Code != http.StatusOK && (w.Code < 400 || w.Code > 499 || !strings.Contains(text, `"message":`)) {
			t.Fatalf("%s: %d %s", path, w.Code, text)
		}
		if kind := w.Header().Get("Content-Type"); strings.HasPrefix(kind, "application/json") && !json.Valid([]byte(text)) {
			t.Fatalf("%s: not JSON: %s", path, text)
		}
		u, err := simulator.UsageOf(path, []byte(body))
		if err == nil && min(u.Prompt-u.Cached-u.CacheWrite, u.CacheWrite-u.CacheWrite1h, u.Completion-u.Reasoning) < 0 {
			t.Fatalf("%s: parts of %+v exceed their whole", path, u)
		}
	})
}

// FuzzParseScript holds that no header makes trouble, and that an empty addition
// changes nothing.
func FuzzParseScript(f *testing.F) {
	for _, seed := range []string{"gzip,piece=3", "status=429, retry-after=1", "end=x", "=,=", "delay=99999999999h", "cut-bytes=99999999999999999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		s, err := simulator.ParseScript(header, simulator.Script{})
		if err != nil {
			return
		}
		again, err := simulator.ParseScript("", s)
		if err != nil || again.Status != s.Status || again.PieceBytes != s.PieceBytes || again.LineEnd != s.LineEnd {
			t.Fatalf("%+v became %+v, %v", s, again, err)
		}
	})
}

// FuzzAuthorization holds that nothing but the right signature gets through.
func FuzzAuthorization(f *testing.F) {
	const right = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261124/us-east-1/bedrock/aws4_request, SignedHeaders=host;x-amz-date, Signature=00"
	f.Add(right, "20261124T123000Z")
	f.Add(strings.ReplaceAll(right, ", ", ","), "")
	f.Add("Bearer x", "x")
	s := simulator.New(simulator.Options{AWS: awsKeys})
	f.Fuzz(func(t *testing.T, authorization, date string) {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, signed[0].path, strings.NewReader(converseBody))
		r.Header.Set("Authorization", authorization)
		r.Header.Set("X-Amz-Date", date)
		s.ServeHTTP(w, r)
		if w.Code != http.StatusForbidden && w.Code != http.StatusBadRequest {
			t.Fatalf("%q at %q: %d %s", authorization, date, w.Code, w.Body)
		}
	})
}
