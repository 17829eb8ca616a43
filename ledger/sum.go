package ledger

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/llmproxy/llmproxy"
)

// group returns the group of r. An unknown grouping is an error.
func (by Grouping) group(r *llmproxy.Record) (string, error) {
	switch by {
	case ByNothing:
		return "", nil
	case ByModel:
		return r.Model, nil
	case ByProvider:
		return r.Provider, nil
	case ByKey:
		return r.Key, nil
	case ByDay:
		return r.Time.UTC().Format("2006-01-02"), nil
	case ByHour:
		return r.Time.UTC().Format("2006-01-02T15"), nil
	case ByOutcome:
		return string(r.Outcome), nil
	}
	if tag, ok := strings.CutPrefix(string(by), string(ByTag)); ok && tag != "" {
		return r.Tags[tag], nil
	}
	return "", fmt.Errorf("ledger: unknown grouping %q", string(by))
}

// sums adds records up by group.
type sums struct {
	by     Grouping
	groups map[string]*summing
}

type summing struct {
	Sum
	cost, list wide
}

// add counts r in.
func (s *sums) add(r *llmproxy.Record) error {
	name, err := s.by.group(r)
	if err != nil {
		return err
	}
	g := s.groups[name]
	if g == nil {
		g = &summing{Sum: Sum{Group: name}}
		s.groups[name] = g
	}
	g.Exchanges++
	if r.Outcome == llmproxy.OutcomeError || r.Outcome == llmproxy.OutcomeFailed {
		g.Errors++
	}
	addUsage(&g.Usage, &r.Usage)
	if r.CostKnown {
		g.cost.add(r.Cost)
		if r.CostState == llmproxy.CostEstimated {
			g.Estimated++
		}
	} else {
		g.Unpriced++
	}
	if r.ListCostKnown {
		g.list.add(r.ListCost)
	}
	g.DurationSum += r.Duration
	if r.TTFT > 0 {
		g.TTFTSum += r.TTFT
		g.TTFTCount++
	}
	return nil
}

// all returns the sums, sorted by group.
func (s *sums) all() ([]Sum, error) {
	list := make([]Sum, 0, len(s.groups))
	for _, g := range s.groups {
		var err error
		if g.Cost, err = g.cost.usd(); err == nil {
			g.ListCost, err = g.list.usd()
		}
		if err != nil {
			return nil, fmt.Errorf("ledger: sum: %w", err)
		}
		list = append(list, g.Sum)
	}
	slices.SortFunc(list, func(a, b Sum) int { return cmp.Compare(a.Group, b.Group) })
	return list, nil
}

func addUsage(to, u *llmproxy.Usage) {
	to.PromptTokens += u.PromptTokens
	to.CompletionTokens += u.CompletionTokens
	to.CacheRead += u.CacheRead
	to.CacheReadAudio += u.CacheReadAudio
	to.CacheReadImage += u.CacheReadImage
	to.CacheWrite += u.CacheWrite
	to.CacheWrite1h += u.CacheWrite1h
	to.CacheWrite5m += u.CacheWrite5m
	to.InputAudio += u.InputAudio
	to.InputImage += u.InputImage
	to.InputVideo += u.InputVideo
	to.InputTool += u.InputTool
	to.Citation += u.Citation
	to.Reasoning += u.Reasoning
	to.OutputAudio += u.OutputAudio
	to.OutputImage += u.OutputImage
	to.AcceptedPrediction += u.AcceptedPrediction
	to.RejectedPrediction += u.RejectedPrediction
	to.WebSearches += u.WebSearches
	to.WebFetches += u.WebFetches
	to.SearchUnits += u.SearchUnits
}

// wide is a sum of amounts in 128 bits, two's complement: no count of records that fits a
// machine overflows it.
type wide struct{ hi, lo uint64 }

func (w *wide) add(u llmproxy.USD) {
	var carry uint64
	w.lo, carry = bits.Add64(w.lo, uint64(u), 0)
	w.hi, _ = bits.Add64(w.hi, uint64(int64(u)>>63), carry)
}

// usd returns the sum, or [llmproxy.ErrMoney] where one USD cannot hold it.
func (w wide) usd() (llmproxy.USD, error) {
	if w.hi != uint64(int64(w.lo)>>63) {
		return 0, llmproxy.ErrMoney
	}
	return llmproxy.USD(w.lo), nil
}
