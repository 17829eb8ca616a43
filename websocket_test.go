package llmproxy_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

func TestWebSocketConversation(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, simulator.Options{StrictWebSocket: true})
	s := r.connect("/v1/responses", "OpenAI-Beta", "responses_websockets=2026-02-06", "Cookie", "canary", "X-Codex-Window-Id", "w1")
	if got := s.header.Get("X-Gateway-Request-Id"); len(got) != 26 {
		t.Errorf("X-Gateway-Request-Id %q", got)
	}

	const tools = `"tools":[{"type":"function","name":"lookup","parameters":{"type":"object"}}]`
	s.create(`"model":"openai/gpt-5-mini","stream":true,"background":false,` + tools + `,"input":"use the tool lookup"`)
	first := s.until("response.completed")
	call := first.Response.Output[len(first.Response.Output)-1]
	s.create(`"model":"gpt-5-mini","previous_response_id":"` + first.Response.ID + `",` + tools + `,"input":[{"type":"function_call_output","call_id":"` + call.CallID + `","output":"42"}]`)
	second := s.until("response.completed")
	s.create(`"model":"gpt-5-mini","previous_response_id":"` + second.Response.ID + `","input":"thanks a lot"`)
	third := s.until("response.completed")
	if err := s.conn.(llmproxy.WSCloser).CloseWith(llmproxy.WSCloseNormal, "bye"); err != nil {
		t.Errorf("CloseWith: %v", err)
	}

	turns := r.turns()
	if len(turns) != 3 {
		t.Fatalf("the provider counted %d turns: %+v", len(turns), turns)
	}
	var connection string
	for i, want := range []event{first, second, third} {
		rec := r.record()
		if i == 0 {
			connection = rec.ConnectionID
		}
		got := llmproxy.Record{
			Provider: rec.Provider, API: rec.API, Transport: rec.Transport, ModelRequested: rec.ModelRequested, ModelAsked: rec.ModelAsked,
			Model: rec.Model, ResponseID: rec.ResponseID, ConnectionID: rec.ConnectionID, Turn: rec.Turn, Status: rec.Status,
			Outcome: rec.Outcome, UsageSource: rec.UsageSource, Attempts: rec.Attempts,
			Usage: llmproxy.Usage{PromptTokens: rec.Usage.PromptTokens, CompletionTokens: rec.Usage.CompletionTokens},
		}
		wanted := llmproxy.Record{
			Provider: "openai", API: llmproxy.APIResponses, Transport: llmproxy.TransportWebSocket, ModelRequested: "gpt-5-mini", ModelAsked: "gpt-5-mini",
			Model: "gpt-5-mini-2025-08-07", ResponseID: want.Response.ID, ConnectionID: connection, Turn: i + 1, Status: 200,
			Outcome: llmproxy.OutcomeCompleted, UsageSource: llmproxy.UsageProvider,
			Attempts: []llmproxy.Attempt{{Provider: "openai", Model: "gpt-5-mini", Status: 200}},
			Usage: llmproxy.Usage{
				PromptTokens: int64(turns[i].Usage.Prompt), CompletionTokens: int64(turns[i].Usage.Completion),
			},
		}
		if i == 0 {
			wanted.ModelRequested = "openai/gpt-5-mini"
		}
		if d := cmp.Diff(wanted, got); d != "" {
			t.Errorf("turn %d: want - got +\n%s", i+1, d)
		}
	}
	c := r.simulator.Connections()[0]
	if got := string(c.Frames[0].Data); got != `{"type":"response.create","store":false,"model":"gpt-5-mini",`+tools+`,"input":"use the tool lookup"}` {
		t.Errorf("the provider got %s", got)
	}
	if c.ClientCode != llmproxy.WSCloseNormal {
		t.Errorf("the provider's socket was closed with %d", c.ClientCode)
	}
	want := http.Header{"Authorization": {"Bearer " + providerKey}, "Openai-Beta": {"responses_websockets=2026-02-06"}, "X-Codex-Window-Id": {"w1"}}
	got := c.Header.Clone()
	for name := range got {
		if strings.HasPrefix(name, "Sec-Websocket-") || name == "Connection" || name == "Upgrade" || name == "User-Agent" {
			delete(got, name)
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("handshake: want - got +\n%s", d)
	}
}
