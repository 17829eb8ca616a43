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
	n     [counters]int64
	known uint16 // a bit for each counter that was stated
}

func (c *counts) has(k counter) bool { return c.known>>k&1 != 0 }

// set takes value for k, if it is a count.
func (c *counts) set(k counter, value []byte) {
	if n, ok := dialect.Count(value); ok {
		c.put(k, n)
	}
}

func (c *counts) put(k counter, n int64) {
	c.n[k] = n
	c.known |= 1 << k
}

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

// add adds the counts of another iteration.
func (c *counts) add(r *counts) {
	for k := range counters {
		c.n[k] = min(c.n[k]+r.n[k], maxSum)
	}
	c.known |= r.known
}

// tokens is what one answer has reported so far.
type tokens struct {
	top      counts // of the usage object itself
	reported bool
	hour     bool // all that was to be cached was to live an hour

	// The entries of the member iterations, by kind. Those of advisors are in none.
	sampled   counts // sampling by the model itself: together they make the top level
	compacted counts // compaction of the context, charged and outside the top level
	itemised  bool   // sampled is the whole top level of the last report
	servedBy  string // the model that took over from the one that began; "" if none did
}

// read takes over the counts of a usage object; ok is false where it has none.
func (u *tokens) read(object []byte) (ok bool) {
	var r counts
	var iterations []byte
	for name, value := range wire.Members(object) {
		if string(name) == "iterations" {
			iterations = value
			continue
		}
		r.member(name, value)
	}
	if !r.isReport() {
		return false
	}
	r.complete()
	u.top.fold(&r)
	u.reported = true
	u.itemised = false
	u.readIterations(iterations)
	return true
}

// readIterations reads the entries of the requests that one answer took. They replace
// those of an earlier report; where there are none, those stay.
//
// Source: the descriptions of BetaUsage.Iterations and of its entries in Anthropic's SDKs.
// Where a fallback served the answer, the top level is what is charged.
func (u *tokens) readIterations(list []byte) {
	var sampled, compacted counts
	entries, fellBack := 0, false
	itemised := true
	servedBy := ""
	for entry := range wire.Elements(list) {
		var c counts
		var kind, model []byte
		for name, value := range wire.Members(entry) {
			switch string(name) {
			case "type":
				kind = value
			case "model":
				model = value
			default:
				c.member(name, value)
			}
		}
		c.complete()
		entries++
		switch string(kind) {
		case `"message"`:
			sampled.add(&c)
			itemised = itemised && c.has(input) && c.has(output)
		case `"compaction"`:
			compacted.add(&c)
		case `"advisor_message"`:
		case `"fallback_message"`:
			fellBack = true
			dialect.Keep(&servedBy, model)
		default:
			itemised = false // nobody knows whether it is inside the top level
		}
	}
	if entries == 0 {
		return
	}
	if fellBack {
		itemised, compacted = false, counts{}
	}
	u.sampled, u.compacted, u.servedBy = sampled, compacted, servedBy
	u.itemised = itemised && (sampled.isReport() || compacted.isReport())
}

// usage brings the counts into the convention of [llmproxy.Usage]: Anthropic counts
// what is read from and written to the cache beside the input.
func (u *tokens) usage() (n llmproxy.Usage, inconsistent bool) {
	c := u.charged()
	n = llmproxy.Usage{
		PromptTokens:     c.n[input] + c.n[read] + c.n[written],
		CompletionTokens: c.n[output],
		CacheRead:        c.n[read],
		Reasoning:        c.n[thinking],
		WebSearches:      c.n[searches],
		WebFetches:       c.n[fetches],
	}
	// The split may be missing, or that of a first iteration, with more written since.
	switch rest := c.n[written] - c.n[short] - c.n[long]; {
	case rest < 0:
		inconsistent = true
		n.CacheWrite = c.n[written]
	case u.hour:
		n.CacheWrite, n.CacheWrite5m, n.CacheWrite1h = c.n[short], c.n[short], c.n[long]+rest
	default:
		n.CacheWrite, n.CacheWrite5m, n.CacheWrite1h = c.n[short]+rest, c.n[short], c.n[long]
	}
	return n, inconsistent || c.n[thinking] > c.n[output]
}

// charged returns the counts of all iterations that are charged at the price of the
// answer's model.
func (u *tokens) charged() counts {
	c := u.top
	if u.itemised {
		c = u.sampled
		for k := range counters {
			// Entries leave out what only the top level has, such as searches. Where
			// there are none but compactions, nothing was sampled.
			if !c.has(k) && (u.sampled.isReport() || k >= thinking) {
				c.n[k] = u.top.n[k]
			}
		}
	}
	c.add(&u.compacted)
	return c
}
