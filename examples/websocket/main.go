// Command websocket serves the WebSocket mode of Responses and says what each turn costs.
//
// It is written with coder/websocket. Programs that have gorilla/websocket already start
// it with -library gorilla.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/coderws"
	"github.com/llmproxy/llmproxy/adapter/gorillaws"
	"github.com/llmproxy/llmproxy/providers/openai"
)

func main() {
	library := flag.String("library", "coder", "coder or gorilla")
	flag.Parse()
	openAI, err := openai.New(openai.Config{APIKey: os.Getenv("OPENAI_API_KEY")})
	if err != nil {
		log.Fatal(err)
	}
	sockets := coder()
	if *library == "gorilla" {
		sockets = gorilla()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := serve(ctx, "127.0.0.1:8080", newRouter(openAI, sockets, report)); err != nil {
		log.Fatal(err)
	}
}

// coder has the sockets of github.com/coder/websocket.
func coder() llmproxy.Option {
	return llmproxy.WithWebSocket(coderws.Upgrader{}, coderws.Dialer{})
}

// gorilla has those of github.com/gorilla/websocket.
func gorilla() llmproxy.Option {
	return llmproxy.WithWebSocket(gorillaws.Upgrader{}, gorillaws.Dialer{})
}

// newRouter returns a router that tells each of every turn. Pages of the gateway's own
// host may connect, those of the listed origins, and no others.
func newRouter(p llmproxy.Provider, sockets llmproxy.Option, each llmproxy.WSBillingCallback) *llmproxy.AutoRouter {
	return llmproxy.NewAutoRouter(
		llmproxy.WithProvider(p),
		sockets,
		llmproxy.WithWebSocketOrigins("https://app.example.com"),
		llmproxy.WithLimits(llmproxy.Limits{WebSocket: llmproxy.WebSocketLimits{PerKey: 10, Lifetime: 55 * time.Minute}}),
		llmproxy.WithBilling(&llmproxy.BillingCalculator{Lookup: price}),
		llmproxy.WithWSBillingCallback(each),
	)
}

// price knows one model. Rates are in picodollars a token, which are microdollars per
// million tokens.
func price(q llmproxy.CostQuery) (llmproxy.CostInfo, bool) {
	return llmproxy.CostInfo{Input: 250_000, CacheRead: 25_000, Output: 2_000_000, Version: "example"}, q.Model == "gpt-5-mini-2025-08-07"
}

func report(turn int, m llmproxy.ResponseMetadata, b *llmproxy.BillingResult) {
	log.Println(line(turn, m, b))
}

// line is what is reported of a turn. Without a price b is nil.
func line(turn int, m llmproxy.ResponseMetadata, b *llmproxy.BillingResult) string {
	cost := "at a price that is not known"
	if b != nil {
		cost = "for $" + b.Cost.String()
	}
	return fmt.Sprintf("turn %d, %s: %d + %d tokens %s", turn, m.Model, m.Usage.PromptTokens, m.Usage.CompletionTokens, cost)
}

// serve serves router until ctx ends; then turns have a minute to end.
func serve(ctx context.Context, address string, router *llmproxy.AutoRouter) error {
	server := &http.Server{Addr: address, Handler: router, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	// The server neither closes WebSockets nor waits for them: the router does both.
	err := router.Shutdown(late)
	return errors.Join(err, server.Shutdown(late))
}
