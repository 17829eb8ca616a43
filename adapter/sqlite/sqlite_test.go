package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/llmproxy/llmproxy/adapter/sqlite"
	"github.com/llmproxy/llmproxy/ledger"
	"github.com/llmproxy/llmproxy/ledger/ledgertest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens the store at path, which the test closes.
func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	ledgertest.Run(t, func(t *testing.T) ledger.Store {
		return open(t, filepath.Join(t.TempDir(), "ledger.db"))
	})
}

func TestReopen(t *testing.T) {
	t.Parallel()
	ledgertest.RunReopen(t, func(t *testing.T) func() ledger.Store {
		path := filepath.Join(t.TempDir(), "ledger.db")
		return func() ledger.Store { return open(t, path) }
	})
}
