package interceptors_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/interceptors"
	"github.com/llmproxy/llmproxy/wire"
)

// shout is a Redactor that changes all it sees, and notes it.
type shout struct{ seen []string }

func (s *shout) RequestText(_ context.Context, _ *llmproxy.Exchange, text string) (string, error) {
	s.seen = append(s.seen, text)
	return strings.ToUpper(text), nil
}

func (s *shout) AnswerText(_ context.Context, _ *llmproxy.Exchange, text string, _ bool) (string, int) {
	s.seen = append(s.seen, text)
	return strings.ToUpper(text), 0
}

// The texts are in lower case, all else is not.
func TestRedactionOfRequests(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		api      llmproxy.APIType
		in, want string
	}{
		{
			llmproxy.APIChatCompletions,
			`{"model":"m","X":1.0,"messages":[{"role":"user","content":"a<b>é"},{"content":[{"type":"text","text":"c"},{"type":"image_url","image_url":{"url":"u"}}]},{"content":null,"refusal":"r","tool_calls":[{"function":{"arguments":"{}"}}]},{"role":"tool","content":"d"}],"tools":[{"description":"t"}]}`,
			`{"model":"m","X":1.0,"messages":[{"role":"user","content":"A<B>É"},{"content":[{"type":"text","text":"C"},{"type":"image_url","image_url":{"url":"u"}}]},{"content":null,"refusal":"R","tool_calls":[{"function":{"arguments":"{}"}}]},{"role":"tool","content":"D"}],"tools":[{"description":"t"}]}`,
		},
		{llmproxy.APICompletions, `{"prompt":"a","suffix":"b"}`, `{"prompt":"A","suffix":"B"}`},
		{llmproxy.APICompletions, `{"prompt":["a", "b",[1,2]]}`, `{"prompt":["A", "B",[1,2]]}`},
		{llmproxy.APIEmbeddings, `{"input":["a","b"],"encoding_format":"float"}`, `{"input":["A","B"],"encoding_format":"float"}`},
		{llmproxy.APIImages, `{"prompt":"a","size":"s"}`, `{"prompt":"A","size":"s"}`},
		{
			llmproxy.APIResponses,
			`{"instructions":"a","input":[{"content":"b"},{"content":[{"text":"c"}]},{"type":"function_call_output","output":"d","call_id":"x"},{"output":[{"text":"e"}]}],"metadata":{"k":"v"}}`,
			`{"instructions":"A","input":[{"content":"B"},{"content":[{"text":"C"}]},{"type":"function_call_output","output":"D","call_id":"x"},{"output":[{"text":"E"}]}],"metadata":{"k":"v"}}`,
		},
		{llmproxy.APIResponses, `{"input":"a"}`, `{"input":"A"}`},
		{
			llmproxy.APIMessages,
			`{"system":"a","messages":[{"content":"b"},{"content":[{"text":"c"},{"type":"tool_result","content":"d"},{"content":[{"text":"e"}]},{"thinking":"t","signature":"s"}]}]}`,
			`{"system":"A","messages":[{"content":"B"},{"content":[{"text":"C"},{"type":"tool_result","content":"D"},{"content":[{"text":"E"}]},{"thinking":"t","signature":"s"}]}]}`,
		},
		{llmproxy.APIMessages, `{"system":[{"type":"text","text":"a"}]}`, `{"system":[{"type":"text","text":"A"}]}`},
		{
			llmproxy.APIGenerateContent,
			`{"systemInstruction":{"parts":[{"text":"a"}]},"contents":[{"parts":[{"text":"b"},{"inlineData":{"data":"x"}}]}]}`,
			`{"systemInstruction":{"parts":[{"text":"A"}]},"contents":[{"parts":[{"text":"B"},{"inlineData":{"data":"x"}}]}]}`,
		},
		{llmproxy.APIGenerateContent, `{"requests":[{"model":"m","content":{"parts":[{"text":"a"}]}}]}`, `{"requests":[{"model":"m","content":{"parts":[{"text":"A"}]}}]}`},
		{
			llmproxy.APIConverse,
			`{"system":[{"text":"a"}],"messages":[{"content":[{"text":"b"},{"toolResult":{"toolUseId":"i","content":[{"text":"c"}]}}]}]}`,
			`{"system":[{"text":"A"}],"messages":[{"content":[{"text":"B"},{"toolResult":{"toolUseId":"i","content":[{"text":"C"}]}}]}]}`,
		},
		{llmproxy.APIInvokeModel, `{"anthropic_version":"v","system":"a","messages":[{"content":[{"text":"b"}]}],"inputText":"c"}`, `{"anthropic_version":"v","system":"A","messages":[{"content":[{"text":"B"}]}],"inputText":"C"}`},
		{llmproxy.APICohere, `{"query":"a","documents":["b",{"text":"c"}],"texts":["d"]}`, `{"query":"A","documents":["B",{"text":"C"}],"texts":["D"]}`},
		{llmproxy.APIOllama, `{"prompt":"a","system":"b","messages":[{"content":"c"}]}`, `{"prompt":"A","system":"B","messages":[{"content":"C"}]}`},
	} {
		x := request(t, "p", tt.api, "/x", "m", tt.in)
		got := ""
		_, err := (&interceptors.Redaction{Redactor: &shout{}}).Intercept(t.Context(), x, func(_ context.Context, y *llmproxy.Exchange) (*llmproxy.Reply, error) {
			got = string(wire.Splice(y.Body.Bytes(), y.Edits...))
			return nil, errPlanned
		})
		if got != tt.want || !errors.Is(err, errPlanned) {
			t.Errorf("%s: got\n%s, %v\nwant\n%s", tt.api, got, err, tt.want)
		}
	}
}

