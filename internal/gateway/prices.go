package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/pricing"
)

// Prices is a question for what would be charged.
type Prices struct {
	Source   Source
	Models   []string // none: all that have a price
	Provider string   // "": all
	JSON     bool
	Stdout   io.Writer
}

// priceJSON is the price of one model, in decimal dollars per million tokens, or per call.
type priceJSON struct {
	Provider string            `json:"provider"`
	Model    string            `json:"model"`
	Rates    map[string]string `json:"rates"`
	Source   string            `json:"source"`
	Version  string            `json:"version"`
}

// ErrNoPrice means that a model that was asked for has no price.
var ErrNoPrice = errors.New("no price is known")

// Run writes the prices.
func (p Prices) Run(ctx context.Context) error {
	c, err := p.Source.LoadAny()
	if err != nil {
		return err
	}
	prices, err := c.prices(slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if c.Pricing.Source.from() != "" {
		if _, err := prices.Refresh(ctx); err != nil {
			return fmt.Errorf("the prices: %w", err)
		}
	}
	rows, missing := p.rows(c, prices)
	if p.JSON {
		e := json.NewEncoder(p.Stdout)
		e.SetIndent("", "  ")
		err = e.Encode(rows)
	} else {
		err = writePrices(p.Stdout, rows)
	}
	if err == nil && len(missing) > 0 {
		return fmt.Errorf("%w: %s", ErrNoPrice, strings.Join(missing, ", "))
	}
	return err
}

// rows returns the prices that were asked for, and the models that have none.
func (p Prices) rows(c *Config, prices *pricing.Refresher) (rows []priceJSON, missing []string) {
	rows = []priceJSON{}
	if len(p.Models) == 0 {
		for _, row := range prices.Book().Rows() {
			if p.Provider != "" && row.Family != p.Provider && pricing.Family(c.typeOf(p.Provider)) != row.Family {
				continue
			}
			if len(row.Columns) == 0 {
				continue
			}
			j := priceJSON{Provider: row.Family, Model: row.Model, Rates: map[string]string{}, Source: row.Source, Version: row.Version}
			for item, text := range row.Columns[0].All() {
				j.Rates[item.String()] = text
			}
			rows = append(rows, j)
		}
		return rows, nil
	}
	for _, model := range p.Models {
		found := false
		for _, provider := range p.providers(c) {
			info, ok := prices.Lookup(llmproxy.CostQuery{Provider: provider, Model: model, Time: time.Now()})
			if !ok {
				continue
			}
			found = true
			rows = append(rows, priceJSON{Provider: provider, Model: model, Rates: ratesOf(&info), Source: info.Source, Version: info.Version})
		}
		if !found {
			missing = append(missing, model)
		}
	}
	return rows, missing
}

// typeOf returns the type of the provider with that name.
func (c *Config) typeOf(name string) string {
	for _, p := range c.Providers {
		if p.Name == name {
			return p.Type
		}
	}
	return name
}

// providers returns those to look in.
func (p Prices) providers(c *Config) []string {
	if p.Provider != "" {
		return []string{p.Provider}
	}
	return c.providerNames()
}

// ratesOf returns what is charged, by name.
func ratesOf(c *llmproxy.CostInfo) map[string]string {
	rates := map[string]string{
		"input": c.Input.String(), "cache_read": c.CacheRead.String(), "cache_write": c.CacheWrite.String(),
		"cache_write_1h": c.CacheWrite1h.String(), "output": c.Output.String(), "reasoning": c.Reasoning.String(),
	}
	for name, rate := range map[string]llmproxy.Rate{"input_audio": c.InputAudio, "input_image": c.InputImage, "output_audio": c.OutputAudio, "output_image": c.OutputImage} {
		if rate != c.Input && rate != c.Output {
			rates[name] = rate.String()
		}
	}
	for name, each := range map[string]llmproxy.USD{"web_search": c.WebSearch, "web_fetch": c.WebFetch, "search_unit": c.SearchUnit, "request": c.Request} {
		if each != 0 {
			rates[name] = each.String()
		}
	}
	return rates
}

func writePrices(out io.Writer, rows []priceJSON) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PROVIDER\tMODEL\tINPUT\tCACHE READ\tCACHE WRITE\tOUTPUT\tOTHER\tSOURCE\tVERSION")
	for _, r := range rows {
		var other []string
		for name, rate := range r.Rates {
			if !slices.Contains([]string{"input", "cache_read", "cache_write", "output"}, name) && !(name == "reasoning" && rate == r.Rates["output"]) && !(name == "cache_write_1h" && rate == r.Rates["cache_write"]) {
				other = append(other, name+"="+rate)
			}
		}
		slices.Sort(other)
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Provider, r.Model, cmp.Or(r.Rates["input"], "-"), cmp.Or(r.Rates["cache_read"], "-"),
			cmp.Or(r.Rates["cache_write"], "-"), cmp.Or(r.Rates["output"], "-"), cmp.Or(strings.Join(other, " "), "-"), r.Source, r.Version)
	}
	fmt.Fprintln(w, "USD per million tokens; web_search, web_fetch, search_unit and request per call.")
	return w.Flush()
}
