package wstest

import (
	"runtime"
	"testing"

	"github.com/llmproxy/llmproxy"
)

// Benchmark measures the connections between u and d: the time and the allocations of a
// message, in both ends together, and the memory of a connection, both ends again, whose
// readers wait.
func Benchmark(b *testing.B, u llmproxy.WSUpgrader, d llmproxy.WSDialer) {
	s := suite{upgrader: u, dialer: d}
	for _, e := range []end{{s, false}, {s, true}} {
		for _, size := range []struct {
			name  string
			bytes int
		}{{"300B", 300}, {"64KB", 64 << 10}, {"1MB", 1 << 20}} {
			b.Run(size.name+"-to-"+e.String(), func(b *testing.B) { benchmarkMessages(b, e, text(size.bytes)) })
		}
	}
	b.Run("idle", func(b *testing.B) { benchmarkIdle(b, end{s, true}) })
}

func benchmarkMessages(b *testing.B, e end, data []byte) {
	near, far := e.pair(b)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	b.ResetTimer()
	sent := after(func() error {
		for range b.N {
			if err := far.WriteMessage(llmproxy.WSText, data); err != nil {
				return err
			}
		}
		return nil
	})
	for range b.N {
		if _, p, err := near.ReadMessage(); len(p) != len(data) || err != nil {
			b.Fatalf("got %d bytes, %v", len(p), err)
		}
	}
	if err := wait(b, sent, "the end"); err != nil {
		b.Fatal(err)
	}
}

// benchmarkIdle counts what connections hold that have carried a large message and wait
// for the next one.
func benchmarkIdle(b *testing.B, e end) {
	const count = 100
	memory := func() uint64 {
		// Twice, as pools keep what they have for one collection more.
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	for b.Loop() {
		before := memory()
		var ends []<-chan error
		var conns []llmproxy.WSConn
		for range count {
			near, far := e.pair(b)
			large := text(4 << 20)
			for _, c := range [][2]llmproxy.WSConn{{near, far}, {far, near}} {
				sent := after(func() error { return c[0].WriteMessage(llmproxy.WSText, large) })
				if got := read(c[1]); got.err != nil {
					b.Fatal(got.err)
				}
				if err := wait(b, sent, "the write"); err != nil {
					b.Fatal(err)
				}
			}
			ends = append(ends, reading(near), reading(far))
			conns = append(conns, near, far)
		}
		b.ReportMetric(float64(memory()-before)/count, "B/pair")
		for _, c := range conns {
			c.Close()
		}
		for _, e := range ends {
			wait(b, e, "the end")
		}
	}
}
