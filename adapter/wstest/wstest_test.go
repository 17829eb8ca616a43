package wstest_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/llmproxy/llmproxy/adapter/coderws"
	"github.com/llmproxy/llmproxy/adapter/gorillaws"
	"github.com/llmproxy/llmproxy/adapter/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Each adapter's own test has it talk to itself.
func TestCoderServesGorilla(t *testing.T) {
	t.Parallel()
	wstest.RunAll(t, coderws.Upgrader{Compression: true}, gorillaws.Dialer{Compression: true})
}

func TestGorillaServesCoder(t *testing.T) {
	t.Parallel()
	wstest.RunAll(t, gorillaws.Upgrader{Compression: true}, coderws.Dialer{Compression: true})
}
