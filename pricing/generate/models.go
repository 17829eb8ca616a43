package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/pricing"
)

// modelFamilies are the families that are taken from the second list, by its files.
func modelFamilies() map[string]string {
	return map[string]string{
		"openai": "openai", "anthropic": "anthropic", "google": "googleai", "google-vertex": "vertexai",
		"amazon-bedrock": "bedrock", "azure": "azure", "groq": "groq", "fireworks": "fireworks", "xai": "xai",
		"deepseek": "deepseek", "mistral": "mistral", "together": "together", "cerebras": "cerebras",
		"openrouter": "openrouter", "moonshotai": "moonshot", "zai": "zai", "minimax": "minimax",
	}
}

// model is an entry of the second list.
type model struct {
	ID   string
	Cost struct {
		cost
		Tiers []struct {
			InputTokensAbove json.Number
			cost
		}
	}
}

// cost is in dollars per million tokens; zero says that no price is known.
type cost struct{ Input, Output, CacheRead, CacheWrite json.Number }

// modelPrices reads the second list, JSON by provider, API and model.
func modelPrices(files map[string][]byte) (*list, error) {
	l := &list{prices: map[string][]pricing.Price{}}
	families := modelFamilies()
	for file, text := range files {
		family := families[strings.TrimSuffix(file, ".json")]
		if family == "" {
			continue
		}
		var apis map[string]map[string]model
		if err := json.Unmarshal(text, &apis); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		seen := map[string]string{}
		for _, models := range apis {
			for kind, m := range models {
				if !strings.HasPrefix(kind, "chat:") {
					continue
				}
				if err := l.model(family, &m, seen); err != nil {
					return nil, fmt.Errorf("%s: %s: %w", file, m.ID, err)
				}
			}
		}
		slices.SortFunc(l.prices[family], func(x, y pricing.Price) int { return strings.Compare(x.Model, y.Model) })
	}
	return l, nil
}

// model adds a model, which several APIs may list; seen are those of the family so far.
func (l *list) model(family string, m *model, seen map[string]string) error {
	p := pricing.Price{Family: family, Model: strings.ToLower(m.ID)}
	base, err := m.Cost.column(0)
	if err != nil {
		return err
	}
	p.Columns = append(p.Columns, base)
	for i := range m.Cost.Tiers {
		t := &m.Cost.Tiers[i]
		size, err := prompt(family, t.InputTokensAbove.String())
		if err != nil {
			return err
		}
		c, err := t.column(size)
		if err != nil {
			return err
		}
		p.Columns = append(p.Columns, c)
	}
	_, input := base.Pico(pricing.Input)
	_, output := base.Pico(pricing.Output)
	if !input || !output {
		l.skipped++
		return nil
	}
	if before, twice := seen[p.Model]; twice {
		if before != p.String() {
			return fmt.Errorf("two prices: %s and %s", before, p.String())
		}
		return nil
	}
	seen[p.Model] = p.String()
	l.prices[family] = append(l.prices[family], p)
	return nil
}

// column returns c as the column for prompts from a size on.
func (c *cost) column(size int64) (pricing.Column, error) {
	col := pricing.Column{Prompt: size}
	for _, v := range []struct {
		item pricing.Item
		text json.Number
	}{
		{pricing.Input, c.Input},
		{pricing.Output, c.Output},
		{pricing.CacheRead, c.CacheRead},
		{pricing.CacheWrite, c.CacheWrite},
	} {
		usd, err := llmproxy.ParseUSD(v.text.String())
		if err != nil {
			return col, fmt.Errorf("%s: %w", v.item, err)
		}
		if usd == 0 {
			continue
		}
		if err := col.SetRounded(v.item, v.text.String()); err != nil {
			return col, err
		}
	}
	return col, nil
}
