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
// a status of 4xx.
func FuzzRequest(f *testing.F) {
	paths := []string{
		"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/responses/input_tokens",
		"/v1/responses/compact", "/v1/embeddings", "/v1/images/generations",
	}
	for i := range paths {
		f.Add(uint8(i), chatBody)
		f.Add(uint8(i), responseStream)
		f.Add(uint8(i), `{"model":"gpt-5-mini","input":[null,1,{},{"type":"x"},{"role":"user","content":[{"text":1}]}]}`)
		f.Add(uint8(i), `{"model":"gpt-5-mini","messages":[{}],"input":[{"type":"x"},{ "type":"y", "id":""}],"prompt":"p","tools":[null,{"type":"function","name":"f","parameters":[]}],"tool_choice":{}}`)
	}
	s := simulator.New(simulator.Options{AnyModel: true})
	f.Fuzz(func(t *testing.T, path uint8, body string) {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, paths[int(path)%len(paths)], strings.NewReader(body)))
		if w.Code != http.StatusOK && (w.Code < 400 || w.Code > 499 || !strings.HasPrefix(w.Body.String(), `{"error":{"message":"`)) {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if kind := w.Header().Get("Content-Type"); kind == "application/json" && !json.Valid(w.Body.Bytes()) {
			t.Fatalf("not JSON: %s", w.Body)
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
