package gateway

import (
	"io"
	"testing"

	"github.com/llmproxy/llmproxy"
)

// The most precise markup counts: the key's, the model's, the provider's, the general one.
func TestMarkup(t *testing.T) {
	t.Parallel()
	c, err := load(t, `providers:
  openai: {api_key: k, markup: 1.5, prices: {"*": {input: 1, output: 1}}}
  groq: {api_key: k, prices: {"*": {input: 1, output: 1}}}
pricing: {markup: 1.1, model_markup: {"gpt-*": 2, "gpt-5*": 3}, key_markup: {key_a: 0.5}}
`)
	if err != nil {
		t.Fatal(err)
	}
	prices, err := c.prices(Log{}.logger(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	billing := c.billing(prices)
	for _, tt := range []struct {
		provider, model, key string
		want                 string
	}{
		{"groq", "llama", "", "1.1"},
		{"openai", "o3", "", "1.5"},
		{"openai", "gpt-4o", "", "2"},
		{"openai", "GPT-5-mini", "key_b", "3"},
		{"openai", "gpt-5-mini", "key_a", "0.5"},
	} {
		r := &llmproxy.Record{
			Provider: tt.provider, Model: tt.model, Key: tt.key, CostState: llmproxy.CostUnpriced,
			UsageSource: llmproxy.UsageProvider, Usage: llmproxy.Usage{PromptTokens: 1_000_000},
		}
		b := billing.Bill(r)
		if b.Cost.String() != tt.want || b.ListCost.String() != "1" || b.State != llmproxy.CostExact {
			t.Errorf("%+v: %s, list %s, %s", tt, b.Cost, b.ListCost, b.State)
		}
	}
}
