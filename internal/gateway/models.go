package gateway

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/interceptors"
	"github.com/llmproxy/llmproxy/keys"
	"github.com/llmproxy/llmproxy/pricing"
)

// models answers requests for the list of models with what the caller may ask for: the
// operator's names, the models that the configuration names and those of the price list.
// It is a [llmproxy.ProviderDetector], so that such a request needs no provider of its own,
// and a [llmproxy.Interceptor]. What is asked of a provider by name, or on its mount, goes
// to the provider.
type models struct {
	pools     *interceptors.Pools // asked about all other requests; nil: nobody is
	config    *Config
	providers map[string]llmproxy.Provider
	keys      keys.Lookup // nil: no keys are asked for
	billing   *llmproxy.BillingCalculator
	book      func() *pricing.Book // nil: no list
	unpriced  bool                 // keys with a budget may use models without a price

	mu     sync.Mutex    // guards the following
	listed *pricing.Book // that all is made of
	all    []model
}

var (
	_ llmproxy.ProviderDetector = (*models)(nil)
	_ llmproxy.Interceptor      = (*models)(nil)
)

// model is one that can be asked for.
type model struct {
	id     string // as a client asks for it
	routes []route
	prices map[string]string // in decimal dollars, by item; nil: not known
}

// route is where a model is served.
type route struct {
	provider llmproxy.Provider
	model    string // the name there
}

// isListing reports whether an operation is for the list of models, in any dialect.
func isListing(op *llmproxy.Operation, header http.Header) bool {
	return !op.Mount && !op.JSON && op.Path == "/models" && header.Get("X-Provider") == ""
}

// DetectProvider implements [llmproxy.ProviderDetector]. A list is recorded as the
// fallback's, although nobody is called for it.
func (m *models) DetectProvider(ctx context.Context, hint llmproxy.ProviderHint) (provider, model string) {
	if isListing(&hint.Operation, hint.Header) {
		return cmp.Or(m.config.Fallback, m.config.Providers[0].Name), ""
	}
	if m.pools != nil {
		return m.pools.DetectProvider(ctx, hint)
	}
	return "", ""
}

// Intercept implements [llmproxy.Interceptor].
func (m *models) Intercept(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
	if !isListing(&x.Operation, x.Header) || x.Method != http.MethodGet && x.Method != http.MethodHead {
		return next(ctx, x)
	}
	var key *keys.Key
	if m.keys != nil && x.Caller.Key != "" {
		key, _ = m.keys.Key(x.Caller.Key)
	}
	body, err := listingOf(x).write(m.allowed(listingOf(x), key, x.Start), key)
	if err != nil {
		return nil, err
	}
	return &llmproxy.Reply{
		StatusCode: http.StatusOK,
		Header:     http.Header{"Content-Type": {"application/json"}},
		Stream:     &whole{body},
	}, nil
}

// whole is a body in one piece.
type whole struct{ body []byte }

func (w *whole) Next() ([]byte, error) {
	if len(w.body) == 0 {
		return nil, io.EOF
	}
	body := w.body
	w.body = nil
	return body, nil
}

func (w *whole) Close() error { return nil }

// allowed returns the models for clients of l that key may ask for; a nil key is anybody's.
func (m *models) allowed(l listing, key *keys.Key, at time.Time) (list []model) {
	for _, each := range m.known(at) {
		if slices.ContainsFunc(each.routes, func(r route) bool {
			return l.reaches(r.provider) && (key == nil || m.allows(key, each.id, r, at))
		}) {
			list = append(list, each)
		}
	}
	return list
}

// allows reports whether key may ask for id and have it served by r, as [keys.Access] and
// [keys.Budget] see it.
func (m *models) allows(key *keys.Key, id string, r route, at time.Time) bool {
	if len(key.Providers) > 0 && !anyMatches(key.Providers, r.provider.Name()) {
		return false
	}
	if key.Budgeted() && !m.unpriced && m.billing != nil {
		if _, priced := m.billing.Lookup(llmproxy.CostQuery{Provider: r.provider.Name(), Model: r.model, Time: at}); !priced {
			return false
		}
	}
	return len(key.Models) == 0 || anyMatches(key.Models, r.model) || anyMatches(key.Models, r.provider.Name()+"/"+r.model) ||
		!strings.HasSuffix(id, "/"+r.model) && anyMatches(key.Models, id)
}

