package dialect_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/chat"
	"github.com/llmproxy/llmproxy/dialect/dialecttest"
	"github.com/llmproxy/llmproxy/dialect/responses"
)

// What look-alikes count otherwise than OpenAI, in whole answers.
func TestLookAlikes(t *testing.T) {
	t.Parallel()
	response := func(usage string) string {
		return `{"object":"response","status":"completed","usage":` + usage + `}`
	}
	for _, tt := range []struct {
		name      string
		newReader func() llmproxy.ResponseExtractor
		answer    string
		want      llmproxy.Usage
	}{
		{
			"xAI chat: reasoning beside, the cache inside", chat.New,
			inChat(`{"prompt_tokens":12,"completion_tokens":2,"total_tokens":438,"prompt_tokens_details":{"text_tokens":12,"audio_tokens":0,"image_tokens":0,"cached_tokens":3},"completion_tokens_details":{"reasoning_tokens":424,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0},"num_sources_used":0}`),
			llmproxy.Usage{PromptTokens: 12, CompletionTokens: 426, CacheRead: 3, Reasoning: 424},
		},
		{
			"xAI chat: more cached than prompt, so it is beside", chat.New,
			inChat(`{"prompt_tokens":4142,"completion_tokens":254,"total_tokens":8724,"prompt_tokens_details":{"cached_tokens":4328}}`),
			llmproxy.Usage{PromptTokens: 8470, CompletionTokens: 254, CacheRead: 4328},
		},
		{
			"xAI chat: the cache and reasoning beside", chat.New,
			inChat(`{"prompt_tokens":4142,"completion_tokens":254,"total_tokens":8824,"prompt_tokens_details":{"cached_tokens":4328},"completion_tokens_details":{"reasoning_tokens":100}}`),
			llmproxy.Usage{PromptTokens: 8470, CompletionTokens: 354, CacheRead: 4328, Reasoning: 100},
		},
		{
			"xAI chat: images in the prompt, of which text_tokens are the rest", chat.New,
			inChat(`{"prompt_tokens":300,"completion_tokens":10,"total_tokens":310,"prompt_tokens_details":{"text_tokens":44,"image_tokens":256,"cached_tokens":4}}`),
			llmproxy.Usage{PromptTokens: 300, CompletionTokens: 10, InputImage: 256, CacheRead: 4},
		},
		{
			"xAI Responses: reasoning inside", responses.New,
			response(`{"input_tokens":100,"output_tokens":583,"total_tokens":683,"output_tokens_details":{"reasoning_tokens":380}}`),
			llmproxy.Usage{PromptTokens: 100, CompletionTokens: 583, Reasoning: 380},
		},
		{
			"xAI Responses: reasoning beside, as the total says", responses.New,
			response(`{"input_tokens":32,"output_tokens":9,"total_tokens":151,"output_tokens_details":{"reasoning_tokens":110}}`),
			llmproxy.Usage{PromptTokens: 32, CompletionTokens: 119, Reasoning: 110},
		},
		{
			"xAI Responses: more cached than input, and no total", responses.New,
			response(`{"input_tokens":4142,"output_tokens":254,"input_tokens_details":{"cached_tokens":4328}}`),
			llmproxy.Usage{PromptTokens: 8470, CompletionTokens: 254, CacheRead: 4328},
		},
		{
			"xAI Responses: what ran inside is in the counts", responses.New,
			response(`{"input_tokens":9212,"input_tokens_details":{"cached_tokens":3072},"output_tokens":3417,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":12629,"num_server_side_tools_used":3,"context_details":{"input_tokens":7622,"output_tokens":3219}}`),
			llmproxy.Usage{PromptTokens: 9212, CompletionTokens: 3417, CacheRead: 3072},
		},
		{
			"Perplexity chat", chat.New,
			inChat(`{"prompt_tokens":10,"completion_tokens":200,"total_tokens":210,"search_context_size":"low","cost":{"input_tokens_cost":0.00001,"output_tokens_cost":0.0002,"request_cost":0.005,"total_cost":0.00521}}`),
			llmproxy.Usage{PromptTokens: 10, CompletionTokens: 200},
		},
		{
			"Perplexity Agent API", responses.New,
			response(`{"input_tokens":500,"output_tokens":200,"total_tokens":700,"input_tokens_details":{"cache_creation_input_tokens":100,"cache_read_input_tokens":300},"tool_calls_details":{},"cost":{"total_cost":0.01}}`),
			llmproxy.Usage{PromptTokens: 500, CompletionTokens: 200, CacheRead: 300, CacheWrite: 100},
		},
		{
			"DeepSeek chat", chat.New,
			inChat(`{"prompt_tokens":366,"completion_tokens":63,"total_tokens":429,"prompt_tokens_details":{"cached_tokens":256},"completion_tokens_details":{"reasoning_tokens":18},"prompt_cache_hit_tokens":256,"prompt_cache_miss_tokens":110}`),
			llmproxy.Usage{PromptTokens: 366, CompletionTokens: 63, CacheRead: 256, Reasoning: 18},
		},
		{
			"DeepInfra", chat.New,
			inChat(`{"prompt_tokens":366,"completion_tokens":63,"total_tokens":429,"estimated_cost":0.0001}`),
			llmproxy.Usage{PromptTokens: 366, CompletionTokens: 63},
		},
	} {
		got, _ := dialecttest.Read(t, tt.newReader, tt.answer)
		if diff := cmp.Diff(tt.want, got.Usage); diff != "" || got.Inconsistent || got.CostReported {
			t.Errorf("%s: inconsistent = %v, charge = %v; want - got +:\n%s", tt.name, got.Inconsistent, got.CostReported, diff)
		}
	}
}

