package messages_test

import (
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/messages"
	"github.com/llmproxy/llmproxy/wire"
)

// What was written to the cache, and no split says for how long, lives as the request
// asked: an hour where every mark says so, else the default's five minutes.
func TestLifetimesByTheRequest(t *testing.T) {
	t.Parallel()
	const (
		hour    = `"cache_control":{"type":"ephemeral","ttl":"1h"}`
		minutes = `"cache_control":{"type":"ephemeral","ttl":"5m"}`
		plain   = `"cache_control": {"type":"ephemeral"}`
	)
	long := strings.Repeat(" ", 300)
	for _, tt := range []struct {
		name, request string
		edit          string
		want1h        bool
	}{
		{"an hour", `{"system":[{"text":"a",` + hour + `}]}`, "", true},
		{"an hour, twice", `{"tools":[{` + hour + `}],"system":[{"text":"a",` + hour + `}]}`, "", true},
		{"an hour, at the top", `{` + hour + `,"messages":[]}`, "", true},
		{"an hour, spelled in another order", `{"cache_control" : { "ttl" : "1h" , "type" : "ephemeral" }}`, "", true},
		{"an hour, on several lines", "{\"cache_control\":\n\t{\r\n\"ttl\":\"1h\"}}", "", true},
		{"five minutes", `{"system":[{"text":"a",` + minutes + `}]}`, "", false},
		{"the default", `{"system":[{"text":"a",` + plain + `}]}`, "", false},
		{"both", `{"system":[{"text":"a",` + hour + `}],"messages":[{"content":[{` + plain + `}]}]}`, "", false},
		{"no mark", `{"messages":[]}`, "", false},
		{"no mark, and a text that ends like one", `{"messages":"wait 1h"}`, "", false},
		{"a mark that is null", `{"cache_control":null,"system":[{` + hour + `}]}`, "", true},
		{"a mark in a text", `{"messages":"\"cache_control\":{\"ttl\":\"1h\"}"}`, "", false},
		{"a text that is the name", `{"messages":["cache_control"],"system":[{` + hour + `}]}`, "", true},
		{"a mark that is endless", `{"cache_control":{` + long + `"ttl":"1h"}}`, "", false},
		{"a mark of an interceptor", `{"messages":[]}`, `[{` + hour + `}]`, true},
		{"a mark of an interceptor besides the client's", `{"messages":[],` + hour + `}`, `[{` + plain + `}]`, false},
	} {
		body, err := llmproxy.ParseBody([]byte(tt.request))
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		x := &llmproxy.Exchange{Body: body}
		if tt.edit != "" {
			x.Edits = []wire.Edit{{New: []byte(tt.edit)}}
		}
		for _, answer := range []struct {
			usage         string
			short, hourly llmproxy.Usage
		}{
			{
				`{"input_tokens":10,"cache_creation_input_tokens":3000,"output_tokens":4}`,
				llmproxy.Usage{PromptTokens: 3010, CompletionTokens: 4, CacheWrite: 3000},
				llmproxy.Usage{PromptTokens: 3010, CompletionTokens: 4, CacheWrite1h: 3000},
			},
			{
				`{"input_tokens":10,"cache_creation_input_tokens":3000,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":2000},"output_tokens":4}`,
				llmproxy.Usage{PromptTokens: 3010, CompletionTokens: 4, CacheWrite: 1000, CacheWrite1h: 2000},
				llmproxy.Usage{PromptTokens: 3010, CompletionTokens: 4, CacheWrite1h: 3000},
			},
			{
				// What the answer states counts, whatever was asked for.
				`{"input_tokens":10,"cache_creation_input_tokens":3000,"cache_creation":{"ephemeral_5m_input_tokens":1000,"ephemeral_1h_input_tokens":1500},"output_tokens":4}`,
				llmproxy.Usage{PromptTokens: 3010, CompletionTokens: 4, CacheWrite: 1500, CacheWrite5m: 1000, CacheWrite1h: 1500},
				llmproxy.Usage{PromptTokens: 3010, CompletionTokens: 4, CacheWrite: 1000, CacheWrite5m: 1000, CacheWrite1h: 2000},
			},
		} {
			e := messages.New()
			e.(llmproxy.RequestExtractor).Request(x)
			e.Frame(wire.Frame{Data: []byte(`{"type":"message","content":[],"usage":` + answer.usage + `}`)})
			want := answer.short
			if tt.want1h {
				want = answer.hourly
			}
			if got := e.Metadata().Usage; got != want {
				t.Errorf("%s, %s: got %+v, want %+v", tt.name, answer.usage, got, want)
			}
		}
	}
}

// An exchange without a body says nothing.
func TestRequestWithoutBody(t *testing.T) {
	t.Parallel()
	e := messages.New()
	e.(llmproxy.RequestExtractor).Request(&llmproxy.Exchange{})
	if m := e.Metadata(); m.UsageReported {
		t.Errorf("got %+v", m)
	}
}

// A coding agent's request, of 100 KB.
func BenchmarkRequest(b *testing.B) {
	text := strings.Repeat(`You are \"helpful\" in 10 ways. `, 3_000)
	for _, ttl := range []string{"1h", "5m"} {
		b.Run(ttl, func(b *testing.B) {
			body, err := llmproxy.ParseBody([]byte(`{"system":[{"text":"` + text + `","cache_control":{"type":"ephemeral","ttl":"` + ttl + `"}}],"messages":[]}`))
			if err != nil {
				b.Fatal(err)
			}
			x := &llmproxy.Exchange{Body: body}
			e := messages.New().(llmproxy.RequestExtractor)
			b.SetBytes(int64(len(body.Bytes())))
			b.ReportAllocs()
			for b.Loop() {
				e.Request(x)
			}
		})
	}
}
