package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

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

// modelFamilies are the families that are taken from the second list, by its files.
func modelFamilies() map[string]string {
	return map[string]string{
		"openai": "openai", "anthropic": "anthropic", "google": "googleai", "google-vertex": "vertexai",
		"amazon-bedrock": "bedrock", "azure": "azure", "groq": "groq", "fireworks": "fireworks", "xai": "xai",
		"deepseek": "deepseek", "mistral": "mistral", "together": "together", "cerebras": "cerebras",
		"openrouter": "openrouter", "moonshotai": "moonshot", "zai": "zai", "minimax": "minimax",
	}
}

// modelPrices reads the second list, JSON by provider, API and model. A price of zero
// says there that none is known.
func modelPrices(files map[string][]byte) (*list, error) {
	type cost struct {
		Input, Output, CacheRead, CacheWrite json.Number
		Tiers                                []struct {
			InputTokensAbove                     json.Number
			Input, Output, CacheRead, CacheWrite json.Number
		}
	}
	l := &list{prices: map[string][]pricing.Price{}}
	families := modelFamilies()
	for file, text := range files {
		family := families[strings.TrimSuffix(file, ".json")]
		if family == "" {
			continue
		}
		var apis map[string]map[string]struct {
			ID   string
			Cost cost
		}
		if err := json.Unmarshal(text, &apis); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		seen := map[string]string{}
		for _, models := range apis {
			for kind, m := range models {
				if !strings.HasPrefix(kind, "chat:") {
					continue
				}
				p := pricing.Price{Family: family, Model: strings.ToLower(m.ID)}
				columns := []struct {
					above         string
					in, out, r, w json.Number
				}{{"", m.Cost.Input, m.Cost.Output, m.Cost.CacheRead, m.Cost.CacheWrite}}
				for _, t := range m.Cost.Tiers {
					columns = append(columns, struct {
						above         string
						in, out, r, w json.Number
					}{t.InputTokensAbove.String(), t.Input, t.Output, t.CacheRead, t.CacheWrite})
				}
				for _, c := range columns {
					col := pricing.Column{}
					if c.above != "" {
						size, err := prompt(family, c.above)
						if err != nil {
							return nil, fmt.Errorf("%s: %s: %w", file, m.ID, err)
						}
						col.Prompt = size
					}
					for _, v := range []struct {
						item pricing.Item
						text json.Number
					}{{pricing.Input, c.in}, {pricing.Output, c.out}, {pricing.CacheRead, c.r}, {pricing.CacheWrite, c.w}} {
						if usd, err := llmproxy.ParseUSD(v.text.String()); err != nil {
							return nil, fmt.Errorf("%s: %s: %s: %w", file, m.ID, v.item, err)
						} else if usd == 0 {
							continue
						}
						if err := col.SetRounded(v.item, v.text.String()); err != nil {
							return nil, fmt.Errorf("%s: %s: %w", file, m.ID, err)
						}
					}
					p.Columns = append(p.Columns, col)
				}
				_, input := p.Columns[0].Pico(pricing.Input)
				_, output := p.Columns[0].Pico(pricing.Output)
				if !input || !output {
					l.skipped++
					continue
				}
				if before, twice := seen[p.Model]; twice && before != p.String() {
					return nil, fmt.Errorf("%s: %s has two prices: %s and %s", file, m.ID, before, p.String())
				} else if twice {
					continue
				}
				seen[p.Model] = p.String()
				l.prices[family] = append(l.prices[family], p)
			}
		}
		slices.SortFunc(l.prices[family], func(x, y pricing.Price) int { return strings.Compare(x.Model, y.Model) })
	}
	return l, nil
}

// count returns how many prices l has, for the header.
func (l *list) count() string {
	n := 0
	for _, p := range l.prices {
		n += len(p)
	}
	return strconv.Itoa(n)
}
