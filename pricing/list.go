package pricing

import (
	_ "embed"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
)

// List is the prices of one source.
type List struct {
	Source  string // "embedded", "models.dev", "config"
	Version string // names these very figures; stays on every record that is priced by them
	Notes   []string
	Prices  []Price
}

//go:embed prices.txt
var embedded string

// Embedded returns the list that is part of the program. The caller owns it.
func Embedded() (*List, error) {
	l, err := ParseList(embedded)
	if err != nil {
		return nil, fmt.Errorf("embedded prices: %w", err)
	}
	return l, nil
}

// ParseList reads a list in its own format, which is lines of text:
//
//	# a note
//	source embedded
//	version 2026-11-25
//
//	[openai]
//	gpt-5.4 alias=gpt-5.4-2026-03-05 input=2.5 output=15 @>=272001 input=5 output=22.5 *flex=1/2
//
// A section names a family, a line of it a model and one period of its prices: dollars
// per million tokens, or per call. What follows @tier>=tokens is another column; what
// begins with * is a factor. Errors name the line.
func ParseList(text string) (*List, error) {
	l := &List{}
	family := ""
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		word, rest, _ := strings.Cut(line, " ")
		var err error
		switch {
		case line == "":
		case strings.HasPrefix(line, "#"):
			l.Notes = append(l.Notes, strings.TrimSpace(line[1:]))
		case strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]"):
			family = line[1 : len(line)-1]
		case family == "" && word == "source":
			l.Source = strings.TrimSpace(rest)
		case family == "" && word == "version":
			l.Version = strings.TrimSpace(rest)
		case family == "":
			err = fmt.Errorf("%q belongs to no family", line)
		default:
			var p Price
			if p, err = parsePrice(family, line); err == nil {
				l.Prices = append(l.Prices, p)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	return l, nil
}

// Text returns l in the format of [ParseList], families and models in order.
func (l *List) Text() string {
	var b strings.Builder
	for _, note := range l.Notes {
		b.WriteString(strings.TrimSpace("# "+note) + "\n")
	}
	fmt.Fprintf(&b, "source %s\nversion %s\n", l.Source, l.Version)
	b.WriteString(l.body())
	return b.String()
}

// body returns the sections of the list.
func (l *List) body() string {
	prices := slices.Clone(l.Prices)
	slices.SortStableFunc(prices, func(a, b Price) int {
		if c := strings.Compare(a.Family, b.Family); c != 0 {
			return c
		}
		return strings.Compare(a.Model, b.Model)
	})
	var b strings.Builder
	family := ""
	for i := range prices {
		if p := &prices[i]; p.Family != family {
			family = p.Family
			b.WriteString("\n[" + family + "]\n")
		}
		b.WriteString(prices[i].String() + "\n")
	}
	return b.String()
}

// Fingerprint returns eight hexadecimal digits that change with the prices of l.
func (l *List) Fingerprint() string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(l.body())) // a hash does not fail
	return fmt.Sprintf("%08x", uint32(h.Sum64()^h.Sum64()>>32))
}
