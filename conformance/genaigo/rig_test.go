// Package genaigo drives the gateway with google.golang.org/genai, Google's own SDK for Go,
// as a client of the Gemini API and of Vertex AI.
//
// Most tests speak to a simulated provider twice, directly and through the gateway, and
// say what the SDK must have understood. Both times it must have heard the same bytes,
// and each exchange must have left the one record that the provider's rules foretell.
package genaigo

import (
	"cmp"
	"io"
	"log"
	"net/http"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/genai"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/conformance/rig"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/googleai"
)

func TestMain(m *testing.M) {
	rig.Unset("GOOGLE_", "GEMINI_")
	log.SetOutput(io.Discard) // the SDK logs what it returns
	// A library below the SDK's starts it as it is imported, and never ends it.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

const (
	providerKey = "AIza-of-the-gateway"
	clientKey   = "AIza-of-the-client"
)

// The models of the provider.
const (
	flash   = "gemini-2.5-flash"
	thinker = "gemini-2.5-think"
	third   = "gemini-3-flash-preview"
)

// setup is a gateway with a key of its own.
func setup(opts ...llmproxy.Option) rig.Setup {
	return rig.Setup{
		API:       simulator.Gemini,
		Simulator: simulator.Options{APIKey: providerKey, NoQueryKey: true},
		Provider:  configured(googleai.Config{APIKey: providerKey}),
		Options:   opts,
		Agent:     "google-genai-sdk/",
		Secrets:   []string{clientKey},
		Credential: func(r simulator.Request) string {
			if r.Header.Get("X-Goog-Api-Key") != providerKey || r.Header.Get("Authorization") != "" {
				return r.Header.Get("X-Goog-Api-Key") + r.Header.Get("Authorization")
			}
			return ""
		},
	}
}

// configured returns what makes the provider that c describes.
func configured(c googleai.Config) func(string) (llmproxy.Provider, error) {
	return func(base string) (llmproxy.Provider, error) {
		c := c
		c.BaseURL = cmp.Or(c.BaseURL, base)
		return googleai.New(c)
	}
}

// session is an SDK client, with what it has heard so far.
type session struct {
	*rig.Session
	*genai.Client
	tier string // that the provider reports
}

// newSession returns a client of the Gemini API that makes one attempt at each call. The
// provider misbehaves as the script says.
func newSession(s *rig.Session, key, script string, change ...func(*genai.ClientConfig)) *session {
	s.T.Helper()
	config := genai.ClientConfig{
		APIKey: key, Backend: genai.BackendGeminiAPI, HTTPClient: s.Client,
		HTTPOptions: genai.HTTPOptions{BaseURL: s.URL, Headers: http.Header{}},
	}
	if script != "" {
		config.HTTPOptions.Headers.Set("X-Simulate", script)
	}
	for _, c := range change {
		c(&config)
	}
	client, err := genai.NewClient(s.T.Context(), &config)
	s.Do(err)
	return &session{s, client, "standard"}
}

// enter returns a client of a new gateway that is like s.
func enter(t *testing.T, s rig.Setup, e rig.Entry, script string, change ...func(*genai.ClientConfig)) *session {
	t.Helper()
	return newSession(rig.New(t, s).Enter(e), clientKey, script, change...)
}

// byModel is the entry that most clients use.
var byModel = rig.Entry{Name: "by the model"}

// plain are the entries at which models keep the names the provider gave them.
var plain = []rig.Entry{
	byModel,
	{Name: "by the model, v1", Base: "/v1"},
	{Name: "by the model, trailing slash", Base: "/"},
	{Name: "by the model, with its collection", Prefix: "models/"},
	{Name: "mount", Base: "/googleai"},
	{Name: "mount, trailing slash", Base: "/googleai/"},
	{Name: "mount, HTTP/2", Base: "/googleai", HTTP2: true},
}

// prefixed are the entries at which a prefix of the model names the provider.
var prefixed = []rig.Entry{
	{Name: "by the prefix google", Prefix: "google/"},
	{Name: "by the prefix gemini", Prefix: "gemini/"},
	{Name: "by its name, HTTP/2", Prefix: "googleai/", HTTP2: true},
}

// every is all of them.
var every = slices.Concat(plain, prefixed)

// some are as different as can be.
var some = []rig.Entry{byModel, prefixed[2]}

// everywhere runs a scenario with the provider itself, and then by each entry. The
// provider misbehaves as the script says.
func everywhere(t *testing.T, entries []rig.Entry, script string, scenario func(*session)) {
	t.Helper()
	rig.Everywhere(t, entries, func(t *testing.T, e *rig.Entry) *session {
		if e == nil {
			return newSession(rig.Direct(t, setup(), ""), providerKey, script)
		}
		return enter(t, setup(), *e, script)
	}, scenario)
}

// completed is the record of an exchange that went well.
func (s *session) completed(model string) rig.Exchange {
	return s.exchange(rig.Exchange{Model: model, Tier: s.tier})
}

// streamed is the same for a stream.
func (s *session) streamed(model string) rig.Exchange {
	e := s.completed(model)
	e.Transport = llmproxy.TransportSSE
	return e
}

// failed is the record of an exchange that the provider answered with an error.
func (s *session) failed(model string, status int, kind, code string) rig.Exchange {
	e := rig.Failed("", model, status, kind)
	e.Code, e.Tier = code, s.tier
	return s.exchange(e)
}

// exchange fills in what all exchanges have in common. The SDK puts models into a
// collection, which is no part of their names.
func (s *session) exchange(e rig.Exchange) rig.Exchange {
	e.API = llmproxy.APIGenerateContent
	e.Requested = strings.TrimPrefix(s.Model(e.Model), "models/")
	return e
}
