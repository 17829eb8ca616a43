package dashboard

import (
	"net/http"
	"net/url"
	"time"

	"github.com/llmproxy/llmproxy"
)

// What tests look at from outside.
var (
	ShortMoney    = shortMoney
	ShortCount    = shortCount
	ShortDuration = shortDuration
	AxisDuration  = axisDuration
	Ago           = ago
	Percent       = percent
	Ratio         = ratio
	Change        = change
	NiceStep      = niceStep
	ParseTime     = parseTime
	LocalPath     = localPath
	IsOwnHost     = isOwnHost
	HealthOf      = healthOf
)

const (
	MaxRecent  = maxRecent
	MaxStreams = maxStreams
	TailRoom   = tailRoom
)

func PercentilesOf(d []time.Duration) (count int, p50, p95, p99 time.Duration) {
	p := percentilesOf(d)
	return p.Count, p.P50, p.P95, p.P99
}

// QueryOf returns what a query of filters comes to, written again; the error's status is 0
// without one.
func QueryOf(rawQuery string) (again string, status int) {
	r := &http.Request{URL: &url.URL{RawQuery: rawQuery}}
	q, err := queryOf(r, append(filterParams(), paramAfter)...)
	if err == nil {
		_, err = filterOf(q, time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC))
	}
	if e, ok := err.(apiError); ok {
		return "", e.status
	}
	return q.Encode(), 0
}

// Span is a window: its steps begin at First, each Step long.
type Span struct {
	First time.Time
	Step  time.Duration
	Steps int
	Ticks []string
}

func WindowOf(name string, now time.Time) (Span, error) {
	w, err := windowOf(name, now)
	if err != nil {
		return Span{}, err
	}
	s := Span{First: w.first, Step: w.step, Steps: w.steps}
	for _, t := range ticksOf(w) {
		s.Ticks = append(s.Ticks, t.Text)
	}
	return s, nil
}

// BarHeights returns the heights in pixels of bars on top of each other, column by column.
func BarHeights(now time.Time, columns ...[]int64) (heights [][]int) {
	w, _ := windowOf(lastDay, now)
	all := make([]series, len(columns[0]))
	for i := range all {
		all[i].class = "c" + string(rune('0'+i))
		all[i].values = make([]int64, w.steps)
		for at, column := range columns {
			all[i].values[at] = column[i]
		}
	}
	c := bars("x", "X", w, all, shortCount)
	heights = make([][]int, len(columns))
	for _, b := range c.Bars {
		for at := range columns {
			if b.X == across((whole*int64(at)+whole*14/100)/int64(w.steps)) {
				heights[at] = append(heights[at], b.Height)
			}
		}
	}
	return heights
}

// FaultsOf returns the codes of the errors in records and how many there are of each.
func FaultsOf(records []llmproxy.Record) (codes []string, counts []int64) {
	for _, f := range faultsOf(records, 100) {
		codes, counts = append(codes, f.Code), append(counts, f.Count)
	}
	return codes, counts
}
