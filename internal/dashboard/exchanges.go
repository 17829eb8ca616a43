package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/ledger"
)

const (
	pageRows = 50
	// Turns of one connection that are shown: a connection lasts an hour by default.
	maxTurns = 500
)

// row is one exchange in a table.
type row struct {
	*llmproxy.Record
	Cached int64
	Tone   string // of its outcome: "good", "fair", "bad"
	Tags   []string
}

func rowOf(r *llmproxy.Record) row {
	return row{Record: r, Cached: int64(r.Usage.Cache().CachedTokens), Tone: tone(r.Outcome), Tags: tagsOf(r)}
}

// tone says how an outcome is coloured.
func tone(o llmproxy.Outcome) string {
	switch o {
	case llmproxy.OutcomeCompleted:
		return "good"
	case llmproxy.OutcomeError, llmproxy.OutcomeFailed, llmproxy.OutcomeRejected:
		return "bad"
	case llmproxy.OutcomeUnknown, llmproxy.OutcomeIncomplete, llmproxy.OutcomeCancelled, llmproxy.OutcomePending:
		return "fair"
	}
	return "fair"
}

// tagsOf returns the tags of r, sorted.
func tagsOf(r *llmproxy.Record) []string {
	tags := make([]string, 0, len(r.Tags))
	for name, value := range r.Tags {
		tags = append(tags, tagText(name, value))
	}
	slices.Sort(tags)
	return tags
}

// exchangesView is what a page of exchanges shows.
type exchangesView struct {
	Chips  []chip
	Query  url.Values
	Rows   []row
	Next   string // the URL of the next page; "" if this is the last
	First  string // the URL of the first page; "" if this is it
	Export string // the same records as JSON
	Error  string // what is wrong with the filters
}

// exchangesPage lists the exchanges that the filters select, the newest first.
func (d *Dashboard) exchangesPage(w http.ResponseWriter, r *http.Request) {
	q, err := queryOf(r, append(filterParams(), paramAfter)...)
	if err != nil {
		d.refuse(w, r, d.failed(r, err))
		return
	}
	l := links{"/exchanges", q}
	v := exchangesView{Query: q, Chips: chips(l, q), Export: l.To("/api/usage").With("", "")}
	var records []llmproxy.Record
	more := false
	f, err := filterOf(q, d.o.Now().UTC())
	if err == nil {
		f.Newest = true
		records, more, err = d.pageOf(r, f, pageRows)
	}
	status := http.StatusOK
	if err != nil {
		e := d.failed(r, err)
		if e.status != http.StatusBadRequest {
			d.refuse(w, r, e)
			return
		}
		status, v.Error = e.status, e.Message // the form is there to put it right
	}
	for i := range records {
		v.Rows = append(v.Rows, rowOf(&records[i]))
	}
	if q.Has(paramAfter) {
		v.First = l.With(paramAfter, "")
	}
	if more {
		v.Next = l.With(paramAfter, records[len(records)-1].ID)
	}
	d.render(w, r, status, "exchanges", v)
}

// find returns the record called id.
func (d *Dashboard) find(ctx context.Context, id string) (found *llmproxy.Record, err error) {
	err = d.o.Records.Records(ctx, ledger.Filter{ID: id, Limit: 1}, func(r *llmproxy.Record) error {
		c := cloneRecord(r)
		found = &c
		return nil
	})
	if err == nil && found == nil {
		err = apiError{
			status: http.StatusNotFound, Type: "invalid_request_error", Code: "not_found",
			Message: "there is no exchange " + shorten(id, 40) + ", or it is older than what the ledger keeps",
		}
	}
	return found, err
}

// exchangeView is what the page of one exchange shows.
type exchangeView struct {
	row
	Counts []count
	Items  []itemCounts
	JSON   string
}

// count is one counter of a usage record.
type count struct {
	Name string
	N    int64
	Part bool // of the total above it
}

