// Package ledgersqltest measures the stores in SQL alike.
package ledgersqltest

import (
	"fmt"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/ledger"
	"github.com/llmproxy/llmproxy/ledger/ledgertest"
)

// Records makes records that have everything, each with an ID of its own. They are a
// millisecond apart. The zero value is ready.
type Records struct{ made int }

// Fill fills batch.
func (r *Records) Fill(batch []llmproxy.Record) {
	start := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for i := range batch {
		batch[i] = ledgertest.Full()
		batch[i].Revision = 0
		batch[i].Time = start.Add(time.Duration(r.made) * time.Millisecond)
		batch[i].ID = fmt.Sprintf("01K9%022d", r.made)
		r.made++
	}
}

// BenchmarkAppend measures Append in batches of several sizes, each into a new store, which
// it closes.
func BenchmarkAppend(b *testing.B, open func(b *testing.B) ledger.Store) {
	b.Helper()
	for _, size := range []int{1, 50, 500} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s := open(b)
			defer s.Close()
			var records Records
			batch := make([]llmproxy.Record, size)
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				records.Fill(batch)
				b.StartTimer()
				if err := s.Append(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(size*b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkSums measures Sums over 100 000 records of a new store, which it closes.
func BenchmarkSums(b *testing.B, open func(b *testing.B) ledger.Store) {
	b.Helper()
	const rows = 100_000
	s := open(b)
	defer s.Close()
	var records Records
	batch := make([]llmproxy.Record, 1000)
	for range rows / len(batch) {
		records.Fill(batch)
		if err := s.Append(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		sums, err := s.Sums(b.Context(), ledger.Filter{}, ledger.ByModel)
		if err != nil || len(sums) != 1 || sums[0].Exchanges != rows {
			b.Fatal(sums, err)
		}
	}
	b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
}
