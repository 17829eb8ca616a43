package bedrock_test

import (
	"net/http"
	"path"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/bedrock"
	"github.com/llmproxy/llmproxy/providers/internal/provider/providertest"
	"github.com/llmproxy/llmproxy/wire"
)

// unreported are recordings of answers that say nothing, or not all, of what they used.
var unreported = map[string]string{
	"abbdff20557d6ece": "Nova behind a guardrail: no count of the output; the header that has it was not kept",
	"963694c97f2c5871": "Jurassic: no counts; the headers were not kept",
	"ab625d6d376354f8": "Claude 2: no counts; the headers were not kept",
}

// Every recorded exchange passes unchanged in both directions and is metered: on the
// mount, by its path alone, and with a prefix on the model.
func TestRecordings(t *testing.T) {
	t.Parallel()
	all := providertest.Recordings(t, "bedrock")
	if len(all) != 85 {
		t.Errorf("%d recordings, want 85", len(all))
	}
	// Another provider is there, so that nothing is Bedrock's for want of others.
	other := &llmproxy.BaseProvider{ID: "other", Speaks: map[llmproxy.APIType]llmproxy.API{llmproxy.APIConverse: {}, llmproxy.APIInvokeModel: {}}}
	g := newRig(t, bedrock.Config{AccessKeyID: ourKey, SecretAccessKey: ourSecret, SessionToken: ourSession}, llmproxy.WithProvider(other))
	for _, r := range all {
		for _, way := range []providertest.Way{
			{Name: "by mount", Target: "/bedrock" + r.Path, Body: r.Request},
			{Name: "by path", Target: r.Path, Body: r.Request},
			{
				Name: "by prefix", Target: strings.Replace(r.Path, "/model/", "/model/bedrock%2F", 1), Body: r.Request,
				URI: strings.ReplaceAll(r.Path, ":", "%3A"), // what is cut is escaped anew, as the SDKs do it
			},
		} {
			got := g.Replay(r, way)
			if err := verify(got.Call, ourKey, ourSecret); err != nil {
				t.Errorf("%s %s: %v", r.ID, way.Name, err)
			}
			checkRecord(t, r, way.Name, got.Record)
		}
	}
}

func checkRecord(t *testing.T, r providertest.Recording, way string, rec llmproxy.Record) {
	t.Helper()
	verb := path.Base(r.Path)
	api, transport := llmproxy.APIConverse, llmproxy.TransportHTTP
	if strings.HasPrefix(verb, "invoke") {
		api = llmproxy.APIInvokeModel
	}
	if strings.HasSuffix(verb, "-stream") {
		transport = llmproxy.TransportEventStream
	}
	if rec.API != api || rec.Transport != transport || rec.Provider != "bedrock" {
		t.Errorf("%s %s: the record is %+v", r.ID, way, rec)
	}
	outcome, usage := llmproxy.OutcomeCompleted, llmproxy.UsageProvider
	switch {
	case r.Status >= 400:
		outcome, usage = llmproxy.OutcomeError, llmproxy.UsageNone
	case verb == "count-tokens", unreported[r.ID] != "" && !rec.Inconsistent, strings.Contains(r.Path, "embed"):
		usage = llmproxy.UsageNone
	}
	if rec.Outcome != outcome || rec.UsageSource != usage {
		t.Errorf("%s %s: outcome %s, usage from %s; want %s and %s", r.ID, way, rec.Outcome, rec.UsageSource, outcome, usage)
	}
	if rec.Inconsistent != (r.ID == "abbdff20557d6ece") {
		t.Errorf("%s %s: inconsistent: %v", r.ID, way, rec.Inconsistent)
	}
}

// stream returns an event stream of Converse.
func stream(events ...[2]string) string {
	var b []byte
	for _, e := range events {
		b = wire.AppendMessage(b, []wire.Header{
			{Name: ":event-type", Value: e[0]}, {Name: ":content-type", Value: "application/json"}, {Name: ":message-type", Value: "event"},
		}, []byte(e[1]))
	}
	return string(b)
}

var eventStream = map[string]string{"Content-Type": "application/vnd.amazon.eventstream"}

