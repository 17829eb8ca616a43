package ledger_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/ledger"
	"github.com/llmproxy/llmproxy/ledger/ledgertest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	ledgertest.Run(t, func(*testing.T) ledger.Store { return ledger.NewMemory() })
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	m := &ledger.Memory{Max: 3}
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, n := range []int{5, 1, 4, 2, 3} {
		if err := m.Append(t.Context(), []llmproxy.Record{{ID: fmt.Sprint(n), Time: at.Add(time.Duration(n) * time.Second)}}); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	if err := m.Records(t.Context(), ledger.Filter{}, func(r *llmproxy.Record) error {
		got = append(got, r.ID)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"3", "4", "5"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if err := m.Append(t.Context(), nil); err == nil {
		t.Error("a closed store takes records")
	}
}
