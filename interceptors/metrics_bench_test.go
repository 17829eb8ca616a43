package interceptors_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/interceptors"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// BenchmarkObservers makes exchanges without and with what every gateway has: logging to a
// text, metrics, tracing. What they cost is the difference; it does not grow with the
// events of a stream.
func BenchmarkObservers(b *testing.B) {
	provider, err := openai_compatible.New(openai_compatible.Config{Name: "openai", Type: "openai", BaseURL: "http://provider", APIKey: siteKey})
	if err != nil {
		b.Fatal(err)
	}
	for _, chain := range []struct {
		name string
		is   []llmproxy.Interceptor
	}{
		{"none", nil},
		{"all", []llmproxy.Interceptor{
			&interceptors.Tracing{}, &interceptors.Logging{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}, &interceptors.Metrics{},
		}},
	} {
		for _, stream := range []struct {
			name, body string
			events     int
		}{{"JSON", chatBody, 0}, {"1000-events", streamBody, 1000}} {
			b.Run(stream.name+"/"+chain.name, func(b *testing.B) {
				router := llmproxy.NewAutoRouter(llmproxy.WithProvider(provider), llmproxy.WithTransport(answers(stream.events)),
					llmproxy.WithInterceptor(chain.is...), llmproxy.WithLogger(slog.New(slog.DiscardHandler)))
				b.ReportAllocs()
				for b.Loop() {
					r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(stream.body))
					r.Header.Set("Content-Type", "application/json")
					w := &discarding{header: http.Header{}}
					if router.ServeHTTP(w, r); w.status != http.StatusOK {
						b.Fatalf("got %d", w.status)
					}
				}
			})
		}
	}
}
