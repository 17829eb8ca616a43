package chat_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect"
	"github.com/llmproxy/llmproxy/dialect/chat"
	"github.com/llmproxy/llmproxy/dialect/dialecttest"
)

// Bugs of other gateways that cost their users money, each as what must be true here.
// The comments name where each was reported.

// bodyWith is an answer with a usage object, and streamWith the same as a stream.
func bodyWith(usage string) string {
	return `{"id":"c1","model":"m-1","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":` + usage + `}`
}

func streamWith(usage string) string {
	return first + text + finish + `data: {"id":"c1","model":"m-1","choices":[],"usage":` + usage + "}\n\n" + done
}

// counts checks what is read out of a usage object, in a body and in a stream, and what it
// costs at the rates of c; usd is "" where that does not matter.
func counts(t *testing.T, usage string, want llmproxy.Usage, c llmproxy.CostInfo, usd string) {
	t.Helper()
	for _, answer := range []string{bodyWith(usage), streamWith(usage)} {
		m, _ := dialecttest.Read(t, chat.New, answer)
		if diff := cmp.Diff(want, m.Usage); diff != "" || !m.UsageReported || m.Inconsistent {
			t.Errorf("%s: reported = %v, inconsistent = %v; want - got +:\n%s", answer, m.UsageReported, m.Inconsistent, diff)
		}
		if cost, err := c.Cost(m.Usage); usd != "" && (err != nil || cost.String() != usd) {
			t.Errorf("%s costs %s, %v, want %s", answer, cost, err, usd)
		}
	}
}

// BerriAI/litellm#6215, maximhq/bifrost#904: cached tokens were charged at the full rate
// and at the cache's. vellum-ai/vellum-assistant#37858, earendil-works/pi#6469,
// aplisay/llm-agent#345: what GPT-5.6 writes to the cache was ignored, or left in the input
// too.
func TestTheCacheIsInsideThePrompt(t *testing.T) {
	t.Parallel()
	rates := llmproxy.CostInfo{Input: 2_000_000, CacheRead: 200_000, CacheWrite: 2_500_000, Output: 8_000_000, Reasoning: 8_000_000}
	counts(t,
		`{"prompt_tokens":10000,"completion_tokens":1500,"total_tokens":11500,"prompt_tokens_details":{"cached_tokens":6000,"cache_write_tokens":2000},"completion_tokens_details":{"reasoning_tokens":900}}`,
		llmproxy.Usage{PromptTokens: 10_000, CompletionTokens: 1500, CacheRead: 6000, CacheWrite: 2000, Reasoning: 900},
		rates, "0.0222")
}

// BerriAI/litellm#5364, #11789: a stream lost the cache, and cost something else than the
// same answer in one piece. (counts holds both forms against each other everywhere here.)
func TestAStreamKeepsTheCache(t *testing.T) {
	t.Parallel()
	const report = `{"prompt_tokens":4096,"completion_tokens":300,"total_tokens":4396,"prompt_tokens_details":{"cached_tokens":2048}}`
	body, _ := dialecttest.Read(t, chat.New, bodyWith(report))
	streamed, _ := dialecttest.Read(t, chat.New, streamWith(report))
	if body.Usage != streamed.Usage || streamed.Usage.CacheRead != 2048 {
		t.Errorf("streamed %+v, in one piece %+v", streamed.Usage, body.Usage)
	}
}

// langfuse/langfuse#8808: reports that grow with each chunk were added up.
func TestReportsThatGrowAreNotAddedUp(t *testing.T) {
	t.Parallel()
	stream := first
	for _, report := range []string{
		`{"prompt_tokens":800,"completion_tokens":1,"total_tokens":801}`,
		`{"prompt_tokens":800,"completion_tokens":20,"total_tokens":820}`,
		`{"prompt_tokens":800,"completion_tokens":64,"total_tokens":864}`,
	} {
		stream += `data: {"choices":[{"index":0,"delta":{"content":"a"}}],"usage":` + report + "}\n\n"
	}
	m, _ := dialecttest.Read(t, chat.New, stream+finish+done)
	if want := (llmproxy.Usage{PromptTokens: 800, CompletionTokens: 64}); m.Usage != want {
		t.Errorf("got %+v, want %+v", m.Usage, want)
	}
}

