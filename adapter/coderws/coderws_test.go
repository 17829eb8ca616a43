package coderws_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/llmproxy/llmproxy/adapter/coderws"
	"github.com/llmproxy/llmproxy/adapter/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	wstest.RunAll(t, coderws.Upgrader{}, coderws.Dialer{})
}
