package dialect_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect"
	"github.com/llmproxy/llmproxy/dialect/chat"
	"github.com/llmproxy/llmproxy/dialect/dialecttest"
	"github.com/llmproxy/llmproxy/dialect/responses"
)

func TestNormalise(t *testing.T) {
	t.Parallel()
	const (
		consistent   = false
		inconsistent = true
	)
	for _, tt := range []struct {
		name, usage  string
		want         llmproxy.Usage
		inconsistent bool
	}{
		// Spellings.
		{
			"prompt and completion", `{"prompt_tokens":10,"completion_tokens":4,"total_tokens":14}`,
			llmproxy.Usage{PromptTokens: 10, CompletionTokens: 4},
			consistent,
		},
		{
			"input and output", `{"input_tokens":10,"output_tokens":4,"total_tokens":14}`,
			llmproxy.Usage{PromptTokens: 10, CompletionTokens: 4},
			consistent,
		},
		{
			"both, and never added", `{"prompt_tokens":10,"input_tokens":10,"completion_tokens":4,"output_tokens":4,"total_tokens":14}`,
			llmproxy.Usage{PromptTokens: 10, CompletionTokens: 4},
			consistent,
		},
		{
			"details of a prompt", `{"prompt_tokens":100,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":50,"cache_write_tokens":10,"audio_tokens":5,"image_tokens":6,"video_tokens":7,"text_tokens":82}}`,
			llmproxy.Usage{PromptTokens: 100, CompletionTokens: 4, CacheRead: 50, CacheWrite: 10, InputAudio: 5, InputImage: 6, InputVideo: 7},
			consistent,
		},
		{
			"details of an input", `{"input_tokens":100,"output_tokens":4,"input_tokens_details":{"cached_tokens":50,"cache_write_tokens":10,"cache_write_tokens_details":{"ttl_30m_tokens":4,"ttl_12h_tokens":6}}}`,
			llmproxy.Usage{PromptTokens: 100, CompletionTokens: 4, CacheRead: 50, CacheWrite: 10},
			consistent,
		},
		{
			"details in the singular", `{"input_tokens":100,"output_tokens":4,"input_token_details":{"cached_tokens":50},"output_token_details":{"audio_tokens":3}}`,
			llmproxy.Usage{PromptTokens: 100, CompletionTokens: 4, CacheRead: 50, OutputAudio: 3},
			consistent,
		},
		{
			"one cache counter under three names", `{"prompt_tokens":100,"completion_tokens":4,"num_cached_tokens":50,"prompt_tokens_details":{"cached_tokens":50},"prompt_token_details":{"cached_tokens":50}}`,
			llmproxy.Usage{PromptTokens: 100, CompletionTokens: 4, CacheRead: 50},
			consistent,
		},
		{
			"a name that is not filled in", `{"prompt_tokens":100,"completion_tokens":4,"num_cached_tokens":0,"cached_tokens":50,"prompt_tokens_details":null}`,
			llmproxy.Usage{PromptTokens: 100, CompletionTokens: 4, CacheRead: 50},
			consistent,
		},
		{
			"a name that is not filled in, the other way round", `{"prompt_tokens":100,"completion_tokens":4,"cached_tokens":50,"prompt_tokens_details":{"cached_tokens":0}}`,
			llmproxy.Usage{PromptTokens: 100, CompletionTokens: 4, CacheRead: 50},
			consistent,
		},
		{
			"cache reads and writes in Anthropic's words", `{"prompt_tokens":100,"completion_tokens":4,"prompt_tokens_details":{"cache_read_input_tokens":50,"cache_creation_input_tokens":10}}`,
			llmproxy.Usage{PromptTokens: 100, CompletionTokens: 4, CacheRead: 50, CacheWrite: 10},
			consistent,
		},
		{
			"hits and misses", `{"prompt_tokens":100,"completion_tokens":4,"total_tokens":104,"prompt_cache_hit_tokens":60,"prompt_cache_miss_tokens":40,"prompt_tokens_details":{"cached_tokens":60}}`,
			llmproxy.Usage{PromptTokens: 100, CompletionTokens: 4, CacheRead: 60},
			consistent,
		},
		{
			"hits and misses without a prompt", `{"completion_tokens":4,"total_tokens":104,"prompt_cache_hit_tokens":60,"prompt_cache_miss_tokens":40}`,
			llmproxy.Usage{PromptTokens: 100, CompletionTokens: 4, CacheRead: 60},
			consistent,
		},
		{
			"hits and misses that are not the prompt", `{"prompt_tokens":100,"completion_tokens":4,"prompt_cache_hit_tokens":60,"prompt_cache_miss_tokens":41}`,
			llmproxy.Usage{PromptTokens: 100, CompletionTokens: 4, CacheRead: 60},
			inconsistent,
		},
		{
			"predictions", `{"prompt_tokens":10,"completion_tokens":40,"completion_tokens_details":{"accepted_prediction_tokens":7,"rejected_prediction_tokens":8}}`,
			llmproxy.Usage{PromptTokens: 10, CompletionTokens: 40, AcceptedPrediction: 7, RejectedPrediction: 8},
			consistent,
		},
		{
			"searches of OpenRouter", `{"prompt_tokens":10,"completion_tokens":4,"server_tool_use_details":{"web_search_requests":2,"tool_calls_executed":3}}`,
			llmproxy.Usage{PromptTokens: 10, CompletionTokens: 4, WebSearches: 2},
			consistent,
		},
		{
			"escaped names", `{"prompt\u005ftokens":10,"completion_tokens":4}`,
			llmproxy.Usage{PromptTokens: 10, CompletionTokens: 4},
			consistent,
		},

		// Numbers.
		{
			"integers, however spelled", `{"prompt_tokens":12.0,"completion_tokens":1.2e1,"total_tokens":240e-1}`,
			llmproxy.Usage{PromptTokens: 12, CompletionTokens: 12},
			consistent,
		},
		{
			"what is no count does not spoil the rest", `{"prompt_tokens":10,"completion_tokens":4,"total_tokens":"14","reasoning_tokens":1.5,"prompt_tokens_details":{"cached_tokens":-1,"audio_tokens":"3","image_tokens":1e300,"cache_write_tokens":2}}`,
			llmproxy.Usage{PromptTokens: 10, CompletionTokens: 4, CacheWrite: 2},
			inconsistent,
		},
		{
			"an absurd count is none", `{"prompt_tokens":10,"completion_tokens":9223372036854775807}`,
			llmproxy.Usage{PromptTokens: 10},
			inconsistent,
		},
		{
			"what is no number contradicts nothing", `{"prompt_tokens":10,"completion_tokens":4,"total_tokens":"14","num_search_queries":null,"prompt_tokens_details":{"cached_tokens":"-1"}}`,
			llmproxy.Usage{PromptTokens: 10, CompletionTokens: 4},
			consistent,
		},
		{"zero", `{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}`, llmproxy.Usage{}, consistent},
		{"a total only", `{"total_tokens":9}`, llmproxy.Usage{PromptTokens: 9}, consistent},
		{"a total and a completion", `{"completion_tokens":4,"total_tokens":9}`, llmproxy.Usage{PromptTokens: 5, CompletionTokens: 4}, consistent},
		{"a total and a prompt", `{"prompt_tokens":9,"total_tokens":12}`, llmproxy.Usage{PromptTokens: 9}, consistent},
		{"a prompt only", `{"prompt_tokens":9}`, llmproxy.Usage{PromptTokens: 9}, consistent},

		// Reasoning inside or beside.
		{
			"reasoning inside: langfuse/langfuse#11244", `{"prompt_tokens":30,"completion_tokens":1970,"total_tokens":2000,"completion_tokens_details":{"reasoning_tokens":956}}`,
			llmproxy.Usage{PromptTokens: 30, CompletionTokens: 1970, Reasoning: 956},
			consistent,
		},
		{
			"reasoning beside: vercel/ai#12425", `{"prompt_tokens":32,"completion_tokens":9,"total_tokens":151,"completion_tokens_details":{"reasoning_tokens":110}}`,
			llmproxy.Usage{PromptTokens: 32, CompletionTokens: 119, Reasoning: 110},
			consistent,
		},
		{
			"less reasoning than completion, and beside", `{"prompt_tokens":30,"completion_tokens":50,"total_tokens":90,"completion_tokens_details":{"reasoning_tokens":10}}`,
			llmproxy.Usage{PromptTokens: 30, CompletionTokens: 60, Reasoning: 10},
			consistent,
		},
		{
			"the total says inside: promptfoo/promptfoo#9507", `{"prompt_tokens":1000,"completion_tokens":500,"total_tokens":1500,"completion_tokens_details":{"reasoning_tokens":450}}`,
			llmproxy.Usage{PromptTokens: 1000, CompletionTokens: 500, Reasoning: 450},
			consistent,
		},
		{
			"no total, more reasoning than completion", `{"prompt_tokens":30,"completion_tokens":50,"completion_tokens_details":{"reasoning_tokens":450}}`,
			llmproxy.Usage{PromptTokens: 30, CompletionTokens: 500, Reasoning: 450},
			consistent,
		},
		{
			"reasoning fits nowhere", `{"prompt_tokens":43,"completion_tokens":10,"total_tokens":53,"completion_tokens_details":{"reasoning_tokens":11}}`,
			llmproxy.Usage{PromptTokens: 43, CompletionTokens: 10, Reasoning: 11},
			inconsistent,
		},
		{
			"reasoning fits nowhere, with searches of OpenRouter", `{"prompt_tokens":43,"completion_tokens":10,"total_tokens":53,"completion_tokens_details":{"reasoning_tokens":11},"server_tool_use":{"web_search_requests":1}}`,
			llmproxy.Usage{PromptTokens: 43, CompletionTokens: 10, Reasoning: 11, WebSearches: 1},
			inconsistent,
		},
		{
			"a total that is no sum", `{"prompt_tokens":10,"completion_tokens":4,"total_tokens":99,"completion_tokens_details":{"reasoning_tokens":3}}`,
			llmproxy.Usage{PromptTokens: 10, CompletionTokens: 4, Reasoning: 3},
			inconsistent,
		},
		{
			"deep research, and less reasoning than completion", `{"prompt_tokens":30,"completion_tokens":900,"total_tokens":930,"citation_tokens":50,"reasoning_tokens":200,"num_search_queries":12}`,
			llmproxy.Usage{PromptTokens: 80, CompletionTokens: 1100, Citation: 50, Reasoning: 200, WebSearches: 12},
			consistent,
		},
		{
			"deep research without citations", `{"prompt_tokens":30,"completion_tokens":900,"total_tokens":930,"reasoning_tokens":2000,"num_search_queries":12}`,
			llmproxy.Usage{PromptTokens: 30, CompletionTokens: 2900, Reasoning: 2000, WebSearches: 12},
			consistent,
		},
		{
			"a total with the citations", `{"prompt_tokens":30,"completion_tokens":900,"total_tokens":980,"citation_tokens":50}`,
			llmproxy.Usage{PromptTokens: 80, CompletionTokens: 900, Citation: 50},
			consistent,
		},

		// The cache inside or beside.
		{
			"the cache beside, says the total", `{"prompt_tokens":10,"completion_tokens":4,"total_tokens":114,"prompt_tokens_details":{"cached_tokens":100}}`,
			llmproxy.Usage{PromptTokens: 110, CompletionTokens: 4, CacheRead: 100},
			consistent,
		},
		{
			"the cache beside, no total", `{"prompt_tokens":10,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":100,"cache_write_tokens":5}}`,
			llmproxy.Usage{PromptTokens: 115, CompletionTokens: 4, CacheRead: 100, CacheWrite: 5},
			consistent,
		},
		{
			"the cache and reasoning beside", `{"prompt_tokens":10,"completion_tokens":4,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":100},"completion_tokens_details":{"reasoning_tokens":6}}`,
			llmproxy.Usage{PromptTokens: 110, CompletionTokens: 10, CacheRead: 100, Reasoning: 6},
			consistent,
		},
		{
			"the cache fits nowhere", `{"prompt_tokens":10,"completion_tokens":4,"total_tokens":14,"prompt_tokens_details":{"cached_tokens":100,"audio_tokens":3}}`,
			llmproxy.Usage{PromptTokens: 10, CompletionTokens: 4, CacheRead: 100},
			inconsistent,
		},

		// Audio and images in the cache.
		{
			"cached audio: langwatch/langwatch#7048", `{"prompt_tokens":1200,"completion_tokens":300,"prompt_tokens_details":{"cached_tokens":500,"audio_tokens":400,"cached_tokens_details":{"text_tokens":300,"audio_tokens":200}}}`,
			llmproxy.Usage{PromptTokens: 1200, CompletionTokens: 300, InputAudio: 200, CacheRead: 300, CacheReadAudio: 200},
			consistent,
		},
		{
			"cached images", `{"prompt_tokens":1200,"completion_tokens":300,"prompt_tokens_details":{"cached_tokens":500,"image_tokens":400,"cached_tokens_details":{"image_tokens":150}}}`,
			llmproxy.Usage{PromptTokens: 1200, CompletionTokens: 300, InputImage: 250, CacheRead: 350, CacheReadImage: 150},
			consistent,
		},
		{
			"audio known from the cache alone", `{"prompt_tokens":1200,"completion_tokens":300,"prompt_tokens_details":{"cached_tokens":500,"cached_tokens_details":{"audio_tokens":150}}}`,
			llmproxy.Usage{PromptTokens: 1200, CompletionTokens: 300, CacheRead: 350, CacheReadAudio: 150},
			consistent,
		},
		{
			"the cache holds text first", `{"prompt_tokens":1000,"completion_tokens":300,"prompt_tokens_details":{"cached_tokens":500,"audio_tokens":400}}`,
			llmproxy.Usage{PromptTokens: 1000, CompletionTokens: 300, CacheRead: 500, InputAudio: 400},
			consistent,
		},
		{
			"then audio, then images", `{"prompt_tokens":1000,"completion_tokens":300,"prompt_tokens_details":{"cached_tokens":900,"audio_tokens":400,"image_tokens":200}}`,
			llmproxy.Usage{PromptTokens: 1000, CompletionTokens: 300, CacheRead: 400, CacheReadAudio: 400, CacheReadImage: 100, InputImage: 100},
			consistent,
		},
		{
			"more cached audio than audio", `{"prompt_tokens":1000,"completion_tokens":300,"prompt_tokens_details":{"cached_tokens":500,"audio_tokens":100,"cached_tokens_details":{"audio_tokens":150}}}`,
			llmproxy.Usage{PromptTokens: 1000, CompletionTokens: 300, CacheRead: 500, InputAudio: 100},
			inconsistent,
		},
		{
			"more audio than prompt", `{"prompt_tokens":100,"completion_tokens":300,"prompt_tokens_details":{"cached_tokens":10,"audio_tokens":150}}`,
			llmproxy.Usage{PromptTokens: 100, CompletionTokens: 300, CacheRead: 10},
			inconsistent,
		},
		{
			"more audio than completion", `{"prompt_tokens":100,"completion_tokens":30,"completion_tokens_details":{"audio_tokens":31,"reasoning_tokens":5}}`,
			llmproxy.Usage{PromptTokens: 100, CompletionTokens: 30, Reasoning: 5},
			inconsistent,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, ok, inconsistent := dialect.Normalise([]byte(tt.usage), dialect.Text)
			if diff := cmp.Diff(tt.want, got); diff != "" || !ok || inconsistent != tt.inconsistent {
				t.Errorf("%s: ok = %v, inconsistent = %v, want %v; want - got +:\n%s", tt.usage, ok, inconsistent, tt.inconsistent, diff)
			}
			if !got.Consistent() && !inconsistent {
				t.Errorf("%s: %+v is not consistent", tt.usage, got)
			}
		})
	}
}

