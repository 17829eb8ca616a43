// Package openresponses holds the gateway to what the compliance suite of the Open
// Responses specification asks of a server, over HTTP and over WebSockets, in words of our
// own: what each answer and each event must be made of, and how a conversation goes on.
//
// As in the suite, all cases run at the same time against one server. They run against the
// simulated provider itself first, and then through the gateway.
package openresponses

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/conformance/rig"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	providerKey = "sk-of-the-gateway"
	clientKey   = "sk-of-the-client"
)

// suite is a server that the cases run against, and what they were told by it.
type suite struct {
	url   string // the base URL
	key   string
	model string
	http  *http.Client

	mu    sync.Mutex
	usage simulator.Usage // the sum of what answers report; guarded by mu
	calls int             // exchanges and turns; guarded by mu
}

// client is one case's.
type client struct {
	*suite
	t   *testing.T
	ctx context.Context
}

// scenario is a case of the suite, by the name that it has there.
type scenario struct {
	name string
	run  func(*client)
}

func setup() rig.Setup {
	return rig.Setup{
		API:       simulator.OpenAI,
		Simulator: simulator.Options{APIKey: providerKey},
		Provider: func(base string) (llmproxy.Provider, error) {
			return openai_compatible.New(openai_compatible.Config{Type: "openai", BaseURL: base, APIKey: providerKey})
		},
		Options: []llmproxy.Option{llmproxy.WithFallback("openai")},
		Secrets: []string{clientKey},
	}
}

func newSuite(t *testing.T, url, key, model string) *suite {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &suite{url: url, key: key, model: model, http: &http.Client{Transport: transport}}
}

// run runs all cases at once and returns when they have ended.
func (s *suite) run(t *testing.T, cases []scenario) {
	t.Helper()
	t.Run("cases", func(t *testing.T) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
				defer cancel()
				c.run(&client{s, t, ctx})
			})
		}
	})
}

func TestCompliance(t *testing.T) {
	t.Parallel()
	cases := append(httpCases(), socketCases()...)
	t.Run("the provider itself", func(t *testing.T) {
		t.Parallel()
		session := rig.DirectTo(t, setup(), simulator.New(setup().Simulator), "/v1")
		newSuite(t, session.URL, providerKey, "gpt-5-mini").run(t, cases)
	})
	for _, e := range []struct{ name, base, model string }{
		{"by the model", "/v1", "gpt-5-mini"},
		{"by the model, no v1", "", "gpt-5-mini"},
		{"by a prefix", "/v1", "openai/gpt-5-mini"},
		{"mount", "/openai/v1", "gpt-5-mini"},
		{"mount, no v1", "/openai", "gpt-5-mini"},
	} {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			r := rig.NewSockets(t, setup())
			s := newSuite(t, r.Gateway+e.base, clientKey, e.model)
			s.run(t, cases)
			s.recorded(t, r)
		})
	}
}

// recorded holds the gateway's records against all that the cases were told, and against
// the turns that the provider has counted.
func (s *suite) recorded(t *testing.T, r *rig.Sockets) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
	defer cancel()
	if err := r.Simulator.AwaitNoSockets(ctx); err != nil {
		t.Fatalf("a socket is left: %v", err)
	}
	turns := 0
	var counted simulator.Usage
	for _, c := range r.Simulator.Connections() {
		turns += len(c.Turns)
		for _, turn := range c.Turns {
			if turn.Reported {
				counted = plus(counted, turn.Usage)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all, overSockets simulator.Usage
	for range s.calls {
		rec := r.Record()
		u := simulator.Usage{
			Prompt: rec.Usage.PromptTokens, Cached: rec.Usage.CacheRead, CacheWrite: rec.Usage.CacheWrite,
			Completion: rec.Usage.CompletionTokens, Reasoning: rec.Usage.Reasoning,
		}
		all = plus(all, u)
		if rec.Transport == llmproxy.TransportWebSocket {
			overSockets = plus(overSockets, u)
			turns--
		}
	}
	if turns != 0 {
		t.Errorf("the provider counted %d turns more than there are records", turns)
	}
	if overSockets != counted {
		t.Errorf("recorded %+v over WebSockets, the provider counted %+v", overSockets, counted)
	}
	if all != s.usage {
		t.Errorf("recorded %+v, the clients were told %+v", all, s.usage)
	}
	if n := r.Pending(); n != 0 {
		t.Errorf("%d records too many", n)
	}
}

func plus(a, b simulator.Usage) simulator.Usage {
	return simulator.Usage{
		Prompt: a.Prompt + b.Prompt, Cached: a.Cached + b.Cached, CacheWrite: a.CacheWrite + b.CacheWrite,
		Completion: a.Completion + b.Completion, Reasoning: a.Reasoning + b.Reasoning,
	}
}

// told notes that an exchange or turn has ended with the answer o; nil: without one.
func (s *suite) told(o object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	usage, _ := o["usage"].(object)
	number := func(o object, name string) int64 {
		n, _ := o[name].(float64)
		return int64(n)
	}
	in, _ := usage["input_tokens_details"].(object)
	out, _ := usage["output_tokens_details"].(object)
	s.usage = plus(s.usage, simulator.Usage{
		Prompt: number(usage, "input_tokens"), Cached: number(in, "cached_tokens"), CacheWrite: number(in, "cache_write_tokens"),
		Completion: number(usage, "output_tokens"), Reasoning: number(out, "reasoning_tokens"),
	})
}

// object is a JSON object.
type object = map[string]any

// ask returns a request with the model.
func (c *client) ask(members object) object {
	o := object{"model": c.model}
	for name, value := range members {
		o[name] = value
	}
	return o
}

// message is an item of the input.
func message(role string, content any) object {
	return object{"type": "message", "role": role, "content": content}
}

// function is a tool, without strict.
func function(name string) object {
	return object{
		"type": "function", "name": name, "description": "what it does",
		"parameters": object{"type": "object", "properties": object{"place": object{"type": "string"}}, "required": []string{"place"}},
	}
}

// request sends a request and returns the answer, whose body is the caller's to close.
func (c *client) request(method, path string, body any) *http.Response {
	c.t.Helper()
	var sent io.Reader
	if body != nil {
		sent = bytes.NewReader(encode(body))
	}
	r, err := http.NewRequestWithContext(c.ctx, method, c.url+path, sent)
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+c.key)
	resp, err := c.http.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp
}

// post sends a JSON request and returns the answer to it, which must be JSON.
func (c *client) post(path string, body object) (status int, answer object) {
	c.t.Helper()
	resp := c.request(http.MethodPost, path, body)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Type"); !strings.HasPrefix(got, "application/json") {
		c.t.Errorf("content type %q", got)
	}
	answer = c.decode(text)
	c.told(answer)
	return resp.StatusCode, answer
}

func (c *client) decode(text []byte) object {
	c.t.Helper()
	var o object
	if err := json.Unmarshal(text, &o); err != nil {
		c.t.Fatalf("%v: %q", err, text)
	}
	return o
}

func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}
