package interceptors

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/llmproxy/llmproxy"
)

// Metrics counts exchanges, WebSocket turns included: how long they take, what they
// consume and cost, how they end. It keeps the counts itself, for [Metrics.Snapshot], and
// hands each measurement to a [Meter] where there is one. Package adapter/prometheus shows
// the counts at /metrics, adapter/otel is a Meter.
//
// Labels are bounded: providers are those that are configured, models at most Models,
// everything else comes from short lists. There is none for keys, tags or ids.
//
// It belongs outside of retries and fallbacks; inside, an exchange is still counted once.
// The zero value is ready. A Metrics is safe for concurrent use and must not be copied
// after the first.
type Metrics struct {
	// Models is how many models have labels of their own; the rest are "other". A model
	// gets one when it first answers well: names that clients make up get none. 0 means 200.
	Models int
	// Meter is told of every measurement; nil: nobody else is.
	Meter Meter

	once   once
	mu     sync.RWMutex // guards the maps
	models map[string]struct{}
	series map[MetricLabels]*series
}

// Meter records measurements somewhere else. It must be safe for concurrent use.
type Meter interface {
	// Measure is told of an exchange that has ended. ctx is that of its interception; it
	// may have been cancelled. The end of the answer waits for it.
	Measure(ctx context.Context, m Measurement)
}

// MetricLabels say what a measurement is of.
type MetricLabels struct {
	Operation string // gen_ai.operation.name; "other" where no model generates anything
	Provider  string // as it is configured; "" where none was chosen
	Model     string // the one the provider was asked for; "" where none was named
	Error     string // "" where the exchange went well, else an HTTP status or an outcome
}

// OtherModel is the label of models that have none of their own.
const OtherModel = "other"

// Measurement is what one exchange adds to the metrics.
type Measurement struct {
	MetricLabels
	Duration time.Duration
	// TimeToFirstToken is to the first byte of a stream; 0 elsewhere.
	TimeToFirstToken time.Duration
	// TimePerOutputToken is that of the tokens after the first, of streams that went well;
	// 0 elsewhere.
	TimePerOutputToken time.Duration
	Usage              llmproxy.Usage
	UsageKnown         bool
	Cost               llmproxy.USD // 0 unless known
	Unpriced           bool         // something was consumed, and no price is known
}

// Intercept implements [llmproxy.Interceptor].
func (m *Metrics) Intercept(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
	if m.once.enter(x.ID) {
		operation := OperationName(&x.Operation)
		x.OnSettled(func(r *llmproxy.Record) {
			m.once.leave(r.ID)
			m.measure(ctx, operation, r)
		})
	}
	return next(ctx, x)
}

func (m *Metrics) measure(ctx context.Context, operation string, r *llmproxy.Record) {
	measured := Measurement{
		MetricLabels: MetricLabels{Operation: operation, Provider: r.Provider, Error: ErrorType(r)},
		Duration:     r.Duration, TimeToFirstToken: r.TTFT,
		Usage: r.Usage, UsageKnown: r.UsageSource != llmproxy.UsageNone,
		Unpriced: r.CostState == llmproxy.CostUnpriced,
	}
	measured.Model = m.label(r.ModelAsked, measured.Error == "")
	if r.CostKnown {
		measured.Cost = r.Cost
	}
	if n := r.Usage.CompletionTokens; measured.Error == "" && measured.UsageKnown && r.TTFT > 0 && n > 1 {
		measured.TimePerOutputToken = (r.Duration - r.TTFT) / time.Duration(n-1)
	}
	m.of(measured.MetricLabels).add(&measured)
	if m.Meter != nil {
		m.Meter.Measure(ctx, measured)
	}
}

