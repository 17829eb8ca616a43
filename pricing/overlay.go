package pricing

import (
	"bytes"
	"slices"
	"time"

	"github.com/llmproxy/llmproxy/pricing/internal/modelname"
)

// Overlay returns base with the prices of over, where they differ from what base has at
// the time at: a change that base does not know yet. Both stay as they are.
//
// A list such as models.dev has no tiers of service, no prices by the call, no regions
// and no hours. What base knows of these stays, and a price on which the lists agree is
// base's. A price of base that ends before at, or begins after it, stays too.
func Overlay(base, over *List, at time.Time) *List {
	out := &List{Source: over.Source, Version: over.Version, Notes: base.Notes}
	out.Prices = slices.Clone(base.Prices)
	for i := range out.Prices {
		if p := &out.Prices[i]; p.Source == "" {
			p.Source, p.Version = base.Source, base.Version
		}
	}
	names := map[string]string{} // family and name → model of base
	for i := range base.Prices {
		for _, a := range base.Prices[i].Aliases {
			names[base.Prices[i].Family+" "+keyOf(base.Prices[i].Family, a)] = base.Prices[i].Model
		}
	}
	for i := range base.Prices {
		names[base.Prices[i].Family+" "+keyOf(base.Prices[i].Family, base.Prices[i].Model)] = base.Prices[i].Model
	}
	for i := range over.Prices {
		o := over.Prices[i]
		o.Source, o.Version = over.Source, over.Version
		model, exact := known(names, o.Family, keyOf(o.Family, o.Model))
		current := out.current(o.Family, model, at)
		switch {
		case len(current) == 0:
			out.Prices = append(out.Prices, o)
		case slices.ContainsFunc(current, func(j int) bool { return agree(&out.Prices[j], &o) }):
		case !exact:
			// A release that is no longer priced as its model.
			o.keep(&out.Prices[current[0]])
			out.Prices = append(out.Prices, o)
		default:
			p := out.Prices[current[0]]
			o.keep(&p)
			o.Model, o.Aliases, o.From, o.Until = p.Model, p.Aliases, p.From, p.Until
			out.Prices[current[0]] = o
			for _, j := range slices.Backward(current[1:]) {
				out.Prices = slices.Delete(out.Prices, j, j+1)
			}
		}
	}
	return out
}

// known returns the model of base that a name means: exactly, or without its date.
func known(names map[string]string, family, name string) (model string, exact bool) {
	short := []byte(name)
	for {
		if model = names[family+" "+string(short)]; model != "" {
			return model, len(short) == len(name)
		}
		shorter := modelname.Reduced(family, short)
		if len(shorter) == len(short) || bytes.HasSuffix(short, []byte("-latest")) {
			return "", false
		}
		short = shorter
	}
}

// current returns which prices of l are those of a model at a time, at whatever hour.
func (l *List) current(family, model string, at time.Time) (found []int) {
	if model == "" {
		return nil
	}
	for i := range l.Prices {
		p := &l.Prices[i]
		if p.Family == family && p.Model == model && !at.Before(p.From) && (p.Until.IsZero() || at.Before(p.Until)) {
			found = append(found, i)
		}
	}
	return found
}

// agree reports whether p and o say the same, as far as both say anything.
func agree(p, o *Price) bool {
	sizes := 0
	for i := range p.Columns {
		c := &p.Columns[i]
		if c.Tier != "" {
			continue
		}
		sizes++
		j := slices.IndexFunc(o.Columns, func(x Column) bool { return x.Tier == "" && x.Prompt == c.Prompt })
		if j < 0 {
			return false
		}
		for item := range items {
			a, inP := c.Pico(item)
			b, inO := o.Columns[j].Pico(item)
			if inP && inO && a != b {
				return false
			}
		}
	}
	return sizes == len(o.Columns)
}

// keep gives o, of a list that knows less, what p has besides: factors, the prices by
// the call, and those of other modalities where text costs the same.
func (o *Price) keep(p *Price) {
	o.Factors = p.Factors
	o.Columns = slices.Clone(o.Columns)
	old, fresh := &p.Columns[0].Rates, &o.Columns[0].Rates
	same := func(item Item) bool {
		a, _ := old.Pico(item)
		b, _ := fresh.Pico(item)
		return a == b
	}
	for item := range items {
		pico, stated := old.Pico(item)
		if _, has := fresh.Pico(item); !stated || has {
			continue
		}
		if item.ByCall() || same(Input) && same(Output) {
			fresh.put(item, pico)
		}
	}
}
