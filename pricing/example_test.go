package pricing_test

import (
	"fmt"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/pricing"
)

// The embedded prices, with one of the operator's own.
func ExampleBook_Lookup() {
	list, err := pricing.Embedded()
	if err != nil {
		fmt.Println(err)
		return
	}
	own, err := pricing.Own(map[string]map[string]map[string]string{
		"our-gpus": {"qwen3-*": {"input": "0.10", "output": "0.40"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	book, err := pricing.NewBook(own, list)
	if err != nil {
		fmt.Println(err)
		return
	}
	book = book.For(map[string]string{"openai-eu": pricing.Family("openai"), "our-gpus": pricing.Family("openai_compatible")})

	usage := llmproxy.Usage{PromptTokens: 1000, CacheRead: 400, CompletionTokens: 100}
	for _, q := range []llmproxy.CostQuery{
		{Provider: "openai-eu", Model: "gpt-5-2025-08-07", ServiceTier: "flex"},
		{Provider: "our-gpus", Model: "qwen3-32b"},
		{Provider: "our-gpus", Model: "gpt-5"},
	} {
		q.Time, q.PromptTokens = time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC), usage.PromptTokens
		c, ok := book.Lookup(q)
		if !ok {
			fmt.Println(q.Model, "has no price")
			continue
		}
		usd, err := c.Cost(usage)
		fmt.Printf("%s costs $%s by %s, %v\n", q.Model, usd, c.Source, err)
	}
	// Output:
	// gpt-5-2025-08-07 costs $0.0009 by embedded, <nil>
	// qwen3-32b costs $0.00014 by config, <nil>
	// gpt-5 has no price
}
