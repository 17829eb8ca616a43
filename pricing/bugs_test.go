package pricing_test

import (
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/pricing"
)

// Bugs of other gateways that cost their users money, each as what must be true here.
// The comments name where each was reported.

// priced returns what u costs by the embedded list, and fails the test if there is no
// price for q.
func priced(t *testing.T, b *pricing.Book, q llmproxy.CostQuery, u llmproxy.Usage) llmproxy.USD {
	t.Helper()
	if q.Time.IsZero() {
		q.Time = opinionDay
	}
	q.PromptTokens = u.PromptTokens
	c, ok := b.Lookup(q)
	if !ok {
		t.Fatalf("no price for %+v", q)
	}
	usd, err := c.Cost(u)
	if err != nil {
		t.Fatal(err)
	}
	return usd
}

func want(t *testing.T, what string, got llmproxy.USD, usd string) {
	t.Helper()
	if got.String() != usd {
		t.Errorf("%s: $%s, want $%s", what, got, usd)
	}
}

// BerriAI/litellm#13810, #31837: flex was not priced; priority was billed though the
// request was served as default. The query holds what was served, and nothing else.
func TestTheTierServedIsBilled(t *testing.T) {
	t.Parallel()
	b := embeddedBook(t)
	u := llmproxy.Usage{PromptTokens: 1_000_000, CompletionTokens: 100_000, CacheRead: 400_000}
	// 0.6 × 1.25 + 0.4 × 0.125 + 0.1 × 10 = 1.8
	for _, tt := range []struct{ served, usd string }{
		{"", "1.8"},
		{"default", "1.8"},
		{"auto", "1.8"},
		{"flex", "0.9"},
		{"batch", "0.9"},
		{"priority", "3.6"},
		{"fast", "3.6"}, // what priority is asked for as, today
		{"scale", "0"},  // paid as capacity
	} {
		got := priced(t, b, llmproxy.CostQuery{Provider: "openai", Model: "gpt-5", ServiceTier: tt.served}, u)
		want(t, "gpt-5 served "+tt.served, got, tt.usd)
	}
	for _, unpriced := range []llmproxy.CostQuery{
		{Provider: "openai", Model: "gpt-5", ServiceTier: "a-new-tier"},
		{Provider: "openai", Model: "gpt-4o", ServiceTier: "flex"}, // not sold
		{Provider: "googleai", Model: "gemini-2.5-flash", ServiceTier: "priority"},
		{Provider: "groq", Model: "openai/gpt-oss-120b", ServiceTier: "performance"},
	} {
		unpriced.Time = opinionDay
		if c, ok := b.Lookup(unpriced); ok {
			t.Errorf("%s %s served %s: priced at %s", unpriced.Provider, unpriced.Model, unpriced.ServiceTier, c.Input)
		}
	}
}

// BerriAI/litellm#38378: fast was billed sixfold on models that had been served at
// standard speed, and cached tokens were left out of it.
func TestFastIsBilledWhereItServed(t *testing.T) {
	t.Parallel()
	b := embeddedBook(t)
	u := llmproxy.Usage{PromptTokens: 1_000_000, CacheRead: 500_000, CacheWrite: 100_000, CacheWrite1h: 100_000, CompletionTokens: 100_000}
	// Opus 4.8: 0.3 × 5 + 0.5 × 0.5 + 0.1 × 6.25 + 0.1 × 10 + 0.1 × 25 = 5.875
	for _, tt := range []struct{ model, speed, usd string }{
		{"claude-opus-4-8", "", "5.875"},
		{"claude-opus-4-8", "standard", "5.875"},
		{"claude-opus-4-8", "fast", "11.75"},
		{"claude-opus-4-7", "standard", "5.875"},
	} {
		got := priced(t, b, llmproxy.CostQuery{Provider: "anthropic", Model: tt.model, Speed: tt.speed}, u)
		want(t, tt.model+" served "+tt.speed, got, tt.usd)
	}
	if _, ok := b.Lookup(llmproxy.CostQuery{Provider: "anthropic", Model: "claude-haiku-4-5", Speed: "fast", Time: opinionDay}); ok {
		t.Error("a speed that has no price is priced")
	}
}

