package simulator_test

import (
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// provider is a simulator that runs for one test.
type provider struct {
	*simulator.Server
	t      *testing.T
	server *httptest.Server
}

func run(t *testing.T, o simulator.Options) *provider {
	t.Helper()
	s := simulator.New(o)
	p := &provider{Server: s, t: t, server: httptest.NewServer(s)}
	t.Cleanup(s.Close)
	p.server.Client().Transport.(*http.Transport).DisableCompression = true
	p.server.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	t.Cleanup(p.server.Close)
	return p
}

// request makes a request; header is "Name: value" each.
func (p *provider) request(method, path, body string, header ...string) *http.Request {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.server.URL+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, field := range header {
		name, value, _ := strings.Cut(field, ": ")
		r.Header.Add(name, value)
	}
	return r
}

// answer is one that has been read to its end.
type answer struct {
	*http.Response
	body string
	err  error // of the body
}

func (p *provider) do(r *http.Request) answer {
	p.t.Helper()
	res, err := p.server.Client().Do(r)
	if err != nil {
		p.t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return answer{res, string(body), err}
}

// post sends body, with the words of X-Simulate.
func (p *provider) post(path, body, simulate string) answer {
	p.t.Helper()
	return p.do(p.request(http.MethodPost, path, body, "X-Simulate: "+simulate))
}

func (p *provider) get(path string) answer {
	p.t.Helper()
	return p.do(p.request(http.MethodGet, path, ""))
}

const (
	chatBody       = `{"model":"gpt-5-mini","messages":[{"role":"user","content":"one two three"}]}`
	chatStream     = `{"model":"gpt-5-mini","stream":true,"messages":[{"role":"user","content":"one two three"}]}`
	responseBody   = `{"model":"gpt-5-mini","input":"one two three"}`
	responseStream = `{"model":"gpt-5-mini","stream":true,"input":"one two three"}`
)

// whole fails the test if a is not a whole answer of 200.
func (p *provider) whole(a answer) string {
	p.t.Helper()
	if a.StatusCode != http.StatusOK || a.err != nil {
		p.t.Fatalf("got %d, error %v: %s", a.StatusCode, a.err, a.body)
	}
	return a.body
}

// wantCut fails the test if the body of a did not break off.
func (p *provider) wantCut(a answer) {
	p.t.Helper()
	if !errors.Is(a.err, io.ErrUnexpectedEOF) {
		p.t.Errorf("error %v after %d bytes, want an unexpected EOF", a.err, len(a.body))
	}
}

const (
	messagesBody   = `{"model":"claude-sonnet-4-5","max_tokens":1000,"messages":[{"role":"user","content":"one two three"}]}`
	messagesStream = `{"model":"claude-sonnet-4-5","max_tokens":1000,"stream":true,"messages":[{"role":"user","content":"one two three"}]}`
	geminiBody     = `{"contents":[{"role":"user","parts":[{"text":"one two three"}]}]}`
	converseBody   = `{"messages":[{"role":"user","content":[{"text":"one two three"}]}]}`
	invokeBody     = `{"anthropic_version":"bedrock-2023-05-31","max_tokens":1000,"messages":[{"role":"user","content":"one two three"}]}`
	vertexBody     = `{"anthropic_version":"vertex-2023-10-16","max_tokens":1000,"messages":[{"role":"user","content":"one two three"}]}`
	cohereBody     = `{"model":"command-r7b-12-2024","messages":[{"role":"user","content":"one two three"}]}`
	cohereStream   = `{"model":"command-r7b-12-2024","stream":true,"messages":[{"role":"user","content":"one two three"}]}`
)

// Paths of models that are there unasked.
const (
	geminiPath = "/v1beta/models/gemini-2.5-flash"
	vertexPath = "/v1/projects/p/locations/global/publishers/google/models/gemini-2.5-flash"
	claudePath = "/v1/projects/p/locations/global/publishers/anthropic/models/claude-sonnet-4-5@20250929"
	claudeID   = "us.anthropic.claude-sonnet-4-5-20250929-v1%3A0"
)

// ask sends body as any of the APIs wants it: with a version of Anthropic's and a key.
func (p *provider) ask(path, body, simulate string) answer {
	p.t.Helper()
	return p.do(p.request(http.MethodPost, path, body,
		"X-Simulate: "+simulate, "Anthropic-Version: 2023-06-01", "Authorization: Bearer sk"))
}

// bedrock sends body to an operation on a model of Anthropic's.
func (p *provider) bedrock(operation, body, simulate string) answer {
	p.t.Helper()
	return p.ask("/model/"+claudeID+"/"+operation, body, simulate)
}

func base64Of(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
