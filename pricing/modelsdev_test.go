package pricing_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/pricing"
)

// modelsDev returns a list in the shape of models.dev: openai's models as given, and
// enough others to be believed.
func modelsDev(openai string) string {
	var others []string
	for i := range 30 {
		others = append(others, fmt.Sprintf(`"m%d":{"id":"m%d","name":"M","cost":{"input":0.%d,"output":2}}`, i, i, i+1))
	}
	return `{"openai":{"id":"openai","name":"OpenAI","env":["OPENAI_API_KEY"],"npm":"x","doc":"d","models":{` + openai + `}},` +
		`"mistral":{"id":"mistral","models":{` + strings.Join(others, ",") + `}},` +
		`"nobody-we-know":{"id":"nobody-we-know","models":{"gpt-5":{"id":"gpt-5","cost":{"input":99,"output":99}}}}}`
}

func TestModelsDevIsRead(t *testing.T) {
	t.Parallel()
	text := modelsDev(`
"gpt-x":{"id":"gpt-x","name":"X","attachment":true,"reasoning":true,"interleaved":{"field":"reasoning_content"},
  "reasoning_options":[{"type":"effort","values":["low",null]}],"limit":{"context":400000,"output":128000},
  "cost":{"input":0.049999999999999996,"output":3,"reasoning":4,"cache_read":0.005,"cache_write":0,"input_audio":32,"output_audio":64,
    "tiers":[{"input":0.2,"output":4.5,"tier":{"type":"context","size":272000}},{"input":0.1,"output":4,"tier":{"type":"context","size":128000}}],
    "context_over_200k":{"input":77,"output":77}},
  "experimental":{"modes":{"fast":{"cost":{"input":88,"output":88},"provider":{"body":{"service_tier":"priority"}}}}}},
"free":{"id":"free","cost":{"input":0,"output":0}},
"router":{"id":"router","cost":{"input":-1,"output":-1}},
"unknown":{"id":"unknown"}`)
	l, err := pricing.ParseModelsDev([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range l.Prices {
		if p := &l.Prices[i]; p.Family == "openai" {
			got = append(got, p.String())
		}
	}
	want := []string{"gpt-x input=0.05 input_audio=32 cache_read=0.005 output=3 reasoning=4 output_audio=64 @>=128001 input=0.1 output=4 @>=272001 input=0.2 output=4.5"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if l.Source != "models.dev" || l.Version != "models.dev-"+l.Fingerprint() || len(l.Prices) != 31 {
		t.Errorf("%s %s, %d prices", l.Source, l.Version, len(l.Prices))
	}
}

// The size at which xAI's dearer prices begin belongs to them.
func TestModelsDevTierOfXAIIncludesItsSize(t *testing.T) {
	t.Parallel()
	text := strings.Replace(modelsDev(""), `"openai":{"id":"openai"`, `"xai":{"id":"xai"`, 1)
	text = strings.Replace(text, `"models":{}`, `"models":{"grok":{"id":"grok","cost":{"input":1,"output":2,"tiers":[{"input":2,"output":4,"tier":{"type":"context","size":200000}}]}}}`, 1)
	l, err := pricing.ParseModelsDev([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := pricing.NewBook(nil, l)
	if err != nil {
		t.Fatal(err)
	}
	for prompt, want := range map[int64]string{199_999: "1", 200_000: "2"} {
		if got := inputOf(b, llmproxy.CostQuery{Provider: "xai", Model: "grok", PromptTokens: prompt}); got != want {
			t.Errorf("%d tokens: %s, want %s", prompt, got, want)
		}
	}
}

// maximhq/bifrost#3559, #5243: prices per token, per thousand or in cents were taken for
// dollars per million.
func TestPricesInAnotherUnitAreRefused(t *testing.T) {
	t.Parallel()
	known, err := pricing.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	// The list itself, as models.dev would have it, times a unit.
	in := func(unit string) []byte {
		var models []string
		for _, m := range []string{"gpt-5 1.25", "gpt-4o 2.5", "gpt-4.1 2", "o3 2", "gpt-5-mini 0.25", "gpt-5.4 2.5", "gpt-5.5 5", "o4-mini 1.1"} {
			for copies := range 3 {
				name, price, _ := strings.Cut(m, " ")
				if copies > 0 {
					name += fmt.Sprintf("-%d", copies)
				}
				models = append(models, fmt.Sprintf(`%q:{"id":%q,"cost":{"input":%s%s,"output":%s%s}}`, name, name, price, unit, price, unit))
			}
		}
		return []byte(`{"openai":{"models":{` + strings.Join(models, ",") + `}}}`)
	}
	if _, err := pricing.ParseModelsDev(in(""), known); err != nil {
		t.Errorf("dollars per million: %v", err)
	}
	for name, unit := range map[string]string{"per token": "e-6", "per thousand": "e-3", "in cents": "e2", "per billion": "e3"} {
		if _, err := pricing.ParseModelsDev(in(unit), known); !errors.Is(err, pricing.ErrImplausible) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := pricing.ParseModelsDev(in("e6"), known); !errors.Is(err, llmproxy.ErrMoney) {
		t.Errorf("in picodollars: %v", err)
	}
	for name, text := range map[string]string{
		"nothing":  `{}`,
		"two":      `{"openai":{"models":{"a":{"cost":{"input":1,"output":1}},"b":{"cost":{"input":1,"output":1}}}}}`,
		"one dear": modelsDev(`"x":{"id":"x","cost":{"input":10001,"output":1}}`),
	} {
		if _, err := pricing.ParseModelsDev([]byte(text), nil); !errors.Is(err, pricing.ErrImplausible) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBrokenModelsDevIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		``, `[]`, `{"openai":7}`, `{"openai":{"models":[]}}`,
		modelsDev(`"x":{"id":"x","cost":{"input":"cheap","output":1}}`),
		modelsDev(`"x":{"id":"x","cost":{"input":1,"output":1,"tiers":[{"input":1,"output":1,"tier":{"type":"context","size":0}}]}}`),
		modelsDev(`"x":{"id":"x","cost":{"input":1,"output":1,"tiers":[{"input":1,"output":1,"tier":{"type":"context","size":5}},{"input":1,"output":1,"tier":{"type":"context","size":5}}]}}`),
		modelsDev(`"x":{"id":"x"`),
	} {
		if l, err := pricing.ParseModelsDev([]byte(text), nil); err == nil || errors.Is(err, pricing.ErrImplausible) {
			t.Errorf("%.60s: %v, %v", text, l, err)
		}
	}
}

// What is read is a list: it reads back, and every price in it is more than nothing.
func FuzzParseModelsDev(f *testing.F) {
	f.Add(`"gpt-x":{"id":"gpt-x","cost":{"input":1.5e-1,"output":3,"tiers":[{"input":2,"output":4,"tier":{"type":"context","size":200000}}]}}`)
	f.Add(`"é=@":{"id":"*a=b","cost":{"input":0.0000001,"output":3}}`)
	f.Fuzz(func(t *testing.T, models string) {
		text := modelsDev(models)
		l, err := pricing.ParseModelsDev([]byte(text), nil)
		if err != nil {
			return
		}
		for i := range l.Prices {
			for _, c := range l.Prices[i].Columns {
				for item, price := range c.All() {
					if price == "0" || strings.HasPrefix(price, "-") {
						t.Errorf("%s: %s at %s", l.Prices[i].Model, item, price)
					}
				}
			}
		}
		if _, err := pricing.NewBook(nil, l); err != nil {
			t.Error(err)
		}
		again, err := pricing.ParseModelsDev([]byte(text), nil)
		if err != nil || again.Version != l.Version {
			t.Errorf("%s, then %v %v", l.Version, again, err)
		}
	})
}

func TestOverlayTakesWhatHasChanged(t *testing.T) {
	t.Parallel()
	parse := func(source, text string) *pricing.List {
		l, err := pricing.ParseList("source " + source + "\nversion " + source + "-1\n" + text)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	base := parse("base", `
[deepseek]
d input=1 output=2
d hours=01:00-02:00 input=2 output=4
[openai]
changed alias=c until=2026-01-01 input=9 output=9
changed alias=c from=2026-01-01 until=2027-01-01 input=1 input_audio=30 cache_read=0.1 output=2 web_search=0.01 *flex=1/2
changed alias=c from=2027-01-01 input=8 output=8
dearer-audio input=1 input_audio=30 output=2 web_search=0.01
gone input=1 output=2
same input=1 output=2 cache_read=0.5 web_search=0.01 *flex=1/2
`)
	over := parse("fresh", `
[deepseek]
d input=2 output=4
[openai]
changed input=1.5 cache_read=0.15 output=3 @>=1001 input=3 output=6
changed-2026-05-05 input=7 output=7
dearer-audio input=1 cache_read=0.2 output=2 @>=1001 input=3 output=6
same input=1 output=2
new input=5 output=6
`)
	b, err := pricing.NewBook(nil, pricing.Overlay(base, over, day(t, "2026-06-01")))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range b.Rows() {
		got = append(got, p.String()+" | "+p.Source+" "+p.Version)
	}
	want := []string{
		// The hours are kept: the other list has the dearer ones alone.
		"d input=1 output=2 | base base-1",
		"d hours=01:00-02:00 input=2 output=4 | base base-1",
		"changed alias=c until=2026-01-01 input=9 output=9 | base base-1",
		"changed alias=c from=2026-01-01 until=2027-01-01 input=1.5 cache_read=0.15 output=3 web_search=0.01 @>=1001 input=3 output=6 *flex=1/2 | fresh fresh-1",
		"changed alias=c from=2027-01-01 input=8 output=8 | base base-1",
		"changed-2026-05-05 input=7 output=7 web_search=0.01 *flex=1/2 | fresh fresh-1",
		"dearer-audio input=1 input_audio=30 cache_read=0.2 output=2 web_search=0.01 @>=1001 input=3 output=6 | fresh fresh-1",
		"gone input=1 output=2 | base base-1",
		"new input=5 output=6 | fresh fresh-1",
		"same input=1 cache_read=0.5 output=2 web_search=0.01 *flex=1/2 | base base-1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if len(base.Prices) != 8 || base.Prices[0].Source != "" || len(base.Prices[3].Columns) != 1 {
		t.Error("the base has changed")
	}
}
