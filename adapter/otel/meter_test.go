package otel_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/otel"
	"github.com/llmproxy/llmproxy/interceptors"
)

var update = flag.Bool("update", false, "rewrite the golden file")

// collect returns all that reader has, one line each data point, sorted.
func collect(t *testing.T, reader *metric.ManualReader) string {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	var lines []string
	point := func(m metricdata.Metrics, set attribute.Set, value string) {
		lines = append(lines, fmt.Sprintf("%s [%s] {%s} %s", m.Name, m.Unit, set.Encoded(attribute.DefaultEncoder()), value))
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					point(m, p.Attributes, fmt.Sprintf("%d of %.3f in %v", p.Count, p.Sum, p.Bounds))
				}
			case metricdata.Histogram[int64]:
				for _, p := range data.DataPoints {
					point(m, p.Attributes, fmt.Sprintf("%d of %d in %v", p.Count, p.Sum, p.Bounds))
				}
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					point(m, p.Attributes, fmt.Sprint(p.Value))
				}
			default:
				t.Fatalf("%s is a %T", m.Name, m.Data)
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}

// The names are an interface: dashboards and alerts hold them.
func TestMetricNames(t *testing.T) {
	t.Parallel()
	reader := metric.NewManualReader()
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	defer func() { _ = provider.Shutdown(context.Background()) }()
	m, err := otel.NewMeter(provider)
	if err != nil {
		t.Fatal(err)
	}
	good := interceptors.Measurement{
		MetricLabels: interceptors.MetricLabels{Operation: "chat", Provider: "openai", Model: "gpt-5-mini"},
		Duration:     2 * time.Second, TimeToFirstToken: 100 * time.Millisecond, TimePerOutputToken: 20 * time.Millisecond,
		Usage: llmproxy.Usage{PromptTokens: 1000, CompletionTokens: 50}, UsageKnown: true, Cost: 1_250_000_000_001,
	}
	m.Measure(t.Context(), good)
	m.Measure(t.Context(), good)
	m.Measure(t.Context(), interceptors.Measurement{
		MetricLabels: interceptors.MetricLabels{Operation: "other", Error: "429"}, Duration: time.Second, Unpriced: true,
	})
	const golden = "testdata/metrics.txt"
	got := collect(t, reader)
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// What the interceptor counts, the instruments have.
func TestMeterOfExchanges(t *testing.T) {
	t.Parallel()
	reader := metric.NewManualReader()
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	defer func() { _ = provider.Shutdown(context.Background()) }()
	m, err := otel.NewMeter(provider)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, &interceptors.Metrics{Meter: m})
	_, rec := r.post(`{"model":"gpt-5-mini","stream":true,"input":"canary-prompt"}`)
	turn := r.turns("", `{"type":"response.create","model":"gpt-5-mini","store":false,"input":"hello"}`)[0]
	got := collect(t, reader)
	const labels = "{gen_ai.operation.name=chat,gen_ai.provider.name=openai,gen_ai.request.model=gpt-5-mini"
	for _, want := range []string{
		fmt.Sprintf("gen_ai.client.token.usage [{token}] %s,gen_ai.token.type=input} 2 of %d in", labels, rec.Usage.PromptTokens+turn.Usage.PromptTokens),
		fmt.Sprintf("gen_ai.client.token.usage [{token}] %s,gen_ai.token.type=output} 2 of %d in", labels, rec.Usage.CompletionTokens+turn.Usage.CompletionTokens),
		fmt.Sprintf("llmproxy.cost [pUSD] %s} %d", labels, rec.Cost+turn.Cost),
		fmt.Sprintf("gen_ai.server.time_to_first_token [s] %s} 2 of", labels),
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwithout\n%s", got, want)
		}
	}
	if strings.Contains(got, "canary") {
		t.Errorf("a secret is in\n%s", got)
	}
}
