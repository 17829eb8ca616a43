package dashboard

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/ledger"
)

// Provider is a configured provider and how it is doing.
type Provider struct {
	Name, Type string
	State      State
	// Reason says why State is what it is, without a secret: "rate_limit", say.
	Reason string
	Until  time.Time // until when it is left alone, at least; zero: it is not
}

// State is how a provider is doing, by what the gateway has been told of it.
type State string

// The states.
const (
	StateUnknown State = ""     // nobody watches it: what its records show is what is known
	StateUp      State = "up"   // it answers
	StateDown    State = "down" // it is left alone for a while
)

// providerRow is a provider on its page: what it says of itself, and what its records show.
type providerRow struct {
	Provider
	Health                 string // "up", "down", "failing", "idle"
	Tone                   string
	Exchanges, Errors      int64
	Latency                latency
	LastAnswer, LastError  time.Time
	LastCode, LastID       string
	Models                 int
	ExchangesURL, ErrorURL string
}

// failingOf: a provider of whose latest exchanges half have failed is shown as failing.
const failingOf = 10

type providersView struct {
	Windows []choice
	Rows    []providerRow
	Partial bool
	Recent  int
	Watched bool // something knows their states
}

// providersPage shows how providers are doing.
func (d *Dashboard) providersPage(w http.ResponseWriter, r *http.Request) {
	q, err := queryOf(r, paramRange)
	if err != nil {
		d.refuse(w, r, d.failed(r, err))
		return
	}
	win, err := windowOf(cmp.Or(q.Get(paramRange), lastHour), d.o.Now())
	if err != nil {
		d.refuse(w, r, d.failed(r, err))
		return
	}
	var s snapshot
	err = d.oneOfFew(r.Context(), func() (err error) {
		s, err = d.take(r.Context(), win.within(ledger.Filter{}))
		return err
	})
	if err != nil {
		d.refuse(w, r, d.failed(r, err))
		return
	}
	v := providersView{Windows: windowChoices(links{"/providers", q}, win.name), Partial: !s.whole, Recent: len(s.recent)}
	var configured []Provider
	if d.o.Providers != nil {
		configured = d.o.Providers()
	}
	v.Rows = providerRows(configured, s.recent, win.name)
	for i := range v.Rows {
		v.Watched = v.Watched || v.Rows[i].State != StateUnknown
	}
	d.render(w, r, http.StatusOK, "providers", v)
}

// providerRows puts together what is configured and what records, in order of time, show.
// Providers that only records know come last.
func providerRows(configured []Provider, records []llmproxy.Record, since string) []providerRow {
	rows := make([]providerRow, 0, len(configured))
	at := map[string]int{}
	for _, p := range configured {
		at[p.Name] = len(rows)
		rows = append(rows, providerRow{Provider: p})
	}
	times := map[string]*latencies{}
	latest := map[string][]bool{} // whether each of the latest has failed
	models := map[string]map[string]bool{}
	first := len(rows)
	for i := range records {
		r := &records[i]
		if r.Provider == "" {
			continue
		}
		n, known := at[r.Provider]
		if !known {
			n = len(rows)
			at[r.Provider] = n
			rows = append(rows, providerRow{Provider: Provider{Name: r.Provider}})
		}
		if times[r.Provider] == nil {
			times[r.Provider], models[r.Provider] = &latencies{}, map[string]bool{}
		}
		times[r.Provider].add(r)
		models[r.Provider][r.Model] = true
		row := &rows[n]
		row.Exchanges++
		failed := r.Outcome == llmproxy.OutcomeError || r.Outcome == llmproxy.OutcomeFailed
		if failed {
			row.Errors++
			row.LastError, row.LastID = r.Time, r.ID
			if row.LastCode = ""; r.Error != nil {
				row.LastCode = cmp.Or(r.Error.Code, r.Error.Type)
			}
		} else if r.Outcome == llmproxy.OutcomeCompleted || r.Outcome == llmproxy.OutcomeIncomplete {
			row.LastAnswer = r.Time
		}
		// A 4xx that is the client's own says nothing of the provider.
		seen := append(latest[r.Provider], failed && (r.Status >= 500 || r.Status == 429 || r.Status < 400))
		latest[r.Provider] = seen[max(len(seen)-failingOf, 0):]
	}
	slices.SortFunc(rows[first:], func(a, b providerRow) int { return cmp.Compare(a.Name, b.Name) })
	for i := range rows {
		row := &rows[i]
		if l := times[row.Name]; l != nil {
			row.Latency = l.percentiles(row.Name)
		}
		row.Models = len(models[row.Name])
		row.Health, row.Tone = healthOf(row.State, latest[row.Name])
		row.ExchangesURL = links{"/exchanges", map[string][]string{paramProvider: {row.Name}, paramSince: {since}}}.URL()
		row.ErrorURL = links{"/exchanges", map[string][]string{paramProvider: {row.Name}, paramSince: {since}, paramOutcome: {"error"}}}.URL()
	}
	return rows
}

// healthOf says in a word how a provider is doing, and how that is coloured.
func healthOf(s State, latest []bool) (word, tone string) {
	failures := 0
	for _, failed := range latest {
		if failed {
			failures++
		}
	}
	switch {
	case s == StateDown:
		return "down", "bad"
	case len(latest) > 0 && 2*failures >= len(latest):
		return "failing", "bad"
	case s == StateUp:
		return "up", "good"
	case len(latest) == 0:
		return "idle", "fair"
	}
	return "answering", "good"
}
