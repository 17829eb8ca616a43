package bedrock_test

import (
	"cmp"
	"context"
	"net"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/bedrock"
	"github.com/llmproxy/llmproxy/providers/internal/provider/providertest"
)

// No test may leave a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	// address is the runtime's, without TLS: the tests' transport dials their own server.
	address = "http://bedrock-runtime.us-east-1.amazonaws.com"

	ourKey, ourSecret, ourSession = "AKIDOURS", "canary-secret", "canary-session=="
	ourToken                      = "canary-bearer"
)

// newRig returns a gateway in front of AWS: whatever its address is, a test server is
// there.
func newRig(t *testing.T, c bedrock.Config, opts ...llmproxy.Option) *providertest.Rig {
	t.Helper()
	var aws string
	transport := llmproxy.NewTransport()
	transport.Proxy = nil
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, aws)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return providertest.New(t, func(baseURL string) (*llmproxy.BaseProvider, error) {
		aws = strings.TrimPrefix(baseURL, "http://")
		c.BaseURL = cmp.Or(c.BaseURL, address)
		return bedrock.New(c)
	}, append([]llmproxy.Option{llmproxy.WithTransport(transport)}, opts...)...)
}
