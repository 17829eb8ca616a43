package gorillaws_test

import (
	"net/http"
	"testing"

	"go.uber.org/goleak"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/gorillaws"
	"github.com/llmproxy/llmproxy/adapter/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	wstest.RunAll(t, gorillaws.Upgrader{}, gorillaws.Dialer{})
}

func FuzzPeer(f *testing.F) {
	wstest.Fuzz(f, gorillaws.Upgrader{}, func(t *http.Transport) llmproxy.WSDialer { return gorillaws.Dialer{Transport: t} })
}
