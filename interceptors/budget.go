package interceptors

import (
	"cmp"
	"sync"
	"time"
)

// RetryBudget bounds the retries of all exchanges together, so that an outage is not
// answered with several times the load. Each exchange earns a fraction of a retry, and a
// small reserve fills up by itself for gateways with little to do. Its zero value is
// ready; it is safe for concurrent use and must not be copied after its first.
type RetryBudget struct {
	Percent int // retries that 100 exchanges earn; 0 means 20, a negative one lifts the bound
	Reserve int // retries that can be saved up, and that there are at first; 0 means 10

	mu    sync.Mutex // guards the following
	spent int64      // hundredths of a retry below the reserve
	last  time.Time  // when the reserve was last filled
}

// refillEvery is the time in which the reserve gains a retry.
const refillEvery = time.Second

// earn counts an exchange.
func (b *RetryBudget) earn() {
	if b.Percent < 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spent = max(0, b.spent-int64(cmp.Or(b.Percent, 20)))
}

// spend takes a retry. It reports whether there was one.
func (b *RetryBudget) spend(now time.Time) bool {
	if b.Percent < 0 {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if gained := int64(now.Sub(b.last) / refillEvery); gained > 0 {
		reserve := int64(cmp.Or(b.Reserve, 10))
		b.spent -= min(100*min(gained, reserve), b.spent)
		if b.last.IsZero() || gained > reserve {
			b.last = now
		} else {
			b.last = b.last.Add(time.Duration(gained) * refillEvery)
		}
	}
	if b.spent+100 > 100*int64(cmp.Or(b.Reserve, 10)) {
		return false
	}
	b.spent += 100
	return true
}
