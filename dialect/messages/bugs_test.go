package messages_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/dialecttest"
	"github.com/llmproxy/llmproxy/dialect/messages"
)

// Bugs of other gateways that cost their users money, each as what must be true here.
// The comments name where each was reported.

// sonnet has the rates at which the bugs are priced.
var sonnet = llmproxy.CostInfo{
	Input: 3_000_000, CacheRead: 300_000, CacheWrite: 3_750_000, CacheWrite1h: 6_000_000, Output: 15_000_000, Reasoning: 15_000_000,
	WebSearch: 10_000_000_000,
}

// counts checks what is read out of an answer, and what it costs.
func counts(t *testing.T, answer string, want llmproxy.Usage, usd string) {
	t.Helper()
	m, _ := dialecttest.Read(t, messages.New, answer)
	if diff := cmp.Diff(want, m.Usage); diff != "" || !m.UsageReported || m.Inconsistent {
		t.Errorf("%s: reported = %v, inconsistent = %v; want - got +:\n%s", answer, m.UsageReported, m.Inconsistent, diff)
	}
	if cost, err := sonnet.Cost(m.Usage); err != nil || cost.String() != usd {
		t.Errorf("%s costs %s, %v, want %s", answer, cost, err, usd)
	}
}

// whole is an answer in one piece, and parts the same with the reports of a stream.
func whole(report string) string {
	return `{"type":"message","role":"assistant","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","usage":` + report + `}`
}

func parts(start string, deltas ...string) string {
	events := []string{started(start), block, text, blocked}
	for i, d := range deltas {
		reason := "null"
		if i == len(deltas)-1 {
			reason = `"end_turn"`
		}
		events = append(events, ended(reason, d))
	}
	return stream(append(events, stopped)...)
}

// BerriAI/litellm#9812, maximhq/bifrost#3451: what was written to the cache was charged as
// input too, in streams as well. BerriAI/litellm#5364, #11789: a stream cost something else
// than the same answer in one piece.
func TestCacheWritesAreNoInput(t *testing.T) {
	t.Parallel()
	const report = `{"input_tokens":120,"cache_creation_input_tokens":3000,"cache_read_input_tokens":40000,"cache_creation":{"ephemeral_5m_input_tokens":3000,"ephemeral_1h_input_tokens":0},"output_tokens":700}`
	want := llmproxy.Usage{PromptTokens: 43_120, CompletionTokens: 700, CacheRead: 40_000, CacheWrite: 3000, CacheWrite5m: 3000}
	// 120 × 3 + 40,000 × 0.3 + 3000 × 3.75 + 700 × 15, in millionths
	counts(t, whole(report), want, "0.03411")
	counts(t, parts(strings.Replace(report, `:700`, `:1`, 1), `{"output_tokens":700}`), want, "0.03411")
	counts(t, parts(strings.Replace(report, `:700`, `:1`, 1), `{"input_tokens":120,"cache_creation_input_tokens":3000,"cache_read_input_tokens":40000,"output_tokens":700}`), want, "0.03411")
}

// tensorzero/tensorzero#5481: the output that a stream states at its start was added to the
// one at its end.
func TestTheOutputAtTheStartIsASeed(t *testing.T) {
	t.Parallel()
	counts(t, parts(`{"input_tokens":10,"output_tokens":1}`, `{"output_tokens":15}`), plain(10, 15), "0.000255")
	counts(t, parts(`{"input_tokens":10,"output_tokens":1}`, `{"output_tokens":4}`, `{"output_tokens":15}`), plain(10, 15), "0.000255")
}

// BerriAI/litellm#42663: tools that the provider runs make the input grow; the stream was
// priced by what its start said, up to 60 percent too low.
func TestServerToolsMakeTheInputGrow(t *testing.T) {
	t.Parallel()
	counts(t, parts(
		`{"input_tokens":120,"cache_creation_input_tokens":3000,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":3000,"ephemeral_1h_input_tokens":0},"output_tokens":1}`,
		`{"output_tokens":40}`,
		`{"input_tokens":150,"cache_creation_input_tokens":5000,"cache_read_input_tokens":3000,"output_tokens":90,"server_tool_use":{"web_search_requests":1}}`,
	), llmproxy.Usage{
		PromptTokens: 8150, CompletionTokens: 90, CacheRead: 3000, CacheWrite: 5000, CacheWrite5m: 3000, WebSearches: 1,
	}, "0.03145")
}

