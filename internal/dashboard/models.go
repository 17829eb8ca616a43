package dashboard

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy/pricing"
)

// Model is one that can be asked for, and what it costs.
type Model struct {
	Provider string      `json:"provider"`
	Name     string      `json:"model"`
	Aliases  []string    `json:"aliases,omitempty"`
	Prices   []ItemPrice `json:"prices,omitempty"`
	// More says that there are further prices: by tier, size, hour, speed or region.
	More    bool   `json:"more,omitempty"`
	Source  string `json:"source,omitempty"`
	Version string `json:"version,omitempty"`
}

// ItemPrice is the price of one item, in decimal dollars: per million tokens, or per call.
type ItemPrice struct {
	Item string `json:"item"`
	USD  string `json:"usd"`
	Per  string `json:"per"` // "million_tokens" or "call"
}

// Price returns the price of an item; "" where it is not stated.
func (m Model) Price(item string) string {
	for _, p := range m.Prices {
		if p.Item == item {
			return p.USD
		}
	}
	return ""
}

// ModelsOf returns the models of a price book's rows that hold at t: the operator's own by
// the provider's name, the others by its family, "" for none. They are in the order of
// providers, then of rows. The standard prices are shown, and whether there are others.
func ModelsOf(rows []pricing.Price, t time.Time, providers []Provider, family func(Provider) string) (models []Model) {
	for _, p := range providers {
		f := family(p)
		for i := range rows {
			row := &rows[i]
			whose := f
			if row.Source == pricing.SourceOwn {
				whose = p.Name
			}
			if row.Family != whose || row.Family == "" ||
				t.Before(row.From) || !row.Until.IsZero() && !t.Before(row.Until) || len(row.Columns) == 0 {
				continue
			}
			if n := len(models) - 1; n >= 0 && models[n].Provider == p.Name && models[n].Name == row.Model {
				models[n].More = true // the same at other hours
				continue
			}
			m := Model{
				Provider: p.Name, Name: row.Model, Aliases: row.Aliases, Source: row.Source, Version: row.Version,
				More: len(row.Columns) > 1 || len(row.Factors) > 0 || row.Hours != (pricing.Hours{}),
			}
			for item, usd := range row.Columns[0].All() {
				per := "million_tokens"
				if item.ByCall() {
					per = "call"
				}
				m.Prices = append(m.Prices, ItemPrice{item.String(), usd, per})
			}
			models = append(models, m)
		}
	}
	return models
}

// maxModels is how many models one page shows.
const maxModels = 500

func (d *Dashboard) models() []Model {
	if d.o.Models == nil {
		return nil
	}
	return d.o.Models()
}

// apiModels answers with all models, or those of one provider.
func (d *Dashboard) apiModels(w http.ResponseWriter, r *http.Request) {
	q, err := queryOf(r, paramProvider, paramModel)
	if err != nil {
		writeError(w, d.failed(r, err))
		return
	}
	models := selectModels(d.models(), q.Get(paramProvider), q.Get(paramModel))
	if models == nil {
		models = []Model{}
	}
	writeJSON(w, http.StatusOK, struct {
		Models []Model `json:"models"`
	}{models})
}

// selectModels returns the models of provider whose name, or another of theirs, has part in
// it, in any case. "" is all.
func selectModels(models []Model, provider, part string) (selected []Model) {
	part = strings.ToLower(part)
	has := func(name string) bool { return strings.Contains(strings.ToLower(name), part) }
	for _, m := range models {
		if (provider == "" || m.Provider == provider) && (has(m.Name) || slices.ContainsFunc(m.Aliases, has)) {
			selected = append(selected, m)
		}
	}
	return selected
}

// modelsView is what the page of models shows.
type modelsView struct {
	Providers []string
	Provider  string
	Part      string
	Models    []Model
	All       int // before they were cut to a page
}

func (d *Dashboard) modelsPage(w http.ResponseWriter, r *http.Request) {
	q, err := queryOf(r, paramProvider, paramModel)
	if err != nil {
		d.refuse(w, r, d.failed(r, err))
		return
	}
	all := d.models()
	v := modelsView{Provider: q.Get(paramProvider), Part: q.Get(paramModel)}
	for _, m := range all {
		if !slices.Contains(v.Providers, m.Provider) {
			v.Providers = append(v.Providers, m.Provider)
		}
	}
	v.Models = selectModels(all, v.Provider, v.Part)
	v.All = len(v.Models)
	v.Models = v.Models[:min(len(v.Models), maxModels)]
	d.render(w, r, http.StatusOK, "models", v)
}
