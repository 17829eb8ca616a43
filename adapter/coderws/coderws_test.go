package coderws_test

import (
	"net/http"
	"testing"

	"go.uber.org/goleak"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/coderws"
	"github.com/llmproxy/llmproxy/adapter/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	wstest.RunAll(t, coderws.Upgrader{}, coderws.Dialer{})
}

func FuzzPeer(f *testing.F) {
	wstest.Fuzz(f, coderws.Upgrader{}, func(t *http.Transport) llmproxy.WSDialer { return coderws.Dialer{Transport: t} })
}