// BerriAI/litellm#34526, #38369, #28622: the surcharge of a region was missing, or left
// cached tokens out. It is for tokens, and not for calls of tools.
func TestARegionsSurchargeIsForAllTokens(t *testing.T) {
	t.Parallel()
	b := embeddedBook(t)
	u := llmproxy.Usage{
		PromptTokens: 43_120, CacheRead: 40_000, CacheWrite: 1000, CacheWrite1h: 2000, CompletionTokens: 700, Reasoning: 250,
		WebSearches: 2, WebFetches: 1,
	}
	anthropic := func(model, region string) llmproxy.USD {
		return priced(t, b, llmproxy.CostQuery{Provider: "anthropic", Model: model, Region: region}, u)
	}
	want(t, "in the United States", anthropic("claude-sonnet-4-6", "us"), "0.062471")
	want(t, "anywhere", anthropic("claude-sonnet-4-6", ""), "0.05861")
	want(t, "global", anthropic("claude-sonnet-4-6", "global"), "0.05861")
	want(t, "a model without regions", anthropic("claude-sonnet-4-5", "us"), "0.05861")
	bedrock := func(model string) llmproxy.USD {
		return priced(t, b, llmproxy.CostQuery{Provider: "bedrock", Model: model}, llmproxy.Usage{
			PromptTokens: 4074, CacheRead: 1024, CacheWrite: 1000, CacheWrite1h: 2000, CompletionTokens: 200,
		})
	}
	want(t, "Bedrock's regional profile", bedrock("eu.anthropic.claude-sonnet-4-6"), "0.02112792")
	want(t, "Bedrock's global profile", bedrock("global.anthropic.claude-sonnet-4-6"), "0.0192072")
	want(t, "a regional host", priced(t, b, llmproxy.CostQuery{Provider: "openai", Model: "gpt-5.4", Region: "eu"},
		llmproxy.Usage{PromptTokens: 100_000, CacheRead: 100_000}), "0.0275")
}

// Helicone/helicone#5765, #5779, BerriAI/litellm#30135, #40174: cached tokens stayed at
// the base price above the size; the size was ignored; xAI's own size begins at it.
// junhoyeo/tokscale#862, littlebearapps/mcp-audit#54: only what went beyond the size was
// dearer, and cache writes did not count towards it.
func TestTheWholeRequestIsAtTheLargerSizesPrice(t *testing.T) {
	t.Parallel()
	b := embeddedBook(t)
	for _, tt := range []struct {
		provider, model string
		usage           llmproxy.Usage
		usd             string
	}{
		{"openai", "gpt-5.5", llmproxy.Usage{PromptTokens: 272_000, CompletionTokens: 10}, "1.3603"},
		{"openai", "gpt-5.5", llmproxy.Usage{PromptTokens: 272_001, CacheRead: 200_000, CompletionTokens: 10}, "0.92046"},
		{"xai", "grok-4.3", llmproxy.Usage{PromptTokens: 199_999, CompletionTokens: 100}, "0.25024875"},
		{"xai", "grok-4.3", llmproxy.Usage{PromptTokens: 200_000, CompletionTokens: 100}, "0.5005"},
		{"googleai", "gemini-2.5-pro", llmproxy.Usage{PromptTokens: 200_000}, "0.25"},
		{"googleai", "gemini-2.5-pro", llmproxy.Usage{PromptTokens: 200_001}, "0.5000025"},
		{"vertexai", "gemini-2.5-pro", llmproxy.Usage{PromptTokens: 200_001}, "0.5000025"},
		// 100,000 fresh, 60,000 read and 40,001 written: more than 200,000 together.
		{
			"anthropic", "claude-sonnet-4-5",
			llmproxy.Usage{PromptTokens: 200_001, CacheRead: 60_000, CacheWrite: 40_001, CompletionTokens: 1000},
			"0.9585075",
		},
		{
			"openai", "gpt-5.6-sol",
			llmproxy.Usage{PromptTokens: 272_001, CacheRead: 200_000, CacheWrite: 72_000},
			"0.880008",
		},
	} {
		got := priced(t, b, llmproxy.CostQuery{Provider: tt.provider, Model: tt.model}, tt.usage)
		want(t, tt.model, got, tt.usd)
	}
}

// BerriAI/litellm#30652: the price of a search was divided by a thousand.
func TestASearchCostsWhatASearchCosts(t *testing.T) {
	t.Parallel()
	b := embeddedBook(t)
	got := priced(t, b, llmproxy.CostQuery{Provider: "perplexity", Model: "sonar-deep-research"}, llmproxy.Usage{
		PromptTokens: 5030, Citation: 5000, CompletionTokens: 20_900, Reasoning: 20_000, WebSearches: 12,
	})
	want(t, "deep research", got, "0.13726")
	for _, tt := range []struct{ provider, model, usd string }{
		{"anthropic", "claude-sonnet-4-6", "0.01"},
		{"openai", "gpt-5", "0.01"},
		{"xai", "grok-4.3", "0.005"},
		{"perplexity", "sonar-deep-research", "0.005"},
	} {
		want(t, tt.model, priced(t, b, llmproxy.CostQuery{Provider: tt.provider, Model: tt.model}, llmproxy.Usage{WebSearches: 1}), tt.usd)
	}
}

