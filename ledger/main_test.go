package ledger_test

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"github.com/llmproxy/llmproxy/adapter/sqlite"
	"github.com/llmproxy/llmproxy/ledger"
)

func TestMain(m *testing.M) {
	if ledger.IsChild() {
		ledger.Child(openSQLite)
		return
	}
	goleak.VerifyTestMain(m)
}

func openSQLite(ctx context.Context, path string) (ledger.Store, error) {
	return sqlite.Open(ctx, path)
}

// Whichever moment a gateway is killed at, its store in SQLite has each exchange once.
func TestKillWithSQLite(t *testing.T) {
	t.Parallel()
	ledger.KillWith(t, openSQLite)
}