type itemCounts struct {
	Model  string
	Counts []count
}

// exchangePage shows all that is known of one exchange.
func (d *Dashboard) exchangePage(w http.ResponseWriter, r *http.Request) {
	if _, err := queryOf(r); err != nil {
		d.refuse(w, r, d.failed(r, err))
		return
	}
	record, err := d.find(r.Context(), r.PathValue("id"))
	if err != nil {
		d.refuse(w, r, d.failed(r, err))
		return
	}
	v := exchangeView{row: rowOf(record), Counts: countsOf(&record.Usage)}
	for i := range record.Items {
		v.Items = append(v.Items, itemCounts{record.Items[i].Model, countsOf(&record.Items[i].Usage)})
	}
	var text bytes.Buffer
	if err := json.Indent(&text, record.AppendJSON(nil), "", "  "); err != nil {
		panic(err) // a record is valid JSON
	}
	v.JSON = text.String()
	d.render(w, r, http.StatusOK, "exchange", v)
}

// countsOf returns the counters of u that are not zero, each total before its parts.
func countsOf(u *llmproxy.Usage) (counts []count) {
	cached := u.CacheRead + u.CacheReadAudio + u.CacheReadImage
	for _, c := range [...]count{
		{"Prompt", u.PromptTokens, false},
		{"read from the cache", cached, true},
		{"written to the cache", u.CacheWrite + u.CacheWrite1h, true},
		{"audio", u.InputAudio + u.CacheReadAudio, true},
		{"images", u.InputImage + u.CacheReadImage, true},
		{"video", u.InputVideo, true},
		{"results of the provider's tools", u.InputTool, true},
		{"citations", u.Citation, true},
		{"Completion", u.CompletionTokens, false},
		{"reasoning", u.Reasoning, true},
		{"audio", u.OutputAudio, true},
		{"images", u.OutputImage, true},
		{"accepted predictions", u.AcceptedPrediction, true},
		{"rejected predictions", u.RejectedPrediction, true},
		{"Web searches", u.WebSearches, false},
		{"Web fetches", u.WebFetches, false},
		{"Search units", u.SearchUnits, false},
	} {
		if c.N != 0 {
			counts = append(counts, c)
		}
	}
	return counts
}

// connectionView is what the page of one WebSocket connection shows.
type connectionView struct {
	ID       string
	Sum      ledger.Sum
	Begin    time.Time
	End      time.Time
	Rows     []row // the newest first
	Shown    int
	Timeline timeline
}

// connectionPage shows the turns of a connection.
func (d *Dashboard) connectionPage(w http.ResponseWriter, r *http.Request) {
	v, err := d.connection(r)
	if err != nil {
		d.refuse(w, r, d.failed(r, err))
		return
	}
	d.render(w, r, http.StatusOK, "connection", v)
}

func (d *Dashboard) connection(r *http.Request) (v connectionView, err error) {
	if _, err := queryOf(r); err != nil {
		return v, err
	}
	f := ledger.Filter{ConnectionID: r.PathValue("id")}
	v.ID = f.ConnectionID
	if v.Sum, err = total(r.Context(), d.o.Records, f); err != nil {
		return v, err
	}
	if v.Sum.Exchanges == 0 {
		return v, apiError{
			status: http.StatusNotFound, Type: "invalid_request_error", Code: "not_found",
			Message: "there is no connection " + shorten(v.ID, 40) + ", or none of its turns has ended",
		}
	}
	f.Newest, f.Limit = true, maxTurns
	err = d.o.Records.Records(r.Context(), f, func(record *llmproxy.Record) error {
		c := cloneRecord(record)
		v.Rows = append(v.Rows, rowOf(&c))
		return nil
	})
	if err != nil {
		return v, err
	}
	v.Shown = len(v.Rows)
	v.Timeline = timelineOf(v.Rows)
	v.Begin, v.End = v.Timeline.begin, v.Timeline.end
	return v, nil
}
