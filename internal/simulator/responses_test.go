package simulator_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

// response is what the tests read of a response.
type response struct {
	ID     string
	Status string
	Model  string
	Output []struct {
		ID     string
		Type   string
		CallID string `json:"call_id"`
	}
	Usage *struct {
		InputTokens  int `json:"input_tokens"`
		OutputTokens int `json:"output_tokens"`
	}
}

func (p *provider) response(a answer) response {
	p.t.Helper()
	var r response
	if err := json.Unmarshal([]byte(p.whole(a)), &r); err != nil {
		p.t.Fatal(err)
	}
	return r
}

func TestStoredResponse(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	made := p.post("/v1/responses", responseBody, "")
	r := p.response(made)
	path := "/v1/responses/" + r.ID
	if a := p.get(path); p.whole(a) != made.body {
		t.Errorf("retrieved %s, want %s", a.body, made.body)
	}
	if a := p.post(path+"/cancel", "", ""); a.StatusCode != http.StatusBadRequest {
		t.Errorf("cancel: %d, want 400: it was no background response", a.StatusCode)
	}
	if a := p.get(path + "?stream=true"); a.StatusCode != http.StatusBadRequest {
		t.Errorf("replay: %d, want 400: it was no background response", a.StatusCode)
	}
	want := `{"id":"` + r.ID + `","object":"response","deleted":true}`
	if a := p.do(p.request(http.MethodDelete, path, "")); p.whole(a) != want {
		t.Errorf("deleted: %s, want %s", a.body, want)
	}
	for _, a := range []answer{
		p.get(path), p.get(path + "/input_items"), p.get(path + "?stream=true"),
		p.post(path+"/cancel", "", ""), p.do(p.request(http.MethodDelete, path, "")),
	} {
		if a.StatusCode != http.StatusNotFound {
			t.Errorf("%s %s: %d after the deletion, want 404", a.Request.Method, a.Request.URL.Path, a.StatusCode)
		}
	}
	r = p.response(p.post("/v1/responses", `{"model":"gpt-5-mini","input":"x","store":false}`, ""))
	if a := p.get("/v1/responses/" + r.ID); a.StatusCode != http.StatusNotFound {
		t.Errorf("store: false: %d, want 404", a.StatusCode)
	}
}

func TestResponseStoreIsBounded(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	var ids []string
	for i := range 257 {
		ids = append(ids, p.response(p.post("/v1/responses", fmt.Sprintf(`{"model":"gpt-5-mini","input":"%d"}`, i), "")).ID)
	}
	for i, want := range map[int]int{0: 404, 1: 200, 256: 200} {
		if a := p.get("/v1/responses/" + ids[i]); a.StatusCode != want {
			t.Errorf("response %d: %d, want %d", i, a.StatusCode, want)
		}
	}
}

func TestBackgroundResponse(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	const body = `{"model":"gpt-5-mini","input":"one two","background":true}`
	r := p.response(p.post("/v1/responses", body, ""))
	for _, want := range []string{"queued", "in_progress", "completed", "completed"} {
		if r.Status != want || (r.Usage != nil) != (want == "completed") || (len(r.Output) > 0) != (want == "completed") {
			t.Errorf("got %+v, want %s", r, want)
		}
		r = p.response(p.get("/v1/responses/" + r.ID))
	}
	r = p.response(p.post("/v1/responses", body, ""))
	for range 2 {
		r = p.response(p.post("/v1/responses/"+r.ID+"/cancel", "", ""))
		if r.Status != "cancelled" || r.Usage != nil {
			t.Errorf("got %+v, want cancelled and no usage", r)
		}
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	stream := p.whole(p.post("/v1/responses", `{"model":"gpt-5-mini","input":"one","background":true,"stream":true}`, ""))
	if !strings.HasPrefix(stream, "event: response.created\n") || strings.Count(stream, "event: response.queued\n") != 1 {
		t.Errorf("the stream is %s", stream)
	}
	_, rest, _ := strings.Cut(stream, `"id":"`)
	id, _, _ := strings.Cut(rest, `"`)
	if again := p.whole(p.get("/v1/responses/" + id + "?stream=true")); again != stream {
		t.Errorf("the replay is %s", again)
	}
	events := strings.SplitAfter(stream, "\n\n")
	if got := p.whole(p.get("/v1/responses/" + id + "?stream=true&starting_after=4")); got != strings.Join(events[5:], "") {
		t.Errorf("the replay after 4 is %s", got)
	}
	if r := p.response(p.get("/v1/responses/" + id)); r.Status != "completed" {
		t.Errorf("the status is %s, want completed", r.Status)
	}
	if a := p.get("/v1/responses/" + id + "?stream=true&starting_after=x"); a.StatusCode != http.StatusBadRequest {
		t.Errorf("starting_after=x: %d, want 400", a.StatusCode)
	}
}

// TestConversation holds that a continued response counts what came before, but for the
// instructions, and knows the calls that may be answered.
func TestConversation(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	const tools = `"tools":[{"type":"function","name":"find","parameters":{"type":"object","properties":{"q":{"type":"string"}}}}]`
	first := p.response(p.post("/v1/responses",
		`{"model":"gpt-5-mini","input":"find one","instructions":"be very brief",`+tools+`}`, ""))
	// 2 words and 3 of instructions; the call counts 1 and {"q":"find one"} two.
	if first.Usage.InputTokens != 5 || first.Usage.OutputTokens != 3 || first.Output[0].Type != "function_call" {
		t.Fatalf("got %+v", first)
	}
	next := func(call string) answer {
		return p.post("/v1/responses", fmt.Sprintf(`{"model":"gpt-5-mini","previous_response_id":%q,`+
			`"input":[{"type":"function_call_output","call_id":%q,"output":"forty two"}],`+tools+`}`, first.ID, call), "")
	}
	second := p.response(next(first.Output[0].CallID))
	// 2 words and 3 of the call came before; the output has 2; the answer is a text.
	if second.Usage.InputTokens != 7 || second.Usage.OutputTokens != 4 || second.Output[0].Type != "message" {
		t.Errorf("got %+v", second)
	}
	if a := next("call_unknown"); a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, "call_unknown") {
		t.Errorf("an unknown call: %d %s, want 400", a.StatusCode, a.body)
	}
	count := p.whole(p.post("/v1/responses/input_tokens",
		fmt.Sprintf(`{"model":"gpt-5-mini","previous_response_id":%q,"input":"a b c"}`, second.ID), ""))
	if want := `{"object":"response.input_tokens","input_tokens":14}`; count != want {
		t.Errorf("got %s, want %s", count, want)
	}
}

