package otel

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/llmproxy/llmproxy/adapter/internal/genaiattr"
	"github.com/llmproxy/llmproxy/interceptors"
)

// Meter records measurements with OpenTelemetry's instruments. It is safe for concurrent
// use.
type Meter struct {
	tokens                         metric.Int64Histogram
	duration, firstToken, perToken metric.Float64Histogram
	cost, unpriced                 metric.Int64Counter

	mu   sync.RWMutex // guards sets
	sets map[interceptors.MetricLabels]*sets
}

var _ interceptors.Meter = (*Meter)(nil)

// sets are the attributes of one set of labels, as instruments want them.
type sets struct{ plain, input, output metric.MeasurementOption }

// NewMeter returns a Meter with instruments of provider. An error is the provider's.
func NewMeter(provider metric.MeterProvider) (*Meter, error) {
	meter := provider.Meter(scope)
	m := &Meter{sets: map[interceptors.MetricLabels]*sets{}}
	var err error
	seconds := func(i genaiattr.Instrument, bounds ...float64) metric.Float64Histogram {
		h, herr := meter.Float64Histogram(i.Name, metric.WithUnit(i.Unit), metric.WithDescription(i.Description),
			metric.WithExplicitBucketBoundaries(bounds...))
		if herr != nil && err == nil {
			err = fmt.Errorf("instrument %s: %w", i.Name, herr)
		}
		return h
	}
	counter := func(name, unit, description string) metric.Int64Counter {
		c, cerr := meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(description))
		if cerr != nil && err == nil {
			err = fmt.Errorf("instrument %s: %w", name, cerr)
		}
		return c
	}
	// The bounds are those that the conventions advise.
	tokens, terr := meter.Int64Histogram(genaiattr.TokenUsage.Name, metric.WithUnit(genaiattr.TokenUsage.Unit),
		metric.WithDescription(genaiattr.TokenUsage.Description),
		metric.WithExplicitBucketBoundaries(1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864))
	if terr != nil {
		return nil, fmt.Errorf("instrument %s: %w", genaiattr.TokenUsage.Name, terr)
	}
	m.tokens = tokens
	m.duration = seconds(genaiattr.Duration, .01, .02, .04, .08, .16, .32, .64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
	m.firstToken = seconds(genaiattr.FirstToken, .001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10)
	m.perToken = seconds(genaiattr.PerToken, .01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5)
	// Money is counted in whole picodollars: 1 USD is 1e12.
	m.cost = counter("llmproxy.cost", "pUSD", "Cost of exchanges whose price is known, in picodollars.")
	m.unpriced = counter("llmproxy.unpriced_exchanges", "{exchange}", "Exchanges that consumed something without a known price.")
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Measure records x.
func (m *Meter) Measure(ctx context.Context, x interceptors.Measurement) {
	s := m.of(x.MetricLabels)
	m.duration.Record(ctx, x.Duration.Seconds(), s.plain)
	record := func(h metric.Float64Histogram, d time.Duration) {
		if d > 0 {
			h.Record(ctx, d.Seconds(), s.plain)
		}
	}
	record(m.firstToken, x.TimeToFirstToken)
	record(m.perToken, x.TimePerOutputToken)
	if x.UsageKnown {
		m.tokens.Record(ctx, x.Usage.PromptTokens, s.input)
		m.tokens.Record(ctx, x.Usage.CompletionTokens, s.output)
	}
	if x.Cost > 0 {
		m.cost.Add(ctx, int64(x.Cost), s.plain)
	}
	if x.Unpriced {
		m.unpriced.Add(ctx, 1, s.plain)
	}
}

// of returns the attributes for l. There are as many as interceptors.Metrics has labels,
// which is bounded.
func (m *Meter) of(l interceptors.MetricLabels) *sets {
	m.mu.RLock()
	s := m.sets[l]
	m.mu.RUnlock()
	if s != nil {
		return s
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if s = m.sets[l]; s == nil {
		s = &sets{plain: withLabels(l, ""), input: withLabels(l, genaiattr.TokenInput), output: withLabels(l, genaiattr.TokenOutput)}
		m.sets[l] = s
	}
	return s
}

func withLabels(l interceptors.MetricLabels, token string) metric.MeasurementOption {
	var attrs []attribute.KeyValue
	for _, a := range [...]struct{ name, value string }{
		{genaiattr.OperationName, l.Operation},
		{genaiattr.ProviderName, l.Provider},
		{genaiattr.RequestModel, l.Model},
		{genaiattr.ErrorType, l.Error},
		{genaiattr.TokenType, token},
	} {
		if a.value != "" {
			attrs = append(attrs, attribute.String(a.name, a.value))
		}
	}
	return metric.WithAttributeSet(attribute.NewSet(attrs...))
}
