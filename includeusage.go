package llmproxy

import (
	"bytes"
	"io"

	"github.com/llmproxy/llmproxy/wire"
)

// Streamed Chat Completions and Completions report usage only where
// stream_options.include_usage asks for it, in a chunk of its own. The gateway asks when
// the client did not, and then keeps that chunk from the client. Both halves are here.

// includeUsage returns the edit that makes b ask for usage. ok is false when b asks
// already, or says something about it that only the provider can refuse.
func includeUsage(b *Body) (e wire.Edit, ok bool) {
	if !b.has(memberStreamOptions) {
		at := b.root.End - 1
		return wire.Edit{Span: wire.Span{Start: at, End: at}, New: []byte(`,"stream_options":{"include_usage":true}`)}, true
	}
	span := b.spans[memberStreamOptions]
	value := span.Of(b.bytes)
	switch wire.KindOf(value) {
	case wire.Null:
		return wire.Edit{Span: span, New: []byte(`{"include_usage":true}`)}, true
	case wire.Object:
	default:
		return wire.Edit{}, false
	}
	var spans [2]wire.Span
	if _, err := streamOptionNames.Scan(value, spans[:]); err != nil {
		return wire.Edit{}, false
	}
	if asked := spans[0]; asked.Found() {
		v := asked.Of(value)
		if on, isBool := wire.Bool(v); on || !isBool && !wire.IsNull(v) {
			return wire.Edit{}, false
		}
		at := wire.Span{Start: span.Start + asked.Start, End: span.Start + asked.End}
		return wire.Edit{Span: at, New: []byte("true")}, true
	}
	added := []byte(`,"include_usage":true`)
	if len(bytes.TrimSpace(value[1:len(value)-1])) == 0 {
		added = added[1:]
	}
	at := span.End - 1
	return wire.Edit{Span: wire.Span{Start: at, End: at}, New: added}, true
}

var streamOptionNames = wire.NewNames("include_usage", "include_obfuscation")

// includesUsage reports whether b asks for usage itself. Two answers to that are an error.
func (b *Body) includesUsage() (bool, *Error) {
	options := b.value(memberStreamOptions)
	if wire.KindOf(options) != wire.Object {
		return false, nil
	}
	var spans [2]wire.Span
	if _, err := streamOptionNames.Scan(options, spans[:]); err != nil {
		return false, badMember("stream_options", "the member stream_options has a member more than once")
	}
	if !spans[0].Found() {
		return false, nil
	}
	on, _ := wire.Bool(spans[0].Of(options))
	return on, nil
}

// usageOnly reports whether a stream's event is the chunk that include_usage causes: a
// usage object, no choices and no error.
func usageOnly(data []byte) bool {
	if end := bytes.TrimRight(data, " \t\r\n"); len(end) == 0 || end[len(end)-1] != '}' {
		return false
	}
	usage := false
	for name, value := range wire.Members(data) {
		switch string(name) {
		case "usage":
			usage = wire.KindOf(value) == wire.Object
		case "choices":
			if !wire.IsNull(value) && !emptyArray(value) {
				return false
			}
		case "error":
			if !wire.IsNull(value) {
				return false
			}
		}
	}
	return usage
}

func emptyArray(value []byte) bool {
	return len(value) > 1 && value[0] == '[' && len(bytes.TrimSpace(value[1:len(value)-1])) == 0
}

// withhold passes a stream of server-sent events on, except for usage-only events. It
// keeps at most one unfinished event back, and lets one that grows beyond its bound
// through.
type withhold struct {
	src    Stream
	teller NewsTeller // the meter of src, which has just looked at each piece; may be nil
	split  wire.Splitter
	held   []byte // the unfinished event
	limit  int
	large  bool // the event in progress is too large to hold: it passes
	out    []byte
	err    error
}

func (w *withhold) Next() ([]byte, error) {
	for w.err == nil {
		var piece []byte
		before := w.news()
		piece, w.err = w.src.Next()
		if w.err != nil {
			if len(w.held) > 0 {
				// The stream ended inside an event. It goes as it came, unless the end
				// is clean and completes it.
				last := w.held
				w.held = nil
				if w.err == io.EOF && w.drops(last) {
					break
				}
				return last, nil
			}
			break
		}
		if len(w.held) == 0 && !w.large && endsEvent(piece) &&
			(w.teller != nil && w.news() == before || !mayReportUsage(piece)) {
			w.split = wire.Splitter{} // what nearly all pieces are: whole events, without news
			return piece, nil
		}
		if out := w.pass(piece); len(out) > 0 {
			return out, nil
		}
	}
	return nil, w.err
}

// news is how much of what has come may say something.
func (w *withhold) news() int {
	if w.teller == nil {
		return 0
	}
	return w.teller.News()
}

// pass returns what of piece, and of what was held, may go on.
func (w *withhold) pass(piece []byte) []byte {
	w.out = w.out[:0]
	start := 0 // of what passes from piece
	for at := 0; at < len(piece); {
		n, ended := w.split.Next(piece[at:])
		event := piece[at : at+n]
		at += n
		switch {
		case !ended && w.large:
			// Passes with the rest of the piece.
		case !ended:
			w.out = append(w.out, piece[start:at-n]...)
			w.held = append(w.held, event...)
			start = at
			if len(w.held) > w.limit {
				w.out = append(w.out, w.held...)
				w.held, w.large = nil, true
			}
		case w.large:
			w.large = false
		case len(w.held) > 0:
			w.held = append(w.held, event...)
			if !w.drops(w.held) {
				w.out = append(w.out, w.held...)
			}
			w.held, start = w.held[:0], at
		case w.drops(event):
			w.out = append(w.out, piece[start:at-n]...)
			start = at
		}
	}
	if len(w.out) == 0 {
		return piece[start:]
	}
	return append(w.out, piece[start:]...)
}

func (w *withhold) Close() error { return w.src.Close() }

// drops reports whether the raw event is a usage-only one. Beyond the bound none is, so
// that it does not matter how the bytes were cut.
func (w *withhold) drops(event []byte) bool {
	if len(event) > w.limit || !mayReportUsage(event) {
		return false
	}
	var only usageOnlySink
	sse := wire.NewSSE(&only, len(event))
	_, _ = sse.Write(event)
	_, _ = sse.Write([]byte("\n\n")) // in case the end of the stream was the event's
	return only.found && !only.other
}

// endsEvent reports whether piece, which begins an event, ends with the end of one.
func endsEvent(piece []byte) bool {
	n := len(piece)
	return n >= 2 && piece[n-1] == '\n' && (piece[n-2] == '\n' || n >= 4 && piece[n-2] == '\r' && piece[n-3] == '\n')
}

// mayReportUsage reports whether text may hold a usage object: its name, followed by
// something other than null. It may err on that side.
func mayReportUsage(text []byte) bool {
	for {
		i := bytes.Index(text, usageName)
		if i < 0 {
			return false
		}
		text = text[i+len(usageName):]
		for i = 0; i < len(text) && (text[i] <= ' ' || text[i] == ':'); i++ {
		}
		if !bytes.HasPrefix(text[i:], nullValue) {
			return true
		}
	}
}

var (
	usageName = []byte(`"usage"`)
	nullValue = []byte("null")
)

type usageOnlySink struct{ found, other bool }

func (s *usageOnlySink) Frame(f wire.Frame) {
	if usageOnly(f.Data) {
		s.found = true
	} else {
		s.other = true
	}
}
