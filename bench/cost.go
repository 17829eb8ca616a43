package bench

import (
	"runtime"
	"time"
)

// Cost is what something took of this process.
type Cost struct {
	Wall   time.Duration
	CPU    time.Duration // of all threads, in user and kernel mode; 0 where the system does not tell
	Bytes  uint64        // allocated
	Allocs uint64
}

// Measure returns what f costs.
func Measure(f func() error) (Cost, error) {
	before := now()
	err := f()
	after := now()
	return Cost{after.Wall - before.Wall, after.CPU - before.CPU, after.Bytes - before.Bytes, after.Allocs - before.Allocs}, err
}

var start = time.Now()

func now() Cost {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return Cost{time.Since(start), cpuTime(), m.TotalAlloc, m.Mallocs}
}

// resident returns the bytes that the heap and the stacks take after a collection.
func resident() int64 {
	runtime.GC()
	runtime.GC() // what finalizers and pools let go of
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// IdleBytes returns what n open streams that stand still take in this process, for each
// of them: the clients' and the Upstream's share is in it.
func IdleBytes(t Target, u *Upstream, n int) (perStream float64, err error) {
	c := Idle()
	c.Clients = n
	r, err := t.Start(u)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	before := resident()
	l, err := NewLoad(c, u, r.Addr(), t.Withholds)
	if err != nil {
		return 0, err
	}
	defer l.Close()
	if err := l.Open(); err != nil {
		return 0, err
	}
	after := resident()
	if err := l.Finish(u); err != nil {
		return 0, err
	}
	l.Close()
	return float64(after-before) / float64(n), r.Close()
}
