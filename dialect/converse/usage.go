package converse

import (
	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect"
	"github.com/llmproxy/llmproxy/wire"
)

// counter names one number of a usage object.
type counter int

const (
	input  counter = iota // what is neither read from the cache nor written to it
	output                // reasoning included
	total
	read     // from the cache
	written  // to the cache
	short    // the part of written that lives five minutes
	long     // the part of written that lives an hour
	counters // how many there are
)

// usage is what an answer has reported. The zero value is no report.
type usage struct {
	n     [counters]int64
	known uint8 // a bit for each counter that was reported
	wrong bool  // a number is no count
	hour  bool  // the request asked for lifetimes of one hour and no other
}

func (u *usage) has(k counter) bool { return u.known>>k&1 != 0 }

// reported reports whether a usage object has been read; an explicit zero counts.
func (u *usage) reported() bool { return u.has(input) || u.has(output) }

// read takes a usage object for the report of the answer, in place of an earlier one.
// What is no report changes nothing, nor do zeros alone.
func (u *usage) read(object []byte) {
	var r usage
	for name, value := range wire.Members(object) {
		switch string(name) {
		case "inputTokens":
			r.set(input, value)
		case "outputTokens":
			r.set(output, value)
		case "totalTokens":
			r.set(total, value)
		case "cacheReadInputTokens", "cacheReadInputTokenCount":
			r.set(read, value)
		case "cacheWriteInputTokens", "cacheWriteInputTokenCount":
			r.set(written, value)
		case "cacheDetails":
			r.lifetimes(value)
		}
	}
	if r.reported() && (!r.isZero() || u.isZero()) {
		r.hour = u.hour
		*u = r
	}
}

// set takes value for k, if it is a count. The two names of a counter are one number said
// twice: where they differ, the larger one is the one that was filled in.
func (u *usage) set(k counter, value []byte) {
	if n, ok := dialect.Count(value); ok {
		u.n[k] = max(u.n[k], n)
		u.known |= 1 << k
	} else if dialect.Miscounted(value) {
		u.wrong = true
	}
}

// isZero reports whether no count is above zero.
func (u *usage) isZero() bool { return u.n == [counters]int64{} }

// lifetimes reads the member cacheDetails: what was written, by lifetime.
func (u *usage) lifetimes(details []byte) {
	const most = 1 << 50 // as of a single count
	for entry := range wire.Elements(details) {
		value := wire.Member(entry, "inputTokens")
		n, ok := dialect.Count(value)
		if !ok {
			u.wrong = u.wrong || dialect.Miscounted(value)
			continue
		}
		k := short
		switch string(wire.Member(entry, "ttl")) {
		case `"5m"`:
		case `"1h"`:
			k = long
		default:
			continue // a part of what was written, at the price of the default lifetime
		}
		u.n[k] = min(u.n[k]+n, most)
		u.known |= 1 << k
	}
}

// normalise brings the counts into the convention of [llmproxy.Usage]: Bedrock counts
// what is read from and written to the cache beside the input, and all of it in its total.
//
// Counts are inconsistent where a number is none, where they contradict the total, where more was written at some
// lifetime than at all, and where one of input and output is missing: Bedrock leaves out
// what a guardrail replaced.
func (u *usage) normalise() (n llmproxy.Usage, inconsistent bool) {
	c := u.n
	if !u.has(written) {
		c[written] = c[short] + c[long]
	}
	n = llmproxy.Usage{
		PromptTokens:     c[input] + c[read] + c[written],
		CompletionTokens: c[output],
		CacheRead:        c[read],
	}
	inconsistent = u.wrong || !u.has(input) || !u.has(output) || u.has(total) && c[total] != n.TotalTokens()
	if c[short]+c[long] > c[written] {
		n.CacheWrite = c[written]
		return n, true
	}
	if u.hour {
		c[long] = c[written] - c[short]
	}
	n.CacheWrite, n.CacheWrite1h, n.CacheWrite5m = c[written]-c[long], c[long], c[short]
	return n, inconsistent
}
