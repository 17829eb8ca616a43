package dashboard_test

import (
	"io"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/llmproxy/llmproxy/internal/dashboard"
	"github.com/llmproxy/llmproxy/pricing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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
