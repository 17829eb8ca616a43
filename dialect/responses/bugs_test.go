package responses_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/dialecttest"
	"github.com/llmproxy/llmproxy/dialect/responses"
)

// Bugs of other gateways that cost their users money, each as what must be true here.
// The comments name where each was reported.

// reads checks what is read out of a response with these members, as a body and as the
// terminal event of a stream.
func reads(t *testing.T, kind, members string, want llmproxy.Usage) (m llmproxy.ResponseMetadata) {
	t.Helper()
	for _, answer := range []string{
		`{"id":"resp_1","object":"response","model":"m-1","status":"` + kind + `",` + members + `}`,
		stream(created, delta, terminal(kind, `"status":"`+kind+`",`+members)),
	} {
		m, _ = dialecttest.Read(t, responses.New, answer)
		if diff := cmp.Diff(want, m.Usage); diff != "" || !m.UsageReported || m.Inconsistent || string(m.Outcome) != kind {
			t.Errorf("%s: %s, reported = %v, inconsistent = %v; want - got +:\n%s", answer, m.Outcome, m.UsageReported, m.Inconsistent, diff)
		}
	}
	return m
}

// BerriAI/litellm#6215, maximhq/bifrost#904: cached tokens were charged twice.
func TestTheCacheIsInsideTheInput(t *testing.T) {
	t.Parallel()
	m := reads(t, "completed",
		`"usage":{"input_tokens":10000,"input_tokens_details":{"cached_tokens":6000,"cache_write_tokens":2000},"output_tokens":1500,"output_tokens_details":{"reasoning_tokens":900},"total_tokens":11500}`,
		llmproxy.Usage{PromptTokens: 10_000, CompletionTokens: 1500, CacheRead: 6000, CacheWrite: 2000, Reasoning: 900})
	if got := m.Usage.Input(); got != 2000 {
		t.Errorf("%d fresh tokens, want 2000", got)
	}
}

// promptfoo/promptfoo#9507, langfuse/langfuse#11244: reasoning was added to the output that
// holds it. vercel/ai#12425: where it is beside it, says the total, it has to be.
func TestReasoningIsCountedOnce(t *testing.T) {
	t.Parallel()
	reads(t, "completed",
		`"usage":{"input_tokens":1000,"output_tokens":500,"total_tokens":1500,"input_tokens_details":{"cached_tokens":400},"output_tokens_details":{"reasoning_tokens":450}}`,
		llmproxy.Usage{PromptTokens: 1000, CompletionTokens: 500, CacheRead: 400, Reasoning: 450})
	reads(t, "completed",
		`"usage":{"input_tokens":32,"output_tokens":9,"total_tokens":151,"output_tokens_details":{"reasoning_tokens":110}}`,
		llmproxy.Usage{PromptTokens: 32, CompletionTokens: 119, Reasoning: 110})
}

// QuantumNous/new-api#7241, BerriAI/litellm#34351, agentgateway/agentgateway#3274: answers
// that ended incomplete, or failed, were billed at nothing or at a guess.
func TestEveryTerminalEventIsRead(t *testing.T) {
	t.Parallel()
	rates := llmproxy.CostInfo{Input: 1_000_000, Output: 4_000_000, Reasoning: 4_000_000} // flex
	for _, kind := range []string{"completed", "incomplete", "failed"} {
		m := reads(t, kind,
			`"service_tier":"flex","usage":{"input_tokens":3000,"output_tokens":1024,"total_tokens":4024,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},"output_tokens_details":{"reasoning_tokens":1024}}`,
			llmproxy.Usage{PromptTokens: 3000, CompletionTokens: 1024, Reasoning: 1024})
		if cost, err := rates.Cost(m.Usage); err != nil || cost.String() != "0.007096" {
			t.Errorf("%s costs %s, %v, want 0.007096", kind, cost, err)
		}
	}
}

// BerriAI/litellm#15227, as far as it is about counting: calls of the search tool are not
// in usage; what is billable of them is in tool_usage, where that is given.
func TestBillableSearchesAreCounted(t *testing.T) {
	t.Parallel()
	const tokens = `"usage":{"input_tokens":9,"output_tokens":3,"total_tokens":12}`
	reads(t, "completed", `"output":[{"type":"web_search_call"},{"type":"web_search_call"}],`+tokens,
		llmproxy.Usage{PromptTokens: 9, CompletionTokens: 3, WebSearches: 2})
	reads(t, "completed", `"output":[{"type":"web_search_call"},{"type":"web_search_call"}],"tool_usage":{"web_search":{"num_requests":1}},`+tokens,
		llmproxy.Usage{PromptTokens: 9, CompletionTokens: 3, WebSearches: 1})
}

// azerozero/grob#454, BerriAI/litellm#37994: zeros are a report only where nothing was said.
func TestZerosBesideOutput(t *testing.T) {
	t.Parallel()
	const zeros = `"usage":{"input_tokens":0,"output_tokens":0,"total_tokens":0}`
	if m, _ := dialecttest.Read(t, responses.New, stream(created, delta, terminal("completed", zeros))); m.UsageReported {
		t.Errorf("beside a text: reported %+v", m.Usage)
	}
	if m, _ := dialecttest.Read(t, responses.New, stream(created, terminal("completed", zeros))); !m.UsageReported {
		t.Error("beside nothing: not reported")
	}
}