// refuser refuses with its error.
type refuser struct{ err error }

func (r refuser) RequestText(context.Context, *llmproxy.Exchange, string) (string, error) {
	return "", r.err
}

func (r refuser) AnswerText(_ context.Context, _ *llmproxy.Exchange, text string, _ bool) (string, int) {
	return text, 0
}

func TestRedactionRefuses(t *testing.T) {
	t.Parallel()
	mask := interceptors.MaskWords("x", "secret")
	own := &llmproxy.Error{Status: 451, Code: "forbidden_word"}
	const body = `{"messages":[{"content":"secret"}]}`
	for _, tt := range []struct {
		name   string
		r      *interceptors.Redaction
		api    llmproxy.APIType
		status int
		code   string // "" is sent
	}{
		{"an unknown API", &interceptors.Redaction{Redactor: mask}, "", 400, "not_redactable"},
		{"answers that nobody reads", &interceptors.Redaction{Redactor: mask, Answers: true}, llmproxy.APICohere, 400, "not_redactable"},
		{"their requests", &interceptors.Redaction{Redactor: mask}, llmproxy.APICohere, 0, ""},
		{"an error", &interceptors.Redaction{Redactor: refuser{errors.New("it says secret")}}, llmproxy.APIChatCompletions, 400, "content_refused"},
		{"an error for clients", &interceptors.Redaction{Redactor: refuser{own}}, llmproxy.APIChatCompletions, 451, "forbidden_word"},
		{"nobody looks", &interceptors.Redaction{Answers: true}, "", 0, ""},
	} {
		sent := false
		_, err := tt.r.Intercept(t.Context(), request(t, "p", tt.api, "/x", "m", body), func(context.Context, *llmproxy.Exchange) (*llmproxy.Reply, error) {
			sent = true
			return nil, nil
		})
		failure, _ := errors.AsType[*llmproxy.Error](err)
		if sent != (tt.code == "") || !sent && (failure == nil || failure.Status != tt.status || failure.Code != tt.code || strings.Contains(failure.Message, "secret")) {
			t.Errorf("%s: sent %v, %v", tt.name, sent, err)
		}
	}

	// Edits that cannot be made together are no reason to send what should not be.
	x := request(t, "p", llmproxy.APIChatCompletions, "/x", "m", body)
	x.Edits = []wire.Edit{{Span: wire.Span{Start: 1, End: len(body) - 1}, New: []byte(`"a":1`)}}
	_, err := (&interceptors.Redaction{Redactor: mask}).Intercept(t.Context(), x, func(context.Context, *llmproxy.Exchange) (*llmproxy.Reply, error) {
		t.Error("sent")
		return nil, nil
	})
	if !errors.Is(err, wire.ErrEdit) {
		t.Errorf("got %v", err)
	}
}

// reply is an answer in pieces.
type reply struct {
	pieces [][]byte
	end    error
	closed bool
}

func (r *reply) Next() ([]byte, error) {
	if len(r.pieces) == 0 {
		return nil, r.end
	}
	p := r.pieces[0]
	r.pieces = r.pieces[1:]
	return p, nil
}

func (r *reply) Close() error {
	r.closed = true
	return nil
}