func TestInputItems(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	r := p.response(p.post("/v1/responses", `{"model":"gpt-5-mini","input":[`+
		`{"id":"msg_a","role":"user","content":"one"},`+
		`{"role":"assistant","content":[{"type":"output_text","text":"two"}]},`+
		`{"id":"rs_c","type":"reasoning","summary":[]}]}`, ""))
	const (
		a = `{"id":"msg_a","type":"message","status":"completed","role":"user","content":[{"type":"input_text","text":"one"}]}`
		c = `{"id":"rs_c","type":"reasoning","summary":[]}`
	)
	for query, want := range map[string]string{
		"?limit=1":                       `{"object":"list","data":[` + c + `],"first_id":"rs_c","last_id":"rs_c","has_more":true}`,
		"?limit=1&order=asc":             `{"object":"list","data":[` + a + `],"first_id":"msg_a","last_id":"msg_a","has_more":true}`,
		"?after=msg_a":                   `{"object":"list","data":[],"first_id":"","last_id":"","has_more":false}`,
		"?order=asc&after=rs_c&limit=10": `{"object":"list","data":[],"first_id":"","last_id":"","has_more":false}`,
	} {
		if got := p.whole(p.get("/v1/responses/" + r.ID + "/input_items" + query)); got != want {
			t.Errorf("%s: got %s, want %s", query, got, want)
		}
	}
	if got := p.whole(p.get("/v1/responses/" + r.ID + "/input_items")); strings.Count(got, `"type":"message"`) != 2 ||
		!strings.Contains(got, `"role":"assistant","content":[{"type":"output_text","text":"two"}]`) {
		t.Errorf("got %s", got)
	}
	if a := p.get("/v1/responses/" + r.ID + "/input_items?limit=101"); a.StatusCode != http.StatusBadRequest {
		t.Errorf("limit=101: %d, want 400", a.StatusCode)
	}
}

// TestCodexTurn holds that a request with members and tools that only some clients send
// is served.
func TestCodexTurn(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	r := p.response(p.post("/v1/responses", `{"model":"gpt-5-mini","client_metadata":{"a":"b"},"store":false,`+
		`"include":["reasoning.encrypted_content"],"tools":[{"type":"custom","name":"apply_patch"},{"type":"web_search"},`+
		`{"type":"namespace","name":"x","tools":[]}],"input":[{"type":"message","role":"developer","id":"m1",`+
		`"content":[{"type":"input_text","text":"be brief"}]},{"role":"user","content":"use a tool"}]}`, ""))
	if r.Status != "completed" || r.Output[0].Type != "message" || r.Usage.InputTokens != 5 {
		t.Errorf("got %+v", r)
	}
}

// TestSequenceNumbers holds that each stream numbers its events from 0 without gaps, and
// that a delta belongs to an item that has been added.
func TestSequenceNumbers(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	const tools = `"tools":[{"type":"function","name":"f"},{"type":"function","name":"g"}]`
	for _, tt := range []struct{ body, simulate string }{
		{responseStream, ""},
		{responseStream, "keepalive"},
		{responseStream, "events=100,huge=100"},
		{responseStream, "end=failed"},
		{responseStream, "end=incomplete"},
		{`{"model":"gpt-5-reason","stream":true,"input":"f g",` + tools + `}`, ""},
		{`{"model":"gpt-5-reason","stream":true,"input":"x","max_output_tokens":10}`, ""},
		{`{"model":"gpt-5-mini","stream":true,"background":true,"input":"x"}`, ""},
	} {
		added := map[string]int{}
		next := 0
		for frame := range strings.SplitSeq(strings.TrimSuffix(p.whole(p.post("/v1/responses", tt.body, tt.simulate)), "\n\n"), "\n\n") {
			name, data, _ := strings.Cut(frame, "\ndata: ")
			var e struct {
				Type        string
				Sequence    int    `json:"sequence_number"`
				OutputIndex int    `json:"output_index"`
				ItemID      string `json:"item_id"`
				Item        struct{ ID string }
			}
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				t.Fatal(err)
			}
			if e.Sequence != next || name != "event: "+e.Type {
				t.Errorf("%s: event %q is %s, number %d; want number %d", tt.simulate, name, e.Type, e.Sequence, next)
			}
			next++
			if e.Type == "response.output_item.added" {
				if e.OutputIndex != len(added) {
					t.Errorf("%s: item %s has index %d, want %d", tt.simulate, e.Item.ID, e.OutputIndex, len(added))
				}
				added[e.Item.ID] = e.OutputIndex
			}
			if index, ok := added[e.ItemID]; e.ItemID != "" && (!ok || index != e.OutputIndex) {
				t.Errorf("%s: %s of item %s at %d, which was added: %v", tt.simulate, e.Type, e.ItemID, e.OutputIndex, ok)
			}
		}
	}
}
