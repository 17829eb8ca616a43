package invoke_test

import "testing"

// Bugs of other gateways that cost their users money, each as what must be true here.
// The comments name where each was reported.

// Portkey-AI/gateway#1210, #1564: the same call came to other counts by another way in.
// Bedrock reports up to three times, and the reports are one.
func TestReportsOfOneAnswerAreOne(t *testing.T) {
	t.Parallel()
	const (
		own     = `"usage":{"input_tokens":50,"cache_read_input_tokens":1024,"cache_creation_input_tokens":3000,"cache_creation":{"ephemeral_5m_input_tokens":1000,"ephemeral_1h_input_tokens":2000},"output_tokens":`
		metrics = `"amazon-bedrock-invocationMetrics":{"inputTokenCount":50,"outputTokenCount":200,"cacheReadInputTokenCount":1024,"cacheWriteInputTokenCount":3000}`
	)
	want := usage{PromptTokens: 4074, CompletionTokens: 200, CacheRead: 1024, CacheWrite: 1000, CacheWrite5m: 1000, CacheWrite1h: 2000}
	m, _ := readBody(headers, `{"type":"message","role":"assistant","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn",`+own+`200}}`)
	if m.Usage != want || m.Inconsistent {
		t.Errorf("a body with a header: got %+v, want %+v", m.Usage, want)
	}
	m, _ = readStream(t,
		`{"type":"message_start","message":{"type":"message","content":[],`+own+`1}}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi"}}`,
		`{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":200}}`,
		`{"type":"message_stop",`+metrics+`}`,
	)
	if m.Usage != want || m.Inconsistent {
		t.Errorf("a stream with metrics: got %+v, want %+v", m.Usage, want)
	}
}
