package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy/pricing"
	"github.com/llmproxy/llmproxy/pricing/internal/modelname"
)

// merger makes one list out of two.
type merger struct {
	at      time.Time
	decided *decisions
	log     io.Writer

	both, first, second, filled, differ, undecided int
}

func (m *merger) counts() []string {
	return []string{
		fmt.Sprintf("Models in both lists: %d, of which the lists differ on %d; in the first alone: %d; in the second alone: %d.",
			m.both, m.differ, m.first, m.second),
	}
}

func (m *merger) merge(a, b *list) *pricing.List {
	out := &pricing.List{}
	families := map[string]bool{}
	for _, l := range []*list{a, b} {
		for family := range l.prices {
			families[family] = true
		}
	}
	for _, family := range slices.Sorted(maps.Keys(families)) {
		second := b.prices[family]
		switch family {
		case "bedrock":
			second = regional(second)
		case "vertexai":
			// What a reseller charges as the maker does is found there, with all that is
			// known of it.
			second = without(second, b.prices["googleai"])
			a.prices[family] = without(a.prices[family], a.prices["anthropic"])
		}
		m.decided.unalias(family, a.prices[family])
		prices := m.family(family, a.prices[family], second)
		prices, err := m.decided.apply(family, prices)
		if err != nil {
			fmt.Fprintln(m.log, err)
			m.undecided++
		}
		out.Prices = append(out.Prices, prices...)
	}
	return out
}

// key is the name by which the two lists' models are the same.
func key(model string) string {
	return string(modelname.Trimmed("fireworks", []byte(strings.ToLower(model))))
}

// family merges the prices of one.
func (m *merger) family(family string, a, b []pricing.Price) []pricing.Price {
	index := map[string]string{} // names → models of a
	current := map[string]int{}  // models of a → the price of today
	for i := range a {
		p := &a[i]
		for _, alias := range p.Aliases {
			if _, taken := index[key(alias)]; !taken {
				index[key(alias)] = p.Model
			}
		}
	}
	for i := range a {
		p := &a[i]
		index[key(p.Model)] = p.Model
		if short := string(modelname.Reduced(family, []byte(key(p.Model)))); index[short] == "" {
			index[short] = p.Model
		}
		if p.Hours == (pricing.Hours{}) && !m.at.Before(p.From) && (p.Until.IsZero() || m.at.Before(p.Until)) {
			current[p.Model] = i
		}
	}
	seen := map[string]bool{}
	out := slices.Clone(a)
	for i := range b {
		q := &b[i]
		model, known := lookup(index, family, q.Model)
		if !known {
			m.second++
			q.Model = key(q.Model)
			out = append(out, *q)
			continue
		}
		at, ok := current[model]
		if !ok {
			continue // dated, and not of today
		}
		if !seen[model] {
			seen[model] = true
			m.both++
		}
		m.compare(&out[at], q)
	}
	models := map[string]bool{}
	for i := range a {
		models[a[i].Model] = true
	}
	m.first += len(models) - len(seen)
	return out
}

// compare holds p of the first list against q of the second, and puts into p what is
// decided, and what only q states.
func (m *merger) compare(p, q *pricing.Price) {
	differences := differ(p, q)
	if len(differences) > 0 {
		m.differ++
		c := m.decided.choice(p.Family, p.Model)
		verdict := "NOT DECIDED"
		switch {
		case c == nil:
			m.undecided++
		case c.second:
			verdict = "models: " + c.reason
			replace(p, q)
		default:
			verdict = "genai: " + c.reason
		}
		fmt.Fprintf(m.log, "%s %s (%s): %s: %s\n", p.Family, p.Model, q.Model, strings.Join(differences, "; "), verdict)
		return
	}
	for i := range p.Columns {
		for _, item := range compared() {
			_, has := p.Columns[i].Pico(item)
			if text := stated(&q.Columns[i].Rates, item); text != "" && !has {
				m.filled++
				must(p.Columns[i].Set(item, text))
			}
		}
	}
}

