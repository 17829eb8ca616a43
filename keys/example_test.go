package keys_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/keys"
	"github.com/llmproxy/llmproxy/pricing"
	"github.com/llmproxy/llmproxy/providers/openai"
)

func ExampleAuthenticate() {
	upstream := httptest.NewServer(simulator.New(simulator.Options{}))
	defer upstream.Close()
	provider, err := openai.New(openai.Config{APIKey: "sk-provider", BaseURL: upstream.URL})
	if err != nil {
		log.Fatal(err)
	}
	embedded, err := pricing.Embedded()
	if err != nil {
		log.Fatal(err)
	}
	book, err := pricing.NewBook(nil, embedded)
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	store := &keys.Memory{} // adapter/sqlite and adapter/postgres have others
	key, secret, err := keys.New(keys.Key{
		Name: "nightly batch", Models: []string{"gpt-4o*"}, Budget: 5_000_000_000_000, Per: keys.PerDay,
	}, time.Now())
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Create(ctx, key); err != nil {
		log.Fatal(err)
	}

	ring, err := keys.NewRing(ctx, store, keys.RingOptions{})
	if err != nil {
		log.Fatal(err)
	}
	billing := &llmproxy.BillingCalculator{Lookup: book.Lookup}
	router := llmproxy.NewAutoRouter(
		llmproxy.WithProvider(provider),
		llmproxy.WithBilling(billing),
		llmproxy.WithInterceptor(
			&keys.Budget{Keys: ring, Holder: keys.NewLocal(nil), Billing: billing},
			// What chooses the provider stands here.
			&keys.Access{Keys: ring, Owners: keys.NewOwners(nil, keys.OwnersOptions{})},
		),
	)
	handler := keys.Authenticate(ring, router)

	for _, model := range []string{"gpt-4o-mini", "gpt-4.1"} {
		body := `{"model":"` + model + `","messages":[{"role":"user","content":"hello"}]}`
		r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+string(secret))
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Header().Get("X-Gateway-Cost"))
	}
	// Output:
	// 200 0.00000195
	// 403
}
