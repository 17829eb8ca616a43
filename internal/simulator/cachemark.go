package simulator

// cacheMark is a point up to which a prompt is to be cached.
type cacheMark struct {
	at   int64 // tokens from the start of the prompt
	hour bool  // for an hour, not for five minutes
}

// cacheMarks are those of a prompt, in its order.
type cacheMarks []cacheMark

// add notes the mark c, if there is one, after so many tokens.
func (m *cacheMarks) add(c *cacheControl, at int64) {
	if c != nil {
		*m = append(*m, cacheMark{at, c.TTL == "1h"})
	}
}

// usage returns what a prompt of so many tokens reports. With one mark, all before it is
// written to the cache. With more, what is before the first is read, and what is between
// two is written for as long as the latter says.
func (m cacheMarks) usage(tokens int64) Usage {
	u := Usage{Prompt: tokens}
	from := int64(0)
	if len(m) > 1 {
		u.Cached, from = m[0].at, m[0].at
		m = m[1:]
	}
	for _, mark := range m {
		u.CacheWrite += mark.at - from
		if mark.hour {
			u.CacheWrite1h += mark.at - from
		}
		from = mark.at
	}
	return u
}
