package messages_test

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
	"github.com/llmproxy/llmproxy/dialect/dialecttest"
	"github.com/llmproxy/llmproxy/dialect/messages"
)

// The reports of one answer: message_start's, then those of message_delta.
func TestUsage(t *testing.T) {
	t.Parallel()
	const (
		consistent   = false
		inconsistent = true
	)
	type reports []string
	for _, tt := range []struct {
		name         string
		reports      reports
		want         llmproxy.Usage
		inconsistent bool
	}{
		{"input and output", reports{`{"input_tokens":10,"output_tokens":4}`}, plain(10, 4), consistent},
		{
			"the cache lies beside the input: BerriAI/litellm#9812",
			reports{`{"input_tokens":10,"cache_read_input_tokens":200,"cache_creation_input_tokens":3000,"output_tokens":4}`},
			llmproxy.Usage{PromptTokens: 3210, CompletionTokens: 4, CacheRead: 200, CacheWrite: 3000},
			consistent,
		},
		{
			"lifetimes",
			reports{`{"input_tokens":10,"cache_creation_input_tokens":3000,"cache_creation":{"ephemeral_5m_input_tokens":1000,"ephemeral_1h_input_tokens":2000},"output_tokens":4}`},
			llmproxy.Usage{PromptTokens: 3010, CompletionTokens: 4, CacheWrite: 1000, CacheWrite5m: 1000, CacheWrite1h: 2000},
			consistent,
		},
		{
			"an hour only: BerriAI/litellm#29432",
			reports{`{"input_tokens":10,"cache_creation_input_tokens":3000,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":3000},"output_tokens":4}`},
			llmproxy.Usage{PromptTokens: 3010, CompletionTokens: 4, CacheWrite1h: 3000},
			consistent,
		},
		{
			"lifetimes without their total",
			reports{`{"input_tokens":10,"cache_creation":{"ephemeral_5m_input_tokens":1000,"ephemeral_1h_input_tokens":2000},"output_tokens":4}`},
			llmproxy.Usage{PromptTokens: 3010, CompletionTokens: 4, CacheWrite: 1000, CacheWrite5m: 1000, CacheWrite1h: 2000},
			consistent,
		},
		{
			"lifetimes of a part",
			reports{`{"input_tokens":10,"cache_creation_input_tokens":3500,"cache_creation":{"ephemeral_5m_input_tokens":1000,"ephemeral_1h_input_tokens":2000},"output_tokens":4}`},
			llmproxy.Usage{PromptTokens: 3510, CompletionTokens: 4, CacheWrite: 1500, CacheWrite5m: 1000, CacheWrite1h: 2000},
			consistent,
		},
		{
			"lifetimes of more than was written",
			reports{`{"input_tokens":10,"cache_creation_input_tokens":2999,"cache_creation":{"ephemeral_5m_input_tokens":1000,"ephemeral_1h_input_tokens":2000},"output_tokens":4}`},
			llmproxy.Usage{PromptTokens: 3009, CompletionTokens: 4, CacheWrite: 2999},
			inconsistent,
		},
		{
			"thinking is inside the output",
			reports{`{"input_tokens":10,"output_tokens":40,"output_tokens_details":{"thinking_tokens":30}}`},
			llmproxy.Usage{PromptTokens: 10, CompletionTokens: 40, Reasoning: 30},
			consistent,
		},
		{
			"more thinking than output",
			reports{`{"input_tokens":10,"output_tokens":40,"output_tokens_details":{"thinking_tokens":41}}`},
			llmproxy.Usage{PromptTokens: 10, CompletionTokens: 40, Reasoning: 41},
			inconsistent,
		},
		{
			"tools",
			reports{`{"input_tokens":10,"output_tokens":4,"server_tool_use":{"web_search_requests":2,"web_fetch_requests":1}}`},
			llmproxy.Usage{PromptTokens: 10, CompletionTokens: 4, WebSearches: 2, WebFetches: 1},
			consistent,
		},

		// Streams.
		{"never added: tensorzero/tensorzero#5481", reports{`{"input_tokens":10,"output_tokens":1}`, `{"output_tokens":15}`}, plain(10, 15), consistent},
		{"the last one wins", reports{`{"input_tokens":10,"output_tokens":1}`, `{"output_tokens":15}`, `{"output_tokens":20}`}, plain(10, 20), consistent},
		{
			"null changes nothing",
			reports{
				`{"input_tokens":10,"cache_read_input_tokens":200,"cache_creation_input_tokens":3000,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":3000},"output_tokens":1}`,
				`{"input_tokens":null,"cache_read_input_tokens":null,"cache_creation_input_tokens":null,"cache_creation":null,"output_tokens":15,"output_tokens_details":null,"server_tool_use":null,"iterations":null}`,
			},
			llmproxy.Usage{PromptTokens: 3210, CompletionTokens: 15, CacheRead: 200, CacheWrite1h: 3000},
			consistent,
		},
		{
			"zeros do not erase what was sent",
			reports{
				`{"input_tokens":10,"cache_read_input_tokens":200,"cache_creation_input_tokens":3000,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":3000},"output_tokens":1}`,
				`{"input_tokens":0,"cache_read_input_tokens":0,"cache_creation_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":15}`,
			},
			llmproxy.Usage{PromptTokens: 3210, CompletionTokens: 15, CacheRead: 200, CacheWrite1h: 3000},
			consistent,
		},
		{
			"lifetimes at the end",
			reports{
				`{"input_tokens":10,"cache_creation_input_tokens":1000,"cache_creation":{"ephemeral_5m_input_tokens":1000,"ephemeral_1h_input_tokens":0},"output_tokens":1}`,
				`{"cache_creation_input_tokens":3000,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":3000},"output_tokens":15}`,
			},
			llmproxy.Usage{PromptTokens: 3010, CompletionTokens: 15, CacheWrite1h: 3000},
			consistent,
		},
		{
			"written after the first iteration: BerriAI/litellm#42663",
			reports{
				`{"input_tokens":10,"cache_creation_input_tokens":3000,"cache_creation":{"ephemeral_5m_input_tokens":1000,"ephemeral_1h_input_tokens":2000},"output_tokens":1}`,
				`{"input_tokens":20,"cache_creation_input_tokens":5000,"cache_read_input_tokens":3000,"output_tokens":15,"server_tool_use":{"web_search_requests":1}}`,
			},
			llmproxy.Usage{PromptTokens: 8020, CompletionTokens: 15, CacheRead: 3000, CacheWrite: 3000, CacheWrite5m: 1000, CacheWrite1h: 2000, WebSearches: 1},
			consistent,
		},
		{
			"thinking and tools at the end",
			reports{
				`{"input_tokens":10,"output_tokens":1,"output_tokens_details":{"thinking_tokens":0},"server_tool_use":{"web_search_requests":0}}`,
				`{"output_tokens":15,"output_tokens_details":{"thinking_tokens":9},"server_tool_use":{"web_search_requests":1,"web_fetch_requests":2}}`,
			},
			llmproxy.Usage{PromptTokens: 10, CompletionTokens: 15, Reasoning: 9, WebSearches: 1, WebFetches: 2},
			consistent,
		},
		{"no report changes nothing", reports{`{"input_tokens":10,"output_tokens":15}`, `{}`, `null`, `{"server_tool_use":{"web_search_requests":3}}`}, plain(10, 15), consistent},

		// Iterations.
		{
			"iterations that are the top level",
			reports{`{"input_tokens":30,"cache_read_input_tokens":5,"output_tokens":7,"iterations":[{"type":"message","input_tokens":10,"cache_read_input_tokens":2,"output_tokens":3},{"type":"message","input_tokens":20,"cache_read_input_tokens":3,"output_tokens":4}]}`},
			llmproxy.Usage{PromptTokens: 35, CompletionTokens: 7, CacheRead: 5},
			consistent,
		},
		{
			"iterations know the lifetimes of a stream",
			reports{
				`{"input_tokens":10,"cache_creation_input_tokens":3000,"cache_creation":{"ephemeral_5m_input_tokens":3000,"ephemeral_1h_input_tokens":0},"output_tokens":1}`,
				`{"input_tokens":20,"cache_creation_input_tokens":5000,"output_tokens":15,"iterations":[
					{"type":"message","input_tokens":10,"cache_creation_input_tokens":3000,"cache_creation":{"ephemeral_5m_input_tokens":3000,"ephemeral_1h_input_tokens":0},"output_tokens":5},
					{"type":"message","input_tokens":10,"cache_creation_input_tokens":2000,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":2000},"output_tokens":10}]}`,
			},
			llmproxy.Usage{PromptTokens: 5020, CompletionTokens: 15, CacheWrite: 3000, CacheWrite5m: 3000, CacheWrite1h: 2000},
			consistent,
		},
		{
			"compaction is outside the top level, in all four counters: pydantic/pydantic-ai#5065",
			reports{`{"input_tokens":10,"cache_read_input_tokens":20,"cache_creation_input_tokens":30,"output_tokens":40,"output_tokens_details":{"thinking_tokens":5},"server_tool_use":{"web_search_requests":1},"iterations":[
				{"type":"compaction","input_tokens":100,"cache_read_input_tokens":200,"cache_creation_input_tokens":300,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":300},"output_tokens":400},
				{"type":"message","input_tokens":10,"cache_read_input_tokens":20,"cache_creation_input_tokens":30,"cache_creation":{"ephemeral_5m_input_tokens":30,"ephemeral_1h_input_tokens":0},"output_tokens":40}]}`},
			llmproxy.Usage{PromptTokens: 660, CompletionTokens: 440, CacheRead: 220, CacheWrite: 30, CacheWrite5m: 30, CacheWrite1h: 300, Reasoning: 5, WebSearches: 1},
			consistent,
		},
		{
			"compaction, then a pause: nothing was sampled",
			reports{
				`{"input_tokens":180000,"output_tokens":0}`,
				`{"input_tokens":0,"output_tokens":0,"iterations":[{"type":"compaction","input_tokens":180000,"output_tokens":3500}]}`,
			},
			plain(180000, 3500), consistent,
		},
		{
			"compaction in an earlier report",
			reports{
				`{"input_tokens":10,"output_tokens":1,"iterations":[{"type":"compaction","input_tokens":100,"output_tokens":50},{"type":"message","input_tokens":10,"output_tokens":1}]}`,
				`{"input_tokens":12,"output_tokens":15}`,
			},
			plain(112, 65), consistent,
		},
		{
			"counters that iterations leave out",
			reports{`{"input_tokens":10,"cache_read_input_tokens":20,"output_tokens":40,"iterations":[{"type":"compaction","input_tokens":100,"output_tokens":50,"cache_read_input_tokens":5},{"type":"message","input_tokens":10,"output_tokens":40}]}`},
			llmproxy.Usage{PromptTokens: 135, CompletionTokens: 90, CacheRead: 25},
			consistent,
		},
		{
			"an advisor is another model's",
			reports{`{"input_tokens":30,"output_tokens":7,"iterations":[{"type":"message","input_tokens":10,"output_tokens":3},{"type":"advisor_message","model":"claude-9","input_tokens":1000,"output_tokens":500},{"type":"message","input_tokens":20,"output_tokens":4}]}`},
			plain(30, 7), consistent,
		},
		{
			"iterations that are less than the top level",
			reports{`{"input_tokens":100,"output_tokens":50,"iterations":[{"type":"message","input_tokens":10,"output_tokens":5}]}`},
			plain(100, 50), inconsistent,
		},
		{
			"iterations that are more than the top level, and compaction",
			reports{`{"input_tokens":100,"cache_read_input_tokens":1,"output_tokens":50,"iterations":[{"type":"compaction","input_tokens":1000,"output_tokens":500},{"type":"message","input_tokens":100,"cache_read_input_tokens":2,"output_tokens":50}]}`},
			llmproxy.Usage{PromptTokens: 1101, CompletionTokens: 550, CacheRead: 1},
			inconsistent,
		},
		{
			"compaction alone, and a top level",
			reports{`{"input_tokens":100,"output_tokens":50,"iterations":[{"type":"compaction","input_tokens":1000,"output_tokens":500}]}`},
			plain(1100, 550), inconsistent,
		},
		{
			"an iteration with a number that is no count",
			reports{`{"input_tokens":100,"output_tokens":50,"iterations":[{"type":"message","input_tokens":100,"output_tokens":50,"cache_read_input_tokens":-1}]}`},
			plain(100, 50), inconsistent,
		},
		{
			"an advisor and compaction",
			reports{`{"input_tokens":30,"output_tokens":7,"iterations":[{"type":"compaction","input_tokens":100,"output_tokens":50},{"type":"advisor_message","model":"claude-9","input_tokens":1000,"output_tokens":500},{"type":"message","input_tokens":30,"output_tokens":7}]}`},
			plain(130, 57), consistent,
		},
		{
			"only an advisor",
			reports{`{"input_tokens":30,"output_tokens":7,"iterations":[{"type":"advisor_message","model":"claude-9","input_tokens":1000,"output_tokens":500}]}`},
			plain(30, 7), consistent,
		},
		{
			"a fallback: the top level is what is charged",
			reports{`{"input_tokens":30,"output_tokens":7,"iterations":[{"type":"message","model":"claude-1-2026","input_tokens":28,"output_tokens":90},{"type":"compaction","input_tokens":100,"output_tokens":50},{"type":"fallback_message","model":"claude-2","input_tokens":30,"output_tokens":7}]}`},
			plain(30, 7), consistent,
		},
		{
			"an iteration of a kind that is not known: the top level stands",
			reports{`{"input_tokens":30,"output_tokens":7,"iterations":[{"type":"message","input_tokens":30,"output_tokens":7},{"type":"judge_message","model":"claude-9","input_tokens":1000,"output_tokens":500},{"type":"compaction","input_tokens":100,"output_tokens":50}]}`},
			plain(130, 57), consistent,
		},
		{
			"iterations without counts",
			reports{`{"input_tokens":30,"output_tokens":7,"iterations":[{"type":"message"}]}`},
			plain(30, 7), consistent,
		},
		{"no iterations", reports{`{"input_tokens":30,"output_tokens":7,"iterations":[]}`}, plain(30, 7), consistent},
		{
			"iterations without some of the counts",
			reports{`{"input_tokens":30,"output_tokens":7,"iterations":[{"type":"message","input_tokens":10},{"type":"message","input_tokens":20,"output_tokens":3}]}`},
			plain(30, 7), consistent,
		},
		{
			"an iteration of a kind that is not known, inside the top level",
			reports{`{"input_tokens":30,"output_tokens":7,"iterations":[{"type":"message","input_tokens":10,"output_tokens":3},{"type":"revised_message","input_tokens":20,"output_tokens":4},{"type":"compaction","input_tokens":100,"output_tokens":50}]}`},
			plain(130, 57), consistent,
		},
		{
			"iterations with lifetimes without their total",
			reports{`{"input_tokens":30,"output_tokens":7,"cache_creation_input_tokens":5,"iterations":[{"type":"message","input_tokens":30,"cache_creation":{"ephemeral_5m_input_tokens":2,"ephemeral_1h_input_tokens":3},"output_tokens":7},{"type":"compaction","input_tokens":100,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":10},"output_tokens":50}]}`},
			llmproxy.Usage{PromptTokens: 145, CompletionTokens: 57, CacheWrite: 2, CacheWrite5m: 2, CacheWrite1h: 13},
			consistent,
		},
		{"iterations that are none", reports{`{"input_tokens":30,"output_tokens":7,"iterations":[1,"message",null,[]]}`}, plain(30, 7), consistent},

		{
			"what the model that took over did not read was not read",
			reports{
				`{"input_tokens":10,"cache_read_input_tokens":40000,"cache_creation_input_tokens":30,"cache_creation":{"ephemeral_5m_input_tokens":30,"ephemeral_1h_input_tokens":0},"output_tokens":1}`,
				`{"input_tokens":500,"cache_read_input_tokens":0,"cache_creation_input_tokens":0,"output_tokens":20,"iterations":[{"type":"message","input_tokens":10,"cache_read_input_tokens":40000,"cache_creation_input_tokens":30,"output_tokens":0},{"type":"fallback_message","model":"claude-2","input_tokens":500,"cache_read_input_tokens":0,"cache_creation_input_tokens":0,"output_tokens":20}]}`,
			},
			plain(500, 20), consistent,
		},
		{
			"what it wrote has its own lifetimes",
			reports{
				`{"input_tokens":10,"cache_creation_input_tokens":30,"cache_creation":{"ephemeral_5m_input_tokens":30,"ephemeral_1h_input_tokens":0},"output_tokens":1}`,
				`{"input_tokens":5,"cache_creation_input_tokens":40,"output_tokens":20,"iterations":[{"type":"fallback_message","model":"claude-2","input_tokens":5,"cache_creation_input_tokens":40,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":40},"output_tokens":20}]}`,
			},
			llmproxy.Usage{PromptTokens: 45, CompletionTokens: 20, CacheWrite1h: 40},
			consistent,
		},
		{
			"what it leaves out stays",
			reports{
				`{"input_tokens":10,"cache_read_input_tokens":40,"output_tokens":1}`,
				`{"input_tokens":null,"output_tokens":20,"iterations":[{"type":"fallback_message","model":"claude-2"}]}`,
			},
			llmproxy.Usage{PromptTokens: 50, CompletionTokens: 20, CacheRead: 40},
			consistent,
		},

		// Zeros.
		{"zeros throughout replace nothing", reports{`{"input_tokens":10,"output_tokens":4}`, `{"input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}`}, plain(10, 4), consistent},
		{"an output of zero replaces", reports{`{"input_tokens":10,"output_tokens":4}`, `{"output_tokens":0}`}, plain(10, 0), consistent},
		{"zeros", reports{`{"input_tokens":0,"output_tokens":0}`}, plain(0, 0), consistent},

		// Reports of a part.
		{"what was read from the cache alone", reports{`{"cache_read_input_tokens":5}`}, llmproxy.Usage{PromptTokens: 5, CacheRead: 5}, consistent},
		{"what was written to the cache alone", reports{`{"cache_creation_input_tokens":5}`}, llmproxy.Usage{PromptTokens: 5, CacheWrite: 5}, consistent},
		{"lifetimes alone", reports{`{"cache_creation":{"ephemeral_1h_input_tokens":5}}`}, llmproxy.Usage{PromptTokens: 5, CacheWrite1h: 5}, consistent},
		{"a lifetime alone", reports{`{"cache_creation":{"ephemeral_5m_input_tokens":5}}`}, llmproxy.Usage{PromptTokens: 5, CacheWrite: 5, CacheWrite5m: 5}, consistent},

		// Numbers.
		{
			"what is no count does not spoil the rest",
			reports{`{"input_tokens":"10","cache_read_input_tokens":-5,"cache_creation_input_tokens":1.5,"output_tokens":4,"cache_creation":[],"server_tool_use":7,"output_tokens_details":"x"}`},
			plain(0, 4), inconsistent,
		},
		{"an absurd count is none", reports{`{"input_tokens":10,"output_tokens":9223372036854775807}`}, plain(10, 0), inconsistent},
		{"integers, however spelled", reports{`{"input_tokens":1.2e1,"output_tokens":12.0}`}, plain(12, 12), consistent},
		{"escaped names", reports{`{"input\u005ftokens":10,"output_tokens":4}`}, plain(10, 4), consistent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			check := func(form, text string) {
				t.Helper()
				m, _ := dialecttest.Read(t, messages.New, text)
				if !m.UsageReported || m.Inconsistent != tt.inconsistent {
					t.Errorf("%s: reported = %v, inconsistent = %v", form, m.UsageReported, m.Inconsistent)
				}
				if diff := cmp.Diff(tt.want, m.Usage); diff != "" {
					t.Errorf("%s: want - got +:\n%s", form, diff)
				}
			}
			flat := strings.NewReplacer("\n", "", "\t", "")
			events := []string{started(flat.Replace(tt.reports[0]))}
			for _, r := range tt.reports[1:] {
				events = append(events, ended("null", flat.Replace(r)))
			}
			check("stream", stream(append(events, stopped)...))
			if len(tt.reports) == 1 {
				check("body", `{"type":"message","content":[],"usage":`+tt.reports[0]+`}`)
				check("all in the delta", stream(started(`{"input_tokens":0,"output_tokens":0}`), ended(`"end_turn"`, flat.Replace(tt.reports[0])), stopped))
			}
		})
	}
}

