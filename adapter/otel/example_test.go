package otel_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/otel"
	"github.com/llmproxy/llmproxy/interceptors"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/openai"
)

// ask sends one request through a router with the interceptor.
func ask(i llmproxy.Interceptor) {
	up := httptest.NewServer(simulator.New(simulator.Options{}))
	defer up.Close()
	provider, err := openai.New(openai.Config{APIKey: "sk-example", BaseURL: up.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	transport := llmproxy.NewTransport()
	defer transport.CloseIdleConnections()
	router := llmproxy.NewAutoRouter(llmproxy.WithProvider(provider), llmproxy.WithInterceptor(i), llmproxy.WithTransport(transport))
	r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(`{"model":"gpt-5-mini","messages":[{"role":"user","content":"hello"}]}`))
	router.ServeHTTP(httptest.NewRecorder(), r)
}

// Spans go to any SDK: here one that keeps them.
func ExampleNewTracing() {
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	ask(otel.NewTracing(provider))
	for _, span := range spans.GetSpans() {
		fmt.Println(span.Name)
	}
	// Output: chat gpt-5-mini
}

// The interceptor counts, the Meter hands on.
func ExampleNewMeter() {
	reader := metric.NewManualReader()
	meter, err := otel.NewMeter(metric.NewMeterProvider(metric.WithReader(reader)))
	if err != nil {
		fmt.Println(err)
		return
	}
	ask(&interceptors.Metrics{Meter: meter})
	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range all.ScopeMetrics[0].Metrics {
		fmt.Println(m.Name)
	}
	// Output:
	// gen_ai.client.token.usage
	// gen_ai.server.request.duration
	// llmproxy.unpriced_exchanges
}
