package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/pricing"
)

// Pricing says what exchanges cost.
type Pricing struct {
	Source  PriceSource `yaml:"source" secret:"true"`
	Refresh Duration    `yaml:"refresh"`
	Markup  Factor      `yaml:"markup"`
	// ModelMarkup and KeyMarkup have other factors, by pattern of the model that answered
	// and by the id of a gateway key: the key's stands above the model's, that above the
	// provider's, and that above Markup.
	ModelMarkup map[string]Factor `yaml:"model_markup"`
	KeyMarkup   map[string]Factor `yaml:"key_markup"`
	Unpriced    Unpriced          `yaml:"unpriced"`
}

// PriceSource is where the prices of the providers come from, besides the operator's own.
type PriceSource string

const (
	pricesEmbedded  PriceSource = "embedded"
	pricesModelsDev PriceSource = "models.dev"
)

// UnmarshalText accepts embedded, models.dev, an address and a file.
func (s *PriceSource) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return errors.New("is no source of prices: write embedded, models.dev, or the file or URL of a list like that of models.dev")
	}
	*s = PriceSource(text)
	return nil
}

// from is the file or address of the list that is laid over the embedded one; "" for none.
func (s PriceSource) from() string {
	switch s {
	case pricesEmbedded:
		return ""
	case pricesModelsDev:
		return pricing.ModelsDevURL
	}
	return string(s)
}

// relativeTo makes a file's path relative to dir.
func (s PriceSource) relativeTo(join func(string) string) PriceSource {
	if s == "" || s == pricesEmbedded || s == pricesModelsDev || strings.Contains(string(s), "://") {
		return s
	}
	return PriceSource(join(string(s)))
}

// Factor is an exact factor, from a decimal number.
type Factor llmproxy.Ratio

// UnmarshalText reads "1.1".
func (f *Factor) UnmarshalText(text []byte) error {
	r, err := llmproxy.ParseRatio(string(text))
	if err != nil {
		return errors.New("is no factor: write a decimal number such as 1.1")
	}
	*f = Factor(r)
	return nil
}

// Unpriced is what becomes of models whose price is not known.
type Unpriced string

const (
	unpricedDeny  Unpriced = "deny_with_budget"
	unpricedAllow Unpriced = "allow"
)

// UnmarshalText accepts deny_with_budget and allow.
func (u *Unpriced) UnmarshalText(text []byte) error {
	return oneOf((*string)(u), text, string(unpricedDeny), string(unpricedAllow))
}

// prices returns what c's exchanges cost: a refresher whose book is that of the embedded
// list and of the operator's own prices until it runs.
func (c *Config) prices(logger *slog.Logger) (*pricing.Refresher, error) {
	own := map[string]map[string]map[string]string{}
	families := map[string]string{}
	for _, p := range c.Providers {
		families[p.Name] = pricing.Family(p.Type)
		if len(p.Prices) > 0 {
			own[p.Name] = p.Prices
		}
	}
	list, err := pricing.Own(own)
	if err != nil {
		return nil, err
	}
	return pricing.NewRefresher(pricing.RefresherConfig{
		From: c.Pricing.Source.from(), Every: time.Duration(c.Pricing.Refresh), Own: list, Families: families,
		Refreshed: func(version string, err error) {
			if err != nil {
				logger.Warn("prices could not be refreshed: those known before stay", "version", version, "error", err)
				return
			}
			logger.Info("prices are new", "version", version)
		},
	})
}

// billing returns the calculator of c's exchanges.
func (c *Config) billing(prices *pricing.Refresher) *llmproxy.BillingCalculator {
	b := &llmproxy.BillingCalculator{Lookup: prices.Lookup}
	m := markups{general: llmproxy.Ratio(c.Pricing.Markup), keys: c.Pricing.KeyMarkup, providers: map[string]llmproxy.Ratio{}}
	for pattern, factor := range c.Pricing.ModelMarkup {
		m.models = append(m.models, modelMarkup{strings.ToLower(pattern), llmproxy.Ratio(factor)})
	}
	// The longest pattern first: the most precise counts.
	slices.SortFunc(m.models, func(a, b modelMarkup) int {
		return cmp.Or(cmp.Compare(len(b.pattern), len(a.pattern)), cmp.Compare(a.pattern, b.pattern))
	})
	for _, p := range c.Providers {
		if own := llmproxy.Ratio(p.Markup); own != (llmproxy.Ratio{}) {
			m.providers[p.Name] = own
		}
	}
	if m.general != (llmproxy.Ratio{}) || len(m.providers)+len(m.models)+len(m.keys) > 0 {
		b.Markup = m.of
	}
	return b
}

// markups are the factors between what providers charge and what is charged on.
type markups struct {
	general   llmproxy.Ratio
	providers map[string]llmproxy.Ratio
	models    []modelMarkup
	keys      map[string]Factor
}

type modelMarkup struct {
	pattern string // in lower case; * stands for any characters
	factor  llmproxy.Ratio
}

// of returns the factor for r.
func (m *markups) of(r *llmproxy.Record) llmproxy.Ratio {
	if factor, ok := m.keys[r.Key]; ok && r.Key != "" {
		return llmproxy.Ratio(factor)
	}
	if len(m.models) > 0 {
		model := strings.ToLower(r.Model)
		for _, own := range m.models {
			if ok, _ := path.Match(strings.ReplaceAll(own.pattern, "/", "\x00"), strings.ReplaceAll(model, "/", "\x00")); ok {
				return own.factor
			}
		}
	}
	if own, ok := m.providers[r.Provider]; ok {
		return own
	}
	return m.general
}

// runPrices fetches prices until ctx ends.
func runPrices(ctx context.Context, prices *pricing.Refresher, logger *slog.Logger) {
	if err := prices.Run(ctx); err != nil && ctx.Err() == nil {
		logger.Error("prices are not refreshed any more", "error", err)
	}
}

// validatePrices notes what is wrong with the operator's own prices.
func (c *Config) validatePrices(d *decoder, p *ProviderConfig) {
	for pattern, row := range p.Prices {
		at := fmt.Sprintf("providers.%s.prices.%s", p.Name, pattern)
		if _, err := pricing.ParseRates(row); err != nil && !d.faultyBelow(at) {
			d.fault(at, d.keys[at], "%s: %v", at, err)
		}
	}
}
