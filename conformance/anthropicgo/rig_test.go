// Package anthropicgo drives the gateway with anthropic-sdk-go, Anthropic's own SDK for Go.
//
// Most tests speak to a simulated provider twice, directly and through the gateway, and
// say what the SDK must have understood. Both times it must have heard the same bytes,
// and each exchange must have left the one record that the provider's rules foretell.
package anthropicgo

import (
	"cmp"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
	"go.uber.org/goleak"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/conformance/rig"
	"github.com/llmproxy/llmproxy/internal/simulator"
	provider "github.com/llmproxy/llmproxy/providers/anthropic"
)

func TestMain(m *testing.M) {
	rig.Unset("ANTHROPIC_")
	goleak.VerifyTestMain(m)
}

const (
	providerKey = "sk-ant-of-the-gateway"
	clientKey   = "sk-ant-of-the-client"
)

// The models of the provider.
const (
	sonnet  = "claude-sonnet-4-5"
	thinker = "claude-think-1"
)

// setup is a gateway with a key of its own.
func setup(opts ...llmproxy.Option) rig.Setup {
	return rig.Setup{
		API:       simulator.Anthropic,
		Simulator: simulator.Options{APIKey: providerKey},
		Provider:  configured(provider.Config{APIKey: providerKey}),
		Options:   opts,
		Agent:     "Anthropic/Go ",
		Secrets:   []string{clientKey},
		Credential: func(r simulator.Request) string {
			if r.Header.Get("X-Api-Key") != providerKey || r.Header.Get("Authorization") != "" {
				return r.Header.Get("X-Api-Key") + r.Header.Get("Authorization")
			}
			return ""
		},
	}
}

// configured returns what makes the provider that c describes.
func configured(c provider.Config) func(string) (llmproxy.Provider, error) {
	return func(base string) (llmproxy.Provider, error) {
		c := c
		c.BaseURL = cmp.Or(c.BaseURL, base)
		return provider.New(c)
	}
}

// session is an SDK client, with what it has heard so far.
type session struct {
	*rig.Session
	anthropic.Client
}

// newSession returns a client that makes one attempt at each call.
func newSession(s *rig.Session, key string, opts ...option.RequestOption) *session {
	return &session{s, anthropic.NewClient(append([]option.RequestOption{
		option.WithoutEnvironmentDefaults(), option.WithBaseURL(s.URL), option.WithAPIKey(key),
		option.WithHTTPClient(s.Client), option.WithMaxRetries(0),
	}, opts...)...)}
}

// enter returns a client of a new gateway that is like s.
func enter(t *testing.T, s rig.Setup, e rig.Entry, opts ...option.RequestOption) *session {
	t.Helper()
	return newSession(rig.New(t, s).Enter(e), clientKey, opts...)
}

// byModel is the entry that most clients use.
var byModel = rig.Entry{Name: "by the model"}

// plain are the entries at which models keep the names the provider gave them.
var plain = []rig.Entry{
	byModel,
	{Name: "by the model, v1", Base: "/v1"},
	{Name: "by the model, trailing slash", Base: "/"},
	{Name: "mount", Base: "/anthropic"},
	{Name: "mount, trailing slash", Base: "/anthropic/"},
	{Name: "mount, HTTP/2", Base: "/anthropic", HTTP2: true},
}

// every adds those at which a prefix of the model names the provider.
var every = append(
	plain[:len(plain):len(plain)],
	rig.Entry{Name: "by a prefix", Prefix: "anthropic/"},
	rig.Entry{Name: "by a prefix, HTTP/2", Prefix: "anthropic/", HTTP2: true},
)

// some are as different as can be.
var some = []rig.Entry{byModel, every[len(every)-1]}

// everywhere runs a scenario with the provider itself, and then by each entry.
func everywhere(t *testing.T, entries []rig.Entry, scenario func(*session)) {
	t.Helper()
	rig.Everywhere(t, entries, func(t *testing.T, e *rig.Entry) *session {
		if e == nil {
			return newSession(rig.Direct(t, setup(), ""), providerKey)
		}
		return enter(t, setup(), *e)
	}, scenario)
}

// simulate tells the provider how to misbehave.
func simulate(script string) option.RequestOption { return option.WithHeader("X-Simulate", script) }

// completed is the record of an exchange that went well.
func (s *session) completed(model string) rig.Exchange {
	return rig.Exchange{API: llmproxy.APIMessages, Model: model, Answered: s.Snapshot(model), Tier: "standard"}
}

// streamed is the same for a stream.
func (s *session) streamed(model string) rig.Exchange {
	e := s.completed(model)
	e.Transport = llmproxy.TransportSSE
	return e
}

// failed is the record of an exchange that the provider answered with an error.
func failed(model string, status int, kind string) rig.Exchange {
	return rig.Failed(llmproxy.APIMessages, model, status, kind)
}