// An advisor is an item with its own model, whether or not the provider fell back.
func TestAdvisors(t *testing.T) {
	t.Parallel()
	const (
		message  = `{"type":"message","input_tokens":30,"output_tokens":7}`
		fallback = `{"type":"fallback_message","model":"claude-2","input_tokens":30,"output_tokens":7}`
		advisor  = `{"type":"advisor_message","model":"claude-9","input_tokens":1000,"cache_read_input_tokens":200,"cache_creation_input_tokens":30,"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},"output_tokens":500,"output_tokens_details":{"thinking_tokens":100}}`
	)
	advised := llmproxy.Item{Model: "claude-9", Usage: llmproxy.Usage{
		PromptTokens: 1230, CacheRead: 200, CacheWrite: 10, CacheWrite5m: 10, CacheWrite1h: 20,
		CompletionTokens: 500, Reasoning: 100,
	}}
	another := llmproxy.Item{Model: "claude-8", Usage: plain(3, 2)}
	many := make([]llmproxy.Item, 100)
	for i := range many {
		many[i] = advised
	}
	for _, tt := range []struct {
		name, iterations string
		want             []llmproxy.Item
		inconsistent     bool
	}{
		{"none", message, nil, false},
		{"one", message + `,` + advisor, []llmproxy.Item{advised}, false},
		{"two", advisor + `,{"type":"advisor_message","model":"claude-8","input_tokens":3,"output_tokens":2},` + message, []llmproxy.Item{advised, another}, false},
		{"one twice: each has the price of its own prompt", advisor + `,` + advisor + `,` + message, []llmproxy.Item{advised, advised}, false},
		{"with a fallback", advisor + `,` + fallback, []llmproxy.Item{advised}, false},
		{"without counts", message + `,{"type":"advisor_message","model":"claude-9"}`, nil, false},
		{"without a model", message + `,{"type":"advisor_message","input_tokens":3,"output_tokens":2}`, []llmproxy.Item{{Usage: plain(3, 2)}}, false},
		{"with a number that is no count", message + `,{"type":"advisor_message","model":"claude-8","input_tokens":3,"output_tokens":2,"cache_read_input_tokens":-2}`, []llmproxy.Item{another}, true},
		{"too many", strings.Repeat(advisor+",", 101) + message, many, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			report := `{"input_tokens":30,"output_tokens":7,"iterations":[` + tt.iterations + `]}`
			for _, text := range []string{
				stream(started(seed), ended(`"end_turn"`, report), stopped),
				stream(started(seed), ended(`null`, report), ended(`"end_turn"`, `{"input_tokens":30,"output_tokens":7}`), stopped),
				stream(started(report), ended(`"end_turn"`, report), stopped),
				`{"type":"message","content":[],"usage":` + report + `}`,
			} {
				m, _ := dialecttest.Read(t, messages.New, text)
				if diff := cmp.Diff(tt.want, m.Items); diff != "" || m.Usage != plain(30, 7) || !m.UsageReported || m.Inconsistent != tt.inconsistent {
					t.Errorf("reported = %v, inconsistent = %v, usage %+v; items, want - got +:\n%s", m.UsageReported, m.Inconsistent, m.Usage, diff)
				}
			}
		})
	}
}

