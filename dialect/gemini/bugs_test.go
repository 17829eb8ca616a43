package gemini_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/dialecttest"
	"github.com/llmproxy/llmproxy/dialect/gemini"
)

// Bugs of other gateways that cost their users money, each as what must be true here.
// The comments name where each was reported.

// pro has the rates at which the bugs are priced.
var pro = llmproxy.CostInfo{Input: 1_250_000, InputTool: 1_250_000, CacheRead: 125_000, Output: 10_000_000, Reasoning: 10_000_000}

// counts checks what is read out of the reports of one answer, as a stream, as an array
// and, where there is one report, as a body; and what it costs at the rates of c.
func counts(t *testing.T, c llmproxy.CostInfo, want llmproxy.Usage, usd string, reports ...string) {
	t.Helper()
	var chunks []string
	for _, r := range reports {
		chunks = append(chunks, `{"candidates":[{"content":{"parts":[{"text":"hi"}]}}],"usageMetadata":`+r+`}`)
	}
	answers := []string{sse(chunks...), "[" + strings.Join(chunks, ",") + "]"}
	if len(chunks) == 1 {
		answers = append(answers, chunks[0])
	}
	for _, a := range answers {
		m, _ := dialecttest.Read(t, gemini.New, a)
		if diff := cmp.Diff(want, m.Usage); diff != "" || !m.UsageReported || m.Inconsistent {
			t.Errorf("%s: reported = %v, inconsistent = %v; want - got +:\n%s", a, m.UsageReported, m.Inconsistent, diff)
		}
		if cost, err := c.Cost(m.Usage); err != nil || cost.String() != usd {
			t.Errorf("%s costs %s, %v, want %s", a, cost, err, usd)
		}
	}
}

// BerriAI/litellm#14849: the cached part of the prompt was charged twice, because the text
// of the prompt was taken for all of it.
func TestTheCacheIsInsideThePrompt(t *testing.T) {
	t.Parallel()
	counts(t, pro, llmproxy.Usage{PromptTokens: 5000, CompletionTokens: 300, CacheRead: 3200}, "0.00565",
		`{"promptTokenCount":5000,"cachedContentTokenCount":3200,"candidatesTokenCount":300,"totalTokenCount":5300,"promptTokensDetails":[{"modality":"TEXT","tokenCount":5000}],"cacheTokensDetails":[{"modality":"TEXT","tokenCount":3200}]}`)
}

// agno-agi/agno#6624, langchain-ai/langchainjs#10164: every chunk reports what was used so
// far. Added up, that came to ten times the bill.
func TestReportsThatGrowAreNotAddedUp(t *testing.T) {
	t.Parallel()
	counts(t, pro, llmproxy.Usage{PromptTokens: 800, CompletionTokens: 154, Reasoning: 90}, "0.00254",
		`{"promptTokenCount":800,"thoughtsTokenCount":50,"totalTokenCount":850}`,
		`{"promptTokenCount":800,"candidatesTokenCount":20,"thoughtsTokenCount":90,"totalTokenCount":910}`,
		`{"promptTokenCount":800,"candidatesTokenCount":64,"thoughtsTokenCount":90,"totalTokenCount":954}`)
}

// Helicone/helicone#5604, danny-avila/LibreChat#13006, simonw/llm-gemini#75: thoughts were
// not charged. Where the candidates have them inside, they are not charged twice.
func TestThoughtsAreOutput(t *testing.T) {
	t.Parallel()
	counts(t, pro, llmproxy.Usage{PromptTokens: 1800, CompletionTokens: 1000, Reasoning: 700}, "0.01225",
		`{"promptTokenCount":1800,"candidatesTokenCount":300,"thoughtsTokenCount":700,"totalTokenCount":2800}`)
	counts(t, pro, llmproxy.Usage{PromptTokens: 100, CompletionTokens: 260, Reasoning: 200}, "0.002725",
		`{"promptTokenCount":100,"candidatesTokenCount":260,"thoughtsTokenCount":200,"totalTokenCount":360}`)
}

// QuantumNous/new-api#2935, BerriAI/litellm#24622, vercel/ai#16400: what tools gave back to
// the model was not charged, or as output, or made thoughts look as if they were inside the
// candidates.
func TestResultsOfToolsAreInput(t *testing.T) {
	t.Parallel()
	counts(t, pro, llmproxy.Usage{PromptTokens: 5400, CompletionTokens: 1000, CacheRead: 3200, InputTool: 400, Reasoning: 700}, "0.01315",
		`{"promptTokenCount":5000,"cachedContentTokenCount":3200,"candidatesTokenCount":300,"thoughtsTokenCount":700,"toolUsePromptTokenCount":400,"totalTokenCount":6400}`)
	counts(t, pro, llmproxy.Usage{PromptTokens: 12_530, CompletionTokens: 103, InputTool: 12_504}, "0.0166925",
		`{"promptTokenCount":26,"toolUsePromptTokenCount":12504,"candidatesTokenCount":103,"totalTokenCount":12633}`)
}

// BerriAI/litellm#17410, #18876: an image was charged as text. The details may list it
// alone: what they leave is text.
func TestAnImageIsNotText(t *testing.T) {
	t.Parallel()
	counts(t, llmproxy.CostInfo{Input: 2_000_000, Output: 12_000_000, Reasoning: 12_000_000, OutputImage: 120_000_000},
		llmproxy.Usage{PromptTokens: 300, CompletionTokens: 1600, OutputImage: 1120, Reasoning: 260}, "0.14076",
		`{"promptTokenCount":300,"candidatesTokenCount":1340,"candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":1120}],"thoughtsTokenCount":260,"totalTokenCount":1900}`)
}

// wso2/gateway-controllers#285: cached audio was taken off the prompt twice.
func TestCachedAudioIsNotFresh(t *testing.T) {
	t.Parallel()
	counts(t, llmproxy.CostInfo{Input: 300_000, InputAudio: 1_000_000, CacheRead: 30_000, CacheReadAudio: 100_000, Output: 2_500_000},
		llmproxy.Usage{PromptTokens: 1600, CompletionTokens: 200, InputAudio: 500, CacheRead: 500, CacheReadAudio: 100}, "0.001175",
		`{"promptTokenCount":1600,"promptTokensDetails":[{"modality":"TEXT","tokenCount":1000},{"modality":"AUDIO","tokenCount":600}],"cachedContentTokenCount":600,"cacheTokensDetails":[{"modality":"TEXT","tokenCount":500},{"modality":"AUDIO","tokenCount":100}],"candidatesTokenCount":200,"totalTokenCount":1800,"trafficType":"ON_DEMAND"}`)
}