// BerriAI/litellm#31714: Fireworks' cached tokens were billed as fresh ones.
func TestFireworksCachedTokensHaveTheirPrice(t *testing.T) {
	t.Parallel()
	got := priced(t, embeddedBook(t), llmproxy.CostQuery{Provider: "fireworks", Model: "accounts/fireworks/models/glm-5p3"},
		llmproxy.Usage{PromptTokens: 27_000, CacheRead: 20_000, CompletionTokens: 350})
	want(t, "GLM 5.3", got, "0.01654")
}

// BerriAI/litellm#17410, #18876, #31142: images that a model made were billed as text,
// and images in the prompt not at all.
func TestImagesHaveTheirPrice(t *testing.T) {
	t.Parallel()
	b := embeddedBook(t)
	got := priced(t, b, llmproxy.CostQuery{Provider: "googleai", Model: "gemini-3-pro-image-preview"},
		llmproxy.Usage{PromptTokens: 300, CompletionTokens: 1600, OutputImage: 1120, Reasoning: 260})
	want(t, "an image of Gemini's", got, "0.14076")
	got = priced(t, b, llmproxy.CostQuery{Provider: "openai", Model: "gpt-image-1.5", API: llmproxy.APIImages},
		llmproxy.Usage{PromptTokens: 1500, InputImage: 1000, CompletionTokens: 4000, OutputImage: 4000})
	want(t, "an image of OpenAI's", got, "0.1385")
}

// langwatch/langwatch#7048, wso2/gateway-controllers#285: cached audio was billed as
// fresh audio, or taken off twice.
func TestCachedAudioHasItsPrice(t *testing.T) {
	t.Parallel()
	b := embeddedBook(t)
	got := priced(t, b, llmproxy.CostQuery{Provider: "openai", Model: "gpt-realtime"}, llmproxy.Usage{
		PromptTokens: 1200, InputAudio: 200, CacheRead: 300, CacheReadAudio: 200, CompletionTokens: 300, OutputAudio: 220,
	})
	want(t, "OpenAI's", got, "0.02396")
	got = priced(t, b, llmproxy.CostQuery{Provider: "vertexai", Model: "gemini-2.5-flash", ServiceTier: "ON_DEMAND"}, llmproxy.Usage{
		PromptTokens: 1600, InputAudio: 500, CacheRead: 500, CacheReadAudio: 100, CompletionTokens: 200,
	})
	want(t, "Vertex AI's", got, "0.001175")
}

// Portkey-AI/gateway#1210, #1564, BerriAI/litellm#15292: the same call cost something
// else, or less than nothing, by another route to the same model.
func TestTheSameCallCostsTheSameByEveryRoute(t *testing.T) {
	t.Parallel()
	b := embeddedBook(t)
	u := llmproxy.Usage{PromptTokens: 4074, CacheRead: 1024, CacheWrite: 1000, CacheWrite1h: 2000, CompletionTokens: 200}
	for _, tt := range []struct{ provider, model string }{
		{"anthropic", "claude-sonnet-4-5-20250929"},
		{"bedrock", "global.anthropic.claude-sonnet-4-5-20250929-v1:0"},
		{"vertexai", "claude-sonnet-4-5@20250929"},
		{"azure", "claude-sonnet-4-5"},
	} {
		want(t, tt.provider, priced(t, b, llmproxy.CostQuery{Provider: tt.provider, Model: tt.model}, u), "0.0192072")
	}
	c, _ := b.Lookup(llmproxy.CostQuery{Provider: "anthropic", Model: "claude-sonnet-4-5", Time: opinionDay})
	if usd, err := c.Cost(llmproxy.Usage{PromptTokens: 100, CacheRead: 200}); err == nil {
		t.Errorf("more read from the cache than there was: $%s", usd)
	}
}

