package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/pricing"
)

// Pricing says what exchanges cost.
type Pricing struct {
	Source   PriceSource `yaml:"source" secret:"true"`
	Refresh  Duration    `yaml:"refresh"`
	Markup   Factor      `yaml:"markup"`
	Unpriced Unpriced    `yaml:"unpriced"`
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
	markup := map[string]llmproxy.Ratio{}
	general := llmproxy.Ratio(c.Pricing.Markup)
	marked := general != (llmproxy.Ratio{})
	for _, p := range c.Providers {
		if own := llmproxy.Ratio(p.Markup); own != (llmproxy.Ratio{}) {
			markup[p.Name], marked = own, true
		}
	}
	if marked {
		b.Markup = func(r *llmproxy.Record) llmproxy.Ratio {
			if own, ok := markup[r.Provider]; ok {
				return own
			}
			return general
		}
	}
	return b
}

// Run fetches prices until ctx ends.
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
