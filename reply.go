package llmproxy

import (
	"net/http"
	"slices"
	"strings"
)

// Reply is a provider's answer, its body unread.
type Reply struct {
	StatusCode int
	Header     http.Header // end-to-end fields only; the reply's owner may change it
	Stream     Stream
	Tap        Tap // what the meter knows so far; nil when the answer is not metered

	exchange *Exchange   // as it was sent
	tap      *tap        // Tap, where it is the pipeline's own
	shown    *tap        // of an answer that may show what an earlier exchange has used
	unproven bool        // the framing does not tell an end from a cut
	unread   bool        // the answer is coded in a way that nobody here can read
	trailers []string    // the names of the provider's trailers that travel on
	trailer  http.Header // their values, known at the stream's end
}

// Stream is a body as a sequence of pieces.
type Stream interface {
	// Next returns the next piece, valid until the next call; io.EOF at the end. A piece
	// is never empty.
	Next() ([]byte, error)
	// Close ends the stream early, or for good. It may be called more than once, and
	// while another goroutine waits in Next.
	Close() error
}

// Tap watches an answer as it passes. It is read-only: it cannot alter, delay or fail
// what it sees.
type Tap interface {
	Observe(piece []byte)       // never fails, never keeps piece
	Done() bool                 // the answer's terminal event has been seen
	Metadata() ResponseMetadata // Custom included
}

// DropTrailer keeps a trailer field of the provider from the client. It has no effect on
// fields in Header.
func (r *Reply) DropTrailer(name string) {
	r.trailers = slices.DeleteFunc(r.trailers, func(t string) bool { return strings.EqualFold(t, name) })
}