// BerriAI/litellm#38341, #39861: a batch lost the price of its cached tokens, or that of
// its long prompt.
func TestABatchKeepsCacheAndSize(t *testing.T) {
	t.Parallel()
	b := embeddedBook(t)
	for _, tt := range []struct {
		tier string
		u    llmproxy.Usage
		usd  string
	}{
		{"", llmproxy.Usage{PromptTokens: 100_000, CacheRead: 50_000, CompletionTokens: 1000}, "0.3050"},
		{"batch", llmproxy.Usage{PromptTokens: 100_000, CacheRead: 50_000, CompletionTokens: 1000}, "0.1525"},
		{"", llmproxy.Usage{PromptTokens: 300_000, CacheRead: 200_000, CompletionTokens: 1000}, "1.245"},
		{"batch", llmproxy.Usage{PromptTokens: 300_000, CacheRead: 200_000, CompletionTokens: 1000}, "0.6225"},
	} {
		got := priced(t, b, llmproxy.CostQuery{Provider: "openai", Model: "gpt-5.5", ServiceTier: tt.tier}, tt.u)
		exact, err := llmproxy.ParseUSD(tt.usd)
		if err != nil || got != exact {
			t.Errorf("%q, %d tokens: $%s, want $%s", tt.tier, tt.u.PromptTokens, got, exact)
		}
	}
	// A list's own column for a tier, with its own size, stands before the factor.
	own := bookOf(t, "[f]\nm input=4 cache_read=1 output=8 @>=1001 input=8 cache_read=2 output=16 @batch>=0 input=1 cache_read=0.25 output=2 @batch>=1001 input=3 cache_read=0.5 output=5 *batch=1/2\n", nil)
	want(t, "the batch column", priced(t, own, llmproxy.CostQuery{Provider: "f", Model: "m", ServiceTier: "batch"}, llmproxy.Usage{PromptTokens: 1000, CacheRead: 400}), "0.0007")
	want(t, "the batch column for long prompts", priced(t, own, llmproxy.CostQuery{Provider: "f", Model: "m", ServiceTier: "batch"}, llmproxy.Usage{PromptTokens: 1001, CacheRead: 1001}), "0.0005005")
}

// vellum-ai/vellum-assistant#37858, earendil-works/pi#6469, aplisay/llm-agent#345: what
// GPT-5.6 wrote to the cache was not billed, or twice.
func TestCacheWritesOfOpenAIHaveTheirPrice(t *testing.T) {
	t.Parallel()
	b := embeddedBook(t)
	u := llmproxy.Usage{PromptTokens: 10_000, CacheRead: 6000, CacheWrite: 2000, CompletionTokens: 1500, Reasoning: 900}
	// 2000 × 2 + 6000 × 0.2 + 2000 × 2.5 + 1500 × 12, in millionths
	want(t, "GPT-5.6 Terra", priced(t, b, llmproxy.CostQuery{Provider: "openai", Model: "gpt-5.6-terra"}, u), "0.0282")
	// Before GPT-5.6 a write costs what any input does.
	want(t, "GPT-5.5", priced(t, b, llmproxy.CostQuery{Provider: "openai", Model: "gpt-5.5"}, u), "0.068")
}

// BerriAI/litellm#29432, #36762, earendil-works/pi#9457: what lives for an hour was
// billed at the price of what lives for five minutes.
func TestAnHoursWriteHasItsPrice(t *testing.T) {
	t.Parallel()
	b := embeddedBook(t)
	for _, tt := range []struct{ provider, model, short, long string }{
		{"anthropic", "claude-sonnet-4-6", "3.75", "6"},
		{"anthropic", "claude-sonnet-5-5", "2.5", "4"}, // its hour is in no list: twice the input
		{"bedrock", "global.anthropic.claude-sonnet-4-5-20250929-v1:0", "3.75", "6"},
		{"bedrock", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "4.125", "6.6"},
		{"vertexai", "claude-sonnet-4-5@20250929", "3.75", "6"},
	} {
		c, ok := b.Lookup(llmproxy.CostQuery{Provider: tt.provider, Model: tt.model, Time: opinionDay})
		if !ok || c.CacheWrite.String() != tt.short || c.CacheWrite1h.String() != tt.long {
			t.Errorf("%s %s: %s and %s, want %s and %s", tt.provider, tt.model, c.CacheWrite, c.CacheWrite1h, tt.short, tt.long)
		}
	}
}

// An unknown price is not a price of zero, and a model's name is not a guess.
func TestAnUnknownModelIsNotFree(t *testing.T) {
	t.Parallel()
	b := embeddedBook(t)
	for _, q := range []llmproxy.CostQuery{
		{Provider: "openai", Model: "gpt-7"},
		{Provider: "cerebras", Model: "qwen-3-coder-480b"},
		{Provider: "openai_compatible", Model: "gpt-5"},
		{Provider: "groq", Model: "gpt-5"},
	} {
		q.Time = opinionDay
		if c, ok := b.Lookup(q); ok || c != (llmproxy.CostInfo{}) {
			t.Errorf("%s %s: %v %+v", q.Provider, q.Model, ok, c)
		}
	}
}
