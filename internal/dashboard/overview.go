package dashboard

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/ledger"
)

// How much of each list the overview shows.
const (
	maxLayers   = 5 // of the chart of spend, besides the rest
	maxRows     = 50
	maxLatency  = 8
	maxFaults   = 8
	maxLatest   = 8
	maxTagNames = 4
)

// overviewView is what the overview shows.
type overviewView struct {
	Windows []choice
	Chips   []chip
	Tiles   []tile
	By      string
	Choices []choice // what spend can be by
	Spend   chart
	Groups  []groupRow
	Hidden  int   // groups beyond Groups
	Unknown int64 // exchanges without a price
	Charts  []chart
	Latency []latency
	All     latency // of all answers
	Faults  []fault
	Latest  []row
	More    string // the URL of the exchanges
	Partial bool   // what is taken from the newest records does not cover the window
	Recent  int    // how many of those are
	Empty   bool   // nothing in the window
}

// tile is one big number.
type tile struct{ Name, Value, Exact, Below, Class string }

// groupRow is a row of the table beside the chart of spend.
type groupRow struct {
	Name, Label, Class, URL string
	ledger.Sum
	Share string // of the cost, as a width
	Part  string // the same in words
}

// overviewPage shows one window of time.
func (d *Dashboard) overviewPage(w http.ResponseWriter, r *http.Request) {
	var v overviewView
	err := d.oneOfFew(r.Context(), func() (err error) {
		v, err = d.overview(r)
		return err
	})
	if err != nil {
		d.refuse(w, r, d.failed(r, err))
		return
	}
	d.render(w, r, http.StatusOK, "overview", v)
}

func (d *Dashboard) overview(r *http.Request) (v overviewView, err error) {
	ctx := r.Context()
	q, err := queryOf(r, paramRange, paramBy, paramProvider, paramModel, paramKey, paramTag)
	if err != nil {
		return v, err
	}
	w, err := windowOf(q.Get(paramRange), d.o.Now())
	if err != nil {
		return v, err
	}
	by, err := parseGrouping(cmp.Or(q.Get(paramBy), string(ledger.ByModel)))
	if err != nil {
		return v, err
	}
	f, err := filterOf(q, w.until)
	if err != nil {
		return v, err
	}
	f = w.within(f)
	l := links{"/", q}
	s, err := d.take(ctx, f)
	if err != nil {
		return v, err
	}
	v = overviewView{
		Windows: windowChoices(l, w.name), Chips: chips(l, q), By: strings.TrimPrefix(string(by), string(ledger.ByTag)), Choices: byChoices(l, by, s.recent),
		Partial: !s.whole, Recent: len(s.recent), Empty: len(s.recent) == 0,
		All: latencyOf(s.recent), Faults: faultsOf(s.recent, maxFaults),
		Latency: latencyBy(s.recent, func(r *llmproxy.Record) string { return r.Model }, maxLatency),
		Latest:  latestRows(s.recent, maxLatest),
	}
	if v.Empty {
		return v, nil
	}
	more := copyOf(q)
	more.Del(paramBy)
	more.Del(paramRange)
	more.Set(paramSince, w.name)
	v.More = links{"/exchanges", more}.URL()

	sum, err := total(ctx, s.sums, f)
	if err != nil {
		return v, err
	}
	before := f
	before.Since, before.Until = w.since.Add(-w.until.Sub(w.since)), w.since
	previous, err := total(ctx, d.o.Records, before)
	if err != nil {
		return v, err
	}
	v.Unknown = sum.Unpriced
	v.Tiles = tiles(&sum, &previous, &v.All, w.name)
	if err := d.spend(ctx, &v, s.sums, f, w, by, l, sum); err != nil {
		return v, err
	}
	steps, err := overTime(ctx, s.sums, f, w)
	if err != nil {
		return v, err
	}
	v.Charts = d.charts(steps, latencyOverTime(s.recent, w), w)
	return v, nil
}

// copyOf returns a copy of q.
func copyOf(q url.Values) url.Values {
	c := url.Values{}
	for name, values := range q {
		c[name] = slices.Clone(values)
	}
	return c
}

