package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy/pricing"
)

// genaiFamilies are the families that are taken from the first list, by its names.
func genaiFamilies() map[string]string {
	return map[string]string{
		"openai": "openai", "anthropic": "anthropic", "google": "googleai", "aws": "bedrock", "azure": "azure",
		"groq": "groq", "fireworks": "fireworks", "x-ai": "xai", "perplexity": "perplexity", "deepseek": "deepseek",
		"mistral": "mistral", "together": "together", "cerebras": "cerebras", "cohere": "cohere",
		"openrouter": "openrouter", "moonshotai": "moonshot", "zai": "zai", "minimax": "minimax",
	}
}

// genaiPrices reads the first list, an array in a bundle.
func genaiPrices(files map[string][]byte) (*list, error) {
	src := files["index.js"]
	at := bytes.Index(src, []byte("= [\n  {\n    id:"))
	if at < 0 {
		return nil, errors.New("no list of providers in index.js")
	}
	value, _, err := literal(src[at+len("= "):])
	if err != nil {
		return nil, fmt.Errorf("index.js: %w", err)
	}
	providers, _ := value.(array)
	l := &list{prices: map[string][]pricing.Price{}}
	families := genaiFamilies()
	for _, p := range providers {
		provider, _ := p.(object)
		id, _ := provider["id"].(string)
		family := families[id]
		models, _ := provider["models"].(array)
		if family == "" {
			continue
		}
		taken := map[string]bool{} // names, of which the first model has each
		for _, m := range models {
			model, _ := m.(object)
			name, _ := model["id"].(string)
			taken[name] = true
		}
		for _, m := range models {
			model, _ := m.(object)
			if err := l.genaiModel(family, model, taken); err != nil {
				return nil, fmt.Errorf("%s: %w", id, err)
			}
		}
	}
	return l, nil
}

func (l *list) genaiModel(family string, model object, taken map[string]bool) error {
	name, _ := model["id"].(string)
	if family == "googleai" && strings.HasPrefix(name, "claude") {
		family = "vertexai"
	}
	base := pricing.Price{Family: family, Model: strings.TrimRight(name, "-@")}
	if family == "bedrock" {
		// The figure of every profile that keeps a request in a part of the world.
		base.Model = strings.TrimPrefix(name, "regional.")
	}
	for _, a := range literals(model["match"]) {
		if taken[a] || a == base.Model || strings.HasSuffix(a, "-") || strings.HasSuffix(a, "@") || strings.ContainsAny(a, " \t\r\n") || family == "bedrock" && !strings.Contains(a, ".") {
			continue
		}
		taken[a] = true
		base.Aliases = append(base.Aliases, a)
	}
	slices.Sort(base.Aliases)
	entries, dated := model["prices"].(array)
	if !dated {
		entries = array{object{"prices": model["prices"]}}
	}
	var out []pricing.Price
	for _, e := range entries {
		entry, _ := e.(object)
		p := base
		constraint, _ := entry["constraint"].(object)
		if start, ok := constraint["start_date"].(string); ok {
			from, err := time.Parse(time.DateOnly, start)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			p.From = from
			if n := len(out); n > 0 {
				out[n-1].Until = from
			}
		} else if start, ok := constraint["start_time"].(string); ok {
			end, _ := constraint["end_time"].(string)
			h, err := hours(start, end)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			p.Hours = h
		}
		prices, _ := entry["prices"].(object)
		if err := genaiColumns(&p, prices); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if _, ok := p.Columns[0].Pico(pricing.Input); !ok {
			l.skipped++
			return nil
		}
		out = append(out, p)
	}
	l.prices[family] = append(l.prices[family], out...)
	return nil
}

func hours(start, end string) (pricing.Hours, error) {
	a, errA := time.Parse("15:04:05Z", start)
	b, errB := time.Parse("15:04:05Z", end)
	return pricing.Hours{From: a.Hour()*60 + a.Minute(), Until: b.Hour()*60 + b.Minute()}, errors.Join(errA, errB)
}

// literals returns the names that a rule of the first list is about. Whether it wants
// them whole, at the beginning or anywhere is not taken over: a name is a name here.
func literals(rule any) (names []string) {
	o, _ := rule.(object)
	for _, kind := range []string{"equals", "starts_with", "contains", "ends_with"} {
		if s, ok := o[kind].(string); ok {
			names = append(names, strings.ToLower(s))
		}
	}
	for _, kind := range []string{"or", "and"} {
		a, _ := o[kind].(array)
		for _, inner := range a {
			names = append(names, literals(inner)...)
		}
	}
	return names
}

// genaiItems are the first list's names of what is charged for. Others (pages, hours of
// audio) are not metered here.
func genaiItems() map[string]pricing.Item {
	return map[string]pricing.Item{
		"input_mtok": pricing.Input, "output_mtok": pricing.Output,
		"cache_read_mtok": pricing.CacheRead, "cache_write_mtok": pricing.CacheWrite, "cache_write_1h_mtok": pricing.CacheWrite1h,
		"input_audio_mtok": pricing.InputAudio, "cache_audio_read_mtok": pricing.CacheReadAudio, "output_audio_mtok": pricing.OutputAudio,
		"input_image_mtok": pricing.InputImage, "cache_image_read_mtok": pricing.CacheReadImage, "output_image_mtok": pricing.OutputImage,
		"input_video_mtok": pricing.InputVideo, "output_reasoning_mtok": pricing.Reasoning, "output_citation_mtok": pricing.Citation,
		"web_searches_kcount": pricing.WebSearch, "requests_kcount": pricing.Request,
	}
}

// genaiColumns fills in the columns of p: the base, and one for each size from which a
// price differs. What has no other price from there on keeps the base's.
func genaiColumns(p *pricing.Price, prices object) error {
	base := pricing.Column{}
	tiers := map[int64]map[pricing.Item]string{}
	names := genaiItems()
	for name, v := range prices {
		item, known := names[name]
		if !known {
			continue
		}
		text, plain := v.(number)
		if o, tiered := v.(object); tiered {
			text, plain = o["base"].(number)
			steps, _ := o["tiers"].(array)
			for _, s := range steps {
				step, _ := s.(object)
				start, _ := step["start"].(number)
				price, _ := step["price"].(number)
				size, err := prompt(p.Family, string(start))
				if err != nil {
					return err
				}
				if tiers[size] == nil {
					tiers[size] = map[pricing.Item]string{}
				}
				tiers[size][item] = string(price)
			}
		}
		if !plain {
			return fmt.Errorf("%s: no number", name)
		}
		if err := set(&base.Rates, item, string(text)); err != nil {
			return err
		}
	}
	p.Columns = []pricing.Column{base}
	sizes := []int64{}
	for size := range tiers {
		sizes = append(sizes, size)
	}
	slices.Sort(sizes)
	for _, size := range sizes {
		c := pricing.Column{Prompt: size}
		for item, text := range p.Columns[len(p.Columns)-1].All() {
			if item.ByCall() {
				continue
			}
			if dearer, ok := tiers[size][item]; ok {
				text = dearer
			}
			if err := c.SetRounded(item, text); err != nil {
				return err
			}
		}
		p.Columns = append(p.Columns, c)
	}
	return nil
}
