// Command embed serves the gateway below /llm of a program that serves other things too.
package main

import (
	"context"
	"log"
	"net/http"
	"os"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/anthropic"
	"github.com/llmproxy/llmproxy/providers/openai"
)

func main() {
	openAI, err := openai.New(openai.Config{APIKey: os.Getenv("OPENAI_API_KEY")})
	if err != nil {
		log.Fatal(err)
	}
	claude, err := anthropic.New(anthropic.Config{APIKey: os.Getenv("ANTHROPIC_API_KEY")})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", handler(report, openAI, claude)))
}

// handler serves the gateway below /llm, with the first provider for models that none
// claims.
func handler(each record, providers ...llmproxy.Provider) http.Handler {
	router := llmproxy.NewAutoRouter(
		llmproxy.WithProvider(providers...),
		llmproxy.WithFallback(providers[0].Name()),
		llmproxy.WithRecorder(each),
	)
	mux := http.NewServeMux()
	mux.Handle("/llm/", http.StripPrefix("/llm", router))
	return mux
}

// A record is called once for each exchange, however it ended. It must not keep r.
type record func(r *llmproxy.Record)

// Begin is told of an exchange before it reaches the provider; an error would stop it.
func (f record) Begin(context.Context, *llmproxy.Record) error { return nil }

// Record is told how the exchange ended.
func (f record) Record(_ context.Context, r *llmproxy.Record) error {
	f(r)
	return nil
}

func report(r *llmproxy.Record) {
	log.Printf("%s %s %s: %d prompt and %d completion tokens (%s)",
		r.Provider, r.Model, r.Outcome, r.Usage.PromptTokens, r.Usage.CompletionTokens, r.UsageSource)
}