// vercel/ai#12425, Wei-Shaw/sub2api#5771, UKGovernmentBEIS/inspect_ai#5528: reasoning that
// xAI counts beside the completion was dropped, or made the text negative. What xAI says
// it charged is what our figures come to.
func TestReasoningBesideTheCompletion(t *testing.T) {
	t.Parallel()
	const report = `{"prompt_tokens":1000,"completion_tokens":50,"total_tokens":1500,"prompt_tokens_details":{"text_tokens":1000,"cached_tokens":400},"completion_tokens_details":{"reasoning_tokens":450},"cost_in_usd_ticks":20800000}`
	rates := llmproxy.CostInfo{Input: 1_250_000, CacheRead: 200_000, Output: 2_500_000, Reasoning: 2_500_000}
	counts(t, report,
		llmproxy.Usage{PromptTokens: 1000, CompletionTokens: 500, CacheRead: 400, Reasoning: 450},
		rates, "0.00208")
	m, _ := dialecttest.Read(t, dialect.Charging(chat.New, dialect.Ticks), bodyWith(report))
	if cost, err := rates.Cost(m.Usage); err != nil || !m.CostReported || m.ProviderCost != cost {
		t.Errorf("xAI charged %s, our figures come to %s, %v", m.ProviderCost, cost, err)
	}
}

// promptfoo/promptfoo#9507: the opposite, reasoning was added though the total says that
// it is inside.
func TestReasoningInsideTheCompletion(t *testing.T) {
	t.Parallel()
	counts(t, `{"prompt_tokens":1000,"completion_tokens":500,"total_tokens":1500,"completion_tokens_details":{"reasoning_tokens":450}}`,
		llmproxy.Usage{PromptTokens: 1000, CompletionTokens: 500, Reasoning: 450}, llmproxy.CostInfo{}, "")
}

// langfuse/langfuse#11244: OpenAI's reasoning was added to the output that holds it.
func TestReasoningIsNotAddedToTheOutput(t *testing.T) {
	t.Parallel()
	rates := llmproxy.CostInfo{Output: 10_000_000, Reasoning: 10_000_000}
	counts(t, `{"prompt_tokens":30,"completion_tokens":1970,"total_tokens":2000,"completion_tokens_details":{"reasoning_tokens":956}}`,
		llmproxy.Usage{PromptTokens: 30, CompletionTokens: 1970, Reasoning: 956}, rates, "0.0197")
}

// Portkey-AI/gateway#1338: Groq reports in x_groq and, where it is asked to, in a chunk of
// its own. They are one report.
func TestGroqReportsTwice(t *testing.T) {
	t.Parallel()
	const report = `{"prompt_tokens":4096,"completion_tokens":300,"total_tokens":4396,"prompt_tokens_details":{"cached_tokens":2048},"completion_tokens_details":{"reasoning_tokens":120}}`
	want := llmproxy.Usage{PromptTokens: 4096, CompletionTokens: 300, CacheRead: 2048, Reasoning: 120}
	groq := `data: {"id":"c1","model":"m-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"id":"r","usage":` + report + "}}\n\n"
	own := `data: {"id":"c1","model":"m-1","choices":[],"usage":` + report + "}\n\n"
	for name, stream := range map[string]string{
		"both": first + groq + own + done, "the other way round": first + own + groq + done,
		"x_groq alone": first + groq + done, "a chunk alone": first + finish + own + done,
	} {
		if m, _ := dialecttest.Read(t, chat.New, stream); m.Usage != want || m.Inconsistent {
			t.Errorf("%s: got %+v, want %+v", name, m.Usage, want)
		}
	}
}

// diegosouzapw/OmniRoute#9750: usage was not read where its chunk has a choice.
func TestUsageBesideAChoice(t *testing.T) {
	t.Parallel()
	for _, choices := range []string{
		`[{"delta":{}}]`, `[{"index":0,"delta":{},"finish_reason":"stop"}]`, `[{"index":0,"delta":{"content":"the last word"}}]`, `[]`, `null`,
	} {
		m, _ := dialecttest.Read(t, chat.New, first+`data: {"choices":`+choices+`,"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}`+"\n\n"+done)
		if want := (llmproxy.Usage{PromptTokens: 7, CompletionTokens: 5}); m.Usage != want || !m.UsageReported {
			t.Errorf("choices %s: got %+v, want %+v", choices, m.Usage, want)
		}
	}
}

// BerriAI/litellm#31714: Fireworks' cached tokens were charged as fresh ones.
func TestFireworksReadsFromItsCache(t *testing.T) {
	t.Parallel()
	rates := llmproxy.CostInfo{Input: 1_400_000, CacheRead: 260_000, Output: 4_400_000}
	counts(t, `{"prompt_tokens":27000,"completion_tokens":350,"total_tokens":27350,"prompt_tokens_details":{"cached_tokens":20000}}`,
		llmproxy.Usage{PromptTokens: 27_000, CompletionTokens: 350, CacheRead: 20_000}, rates, "0.01654")
}

