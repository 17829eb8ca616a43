package llmproxy_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
)

var sample = llmproxy.Record{
	ID: "01K9XYZ", Time: time.Date(2026, 11, 23, 10, 0, 0, 123456789, time.UTC), Provider: "openai",
	API: llmproxy.APIResponses, Transport: llmproxy.TransportSSE, ModelRequested: "openai/gpt-5-mini",
	Model: "gpt-5-mini-2025-08-07", ResponseID: "resp_1", ProviderRequestID: "req_1", Status: 200,
	Outcome: llmproxy.OutcomeCompleted, FinishReason: "stop", ServiceTier: "default",
	Usage: llmproxy.Usage{
		PromptTokens: 1200, CompletionTokens: 340, CacheRead: 1000, CacheReadAudio: 24, CacheWrite: 20, CacheWrite5m: 20,
		CacheWrite1h: 30, InputAudio: 6, Reasoning: 128,
	},
	UsageSource: llmproxy.UsageProvider, CostState: llmproxy.CostProvider, Cost: 749_600_000, CostKnown: true,
	Duration: 812 * time.Millisecond, TTFT: 190 * time.Millisecond, Tags: map[string]string{"team": "a"},
	Attempts: []llmproxy.Attempt{{Provider: "openai", Model: "gpt-5-mini", Status: 200}},
}

func TestRecordJSON(t *testing.T) {
	t.Parallel()
	got, err := json.Marshal(&sample)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"id":"01K9XYZ","time":"2026-11-23T10:00:00.123Z","provider":"openai","api":"responses","transport":"sse",` +
		`"model_requested":"openai/gpt-5-mini","model":"gpt-5-mini-2025-08-07","response_id":"resp_1","provider_request_id":"req_1",` +
		`"status":200,"outcome":"completed","finish_reason":"stop","service_tier":"default",` +
		`"usage":{"prompt_tokens":1200,"completion_tokens":340,"total_tokens":1540,"cache_read_tokens":1024,"cache_read_audio_tokens":24,"cache_write_tokens":50,` +
		`"cache_write_5m_tokens":20,"cache_write_1h_tokens":30,"reasoning_tokens":128,"prompt_audio_tokens":30},` +
		`"usage_source":"provider","cost_usd":"0.0007496","cost_state":"provider","duration_ms":812,"ttft_ms":190,"tags":{"team":"a"},` +
		`"attempts":[{"provider":"openai","model":"gpt-5-mini","status":200}]}`
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Error(d)
	}
	free := llmproxy.Record{Outcome: llmproxy.OutcomeRejected, UsageSource: llmproxy.UsageNone, CostState: llmproxy.CostFree, CostKnown: true, Status: 404, Error: &llmproxy.RecordError{Type: "t", Code: "c", Message: "m"}}
	got, err = json.Marshal(&free)
	if err != nil || !strings.Contains(string(got), `"status":404,"outcome":"rejected","usage":{},"usage_source":"none","cost_usd":"0","cost_state":"free","duration_ms":0,"error":{"type":"t","code":"c","message":"m"}}`) {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestRecordLog(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	log.Info("exchange", slog.Any("", &sample))
	const want = `{"level":"INFO","msg":"exchange","id":"01K9XYZ","provider":"openai","api":"responses","transport":"sse",` +
		`"model_requested":"openai/gpt-5-mini","model":"gpt-5-mini-2025-08-07","response_id":"resp_1","provider_request_id":"req_1",` +
		`"status":200,"outcome":"completed","finish_reason":"stop","service_tier":"default",` +
		`"usage":{"prompt_tokens":1200,"completion_tokens":340,"total_tokens":1540,"cache_read_tokens":1024,"cache_read_audio_tokens":24,"cache_write_tokens":50,` +
		`"cache_write_5m_tokens":20,"cache_write_1h_tokens":30,"reasoning_tokens":128,"prompt_audio_tokens":30},` +
		`"usage_source":"provider","cost_usd":"0.0007496","cost_state":"provider","duration_ms":812,"ttft_ms":190,"tags":{"team":"a"}}` + "\n"
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Error(d)
	}
}

func TestUsageConsistent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		usage llmproxy.Usage
		want  bool
	}{
		{llmproxy.Usage{}, true},
		{llmproxy.Usage{PromptTokens: 10, CacheRead: 4, CacheWrite: 6, CompletionTokens: 3, Reasoning: 3}, true},
		{llmproxy.Usage{PromptTokens: 10, CacheRead: 5, CacheWrite: 6}, false},
		{llmproxy.Usage{CompletionTokens: 3, Reasoning: 4}, false},
		{llmproxy.Usage{PromptTokens: 5, CacheWrite: 1, CacheWrite5m: 2}, false},
		{llmproxy.Usage{WebSearches: -1}, false},
	} {
		if got := tt.usage.Consistent(); got != tt.want {
			t.Errorf("%+v: got %t", tt.usage, got)
		}
	}
}

func BenchmarkRecordLog(b *testing.B) {
	log := slog.New(slog.NewJSONHandler(io.Discard, nil))
	b.ReportAllocs()
	for b.Loop() {
		log.Info("exchange", slog.Any("", &sample))
	}
}
