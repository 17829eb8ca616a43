// Package interceptorstest holds interceptors to what they promise together: that they do
// the same to a JSON answer, a stream and a turn of a WebSocket, that what they send again
// is what was sent before, and that they leave alone what they do not read.
//
// It knows no provider and no WebSocket library: who runs the suite brings both.
package interceptorstest

import (
	"net/http"
	"testing"

	"github.com/llmproxy/llmproxy"
)

// Suite is what the interceptors are tried with.
type Suite struct {
	// Upstream answers as OpenAI does, over WebSockets too: Chat Completions, Responses,
	// the model gpt-5-mini.
	Upstream func(tb testing.TB) http.Handler
	// Provider returns one of that name and of that base URL, which is the upstream's.
	Provider func(tb testing.TB, name, baseURL string) llmproxy.Provider
	Upgrader llmproxy.WSUpgrader
	Dialer   llmproxy.WSDialer
}

// Case is an interceptor and what it does.
type Case struct {
	Name string
	// New returns one for a router with those providers, of which the first serves
	// gpt-5-mini. All are the same upstream.
	New func(tb testing.TB, providers []llmproxy.Provider) llmproxy.Interceptor

	ChangesRequest bool // the body that the provider gets is not the client's
	ReadsAnswer    bool // it wraps the streams of answers
	ChangesAnswer  bool // what the client gets is not what the provider said
}

// Run tries a chain of interceptors, the outermost first.
func (s Suite) Run(t *testing.T, chain ...Case) {
	t.Helper()
	name, all := "", Case{}
	for _, c := range chain {
		if name != "" {
			name += " around "
		}
		name += c.Name
		all.ChangesRequest = all.ChangesRequest || c.ChangesRequest
		all.ReadsAnswer = all.ReadsAnswer || c.ReadsAnswer
		all.ChangesAnswer = all.ChangesAnswer || c.ChangesAnswer
	}
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		for _, e := range exchanges {
			t.Run(e.name, func(t *testing.T) { newRig(t, s, chain, all).post(e) })
		}
		t.Run("WebSocket", func(t *testing.T) { newRig(t, s, chain, all).turns(false) })
		t.Run("WebSocket, at the second try", func(t *testing.T) { newRig(t, s, chain, all).turns(true) })
		t.Run("many at once", func(t *testing.T) { newRig(t, s, chain, all).crowd() })
	})
}

// RunPairs tries each case alone, and inside and around each other one.
func (s Suite) RunPairs(t *testing.T, cases ...Case) {
	t.Helper()
	for i, outer := range cases {
		s.Run(t, outer)
		for j, inner := range cases {
			if i != j {
				s.Run(t, outer, inner)
			}
		}
	}
}

// exchange is a request over HTTP.
type exchange struct {
	name, path, body string
	flaky            bool // its first call fails
}

const (
	chatJSON        = `{"model":"gpt-5-mini","messages":[{"role":"user","content":"tell me"}]}`
	chatStream      = `{"model":"gpt-5-mini","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"tell me"}]}`
	responsesJSON   = `{"model":"gpt-5-mini","input":"tell me"}`
	responsesStream = `{"model":"gpt-5-mini","stream":true,"input":"tell me"}`
	badRequest      = `{"model":"gpt-5-mini","messages":"none"}`
)

var exchanges = [...]exchange{
	{name: "JSON", path: "/v1/chat/completions", body: chatJSON},
	{name: "stream", path: "/v1/chat/completions", body: chatStream},
	{name: "JSON of Responses", path: "/v1/responses", body: responsesJSON},
	{name: "stream of Responses", path: "/v1/responses", body: responsesStream},
	{name: "refusal", path: "/v1/chat/completions", body: badRequest},
	{name: "JSON, at the second try", path: "/v1/chat/completions", body: chatJSON, flaky: true},
	{name: "stream, at the second try", path: "/v1/chat/completions", body: chatStream, flaky: true},
}
