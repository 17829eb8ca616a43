package pricing

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/llmproxy/llmproxy"
)

// SourceModelsDev is the source of prices in the shape of models.dev.
const SourceModelsDev = "models.dev"

// ModelsDevURL is where models.dev publishes its prices.
const ModelsDevURL = "https://models.dev/api.json"

// ErrImplausible means that figures are not prices in dollars per million tokens: of
// another unit, or nearly none.
var ErrImplausible = errors.New("not plausible as dollars per million tokens")

// modelsDevFamily returns the family of a provider as models.dev calls it; "" for those
// that nothing here is priced by.
func modelsDevFamily(provider string) string {
	switch provider {
	case "openai", "anthropic", "azure", "groq", "xai", "perplexity", "deepseek", "mistral", "cerebras",
		"cohere", "openrouter", "zai", "minimax":
		return provider
	case "google":
		return "googleai"
	case "google-vertex", "google-vertex-anthropic":
		return "vertexai"
	case "amazon-bedrock":
		return "bedrock"
	case "fireworks-ai":
		return "fireworks"
	case "togetherai":
		return "together"
	case "moonshotai":
		return "moonshot"
	}
	return ""
}

// devCost is what models.dev says a model costs, in dollars per million tokens. Its
// context_over_200k repeats a tier of any size, and is not read; nor are the modes of a
// model, some of which are no longer served.
type devCost struct {
	devRates
	Tiers []struct {
		devRates
		Tier struct {
			Type string      `json:"type"`
			Size json.Number `json:"size"` // tokens; what is above has the tier's prices
		} `json:"tier"`
	} `json:"tiers"`
}

type devRates struct {
	Input       json.Number `json:"input"`
	Output      json.Number `json:"output"`
	Reasoning   json.Number `json:"reasoning"`
	CacheRead   json.Number `json:"cache_read"`
	CacheWrite  json.Number `json:"cache_write"`
	InputAudio  json.Number `json:"input_audio"`
	OutputAudio json.Number `json:"output_audio"`
}

// rates returns what r states. A price of zero says there that none is known, or that a
// subscription pays: it is left out.
func (r *devRates) rates() (rates Rates, err error) {
	for _, v := range [...]struct {
		item Item
		text json.Number
	}{
		{Input, r.Input},
		{Output, r.Output},
		{Reasoning, r.Reasoning},
		{CacheRead, r.CacheRead},
		{CacheWrite, r.CacheWrite},
		{InputAudio, r.InputAudio},
		{OutputAudio, r.OutputAudio},
	} {
		if v.text == "" {
			continue
		}
		if strings.HasPrefix(v.text.String(), "-") {
			return Rates{}, nil // a router's, which has no price of its own
		}
		var one Rates
		if err := one.SetRounded(v.item, v.text.String()); err != nil {
			return Rates{}, err
		}
		if pico, _ := one.Pico(v.item); pico > 0 {
			rates.put(v.item, pico)
		}
	}
	return rates, nil
}

// ParseModelsDev reads prices in the shape of models.dev's api.json, and holds them
// against known, another list, which may be nil. The error is [ErrImplausible] where
// they are of another unit. The caller keeps text.
func ParseModelsDev(text []byte, known *List) (*List, error) {
	var providers map[string]struct {
		Models map[string]struct {
			ID   string   `json:"id"`
			Cost *devCost `json:"cost"`
		} `json:"models"`
	}
	if err := json.Unmarshal(text, &providers); err != nil {
		return nil, fmt.Errorf("models.dev: %w", err)
	}
	l := &List{Source: SourceModelsDev}
	for _, provider := range sortedKeys(providers) {
		family := modelsDevFamily(provider)
		if family == "" {
			continue
		}
		models := providers[provider].Models
		for _, name := range sortedKeys(models) {
			m := models[name]
			if m.ID != "" {
				name = m.ID
			}
			if m.Cost == nil || name == "" || strings.ContainsAny(name, " \t\r\n") {
				continue
			}
			p, ok, err := m.Cost.price(family, strings.ToLower(name))
			if err != nil {
				return nil, fmt.Errorf("models.dev: %s %q: %w", provider, name, err)
			}
			if ok {
				l.Prices = append(l.Prices, p)
			}
		}
	}
	if err := l.plausible(known); err != nil {
		return nil, fmt.Errorf("models.dev: %w", err)
	}
	l.Version = SourceModelsDev + "-" + l.Fingerprint()
	return l, nil
}