// tiles are the big numbers.
func tiles(sum, previous *ledger.Sum, all *latency, name string) []tile {
	span := map[string]string{lastHour: "hour", lastDay: "day", lastWeek: "week", lastMonth: "30 days"}[name]
	versus := func(now, before int64) string {
		c := change(now, before)
		if c == "" {
			return ""
		}
		return c + " on the " + span + " before"
	}
	spend := tile{Name: "Spend", Value: shortMoney(sum.Cost), Exact: sum.Cost.String() + " USD", Below: versus(int64(sum.Cost), int64(previous.Cost))}
	tokens := tile{
		Name: "Tokens", Value: shortCount(sum.Usage.TotalTokens()), Exact: thousands(sum.Usage.TotalTokens()) + " tokens",
		Below: shortCount(sum.Usage.PromptTokens) + " in, " + shortCount(sum.Usage.CompletionTokens) + " out",
	}
	errors := tile{
		Name: "Errors", Value: percent(sum.Errors, sum.Exchanges), Exact: plural(sum.Errors, "error"),
		Below: thousands(sum.Errors) + " of " + thousands(sum.Exchanges),
	}
	if sum.Errors > 0 {
		errors.Class = "bad"
	}
	return []tile{
		spend,
		{Name: "Exchanges", Value: thousands(sum.Exchanges), Exact: plural(sum.Exchanges, "exchange"), Below: versus(sum.Exchanges, previous.Exchanges)},
		tokens,
		errors,
		latencyTile("Time to first token", all.TTFT),
		latencyTile("Duration", all.Duration),
	}
}

func latencyTile(name string, p percentiles) tile {
	if p.Count == 0 {
		return tile{Name: name, Value: "–", Exact: "no answers", Below: "no answers"}
	}
	return tile{
		Name: name, Value: shortDuration(p.P50), Exact: "median of " + thousands(int64(p.Count)) + " answers: " + p.P50.String(),
		Below: "median · p95 " + shortDuration(p.P95),
	}
}

