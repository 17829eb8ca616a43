package main

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/pricing"
)

// list is what is read of one published list: prices by family.
type list struct {
	prices map[string][]pricing.Price
	// skipped are the entries without a price this program could use.
	skipped int
}

// manifest returns what a package calls itself.
func manifest(text []byte) (name, version string, err error) {
	var m struct{ Name, Version string }
	if err := json.Unmarshal(text, &m); err != nil {
		return "", "", fmt.Errorf("package.json: %w", err)
	}
	return m.Name, m.Version, nil
}

// set states a price, of those by the call given for a thousand of them.
func set(r *pricing.Rates, item pricing.Item, text string) error {
	if !item.ByCall() {
		return r.SetRounded(item, text)
	}
	usd, err := llmproxy.ParseUSD(text)
	if err != nil || usd%1000 != 0 {
		return fmt.Errorf("%s: %q: %w", item, text, llmproxy.ErrMoney)
	}
	return r.Set(item, (usd / 1000).String())
}

// prompt returns the smallest prompt that a larger size's prices are for. A list says
// above how many tokens that is. All providers mean more than a round number but xAI,
// which means that number and more; the first list has written some of it one lower.
func prompt(family, above string) (int64, error) {
	usd, err := llmproxy.ParseUSD(above) // reads 2e5 without a float
	n := int64(usd) / 1_000_000_000_000
	if err != nil || n <= 0 || n > math.MaxInt32 {
		return 0, fmt.Errorf("%q is no number of tokens", above)
	}
	if n%1000 == 999 {
		n++
	}
	if family == "xai" {
		return n, nil
	}
	return n + 1, nil
}
