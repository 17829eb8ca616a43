package llmproxy_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/openai"
)

// upstream stands in for a provider.
func upstream() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"model":"gpt-5-mini","choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}`)
	}))
}

type printRecorder struct{}

func (printRecorder) Begin(context.Context, *llmproxy.Record) error { return nil }

func (printRecorder) Record(_ context.Context, r *llmproxy.Record) error {
	fmt.Println(r.Provider, r.Model, r.Outcome, r.Usage.TotalTokens(), "tokens")
	return nil
}

// A router in a mux of your own. Every exchange leaves one record.
func ExampleNewAutoRouter() {
	up := upstream()
	defer up.Close()
	provider, err := openai.New(openai.Config{APIKey: "sk-example", BaseURL: up.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/", llmproxy.NewAutoRouter(llmproxy.WithProvider(provider), llmproxy.WithRecorder(printRecorder{})))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("POST", "/v1/chat/completions", strings.NewReader(`{"model":"openai/gpt-5-mini","messages":[]}`)))
	fmt.Println(w.Code, w.Header().Get("X-Gateway-Prompt-Tokens"))
	// Output:
	// openai gpt-5-mini completed 12 tokens
	// 200 9
}

// Forward returns the whole answer with what the meter read.
func ExampleProxy_Forward() {
	up := upstream()
	defer up.Close()
	provider, err := openai.New(openai.Config{APIKey: "sk-example", BaseURL: up.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := httptest.NewRequest("POST", "/v1/chat/completions", strings.NewReader(`{"model":"gpt-5-mini","messages":[]}`))
	resp, meta, err := llmproxy.NewProxy(provider).Forward(context.Background(), r)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(resp.StatusCode, meta.FinishReason, meta.Usage.PromptTokens, meta.Usage.CompletionTokens)
	// Output: 200 stop 9 3
}

// An interceptor sees every exchange on its way to the provider, and its answer.
func ExampleInterceptorFunc() {
	up := upstream()
	defer up.Close()
	provider, err := openai.New(openai.Config{APIKey: "sk-example", BaseURL: up.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	statuses := llmproxy.InterceptorFunc(func(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
		reply, err := next(ctx, x)
		if err == nil {
			fmt.Println(x.Operation.API, x.UpstreamModel(), reply.StatusCode)
		}
		return reply, err
	})
	router := llmproxy.NewAutoRouter(llmproxy.WithProvider(provider), llmproxy.WithInterceptor(statuses))
	router.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/v1/chat/completions", strings.NewReader(`{"model":"gpt-5-mini","messages":[]}`)))
	// Output: chat_completions gpt-5-mini 200
}

// Forwarding a stream by hand: a refusal before the first byte is yours to answer.
func ExampleAutoRouter_ForwardStreaming() {
	router := llmproxy.NewAutoRouter()
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", "/v1/chat/completions", strings.NewReader(`{"model":"gpt-5-mini","messages":[]}`))
	if _, err := router.ForwardStreaming(context.Background(), w, r); err != nil {
		if llmproxy.Begun(err) {
			panic(http.ErrAbortHandler) // the client must see that the answer is cut
		}
		llmproxy.WriteError(w, r, err)
	}
	fmt.Println(w.Code, w.Header().Get("Content-Type"))
	// Output: 404 application/json
}
