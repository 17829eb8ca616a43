package interceptors_test

import (
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/coderws"
	"github.com/llmproxy/llmproxy/interceptors"
	"github.com/llmproxy/llmproxy/interceptors/interceptorstest"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// suite tries interceptors with the simulator.
func suite() interceptorstest.Suite {
	return interceptorstest.Suite{
		Upstream: func(tb testing.TB) http.Handler {
			s := simulator.New(simulator.Options{})
			tb.Cleanup(s.Close)
			return s
		},
		Provider: func(tb testing.TB, name, baseURL string) llmproxy.Provider {
			tb.Helper()
			p, err := openai_compatible.New(openai_compatible.Config{Name: name, Type: "openai", BaseURL: baseURL, APIKey: "sk-canary-provider"})
			if err != nil {
				tb.Fatal(err)
			}
			return p
		},
		Upgrader: coderws.Upgrader{}, Dialer: coderws.Dialer{},
	}
}

// one returns a function that makes the interceptor with make, which needs no provider.
func one(make func() llmproxy.Interceptor) func(testing.TB, []llmproxy.Provider) llmproxy.Interceptor {
	return func(testing.TB, []llmproxy.Provider) llmproxy.Interceptor { return make() }
}

// cases are all interceptors of the package, one a line.
func cases() []interceptorstest.Case {
	return []interceptorstest.Case{
		{Name: "Retry", New: one(func() llmproxy.Interceptor { return &interceptors.Retry{Base: time.Millisecond} })},
		{Name: "Pools", New: twoTargets},
		{Name: "HeaderBan", New: one(func() llmproxy.Interceptor {
			return &interceptors.HeaderBan{Request: []string{"user-agent"}, Response: []string{"server"}}
		})},
		{Name: "AddHeader", New: one(func() llmproxy.Interceptor {
			return &interceptors.AddHeader{Request: http.Header{"X-Team": {"red"}}, Response: http.Header{"X-Served": {"1"}}}
		})},
		{Name: "Limits", New: one(func() llmproxy.Interceptor {
			return &interceptors.Limits{Per: interceptors.PerModel, Quota: interceptors.Quota{Requests: 1 << 40, Tokens: 1 << 40, Concurrent: 100}}
		})},
		{Name: "Logging", New: one(func() llmproxy.Interceptor {
			return &interceptors.Logging{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
		})},
		{Name: "Metrics", New: one(func() llmproxy.Interceptor { return &interceptors.Metrics{} })},
		{Name: "Tracing", New: one(func() llmproxy.Interceptor { return &interceptors.Tracing{} })},
		{Name: "PromptCaching", ChangesRequest: true, New: one(func() llmproxy.Interceptor {
			return &interceptors.PromptCaching{Styles: map[string]interceptors.CachingStyle{"first": interceptors.CachingOpenAI, "second": interceptors.CachingOpenAI}}
		})},
		// Further interceptors go here, one a line.
	}
}

// twoTargets is a pool in which the second provider helps the first.
func twoTargets(_ testing.TB, providers []llmproxy.Provider) llmproxy.Interceptor {
	return &interceptors.Pools{Models: map[string][]interceptors.Target{
		"gpt-5-mini": {{Provider: providers[0]}, {Provider: providers[1], Tier: 1}},
	}}
}

// Each interceptor, alone and in every order of two, over JSON, streams and WebSockets.
func TestSuite(t *testing.T) {
	t.Parallel()
	suite().RunPairs(t, cases()...)
}