// redactedPieces is what the client gets of an answer.
func redactedPieces(t *testing.T, r *interceptors.Redaction, x *llmproxy.Exchange, contentType string, answer *reply) (pieces []string, err error) {
	t.Helper()
	out, err := r.Intercept(t.Context(), x, func(context.Context, *llmproxy.Exchange) (*llmproxy.Reply, error) {
		h := http.Header{"Content-Type": {contentType}, "Content-Length": {"1"}, "X-Other": {"y"}}
		return &llmproxy.Reply{StatusCode: 200, Header: h, Stream: answer}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if out.Header["Content-Length"] != nil || out.Header.Get("X-Other") != "y" {
		t.Errorf("the header is %v", out.Header)
	}
	for {
		p, err := out.Stream.Next()
		if err != nil {
			if again, _ := out.Stream.Next(); again != nil {
				t.Errorf("after %v came %q", err, again)
			}
			return pieces, err
		}
		if len(p) == 0 {
			t.Error("an empty piece")
		}
		pieces = append(pieces, string(p))
	}
}

// redactedAnswer is what the client gets of an answer that comes as it stands.
func redactedAnswer(t *testing.T, r *interceptors.Redaction, api llmproxy.APIType, contentType, answer string) string {
	t.Helper()
	x := request(t, "p", api, "/x", "m", `{}`)
	pieces, err := redactedPieces(t, r, x, contentType, &reply{pieces: [][]byte{[]byte(answer)}, end: io.EOF})
	if err != io.EOF { //nolint:errorlint // io.EOF is itself
		t.Errorf("%s: got %v", api, err)
	}
	return strings.Join(pieces, "")
}

// The texts are in lower case, all else is not.
func TestRedactionOfAnswers(t *testing.T) {
	t.Parallel()
	const json, sse = "application/json; charset=utf-8", "text/event-stream"
	for _, tt := range []struct {
		api                   llmproxy.APIType
		contentType, in, want string
	}{
		{
			llmproxy.APIChatCompletions, json,
			` {"choices":[{"message":{"content":"a","refusal":null,"reasoning_content":"b","tool_calls":[{"function":{"arguments":"x"}}]},"finish_reason":"stop"}]} `,
			` {"choices":[{"message":{"content":"A","refusal":null,"reasoning_content":"B","tool_calls":[{"function":{"arguments":"x"}}]},"finish_reason":"stop"}]} `,
		},
		{llmproxy.APIChatCompletions, json, `{"choices":[{"message":{"content":[{"type":"thinking","thinking":[{"text":"a"}]},{"text":"b"}]}}]}`, `{"choices":[{"message":{"content":[{"type":"thinking","thinking":[{"text":"A"}]},{"text":"B"}]}}]}`},
		{
			llmproxy.APIChatCompletions, sse,
			"data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n: comment\n\nid: 1\ndata:{\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\r\n\r\ndata: {\"choices\":[]}\n\ndata: [DONE]\n\n",
			"data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n: comment\n\nid: 1\ndata:{\"choices\":[{\"delta\":{\"content\":\"A\"}}]}\r\n\r\ndata: {\"choices\":[]}\n\ndata: [DONE]\n\n",
		},
		{
			llmproxy.APIChatCompletions, sse, // several data lines, other fields between, CR line ends, a byte order mark, no end
			"\xEF\xBB\xBFdata: {\"choices\":[{\rid: 7\rdata:\"text\":\rdata:  \"a\"}]}\revent: x\r\rdata: {\"choices\":[{\"text\":\"b\"}]}",
			"\xEF\xBB\xBFdata: {\"choices\":[{ \"text\":  \"A\"}]}\rid: 7\revent: x\r\rdata: {\"choices\":[{\"text\":\"B\"}]}",
		},
		{llmproxy.APICompletions, json, `{"choices":[{"text":"a","index":0}]}`, `{"choices":[{"text":"A","index":0}]}`},
		{
			llmproxy.APIResponses, json,
			`{"id":"r","instructions":"i","output":[{"type":"reasoning","summary":[{"text":"a"}],"encrypted_content":"e"},{"type":"message","content":[{"type":"output_text","text":"b"},{"refusal":"c"}]},{"type":"function_call","arguments":"x"}]}`,
			`{"id":"r","instructions":"i","output":[{"type":"reasoning","summary":[{"text":"A"}],"encrypted_content":"e"},{"type":"message","content":[{"type":"output_text","text":"B"},{"refusal":"C"}]},{"type":"function_call","arguments":"x"}]}`,
		},
		{
			llmproxy.APIMessages, json,
			`{"type":"message","content":[{"type":"thinking","thinking":"t"},{"type":"text","text":"a"},{"type":"tool_use","input":{"text":"x"}}]}`,
			`{"type":"message","content":[{"type":"thinking","thinking":"t"},{"type":"text","text":"A"},{"type":"tool_use","input":{"text":"x"}}]}`,
		},
		{
			llmproxy.APIGenerateContent, json,
			`[{"candidates":[{"content":{"parts":[{"text":"a","thought":true},{"text":"b"}]}}]} , {"candidates":[{"content":{"parts":[{"functionCall":{}}]},"finishReason":"STOP"}]}]`,
			`[{"candidates":[{"content":{"parts":[{"text":"A","thought":true},{"text":"B"}]}}]} , {"candidates":[{"content":{"parts":[{"functionCall":{}}]},"finishReason":"STOP"}]}]`,
		},
		{llmproxy.APIConverse, json, `{"output":{"message":{"content":[{"text":"a"},{"reasoningContent":{"reasoningText":{"text":"t"}}}]}},"stopReason":"end_turn"}`, `{"output":{"message":{"content":[{"text":"A"},{"reasoningContent":{"reasoningText":{"text":"t"}}}]}},"stopReason":"end_turn"}`},
		{llmproxy.APIImages, json, `{"data":[{"revised_prompt":"a","url":"u"}]}`, `{"data":[{"revised_prompt":"A","url":"u"}]}`},
		{llmproxy.APIEmbeddings, json, `{"data":[{"embedding":[1]}]}`, `{"data":[{"embedding":[1]}]}`},
		{llmproxy.APIChatCompletions, json, `no json`, `no json`},
		{llmproxy.APIChatCompletions, "", ``, ``},
	} {
		if got := redactedAnswer(t, &interceptors.Redaction{Redactor: &shout{}, Answers: true}, tt.api, tt.contentType, tt.in); got != tt.want {
			t.Errorf("%s %s: got\n%q\nwant\n%q", tt.api, tt.contentType, got, tt.want)
		}
	}
}

// chunk is an event of Chat Completions.
func chunk(index int, member, text string) string {
	quoted, _ := json.Marshal(text)
	return fmt.Sprintf("data: {\"choices\":[{\"index\":%d,\"delta\":{%q:%s}}]}\n\n", index, member, quoted)
}

// What is kept of a text goes where the text stops, whatever ends it, and in the event that
// had it.
func TestRedactionKeepsTheEndOfATextBack(t *testing.T) {
	t.Parallel()
	const (
		end  = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
		call = "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{}]}}]}\n\n"
		done = "data: [DONE]\n\n"
		note = ": still here\n\n"
	)
	c := func(text string) string { return chunk(0, "content", text) }
	for _, tt := range []struct {
		name     string
		in, want []string // events
		after    []int    // how many have come when one goes out
	}{
		{"nothing to keep", []string{c("a"), c("b"), end}, []string{c("a"), c("b"), end}, []int{1, 2, 3}},
		{"a word in two", []string{c("a se"), c("cret b"), end}, []string{c("a # b"), c(""), end}, []int{2, 2, 3}},
		{"a word in many", []string{c("se"), c("c"), c("r"), c("et"), end}, []string{c("#"), c(""), c(""), c(""), end}, []int{4, 4, 4, 4, 5}},
		{"no word after all", []string{c("a se"), c("cond"), end}, []string{c("a se"), c("cond"), end}, []int{2, 2, 3}},
		{"ended by its finish", []string{c("a se"), end, done}, []string{c("a se"), end, done}, []int{2, 2, 3}},
		{"ended by a call", []string{c("a se"), call, call}, []string{c("a se"), call, call}, []int{2, 2, 3}},
		{"ended by [DONE]", []string{c("a se"), done, note}, []string{c("a se"), done, note}, []int{2, 2, 3}},
		{"ended by the end", []string{c("a se")}, []string{c("a se")}, []int{1}},
		{"ended by another text", []string{chunk(0, "reasoning", "a se"), c("cret"), end}, []string{chunk(0, "reasoning", "a se"), c("cret"), end}, []int{2, 2, 3}},
		{
			"two choices",
			[]string{c("a se"), chunk(1, "content", "b sec"), c("cret"), chunk(1, "content", "ond"), end},
			[]string{c("a #"), chunk(1, "content", "b sec"), c(""), chunk(1, "content", "ond"), end},
			[]int{3, 4, 4, 4, 5},
		},
		{"a comment meanwhile", []string{c("a se"), note, c("cret")}, []string{note, c("a #"), c("")}, []int{2, 3, 3}},
		{"a comment before", []string{note, c("a se"), c("cret")}, []string{note, c("a #"), c("")}, []int{1, 3, 3}},
		{"an end without one", []string{c("a se"), "id: 7"}, []string{c("a se"), "id: 7"}, []int{2, 2}},
	} {
		in := &reply{end: io.EOF}
		for _, event := range tt.in {
			in.pieces = append(in.pieces, []byte(event))
		}
		r := &interceptors.Redaction{Redactor: interceptors.MaskWords("#", "secret"), Answers: true}
		out, err := r.Intercept(t.Context(), request(t, "p", llmproxy.APIChatCompletions, "/x", "m", `{}`), func(context.Context, *llmproxy.Exchange) (*llmproxy.Reply, error) {
			return &llmproxy.Reply{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Stream: in}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		var after []int
		for {
			p, err := out.Stream.Next()
			if err != nil {
				break
			}
			got, after = append(got, string(p)), append(after, len(tt.in)-len(in.pieces))
		}
		if !slices.Equal(got, tt.want) || !slices.Equal(after, tt.after) {
			t.Errorf("%s: got\n%q after %v\nwant\n%q after %v", tt.name, got, after, tt.want, tt.after)
		}
	}
}

func TestRedactionHoldsNoMoreThanItMay(t *testing.T) {
	t.Parallel()
	word := strings.Repeat("w", 10)
	in := func() *reply {
		return &reply{end: io.EOF, pieces: [][]byte{[]byte(chunk(0, "content", word[:9])), []byte(chunk(0, "content", word[9:]))}}
	}
	for hold, want := range map[int]string{9: chunk(0, "content", "#") + chunk(0, "content", ""), 8: chunk(0, "content", word[:9]) + chunk(0, "content", word[9:])} {
		r := &interceptors.Redaction{Redactor: interceptors.MaskWords("#", word), Answers: true, Hold: hold}
		got, _ := redactedPieces(t, r, request(t, "p", llmproxy.APIChatCompletions, "/x", "m", `{}`), "text/event-stream", in())
		if strings.Join(got, "") != want {
			t.Errorf("%d: got %q", hold, got)
		}
	}

	// What waits behind a kept text is bounded, however much of it comes.
	long := &reply{end: io.EOF, pieces: [][]byte{[]byte(chunk(0, "content", "www"))}}
	for range 4 {
		long.pieces = append(long.pieces, []byte(chunk(1, "content", strings.Repeat("x", 400<<10))))
	}
	r := &interceptors.Redaction{Redactor: interceptors.MaskWords("#", word), Answers: true}
	out, err := r.Intercept(t.Context(), request(t, "p", llmproxy.APIChatCompletions, "/x", "m", `{}`), func(context.Context, *llmproxy.Exchange) (*llmproxy.Reply, error) {
		return &llmproxy.Reply{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Stream: long}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if p, err := out.Stream.Next(); string(p) != chunk(0, "content", "www") || err != nil || len(long.pieces) != 1 {
		t.Errorf("got %q, %v with %d pieces to come", p, err, len(long.pieces))
	}
}

func TestRedactionLimits(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 200)
	for _, contentType := range []string{"application/json", "text/event-stream", "application/vnd.amazon.eventstream"} {
		answer := []byte(chunk(0, "content", big))
		api := llmproxy.APIChatCompletions
		if contentType == "application/vnd.amazon.eventstream" {
			api, answer = llmproxy.APIConverse, wire.AppendMessage(nil, nil, answer)
		}
		r := &interceptors.Redaction{Redactor: interceptors.MaskWords("#", "secret"), Answers: true, Limit: 100}
		got, err := redactedPieces(t, r, request(t, "p", api, "/x", "m", `{}`), contentType, &reply{pieces: [][]byte{answer}, end: io.EOF})
		if len(got) != 0 || err == nil || err == io.EOF || !strings.Contains(err.Error(), "larger than the limit") { //nolint:errorlint // io.EOF is itself
			t.Errorf("%s: got %q, %v", contentType, got, err)
		}
	}
}

// An answer that breaks off loses what is not whole, and no more.
func TestRedactionOfABrokenStream(t *testing.T) {
	t.Parallel()
	in := &reply{end: errPlanned, pieces: [][]byte{[]byte(chunk(0, "content", "a se") + `data: {"choices":[{"delta":{"content":"cr`)}}
	r := &interceptors.Redaction{Redactor: interceptors.MaskWords("#", "secret"), Answers: true}
	got, err := redactedPieces(t, r, request(t, "p", llmproxy.APIChatCompletions, "/x", "m", `{}`), "text/event-stream", in)
	if strings.Join(got, "") != chunk(0, "content", "a se") || !errors.Is(err, errPlanned) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestRedactionOfWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	in := &reply{end: io.EOF}
	r := &interceptors.Redaction{Redactor: &shout{}, Answers: true}
	_, err := r.Intercept(t.Context(), request(t, "p", llmproxy.APIChatCompletions, "/x", "m", `{}`), func(context.Context, *llmproxy.Exchange) (*llmproxy.Reply, error) {
		return &llmproxy.Reply{StatusCode: 200, Header: http.Header{"Content-Encoding": {"br"}}, Stream: in}, nil
	})
	if failure, ok := errors.AsType[*llmproxy.Error](err); !ok || failure.Status != 502 || failure.Code != "answer_unreadable" || !in.closed {
		t.Errorf("got %v, closed %v", err, in.closed)
	}
	damaged := wire.AppendMessage(nil, []wire.Header{{Name: ":event-type", Value: "contentBlockDelta"}}, []byte(`{}`))
	damaged[len(damaged)-1]++
	for _, bytes := range [][]byte{damaged, damaged[:20]} {
		got, err := redactedPieces(t, r, request(t, "p", llmproxy.APIConverse, "/x", "m", `{}`), "application/vnd.amazon.eventstream", &reply{pieces: [][]byte{bytes}, end: io.EOF})
		if len(got) != 0 || err == nil || err == io.EOF { //nolint:errorlint // io.EOF is itself
			t.Errorf("got %q, %v", got, err)
		}
	}
}

// eventTexts are the texts of a stream, read by other means than the interceptor's: the
// deltas of each choice, part or block joined, and all that is stated whole.
func eventTexts(t *testing.T, events []string) (joined, whole []string) {
	t.Helper()
	deltas := map[string]string{}
	for _, event := range events {
		var e struct {
			Type         string
			Index        int
			OutputIndex  int `json:"output_index"`
			ContentIndex int `json:"content_index"`
			Delta        json.RawMessage
			Text         *string
			Part         struct{ Text *string }
			Item         struct{ Content []struct{ Text *string } }
			Response     struct {
				Output []struct{ Content []struct{ Text *string } }
			}
			Choices []struct {
				Index int
				Text  string
				Delta struct{ Content string }
			}
			Candidates []struct {
				Content struct{ Parts []struct{ Text string } }
			}
		}
		if err := json.Unmarshal([]byte(event), &e); err != nil {
			t.Fatalf("%q: %v", event, err)
		}
		key := fmt.Sprint(e.Index, e.OutputIndex, e.ContentIndex)
		var text string
		var object struct{ Text string }
		if json.Unmarshal(e.Delta, &text) == nil && e.Type == "response.output_text.delta" {
			deltas[key] += text
		} else if json.Unmarshal(e.Delta, &object) == nil {
			deltas[key] += object.Text
		}
		for _, c := range e.Choices {
			deltas[fmt.Sprint(c.Index)] += c.Text + c.Delta.Content
		}
		for i, c := range e.Candidates {
			for _, p := range c.Content.Parts {
				deltas[fmt.Sprint(i)] += p.Text
			}
		}
		stated := []*string{e.Text, e.Part.Text}
		for _, c := range e.Item.Content {
			stated = append(stated, c.Text)
		}
		for _, o := range e.Response.Output {
			for _, c := range o.Content {
				stated = append(stated, c.Text)
			}
		}
		for _, s := range stated {
			if s != nil && *s != "" {
				whole = append(whole, *s)
			}
		}
	}
	for _, d := range deltas {
		if d != "" {
			joined = append(joined, d)
		}
	}
	return joined, whole
}

// eventsOf returns the JSON of a stream's events.
func eventsOf(t *testing.T, contentType, answer string) (events []string) {
	t.Helper()
	var sink framesOf
	switch {
	case strings.HasPrefix(contentType, "application/vnd.amazon.eventstream"):
		s := wire.NewEventStream(&sink, 0)
		if _, _ = s.Write([]byte(answer)); !s.Whole() {
			t.Errorf("the stream is damaged: %v", s.Err())
		}
	case strings.HasPrefix(contentType, "text/event-stream"):
		_, _ = wire.NewSSE(&sink, 0).Write([]byte(answer))
	default:
		s := wire.NewArrayStream(&sink, 0)
		_, _ = s.Write([]byte(answer))
		s.End()
	}
	for _, e := range sink {
		if e != "[DONE]" && e != "" {
			events = append(events, e)
		}
	}
	return events
}

type framesOf []string

func (f *framesOf) Frame(frame wire.Frame) { *f = append(*f, string(frame.Data)) }

// streamsOfAll ask every API for a stream that says "You said: " and the text.
func streamsOfAll(text string) []struct{ path, body string } {
	return []struct{ path, body string }{
		{"/v1/chat/completions", `{"model":"gpt-5-mini","stream":true,"n":2,"messages":[{"role":"user","content":"` + text + `"}]}`},
		{"/v1/completions", `{"model":"gpt-3.5-turbo-instruct","stream":true,"prompt":"` + text + `"}`},
		{"/v1/responses", `{"model":"gpt-5-mini","stream":true,"input":"` + text + `"}`},
		{"/v1/messages", `{"model":"claude-sonnet-4-5","max_tokens":1000,"stream":true,"messages":[{"role":"user","content":"` + text + `"}]}`},
		{"/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", `{"contents":[{"role":"user","parts":[{"text":"` + text + `"}]}]}`},
		{"/v1beta/models/gemini-2.5-flash:streamGenerateContent", `{"contents":[{"role":"user","parts":[{"text":"` + text + `"}]}]}`},
		{"/model/anthropic.claude-sonnet-4-5-20250929-v1:0/converse-stream", `{"messages":[{"role":"user","content":[{"text":"` + text + `"}]}]}`},
	}
}

// A word that comes in several deltas is masked wherever the answer has it, in every API,
// however the network cuts the stream.
func TestRedactionOfStreams(t *testing.T) {
	t.Parallel()
	s := newSite(t, &interceptors.Redaction{Redactor: interceptors.MaskWords("[gone]", "said: one two", "four f"), Answers: true})
	const want = "You [gone] three [gone]ive"
	for _, tt := range streamsOfAll("one two three four five") {
		for _, script := range []string{"", "piece=3", "eol=crlf", "multi-line", "no-space"} {
			if script != "" && !strings.Contains(tt.path, "/v1/") {
				continue
			}
			resp, answer := s.post(tt.path, tt.body, "X-Simulate", script)
			joined, whole := eventTexts(t, eventsOf(t, resp.Header.Get("Content-Type"), answer))
			if resp.StatusCode != 200 || len(joined) == 0 {
				t.Errorf("%s %s: got %d %s", tt.path, script, resp.StatusCode, answer)
			}
			for _, text := range append(joined, whole...) {
				if text != want {
					t.Errorf("%s %s: got %q", tt.path, script, text)
				}
			}
		}
	}
}

// What changes nothing changes no byte, although it keeps back what could have become a
// word.
func TestRedactionLeavesOtherStreamsAlone(t *testing.T) {
	t.Parallel()
	plain := newSite(t)
	looking := newSite(t, &interceptors.Redaction{Redactor: interceptors.MaskWords("[gone]", "said: five", "one t-shirt", "five six"), Answers: true})
	for _, tt := range streamsOfAll("one two three four five") {
		for _, script := range []string{"", "piece", "eol=cr", "multi-line,comments,bom", "no-space"} {
			want, wantBody := plain.post(tt.path, tt.body, "X-Simulate", script)
			got, gotBody := looking.post(tt.path, tt.body, "X-Simulate", script)
			if gotBody != wantBody && (script != "multi-line,comments,bom" || len(gotBody) != len(wantBody)) {
				t.Errorf("%s %s: got\n%s\nwant\n%s", tt.path, script, gotBody, wantBody)
			}
			if got.StatusCode != 200 || got.Header.Get("Content-Type") != want.Header.Get("Content-Type") {
				t.Errorf("%s %s: got %d %v", tt.path, script, got.StatusCode, got.Header)
			}
			a, b := plain.record(), looking.record()
			if a.Usage != b.Usage || a.Outcome != b.Outcome || b.Usage.CompletionTokens == 0 {
				t.Errorf("%s %s: records %+v and %+v", tt.path, script, a, b)
			}
		}
	}
}

// A turn is treated like a stream, message by message.
func TestRedactionOfTurns(t *testing.T) {
	t.Parallel()
	s := newSite(t, &interceptors.Redaction{Redactor: interceptors.MaskWords("[gone]", "said: one two", "secret"), Answers: true})
	answers := s.turns(nil, `{"type":"response.create","model":"gpt-5-mini","store":false,"instructions":"a secret","input":"one two three"}`)
	if got, want := <-s.frames, `{"type":"response.create","model":"gpt-5-mini","store":false,"instructions":"a [gone]","input":"one two three"}`; got != want {
		t.Errorf("the provider got %s", got)
	}
	joined, whole := eventTexts(t, answers[0])
	if len(joined) != 1 || len(whole) < 3 {
		t.Errorf("got %q and %q", joined, whole)
	}
	for _, text := range append(joined, whole...) {
		if text != "You [gone] three" {
			t.Errorf("got %q", text)
		}
	}
	if r := s.record(); r.Outcome != llmproxy.OutcomeCompleted || r.Usage.CompletionTokens == 0 {
		t.Errorf("got %+v", r)
	}
}

// A JSON answer is changed whole, and its length with it.
func TestRedactionOfJSON(t *testing.T) {
	t.Parallel()
	s := newSite(t, &interceptors.Redaction{Redactor: interceptors.MaskWords("[gone]", "said: one"), Answers: true})
	resp, answer := s.post("/v1/chat/completions", `{"model":"gpt-5-mini","messages":[{"role":"user","content":"one two"}]}`)
	if resp.ContentLength != int64(len(answer)) || !strings.Contains(answer, `"You [gone] two"`) || resp.Header.Get("X-Gateway-Completion-Tokens") == "" {
		t.Errorf("got %d %v %s", resp.ContentLength, resp.Header, answer)
	}
	// Errors pass.
	resp, answer = s.post("/v1/chat/completions", `{"model":"gpt-5-mini","messages":"none"}`)
	if resp.StatusCode != 400 || !strings.Contains(answer, "invalid_request_error") {
		t.Errorf("got %d %s", resp.StatusCode, answer)
	}
}

// However a text is cut into deltas, and the stream into pieces, what comes out is the text
// with the words masked.
func FuzzRedactedStream(f *testing.F) {
	f.Add("a secret, a second secretsecret", uint64(0x123456789), uint(7))
	f.Add("sécrét sec\"ret\n", uint64(3), uint(1))
	f.Fuzz(func(t *testing.T, text string, cuts uint64, size uint) {
		text = strings.ToValidUTF8(text, "?")
		mask := interceptors.MaskWords("#", "secret", "sec", "tsec", "é", "ond s")
		want, _ := mask.AnswerText(t.Context(), nil, text, true)
		var stream strings.Builder
		rest := []rune(text)
		for i := 0; len(rest) > 0; i++ {
			n := min(len(rest), int(cuts>>(i%16*4)&15))
			if i > 2*len(text)+32 {
				n = len(rest)
			}
			stream.WriteString(chunk(0, "content", string(rest[:n])))
			rest = rest[n:]
		}
		stream.WriteString("data: [DONE]\n\n")
		in := &reply{end: io.EOF}
		for piece := range slices.Chunk([]byte(stream.String()), int(size%50)+1) {
			in.pieces = append(in.pieces, bytes.Clone(piece))
		}
		r := &interceptors.Redaction{Redactor: mask, Answers: true}
		pieces, err := redactedPieces(t, r, request(t, "p", llmproxy.APIChatCompletions, "/x", "m", `{}`), "text/event-stream", in)
		got, _ := eventTexts(t, eventsOf(t, "text/event-stream", strings.Join(pieces, "")))
		if err != io.EOF || strings.Join(got, "") != want { //nolint:errorlint // io.EOF is itself
			t.Errorf("%q in %q: got %q, %v, want %q", text, stream.String(), got, err, want)
		}
	})
}

// keeper changes nothing, and keeps the last character of each delta.
type keeper struct{}

func (keeper) RequestText(_ context.Context, _ *llmproxy.Exchange, text string) (string, error) {
	return text, nil
}

func (keeper) AnswerText(_ context.Context, _ *llmproxy.Exchange, text string, last bool) (string, int) {
	if last {
		return text, 0
	}
	_, size := utf8.DecodeLastRuneInString(text)
	return text[:len(text)-size], size
}

// Who changes nothing changes no byte, whatever the stream is like and however it is cut;
// events that say nothing may overtake others.
func FuzzRedactedBytes(f *testing.F) {
	f.Add([]byte("\xEF\xBB\xBFdata: {\"choices\":[{\rdata:\"text\":\"a\"}]}\r\rdata: [DONE]\n\n"), uint(3))
	f.Add([]byte(chunk(0, "content", "a")+chunk(1, "content", "b")+": note\n\nevent: x\n"+chunk(0, "reasoning", "c")), uint(50))
	f.Fuzz(func(t *testing.T, stream []byte, size uint) {
		in := &reply{end: io.EOF}
		for piece := range slices.Chunk(stream, int(size%50)+1) {
			in.pieces = append(in.pieces, bytes.Clone(piece))
		}
		r := &interceptors.Redaction{Redactor: keeper{}, Answers: true}
		pieces, err := redactedPieces(t, r, request(t, "p", llmproxy.APIChatCompletions, "/x", "m", `{}`), "text/event-stream", in)
		got, want := rawEvents([]byte(strings.Join(pieces, ""))), rawEvents(stream)
		if !slices.ContainsFunc(want, saysNothing) && !slices.Equal(got, want) {
			t.Errorf("%q became %q", want, got)
		}
		slices.Sort(got)
		slices.Sort(want)
		if err != io.EOF || !slices.Equal(got, want) { //nolint:errorlint // io.EOF is itself
			t.Errorf("%q became %q, %v", want, got, err)
		}
	})
}

// rawEvents cuts a stream into its events.
func rawEvents(stream []byte) (events []string) {
	var split wire.Splitter
	event := ""
	for len(stream) > 0 {
		n, ended := split.Next(stream)
		event, stream = event+string(stream[:n]), stream[n:]
		if ended && event != "" {
			events, event = append(events, event), ""
		}
	}
	if event != "" {
		events = append(events, event)
	}
	return events
}

// saysNothing reports whether an event may overtake others.
func saysNothing(event string) bool {
	var frames framesOf
	_, _ = wire.NewSSE(&frames, 0).Write([]byte(event + "\n\n"))
	return len(frames) == 0 || strings.TrimSpace(frames[0]) == "" || strings.Contains(frames[0], "ping") || strings.Contains(frames[0], "\\u")
}

// Whatever a request is like, what is sent is JSON, and each text in it is redacted once.
func FuzzRedactedRequest(f *testing.F) {
	for _, tt := range streamsOfAll("one") {
		f.Add(tt.body)
	}
	f.Add(`{"system":[{"text":"a"}],"messages":{"content":{"text":"b"}},"prompt":{"variables":{"x":{"text":"c"}}}}`)
	f.Fuzz(func(t *testing.T, body string) {
		if _, err := llmproxy.ParseBody([]byte(body)); err != nil {
			t.Skip("this input is not for the property")
		}
		for _, api := range []llmproxy.APIType{
			llmproxy.APIChatCompletions, llmproxy.APICompletions, llmproxy.APIEmbeddings, llmproxy.APIImages, llmproxy.APIResponses, llmproxy.APIMessages,
			llmproxy.APIGenerateContent, llmproxy.APIConverse, llmproxy.APIInvokeModel, llmproxy.APICohere, llmproxy.APIOllama,
		} {
			s := &base64er{}
			_, err := (&interceptors.Redaction{Redactor: s}).Intercept(t.Context(), request(t, "p", api, "/x", "m", body), func(_ context.Context, y *llmproxy.Exchange) (*llmproxy.Reply, error) {
				if sent := wire.Splice(y.Body.Bytes(), y.Edits...); !wire.Valid(sent) || len(y.Edits) != s.n {
					t.Errorf("%s: %q became %q with %d edits of %d", api, body, sent, len(y.Edits), s.n)
				}
				return nil, errPlanned
			})
			if !errors.Is(err, errPlanned) {
				t.Errorf("%s: %q: %v", api, body, err)
			}
		}
	})
}

// base64er changes every text.
type base64er struct{ n int }

func (b *base64er) RequestText(_ context.Context, _ *llmproxy.Exchange, text string) (string, error) {
	b.n++
	return "\"" + base64.StdEncoding.EncodeToString([]byte(text)), nil
}

func (b *base64er) AnswerText(_ context.Context, _ *llmproxy.Exchange, text string, _ bool) (string, int) {
	return text, 0
}

func TestMaskWords(t *testing.T) {
	t.Parallel()
	m := interceptors.MaskWords("#", "ab", "abcd", "", "ünder")
	for _, tt := range []struct {
		in   string
		last bool
		out  string
		keep int
	}{
		{"", true, "", 0},
		{"xyz", false, "xyz", 0},
		{"ab", true, "#", 0},
		{"ab", false, "", 2},
		{"abc", false, "", 3},
		{"abc", true, "#c", 0},
		{"abcd", false, "#", 0},
		{"abx abcd a", false, "#x # ", 1},
		{"üü", false, "ü", 2},
		{"ünder", true, "#", 0},
	} {
		if out, keep := m.AnswerText(t.Context(), nil, tt.in, tt.last); out != tt.out || keep != tt.keep {
			t.Errorf("%q, %v: got %q, %d, want %q, %d", tt.in, tt.last, out, keep, tt.out, tt.keep)
		}
	}
}
