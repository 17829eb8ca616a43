// Package openaigo drives the gateway with openai-go, OpenAI's own SDK for Go.
//
// Most tests speak to a simulated provider twice, directly and through the gateway, and
// say what the SDK must have understood. Both times it must have heard the same bytes,
// and each exchange must have left the one record that the provider's rules foretell.
package openaigo

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"go.uber.org/goleak"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// The SDK reads its environment, and no test may depend on that. No test may leave a
// goroutine behind either.
func TestMain(m *testing.M) {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "OPENAI_") {
			_ = os.Unsetenv(name)
		}
	}
	goleak.VerifyTestMain(m)
}

const (
	providerKey = "sk-of-the-gateway"
	clientKey   = "sk-of-the-client"
)

// rig is a gateway in front of a simulated provider.
type rig struct {
	t         *testing.T
	simulator *simulator.Server
	upstream  string // the provider's URL
	gateway   string // the gateway's URL
	records   recorder
	client    *http.Client // of the SDK
	compared  int          // requests of the provider that have been held against a record
}

// newRig starts both. The provider is named openai; opts come after the rig's own.
func newRig(t *testing.T, opts ...llmproxy.Option) *rig {
	t.Helper()
	return newRigOf(t, simulator.Options{APIKey: providerKey}, openai_compatible.Config{APIKey: providerKey}, opts...)
}

// newRigOf starts a provider that is like so, and a gateway that calls it as config says.
// The type, and the base URL where there is none, are the rig's own.
func newRigOf(t *testing.T, so simulator.Options, config openai_compatible.Config, opts ...llmproxy.Option) *rig {
	t.Helper()
	r := &rig{t: t, simulator: simulator.New(so), records: make(recorder, 64), client: newClient(t)}
	r.upstream = serve(t, r.simulator)
	config.Type = "openai"
	if config.BaseURL == "" {
		config.BaseURL = r.upstream
	}
	p, err := openai_compatible.New(config)
	if err != nil {
		t.Fatal(err)
	}
	transport := llmproxy.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	r.gateway = serve(t, llmproxy.NewAutoRouter(append([]llmproxy.Option{
		llmproxy.WithProvider(p), llmproxy.WithRecorder(r.records), llmproxy.WithTransport(transport),
		llmproxy.WithLogger(slog.New(slog.NewTextHandler(t.Output(), nil))),
	}, opts...)...))
	return r
}

func serve(t *testing.T, h http.Handler) (url string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func newClient(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// recorder sends each record into a channel.
type recorder chan llmproxy.Record

func (r recorder) Begin(context.Context, *llmproxy.Record) error { return nil }

func (r recorder) Record(_ context.Context, rec *llmproxy.Record) error {
	r <- *rec
	return nil
}

// session is an SDK client, with what it has heard so far.
type session struct {
	*openai.Client
	t      *testing.T
	rig    *rig   // nil where the client speaks to the provider itself
	prefix string // of models
	mount  bool   // the path of the base URL names the provider
	heard  []string
}

// session returns a client of the gateway that makes one attempt at each call. base is
// the path of its base URL, prefix goes before models.
func (r *rig) session(base, prefix string, opts ...option.RequestOption) *session {
	client := openai.NewClient(append([]option.RequestOption{
		option.WithBaseURL(r.gateway + base), option.WithAPIKey(clientKey),
		option.WithHTTPClient(r.client), option.WithMaxRetries(0),
	}, opts...)...)
	return &session{Client: &client, t: r.t, rig: r, prefix: prefix, mount: strings.HasPrefix(base, "/openai")}
}

// direct returns a client of a provider of its own.
func direct(t *testing.T, opts ...option.RequestOption) *session {
	t.Helper()
	upstream := serve(t, simulator.New(simulator.Options{APIKey: providerKey}))
	client := openai.NewClient(append([]option.RequestOption{
		option.WithBaseURL(upstream + "/v1"), option.WithAPIKey(providerKey),
		option.WithHTTPClient(newClient(t)), option.WithMaxRetries(0),
	}, opts...)...)
	return &session{Client: &client, t: t}
}

// model returns how s asks for a model.
func (s *session) model(id string) string { return s.prefix + id }

// hear keeps what came, for the comparison of sessions.
func (s *session) hear(raw ...string) { s.heard = append(s.heard, raw...) }

// do ends the test if a call did not succeed.
func (s *session) do(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("the SDK says: %v", err)
	}
}
