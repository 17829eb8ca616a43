package interceptors

import (
	"slices"
	"time"
)

// Histogram counts values by size.
type Histogram struct {
	Bounds []int64 // the upper bounds of the buckets, inclusive, ascending
	Counts []int64 // values in each bucket; one more than bounds, for what is above them
	Sum    int64
}

// Count is how many values there are.
func (h *Histogram) Count() (n int64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// The bounds are those that the OTel GenAI semantic conventions advise, the times in
// nanoseconds.
var (
	tokenBounds = [...]int64{
		1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864,
	}
	durationBounds = [...]int64{
		10 * ms, 20 * ms, 40 * ms, 80 * ms, 160 * ms, 320 * ms, 640 * ms, 1280 * ms, 2560 * ms,
		5120 * ms, 10240 * ms, 20480 * ms, 40960 * ms, 81920 * ms,
	}
	firstTokenBounds = [...]int64{
		1 * ms, 5 * ms, 10 * ms, 20 * ms, 40 * ms, 60 * ms, 80 * ms, 100 * ms, 250 * ms, 500 * ms,
		750 * ms, 1000 * ms, 2500 * ms, 5000 * ms, 7500 * ms, 10000 * ms,
	}
	perTokenBounds = [...]int64{
		10 * ms, 25 * ms, 50 * ms, 75 * ms, 100 * ms, 150 * ms, 200 * ms, 300 * ms, 400 * ms,
		500 * ms, 750 * ms, 1000 * ms, 2500 * ms,
	}
)

const ms = int64(time.Millisecond)

// counts are the buckets of a histogram in the making: room for those of any.
type counts struct {
	buckets [len(firstTokenBounds) + 1]int64
	sum     int64
}

func (c *counts) add(bounds []int64, value int64) {
	i, _ := slices.BinarySearch(bounds, value)
	c.buckets[i]++
	c.sum += value
}

func (c *counts) histogram(bounds []int64) Histogram {
	return Histogram{Bounds: slices.Clone(bounds), Counts: slices.Clone(c.buckets[:len(bounds)+1]), Sum: c.sum}
}
