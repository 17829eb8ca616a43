package wire

import "bytes"

// Splitter finds where the events of a stream end, so that what is inserted into the
// stream or held back never falls inside one. It keeps no bytes. Its zero value is ready
// for a stream.
//
// An event ends after its blank line. A blank line that follows another is an event of its
// own, so all bytes of a stream belong to an event and each event can be forwarded as
// soon as it is over. Where the events end does not depend on how the stream is cut into
// calls.
type Splitter struct {
	inLine bool // the line in progress has bytes
	cr     bool // the last byte was a CR, which ended a line
	blank  bool // that line was blank
}

// Next returns how many bytes of p belong to the event in progress, its blank line
// included. With ended false, all of p belongs to it and it goes on. The next call wants
// p[n:] and what follows.
//
// A blank line that ends in CR at the end of p may yet be CRLF: the event then ends in a
// later call, at n = 0 if it was CR alone. A caller that loops while bytes are left
// therefore sees each event end, but the last one of a stream may end unseen.
func (s *Splitter) Next(p []byte) (n int, ended bool) {
	for n < len(p) {
		if s.cr {
			s.cr = false
			if p[n] == '\n' {
				n++
			}
			if s.blank {
				s.blank = false
				return n, true
			}
			continue
		}
		end := lineEnd(p[n:])
		if end < 0 {
			s.inLine = true
			return len(p), false
		}
		blank := end == 0 && !s.inLine
		s.inLine = false
		n += end + 1
		if p[n-1] == '\r' {
			s.cr, s.blank = true, blank
		} else if blank {
			return n, true
		}
	}
	return n, false
}

// lineEnd returns the offset of the first LF or CR in p, -1 if there is none.
func lineEnd(p []byte) int {
	// In windows, since a search for the one that is rare must not run through all of p
	// for every line.
	const window = 512
	for start := 0; start < len(p); start += window {
		w := p[start:min(start+window, len(p))]
		lf := bytes.IndexByte(w, '\n')
		if lf >= 0 {
			w = w[:lf]
		}
		if cr := bytes.IndexByte(w, '\r'); cr >= 0 {
			return start + cr
		}
		if lf >= 0 {
			return start + lf
		}
	}
	return -1
}
