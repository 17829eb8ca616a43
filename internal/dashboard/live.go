package dashboard

import (
	"bytes"
	"net/http"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/ledger"
)

const (
	// maxStreams bounds the event streams that are open at once.
	maxStreams = 32
	// liveBeat is how often something is sent although there is no news, so that what is
	// between keeps the connection.
	liveBeat  = 15 * time.Second
	liveWrite = 10 * time.Second // what a client has to take one event
)

// liveView is what the live page shows.
type liveView struct {
	Rows   []row
	Events string // the URL of the event stream; "" without one
	Chips  []chip
}

// liveParams are the filters of the live page.
func liveParams() []string {
	return []string{paramProvider, paramModel, paramKey, paramTag, paramOutcome, paramConnection}
}

// livePage shows the newest exchanges; a script adds those that come.
func (d *Dashboard) livePage(w http.ResponseWriter, r *http.Request) {
	q, err := queryOf(r, liveParams()...)
	if err != nil {
		d.refuse(w, r, d.failed(r, err))
		return
	}
	f, err := filterOf(q, d.o.Now().UTC())
	if err != nil {
		d.refuse(w, r, d.failed(r, err))
		return
	}
	f.Newest = true
	records, _, err := d.pageOf(r, f, pageRows)
	if err != nil {
		d.refuse(w, r, d.failed(r, err))
		return
	}
	l := links{"/live", q}
	v := liveView{Chips: chips(l, q)}
	if d.o.Live != nil {
		v.Events = l.To("/live/events").URL()
	}
	for i := range records {
		v.Rows = append(v.Rows, rowOf(&records[i]))
	}
	d.render(w, r, http.StatusOK, "live", v)
}

// liveEvents streams the rows of exchanges as they end, each rendered as the pages have it.
func (d *Dashboard) liveEvents(w http.ResponseWriter, r *http.Request) {
	q, err := queryOf(r, liveParams()...)
	if err != nil {
		writeError(w, d.failed(r, err))
		return
	}
	f, err := filterOf(q, d.o.Now().UTC())
	if err != nil {
		writeError(w, d.failed(r, err))
		return
	}
	if d.o.Live == nil {
		writeError(w, nothingHere)
		return
	}
	select {
	case d.streams <- struct{}{}:
		defer func() { <-d.streams }()
	default:
		w.Header().Set("Retry-After", "10")
		writeError(w, apiError{
			status: http.StatusServiceUnavailable, Type: "api_error", Code: "too_many_streams",
			Message: "too many live pages are open",
		})
		return
	}
	records, err := d.o.Live.Subscribe(r.Context())
	if err != nil {
		w.Header().Set("Retry-After", "10")
		writeError(w, apiError{
			status: http.StatusServiceUnavailable, Type: "api_error", Code: "shutting_down",
			Message: "the gateway is ending",
		})
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // proxies that hold answers back
	d.stream(w, records, func(record *llmproxy.Record) bool { return passes(&f, record) })
}

// stream writes records until they end or the client is gone.
func (d *Dashboard) stream(w http.ResponseWriter, records <-chan llmproxy.Record, wanted func(*llmproxy.Record) bool) {
	to := http.NewResponseController(w)
	oneLine := strings.NewReplacer("\n", " ", "\r", " ") // as an event's data must be
	send := func(event string) bool {
		// Where there is no deadline to set, the server's own holds.
		_ = to.SetWriteDeadline(time.Now().Add(liveWrite))
		if _, err := w.Write([]byte(event)); err != nil {
			return false
		}
		err := to.Flush()
		// In HTTP/2 one that passes ends the stream, whether something is written or not.
		_ = to.SetWriteDeadline(time.Time{})
		return err == nil
	}
	if !send("retry: 3000\n\nevent: ready\ndata: \n\n") {
		return
	}
	beat := time.NewTicker(liveBeat)
	defer beat.Stop()
	for {
		select {
		case record, ok := <-records:
			if !ok {
				return
			}
			if !wanted(&record) {
				continue
			}
			var b bytes.Buffer
			if err := d.templates.ExecuteTemplate(&b, "row", rowOf(&record)); err != nil {
				d.o.Logger.Error("a row could not be made", "error", err)
				return
			}
			if !send("event: exchange\ndata: " + oneLine.Replace(b.String()) + "\n\n") {
				return
			}
		case <-beat.C:
			if !send(":\n\n") {
				return
			}
		}
	}
}

// passes reports whether the filters of the live page select r.
func passes(f *ledger.Filter, r *llmproxy.Record) bool {
	name, want, valued := strings.Cut(f.Tag, "=")
	got, tagged := r.Tags[name]
	return (f.Provider == "" || r.Provider == f.Provider) &&
		(f.Model == "" || r.Model == f.Model) &&
		(f.Key == "" || r.Key == f.Key) &&
		(f.Outcome == "" || r.Outcome == f.Outcome) &&
		(f.ConnectionID == "" || r.ConnectionID == f.ConnectionID) &&
		(f.Tag == "" || tagged && (!valued || got == want))
}
