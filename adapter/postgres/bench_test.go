//go:build unix

package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/ledger"
	"github.com/llmproxy/llmproxy/ledger/ledgertest"
)

// batches returns a function that fills batch with records of IDs not used before, each
// like the suite's full record.
func batches(batch []llmproxy.Record) func() {
	n := 0
	start := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	return func() {
		for i := range batch {
			batch[i] = ledgertest.Full()
			batch[i].Revision = 0
			batch[i].Time = start.Add(time.Duration(n) * time.Millisecond)
			batch[i].ID = fmt.Sprintf("01K9%022d", n)
			n++
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1, 50, 500} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s := open(b, newDatabase(b, "ledger"))
			defer s.Close()
			batch := make([]llmproxy.Record, size)
			next := batches(batch)
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				next()
				b.StartTimer()
				if err := s.Append(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(size*b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

func BenchmarkSums(b *testing.B) {
	const rows = 100_000
	s := open(b, newDatabase(b, "ledger"))
	defer s.Close()
	batch := make([]llmproxy.Record, 1000)
	next := batches(batch)
	for range rows / len(batch) {
		next()
		if err := s.Append(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if sums, err := s.Sums(b.Context(), ledger.Filter{}, ledger.ByModel); err != nil || len(sums) != 1 {
			b.Fatal(sums, err)
		}
	}
	b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
}
