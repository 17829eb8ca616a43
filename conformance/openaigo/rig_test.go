// Package openaigo drives the gateway with openai-go, OpenAI's own SDK for Go.
//
// Most tests speak to a simulated provider twice, directly and through the gateway, and
// say what the SDK must have understood. Both times it must have heard the same bytes,
// and each exchange must have left the one record that the provider's rules foretell.
package openaigo

import (
	"cmp"
	"slices"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"go.uber.org/goleak"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/conformance/rig"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

func TestMain(m *testing.M) {
	rig.Unset("OPENAI_")
	goleak.VerifyTestMain(m)
}

const (
	providerKey = "sk-of-the-gateway"
	clientKey   = "sk-of-the-client"
)

// gateway is one in front of a provider named openai, which is also its fallback.
type gateway struct{ *rig.Rig }

// newRig starts a gateway; opts come after the rig's own.
func newRig(t *testing.T, opts ...llmproxy.Option) gateway {
	t.Helper()
	return newRigOf(t, simulator.Options{APIKey: providerKey}, openai_compatible.Config{APIKey: providerKey}, opts...)
}

// newRigOf starts a provider that is like so, and a gateway that calls it as config says.
// The type, and the base URL where there is none, are the rig's own.
func newRigOf(t *testing.T, so simulator.Options, config openai_compatible.Config, opts ...llmproxy.Option) gateway {
	t.Helper()
	return gateway{rig.New(t, setup(so, config, opts...))}
}

func setup(so simulator.Options, config openai_compatible.Config, opts ...llmproxy.Option) rig.Setup {
	return rig.Setup{
		API:       simulator.OpenAI,
		Simulator: so,
		Provider: func(base string) (llmproxy.Provider, error) {
			config := config
			config.Type, config.BaseURL = "openai", cmp.Or(config.BaseURL, base)
			return openai_compatible.New(config)
		},
		Options: append([]llmproxy.Option{llmproxy.WithFallback("openai")}, opts...),
		Agent:   "OpenAI/Go ",
		Secrets: []string{clientKey},
		Credential: func(r simulator.Request) string {
			if got := r.Header.Get("Authorization"); got != "Bearer "+providerKey {
				return cmp.Or(got, "none")
			}
			return ""
		},
	}
}

// session is an SDK client, with what it has heard so far.
type session struct {
	*rig.Session
	*openai.Client
}

func newSession(s *rig.Session, path, key string, opts ...option.RequestOption) *session {
	client := openai.NewClient(append([]option.RequestOption{
		option.WithBaseURL(s.URL + path), option.WithAPIKey(key), option.WithHTTPClient(s.Client), option.WithMaxRetries(0),
	}, opts...)...)
	return &session{s, &client}
}

// session returns a client of the gateway that makes one attempt at each call. base is
// the path of its base URL, prefix goes before models.
func (g gateway) session(base, prefix string, opts ...option.RequestOption) *session {
	return newSession(g.Enter(rig.Entry{Base: base, Prefix: prefix}), "", clientKey, opts...)
}

// direct returns a client of a provider of its own.
func direct(t *testing.T, opts ...option.RequestOption) *session {
	t.Helper()
	s := rig.Direct(t, setup(simulator.Options{APIKey: providerKey}, openai_compatible.Config{}), "")
	return newSession(s, "/v1", providerKey, opts...)
}

// plain are the entries at which models keep the names the provider gave them.
var plain = []rig.Entry{
	{Name: "by the model", Base: "/v1"},
	{Name: "by the model, no v1"},
	{Name: "by the model, trailing slash", Base: "/v1/"},
	{Name: "mount", Base: "/openai/v1"},
	{Name: "mount, no v1", Base: "/openai"},
}

// everyEntry adds those at which a prefix of the model names the provider.
var everyEntry = append(
	slices.Clone(plain),
	rig.Entry{Name: "by a prefix", Base: "/v1", Prefix: "openai/"},
	rig.Entry{Name: "by a prefix, no v1, HTTP/2", Prefix: "openai/", HTTP2: true},
)

// everywhere runs a scenario with the provider itself, and then by each entry.
func everywhere(t *testing.T, entries []rig.Entry, scenario func(*session)) {
	t.Helper()
	rig.Everywhere(t, entries, func(t *testing.T, e *rig.Entry) *session {
		if e == nil {
			return direct(t)
		}
		return newSession(newRig(t).Enter(*e), "", clientKey)
	}, scenario)
}

// wire is what the SDK makes of a JSON text, which it keeps.
type wire interface{ RawJSON() string }

// listen reads a stream to its end and hears its events.
func listen[T wire](s *session, stream *ssestream.Stream[T]) []T {
	s.T.Helper()
	var events []T
	for stream.Next() {
		events = append(events, stream.Current())
		s.Hear(stream.Current().RawJSON())
	}
	s.Do(stream.Err())
	return events
}

// recorded holds the next record against want, where the model of an answer is the
// snapshot of the one that was asked for.
func (s *session) recorded(want rig.Exchange) {
	s.T.Helper()
	if want.Answered == "" && !want.Unreported {
		want.Answered = snapshot(want.Model)
	}
	s.Recorded(want)
}

// snapshot returns the name under which a model of the provider answers.
func snapshot(model string) string { return rig.Snapshot(simulator.OpenAI, model) }