// A corrupt event stream is the client's to judge: it gets every byte. The meter knows
// that it could not read on.
func TestCorruptStreamsPass(t *testing.T) {
	t.Parallel()
	g := newRig(t, bedrock.Config{BearerToken: ourToken})
	good := stream([2]string{"messageStart", `{"role":"assistant"}`}, [2]string{"messageStop", `{"stopReason":"end_turn"}`})
	usage := stream([2]string{"metadata", `{"usage":{"inputTokens":3,"outputTokens":4,"totalTokens":7}}`})
	corrupt := []byte(usage)
	corrupt[len(corrupt)-1] ^= 1
	for name, tt := range map[string]struct {
		body   string
		source llmproxy.UsageSource
		unread bool
	}{
		"sound":                    {good + usage, llmproxy.UsageProvider, false},
		"a checksum":               {good + string(corrupt) + usage, llmproxy.UsageNone, true},
		"a length":                 {good + "\xff\xff\xff\xff" + usage, llmproxy.UsageNone, true},
		"text":                     {"<html><body>Bad Gateway", llmproxy.UsageNone, true},
		"corrupt after the report": {good + usage + "more", llmproxy.UsageProvider, false},
	} {
		g.Answers(http.StatusOK, eventStream, tt.body)
		got := g.Post("/model/m/converse-stream", "{}")
		if a := got.Reply; a.Body != tt.body || a.Status != http.StatusOK || a.Err != nil {
			t.Errorf("%s: the client got %d %q, %v", name, a.Status, a.Body, a.Err)
		}
		if r := got.Record; r.UsageSource != tt.source || r.Unread != tt.unread || r.Transport != llmproxy.TransportEventStream {
			t.Errorf("%s: usage from %s, unread %v, %s, outcome %s", name, r.UsageSource, r.Unread, r.Transport, r.Outcome)
		}
	}
}

// What an exception in a stream says is in the record, without its message.
func TestExceptionsInStreams(t *testing.T) {
	t.Parallel()
	g := newRig(t, bedrock.Config{BearerToken: ourToken})
	exception := wire.AppendMessage(nil, []wire.Header{
		{Name: ":exception-type", Value: "throttlingException"}, {Name: ":content-type", Value: "application/json"}, {Name: ":message-type", Value: "exception"},
	}, []byte(`{"message":"canary"}`))
	body := stream([2]string{"messageStart", `{"role":"assistant"}`}) + string(exception)
	g.Answers(http.StatusOK, eventStream, body)
	got := g.Post("/model/m/converse-stream", "{}")
	if got.Reply.Body != body {
		t.Errorf("the client got %q", got.Reply.Body)
	}
	r := got.Record
	if r.Outcome != llmproxy.OutcomeFailed || r.Status != http.StatusOK || r.Error == nil || *r.Error != (llmproxy.RecordError{Type: "throttlingException"}) {
		t.Errorf("the record is %+v with %+v", r, r.Error)
	}
}

// An error before a stream is JSON; its type is in a field.
func TestErrors(t *testing.T) {
	t.Parallel()
	g := newRig(t, bedrock.Config{BearerToken: ourToken})
	const body = `{"message":"canary: too many requests"}`
	g.Answers(http.StatusTooManyRequests, map[string]string{
		"Content-Type": "application/json", "X-Amzn-Errortype": "ThrottlingException:http://internal.amazon.com/coral/", "X-Amzn-Requestid": "r1",
	}, body)
	for _, verb := range []string{"converse", "converse-stream", "invoke", "invoke-with-response-stream"} {
		got := g.Post("/model/m/"+verb, "{}")
		if a := got.Reply; a.Status != http.StatusTooManyRequests || a.Body != body || a.Header.Get("X-Amzn-Errortype") == "" {
			t.Errorf("%s: the client got %d %s %v", verb, a.Status, a.Body, a.Header)
		}
		r := got.Record
		if r.Outcome != llmproxy.OutcomeError || r.ProviderRequestID != "r1" || r.Error == nil || *r.Error != (llmproxy.RecordError{Type: "ThrottlingException"}) {
			t.Errorf("%s: the record is %+v with %+v", verb, r, r.Error)
		}
	}
}

