package interceptors

import (
	"math"
	"math/bits"
	"time"
)

// bucket holds what is left of a limit, and fills up evenly: empty to full in a minute.
// Settling may take it below nothing.
type bucket struct {
	level int64
	last  time.Time // when the level was right; zero: it is full
}

// fill brings the level to what it is at now, for a limit of most a minute.
func (b *bucket) fill(most int64, now time.Time) {
	elapsed := now.Sub(b.last)
	gained := scale(int64(elapsed), most, int64(time.Minute))
	if b.last.IsZero() || gained >= most-b.level {
		b.level, b.last = most, now
		return
	}
	b.level += gained
	b.last = b.last.Add(time.Duration(scale(gained, int64(time.Minute), most)))
}

// full reports whether b holds all of a limit of most a minute; of none, it does.
func (b *bucket) full(most int64, now time.Time) bool {
	if most <= 0 {
		return true
	}
	b.fill(most, now)
	return b.level >= most
}

// lacks is how long it takes from now until b, filled, holds n; 0: it does.
func (b *bucket) lacks(n, most int64, now time.Time) time.Duration {
	if n <= b.level {
		return 0
	}
	// Rounded up: a client that comes back then must not be refused again.
	full := b.last.Add(time.Duration(scale(n-b.level, int64(time.Minute), most)))
	return max(0, full.Sub(now)) + 1
}

// scale returns n × by ÷ over, rounded down, at most the largest number; none is negative.
func scale(n, by, over int64) int64 {
	if n <= 0 || over <= 0 {
		return 0
	}
	high, low := bits.Mul64(uint64(n), uint64(by))
	if high >= uint64(over) {
		return math.MaxInt64
	}
	quotient, _ := bits.Div64(high, low, uint64(over))
	return int64(min(quotient, math.MaxInt64))
}