func TestNoReport(t *testing.T) {
	t.Parallel()
	for _, usage := range []string{
		``, `null`, `{}`, `[]`, `"x"`, `7`, `{"prompt_tokens":null}`, `{"prompt_tokens":"7"}`,
		`{"dram_cached_tokens":4,"sram_cached_tokens":4}`, `{"cached_tokens":4}`, `{"prompt_tokens":7`,
	} {
		if got, ok, inconsistent := dialect.Normalise([]byte(usage), dialect.Text); ok || inconsistent || got != (llmproxy.Usage{}) {
			t.Errorf("%s: ok = %v, inconsistent = %v, %+v", usage, ok, inconsistent, got)
		}
	}
}

// Reports of a stream are cumulative, counter by counter.
func TestReports(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		reports []string
		want    llmproxy.Usage
	}{
		{
			"the last one counts",
			[]string{`{"prompt_tokens":7,"completion_tokens":1,"total_tokens":8}`, `{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}`},
			llmproxy.Usage{PromptTokens: 7, CompletionTokens: 5},
		},
		{
			"null and absent change nothing",
			[]string{`{"prompt_tokens":7,"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":2}}`, `null`, `{"prompt_tokens":null,"completion_tokens":6}`},
			llmproxy.Usage{PromptTokens: 7, CompletionTokens: 6, Reasoning: 2},
		},
		{
			"a total is compared with the counts beside it",
			[]string{`{"prompt_tokens":7,"completion_tokens":1,"total_tokens":8}`, `{"prompt_tokens":7,"completion_tokens":5}`},
			llmproxy.Usage{PromptTokens: 7, CompletionTokens: 5},
		},
		{
			"an explicit zero replaces",
			[]string{`{"prompt_tokens":7,"completion_tokens":5}`, `{"prompt_tokens":7,"completion_tokens":0}`},
			llmproxy.Usage{PromptTokens: 7},
		},
		{
			"so does that of one counter",
			[]string{`{"prompt_tokens":7,"completion_tokens":5}`, `{"completion_tokens":0}`},
			llmproxy.Usage{PromptTokens: 7},
		},
		{
			"zeros throughout replace nothing: azerozero/grob#454",
			[]string{`{"prompt_tokens":5,"completion_tokens":6,"total_tokens":11}`, `{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0,"prompt_tokens_details":{"cached_tokens":0}}`},
			llmproxy.Usage{PromptTokens: 5, CompletionTokens: 6},
		},
		{
			"nor do those of the totals alone",
			[]string{`{"prompt_tokens":5,"completion_tokens":6}`, `{"total_tokens":0}`, `{"prompt_tokens":0,"completion_tokens":0}`, `{"prompt_tokens":0,"completion_tokens":-1}`},
			llmproxy.Usage{PromptTokens: 5, CompletionTokens: 6},
		},
		{
			"counts replace zeros",
			[]string{`{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}`, `{"prompt_tokens":5,"completion_tokens":6,"total_tokens":11}`},
			llmproxy.Usage{PromptTokens: 5, CompletionTokens: 6},
		},
		{
			"a count mends what was none",
			[]string{`{"prompt_tokens":5,"completion_tokens":-1,"total_tokens":-1}`, `{"prompt_tokens":5,"completion_tokens":6}`},
			llmproxy.Usage{PromptTokens: 5, CompletionTokens: 6},
		},
	} {
		var c dialect.Counters
		for _, r := range tt.reports {
			c.Read([]byte(r))
		}
		got, inconsistent := c.Usage(dialect.Text)
		if diff := cmp.Diff(tt.want, got); diff != "" || inconsistent {
			t.Errorf("%s: inconsistent = %v; want - got +:\n%s", tt.name, inconsistent, diff)
		}
	}
}

