package ledger

import (
	"cmp"
	"time"

	"github.com/llmproxy/llmproxy"
)

// fresh is a record that was written a moment ago, and where: reading it back is cheap,
// decoding it is what costs most of an exchange's time in the journal.
type fresh struct {
	at     place
	record llmproxy.Record
}

func (f *fresh) position() position { return position{f.at.segment, f.at.off} }

// mostFresh bounds them; the rest are decoded.
const mostFresh = 2048

// asDecoded returns r as it comes back from an entry, which holds milliseconds. Bytes that
// are not UTF-8 do not come back: where r has some, it has to be decoded.
func asDecoded(r *llmproxy.Record) *llmproxy.Record {
	c := clone(r)
	c.Time = r.Time.UTC().Truncate(time.Millisecond)
	c.Duration, c.TTFT = r.Duration.Truncate(time.Millisecond), r.TTFT.Truncate(time.Millisecond)
	c.ModelAsked = cmp.Or(r.ModelAsked, r.Model)
	return c
}

// takeFresh takes over what the journal has gathered. d.mu is held.
func (d *drainer) takeFresh() {
	d.dropFresh(d.at)
	if len(d.fresh) == 0 {
		clear(d.taken)
		d.taken, d.Journal.fresh = d.Journal.fresh, d.taken[:0]
		d.fresh = d.taken
	}
}

// dropFresh drops what is before p.
func (d *drainer) dropFresh(p position) {
	for len(d.fresh) > 0 && d.fresh[0].position().before(p) {
		d.fresh = d.fresh[1:]
	}
}

// known returns the record at p without decoding it.
func (d *drainer) known(p position) (r llmproxy.Record, ok bool) {
	d.dropFresh(p)
	if len(d.fresh) > 0 && d.fresh[0].position() == p {
		return d.fresh[0].record, true
	}
	return r, false
}
