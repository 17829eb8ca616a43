package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/coderws"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/openai"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEachTurnIsReported(t *testing.T) {
	t.Parallel()
	for name, sockets := range map[string]func() llmproxy.Option{"coder": coder, "gorilla": gorilla} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim := simulator.New(simulator.Options{APIKey: "sk-provider", AnyModel: true})
			upstream := httptest.NewServer(sim)
			t.Cleanup(upstream.Close)
			t.Cleanup(sim.Close)
			p, err := openai.New(openai.Config{BaseURL: upstream.URL, APIKey: "sk-provider"})
			if err != nil {
				t.Fatal(err)
			}
			lines := make(chan string, 4)
			router := newRouter(p, sockets(), func(turn int, m llmproxy.ResponseMetadata, b *llmproxy.BillingResult) {
				lines <- line(turn, m, b)
			})
			gateway := httptest.NewServer(router)
			t.Cleanup(gateway.Close)
			t.Cleanup(func() {
				if err := router.Shutdown(context.Background()); err != nil {
					t.Error(err)
				}
			})
			conn, _, err := coderws.Dialer{}.Dial(t.Context(), "ws"+strings.TrimPrefix(gateway.URL, "http")+"/v1/responses", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			for turn, tt := range []struct{ model, want string }{
				// Two words at 250,000 picodollars, four at 2,000,000.
				{"gpt-5-mini-2025-08-07", "turn 1, gpt-5-mini-2025-08-07: 2 + 4 tokens for $0.0000085"},
				{"my-model", "turn 2, my-model: 2 + 4 tokens at a price that is not known"},
			} {
				create := fmt.Sprintf(`{"type":"response.create","model":%q,"store":false,"input":"hello you"}`, tt.model)
				if err := conn.WriteMessage(llmproxy.WSText, []byte(create)); err != nil {
					t.Fatal(err)
				}
				for {
					_, p, err := conn.ReadMessage()
					if err != nil {
						t.Fatal(err)
					}
					if bytes.Contains(p, []byte(`"type":"response.completed"`)) {
						break
					}
				}
				if got := <-lines; got != tt.want {
					t.Errorf("turn %d: got %q, want %q", turn+1, got, tt.want)
				}
			}
		})
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	p, err := openai.New(openai.Config{APIKey: "sk-provider"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := serve(ctx, "127.0.0.1:0", newRouter(p, coder(), report)); err != nil {
		t.Errorf("serve: %v", err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if err := serve(t.Context(), taken.Addr().String(), newRouter(p, coder(), report)); err == nil {
		t.Error("serve: an address that is taken was served")
	}
}
