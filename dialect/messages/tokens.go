package messages

import (
	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect"
	"github.com/llmproxy/llmproxy/wire"
)

// counter names one number of a usage object.
type counter int

const (
	input    counter = iota // uncached
	read                    // from the cache
	written                 // to the cache
	output                  // thinking included
	short                   // the part of written that lives five minutes
	long                    // the part of written that lives an hour
	thinking                // the part of output
	searches
	fetches
	counters // how many there are
)

// maxSum bounds sums of counts, so that totals fit an int64 however many there are.
const maxSum = 1 << 60

// counts are the numbers of a usage object, or of an entry of its iterations.
type counts struct {
	n      [counters]int64
	known  uint16 // a bit for each counter that was stated
	broken uint16 // a bit for each counter that was last stated as a number that is no count
}

func (c *counts) has(k counter) bool { return c.known>>k&1 != 0 }

// set takes value for k, if it is a count.
func (c *counts) set(k counter, value []byte) {
	if n, ok := dialect.Count(value); ok {
		c.put(k, n)
	} else if dialect.Miscounted(value) {
		c.broken |= 1 << k
	}
}

func (c *counts) put(k counter, n int64) {
	c.n[k] = n
	c.known |= 1 << k
}

func (c *counts) isZero() bool { return c.n == [counters]int64{} }

// member reads one member of a usage object.
func (c *counts) member(name, value []byte) {
	switch string(name) {
	case "input_tokens":
		c.set(input, value)
	case "cache_read_input_tokens":
		c.set(read, value)
	case "cache_creation_input_tokens":
		c.set(written, value)
	case "output_tokens":
		c.set(output, value)
	case "cache_creation":
		c.set(short, wire.Member(value, "ephemeral_5m_input_tokens"))
		c.set(long, wire.Member(value, "ephemeral_1h_input_tokens"))
	case "output_tokens_details":
		c.set(thinking, wire.Member(value, "thinking_tokens"))
	case "server_tool_use":
		c.set(searches, wire.Member(value, "web_search_requests"))
		c.set(fetches, wire.Member(value, "web_fetch_requests"))
	}
}

// isReport reports whether any tokens were stated; an explicit zero counts.
func (c *counts) isReport() bool {
	return c.has(input) || c.has(read) || c.has(written) || c.has(output) || c.has(short) || c.has(long)
}

// complete derives the total of the cache writes from its parts, where only those are
// stated.
func (c *counts) complete() {
	if !c.has(written) && (c.has(short) || c.has(long)) {
		c.put(written, c.n[short]+c.n[long])
	}
}

// fold takes over what a later report r of the same answer states. Reports are cumulative:
// nothing is ever added. A zero does not erase what was sent or cached before: servers
// that know it only at the start send zeros at the end, as others do the other way round.
func (c *counts) fold(r *counts) {
	c.broken = c.broken&^r.known | r.broken
	for _, k := range [...]counter{input, read, written} {
		if r.has(k) && (r.n[k] > 0 || !c.has(k)) {
			c.put(k, r.n[k])
		}
	}
	for _, k := range [...]counter{output, thinking, searches, fetches} {
		if r.has(k) {
			c.put(k, r.n[k])
		}
	}
	if r.n[short]+r.n[long] > 0 || !c.has(short) && !c.has(long) {
		for _, k := range [...]counter{short, long} {
			c.n[k] = r.n[k]
			c.known = c.known&^(1<<k) | r.known&(1<<k)
		}
	}
}

// replace takes over what r, the report of a model that took over, states. Zeros count:
// what was sent and cached before was another model's. So were the lifetimes, which those
// of served replace, the entries of the model that took over.
func (c *counts) replace(r, served *counts) {
	c.broken = r.broken
	for k := range counters {
		if r.has(k) {
			c.put(k, r.n[k])
		}
	}
	if r.has(written) && !r.has(short) && !r.has(long) {
		c.n[short], c.n[long] = 0, 0
		if served.n[written] == r.n[written] {
			c.n[short], c.n[long] = served.n[short], served.n[long]
		}
	}
}

// add adds the counts of another iteration.
func (c *counts) add(r *counts) {
	for k := range counters {
		c.n[k] = min(c.n[k]+r.n[k], maxSum)
	}
	c.known |= r.known
	c.broken |= r.broken
}

// usage brings the counts into the convention of [llmproxy.Usage]: Anthropic counts what
// is read from and written to the cache beside the input. hour says that what is of no
// known lifetime was to live an hour.
func (c *counts) usage(hour bool) (n llmproxy.Usage, inconsistent bool) {
	n = llmproxy.Usage{
		PromptTokens:     c.n[input] + c.n[read] + c.n[written],
		CompletionTokens: c.n[output],
		CacheRead:        c.n[read],
		Reasoning:        c.n[thinking],
		WebSearches:      c.n[searches],
		WebFetches:       c.n[fetches],
	}
	inconsistent = c.broken != 0 || c.n[thinking] > c.n[output]
	// The split may be missing, or that of a first iteration, with more written since.
	switch rest := c.n[written] - c.n[short] - c.n[long]; {
	case rest < 0:
		inconsistent = true
		n.CacheWrite = c.n[written]
	case hour:
		n.CacheWrite, n.CacheWrite5m, n.CacheWrite1h = c.n[short], c.n[short], c.n[long]+rest
	default:
		n.CacheWrite, n.CacheWrite5m, n.CacheWrite1h = c.n[short]+rest, c.n[short], c.n[long]
	}
	return n, inconsistent
}