// examples are the worked examples of the accounting notes that concern these APIs, with
// the way from the report to an answer.
var examples = map[string]func(raw string) string{
	"openai-chat-1":                    inChat,
	"openai-chat-audio":                inChat,
	"openai-tier-at-threshold":         inChat,
	"openai-tier-over-threshold":       inChat,
	"openai-responses-incomplete-flex": func(raw string) string { return `{"type":"response.incomplete","response":` + raw + `}` },
	"groq-stream":                      func(raw string) string { return raw },
	"fireworks-1":                      inChat,
	"xai-chat-additive":                inChat,
	"xai-responses-subset":             func(raw string) string { return `{"object":"response","status":"completed","usage":` + raw + `}` },
	"xai-tier-at-threshold":            inChat,
	"perplexity-deep-research":         inChat,
	"deepseek-1":                       inChat,
	"mistral-1":                        inChat,
	"openrouter-1":                     inChat,
	"moonshot-1":                       inChat,
	"alibaba-explicit-cache":           inChat,
	"llamacpp-timings":                 func(raw string) string { return raw },
}

func inChat(raw string) string { return `{"choices":[],"usage":` + raw + `}` }

// example is a worked example of the accounting notes.
type example struct {
	ID              string
	Raw             json.RawMessage
	Want            map[string]int64
	PromptTotal     int64 `json:"prompt_total"`
	CompletionTotal int64 `json:"completion_total"`
	Units           map[string][2]any
	Cost            llmproxy.USD `json:"want_pico_usd"`
}