// Zeros throughout are a report where there is no output.
func TestZeros(t *testing.T) {
	t.Parallel()
	const zeros = `{"input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}`
	body := func(content, usage string) string {
		return `{"type":"message","content":[` + content + `],"stop_reason":"end_turn","usage":` + usage + `}`
	}
	for _, tt := range []struct {
		name, answer string
		reported     bool
	}{
		{"a text", body(`{"type":"text","text":"hi"}`, zeros), false},
		{"a thought", body(`{"type":"thinking","thinking":"hm","signature":""}`, zeros), false},
		{"the call of a tool", body(`{"type":"tool_use","id":"t","name":"f","input":{}}`, zeros), false},
		{"an empty text", body(`{"type":"text","text":""}`, zeros), true},
		{"nothing", body(``, zeros), true},
		{"a zero in one counter", body(`{"type":"text","text":"hi"}`, `{"input_tokens":3,"output_tokens":0}`), true},
		{"tokens of an advisor", body(`{"type":"text","text":"hi"}`, `{"input_tokens":0,"output_tokens":0,"iterations":[{"type":"advisor_message","model":"m","input_tokens":3,"output_tokens":2}]}`), true},
		{"a streamed text", stream(started(zeros), block, text, blocked, ended(`"end_turn"`, zeros), stopped), false},
		{"a streamed call", stream(started(zeros), `{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}`, ended(`"tool_use"`, `{"output_tokens":0}`), stopped), false},
		{"an empty block", stream(started(zeros), block, strings.Replace(block, "_start", "_delta", 1), blocked, ended(`"end_turn"`, zeros), stopped), true},
	} {
		if m, _ := dialecttest.Read(t, messages.New, tt.answer); m.UsageReported != tt.reported {
			t.Errorf("%s: reported = %v, want %v", tt.name, m.UsageReported, tt.reported)
		}
	}
}

