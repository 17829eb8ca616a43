package interceptors_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/interceptors"
)

func TestMetricsOfEveryTransport(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			m := &interceptors.Metrics{}
			s := newSite(t, m)
			r := s.send(way.body, way.socket)
			all := m.Snapshot()
			if len(all) != 1 {
				t.Fatalf("got %d series: %+v", len(all), all)
			}
			got := all[0]
			if want := (interceptors.MetricLabels{Operation: "chat", Provider: "openai", Model: "gpt-5-mini"}); got.MetricLabels != want {
				t.Errorf("labels %+v, want %+v", got.MetricLabels, want)
			}
			if got.Duration.Count() != 1 || got.Duration.Sum != int64(r.Duration) {
				t.Errorf("duration %+v, want %v", got.Duration, r.Duration)
			}
			if got.InputTokens.Sum != r.Usage.PromptTokens || got.OutputTokens.Sum != r.Usage.CompletionTokens || got.InputTokens.Count() != 1 || r.Usage.PromptTokens == 0 {
				t.Errorf("tokens %+v %+v, want %+v", got.InputTokens, got.OutputTokens, r.Usage)
			}
			if got.Cost != r.Cost || r.Cost != llmproxy.USD(r.Usage.TotalTokens()*1_000_000) {
				t.Errorf("cost %v, want %v", got.Cost, r.Cost)
			}
			if streams := way.name != "JSON"; (got.TimeToFirstToken.Count() == 1) != streams || (got.TimePerOutputToken.Count() == 1) != streams {
				t.Errorf("first token %+v, per token %+v", got.TimeToFirstToken, got.TimePerOutputToken)
			} else if streams && got.TimePerOutputToken.Sum != int64(r.Duration-r.TTFT)/(r.Usage.CompletionTokens-1) {
				t.Errorf("per token %v of %v after %v", got.TimePerOutputToken.Sum, r.Duration, r.TTFT)
			}
		})
	}
}

func TestMetricsCountAnExchangeOnceInsideARetry(t *testing.T) {
	t.Parallel()
	m := &interceptors.Metrics{}
	s := newSite(t, twice(), m)
	s.send(ways[0].body, false)
	s.send(ways[0].body, false, "X-Simulate", "status=503")
	all := m.Snapshot()
	if len(all) != 2 || all[0].Error != "" || all[1].Error != "503" || all[0].Duration.Count() != 1 || all[1].Duration.Count() != 1 {
		t.Errorf("got %+v", all)
	}
}

// Names that clients make up get no label of their own, nor do more than there is room for.
func TestMetricsBoundModels(t *testing.T) {
	t.Parallel()
	m := &interceptors.Metrics{Models: 2}
	s := newSite(t, m)
	body := func(model string) string { return `{"model":"openai/` + model + `","input":"hello"}` }
	for i := range 20 {
		s.send(body(fmt.Sprint("made-up-", i)), false, "X-Simulate", "status=404")
	}
	for _, model := range []string{"a", "b", "c", "a", "d"} {
		s.send(body(model), false)
	}
	s.send(body("a"), false, "X-Simulate", "status=404")
	counts := map[string]int64{}
	for _, series := range m.Snapshot() {
		counts[series.Model+" "+series.Error] = series.Duration.Count()
	}
	if want := map[string]int64{"other 404": 20, "a ": 2, "b ": 1, "other ": 2, "a 404": 1}; !cmp.Equal(counts, want) {
		t.Error(cmp.Diff(want, counts))
	}
}

type meter struct {
	mu  sync.Mutex // guards all
	all []interceptors.Measurement
}

func (m *meter) Measure(_ context.Context, x interceptors.Measurement) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = append(m.all, x)
}

func TestMeterIsToldOfEveryMeasurement(t *testing.T) {
	t.Parallel()
	told := &meter{}
	s := newSite(t, &interceptors.Metrics{Meter: told})
	r := s.send(`{"model":"grok-4","input":"hello"}`, false)
	want := []interceptors.Measurement{{
		MetricLabels: interceptors.MetricLabels{Operation: "chat", Provider: "xai", Model: "grok-4"},
		Duration:     r.Duration, Usage: r.Usage, UsageKnown: true, Unpriced: true,
	}}
	if !cmp.Equal(told.all, want) {
		t.Error(cmp.Diff(want, told.all))
	}
	if got := (&interceptors.Metrics{}).Snapshot(); len(got) != 0 {
		t.Errorf("an unused one has %+v", got)
	}
}

func TestErrorType(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		outcome llmproxy.Outcome
		status  int
		want    string
	}{
		{llmproxy.OutcomeCompleted, 200, ""},
		{llmproxy.OutcomeIncomplete, 200, ""},
		{llmproxy.OutcomePending, 200, ""},
		{llmproxy.OutcomeFailed, 200, "failed"},
		{llmproxy.OutcomeError, 200, "error"},
		{llmproxy.OutcomeError, 429, "429"},
		{llmproxy.OutcomeError, 599, "599"},
		{llmproxy.OutcomeError, 999, "error"},
		{llmproxy.OutcomeCancelled, 499, "cancelled"},
		{llmproxy.OutcomeRejected, 401, "401"},
	} {
		if got := interceptors.ErrorType(&llmproxy.Record{Outcome: tt.outcome, Status: tt.status}); got != tt.want {
			t.Errorf("%s %d: got %q, want %q", tt.outcome, tt.status, got, tt.want)
		}
	}
}

func TestOperationName(t *testing.T) {
	t.Parallel()
	for api, want := range map[llmproxy.APIType]string{
		llmproxy.APIChatCompletions: "chat", llmproxy.APICompletions: "text_completion", llmproxy.APIResponses: "chat",
		llmproxy.APIEmbeddings: "embeddings", llmproxy.APIImages: "image_generation", llmproxy.APIMessages: "chat",
		llmproxy.APIGenerateContent: "generate_content", llmproxy.APIConverse: "chat", llmproxy.APIInvokeModel: "chat",
		llmproxy.APICohere: "chat", llmproxy.APIOllama: "chat", "": "other", "files": "other",
	} {
		if got := interceptors.OperationName(&llmproxy.Operation{API: api, Metered: true}); got != want {
			t.Errorf("%s: got %s, want %s", api, got, want)
		}
		if got := interceptors.OperationName(&llmproxy.Operation{API: api}); got != "other" {
			t.Errorf("%s, unmetered: got %s", api, got)
		}
	}
}

// A value on a bound is inside of it.
func TestHistogramBounds(t *testing.T) {
	t.Parallel()
	m := &interceptors.Metrics{}
	s := newSite(t, m)
	for _, words := range []int{1, 4, 5, 1024} {
		s.send(`{"model":"gpt-5-mini","input":"`+strings.Repeat("a ", words-1)+`a"}`, false)
	}
	h := m.Snapshot()[0].InputTokens
	if h.Bounds[0] != 1 || h.Bounds[1] != 4 || h.Bounds[2] != 16 || h.Counts[0] != 1 || h.Counts[1] != 1 || h.Counts[2] != 1 || h.Counts[5] != 1 || h.Sum != 1034 || h.Count() != 4 {
		t.Errorf("got %+v", h)
	}
	if got := m.Snapshot()[0].Duration.Bounds[0]; got != int64(10*time.Millisecond) {
		t.Errorf("the first bound of durations is %d", got)
	}
}
