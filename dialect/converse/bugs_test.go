package converse_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
)

// Bugs of other gateways that cost their users money, each as what must be true here.
// The comments name where each was reported.

const counted = `"usage":{"inputTokens":50,"outputTokens":200,"totalTokens":4274,"cacheReadInputTokens":1024,"cacheWriteInputTokens":3000`

// counts checks what is read out of usage, in a body and in a stream, and what it costs.
func counts(t *testing.T, usage string, want llmproxy.Usage, usd string) {
	t.Helper()
	c := llmproxy.CostInfo{
		Input: 3_000_000, CacheRead: 300_000, CacheWrite: 3_750_000, CacheWrite1h: 6_000_000, Output: 15_000_000,
		Multiplier: llmproxy.Ratio{Num: 11, Den: 10}, // of a regional profile
	}
	for name, events := range map[string][]event{
		"a body": {body(`{"output":{"message":{"content":[{"text":"hi"}],"role":"assistant"}},"stopReason":"end_turn",` + usage + `}`)},
		"a stream": {
			{"contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"hi"}}`},
			{"messageStop", `{"stopReason":"end_turn"}`},
			{"metadata", `{` + usage + `}`},
		},
	} {
		m, _ := read(nil, events...)
		if diff := cmp.Diff(want, m.Usage); diff != "" || !m.UsageReported || m.Inconsistent {
			t.Errorf("%s: reported = %v, inconsistent = %v; want - got +:\n%s", name, m.UsageReported, m.Inconsistent, diff)
		}
		if cost, err := c.Cost(m.Usage); err != nil || cost.String() != usd {
			t.Errorf("%s costs %s, %v, want %s", name, cost, err, usd)
		}
	}
}

// BerriAI/litellm#36762, earendil-works/pi#9457: cacheDetails were not read, and what is
// written for an hour was charged as if for five minutes.
func TestAnHoursWritesAreApart(t *testing.T) {
	t.Parallel()
	counts(t, counted+`,"cacheDetails":[{"ttl":"1h","inputTokens":2000},{"ttl":"5m","inputTokens":1000}]}`,
		llmproxy.Usage{PromptTokens: 4074, CompletionTokens: 200, CacheRead: 1024, CacheWrite: 1000, CacheWrite5m: 1000, CacheWrite1h: 2000},
		"0.02112792")
}

// Portkey-AI/gateway#1210, #1564, BerriAI/litellm#15292: the prompt was now with the cache
// and now without it, and a cost could be negative. Portkey-AI/gateway#1211: counters have
// older names beside the new ones, which are no further tokens.
func TestThePromptHoldsTheCacheOnce(t *testing.T) {
	t.Parallel()
	want := llmproxy.Usage{PromptTokens: 4074, CompletionTokens: 200, CacheRead: 1024, CacheWrite: 3000}
	counts(t, counted+`}`, want, "0.01617792")
	counts(t, counted+`,"cacheReadInputTokenCount":1024,"cacheWriteInputTokenCount":3000}`, want, "0.01617792")
}