// lookup returns the model of the first list that name means, with its date or without:
// that list gives a rule where the second gives every release a line.
func lookup(index map[string]string, family, name string) (model string, known bool) {
	for short := []byte(key(name)); ; {
		if model, known = index[string(short)]; known {
			return model, true
		}
		shorter := modelname.Reduced(family, short)
		if len(shorter) == len(short) || bytes.HasSuffix(short, []byte("-latest")) {
			return "", false // or a name that moves
		}
		short = shorter
	}
}

// compared are the items that both lists know.
func compared() []pricing.Item {
	return []pricing.Item{pricing.Input, pricing.Output, pricing.CacheRead, pricing.CacheWrite}
}

func stated(r *pricing.Rates, item pricing.Item) string {
	for i, text := range r.All() {
		if i == item {
			return text
		}
	}
	return ""
}

// differ returns what p and q contradict each other in.
func differ(p, q *pricing.Price) (differences []string) {
	if len(p.Columns) != len(q.Columns) {
		return []string{fmt.Sprintf("%d sizes of prompts, or %d", len(p.Columns), len(q.Columns))}
	}
	for i := range p.Columns {
		if p.Columns[i].Prompt != q.Columns[i].Prompt {
			differences = append(differences, fmt.Sprintf("from %d tokens, or %d", p.Columns[i].Prompt, q.Columns[i].Prompt))
		}
		for _, item := range compared() {
			x, y := stated(&p.Columns[i].Rates, item), stated(&q.Columns[i].Rates, item)
			// Some write down that a write costs what any input does; others do not.
			if x != "" && y != "" && x != y {
				differences = append(differences, fmt.Sprintf("%s %s, or %s", item, x, y))
			}
		}
	}
	return differences
}

// replace gives p the columns of q, and keeps what q cannot state. What hangs on the
// old price of the input goes: it is worked out from the new one.
func replace(p, q *pricing.Price) {
	old := p.Columns[0].Rates
	p.Columns = slices.Clone(q.Columns)
	inputSame := stated(&old, pricing.Input) == stated(&q.Columns[0].Rates, pricing.Input)
	for item, text := range old.All() {
		if slices.Contains(compared(), item) || item == pricing.CacheWrite1h && !inputSame {
			continue
		}
		must(p.Columns[0].Set(item, text))
	}
}

// regional makes one price of the profiles of Bedrock's second list that keep a request
// in a part of the world, where they are the same, and gives it to the bare name: that
// too is served in one region. The list has the global figure there.
func regional(prices []pricing.Price) (out []pricing.Price) {
	figures := map[string]map[string]bool{}
	of := func(p pricing.Price) string {
		p.Model = ""
		return p.String()
	}
	profile := func(model string) (string, bool) {
		prefix, rest, ok := strings.Cut(model, ".")
		return rest, ok && slices.Contains([]string{"us", "eu", "apac", "jp", "au", "ca", "in"}, prefix)
	}
	for _, p := range prices {
		if rest, ok := profile(p.Model); ok {
			if figures[rest] == nil {
				figures[rest] = map[string]bool{}
			}
			figures[rest][of(p)] = true
		}
	}
	done := map[string]bool{}
	for _, p := range prices {
		rest, isProfile := profile(p.Model)
		switch {
		case isProfile && len(figures[rest]) == 1:
			if done[rest] {
				continue
			}
			done[rest] = true
			p.Model = rest
			out = append(out, p)
		case !isProfile && len(figures[p.Model]) == 1:
			// its profiles stand for it
		default:
			out = append(out, p)
		}
	}
	return out
}

// without returns prices less those that others has with the same figures.
func without(prices, others []pricing.Price) (out []pricing.Price) {
	for _, p := range prices {
		same := slices.ContainsFunc(others, func(o pricing.Price) bool {
			return names(&o, p.Model) && stated(&o.Columns[0].Rates, pricing.Input) == stated(&p.Columns[0].Rates, pricing.Input) &&
				stated(&o.Columns[0].Rates, pricing.Output) == stated(&p.Columns[0].Rates, pricing.Output)
		})
		if !same {
			out = append(out, p)
		}
	}
	return out
}

func names(p *pricing.Price, model string) bool {
	return strings.EqualFold(p.Model, model) || slices.ContainsFunc(p.Aliases, func(a string) bool { return strings.EqualFold(a, model) })
}

// must is for figures that have been read before.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