// The recorded answers on which the second opinion has none, by hand.
func TestRecordingsWithoutOpinion(t *testing.T) {
	t.Parallel()
	want := map[string]map[string]llmproxy.Usage{
		"deepseek": {
			"f2bc19a37ab40e05": {PromptTokens: 366, CompletionTokens: 63, CacheRead: 256, Reasoning: 18},
			"e0ea3d789fc71eb4": {PromptTokens: 444, CompletionTokens: 14, CacheRead: 384},
			"9218cccff43fa2f4": {PromptTokens: 366, CompletionTokens: 59, CacheRead: 256, Reasoning: 14},
			"9f9df306f29fe243": {PromptTokens: 440, CompletionTokens: 14, CacheRead: 384},
			"2cef7759f3f7dade": {PromptTokens: 90, CompletionTokens: 15, Reasoning: 7},
			"4cabfcb49dfec75b": {PromptTokens: 180, CompletionTokens: 40, CacheRead: 128, Reasoning: 38},
			"61aafc439dfb29ed": {PromptTokens: 189, CompletionTokens: 102, CacheRead: 128, Reasoning: 100},
		},
		"openrouter": {"1206311147d22e6e": {PromptTokens: 4020, CompletionTokens: 5, CacheWrite: 4012}},
		"together":   {"14882e3a8077fbae": {PromptTokens: 10, CompletionTokens: 512}},
	}
	for provider, left := range want {
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			dialecttest.Recordings(t, "..", provider, func(r dialecttest.Recording) {
				usage, ok := left[r.ID]
				if !ok {
					return
				}
				delete(left, r.ID)
				if r.Want.Usage != nil {
					t.Errorf("%s: there is an opinion: %v", r.ID, r.Want.Usage)
				}
				got, _ := dialecttest.Read(t, readerOf(r.Path), r.Response)
				if diff := cmp.Diff(usage, got.Usage); diff != "" || got.Inconsistent {
					t.Errorf("%s: inconsistent = %v; want - got +:\n%s", r.ID, got.Inconsistent, diff)
				}
			})
			for id := range left {
				t.Errorf("%s is not recorded", id)
			}
		})
	}
}
