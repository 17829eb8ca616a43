package dialect

import (
	"math/rand/v2"
	"testing"
)

// Whatever the counters are, usage is consistent. Where they do not contradict each
// other, no token that was reported is lost.
func TestUsageIsConsistent(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	values := []int64{0, 0, 1, 2, 3, 5, 8, 13, 100, maxCount}
	for range 200_000 {
		var c Counters
		for k := range counters {
			if random.IntN(3) == 0 {
				c.n[k] = values[random.IntN(len(values))]
				c.known |= 1 << k
			}
		}
		if random.IntN(2) == 0 { // else hardly any total would add up
			extra := []int64{0, c.n[reasoning], c.n[cached] + c.n[written]}[random.IntN(3)]
			c.n[total] = c.n[prompt] + c.n[completion] + extra
			c.known |= 1 << total
		}
		for _, convention := range []Convention{Text, Images} {
			u, inconsistent := c.Usage(convention)
			if !u.Consistent() && !inconsistent {
				t.Fatalf("%+v: %+v", c, u)
			}
			if inconsistent {
				continue
			}
			if got := u.CacheRead + u.CacheReadAudio + u.CacheReadImage; got != c.n[cached] {
				t.Fatalf("%+v: %d cached tokens", c, got)
			}
			if u.CacheWrite != c.n[written] || u.Reasoning != c.n[reasoning] || u.Citation != c.n[citation] {
				t.Fatalf("%+v: %+v", c, u)
			}
			if got := u.InputAudio + u.CacheReadAudio; got < c.n[promptAudio] {
				t.Fatalf("%+v: %d audio tokens", c, got)
			}
		}
	}
}