// A stream that AWS cuts ends with an exception, where a message may begin.
func TestCutStreams(t *testing.T) {
	t.Parallel()
	g := newRig(t, bedrock.Config{BearerToken: ourToken})
	whole := stream([2]string{"messageStart", `{"role":"assistant"}`}, [2]string{"contentBlockDelta", `{"delta":{"text":"a"}}`})
	g.AnswersWith(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", eventStream["Content-Type"])
		_, _ = w.Write([]byte(whole))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	got := g.Post("/model/m/converse-stream", "{}")
	rest, ok := strings.CutPrefix(got.Reply.Body, whole)
	if !ok || got.Reply.Err == nil {
		t.Errorf("the client got %q, %v", got.Reply.Body, got.Reply.Err)
	}
	var end frames
	s := wire.NewEventStream(&end, 0)
	_, _ = s.Write([]byte(rest))
	if len(end) != 1 || !strings.HasPrefix(end[0].name, wire.ExceptionPrefix) || !s.Whole() {
		t.Errorf("the stream ends with %q", rest)
	}
	if r := got.Record; r.Outcome != llmproxy.OutcomeError || r.Error.Code != "provider_broken" {
		t.Errorf("the record is %+v", r)
	}
}

// frames keeps the frames it is given.
type frames []frame

type frame struct{ name, data string }

func (f *frames) Frame(w wire.Frame) { *f = append(*f, frame{string(w.Event), string(w.Data)}) }

// On "/", the body says what to do: it is sent to the model it names, without what is no
// part of Converse.
func TestConverseByBody(t *testing.T) {
	t.Parallel()
	g := newRig(t, bedrock.Config{BearerToken: ourToken})
	for _, tt := range []struct{ body, uri, want string }{
		{
			`{"model":"bedrock/us.amazon.nova-lite-v1:0","messages":[]}`,
			"/model/us.amazon.nova-lite-v1%3A0/converse", `{"messages":[]}`,
		},
		{
			`{"messages":[],"stream":true,"modelId":"arn:aws:bedrock:us-east-1:1:inference-profile/a"}`,
			"/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fa/converse-stream", `{"messages":[]}`,
		},
	} {
		got := g.Post("/", tt.body).Call
		if got.URI != tt.uri || got.Body != tt.want {
			t.Errorf("%s: AWS got %s with %s", tt.body, got.URI, got.Body)
		}
	}
}

func TestOtherDialects(t *testing.T) {
	t.Parallel()
	g := newRig(t, bedrock.Config{BearerToken: ourToken})
	for _, tt := range []struct {
		target, uri, body, want string
		contentType, answer     string
		prompt, completion      int64
	}{
		{
			"/v1/chat/completions", "/openai/v1/chat/completions",
			`{"model":"openai.gpt-oss-20b-1:0","stream":true}`, `{"model":"openai.gpt-oss-20b-1:0","stream":true,"stream_options":{"include_usage":true}}`,
			"text/event-stream", "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,\"total_tokens\":9}}\n\ndata: [DONE]\n\n", 7, 2,
		},
		{
			"/v1/responses", "/openai/v1/responses",
			`{"model":"bedrock/openai.gpt-oss-20b-1:0","input":"a"}`, `{"model":"openai.gpt-oss-20b-1:0","input":"a"}`,
			"application/json", `{"object":"response","status":"completed","usage":{"input_tokens":3,"output_tokens":4,"total_tokens":7}}`, 3, 4,
		},
		{
			"/v1/messages", "/anthropic/v1/messages", `{"model":"global.anthropic.claude-x"}`, `{"model":"global.anthropic.claude-x"}`,
			"application/json", `{"type":"message","content":[],"stop_reason":"end_turn","usage":{"input_tokens":5,"output_tokens":6}}`, 5, 6,
		},
	} {
		g.Answers(http.StatusOK, map[string]string{"Content-Type": tt.contentType}, tt.answer)
		for _, target := range []string{tt.target, "/bedrock" + tt.uri} {
			if target != tt.target && strings.Contains(tt.body, "bedrock/") {
				continue // no prefix is cut on the mount
			}
			got := g.Post(target, tt.body)
			if c := got.Call; c.URI != tt.uri || c.Body != tt.want || got.Reply.Body != tt.answer {
				t.Errorf("%s: AWS got %s with %s, the client %s", target, c.URI, c.Body, got.Reply.Body)
			}
			if version := got.Call.Header.Get("Anthropic-Version"); (version == "2023-06-01") != (tt.target == "/v1/messages") {
				t.Errorf("%s: Anthropic-Version is %q", target, version)
			}
			r := got.Record
			if r.Usage.PromptTokens != tt.prompt || r.Usage.CompletionTokens != tt.completion || r.UsageSource != llmproxy.UsageProvider {
				t.Errorf("%s: the record is %+v", target, r)
			}
		}
	}
	got := g.Do("POST", "/v1/messages", `{"model":"anthropic.claude-x"}`, http.Header{"Anthropic-Version": {"2026-10-21"}}).Call
	if v := got.Header["Anthropic-Version"]; len(v) != 1 || v[0] != "2026-10-21" {
		t.Errorf("the client's version became %q", v)
	}
}

// A header of the answer that reports usage is read where the body has none.
func TestUsageInTheHeader(t *testing.T) {
	t.Parallel()
	g := newRig(t, bedrock.Config{BearerToken: ourToken})
	g.Answers(http.StatusOK, map[string]string{
		"Content-Type":                      "application/json",
		"X-Amzn-Bedrock-Input-Token-Count":  "11",
		"X-Amzn-Bedrock-Output-Token-Count": "5",
		"X-Amzn-Bedrock-Service-Tier":       "priority",
	}, `{"outputs":[{"text":"a","stop_reason":"stop"}]}`)
	got := g.Post("/model/mistral.mistral-7b-instruct-v0%3A2/invoke", "{}")
	if told := got.Reply.Header.Get("X-Gateway-Prompt-Tokens"); told != "11" {
		t.Errorf("the client is told %q prompt tokens", told)
	}
	r := got.Record
	if r.Usage != (llmproxy.Usage{PromptTokens: 11, CompletionTokens: 5}) || r.ServiceTier != "priority" || r.FinishReason != "stop" {
		t.Errorf("the record is %+v", r)
	}
}
