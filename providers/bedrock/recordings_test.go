package bedrock_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/dialecttest"
	"github.com/llmproxy/llmproxy/providers/bedrock"
	"github.com/llmproxy/llmproxy/wire"
)

// recording is a recorded exchange of another client with Bedrock.
type recording struct {
	ID, Path, Request, Response, Encoding string
	Status                                int
	Headers                               map[string]string
	opinion                               dialecttest.Opinion
}

// answer returns the body as it was received.
func (r recording) answer(t *testing.T) string {
	t.Helper()
	if r.Encoding != "base64" {
		return r.Response
	}
	body, err := base64.StdEncoding.DecodeString(r.Response)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func recordings(t *testing.T) (all []recording) {
	t.Helper()
	opinions := map[string]dialecttest.Opinion{}
	dialecttest.Recordings(t, "../..", "bedrock", func(r dialecttest.Recording) { opinions[r.ID] = r.Want })
	f, err := os.Open("../../../shared/recordings/bedrock.jsonl")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no recordings beside the repository: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var r recording
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		r.opinion = opinions[r.ID]
		all = append(all, r)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

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
	all := recordings(t)
	if len(all) != 85 {
		t.Errorf("%d recordings, want 85", len(all))
	}
	// Another provider is there, so that nothing is Bedrock's for want of others.
	other := &llmproxy.BaseProvider{ID: "other", Speaks: map[llmproxy.APIType]llmproxy.API{llmproxy.APIConverse: {}, llmproxy.APIInvokeModel: {}}}
	g := newRig(t, bedrock.Config{AccessKeyID: ourKey, SecretAccessKey: ourSecret, SessionToken: ourSession}, llmproxy.WithProvider(other))
	for _, r := range all {
		want := r.answer(t)
		header := http.Header{}
		for name, value := range r.Headers {
			header.Set(name, value)
		}
		g.answers(r.Status, header, want)
		for way, target := range map[string]string{
			"mount": "/bedrock" + r.Path, "path": r.Path, "prefix": strings.Replace(r.Path, "/model/", "/model/bedrock%2F", 1),
		} {
			got, answer := g.send("POST", target, r.Request, nil)
			uri := r.Path
			if way == "prefix" {
				// What is cut is escaped anew, as the SDKs do it.
				uri = strings.ReplaceAll(uri, ":", "%3A")
			}
			if got.uri != uri || got.body != r.Request {
				t.Errorf("%s by %s: AWS got %s with %.100q", r.ID, way, got.uri, got.body)
			}
			if err := verify(got, ourKey, ourSecret); err != nil {
				t.Errorf("%s by %s: %v", r.ID, way, err)
			}
			if answer.status != r.Status || answer.body != want || answer.err != nil {
				t.Errorf("%s by %s: the client got %d and %d bytes, want %d and %d: %v", r.ID, way, answer.status, len(answer.body), r.Status, len(want), answer.err)
			}
			checkRecord(t, r, way, g.record(), answer)
		}
	}
}

func checkRecord(t *testing.T, r recording, way string, rec llmproxy.Record, answer received) {
	t.Helper()
	fail := func(format string, args ...any) {
		t.Helper()
		t.Errorf("%s by %s: "+format, append([]any{r.ID, way}, args...)...)
	}
	verb := path.Base(r.Path)
	api, transport := llmproxy.APIConverse, llmproxy.TransportHTTP
	if strings.HasPrefix(verb, "invoke") {
		api = llmproxy.APIInvokeModel
	}
	if strings.HasSuffix(verb, "-stream") {
		transport = llmproxy.TransportEventStream
	}
	if rec.API != api || rec.Transport != transport || rec.Provider != "bedrock" || rec.Status != r.Status || rec.Unread {
		fail("the record is %+v", rec)
	}
	if diff := dialecttest.Differences(rec.Usage, r.opinion); len(diff) > 0 {
		fail("[ours, the library's] = %v", diff)
	}
	if want := r.opinion.Model; want != "" && rec.Model != want {
		fail("model %s, want %s", rec.Model, want)
	}
	outcome, usage := llmproxy.OutcomeCompleted, llmproxy.UsageProvider
	counts := verb == "count-tokens"
	switch {
	case r.Status >= 400:
		outcome, usage = llmproxy.OutcomeError, llmproxy.UsageNone
	case counts, unreported[r.ID] != "" && !rec.Inconsistent, strings.Contains(r.Path, "embed"):
		usage = llmproxy.UsageNone
	}
	if rec.Outcome != outcome || rec.UsageSource != usage {
		fail("outcome %s, usage from %s; want %s and %s", rec.Outcome, rec.UsageSource, outcome, usage)
	}
	if rec.Inconsistent != (r.ID == "abbdff20557d6ece") {
		fail("inconsistent: %v", rec.Inconsistent)
	}
	tokens := answer.header
	if transport == llmproxy.TransportEventStream {
		tokens = answer.trailer
	}
	if told := tokens.Get("X-Gateway-Prompt-Tokens") != ""; told != (usage == llmproxy.UsageProvider) {
		fail("the client is told the tokens: %v", told)
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

var eventStream = http.Header{"Content-Type": {"application/vnd.amazon.eventstream"}}

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
		g.answers(http.StatusOK, eventStream, tt.body)
		_, answer := g.send("POST", "/model/m/converse-stream", "{}", nil)
		if answer.body != tt.body || answer.status != http.StatusOK || answer.err != nil {
			t.Errorf("%s: the client got %d %q, %v", name, answer.status, answer.body, answer.err)
		}
		if r := g.record(); r.UsageSource != tt.source || r.Unread != tt.unread || r.Transport != llmproxy.TransportEventStream {
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
	g.answers(http.StatusOK, eventStream, body)
	_, answer := g.send("POST", "/model/m/converse-stream", "{}", nil)
	if answer.body != body {
		t.Errorf("the client got %q", answer.body)
	}
	r := g.record()
	if r.Outcome != llmproxy.OutcomeFailed || r.Status != http.StatusOK || r.Error == nil || *r.Error != (llmproxy.RecordError{Type: "throttlingException"}) {
		t.Errorf("the record is %+v with %+v", r, r.Error)
	}
}

// An error before a stream is JSON; its type is in a field.
func TestErrors(t *testing.T) {
	t.Parallel()
	g := newRig(t, bedrock.Config{BearerToken: ourToken})
	const body = `{"message":"canary: too many requests"}`
	g.answers(http.StatusTooManyRequests, http.Header{
		"Content-Type": {"application/json"}, "X-Amzn-Errortype": {"ThrottlingException:http://internal.amazon.com/coral/"}, "X-Amzn-Requestid": {"r1"},
	}, body)
	for _, verb := range []string{"converse", "converse-stream", "invoke", "invoke-with-response-stream"} {
		_, answer := g.send("POST", "/model/m/"+verb, "{}", nil)
		if answer.status != http.StatusTooManyRequests || answer.body != body || answer.header.Get("X-Amzn-Errortype") == "" {
			t.Errorf("%s: the client got %d %s %v", verb, answer.status, answer.body, answer.header)
		}
		r := g.record()
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
	g.answerWith(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = eventStream["Content-Type"]
		_, _ = w.Write([]byte(whole))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	_, answer := g.send("POST", "/model/m/converse-stream", "{}", nil)
	rest, ok := strings.CutPrefix(answer.body, whole)
	if !ok || answer.err == nil {
		t.Errorf("the client got %q, %v", answer.body, answer.err)
	}
	var got frames
	s := wire.NewEventStream(&got, 0)
	_, _ = s.Write([]byte(rest))
	if len(got) != 1 || !strings.HasPrefix(got[0].name, wire.ExceptionPrefix) || !s.Whole() {
		t.Errorf("the stream ends with %q", rest)
	}
	if r := g.record(); r.Outcome != llmproxy.OutcomeError || r.Error.Code != "provider_broken" {
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
		got, _ := g.send("POST", "/", tt.body, nil)
		if got.uri != tt.uri || got.body != tt.want {
			t.Errorf("%s: AWS got %s with %s", tt.body, got.uri, got.body)
		}
		g.record()
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
		g.answers(http.StatusOK, http.Header{"Content-Type": {tt.contentType}}, tt.answer)
		for _, target := range []string{tt.target, "/bedrock" + tt.uri} {
			if target != tt.target && strings.Contains(tt.body, "bedrock/") {
				continue // no prefix is cut on the mount
			}
			got, answer := g.send("POST", target, tt.body, nil)
			if got.uri != tt.uri || got.body != tt.want || answer.body != tt.answer {
				t.Errorf("%s: AWS got %s with %s, the client %s", target, got.uri, got.body, answer.body)
			}
			if version := got.header.Get("Anthropic-Version"); (version == "2023-06-01") != (tt.target == "/v1/messages") {
				t.Errorf("%s: Anthropic-Version is %q", target, version)
			}
			r := g.record()
			if r.Usage.PromptTokens != tt.prompt || r.Usage.CompletionTokens != tt.completion || r.UsageSource != llmproxy.UsageProvider {
				t.Errorf("%s: the record is %+v", target, r)
			}
		}
	}
	got, _ := g.send("POST", "/v1/messages", `{"model":"anthropic.claude-x"}`, http.Header{"Anthropic-Version": {"2026-10-21"}})
	if v := got.header["Anthropic-Version"]; len(v) != 1 || v[0] != "2026-10-21" {
		t.Errorf("the client's version became %q", v)
	}
}

// A header of the answer that reports usage is read where the body has none.
func TestUsageInTheHeader(t *testing.T) {
	t.Parallel()
	g := newRig(t, bedrock.Config{BearerToken: ourToken})
	g.answers(http.StatusOK, http.Header{
		"Content-Type":                      {"application/json"},
		"X-Amzn-Bedrock-Input-Token-Count":  {"11"},
		"X-Amzn-Bedrock-Output-Token-Count": {"5"},
		"X-Amzn-Bedrock-Service-Tier":       {"priority"},
	}, `{"outputs":[{"text":"a","stop_reason":"stop"}]}`)
	_, answer := g.send("POST", "/model/mistral.mistral-7b-instruct-v0%3A2/invoke", "{}", nil)
	if got := answer.header.Get("X-Gateway-Prompt-Tokens"); got != "11" {
		t.Errorf("the client is told %q prompt tokens", got)
	}
	r := g.record()
	if r.Usage != (llmproxy.Usage{PromptTokens: 11, CompletionTokens: 5}) || r.ServiceTier != "priority" || r.FinishReason != "stop" {
		t.Errorf("the record is %+v", r)
	}
}
