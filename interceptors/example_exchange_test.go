package interceptors_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/interceptors"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// serve starts a simulated provider that misbehaves as the words say, and returns it under
// name with what stops it.
func serve(name string, words ...string) (p llmproxy.Provider, stop func()) {
	server := httptest.NewServer(simulator.New(simulator.Options{AnyModel: true, Script: inTurn(words...)}))
	p, err := openai_compatible.New(openai_compatible.Config{Name: name, Type: "openai", BaseURL: server.URL, APIKey: "sk-example"})
	if err != nil {
		panic(err)
	}
	return p, server.Close
}

// ask has the router answer a question.
func ask(router http.Handler, model string, fields ...string) *http.Response {
	body := `{"model":"` + model + `","messages":[{"role":"user","content":"How are you?"}]}`
	r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	router.ServeHTTP(w, r)
	return w.Result()
}

func ExampleRetry() {
	provider, stop := serve("openai", "status=500", "status=429,retry-after-ms=5")
	defer stop()
	router := llmproxy.NewAutoRouter(
		llmproxy.WithProvider(provider),
		llmproxy.WithInterceptor(&interceptors.Retry{Attempts: 3, Base: 5 * time.Millisecond}),
		llmproxy.WithBillingCallback(func(r *llmproxy.Record, _ *llmproxy.BillingResult) {
			for _, a := range r.Attempts {
				fmt.Println(a.Provider, a.Status)
			}
		}),
	)
	fmt.Println(ask(router, "gpt-5-mini").Status)
	// Output:
	// openai 500
	// openai 429
	// openai 200
	// 200 OK
}

func ExamplePools() {
	main, stopMain := serve("openai", "status=503")
	defer stopMain()
	spare, stopSpare := serve("azure")
	defer stopSpare()
	pools := &interceptors.Pools{Models: map[string][]interceptors.Target{
		"smart": {
			{Provider: main, Model: "gpt-5"},
			{Provider: spare, Model: "our-deployment", Tier: 1},
		},
	}}
	router := llmproxy.NewAutoRouter(
		llmproxy.WithProvider(main, spare), llmproxy.WithDetector(pools), llmproxy.WithInterceptor(pools),
	)
	answer := ask(router, "smart")
	fmt.Println(answer.Status, answer.Header.Get("X-Gateway-Provider"), answer.Header.Get("X-Gateway-Model"))
	// Output: 200 OK azure our-deployment
}

func ExampleLimits() {
	provider, stop := serve("openai")
	defer stop()
	router := llmproxy.NewAutoRouter(
		llmproxy.WithProvider(provider),
		llmproxy.WithInterceptor(&interceptors.Limits{
			Per: interceptors.PerTag, Tag: "team", Quota: interceptors.Quota{Requests: 1, Tokens: 100_000},
		}),
	)
	for _, team := range []string{"red", "red", "blue"} {
		fmt.Println(team, ask(router, "gpt-5-mini", "X-Gateway-Tags", "team="+team).Status)
	}
	// Output:
	// red 200 OK
	// red 429 Too Many Requests
	// blue 200 OK
}

func ExampleHeaderBan() {
	provider, stop := serve("openai", "status=429")
	defer stop()
	router := llmproxy.NewAutoRouter(
		llmproxy.WithProvider(provider),
		llmproxy.WithInterceptor(&interceptors.HeaderBan{Response: []string{"x-ratelimit-reset-requests"}}),
	)
	answer := ask(router, "gpt-5-mini")
	fmt.Printf("%s, remaining %q, reset %q\n", answer.Status,
		answer.Header.Get("X-Ratelimit-Remaining-Requests"), answer.Header.Get("X-Ratelimit-Reset-Requests"))
	// Output: 429 Too Many Requests, remaining "0", reset ""
}

func ExampleAddHeader() {
	provider, stop := serve("openai")
	defer stop()
	router := llmproxy.NewAutoRouter(
		llmproxy.WithProvider(provider),
		llmproxy.WithInterceptor(&interceptors.AddHeader{
			Request:  http.Header{"User-Agent": {"our-gateway/1"}},
			Response: http.Header{"Cache-Control": {"no-store"}},
		}),
	)
	fmt.Println(ask(router, "gpt-5-mini").Header.Get("Cache-Control"))
	// Output: no-store
}

func ExampleFailure_Wait() {
	failure := &interceptors.Failure{
		Status: http.StatusTooManyRequests,
		Header: http.Header{},
		Body:   []byte(`{"error":{"message":"Rate limit reached. Please try again in 20s.","code":"rate_limit_exceeded"}}`),
	}
	pause, ok := failure.Wait(time.Now())
	fmt.Println(pause, ok, failure.Retryable(), failure.OutOfQuota())
	// Output: 20s true true false
}