// workedExamples returns the examples, or skips the test where there are none.
func workedExamples(t *testing.T) (list []example) {
	t.Helper()
	notes, err := os.ReadFile("../../shared/protocols/usage-accounting.md")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no accounting notes beside the repository: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(notes)) {
		if !strings.HasPrefix(line, `{"id":`) {
			continue
		}
		var e example
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		list = append(list, e)
	}
	return list
}

func TestWorkedExamples(t *testing.T) {
	t.Parallel()
	missing := maps.Clone(examples)
	for _, e := range workedExamples(t) {
		wrap := examples[e.ID]
		if wrap == nil {
			continue // of another API
		}
		delete(missing, e.ID)
		newReader := chat.New
		if strings.Contains(e.ID, "responses") {
			newReader = responses.New
		}
		m, _ := dialecttest.Read(t, newReader, wrap(string(e.Raw)))
		streamed, _ := dialecttest.Read(t, newReader, "data: "+wrap(string(e.Raw))+"\n\n")
		if diff := cmp.Diff(m, streamed); diff != "" {
			t.Errorf("%s: as a body - as an event +:\n%s", e.ID, diff)
		}
		if !m.UsageReported || m.Inconsistent {
			t.Errorf("%s: reported = %v, inconsistent = %v", e.ID, m.UsageReported, m.Inconsistent)
		}
		if m.Usage.PromptTokens != e.PromptTotal || m.Usage.CompletionTokens != e.CompletionTotal {
			t.Errorf("%s: totals %d and %d, want %d and %d", e.ID,
				m.Usage.PromptTokens, m.Usage.CompletionTokens, e.PromptTotal, e.CompletionTotal)
		}
		notZero := func(_ string, n int64) bool { return n == 0 }
		maps.DeleteFunc(e.Want, notZero)
		got := buckets(m.Usage)
		maps.DeleteFunc(got, notZero)
		if diff := cmp.Diff(e.Want, got); diff != "" {
			t.Errorf("%s: want - got +:\n%s", e.ID, diff)
		}
		if n, ok := e.Units["web_search"]; ok && float64(m.Usage.WebSearches) != n[0] {
			t.Errorf("%s: %d web searches, want %v", e.ID, m.Usage.WebSearches, n[0])
		}
	}
	for id := range missing {
		t.Errorf("%s is not in the notes", id)
	}
}

// buckets names the disjoint parts of u as the notes do.
func buckets(u llmproxy.Usage) map[string]int64 {
	return map[string]int64{
		"input": u.Input(), "input_audio": u.InputAudio, "input_image": u.InputImage,
		"input_video": u.InputVideo, "input_tool": u.InputTool, "citation": u.Citation,
		"cache_read": u.CacheRead, "cache_read_audio": u.CacheReadAudio, "cache_read_image": u.CacheReadImage,
		"cache_write": u.CacheWrite, "cache_write_1h": u.CacheWrite1h,
		"output_text": u.Output(), "reasoning": u.Reasoning,
		"output_audio": u.OutputAudio, "output_image": u.OutputImage,
	}
}
