package pricing

import (
	"fmt"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/pricing/internal/modelname"
)

// Book finds the price of an exchange. It is made once, never changes, and may be used
// by many goroutines at once. The zero value knows no price.
type Book struct {
	own      map[string]*shelf // of the operator, by provider
	families map[string]*shelf
	names    map[string]string // provider → family; nil if a provider's name is its family
	rows     []Price
}

// shelf is the models of one family.
type shelf struct {
	exact map[string]*model
	// loose are the names that models have without the date or version of their only
	// release; nil for one that several releases of different prices share.
	loose    map[string]*model
	patterns []*model // of the operator's; the most precise first
}

// model is one model's prices, each with what a lookup needs of it worked out.
type model struct {
	pattern string
	flat    bool // whatever tier, speed and region: the operator's word
	periods []period
}

type period struct {
	Price
	columns []column
}

type column struct {
	tier      string
	prompt    int64
	completes bool // states a price for the output
	info      llmproxy.CostInfo
}

// NewBook makes a book of own, the operator's list, and of list. Either may be nil.
//
// The operator's list names providers where the other names families. Its prices hold
// whatever tier, speed or region served.
func NewBook(own, list *List) (*Book, error) {
	b := &Book{own: map[string]*shelf{}, families: map[string]*shelf{}}
	if own != nil {
		if err := b.add(b.own, own, true); err != nil {
			return nil, err
		}
	}
	if list != nil {
		if err := b.add(b.families, list, false); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// For returns b for a configuration's providers: families has the family of each by the
// name it is configured under. One that is not in it, or whose family is "", has the
// operator's own prices alone.
func (b *Book) For(families map[string]string) *Book {
	c := *b
	c.names = make(map[string]string, len(families))
	for provider, family := range families {
		c.names[provider] = family
	}
	return &c
}

// add puts the models of l on shelves.
func (b *Book) add(shelves map[string]*shelf, l *List, own bool) error {
	for i := range l.Prices {
		p := l.Prices[i]
		if err := p.check(); err != nil {
			return fmt.Errorf("%s: %w", l.Source, err)
		}
		if !p.Columns[0].charges() {
			continue // nothing this program meters
		}
		if p.Source == "" {
			p.Source, p.Version = l.Source, l.Version
		}
		s := shelves[p.Family]
		if s == nil {
			s = &shelf{exact: map[string]*model{}, loose: map[string]*model{}}
			shelves[p.Family] = s
		}
		name := strings.ToLower(p.Model)
		if !own {
			name = keyOf(p.Family, p.Model)
		}
		m := s.exact[name]
		if m == nil {
			m = &model{pattern: name, flat: own}
			s.exact[name] = m
		}
		m.periods = append(m.periods, compile(p))
		b.rows = append(b.rows, p)
	}
	for family, s := range shelves {
		s.index(family, own)
	}
	return nil
}

// keyOf is the name under which a model of a list is found.
func keyOf(family, name string) string {
	return string(modelname.Trimmed(family, []byte(strings.ToLower(name))))
}

// index fills in what else models are found by: aliases, loose names, patterns. A
// model's own name stands before another's alias.
func (s *shelf) index(family string, own bool) {
	if own {
		for name, m := range s.exact {
			if strings.Contains(name, "*") {
				s.patterns = append(s.patterns, m)
				delete(s.exact, name)
			}
		}
		sortPatterns(s.patterns)
		return
	}
	models := sortedKeys(s.exact)
	for _, name := range models {
		m := s.exact[name]
		for i := range m.periods {
			for _, a := range m.periods[i].Aliases {
				if a = keyOf(family, a); s.exact[a] == nil {
					s.exact[a] = m
				}
			}
		}
	}
	for _, name := range sortedKeys(s.exact) {
		s.loosen(family, name)
	}
}

// loosen files the model called name under its loose names too.
func (s *shelf) loosen(family, name string) {
	m := s.exact[name]
	for short := []byte(name); ; {
		shorter := modelname.Reduced(family, short)
		if len(shorter) == len(short) {
			return
		}
		short = shorter
		other, taken := s.loose[string(short)]
		switch {
		case !taken:
			s.loose[string(short)] = m
		case other != nil && other != m && !other.same(m):
			s.loose[string(short)] = nil
		}
	}
}

// same reports whether m and o cost the same.
func (m *model) same(o *model) bool {
	if len(m.periods) != len(o.periods) {
		return false
	}
	for i := range m.periods {
		a, b := m.periods[i].Price, o.periods[i].Price
		a.Model, b.Model, a.Aliases, b.Aliases = "", "", nil, nil
		if a.String() != b.String() {
			return false
		}
	}
	return true
}

func compile(p Price) period {
	claude := strings.Contains(p.Model, "claude")
	c := period{Price: p}
	for i := range p.Columns {
		col := &p.Columns[i]
		_, completes := col.Pico(Output)
		info := p.call(i).info(claude)
		info.Source, info.Version = p.Source, p.Version
		c.columns = append(c.columns, column{col.Tier, col.Prompt, completes, info})
	}
	return c
}

// call returns column i with the prices by the call that only the first column states.
func (p *Price) call(i int) *Rates {
	r := p.Columns[i].Rates
	for item := range items {
		pico, stated := p.Columns[0].Pico(item)
		if _, own := r.Pico(item); stated && !own && item.ByCall() {
			r.put(item, pico)
		}
	}
	return &r
}

// Lookup returns the price of q; ok is false where no list has one. It is a
// [llmproxy.CostLookup] and allocates nothing.
//
// The operator's price comes first, its exact names before its patterns, then the
// list's. In each the model that answered is looked for before the one that was asked
// for, and a name as it is before one without its date or version.
func (b *Book) Lookup(q llmproxy.CostQuery) (c llmproxy.CostInfo, ok bool) {
	var buf [2][maxName]byte
	names := [2][]byte{}
	for i, name := range [...]string{q.Model, q.Asked} {
		names[i], _ = lowered(buf[i][:], name)
	}
	if s := b.own[q.Provider]; s != nil {
		if m := s.own(names); m != nil {
			return m.at(q)
		}
	}
	family := q.Provider
	if b.names != nil {
		family = b.names[q.Provider]
	}
	if family == "azure" && len(names[0]) > 0 {
		names[1] = nil // the name of a deployment, which may be any
	}
	for _, name := range names {
		if m, own := b.find(family, name); m != nil {
			if tier, prepaid := tierOf(family, q.ServiceTier); !own && family == "azure" && (tier != "" || prepaid) {
				return c, false // Azure's other tiers are priced by its own list alone
			}
			return m.at(q)
		}
	}
	return c, false
}

// own returns the operator's model.
func (s *shelf) own(names [2][]byte) *model {
	for _, name := range names {
		if m := s.exact[string(name)]; m != nil {
			return m
		}
	}
	for _, m := range s.patterns {
		for _, name := range names {
			if len(name) > 0 && matches(m.pattern, name) {
				return m
			}
		}
	}
	return nil
}

// find returns the model that a provider of a family calls name: as it is before without
// a date or version, and each in the family's own list before that of its kin. own says
// whose it is.
func (b *Book) find(family string, name []byte) (m *model, own bool) {
	name = modelname.Trimmed(family, name)
	for _, loose := range [...]bool{false, true} {
		if s := b.families[family]; s != nil {
			if m = s.named(family, name, loose); m != nil {
				return m, true
			}
			if rest, ok := modelname.InRegion(name); ok && family == "bedrock" {
				if m = s.named(family, rest, loose); m != nil {
					return m, true
				}
			}
		}
		for _, other := range kin(family) {
			if s := b.families[other]; s != nil {
				if m = s.named(family, name, loose); m != nil {
					return m, false
				}
			}
		}
	}
	return nil, false
}

// named returns the model called name, or called so without what [modelname.Reduced] leaves out.
func (s *shelf) named(family string, name []byte, loose bool) *model {
	known := s.exact
	if loose {
		known = s.loose
	}
	for len(name) > 0 {
		if m := known[string(name)]; m != nil {
			return m
		}
		shorter := modelname.Reduced(family, name)
		if len(shorter) == len(name) {
			break
		}
		name = shorter
	}
	return nil
}

// at returns the price of q, which is for m.
func (m *model) at(q llmproxy.CostQuery) (c llmproxy.CostInfo, ok bool) {
	p := m.period(q.Time)
	if p == nil {
		return c, false
	}
	var tier string
	var prepaid bool
	if !m.flat {
		tier, prepaid = tierOf(p.Family, q.ServiceTier)
	}
	col, factored := p.column(tier, q.PromptTokens)
	if col == nil || !col.completes && generates(q.API) {
		return c, false
	}
	c = col.info
	if m.flat {
		return c, true
	}
	if factored && !p.multiply(&c, "", tier) {
		return c, false
	}
	if q.Speed != "" && !equalFold(q.Speed, "standard") && !p.multiply(&c, "", q.Speed) {
		return llmproxy.CostInfo{}, false
	}
	p.multiply(&c, regionPrefix, q.Region)
	if prepaid {
		c = llmproxy.CostInfo{
			WebSearch: c.WebSearch, WebFetch: c.WebFetch, SearchUnit: c.SearchUnit, Request: c.Request,
			Source: c.Source, Version: c.Version,
		}
	}
	return c, true
}

// generates reports whether answers of api have a completion, which a list without a
// price for it cannot price.
func generates(api llmproxy.APIType) bool {
	switch api {
	case llmproxy.APIChatCompletions, llmproxy.APICompletions, llmproxy.APIResponses,
		llmproxy.APIMessages, llmproxy.APIConverse:
		return true
	}
	return false
}

// period returns the prices at t: of those that cover it the last in the list, so that
// the prices of certain hours stand behind those of the day.
func (m *model) period(t time.Time) *period {
	for i := len(m.periods) - 1; i >= 0; i-- {
		p := &m.periods[i]
		if !t.Before(p.From) && (p.Until.IsZero() || t.Before(p.Until)) && p.Hours.cover(t) {
			return p
		}
	}
	return nil
}

// column returns the column for a tier and a prompt, which is the standard tier's,
// factored, where the tier has none of its own.
func (p *period) column(tier string, prompt int64) (col *column, factored bool) {
	for _, want := range [...]string{tier, ""} {
		for i := range p.columns {
			c := &p.columns[i]
			if c.tier == want && c.prompt <= prompt && (col == nil || c.prompt >= col.prompt) {
				col = c
			}
		}
		if col != nil {
			return col, want != tier
		}
	}
	return nil, false
}

// multiply applies the factor called prefix+name; false if there is none.
func (p *period) multiply(c *llmproxy.CostInfo, prefix, name string) bool {
	for i := range p.Factors {
		f := &p.Factors[i]
		if rest, ok := strings.CutPrefix(f.Name, prefix); ok && equalFold(rest, name) {
			r, err := c.Multiplier.Times(f.Ratio)
			c.Multiplier = r
			return err == nil
		}
	}
	return false
}

func equalFold(a, b string) bool { return len(a) == len(b) && strings.EqualFold(a, b) }
