package simulator

import (
	"bytes"
	"io"
	"iter"
	"net/http"
	"strings"
)

// event is one event of a stream. data is JSON, or [DONE]; of server-sent events one
// line.
type event struct {
	name string // "" leaves the event line out
	kind string // of AWS's frames: exception, error; "" is event
	data []byte
}

// reply is an answer before it takes the form that a script gives it: a stream of
// events, or else a body of size bytes, or an upgrade.
type reply struct {
	status  int
	header  http.Header
	events  iter.Seq[event]
	framing framing // of the events
	body    io.Reader
	size    int64
	upgrade func(http.ResponseWriter) error // answers instead, and returns when its connection is over
}

func bytesReply(status int, contentType string, body []byte) reply {
	rep := reply{status: status, header: http.Header{}, body: bytes.NewReader(body), size: int64(len(body))}
	if contentType != "" {
		rep.header.Set("Content-Type", contentType)
	}
	return rep
}

func jsonReply(status int, v any) reply {
	return bytesReply(status, "application/json", encode(v))
}

func streamReply(events iter.Seq[event]) reply {
	h := http.Header{}
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	return reply{status: http.StatusOK, header: h, events: events}
}

// pad makes a JSON body n bytes long by a first member of x's. A body that is no object
// with members, or too long already, stays.
func (r *reply) pad(n int64) {
	const open, end = `{"padding":"`, `",`
	room := n - r.size - int64(len(open)+len(end)-1)
	if r.body == nil || !strings.HasPrefix(r.header.Get("Content-Type"), "application/json") || room < 0 {
		return
	}
	var brace [1]byte
	if _, err := io.ReadFull(r.body, brace[:]); err != nil {
		panic("simulator: a JSON answer is empty")
	}
	if brace[0] != '{' {
		r.body = io.MultiReader(bytes.NewReader(brace[:]), r.body)
		return
	}
	r.body = io.MultiReader(
		bytes.NewReader([]byte(open)), io.LimitReader(xs{}, room), bytes.NewReader([]byte(end)), r.body)
	r.size = n
}

// xs is an endless run of x.
type xs struct{}

func (xs) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}
