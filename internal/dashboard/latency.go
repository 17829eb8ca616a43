package dashboard

import (
	"cmp"
	"slices"
	"time"

	"github.com/llmproxy/llmproxy"
)

// percentiles are of a set of durations: at least so many of a hundred are not longer. A
// zero Count has none.
type percentiles struct {
	Count         int
	P50, P95, P99 time.Duration
}

// percentilesOf takes the nearest rank; it sorts what it is given.
func percentilesOf(durations []time.Duration) percentiles {
	n := len(durations)
	if n == 0 {
		return percentiles{}
	}
	slices.Sort(durations)
	rank := func(p int) time.Duration { return durations[(p*n+99)/100-1] }
	return percentiles{n, rank(50), rank(95), rank(99)}
}

// latency is how long answers took.
type latency struct {
	Group          string
	TTFT, Duration percentiles
}

// latencies collects them.
type latencies struct{ ttft, duration []time.Duration }

// add counts r in, if a provider has answered it to the end: what was refused or left says
// little of how fast a provider is.
func (l *latencies) add(r *llmproxy.Record) {
	if r.Outcome != llmproxy.OutcomeCompleted && r.Outcome != llmproxy.OutcomeIncomplete {
		return
	}
	l.duration = append(l.duration, r.Duration)
	if r.TTFT > 0 {
		l.ttft = append(l.ttft, r.TTFT)
	}
}

func (l *latencies) percentiles(group string) latency {
	return latency{group, percentilesOf(l.ttft), percentilesOf(l.duration)}
}

// latencyOf returns the percentiles of all records together.
func latencyOf(records []llmproxy.Record) latency {
	var l latencies
	for i := range records {
		l.add(&records[i])
	}
	return l.percentiles("")
}

// latencyBy returns the percentiles of each group, the one with most answers first, at most
// so many.
func latencyBy(records []llmproxy.Record, group func(*llmproxy.Record) string, most int) []latency {
	groups := map[string]*latencies{}
	for i := range records {
		name := group(&records[i])
		if groups[name] == nil {
			groups[name] = &latencies{}
		}
		groups[name].add(&records[i])
	}
	list := make([]latency, 0, len(groups))
	for name, l := range groups {
		if len(l.duration) > 0 {
			list = append(list, l.percentiles(name))
		}
	}
	slices.SortFunc(list, func(a, b latency) int {
		return cmp.Or(cmp.Compare(b.Duration.Count, a.Duration.Count), cmp.Compare(a.Group, b.Group))
	})
	return list[:min(len(list), most)]
}

// latencyOverTime returns the percentiles for each step of w.
func latencyOverTime(records []llmproxy.Record, w window) []latency {
	steps := make([]latencies, w.steps)
	for i := range records {
		if at, ok := w.at(records[i].Time); ok {
			steps[at].add(&records[i])
		}
	}
	list := make([]latency, w.steps)
	for i := range steps {
		list[i] = steps[i].percentiles("")
	}
	return list
}

// fault is a kind of error, and how often it was seen.
type fault struct {
	Outcome  llmproxy.Outcome
	Status   int
	Code     string
	Provider string
	Count    int64
	Last     time.Time
	Example  string // the id of the last one
}

// faultsOf returns the kinds of errors in records, which are in order of time: the most
// frequent first, at most so many.
func faultsOf(records []llmproxy.Record, most int) (faults []fault) {
	kinds := map[fault]*fault{}
	for i := range records {
		r := &records[i]
		switch r.Outcome {
		case llmproxy.OutcomeError, llmproxy.OutcomeFailed, llmproxy.OutcomeRejected:
		default:
			continue
		}
		kind := fault{Outcome: r.Outcome, Status: r.Status, Provider: r.Provider}
		if r.Error != nil {
			kind.Code = cmp.Or(r.Error.Code, r.Error.Type)
		}
		f := kinds[kind]
		if f == nil {
			first := kind
			f = &first
			kinds[kind] = f
		}
		f.Count++
		f.Last, f.Example = r.Time, r.ID
	}
	for _, f := range kinds {
		faults = append(faults, *f)
	}
	slices.SortFunc(faults, func(a, b fault) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), b.Last.Compare(a.Last), cmp.Compare(b.Example, a.Example))
	})
	return faults[:min(len(faults), most)]
}
