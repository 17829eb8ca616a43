package converse_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/converse"
	"github.com/llmproxy/llmproxy/dialect/dialecttest"
	"github.com/llmproxy/llmproxy/wire"
)

// root is the repository's root, seen from this package.
const root = "../.."

// event is a frame.
type event struct{ name, data string }

func read(header http.Header, events ...event) (m llmproxy.ResponseMetadata, done bool) {
	x := converse.New()
	x.(llmproxy.HeaderExtractor).Header(header)
	for _, e := range events {
		x.Frame(wire.Frame{Event: []byte(e.name), Data: []byte(e.data)})
	}
	return x.Metadata(), x.Done()
}

func body(text string) event { return event{"", text} }

func TestAnswers(t *testing.T) {
	t.Parallel()
	const answer = `{"metrics":{"latencyMs":1},"output":{"message":{"content":[{"text":"usage"}],"role":"assistant"}},`
	type metadata = llmproxy.ResponseMetadata
	for _, tt := range []struct {
		name   string
		header http.Header
		events []event
		want   metadata
		done   bool
	}{
		{
			"a body", nil,
			[]event{body(answer + `"stopReason":"max_tokens","usage":{"inputTokens":30,"outputTokens":62,"totalTokens":92}}`)},
			metadata{
				Outcome: llmproxy.OutcomeCompleted, FinishReason: "max_tokens", UsageReported: true,
				Usage: llmproxy.Usage{PromptTokens: 30, CompletionTokens: 62},
			},
			true,
		},
		{
			"everything a body can say",
			http.Header{"X-Amzn-Bedrock-Service-Tier": {"default"}},
			[]event{body(answer + `"stopReason":"end_turn","usage":{"inputTokens":50,"outputTokens":200,"totalTokens":4274,
				"cacheReadInputTokens":1024,"cacheReadInputTokenCount":1024,"cacheWriteInputTokens":3000,"cacheWriteInputTokenCount":3000,
				"cacheDetails":[{"ttl":"1h","inputTokens":2000},{"ttl":"5m","inputTokens":1000}],"serverToolUsage":{}},
				"serviceTier":{"type":"priority"},"performanceConfig":{"latency":"optimized"},
				"trace":{"guardrail":{"usage":{"inputTokens":7}},"promptRouter":{"invokedModelId":"anthropic.claude-haiku"}}}`)},
			metadata{
				Model: "anthropic.claude-haiku", ServiceTier: "priority", Speed: "optimized",
				Outcome: llmproxy.OutcomeCompleted, FinishReason: "end_turn", UsageReported: true,
				Usage: llmproxy.Usage{PromptTokens: 4074, CompletionTokens: 200, CacheRead: 1024, CacheWrite: 1000, CacheWrite5m: 1000, CacheWrite1h: 2000},
			},
			true,
		},
		{
			"a stream", nil,
			[]event{
				{"messageStart", `{"role":"assistant","p":"ab"}`},
				{"contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"a"},"p":"abc"}`},
				{"contentBlockStop", `{"contentBlockIndex":0}`},
				{"messageStop", `{"stopReason":"tool_use"}`},
				{"metadata", `{"usage":{"inputTokens":4,"outputTokens":0,"totalTokens":4},"serviceTier":{"type":"flex"},"trace":{"promptRouter":{"invokedModelId":"arn:aws:bedrock:us-east-1::foundation-model/m"}}}`},
			},
			metadata{
				Model: "arn:aws:bedrock:us-east-1::foundation-model/m", ServiceTier: "flex",
				Outcome: llmproxy.OutcomeCompleted, FinishReason: "tool_use", UsageReported: true, Usage: usage{PromptTokens: 4},
			},
			true,
		},
		{
			"zeros beside a text are no report", nil,
			[]event{
				{"contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"a"}}`},
				{"messageStop", `{"stopReason":"end_turn"}`},
				{"metadata", `{"usage":{"inputTokens":0,"outputTokens":0,"totalTokens":0}}`},
			},
			metadata{Outcome: llmproxy.OutcomeCompleted, FinishReason: "end_turn"},
			true,
		},
		{
			"nor beside the call of a tool", nil,
			[]event{
				{"contentBlockStart", `{"contentBlockIndex":0,"start":{"toolUse":{"name":"f","toolUseId":"t"}}}`},
				{"messageStop", `{"stopReason":"tool_use"}`},
				{"metadata", `{"usage":{"inputTokens":0,"outputTokens":0}}`},
			},
			metadata{Outcome: llmproxy.OutcomeCompleted, FinishReason: "tool_use"},
			true,
		},
		{
			"zeros without output are a report", nil,
			[]event{
				{"contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":""}}`},
				{"messageStop", `{"stopReason":"end_turn"}`},
				{"metadata", `{"usage":{"inputTokens":0,"outputTokens":0}}`},
			},
			metadata{Outcome: llmproxy.OutcomeCompleted, FinishReason: "end_turn", UsageReported: true},
			true,
		},
		{
			"a body with zeros beside a text", nil,
			[]event{body(answer + `"stopReason":"end_turn","usage":{"inputTokens":0,"outputTokens":0,"totalTokens":0}}`)},
			metadata{Outcome: llmproxy.OutcomeCompleted, FinishReason: "end_turn"},
			true,
		},
		{
			"zeros do not replace counts", nil,
			[]event{
				{"metadata", `{"usage":{"inputTokens":4,"outputTokens":2}}`},
				{"metadata", `{"usage":{"inputTokens":0,"outputTokens":0}}`},
			},
			metadata{UsageReported: true, Usage: usage{PromptTokens: 4, CompletionTokens: 2}},
			false,
		},
		{
			"a stream without its end", nil,
			[]event{{"messageStart", `{"role":"assistant"}`}, {"contentBlockDelta", `{}`}},
			metadata{},
			false,
		},
		{
			"a stream without its last event", nil,
			[]event{{"messageStop", `{"stopReason":"end_turn"}`}},
			metadata{FinishReason: "end_turn"},
			false,
		},
		{
			"metadata first", nil,
			[]event{{"metadata", `{"usage":{"inputTokens":1,"outputTokens":2}}`}, {"messageStop", `{"stopReason":"end_turn"}`}},
			metadata{
				Outcome: llmproxy.OutcomeCompleted, FinishReason: "end_turn", UsageReported: true,
				Usage: llmproxy.Usage{PromptTokens: 1, CompletionTokens: 2},
			},
			true,
		},
		{
			"metadata twice", nil,
			[]event{
				{"metadata", `{"usage":{"inputTokens":1,"outputTokens":2,"cacheReadInputTokens":5}}`},
				{"metadata", `{"usage":{"inputTokens":10,"outputTokens":20}}`},
				{"metadata", `{"usage":null}`},
				{"metadata", `{}`},
			},
			metadata{UsageReported: true, Usage: llmproxy.Usage{PromptTokens: 10, CompletionTokens: 20}},
			false,
		},
		{
			"an exception", nil,
			[]event{{"messageStart", `{}`}, {"exception modelStreamErrorException", `{"message":"secret","originalStatusCode":500,"originalMessage":"secret"}`}, {"messageStop", `{"stopReason":"end_turn"}`}},
			metadata{Outcome: llmproxy.OutcomeFailed, ErrorType: "modelStreamErrorException", ErrorCode: "500"},
			true,
		},
		{
			"an exception after usage", nil,
			[]event{{"metadata", `{"usage":{"inputTokens":1,"outputTokens":2}}`}, {"exception throttlingException", `{}`}},
			metadata{
				Outcome: llmproxy.OutcomeFailed, ErrorType: "throttlingException", UsageReported: true,
				Usage: llmproxy.Usage{PromptTokens: 1, CompletionTokens: 2},
			},
			true,
		},
		{
			"an error",
			http.Header{"X-Amzn-Errortype": {"ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/"}},
			[]event{body(`{"message":"Too many requests, please wait before trying again."}`)},
			metadata{Outcome: llmproxy.OutcomeFailed, ErrorType: "ThrottlingException"},
			true,
		},
		{
			"an error of another kind", nil,
			[]event{body(`{"__type":"com.amazon.coral.service#AccessDeniedException","Message":null}`)},
			metadata{Outcome: llmproxy.OutcomeFailed, ErrorType: "AccessDeniedException"},
			true,
		},
		{
			"an error without body",
			http.Header{"X-Amzn-Errortype": {"AccessDeniedException"}},
			nil,
			metadata{Outcome: llmproxy.OutcomeFailed, ErrorType: "AccessDeniedException"},
			false,
		},
		{
			"an error of the model", nil,
			[]event{body(`{"message":"secret","originalStatusCode":424,"resourceName":"r","originalMessage":"secret"}`)},
			metadata{Outcome: llmproxy.OutcomeFailed, ErrorCode: "424"},
			true,
		},
		{"no error", nil, []event{body(`{"message":"an answer","finishReason":"stop"}`)}, metadata{}, false},
		{
			"an error that is named twice",
			http.Header{"X-Amzn-Errortype": {"ValidationException"}},
			[]event{body(`{"__type":"a#b"}`)},
			metadata{Outcome: llmproxy.OutcomeFailed, ErrorType: "ValidationException"},
			true,
		},
		{
			"an answer under an error's header",
			http.Header{"X-Amzn-Errortype": {"ModelErrorException"}},
			[]event{body(answer + `"stopReason":"end_turn"}`)},
			metadata{Outcome: llmproxy.OutcomeFailed, ErrorType: "ModelErrorException", FinishReason: "end_turn"},
			true,
		},
		{"a cut error", nil, []event{body(`{"message":"Too many","a":`)}, metadata{}, false},
		{
			"a cut body", nil,
			[]event{body(`{"stopReason":"end_turn","usage":{"inputTokens":3,"outputTokens":4},"output":`)},
			metadata{FinishReason: "end_turn", UsageReported: true, Usage: llmproxy.Usage{PromptTokens: 3, CompletionTokens: 4}},
			false,
		},
		{
			"a count of tokens", nil,
			[]event{body(`{"inputTokens":11}`)},
			metadata{Outcome: llmproxy.OutcomeCompleted},
			true,
		},
		{"another document", nil, []event{body(`[1]`), body(`{"usage":{"inputTokens":1}}`)}, metadata{}, false},
	} {
		got, done := read(tt.header, tt.events...)
		if diff := cmp.Diff(tt.want, got); diff != "" || done != tt.done {
			t.Errorf("%s: done %v, want %v (-want +got)\n%s", tt.name, done, tt.done, diff)
		}
	}
}

type usage = llmproxy.Usage

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, usage  string
		want         usage
		inconsistent bool
	}{
		{
			"one of two names", `{"inputTokens":5,"outputTokens":1,"cacheReadInputTokenCount":7,"cacheWriteInputTokens":0,"cacheWriteInputTokenCount":9,"totalTokens":22}`,
			usage{PromptTokens: 21, CompletionTokens: 1, CacheRead: 7, CacheWrite: 9},
			false,
		},
		{
			"a rest without a lifetime", `{"inputTokens":5,"outputTokens":1,"cacheWriteInputTokens":100,"cacheDetails":[{"ttl":"1h","inputTokens":60},{"ttl":"5m","inputTokens":30}]}`,
			usage{PromptTokens: 105, CompletionTokens: 1, CacheWrite: 40, CacheWrite1h: 60, CacheWrite5m: 30},
			false,
		},
		{
			"an unknown lifetime", `{"inputTokens":5,"outputTokens":1,"cacheWriteInputTokens":100,"cacheDetails":[{"ttl":"24h","inputTokens":60},{"inputTokens":4},7,{"ttl":"5m"},{"ttl":"5m","inputTokens":30},{"ttl":"5m","inputTokens":1}]}`,
			usage{PromptTokens: 105, CompletionTokens: 1, CacheWrite: 100, CacheWrite5m: 31},
			false,
		},
		{
			"lifetimes alone", `{"inputTokens":5,"outputTokens":1,"cacheDetails":[{"ttl":"1h","inputTokens":60},{"ttl":"5m","inputTokens":30}]}`,
			usage{PromptTokens: 95, CompletionTokens: 1, CacheWrite: 30, CacheWrite1h: 60, CacheWrite5m: 30},
			false,
		},
		{
			"lifetimes of more than was written", `{"inputTokens":5,"outputTokens":1,"cacheWriteInputTokens":10,"cacheDetails":[{"ttl":"1h","inputTokens":60}]}`,
			usage{PromptTokens: 15, CompletionTokens: 1, CacheWrite: 10},
			true,
		},
		{"another total", `{"inputTokens":5,"outputTokens":1,"cacheReadInputTokens":4,"totalTokens":6}`, usage{PromptTokens: 9, CompletionTokens: 1, CacheRead: 4}, true},
		{"no output", `{"inputTokens":30}`, usage{PromptTokens: 30}, true},
		{"no input", `{"outputTokens":30,"totalTokens":30}`, usage{CompletionTokens: 30}, true},
		{"odd numbers", `{"inputTokens":5.0,"outputTokens":1e1,"cacheReadInputTokens":-4,"cacheWriteInputTokens":"8","totalTokens":null}`, usage{PromptTokens: 5, CompletionTokens: 10}, true},
	} {
		got, _ := read(nil, event{"metadata", `{"usage":` + tt.usage + `}`})
		if diff := cmp.Diff(tt.want, got.Usage); diff != "" || got.Inconsistent != tt.inconsistent || !got.UsageReported {
			t.Errorf("%s: inconsistent %v, reported %v (-want +got)\n%s", tt.name, got.Inconsistent, got.UsageReported, diff)
		}
	}
	// Sums stay in range.
	entries := strings.Repeat(`{"ttl":"1h","inputTokens":1125899906842624},`, 20_000)
	if got, _ := read(nil, event{"metadata", `{"usage":{"inputTokens":0,"outputTokens":0,"cacheDetails":[` + entries + `{}]}}`}); got.Usage.CacheWrite1h != 1<<50 {
		t.Errorf("the sum of many is %d", got.Usage.CacheWrite1h)
	}
	for _, none := range []string{`{}`, `null`, `[]`, `{"totalTokens":4}`, `{"inputTokens":"4"}`, `{"inputTokens":null,"outputTokens":-1}`} {
		if got, _ := read(nil, event{"metadata", `{"usage":` + none + `}`}); got.UsageReported || (got.Usage != usage{}) {
			t.Errorf("%s: got %+v", none, got)
		}
	}
}

// What an answer does not say about lifetimes, the request may.
func TestLifetimesOfTheRequest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		request string
		want    usage
	}{
		{`{"messages":[{"content":[{"text":"cachePoint"},{"cachePoint":{"type":"default","ttl":"1h"}},{"cachePoint" : {"ttl":"1h"}}]}]}`, usage{CacheWrite1h: 70, CacheWrite5m: 30, CacheWrite: 30}},
		{`{"system":[{"cachePoint":{"type":"default"}},{"cachePoint":{"ttl":"1h"}}]}`, usage{CacheWrite1h: 50, CacheWrite5m: 30, CacheWrite: 50}},
		{`{"messages":[{"content":[{"text":"\"cachePoint\":{\"ttl\":\"1h\"}"}]}]}`, usage{CacheWrite1h: 50, CacheWrite5m: 30, CacheWrite: 50}},
		{`{}`, usage{CacheWrite1h: 50, CacheWrite5m: 30, CacheWrite: 50}},
	} {
		body, err := llmproxy.ParseBody([]byte(tt.request))
		if err != nil {
			t.Fatal(err)
		}
		tt.want.PromptTokens = 100
		for _, x := range []*llmproxy.Exchange{{Body: body}, {Edits: []wire.Edit{{New: []byte(tt.request)}}, Body: empty(t)}} {
			r := converse.New()
			r.(llmproxy.RequestExtractor).Request(x)
			r.Frame(wire.Frame{Event: []byte("metadata"), Data: []byte(`{"usage":{"inputTokens":0,"outputTokens":0,"cacheWriteInputTokens":100,"cacheDetails":[{"ttl":"1h","inputTokens":50},{"ttl":"5m","inputTokens":30}]}}`)})
			if diff := cmp.Diff(tt.want, r.Metadata().Usage); diff != "" {
				t.Errorf("%s (-want +got)\n%s", tt.request, diff)
			}
		}
	}
	converse.New().(llmproxy.RequestExtractor).Request(&llmproxy.Exchange{}) // an opaque body
}

func empty(t *testing.T) *llmproxy.Body {
	t.Helper()
	body, err := llmproxy.ParseBody([]byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestStringsAreBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 300)
	got, _ := read(
		http.Header{"X-Amzn-Bedrock-Service-Tier": {long}, "X-Amzn-Errortype": {long}},
		event{"messageStop", `{"stopReason":"` + long + `"}`}, event{wire.ExceptionPrefix + long, "{}"},
	)
	for _, s := range []string{got.ServiceTier, got.ErrorType, got.FinishReason} {
		if len(s) != 256 {
			t.Errorf("kept %d bytes", len(s))
		}
	}
}

func TestEventsWithoutNewsAllocateNothing(t *testing.T) {
	x := converse.New()
	f := wire.Frame{Event: []byte("contentBlockDelta"), Data: []byte(`{"contentBlockIndex":0,"delta":{"text":"a"},"p":"abc"}`)}
	if n := testing.AllocsPerRun(100, func() { x.Frame(f) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The worked example of the accounting notes.
func TestWorkedExample(t *testing.T) {
	t.Parallel()
	notes, err := os.ReadFile(root + "/../shared/protocols/usage-accounting.md")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no accounting notes beside the repository: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	_, line, found := strings.Cut(string(notes), `{"id":"bedrock-converse-1",`)
	if !found {
		t.Fatal("the notes have no example")
	}
	line, _, _ = strings.Cut(line, "\n")
	var e struct {
		Raw             json.RawMessage
		Want            map[string]int64
		PromptTotal     int64 `json:"prompt_total"`
		CompletionTotal int64 `json:"completion_total"`
	}
	if err := json.Unmarshal([]byte("{"+line), &e); err != nil {
		t.Fatal(err)
	}
	for how, events := range map[string][]event{
		"body":   {body(fmt.Sprintf(`{"output":{},"stopReason":"end_turn","usage":%s}`, e.Raw))},
		"stream": {{"messageStop", `{"stopReason":"end_turn"}`}, {"metadata", fmt.Sprintf(`{"usage":%s}`, e.Raw)}},
	} {
		m, done := read(nil, events...)
		got := map[string]int64{
			"input": m.Usage.Input(), "cache_read": m.Usage.CacheRead, "cache_write": m.Usage.CacheWrite,
			"cache_write_1h": m.Usage.CacheWrite1h, "output_text": m.Usage.Output(),
		}
		if diff := cmp.Diff(e.Want, got); diff != "" || !done || m.Inconsistent {
			t.Errorf("%s: done %v, inconsistent %v (-want +got)\n%s", how, done, m.Inconsistent, diff)
		}
		if m.Usage.PromptTokens != e.PromptTotal || m.Usage.CompletionTokens != e.CompletionTotal {
			t.Errorf("%s: totals %d and %d, want %d and %d", how, m.Usage.PromptTokens, m.Usage.CompletionTokens, e.PromptTotal, e.CompletionTotal)
		}
	}
}

func TestRecordings(t *testing.T) {
	t.Parallel()
	answers, counts := 0, 0
	dialecttest.Recordings(t, root, "bedrock", func(r dialecttest.Recording) {
		var got llmproxy.ResponseMetadata
		done := false
		switch path.Base(r.Path) {
		case "converse", "count-tokens":
			got, done = read(nil, body(r.Response))
		case "converse-stream":
			got, done = dialecttest.ReadEventStream(t, converse.New, r.Response)
		default:
			return
		}
		want := llmproxy.OutcomeCompleted
		if r.Status >= 400 {
			want = llmproxy.OutcomeFailed
		}
		if got.Outcome != want || !done {
			t.Errorf("%s: outcome %q, done %v", r.ID, got.Outcome, done)
		}
		if reported := r.Want.Usage != nil; got.UsageReported != reported || (got.FinishReason != "") != reported || got.Inconsistent {
			t.Errorf("%s: reported %v, finish reason %q, inconsistent %v", r.ID, got.UsageReported, got.FinishReason, got.Inconsistent)
		}
		if diff := dialecttest.Differences(got.Usage, r.Want); len(diff) > 0 {
			t.Errorf("%s: [ours, the library's] = %v", r.ID, diff)
		}
		if r.Want.Usage != nil {
			answers++
		} else {
			counts++
		}
	})
	// One error and five counts have no usage.
	if answers != 63 || counts != 6 {
		t.Errorf("%d answers and %d without usage, want 63 and 6", answers, counts)
	}
}

// Whatever the frames are, what is known is consistent, bounded, and not a part of them.
func FuzzFrames(f *testing.F) {
	f.Add("messageStop", []byte(`{"stopReason":"end_turn"}`), "metadata", []byte(`{"usage":{"inputTokens":1,"outputTokens":2,"cacheDetails":[{"ttl":"1h","inputTokens":3}]}}`))
	f.Add("", []byte(`{"output":1,"usage":{"inputTokens":1,"cacheWriteInputTokens":5},"trace":{"promptRouter":{"invokedModelId":"m"}}}`), "exception a", []byte(`{"originalStatusCode":500}`))
	f.Add("", []byte(`{"__type":"a#b","Message":"c"}`), "", []byte(`{"inputTokens":3}`))
	f.Fuzz(func(t *testing.T, name1 string, data1 []byte, name2 string, data2 []byte) {
		x := converse.New()
		for _, e := range []event{{name1, string(data1)}, {name2, string(data2)}, {name1, string(data2)}} {
			f := wire.Frame{Event: []byte(e.name), Data: []byte(e.data)}
			x.Frame(f)
			before := x.Metadata()
			clear(f.Event)
			clear(f.Data)
			if after := x.Metadata(); !reflect.DeepEqual(before, after) {
				t.Errorf("keeps a frame: %+v became %+v", before, after)
			}
		}
		m := x.Metadata()
		if !m.Usage.Consistent() && !m.Inconsistent || m.Usage.PromptTokens < 0 || m.Usage.CompletionTokens < 0 {
			t.Errorf("inconsistent: %+v", m.Usage)
		}
		for _, s := range []string{m.Model, m.ServiceTier, m.Speed, m.FinishReason, m.ErrorType, m.ErrorCode} {
			if len(s) > 256 {
				t.Errorf("keeps a string of %d bytes", len(s))
			}
		}
	})
}
