package main

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/pricing"
)

// decisions are what neither list says, and which list is right where they differ.
type decisions struct {
	take    map[string]*choice // by family and model, and by family alone
	lines   []*decision
	replace map[string][]*decision // whole prices, by family and model
}

type choice struct {
	second bool // the second list, models.dev's
	reason string
	line   int
	used   int
}

type decision struct {
	kind, family string
	words        []string
	price        pricing.Price // of a price
	ratio        llmproxy.Ratio
	reason       string
	line         int
	used         int
}

// parseDecisions reads decisions.txt. A line is a decision, and behind -- its reason,
// which none may lack.
func parseDecisions(text string) (*decisions, error) {
	d := &decisions{take: map[string]*choice{}, replace: map[string][]*decision{}}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		what, reason, ok := strings.Cut(line, " -- ")
		words := strings.Fields(what)
		if !ok || strings.TrimSpace(reason) == "" || len(words) < 3 {
			return nil, fmt.Errorf("line %d: want a kind, a family, what is decided and, behind --, a reason", n)
		}
		if err := d.add(words, what, strings.TrimSpace(reason), n); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	return d, nil
}

func (d *decisions) add(words []string, what, reason string, line int) error {
	e := &decision{kind: words[0], family: words[1], words: words[2:], reason: reason, line: line}
	switch e.kind {
	case "take", "prefer":
		list := words[len(words)-1]
		if list != "genai" && list != "models" {
			return fmt.Errorf("%q is no list: want genai or models", list)
		}
		for _, model := range append(words[2:len(words)-1], map[bool][]string{true: {""}}[e.kind == "prefer"]...) {
			d.take[e.family+" "+model] = &choice{second: list == "models", reason: reason, line: line}
		}
		return nil
	case "price":
		_, text, _ := strings.Cut(what, e.family+" ")
		l, err := pricing.ParseList("[" + e.family + "]\n" + text)
		if err != nil {
			return err
		}
		e.price = l.Prices[0]
		key := e.family + " " + e.price.Model
		d.replace[key] = append(d.replace[key], e)
		return nil
	case "factor":
		num, den, _ := strings.Cut(e.words[1], "/")
		a, errA := strconv.ParseInt(num, 10, 32)
		b, errB := strconv.ParseInt(den, 10, 32)
		if errA != nil || errB != nil || len(e.words) < 3 {
			return fmt.Errorf("want a name, a fraction and patterns of models")
		}
		e.ratio = llmproxy.Ratio{Num: a, Den: b}
	case "drop", "alias", "unalias", "set":
	default:
		return fmt.Errorf("%q is no kind of decision", e.kind)
	}
	d.lines = append(d.lines, e)
	return nil
}

// choice returns what is decided where the lists differ on a model; nil if nothing is.
func (d *decisions) choice(family, model string) *choice {
	for _, key := range []string{family + " " + model, family + " "} {
		if c := d.take[key]; c != nil {
			c.used++
			return c
		}
	}
	return nil
}

// used reports decisions that nothing has needed.
func (d *decisions) used() error {
	for key, c := range d.take {
		if c.used == 0 {
			return fmt.Errorf("decisions.txt: line %d: the lists do not differ on %s", c.line, key)
		}
	}
	for _, e := range d.lines {
		if e.used == 0 {
			return fmt.Errorf("decisions.txt: line %d: no model is meant by %s", e.line, strings.Join(e.words, " "))
		}
	}
	return nil
}

// unalias takes names from models of the first list, before they are compared.
func (d *decisions) unalias(family string, prices []pricing.Price) {
	for _, e := range d.lines {
		for i := range prices {
			p := &prices[i]
			if e.kind != "unalias" || e.family != family || p.Model != e.words[0] {
				continue
			}
			e.used++
			p.Aliases = slices.DeleteFunc(p.Aliases, func(a string) bool { return slices.Contains(e.words[1:], a) })
		}
	}
}

// apply makes the decisions that are not about a difference on the prices of a family.
func (d *decisions) apply(family string, prices []pricing.Price) ([]pricing.Price, error) {
	var kept []pricing.Price
	for _, p := range prices {
		if d.replace[family+" "+p.Model] == nil {
			kept = append(kept, p)
		}
	}
	for _, entries := range d.replace {
		for _, e := range entries {
			if e.family == family {
				kept = append(kept, e.price)
			}
		}
	}
	for _, e := range d.lines {
		if e.family != family || e.kind == "unalias" {
			continue
		}
		var next []pricing.Price
		for _, p := range kept {
			drop, err := e.on(&p)
			if err != nil {
				return nil, fmt.Errorf("decisions.txt: line %d: %w", e.line, err)
			}
			if !drop {
				next = append(next, p)
			}
		}
		kept = next
	}
	return kept, nil
}

// on makes decision e on p, and reports whether p is to be dropped.
func (e *decision) on(p *pricing.Price) (drop bool, err error) {
	if e.kind == "factor" {
		for _, pattern := range e.words[2:] {
			if ok, err := path.Match(pattern, strings.ReplaceAll(p.Model, "/", "|")); err != nil {
				return false, err
			} else if !ok {
				continue
			}
			for _, f := range p.Factors {
				if f.Name == e.words[0] {
					return false, nil // an earlier line is more particular
				}
			}
			e.used++
			p.Factors = append(p.Factors, pricing.Factor{Name: e.words[0], Ratio: e.ratio})
			return false, nil
		}
		return false, nil
	}
	if ok, err := path.Match(e.words[0], strings.ReplaceAll(p.Model, "/", "|")); err != nil || !ok {
		return false, err
	}
	e.used++
	switch e.kind {
	case "drop":
		return true, nil
	case "alias":
		for _, name := range e.words[1:] {
			if !slices.Contains(p.Aliases, name) {
				p.Aliases = append(slices.Clone(p.Aliases), name)
			}
		}
	case "set":
		l, err := pricing.ParseList("[x]\nx " + strings.Join(e.words[1:], " "))
		if err != nil {
			return false, err
		}
		for item, text := range l.Prices[0].Columns[0].All() {
			if err := p.Columns[0].Set(item, text); err != nil {
				return false, err
			}
		}
	}
	return false, nil
}
