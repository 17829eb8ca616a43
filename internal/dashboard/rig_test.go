package dashboard_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/dashboard"
	"github.com/llmproxy/llmproxy/ledger"
	"github.com/llmproxy/llmproxy/pricing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noon is when most tests take place.
var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func newDashboard(t *testing.T, o dashboard.Options) *dashboard.Dashboard {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	d, err := dashboard.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// someModels are those of two families of the embedded list.
func someModels() []dashboard.Model {
	list, err := pricing.Embedded()
	if err != nil {
		panic(err)
	}
	book, err := pricing.NewBook(nil, list)
	if err != nil {
		panic(err)
	}
	providers := []dashboard.Provider{{Name: "anthropic", Type: "anthropic"}, {Name: "my-openai", Type: "openai"}}
	return dashboard.ModelsOf(book.Rows(), time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC), providers, func(p dashboard.Provider) string { return p.Type })
}

// someProviders are those of a made-up history.
func someProviders(now time.Time) func() []dashboard.Provider {
	return func() []dashboard.Provider {
		return []dashboard.Provider{
			{Name: "openai", Type: "openai", State: dashboard.StateUp},
			{Name: "anthropic", Type: "anthropic", State: dashboard.StateUp},
			{Name: "groq", Type: "groq", State: dashboard.StateDown, Reason: "rate_limit", Until: now.Add(40 * time.Second)},
			{Name: "googleai", Type: "googleai", State: dashboard.StateUp},
			{Name: "bedrock", Type: "bedrock", State: dashboard.StateUp},
			{Name: "my-vllm", Type: "openai_compatible", State: dashboard.StateUp},
			{Name: "cohere", Type: "cohere"},
		}
	}
}

// ask sends one request to d, as a program on this machine.
func ask(t *testing.T, d http.Handler, method, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "http://localhost"+path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w
}

// page returns a page as a browser gets it.
func page(t *testing.T, d http.Handler, path string) string {
	t.Helper()
	w := ask(t, d, "GET", path, "Accept", "text/html")
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	return w.Body.String()
}

// storeOf keeps records.
func storeOf(t *testing.T, records ...llmproxy.Record) *ledger.Memory {
	t.Helper()
	s := ledger.NewMemory()
	if err := s.Append(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	return s
}

// at returns a dashboard of records whose clock stands at noon.
func at(t *testing.T, records ...llmproxy.Record) *dashboard.Dashboard {
	t.Helper()
	return newDashboard(t, dashboard.Options{Records: storeOf(t, records...), Now: func() time.Time { return noon }})
}

// answered is a record of an exchange that began so long before noon.
func answered(id string, before time.Duration, change func(*llmproxy.Record)) llmproxy.Record {
	r := llmproxy.Record{
		ID: id, Time: noon.Add(-before), Provider: "openai", API: llmproxy.APIResponses, Transport: llmproxy.TransportSSE,
		ModelRequested: "gpt-5", ModelAsked: "gpt-5", Model: "gpt-5", Status: 200, Outcome: llmproxy.OutcomeCompleted,
		FinishReason: "stop", Usage: llmproxy.Usage{PromptTokens: 1200, CompletionTokens: 340},
		UsageSource: llmproxy.UsageProvider, Cost: 749_600_000, CostKnown: true, CostState: llmproxy.CostExact,
		ListCost: 749_600_000, ListCostKnown: true, PriceVersion: "v1", Duration: 812 * time.Millisecond, TTFT: 190 * time.Millisecond,
	}
	if change != nil {
		change(&r)
	}
	return r
}