// byChoices are what spend can be shown by: besides the fixed ones, the tags that the
// newest records have, the most frequent first.
func byChoices(l links, here ledger.Grouping, recent []llmproxy.Record) (choices []choice) {
	list := []ledger.Grouping{ledger.ByModel, ledger.ByProvider, ledger.ByKey}
	counts := map[string]int{}
	for i := range recent {
		for name := range recent[i].Tags {
			counts[name]++
		}
	}
	var names []string
	for name := range counts {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	for _, name := range names[:min(len(names), maxTagNames)] {
		list = append(list, ledger.ByTag+ledger.Grouping(name))
	}
	if !slices.Contains(list, here) {
		list = append(list, here)
	}
	for _, by := range list {
		text := string(by)
		if name, ok := strings.CutPrefix(text, string(ledger.ByTag)); ok {
			text = shorten(name, 20)
		}
		choices = append(choices, choice{text, l.With(paramBy, string(by)), by == here})
	}
	return choices
}

// only returns f for one group, and the parameter that says so; ok is false where no filter
// can.
func only(f ledger.Filter, by ledger.Grouping, group string) (one ledger.Filter, param, value string, ok bool) {
	if group == "" {
		return f, "", "", false
	}
	switch by {
	case ledger.ByModel:
		f.Model, param = group, paramModel
	case ledger.ByProvider:
		f.Provider, param = group, paramProvider
	case ledger.ByKey:
		f.Key, param = group, paramKey
	default:
		name, isTag := strings.CutPrefix(string(by), string(ledger.ByTag))
		if !isTag || f.Tag != "" || strings.Contains(name, "=") {
			return f, "", "", false
		}
		f.Tag = name + "=" + group
		return f, paramTag, f.Tag, true
	}
	return f, param, group, true
}

// spend fills in the chart and the table of spend.
func (d *Dashboard) spend(ctx context.Context, v *overviewView, from Records, f ledger.Filter, w window, by ledger.Grouping, l links, sum ledger.Sum) error {
	groups, err := from.Sums(ctx, f, by)
	if err != nil {
		return err
	}
	if by == ledger.ByDay || by == ledger.ByHour {
		slices.Reverse(groups)
	} else {
		slices.SortStableFunc(groups, func(a, b ledger.Sum) int {
			return cmp.Or(cmp.Compare(b.Cost, a.Cost), cmp.Compare(b.Exchanges, a.Exchanges))
		})
	}
	all, err := overTime(ctx, from, f, w)
	if err != nil {
		return err
	}
	rest := series{class: "rest", name: "other", values: make([]int64, w.steps)}
	for i := range all {
		rest.values[i] = int64(all[i].Cost)
	}
	left := sum.Cost
	var layers []series
	for i := range groups {
		g := &groups[i]
		row := groupRow{Name: g.Group, Label: cmp.Or(g.Group, "(none)"), Class: "rest", Sum: *g, Share: "0%", Part: percent(int64(g.Cost), int64(sum.Cost))}
		if n, ok := ratio(int64(g.Cost), int64(sum.Cost), whole); ok {
			row.Share = across(n)
		}
		one, param, value, ok := only(f, by, g.Group)
		if ok {
			row.URL = l.With(param, value)
		}
		if ok && len(layers) < maxLayers && g.Cost > 0 {
			row.Class = fmt.Sprintf("c%d", len(layers))
			layer := series{class: row.Class, name: row.Label, total: shortMoney(g.Cost), exact: g.Cost.String() + " USD", url: row.URL}
			steps, err := overTime(ctx, from, one, w)
			if err != nil {
				return err
			}
			for at := range steps {
				layer.values = append(layer.values, int64(steps[at].Cost))
				rest.values[at] -= int64(steps[at].Cost)
			}
			left -= g.Cost
			layers = append(layers, layer)
		}
		if len(v.Groups) < maxRows {
			v.Groups = append(v.Groups, row)
		} else {
			v.Hidden++
		}
	}
	if left > 0 || len(layers) == 0 {
		rest.total, rest.exact = shortMoney(left), left.String()+" USD"
		layers = append(layers, rest)
	}
	v.Spend = bars("spend", "Spend", w, layers, func(n int64) string { return "$" + llmproxy.USD(n).String() })
	v.Spend.Label = "Spend over time by " + v.By + ", in dollars"
	return nil
}

// charts are those besides that of spend.
func (d *Dashboard) charts(steps []ledger.Sum, times []latency, w window) []chart {
	pick := func(class, name string, of func(*ledger.Sum) int64) series {
		s := series{class: class, name: name}
		sum := int64(0)
		for i := range steps {
			s.values = append(s.values, of(&steps[i]))
			sum += s.values[i]
		}
		s.total, s.exact = shortCount(sum), thousands(sum)
		return s
	}
	timing := func(class, name string, of func(*latency) (percentiles, time.Duration)) series {
		s := series{class: class, name: name}
		for i := range times {
			value := int64(-1)
			if p, d := of(&times[i]); p.Count > 0 {
				value = int64(d)
			}
			s.values = append(s.values, value)
		}
		return s
	}
	write := func(n int64) string { return axisDuration(time.Duration(n)) }
	list := []chart{
		bars("tokens", "Tokens", w, []series{
			pick("c0", "prompt", func(s *ledger.Sum) int64 { return s.Usage.PromptTokens }),
			pick("c1", "completion", func(s *ledger.Sum) int64 { return s.Usage.CompletionTokens }),
		}, shortCount),
		bars("exchanges", "Exchanges", w, []series{
			pick("c0", "without an error", func(s *ledger.Sum) int64 { return s.Exchanges - s.Errors }),
			pick("bad", "errors", func(s *ledger.Sum) int64 { return s.Errors }),
		}, shortCount),
		lines("ttft", "Time to first token", w, []series{
			timing("c0", "p50", func(l *latency) (percentiles, time.Duration) { return l.TTFT, l.TTFT.P50 }),
			timing("c2", "p95", func(l *latency) (percentiles, time.Duration) { return l.TTFT, l.TTFT.P95 }),
		}, write),
		lines("duration", "Duration", w, []series{
			timing("c0", "p50", func(l *latency) (percentiles, time.Duration) { return l.Duration, l.Duration.P50 }),
			timing("c2", "p95", func(l *latency) (percentiles, time.Duration) { return l.Duration, l.Duration.P95 }),
		}, write),
	}
	for i := range list {
		list[i].Label = list[i].Title + " over time"
	}
	return list
}

// latestRows are the last of records, the newest first.
func latestRows(records []llmproxy.Record, most int) (rows []row) {
	for i := len(records) - 1; i >= 0 && len(rows) < most; i-- {
		rows = append(rows, rowOf(&records[i]))
	}
	return rows
}
