package messages

import (
	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect"
	"github.com/llmproxy/llmproxy/wire"
)

// tokens is what one answer has reported so far.
type tokens struct {
	top      counts // of the usage object itself
	reported bool
	hour     bool // all that was to be cached was to live an hour
	iterations
	charge charge // of iterations
}

// iterations are the entries of the requests that one answer took, by kind.
type iterations struct {
	sampled   counts // sampling by the model itself: together they make the top level
	compacted counts // compaction of the context, charged and outside the top level
	served    counts // sampling by the model that took over
	advised   []llmproxy.Item
	servedBy  string // the model that took over from the one that began; "" if none did
	fellBack  bool
	whole     bool // nothing is unknown of what makes the top level
	tooMany   bool // there are advisors that are not in advised
	broken    bool // the counts of an advisor contradict each other
}

// charge says what is charged besides the compactions.
type charge int

const (
	byTop      charge = iota // the top level
	bySampled                // what was sampled, which is the top level, and has the lifetimes
	byConflict               // the top level, which is not what was sampled
)

// maxAdvised bounds how many answers of advisors are kept. There are a few.
const maxAdvised = 100

// read takes over the counts of a usage object; ok is false where it has none, and where
// all is zero after a report that counted.
func (u *tokens) read(object []byte) (ok bool) {
	var r counts
	var list []byte
	for name, value := range wire.Members(object) {
		if string(name) == "iterations" {
			list = value
			continue
		}
		r.member(name, value)
	}
	if !r.isReport() {
		return false
	}
	r.complete()
	its, found := u.readIterations(list)
	if r.isBlank() && its.isZero() && !u.isZero() {
		return false
	}
	if its.fellBack {
		u.top.replace(&r, &its.served)
	} else {
		u.top.fold(&r)
	}
	u.reported = true
	u.charge = byTop
	if found {
		u.iterations = its
		u.charge = u.compare(&r)
	}
	return true
}

// isBlank reports whether nothing is above zero where both sides are stated. Servers that
// do not count send such reports.
func (c *counts) isBlank() bool {
	const both = 1<<input | 1<<output
	return c.isZero() && (c.known|c.broken)&both == both
}

// isZero reports whether nothing that was reported is above zero.
func (u *tokens) isZero() bool { return u.top.isZero() && u.iterations.isZero() }

func (i *iterations) isZero() bool {
	return i.sampled.isZero() && i.compacted.isZero() && i.served.isZero() && len(i.advised) == 0
}

// readIterations reads the member iterations; found is false where it has no entries. Those
// of an earlier report stay then.
//
// Source: the descriptions of BetaUsage.Iterations and of its entries in Anthropic's SDKs.
// Where a fallback served the answer, the top level is what is charged.
func (u *tokens) readIterations(list []byte) (its iterations, found bool) {
	its.whole = true
	for entry := range wire.Elements(list) {
		found = true
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
		switch string(kind) {
		case `"message"`:
			its.sampled.add(&c)
			its.whole = its.whole && c.has(input) && c.has(output)
		case `"compaction"`:
			its.compacted.add(&c)
		case `"advisor_message"`:
			its.advise(model, &c, u.hour)
		case `"fallback_message"`:
			its.fellBack = true
			its.served.add(&c)
			dialect.Keep(&its.servedBy, model)
		default:
			its.whole = false // nobody knows whether it is inside the top level
		}
	}
	if its.fellBack {
		its.compacted = counts{}
	}
	return its, found
}

// advise takes over what an advisor consumed, which has the price of the advisor's model.
func (i *iterations) advise(model []byte, c *counts, hour bool) {
	if !c.isReport() {
		return
	}
	if len(i.advised) == maxAdvised {
		i.tooMany = true
		return
	}
	usage, inconsistent := c.usage(hour)
	i.broken = i.broken || inconsistent
	item := llmproxy.Item{Usage: usage}
	dialect.Keep(&item.Model, model)
	i.advised = append(i.advised, item)
}

// compare compares what was sampled with the top level r, whose sum it is: it is charged
// where it says the same, since it has the lifetimes.
func (u *tokens) compare(r *counts) charge {
	if u.fellBack || !u.whole || !u.sampled.isReport() && !u.compacted.isReport() {
		return byTop
	}
	for _, k := range [...]counter{input, read, written, output} {
		stated := u.sampled.has(k) || !u.sampled.isReport()
		n := u.sampled.n[k]
		if stated && r.has(k) && n != r.n[k] && n != u.top.n[k] {
			return byConflict
		}
	}
	return bySampled
}

// usage returns what the answer's model is charged for, and the answers of others.
func (u *tokens) usage() (n llmproxy.Usage, items []llmproxy.Item, inconsistent bool) {
	c := u.charged()
	n, inconsistent = c.usage(u.hour)
	return n, u.advised, inconsistent || u.charge == byConflict || u.tooMany || u.broken
}

// charged returns the counts of all iterations that are charged at the price of the
// answer's model.
func (u *tokens) charged() counts {
	c := u.top
	if u.charge == bySampled {
		c = u.sampled
		c.broken |= u.top.broken
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
