package interceptors_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/interceptors"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// BenchmarkChain makes exchanges whose provider answers at once, with no interceptor, with
// each alone and with the whole chain: what they cost is the difference. That of a long
// stream is that of a short one.
func BenchmarkChain(b *testing.B) {
	provider, err := openai_compatible.New(openai_compatible.Config{Name: "openai", Type: "openai", BaseURL: "http://provider", APIKey: "sk-canary-provider"})
	if err != nil {
		b.Fatal(err)
	}
	other, err := openai_compatible.New(openai_compatible.Config{Name: "second", Type: "openai", BaseURL: "http://provider", APIKey: "sk-canary-provider"})
	if err != nil {
		b.Fatal(err)
	}
	providers := []llmproxy.Provider{provider, other}
	chains := []struct {
		name string
		of   []llmproxy.Interceptor
	}{{name: "none"}}
	var all []llmproxy.Interceptor
	for _, c := range cases() {
		if c.ReadsAnswer || c.ChangesAnswer { // not in the default chain
			continue
		}
		i := c.New(b, providers)
		all = append(all, i)
		chains = append(chains, struct {
			name string
			of   []llmproxy.Interceptor
		}{c.Name, []llmproxy.Interceptor{i}})
	}
	chains = append(chains, struct {
		name string
		of   []llmproxy.Interceptor
	}{"all", all})
	for _, events := range []int{0, 10, 1000} {
		for _, c := range chains {
			if events == 1000 && len(c.of) == 1 {
				continue
			}
			b.Run(fmt.Sprintf("%d-events/%s", events, c.name), func(b *testing.B) {
				router := llmproxy.NewAutoRouter(
					llmproxy.WithProvider(providers...), llmproxy.WithTransport(answers(events)), llmproxy.WithInterceptor(c.of...),
					llmproxy.WithLogger(slog.New(slog.DiscardHandler)),
				)
				body := chatBody
				if events > 0 {
					body = streamBody
				}
				b.ReportAllocs()
				for b.Loop() {
					r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(body))
					r.Header.Set("Content-Type", "application/json")
					r.Header.Set("Session-Id", "a conversation")
					w := &discarding{header: http.Header{}}
					if router.ServeHTTP(w, r); w.status != http.StatusOK {
						b.Fatalf("got %d", w.status)
					}
				}
			})
		}
	}
}

// answers answers with so many events, or 0: JSON.
func answers(events int) http.RoundTripper {
	kind, text := "application/json", `{"id":"chatcmpl-1","model":"gpt-5-mini","choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4}}`
	if events > 0 {
		kind = "text/event-stream"
		text = strings.Repeat(`data: {"id":"chatcmpl-1","choices":[{"delta":{"content":"x"}}]}`+"\n\n", events) +
			`data: {"id":"chatcmpl-1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}` + "\n\ndata: [DONE]\n\n"
	}
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {kind}}, Request: r,
			Body: io.NopCloser(strings.NewReader(text)), ContentLength: -1, ProtoMajor: 2,
		}, nil
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// discarding is a client that reads without looking.
type discarding struct {
	header http.Header
	status int
}

func (d *discarding) Header() http.Header         { return d.header }
func (d *discarding) Write(p []byte) (int, error) { return len(p), nil }
func (d *discarding) WriteHeader(status int)      { d.status = status }

// An exchange that nothing happens to costs a bounded number of allocations in the chain
// that the gateway has by default, whatever its answer. It must not run beside others: it
// counts theirs as well.
func TestChainAllocates(t *testing.T) {
	var providers []llmproxy.Provider
	for _, name := range []string{"openai", "second"} {
		p, err := openai_compatible.New(openai_compatible.Config{Name: name, Type: "openai", BaseURL: "http://provider", APIKey: "sk-canary-provider"})
		if err != nil {
			t.Fatal(err)
		}
		providers = append(providers, p)
	}
	body, err := llmproxy.ParseBody([]byte(chatBody))
	if err != nil {
		t.Fatal(err)
	}
	reply := &llmproxy.Reply{StatusCode: 200, Header: http.Header{}}
	ctx := t.Context()
	header := http.Header{}
	cost := func(chain ...llmproxy.Interceptor) float64 {
		next := func(context.Context, *llmproxy.Exchange) (*llmproxy.Reply, error) { return reply, nil }
		for _, i := range slices.Backward(chain) {
			inner := next
			next = func(ctx context.Context, x *llmproxy.Exchange) (*llmproxy.Reply, error) {
				return i.Intercept(ctx, x, inner)
			}
		}
		n := 0
		return testing.AllocsPerRun(100, func() {
			n++
			x := &llmproxy.Exchange{
				ID: strconv.Itoa(n), Method: http.MethodPost, Header: header, Body: body, Meta: llmproxy.BodyMetadata{Model: "gpt-5-mini"},
				Operation: llmproxy.Operation{API: llmproxy.APIChatCompletions, Path: "/chat/completions", JSON: true, Metered: true},
				Route:     llmproxy.Route{Provider: providers[0]},
			}
			if _, err := next(ctx, x); err != nil {
				t.Fatal(err)
			}
		})
	}
	metrics := &interceptors.Metrics{}
	limits := &interceptors.Limits{Per: interceptors.PerModel, Quota: interceptors.Quota{Requests: 1 << 40, Tokens: 1 << 40, Concurrent: 1 << 20}}
	pools := twoTargets(t, providers)
	retry := &interceptors.Retry{}
	caching := &interceptors.PromptCaching{}
	nothing := cost()
	for _, tt := range []struct {
		name  string
		chain []llmproxy.Interceptor
		most  float64
	}{
		// What it notes for the exchange's end.
		{"Metrics", []llmproxy.Interceptor{metrics}, 3},
		// The name of what the quota is of, what is held of it, and who is told of the end.
		{"Limits", []llmproxy.Interceptor{limits}, 5},
		// The order of the targets, what a retry inside learns, the conversation, and who is
		// told of the end.
		{"Pools", []llmproxy.Interceptor{pools}, 10},
		{"Retry", []llmproxy.Interceptor{retry}, 0},
		// The conversation's key, the edit, and the exchange that has it.
		{"PromptCaching", []llmproxy.Interceptor{caching}, 11},
		{"all", []llmproxy.Interceptor{metrics, limits, pools, retry, caching}, 25},
	} {
		got := cost(tt.chain...) - nothing
		t.Logf("%s: %v", tt.name, got)
		if got > tt.most {
			t.Errorf("%s: %v allocations, want at most %v", tt.name, got, tt.most)
		}
	}
}
