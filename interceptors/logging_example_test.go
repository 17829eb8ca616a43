package interceptors_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/interceptors"
)

func ExampleLogging() {
	provider, stop := serve("openai")
	defer stop()
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: some("level", "msg", "provider", "model_requested", "status", "outcome", "prompt_tokens")}))
	router := llmproxy.NewAutoRouter(
		llmproxy.WithProvider(provider),
		llmproxy.WithInterceptor(&interceptors.Logging{Logger: logger, Start: slog.LevelInfo}),
	)
	ask(router, "gpt-5-mini")
	// Output:
	// level=INFO msg="exchange begins" provider=openai model_requested=gpt-5-mini
	// level=INFO msg="exchange ended" provider=openai model_requested=gpt-5-mini status=200 outcome=completed usage.prompt_tokens=3
}

// some leaves all attributes but those of the names out.
func some(names ...string) func([]string, slog.Attr) slog.Attr {
	return func(_ []string, a slog.Attr) slog.Attr {
		for _, name := range names {
			if a.Key == name {
				return a
			}
		}
		return slog.Attr{}
	}
}

func ExampleMetrics() {
	provider, stop := serve("openai", "", "status=429")
	defer stop()
	metrics := &interceptors.Metrics{}
	router := llmproxy.NewAutoRouter(llmproxy.WithProvider(provider), llmproxy.WithInterceptor(metrics))
	ask(router, "gpt-5-mini")
	ask(router, "gpt-5-mini")
	for _, s := range metrics.Snapshot() {
		fmt.Printf("%s %s %q: %d exchanges, %d tokens\n", s.Operation, s.Model, s.Error, s.Duration.Count(), s.InputTokens.Sum+s.OutputTokens.Sum)
	}
	// Output:
	// chat gpt-5-mini "": 1 exchanges, 8 tokens
	// chat gpt-5-mini "429": 1 exchanges, 0 tokens
}

// The client's trace goes on at the provider, and the client gets its id.
func ExampleTracing() {
	provider, stop := serve("openai")
	defer stop()
	router := llmproxy.NewAutoRouter(
		llmproxy.WithProvider(provider),
		llmproxy.WithInterceptor(&interceptors.Tracing{ResponseHeader: "X-Trace-Id"}),
	)
	answer := ask(router, "gpt-5-mini", "Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	fmt.Println(answer.Header.Get("X-Trace-Id"))
	// Output: 0af7651916cd43dd8448eb211c80319c
}

func ExamplePromptCaching() {
	provider, stop := serve("openai", "prompt-tokens=2000,cached-tokens=1920")
	defer stop()
	router := llmproxy.NewAutoRouter(
		llmproxy.WithProvider(provider),
		llmproxy.WithInterceptor(&interceptors.PromptCaching{
			Rules: []interceptors.CachingRule{
				{Models: []string{"*-nano"}, Off: true},
				{Long: true},
			},
			OnUsage: func(r *llmproxy.Record, u llmproxy.CacheUsage) {
				fmt.Println(u.CachedTokens, "of", r.Usage.PromptTokens, "tokens were cached")
			},
		}),
	)
	ask(router, "gpt-5-mini")
	// Output: 1920 of 2000 tokens were cached
}

// The provider never sees the name, nor does the client.
func ExampleRedaction() {
	provider, stop := serve("openai")
	defer stop()
	router := llmproxy.NewAutoRouter(
		llmproxy.WithProvider(provider),
		llmproxy.WithInterceptor(&interceptors.Redaction{
			Redactor: interceptors.MaskWords("[gone]", "are you", "You said"),
			Answers:  true,
		}),
	)
	text, err := io.ReadAll(ask(router, "gpt-5-mini").Body)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(contentOf(text))
	// Output: [gone]: How [gone]?
}

// contentOf is what an answer says.
func contentOf(answer []byte) string {
	var a struct {
		Choices []struct{ Message struct{ Content string } }
	}
	if err := json.Unmarshal(answer, &a); err != nil || len(a.Choices) == 0 {
		return string(answer)
	}
	return a.Choices[0].Message.Content
}
