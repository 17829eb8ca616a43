//go:build unix

package postgres_test

import (
	"testing"

	"github.com/llmproxy/llmproxy/adapter/postgres"
	"github.com/llmproxy/llmproxy/ledger"
	"github.com/llmproxy/llmproxy/ledger/ledgertest"
)

func open(t testing.TB, url string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	ledgertest.Run(t, func(t *testing.T) ledger.Store { return open(t, newDatabase(t, "ledger")) })
}

func TestReopen(t *testing.T) {
	t.Parallel()
	ledgertest.RunReopen(t, func(t *testing.T) func() ledger.Store {
		url := newDatabase(t, "template0")
		return func() ledger.Store { return open(t, url) }
	})
}