// price returns c as a price; ok is false where it has none for the input.
func (c *devCost) price(family, model string) (p Price, ok bool, err error) {
	p = Price{Family: family, Model: model}
	base, err := c.rates()
	if err != nil {
		return p, false, err
	}
	if _, ok = base.Pico(Input); !ok {
		return p, false, nil
	}
	p.Columns = []Column{{Rates: base}}
	for i := range c.Tiers {
		t := &c.Tiers[i]
		if t.Tier.Type != "" && t.Tier.Type != "context" {
			continue
		}
		size, err := t.Tier.Size.Int64()
		if err != nil || size <= 0 || size > math.MaxInt32 {
			return p, false, fmt.Errorf("tier of %q tokens", t.Tier.Size)
		}
		rates, err := t.rates()
		if err != nil {
			return p, false, err
		}
		if _, stated := rates.Pico(Input); !stated {
			continue
		}
		p.Columns = append(p.Columns, Column{Prompt: firstBeyond(family, size), Rates: rates})
	}
	slices.SortFunc(p.Columns[1:], func(a, b Column) int { return int(a.Prompt - b.Prompt) })
	return p, true, p.check()
}

// firstBeyond returns the smallest prompt that the prices of a context size are for:
// more than size, except with xAI, for whom size is enough.
func firstBeyond(family string, size int64) int64 {
	if family == "xai" {
		return size
	}
	return size + 1
}

// fewest is the number of prices below which a list is not believed to be whole.
const fewest = 20

// plausible reports why the figures of l cannot be what they should: dollars per million
// tokens, near those that known has for the same models.
func (l *List) plausible(known *List) error {
	inputs := []int64{}
	for i := range l.Prices {
		for item, text := range l.Prices[i].Columns[0].All() {
			if item.ByCall() {
				continue
			}
			rate, err := llmproxy.ParseRate(text)
			if err != nil {
				return err
			}
			// The dearest that was ever sold is 600 dollars.
			if rate > 10_000*1_000_000 {
				return fmt.Errorf("%s at %s: %w", l.Prices[i].Model, text, ErrImplausible)
			}
			if item == Input {
				inputs = append(inputs, int64(rate))
			}
		}
	}
	if len(inputs) < fewest {
		return fmt.Errorf("%d prices: %w", len(inputs), ErrImplausible)
	}
	slices.Sort(inputs)
	// Half of all models cost between a few cents and a few dollars.
	if middle := inputs[len(inputs)/2]; middle < 20_000 || middle > 20_000_000 {
		return fmt.Errorf("half of the models cost more than %s for their input: %w", llmproxy.Rate(middle), ErrImplausible)
	}
	if known == nil {
		return nil
	}
	prices := map[string]int64{}
	for i := range known.Prices {
		p := &known.Prices[i]
		if pico, ok := p.Columns[0].Pico(Input); ok {
			prices[p.Family+" "+keyOf(p.Family, p.Model)] = pico
		}
	}
	common, far := 0, 0
	for i := range l.Prices {
		p := &l.Prices[i]
		ours, ok := prices[p.Family+" "+keyOf(p.Family, p.Model)]
		theirs, _ := p.Columns[0].Pico(Input)
		if !ok {
			continue
		}
		common++
		if ours/4 > theirs || theirs/4 > ours {
			far++
		}
	}
	if 2*far > common {
		return fmt.Errorf("%d of %d known prices are not even near: %w", far, common, ErrImplausible)
	}
	return nil
}
