package pricing

import (
	"fmt"
	"slices"
	"strings"
)

// SourceOwn is the source of the operator's own prices.
const SourceOwn = "config"

// ParseRates reads the operator's prices of one model: decimal texts by the names of the
// items, in dollars per million tokens, or per call for web_search, web_fetch,
// search_unit and request. A price of 0 is a price. Errors name the item.
func ParseRates(row map[string]string) (Rates, error) {
	var r Rates
	for _, name := range sortedKeys(row) {
		item, ok := parseItem(name)
		if !ok {
			return Rates{}, fmt.Errorf("%s is not charged for: want one of %s", name, itemNames())
		}
		if err := r.Set(item, row[name]); err != nil {
			return Rates{}, err
		}
	}
	if !r.charges() {
		return Rates{}, fmt.Errorf("no price: want at least %s, %s or %s", Input, SearchUnit, Request)
	}
	return r, nil
}

// Own makes the operator's list of prices, by provider as configured and by pattern of
// its models, in which * is anything. Errors name the provider and the pattern.
func Own(prices map[string]map[string]map[string]string) (*List, error) {
	l := &List{Source: SourceOwn}
	for _, provider := range sortedKeys(prices) {
		for _, pattern := range sortedKeys(prices[provider]) {
			if pattern == "" || strings.ContainsAny(pattern, " \t\r\n") {
				return nil, fmt.Errorf("provider %s: prices: %q is no pattern of models", provider, pattern)
			}
			r, err := ParseRates(prices[provider][pattern])
			if err != nil {
				return nil, fmt.Errorf("provider %s: prices of %s: %w", provider, pattern, err)
			}
			l.Prices = append(l.Prices, Price{Family: provider, Model: pattern, Columns: []Column{{Rates: r}}})
		}
	}
	l.Version = SourceOwn + "-" + l.Fingerprint()
	return l, nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
