package pricing

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy"
)

// Price is what one model costs during one period. One model has a Price for each
// period, which do not overlap unless they are of different hours.
type Price struct {
	Family  string   // whose price it is: "openai", "bedrock" …; of the operator's, the provider
	Model   string   // as the provider names it; of the operator's, a pattern in which * is anything
	Aliases []string // further names of the same model

	From, Until time.Time // of the request; Until is the first moment after. Zero is open
	Hours       Hours     // of the day, if the price is not that of all hours

	Columns []Column // the first is that of the standard tier for every prompt
	Factors []Factor

	Source, Version string // of the list it is from; "" where it is in that list
}

// Column is the prices for one service tier and for prompts from a size on. They apply
// to the whole request, not to what goes beyond the size.
type Column struct {
	Tier   string // "flex", "priority", "batch", "fast"; "" is the standard tier
	Prompt int64  // smallest prompt, in tokens, cached parts included
	Rates
}

// Factor is what the standard column's token prices are multiplied by, for a tier or a
// speed ("flex", "fast") or a region ("region:us").
type Factor struct {
	Name  string
	Ratio llmproxy.Ratio
}

// Hours is a part of each day in UTC, from minute From to before minute Until; Weekdays
// leaves Saturday and Sunday out. The zero value is the whole day.
type Hours struct {
	From, Until int
	Weekdays    bool
}

// cover reports whether t falls into h.
func (h Hours) cover(t time.Time) bool {
	if h == (Hours{}) {
		return true
	}
	t = t.UTC()
	if day := t.Weekday(); h.Weekdays && (day == time.Saturday || day == time.Sunday) {
		return false
	}
	minute := t.Hour()*60 + t.Minute()
	if h.From <= h.Until {
		return h.From <= minute && minute < h.Until
	}
	return minute >= h.From || minute < h.Until
}

const (
	regionPrefix = "region:"
	weekdays     = "weekdays/" // before the hours
)

// String returns p as a line of a list: see [ParseList].
func (p *Price) String() string {
	var b strings.Builder
	b.WriteString(p.Model)
	for _, a := range p.Aliases {
		b.WriteString(" alias=" + a)
	}
	if !p.From.IsZero() {
		b.WriteString(" from=" + p.From.Format(time.DateOnly))
	}
	if !p.Until.IsZero() {
		b.WriteString(" until=" + p.Until.Format(time.DateOnly))
	}
	if p.Hours != (Hours{}) {
		b.WriteString(" hours=")
		if p.Hours.Weekdays {
			b.WriteString(weekdays)
		}
		b.WriteString(clock(p.Hours.From) + "-" + clock(p.Hours.Until))
	}
	for i := range p.Columns {
		c := &p.Columns[i]
		switch {
		case c.Tier != "":
			fmt.Fprintf(&b, " @%s>=%d", c.Tier, c.Prompt)
		case i > 0:
			fmt.Fprintf(&b, " @>=%d", c.Prompt)
		}
		for item, text := range c.All() {
			b.WriteString(" " + item.String() + "=" + text)
		}
	}
	for _, f := range p.Factors {
		fmt.Fprintf(&b, " *%s=%d/%d", f.Name, f.Ratio.Num, f.Ratio.Den)
	}
	return b.String()
}

func clock(minute int) string { return fmt.Sprintf("%02d:%02d", minute/60, minute%60) }

// parsePrice reads a line of a list.
func parsePrice(family, line string) (Price, error) {
	words := strings.Fields(line)
	if len(words) == 0 {
		return Price{}, errors.New("a line without a model")
	}
	p := Price{Family: family, Model: words[0], Columns: []Column{{}}}
	for _, w := range words[1:] {
		if err := p.word(w); err != nil {
			return Price{}, fmt.Errorf("%s: %w", p.Model, err)
		}
	}
	return p, p.check()
}

// word reads one word of a line behind the model.
func (p *Price) word(w string) (err error) {
	if rest, isColumn := strings.CutPrefix(w, "@"); isColumn {
		tier, size, ok := strings.Cut(rest, ">=")
		n, err := strconv.ParseInt(size, 10, 64)
		if !ok || err != nil || n < 0 {
			return fmt.Errorf("%q: want @tier>=tokens", w)
		}
		p.Columns = append(p.Columns, Column{Tier: tier, Prompt: n})
		return nil
	}
	name, value, ok := strings.Cut(w, "=")
	if !ok || value == "" {
		return fmt.Errorf("%q: want name=value", w)
	}
	if factor, isFactor := strings.CutPrefix(name, "*"); isFactor {
		r, err := parseFraction(value)
		p.Factors = append(p.Factors, Factor{factor, r})
		return err
	}
	switch name {
	case "alias":
		p.Aliases = append(p.Aliases, value)
	case "from":
		p.From, err = time.Parse(time.DateOnly, value)
	case "until":
		p.Until, err = time.Parse(time.DateOnly, value)
	case "hours":
		p.Hours, err = parseHours(value)
	default:
		item, known := parseItem(name)
		if !known {
			return fmt.Errorf("%q is none of %s", name, itemNames())
		}
		last := &p.Columns[len(p.Columns)-1].Rates
		if _, twice := last.Pico(item); twice {
			return fmt.Errorf("%s is stated twice", item)
		}
		err = last.Set(item, value)
	}
	return err
}

// parseFraction reads "11/10" in lowest terms.
func parseFraction(text string) (llmproxy.Ratio, error) {
	num, den, _ := strings.Cut(text, "/")
	a, errA := strconv.ParseInt(num, 10, 32)
	b, errB := strconv.ParseInt(den, 10, 32)
	if errA != nil || errB != nil || a <= 0 || b <= 0 {
		return llmproxy.Ratio{}, fmt.Errorf("%q: want a fraction such as 11/10", text)
	}
	return llmproxy.Ratio{Num: a, Den: b}, nil
}

func parseHours(text string) (Hours, error) {
	hours, onWeekdays := strings.CutPrefix(text, weekdays)
	from, until, ok := strings.Cut(hours, "-")
	a, errA := time.Parse("15:04", from)
	b, errB := time.Parse("15:04", until)
	h := Hours{a.Hour()*60 + a.Minute(), b.Hour()*60 + b.Minute(), onWeekdays}
	if !ok || errA != nil || errB != nil || h.From == h.Until {
		return Hours{}, fmt.Errorf("%q: want hours such as 00:30-16:30", text)
	}
	return h, nil
}

// check reports what keeps p from being a price.
func (p *Price) check() error {
	if !p.From.IsZero() && !p.Until.IsZero() && !p.From.Before(p.Until) {
		return fmt.Errorf("%s: until is not after from", p.Model)
	}
	for i := range p.Columns {
		c := &p.Columns[i]
		if c.stated == 0 {
			return fmt.Errorf("%s: a column without a price", p.Model)
		}
		for j := range i {
			if p.Columns[j].Tier == c.Tier && p.Columns[j].Prompt == c.Prompt {
				return fmt.Errorf("%s: two columns for the same tier and prompt", p.Model)
			}
		}
	}
	return nil
}

// charges reports whether p is enough to charge an exchange by: a price for its input,
// or one of the calls it is charged by.
func (r *Rates) charges() bool {
	for _, i := range []Item{Input, SearchUnit, Request} {
		if _, ok := r.Pico(i); ok {
			return true
		}
	}
	return false
}