// Where the provider fell back, the price is that of the model which answered.
func TestFallbackModel(t *testing.T) {
	t.Parallel()
	const report = `{"input_tokens":30,"output_tokens":7,"iterations":[{"type":"message","model":"claude-1-2026","input_tokens":28,"output_tokens":0},{"type":"fallback_message","model":"claude-2","input_tokens":30,"output_tokens":7}]}`
	m, _ := dialecttest.Read(t, messages.New, stream(started(seed), ended(`"end_turn"`, report), stopped))
	if want := "claude-2"; m.Model != want {
		t.Errorf("model %q, want %q", m.Model, want)
	}
}

// Sums of many iterations stay in range.
func TestManyIterations(t *testing.T) {
	t.Parallel()
	entry := `{"type":"compaction","input_tokens":1125899906842624,"cache_read_input_tokens":1125899906842624,"cache_creation_input_tokens":1125899906842624,"output_tokens":1125899906842624},`
	list := strings.TrimSuffix(strings.Repeat(entry, 20_000), ",")
	m, _ := dialecttest.Read(t, messages.New, `{"type":"message","content":[],"usage":{"input_tokens":1,"output_tokens":1,"iterations":[`+list+`]}}`)
	const most = 1 << 60
	if got, want := m.Usage, (llmproxy.Usage{PromptTokens: 3 * most, CompletionTokens: most, CacheRead: most, CacheWrite: most}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestWorkedExamples(t *testing.T) {
	t.Parallel()
	notes, err := os.ReadFile("../../../shared/protocols/usage-accounting.md")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no accounting notes beside the repository: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for line := range strings.Lines(string(notes)) {
		var e struct {
			ID              string
			Raw             json.RawMessage
			Want            map[string]int64
			PromptTotal     int64 `json:"prompt_total"`
			CompletionTotal int64 `json:"completion_total"`
			Units           map[string][2]any
		}
		if !strings.HasPrefix(line, `{"id":"anthropic-`) {
			continue
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		found++
		for form, text := range forms(t, e.Raw) {
			m, _ := dialecttest.Read(t, messages.New, text)
			if !m.UsageReported || m.Inconsistent {
				t.Errorf("%s, %s: reported = %v, inconsistent = %v", e.ID, form, m.UsageReported, m.Inconsistent)
			}
			if m.Usage.PromptTokens != e.PromptTotal || m.Usage.CompletionTokens != e.CompletionTotal {
				t.Errorf("%s, %s: totals %d and %d, want %d and %d", e.ID, form,
					m.Usage.PromptTokens, m.Usage.CompletionTokens, e.PromptTotal, e.CompletionTotal)
			}
			got := map[string]int64{
				"input": m.Usage.Input(), "cache_read": m.Usage.CacheRead, "cache_write": m.Usage.CacheWrite,
				"cache_write_1h": m.Usage.CacheWrite1h, "output_text": m.Usage.Output(), "reasoning": m.Usage.Reasoning,
			}
			maps.DeleteFunc(got, func(name string, n int64) bool { _, ok := e.Want[name]; return !ok && n == 0 })
			if diff := cmp.Diff(e.Want, got); diff != "" {
				t.Errorf("%s, %s: want - got +:\n%s", e.ID, form, diff)
			}
			units := map[string]int64{"web_search": m.Usage.WebSearches, "web_fetch": m.Usage.WebFetches}
			for unit, n := range e.Units {
				if float64(units[unit]) != n[0] {
					t.Errorf("%s, %s: %d of %s, want %v", e.ID, form, units[unit], unit, n[0])
				}
			}
		}
	}
	if found != 3 {
		t.Errorf("%d examples, want 3", found)
	}
}

// forms returns the answers that may have raw as their usage: a body and a stream, or the
// stream whose events raw is.
func forms(t *testing.T, raw json.RawMessage) map[string]string {
	t.Helper()
	if raw[0] == '{' {
		return map[string]string{
			"body":   `{"type":"message","content":[],"usage":` + string(raw) + `}`,
			"stream": stream(started(`{"input_tokens":0,"output_tokens":1}`), ended(`"end_turn"`, string(raw)), stopped),
		}
	}
	var events []json.RawMessage
	if err := json.Unmarshal(raw, &events); err != nil {
		t.Fatal(err)
	}
	var text []string
	for _, e := range events {
		text = append(text, string(e))
	}
	return map[string]string{"stream": stream(append(text, stopped)...)}
}
