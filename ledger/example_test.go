package ledger_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/ledger"
)

// A router is given the journal with [llmproxy.WithRecorder]. What it does with it is this.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "journal")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	store := ledger.NewMemory()
	journal, err := ledger.Open(dir, store, ledger.Options{Durability: ledger.DurabilityFsync})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	r := llmproxy.Record{ID: "01KAV6TC00", Time: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), Model: "gpt-5-mini"}
	if err := journal.Begin(ctx, &r); err != nil {
		panic(err) // no call without a note of it
	}
	r.Outcome, r.Cost, r.CostKnown = llmproxy.OutcomeCompleted, 749_600_000, true
	if err := journal.Record(ctx, &r); err != nil {
		panic(err)
	}
	if err := journal.Close(ctx); err != nil { // flushes
		panic(err)
	}
	sums, err := store.Sums(ctx, ledger.Filter{}, ledger.ByModel)
	if err != nil {
		panic(err)
	}
	for _, s := range sums {
		fmt.Println(s.Group, s.Exchanges, s.Cost)
	}
	// Output: gpt-5-mini 1 0.0007496
}

// An export shows what the store does not have yet, too, while the journal's own process
// runs.
func ExampleView() {
	store := ledger.NewMemory()
	v := ledger.View{Store: store, Dir: "llmproxy.journal"}
	err := v.Records(context.Background(), ledger.Filter{Since: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}, func(r *llmproxy.Record) error {
		fmt.Printf("%s\n", r.AppendJSON(nil))
		return nil
	})
	fmt.Println(err)
	// Output: <nil>
}
