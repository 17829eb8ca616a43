package keys

import "time"

// pause is the wait between attempts at what fails: a second at first, then twice as long
// each time, half a minute at most. Its zero value waits for nothing.
type pause struct {
	last  time.Duration
	timer <-chan time.Time
}

// first reports whether nothing has failed before.
func (p *pause) first() bool { return p.last == 0 }

// after begins a wait if err says that the attempt has failed, and ends all waiting if it
// has not.
func (p *pause) after(err error) {
	if err == nil {
		*p = pause{}
		return
	}
	const shortest, longest = time.Second, 30 * time.Second
	p.last = min(max(2*p.last, shortest), longest)
	p.timer = time.After(p.last)
}

// over is when it is time for the next attempt: never, where none has failed.
func (p *pause) over() <-chan time.Time { return p.timer }