// BerriAI/litellm#30652 is about the price of a search; here is that they are counted, with
// the citations and the reasoning that Perplexity has beside both totals.
func TestDeepResearchIsBesideItsTotals(t *testing.T) {
	t.Parallel()
	rates := llmproxy.CostInfo{Input: 2_000_000, Citation: 2_000_000, Output: 8_000_000, Reasoning: 3_000_000, WebSearch: 5_000_000_000}
	counts(t, `{"prompt_tokens":30,"completion_tokens":900,"total_tokens":930,"citation_tokens":5000,"reasoning_tokens":20000,"num_search_queries":12}`,
		llmproxy.Usage{PromptTokens: 5030, CompletionTokens: 20_900, Citation: 5000, Reasoning: 20_000, WebSearches: 12}, rates, "0.13726")
}

// langwatch/langwatch#7048: cached audio was charged as fresh audio.
func TestCachedAudioIsNotFresh(t *testing.T) {
	t.Parallel()
	rates := llmproxy.CostInfo{
		Input: 4_000_000, InputAudio: 32_000_000, CacheRead: 400_000, CacheReadAudio: 400_000, Output: 16_000_000, OutputAudio: 64_000_000,
	}
	counts(t,
		`{"prompt_tokens":1200,"completion_tokens":300,"total_tokens":1500,"prompt_tokens_details":{"cached_tokens":500,"audio_tokens":400,"cached_tokens_details":{"text_tokens":300,"audio_tokens":200}},"completion_tokens_details":{"audio_tokens":220}}`,
		llmproxy.Usage{PromptTokens: 1200, CompletionTokens: 300, InputAudio: 200, CacheRead: 300, CacheReadAudio: 200, OutputAudio: 220},
		rates, "0.02396")
}

// azerozero/grob#454: zeros beside a text were believed. BerriAI/litellm#37994: zeros that
// are the truth were replaced by a guess.
func TestZerosAreBelievedWhereNothingWasSaid(t *testing.T) {
	t.Parallel()
	const zeros = `data: {"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}` + "\n\n"
	m, _ := dialecttest.Read(t, chat.New, first+text+finish+zeros+done)
	if m.UsageReported {
		t.Errorf("beside a text: reported %+v", m.Usage)
	}
	m, _ = dialecttest.Read(t, chat.New, first+finish+zeros+done)
	if !m.UsageReported || m.Usage != (llmproxy.Usage{}) {
		t.Errorf("beside nothing: reported = %v, %+v", m.UsageReported, m.Usage)
	}
	m, _ = dialecttest.Read(t, chat.New, first+text+finish+usage+zeros+done)
	if want := (llmproxy.Usage{PromptTokens: 7, CompletionTokens: 5}); m.Usage != want {
		t.Errorf("after counts: %+v, want %+v", m.Usage, want)
	}
}

// AutomatosAI/automatos-ai#745, tailcallhq/forgecode#1641, BerriAI/litellm#11626: what
// OpenRouter charged and what the model's provider charged were added, the fee for using
// one's own account there passed for the whole cost, and streams lost both.
func TestOpenRouterStatesOneCharge(t *testing.T) {
	t.Parallel()
	const counts = `{"prompt_tokens":5000,"completion_tokens":400,"total_tokens":5400,"prompt_tokens_details":{"cached_tokens":3000,"cache_write_tokens":1000},"completion_tokens_details":{"reasoning_tokens":100}`
	want := llmproxy.Usage{PromptTokens: 5000, CompletionTokens: 400, CacheRead: 3000, CacheWrite: 1000, Reasoning: 100}
	for _, tt := range []struct {
		name, cost string
		charge     string // "" where none is stated
	}{
		{"its own account", `,"cost":0.01365,"is_byok":false}`, "0.01365"},
		{"its own account, with details", `,"cost":0.01365,"is_byok":false,"cost_details":{"upstream_inference_cost":0.012}}`, "0.01365"},
		{"the client's account", `,"cost":0.0007,"is_byok":true,"cost_details":{"upstream_inference_cost":0.01365}}`, ""},
		{"the client's account, for nothing", `,"cost":0,"is_byok":true,"cost_details":{"upstream_inference_cost":0.01365}}`, ""},
		{"for nothing", `,"cost":0,"is_byok":false}`, "0"},
		{"it does not say", `}`, ""},
	} {
		for _, answer := range []string{bodyWith(counts + tt.cost), streamWith(counts + tt.cost)} {
			m, _ := dialecttest.Read(t, dialect.Charging(chat.New, dialect.Credits), answer)
			got := ""
			if m.CostReported {
				got = m.ProviderCost.String()
			}
			if got != tt.charge || m.Usage != want {
				t.Errorf("%s: charged %q, want %q; usage %+v", tt.name, got, tt.charge, m.Usage)
			}
		}
	}
}