// known returns all models, in the order of their names behind the operator's own.
func (m *models) known(at time.Time) []model {
	var book *pricing.Book
	if m.book != nil {
		book = m.book()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil || m.listed != book {
		m.all, m.listed = m.list(book, at), book
	}
	return m.all
}

func (m *models) list(book *pricing.Book, at time.Time) (all []model) {
	seen := map[string]bool{}
	add := func(id string, prices map[string]string, routes ...route) {
		if !seen[id] && len(routes) > 0 {
			seen[id] = true
			all = append(all, model{id, routes, prices})
		}
	}
	rows := m.rows(book, at)
	for _, alias := range m.config.Models {
		var routes []route
		for _, target := range alias.Targets {
			name, there, _ := strings.Cut(target, "/")
			routes = append(routes, route{m.providers[name], there})
		}
		add(alias.Name, rows[routes[0].provider.Name()][routes[0].model], routes...)
	}
	own := len(all)
	for _, p := range m.config.Providers {
		provider := m.providers[p.Name]
		for _, pattern := range p.Models {
			if !strings.Contains(pattern, "*") {
				add(m.idOf(provider, pattern), rows[p.Name][pattern], route{provider, pattern})
			}
		}
		for name, prices := range rows[p.Name] {
			add(m.idOf(provider, name), prices, route{provider, name})
		}
	}
	slices.SortFunc(all[own:], func(a, b model) int { return cmp.Compare(a.id, b.id) })
	return all
}

// rows returns the standard prices of the list, by provider and model. Patterns, which the
// operator's own are, name no model.
func (m *models) rows(book *pricing.Book, at time.Time) map[string]map[string]map[string]string {
	rows := map[string]map[string]map[string]string{}
	for _, p := range m.config.Providers {
		rows[p.Name] = map[string]map[string]string{}
	}
	if book == nil {
		return rows
	}
	for _, row := range book.Rows() {
		if strings.Contains(row.Model, "*") || len(row.Columns) == 0 || at.Before(row.From) || !row.Until.IsZero() && !at.Before(row.Until) {
			continue
		}
		for _, p := range m.config.Providers {
			if row.Family != p.Name && row.Family != pricing.Family(p.Type) || row.Family == "" || rows[p.Name][row.Model] != nil {
				continue // the first is the operator's
			}
			prices := map[string]string{}
			for item, text := range row.Columns[0].All() {
				prices[item.String()] = text
			}
			rows[p.Name][row.Model] = prices
		}
	}
	return rows
}

// idOf returns how a client asks for a model of p: by the name alone where that leads to p.
func (m *models) idOf(p llmproxy.Provider, name string) string {
	prefix, _, slash := strings.Cut(name, "/")
	switch {
	case m.pools != nil && len(m.pools.Models[name]) > 0:
	case slash && m.isPrefix(prefix) && !anyMatches(p.Routing().Native, name):
	case len(m.config.Providers) == 1, m.leads(name) == p.Name():
		return name
	}
	return p.Name() + "/" + name
}

func (m *models) isPrefix(prefix string) bool {
	for name, p := range m.providers {
		if name == prefix || slices.Contains(p.Routing().Prefixes, prefix) {
			return true
		}
	}
	return false
}

// leads returns the provider whose patterns a model leads to, "" for none: the operator's
// before those built in, the longest first.
func (m *models) leads(name string) (provider string) {
	for _, patterns := range [...]func(llmproxy.Routing) []string{
		func(r llmproxy.Routing) []string { return r.Models },
		func(r llmproxy.Routing) []string { return r.BuiltIn },
	} {
		longest := 0
		for _, p := range m.config.Providers {
			for _, pattern := range patterns(m.providers[p.Name].Routing()) {
				if len(pattern) > longest && anyMatches([]string{pattern}, name) {
					provider, longest = p.Name, len(pattern)
				}
			}
		}
		if longest > 0 {
			return provider
		}
	}
	return ""
}

// anyMatches reports whether one of patterns matches name, whatever the case.
func anyMatches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return overlap(strings.ToLower(p), literal(name)) })
}

// literal returns name as a pattern of itself: a * in it, which no model's name has, is
// none.
func literal(name string) string { return strings.ToLower(strings.ReplaceAll(name, "*", "\x00")) }
