//go:build unix

package ledger

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
)

// noStore takes everything and keeps nothing.
type noStore struct{ Memory }

func (*noStore) Append(context.Context, []llmproxy.Record) error { return nil }

// idleStore never answers: what it is for is a journal that does not drain meanwhile.
type idleStore struct{ Memory }

func (*idleStore) Append(ctx context.Context, _ []llmproxy.Record) error {
	<-ctx.Done()
	return ctx.Err()
}

// BenchmarkExchange is an intent and a record. "drained" is with what the drain spends,
// besides the store.
func BenchmarkExchange(b *testing.B) {
	for _, bb := range []struct {
		name       string
		store      Store
		durability Durability
		writers    int
	}{
		{"write/1", &idleStore{}, DurabilityWrite, 1},
		{"write/64", &idleStore{}, DurabilityWrite, 64},
		{"drained/1", &noStore{}, DurabilityWrite, 1},
		{"drained/64", &noStore{}, DurabilityWrite, 64},
		{"fsync/1", &noStore{}, DurabilityFsync, 1},
		{"fsync/64", &noStore{}, DurabilityFsync, 64},
	} {
		b.Run(bb.name, func(b *testing.B) {
			j, err := Open(b.TempDir(), bb.store, Options{
				Durability: bb.durability, MaxBytes: 64 * gib, Logger: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				b.Fatal(err)
			}
			ids := make([]string, 1<<16)
			for i := range ids {
				ids[i] = fmt.Sprintf("01KAV6TC00%016d", i)
			}
			var n atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			before := cpu(b)
			b.SetParallelism(max(bb.writers/2, 1))
			exchange := func(in, out *llmproxy.Record) {
				in.ID = ids[n.Add(1)%int64(len(ids))]
				out.ID = in.ID
				if err := j.Begin(b.Context(), in); err != nil {
					b.Error(err)
				}
				if err := j.Record(b.Context(), out); err != nil {
					b.Error(err)
				}
			}
			if bb.writers == 1 {
				in, out := intent(""), record("")
				for b.Loop() {
					exchange(in, out)
				}
			} else {
				b.RunParallel(func(pb *testing.PB) {
					in, out := intent(""), record("")
					for pb.Next() {
						exchange(in, out)
					}
				})
			}
			b.StopTimer()
			b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
			st := j.Stats()
			b.SetBytes(int64(st.Written) / int64(b.N))
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if _, idle := bb.store.(*idleStore); idle {
				cancel()
			}
			_ = j.Close(ctx)
		})
	}
}

// cpu is the time that the process has used: what counts where the disk sets the pace.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkOpen reads a journal of 64 MiB whose exchanges have all ended.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	o := Options{Logger: slog.New(slog.DiscardHandler)}
	j, err := Open(dir, &idleStore{}, o)
	if err != nil {
		b.Fatal(err)
	}
	in, out := intent(""), record("")
	for i := 0; j.Stats().Written < 64*mib; i++ {
		in.ID = fmt.Sprintf("01KAV6TC00%016d", i)
		out.ID = in.ID
		if err := j.Begin(b.Context(), in); err != nil {
			b.Fatal(err)
		}
		if err := j.Record(b.Context(), out); err != nil {
			b.Fatal(err)
		}
	}
	j.halt()
	b.SetBytes(64 * mib)
	b.ReportAllocs()
	for b.Loop() {
		j, err := Open(dir, &idleStore{}, o)
		if err != nil {
			b.Fatal(err)
		}
		j.halt()
	}
}

func BenchmarkDecode(b *testing.B) {
	text := record("01KAV6TC000000000000000000").AppendJSON(nil)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	var r llmproxy.Record
	for b.Loop() {
		if err := r.UnmarshalJSON(text); err != nil {
			b.Fatal(err)
		}
	}
}
