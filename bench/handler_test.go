package bench_test

import (
	"testing"

	"github.com/llmproxy/llmproxy/bench"
)

var targets = []bench.Target{bench.Direct, bench.ReverseProxy, bench.Gateway, bench.LoggingGateway}

// The figures are worth something only if each target does what it is measured for.
func TestTargetsServeTheCases(t *testing.T) {
	t.Parallel()
	for _, c := range bench.Cases() {
		for _, target := range targets {
			t.Run(c.Name+"/"+target.Name, func(t *testing.T) {
				t.Parallel()
				l := load(t, c, target)
				if err := l.Run(2 * c.Clients); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestIdleStreams(t *testing.T) {
	t.Parallel()
	for _, target := range targets {
		if _, err := bench.IdleBytes(target, upstream(t), 3); err != nil {
			t.Errorf("%s: %v", target.Name, err)
		}
	}
}

// BenchmarkHandler makes the calls of each case, several at a time, on each target.
//
// cpu-µs/op is the CPU time of the whole process, net-µs/op that without the time of the
// same calls on no target at all, which are measured first. Clients and provider allocate
// nothing, so B/op and allocs/op are the target's.
func BenchmarkHandler(b *testing.B) {
	for _, c := range bench.Cases() {
		b.Run(c.Name, func(b *testing.B) {
			direct := 0.0
			for _, target := range targets {
				b.Run(target.Name, func(b *testing.B) {
					l := load(b, c, target)
					if err := l.Run(2 * c.Clients); err != nil {
						b.Fatal(err)
					}
					b.ReportAllocs()
					b.ResetTimer()
					cost, err := bench.Measure(func() error { return l.Run(b.N) })
					if err != nil {
						b.Fatal(err)
					}
					b.StopTimer()
					cpu := float64(cost.CPU.Microseconds()) / float64(b.N)
					b.ReportMetric(cpu, "cpu-µs/op")
					if target.Handler == nil {
						direct = cpu
					} else if direct > 0 {
						b.ReportMetric(cpu-direct, "net-µs/op")
					}
				})
			}
		})
	}
}

// BenchmarkIdle opens 1,000 streams that stand still, and reports the growth of heap and
// stacks for each, without that of the clients and the provider.
func BenchmarkIdle(b *testing.B) {
	direct := 0.0
	for _, target := range targets {
		b.Run(target.Name, func(b *testing.B) {
			u := upstream(b)
			sum := 0.0
			b.ReportAllocs()
			for b.Loop() {
				n, err := bench.IdleBytes(target, u, bench.Idle().Clients)
				if err != nil {
					b.Fatal(err)
				}
				sum += n
			}
			kib := sum / float64(b.N) / 1024
			if target.Handler == nil {
				direct = kib
			} else {
				kib -= direct
			}
			b.ReportMetric(kib, "KiB/stream")
		})
	}
}

func upstream(tb testing.TB) *bench.Upstream {
	tb.Helper()
	u, err := bench.NewUpstream()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(u.Close)
	return u
}

// load returns the clients of c, connected to target.
func load(tb testing.TB, c bench.Case, target bench.Target) *bench.Load {
	tb.Helper()
	u := upstream(tb)
	r, err := target.Start(u)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := r.Close(); err != nil {
			tb.Error(err)
		}
	})
	l, err := bench.NewLoad(c, u, r.Addr(), target.Withholds)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(l.Close)
	return l
}
