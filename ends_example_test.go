package llmproxy_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/pricing"
	"github.com/llmproxy/llmproxy/providers/openai"
)

// Prices, a markup, and a function that is told what each exchange costs.
func ExampleWithBilling() {
	up := upstream()
	defer up.Close()
	provider, err := openai.New(openai.Config{APIKey: "sk-example", BaseURL: up.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	list, err := pricing.Embedded()
	if err != nil {
		fmt.Println(err)
		return
	}
	book, err := pricing.NewBook(nil, list)
	if err != nil {
		fmt.Println(err)
		return
	}
	router := llmproxy.NewAutoRouter(
		llmproxy.WithProvider(provider),
		llmproxy.WithBilling(&llmproxy.BillingCalculator{
			Lookup: book.Lookup,
			Markup: func(*llmproxy.Record) llmproxy.Ratio { return llmproxy.Ratio{Num: 11, Den: 10} },
		}),
		llmproxy.WithBillingCallback(func(r *llmproxy.Record, b *llmproxy.BillingResult) {
			fmt.Printf("%s: $%s, by the list $%s (%s)\n", r.Model, b.Cost, b.ListCost, b.State)
		}),
	)
	router.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/v1/chat/completions", strings.NewReader(`{"model":"gpt-5-mini","messages":[]}`)))
	// Output: gpt-5-mini: $0.000009075, by the list $0.00000825 (exact)
}

// An interceptor that learns what became of its exchange.
func ExampleExchange_OnSettled() {
	up := upstream()
	defer up.Close()
	provider, err := openai.New(openai.Config{APIKey: "sk-example", BaseURL: up.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	tokens := llmproxy.InterceptorFunc(func(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
		x.OnSettled(func(r *llmproxy.Record) {
			fmt.Println(r.Outcome, r.UsageSource, r.Usage.TotalTokens())
		})
		return next(ctx, x)
	})
	router := llmproxy.NewAutoRouter(llmproxy.WithProvider(provider), llmproxy.WithInterceptor(tokens))
	router.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/v1/chat/completions", strings.NewReader(`{"model":"gpt-5-mini","messages":[]}`)))
	// Output: completed provider 12
}