// BerriAI/litellm#29432: what is written for an hour was counted with what is written for
// five minutes.
func TestAnHoursWritesAreApart(t *testing.T) {
	t.Parallel()
	const report = `{"input_tokens":120,"cache_creation_input_tokens":3000,"cache_read_input_tokens":40000,"cache_creation":{"ephemeral_5m_input_tokens":1000,"ephemeral_1h_input_tokens":2000},"output_tokens":700,"output_tokens_details":{"thinking_tokens":250}}`
	want := llmproxy.Usage{
		PromptTokens: 43_120, CompletionTokens: 700, CacheRead: 40_000, CacheWrite: 1000, CacheWrite5m: 1000, CacheWrite1h: 2000, Reasoning: 250,
	}
	// 120 × 3 + 40,000 × 0.3 + 1000 × 3.75 + 2000 × 6 + 700 × 15, in millionths
	counts(t, whole(report), want, "0.03861")
	counts(t, parts(report, `{"output_tokens":700}`), want, "0.03861")
}

// pydantic/pydantic-ai#5065: a compaction is not in the top level, and was not charged.
// maximhq/bifrost#6500, BerriAI/litellm#27065: then without what it read from the cache and
// wrote to it.
func TestACompactionIsCharged(t *testing.T) {
	t.Parallel()
	const report = `{"input_tokens":23000,"output_tokens":1000,"cache_read_input_tokens":0,"cache_creation_input_tokens":0,"iterations":[` +
		`{"type":"compaction","input_tokens":20000,"output_tokens":3500,"cache_read_input_tokens":160000,"cache_creation_input_tokens":0},` +
		`{"type":"message","input_tokens":23000,"output_tokens":1000,"cache_read_input_tokens":0,"cache_creation_input_tokens":0}]}`
	want := llmproxy.Usage{PromptTokens: 203_000, CompletionTokens: 4500, CacheRead: 160_000}
	counts(t, whole(report), want, "0.2445")
	counts(t, parts(`{"input_tokens":23000,"output_tokens":1}`, report), want, "0.2445")

	written := strings.Replace(report, `"cache_creation_input_tokens":0},`, `"cache_creation_input_tokens":4000,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":4000}},`, 1)
	want.PromptTokens, want.CacheWrite1h = want.PromptTokens+4000, 4000
	counts(t, whole(written), want, "0.2685")
}

// azerozero/grob#454, BerriAI/litellm#37994: zeros are a report only where nothing was said.
func TestZerosBesideOutput(t *testing.T) {
	t.Parallel()
	if m, _ := dialecttest.Read(t, messages.New, parts(zeroes, zeroes)); m.UsageReported {
		t.Errorf("beside a text: reported %+v", m.Usage)
	}
	if m, _ := dialecttest.Read(t, messages.New, stream(started(zeroes), ended(`"end_turn"`, zeroes), stopped)); !m.UsageReported || m.Usage != (llmproxy.Usage{}) {
		t.Errorf("beside nothing: reported = %v, %+v", m.UsageReported, m.Usage)
	}
}

// sgl-project/sglang#20678, BerriAI/litellm#41406, router-for-me/CLIProxyAPI#1700: servers
// that do not know the input at the start say 0, and the truth at the end. Others are the
// other way round.
func TestTheStartMaySayZero(t *testing.T) {
	t.Parallel()
	counts(t, parts(`{"input_tokens":0,"output_tokens":0}`, `{"input_tokens":123,"output_tokens":15}`), plain(123, 15), "0.000594")
	counts(t, parts(`{"input_tokens":123,"output_tokens":0}`, `{"input_tokens":0,"output_tokens":15}`), plain(123, 15), "0.000594")
	counts(t, parts(`{"input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}`, `{"input_tokens":123,"cache_read_input_tokens":1000,"output_tokens":15}`),
		llmproxy.Usage{PromptTokens: 1123, CompletionTokens: 15, CacheRead: 1000}, "0.000894")
}
