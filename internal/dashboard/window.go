package dashboard

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/ledger"
)

// window is the time that a page looks at, in steps of equal length. The first and the
// last step may be cut short: the window ends now.
type window struct {
	name         string
	since, until time.Time
	first        time.Time // when the first step begins
	step         time.Duration
	steps        int
}

// The windows there are to choose from.
const (
	lastHour  = "1h"
	lastDay   = "24h"
	lastWeek  = "7d"
	lastMonth = "30d"
)

func windowNames() []string { return []string{lastHour, lastDay, lastWeek, lastMonth} }

// windowOf returns the window called name that ends at now; "" is the last day.
func windowOf(name string, now time.Time) (window, error) {
	w := window{name: name, until: now.UTC()}
	var long time.Duration
	switch name {
	case lastHour:
		long, w.step = time.Hour, 5*time.Minute
	case lastDay, "":
		w.name, long, w.step = lastDay, 24*time.Hour, time.Hour
	case lastWeek:
		long, w.step = 7*24*time.Hour, 6*time.Hour
	case lastMonth:
		long, w.step = 30*24*time.Hour, 24*time.Hour
	default:
		return w, invalid(paramRange, fmt.Sprintf("%q is none of %s", shorten(name, 20), strings.Join(windowNames(), ", ")))
	}
	w.since = w.until.Add(-long)
	w.first = w.since.Truncate(w.step)
	w.steps = int(w.until.Sub(w.first)/w.step) + 1
	return w, nil
}

// at returns the step that t is in.
func (w *window) at(t time.Time) (int, bool) {
	i := int(t.Sub(w.first) / w.step)
	return i, !t.Before(w.first) && i < w.steps
}

// start returns when step i begins, and the end of the last one if i is w.steps.
func (w *window) start(i int) time.Time { return w.first.Add(time.Duration(i) * w.step) }

// within returns f within w.
func (w *window) within(f ledger.Filter) ledger.Filter {
	f.Since, f.Until = w.since, w.until
	return f
}

// maxRecent is how many records percentiles and errors are taken from: the newest.
const maxRecent = 10_000

// snapshot is what a page's figures are taken from.
type snapshot struct {
	// sums answers for all that the filter selects. As long as recent is all of that, it
	// answers from recent, so that the figures of one page agree.
	sums   Records
	recent []llmproxy.Record // the newest, the oldest of them first
	whole  bool              // recent is all there is
}

// maxReads is how many questions that hold many records are answered at once.
const maxReads = 4

// oneOfFew does what needs much memory, once there is room for it. The error is that of
// read, or of ctx.
func (d *Dashboard) oneOfFew(ctx context.Context, read func() error) error {
	select {
	case d.reads <- struct{}{}:
		defer func() { <-d.reads }()
		return read()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// take reads what f selects.
func (d *Dashboard) take(ctx context.Context, f ledger.Filter) (s snapshot, err error) {
	f.Newest, f.Limit = true, maxRecent+1
	err = d.o.Records.Records(ctx, f, func(r *llmproxy.Record) error {
		s.recent = append(s.recent, cloneRecord(r))
		return nil
	})
	if err != nil {
		return s, err
	}
	if s.whole = len(s.recent) <= maxRecent; !s.whole {
		s.recent = s.recent[:maxRecent]
	}
	slices.Reverse(s.recent)
	if !s.whole {
		s.sums = d.o.Records
		return s, nil
	}
	kept := &ledger.Memory{Max: maxRecent}
	s.sums = kept
	return s, kept.Append(ctx, s.recent)
}

// total returns the sum over all that f selects.
func total(ctx context.Context, from Records, f ledger.Filter) (ledger.Sum, error) {
	sums, err := from.Sums(ctx, f, ledger.ByNothing)
	if err != nil || len(sums) == 0 {
		return ledger.Sum{}, err
	}
	return sums[0], nil
}

// overTime returns the sums of what f selects for each step of w.
func overTime(ctx context.Context, from Records, f ledger.Filter, w window) ([]ledger.Sum, error) {
	steps := make([]ledger.Sum, w.steps)
	by, layout := ledger.ByHour, "2006-01-02T15"
	switch {
	case w.step < time.Hour: // no grouping is that fine
		for i := range steps {
			f.Since, f.Until = later(w.start(i), w.since), earlier(w.start(i+1), w.until)
			if !f.Since.Before(f.Until) {
				continue
			}
			var err error
			if steps[i], err = total(ctx, from, f); err != nil {
				return nil, err
			}
		}
		return steps, nil
	case w.step >= 24*time.Hour:
		by, layout = ledger.ByDay, time.DateOnly
	}
	sums, err := from.Sums(ctx, w.within(f), by)
	if err != nil {
		return nil, err
	}
	for i := range sums {
		t, err := time.Parse(layout, sums[i].Group)
		if err != nil {
			return nil, fmt.Errorf("a sum by %s: %w", by, err)
		}
		if at, ok := w.at(t); ok {
			plus(&steps[at], &sums[i])
		}
	}
	return steps, nil
}

// plus adds what charts show. The sum over the whole window has been taken before, and is
// an error where an amount cannot hold it.
func plus(to, s *ledger.Sum) {
	to.Exchanges += s.Exchanges
	to.Errors += s.Errors
	to.Usage.PromptTokens += s.Usage.PromptTokens
	to.Usage.CompletionTokens += s.Usage.CompletionTokens
	to.Usage.CacheRead += s.Usage.CacheRead
	to.Cost += s.Cost
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// choice is one of several links, of which one is where we are.
type choice struct {
	Name, URL string
	Here      bool
}

// windowChoices are the links to the windows.
func windowChoices(l links, here string) (choices []choice) {
	for _, name := range windowNames() {
		choices = append(choices, choice{name, l.With(paramRange, name), name == here})
	}
	return choices
}

// chip is a filter that is on, with the link that takes it off.
type chip struct{ Name, Value, Off string }

// chips are the filters of a page.
func chips(l links, q url.Values) (on []chip) {
	for _, name := range filterParams() {
		if value := q.Get(name); value != "" {
			on = append(on, chip{name, value, l.With(name, "")})
		}
	}
	return on
}