// label returns the label of model, which it may get now if earned is set.
func (m *Metrics) label(model string, earned bool) string {
	if model == "" {
		return ""
	}
	m.mu.RLock()
	_, known := m.models[model]
	m.mu.RUnlock()
	if known {
		return model
	}
	if !earned {
		return OtherModel
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known = m.models[model]; !known {
		if len(m.models) >= cmp.Or(m.Models, 200) {
			return OtherModel
		}
		if m.models == nil {
			m.models = map[string]struct{}{}
		}
		m.models[model] = struct{}{}
	}
	return model
}

// of returns the series of l.
func (m *Metrics) of(l MetricLabels) *series {
	m.mu.RLock()
	s := m.series[l]
	m.mu.RUnlock()
	if s != nil {
		return s
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if s = m.series[l]; s == nil {
		if m.series == nil {
			m.series = map[MetricLabels]*series{}
		}
		s = &series{}
		m.series[l] = s
	}
	return s
}

// OperationName is the gen_ai.operation.name of what is asked for: that of its API where a
// model works, "other" elsewhere.
func OperationName(op *llmproxy.Operation) string {
	if !op.Metered {
		return "other"
	}
	switch op.API {
	case llmproxy.APIChatCompletions, llmproxy.APIResponses, llmproxy.APIMessages, llmproxy.APIConverse,
		llmproxy.APIInvokeModel, llmproxy.APICohere, llmproxy.APIOllama:
		return "chat"
	case llmproxy.APICompletions:
		return "text_completion"
	case llmproxy.APIGenerateContent:
		return "generate_content"
	case llmproxy.APIEmbeddings:
		return "embeddings"
	case llmproxy.APIImages:
		return "image_generation"
	}
	return "other"
}

// ErrorType is the error.type of an exchange, from a short list: the HTTP status of an
// answer of 400 or more, else the outcome; "" where the exchange went well.
func ErrorType(r *llmproxy.Record) string {
	switch r.Outcome {
	case llmproxy.OutcomeCompleted, llmproxy.OutcomeIncomplete, llmproxy.OutcomePending:
		return ""
	case llmproxy.OutcomeCancelled:
		return string(r.Outcome)
	}
	if r.Status >= 400 && r.Status <= 599 {
		return strconv.Itoa(r.Status)
	}
	return string(r.Outcome)
}

// series is the counts of one set of labels.
type series struct {
	mu       sync.Mutex // guards the following
	duration counts
	ttft     counts
	perToken counts
	input    counts
	output   counts

	cacheRead, cacheWrite, reasoning int64
	cost                             llmproxy.USD
	unpriced                         int64
}

func (s *series) add(m *Measurement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.duration.add(durationBounds[:], int64(m.Duration))
	if m.TimeToFirstToken > 0 {
		s.ttft.add(firstTokenBounds[:], int64(m.TimeToFirstToken))
	}
	if m.TimePerOutputToken > 0 {
		s.perToken.add(perTokenBounds[:], int64(m.TimePerOutputToken))
	}
	if m.UsageKnown {
		s.input.add(tokenBounds[:], m.Usage.PromptTokens)
		s.output.add(tokenBounds[:], m.Usage.CompletionTokens)
		cache := m.Usage.Cache()
		s.cacheRead += int64(cache.CachedTokens)
		s.cacheWrite += int64(cache.CacheCreationTokens)
		s.reasoning += m.Usage.Reasoning
	}
	if s.cost > math.MaxInt64-m.Cost {
		s.cost = math.MaxInt64 // after nine million dollars
	} else {
		s.cost += m.Cost
	}
	if m.Unpriced {
		s.unpriced++
	}
}

// MetricsSnapshot is the counts of one moment, in the order of their labels.
type MetricsSnapshot []MetricSeries

// MetricSeries is the counts of one set of labels. Times are in nanoseconds.
type MetricSeries struct {
	MetricLabels
	Duration           Histogram // of every exchange
	TimeToFirstToken   Histogram // of those that stream
	TimePerOutputToken Histogram
	InputTokens        Histogram // of those with usage
	OutputTokens       Histogram

	// Parts of the tokens above.
	CacheRead, CacheWrite, Reasoning int64

	Cost     llmproxy.USD // of what is priced
	Unpriced int64        // exchanges that consumed something without a price
}

// Snapshot returns the counts so far. The caller owns them.
func (m *Metrics) Snapshot() MetricsSnapshot {
	m.mu.RLock()
	defer m.mu.RUnlock()
	all := make(MetricsSnapshot, 0, len(m.series))
	for l, s := range m.series {
		all = append(all, s.snapshot(l))
	}
	slices.SortFunc(all, func(a, b MetricSeries) int {
		return cmp.Or(cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Provider, b.Provider),
			cmp.Compare(a.Model, b.Model), cmp.Compare(a.Error, b.Error))
	})
	return all
}

func (s *series) snapshot(l MetricLabels) MetricSeries {
	s.mu.Lock()
	defer s.mu.Unlock()
	return MetricSeries{
		MetricLabels:       l,
		Duration:           s.duration.histogram(durationBounds[:]),
		TimeToFirstToken:   s.ttft.histogram(firstTokenBounds[:]),
		TimePerOutputToken: s.perToken.histogram(perTokenBounds[:]),
		InputTokens:        s.input.histogram(tokenBounds[:]),
		OutputTokens:       s.output.histogram(tokenBounds[:]),
		CacheRead:          s.cacheRead, CacheWrite: s.cacheWrite, Reasoning: s.reasoning,
		Cost: s.cost, Unpriced: s.unpriced,
	}
}
