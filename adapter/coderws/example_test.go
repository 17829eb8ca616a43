package coderws_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/coderws"
	"github.com/llmproxy/llmproxy/providers/openai"
)

// upstream stands in for a provider: it answers one response.create.
func upstream(w http.ResponseWriter, r *http.Request) {
	conn, err := coderws.Upgrader{}.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	if _, _, err := conn.ReadMessage(); err != nil {
		return
	}
	_ = conn.WriteMessage(llmproxy.WSText, []byte(`{"type":"response.completed","response":{"id":"resp_1","object":"response","status":"completed","model":"gpt-5-mini","output":[],"usage":{"input_tokens":9,"output_tokens":3,"total_tokens":12}}}`))
	_, _, _ = conn.ReadMessage() // until the gateway closes
}

// A router that serves the WebSocket mode of Responses, and a client of it.
func Example() {
	up := httptest.NewServer(http.HandlerFunc(upstream))
	defer up.Close()
	provider, err := openai.New(openai.Config{APIKey: "sk-example", BaseURL: up.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	router := llmproxy.NewAutoRouter(
		llmproxy.WithProvider(provider),
		llmproxy.WithWebSocket(coderws.Upgrader{}, coderws.Dialer{}),
	)
	gateway := httptest.NewServer(router)
	defer gateway.Close()

	ctx := context.Background()
	conn, resp, err := coderws.Dialer{}.Dial(ctx, "ws"+strings.TrimPrefix(gateway.URL, "http")+"/v1/responses", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	if err := conn.WriteMessage(llmproxy.WSText, []byte(`{"type":"response.create","model":"gpt-5-mini","input":"Hello"}`)); err != nil {
		fmt.Println(err)
		return
	}
	_, event, err := conn.ReadMessage()
	fmt.Println(resp.StatusCode, strings.Contains(string(event), `"response.completed"`), err)
	// Output: 101 true <nil>
}
