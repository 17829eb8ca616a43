package simulator_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

var (
	anID    = regexp.MustCompile(`\b([a-z]+)_[0-9a-f]{24}\b`)
	anyTime = regexp.MustCompile(`_at":\d+`)
)

// TestSameEvents holds that a turn on a WebSocket is the stream of the same request, but
// for its ids and times.
func TestSameEvents(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	const tools = `,"tools":[{"type":"function","name":"find"}]`
	for _, tt := range []struct{ model, members string }{
		{"gpt-5-mini", `"input":"one two three"`},
		{"gpt-5-reason", `"input":"use find"` + tools},
		{"gpt-5-mini", `"input":"one two three","max_output_tokens":2,"service_tier":"fast"`},
		{"gpt-5-mini", `"instructions":"` + strings.Repeat("be brief ", 1000) + `","input":"x"`},
	} {
		var want []string
		stream := p.whole(p.post("/v1/responses", `{"model":"`+tt.model+`","stream":true,`+tt.members+`}`, ""))
		for frame := range strings.SplitSeq(strings.TrimSuffix(stream, "\n\n"), "\n\n") {
			_, data, _ := strings.Cut(frame, "\ndata: ")
			want = append(want, plain(data))
		}
		for _, lane := range []string{"", "main"} {
			c := p.dial("/v1/responses")
			frame := `{"type":"response.create","model":"` + tt.model + `","stream":true,` + tt.members
			suffix := ""
			if lane != "" {
				frame += `,"stream_id":"main"`
				suffix = `,"stream_id":"main"}`
			}
			c.send(frame + "}")
			var got []string
			for range want {
				e := c.event()
				if suffix != "" {
					e.raw = strings.TrimSuffix(e.raw, suffix) + "}"
				}
				got = append(got, plain(e.raw))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: (-stream +WebSocket)\n%s", tt.members, diff)
			}
			c.leave()
		}
	}
}

// plain returns an event without what differs from turn to turn.
func plain(event string) string {
	return anyTime.ReplaceAllString(anID.ReplaceAllString(event, "${1}_id"), `_at":0`)
}

// TestTurnsAreCounted holds that the server's own count of a turn is what its last event
// says.
func TestTurnsAreCounted(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	c := p.dial("/v1/responses?x=y", "X-Test: 1")
	c.create(`"input":"one two three","service_tier":"fast"`)
	first := c.completed()
	c.create(`"input":"four","stream_id":"b.1","previous_response_id":"` + first.ID + `"`)
	second := c.completed()
	c.create(`"model":"nope","input":"x"`)
	c.wantError(404, "model_not_found")
	c.leave()
	if err := p.AwaitNoSockets(t.Context()); err != nil || p.OpenSockets() != 0 {
		t.Fatalf("%v, %d are open", err, p.OpenSockets())
	}
	got := p.Connections()[0]
	const model = "gpt-5-mini-2025-08-07"
	want := []simulator.Turn{
		{
			Number: 1, ResponseID: first.ID, Model: model, ServiceTier: "priority", Outcome: simulator.TurnCompleted,
			Events: 13, Usage: simulator.Usage{Prompt: 3, Completion: 5}, Reported: true,
		},
		{
			Number: 2, Lane: "b.1", ResponseID: second.ID, PreviousResponseID: first.ID, Model: model,
			ServiceTier: "default", Outcome: simulator.TurnCompleted,
			Events: 11, Usage: simulator.Usage{Prompt: 9, Completion: 3}, Reported: true,
		},
		{Number: 3, Outcome: simulator.TurnErrored, Status: 404, Code: "model_not_found"},
	}
	if diff := cmp.Diff(want, got.Turns); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if first.Usage.InputTokens != 3 || first.Usage.OutputTokens != 5 || second.Usage.InputTokens != 9 || second.Usage.OutputTokens != 3 {
		t.Errorf("usage %+v and %+v", first.Usage, second.Usage)
	}
	if got.URI != "/v1/responses?x=y" || got.Header.Get("X-Test") != "1" || got.API != simulator.OpenAI ||
		got.Open || got.ClientCode != 1000 || got.ServerCode != 0 || len(got.Frames) != 3 ||
		string(got.Frames[0].Data) != `{"type":"response.create","model":"gpt-5-mini","input":"one two three","service_tier":"fast"}` {
		t.Errorf("got %+v", got)
	}
	if requests, err := p.Await(t.Context(), simulator.Finished(1)); err != nil || len(requests) != 1 || requests[0].Departed {
		t.Errorf("got %+v, %v, want one request that is over", requests, err)
	}
	u, err := simulator.UsageOfCreate(got.Frames[0].Data)
	if err != nil || u != want[0].Usage {
		t.Errorf("UsageOfCreate: %+v, %v, want %+v", u, err, want[0].Usage)
	}
}

// TestWarmUp holds that nothing is generated, and that the conversation goes on from
// what was sent.
func TestWarmUp(t *testing.T) {
	t.Parallel()
	words := strings.TrimSpace(strings.Repeat("w ", 1100))
	for _, members := range []string{`"generate":false`, `"prompt_cache_options":{"prewarm":true}`} {
		p := run(t, simulator.Options{})
		c := p.dial("/v1/responses")
		c.create(`"store":false,"instructions":"` + words + `","input":[{"role":"developer","content":"be brief"}],` + members)
		created := c.want("response.created")
		c.want("response.in_progress")
		e := c.want("response.completed")
		if e.Sequence != 2 || e.Response.ID != created.Response.ID || len(e.Response.Output) != 0 || !strings.Contains(e.raw,
			`"usage":{"input_tokens":1102,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":1024},`+
				`"output_tokens":0,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":1102}`) {
			t.Errorf("%s: got %s", members, e.raw)
		}
		c.create(`"store":false,"input":"a b","previous_response_id":"` + e.Response.ID + `"`)
		if r := c.completed(); r.Usage.InputTokens != 4 || r.Usage.OutputTokens != 4 {
			t.Errorf("%s: continued: %+v, want 4 and 4", members, r.Usage)
		}
		if turn := p.Connections()[0].Turns[0]; !turn.WarmUp || !turn.Reported ||
			turn.Usage != (simulator.Usage{Prompt: 1102, CacheWrite: 1024}) {
			t.Errorf("%s: counted %+v", members, turn)
		}
	}
	u, err := simulator.UsageOfCreate([]byte(`{"type":"response.create","model":"m","input":"a","generate":false}`))
	if err != nil || u != (simulator.Usage{Prompt: 1}) {
		t.Errorf("UsageOfCreate: %+v, %v", u, err)
	}
}

// TestPrewarmOverHTTP holds that a request over HTTP is warmed up too, while generate is
// unknown there.
func TestPrewarmOverHTTP(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	r := p.response(p.post("/v1/responses", `{"model":"gpt-5-mini","input":"one two","prompt_cache_options":{"prewarm":true}}`, ""))
	if len(r.Output) != 0 || r.Usage.InputTokens != 2 || r.Usage.OutputTokens != 0 {
		t.Errorf("got %+v", r)
	}
}

// TestMemory holds where a previous response is found: the latest of a lane in the
// connection, any other in storage.
func TestMemory(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	c, other := p.dial("/v1/responses"), p.dial("/v1/responses")
	input := func(store bool, lane, previous string) string {
		s := fmt.Sprintf(`"input":"x y","store":%t`, store)
		if lane != "" {
			s += `,"stream_id":"` + lane + `"`
		}
		if previous != "" {
			s += `,"previous_response_id":"` + previous + `"`
		}
		return s
	}
	ask := func(c *client, members string) string {
		t.Helper()
		c.create(members)
		return c.completed().ID
	}
	notFound := func(c *client, members string) {
		t.Helper()
		c.create(members)
		if e := c.wantError(400, "previous_response_not_found"); e.Error.Param != "previous_response_id" ||
			e.Error.Type != "invalid_request_error" {
			t.Errorf("got %s", e.raw)
		}
	}
	a := ask(c, input(false, "", ""))
	notFound(other, input(false, "", a))
	b := ask(c, input(false, "", a))
	notFound(c, input(false, "", a)) // not the latest any more
	f := ask(c, input(false, "fork", b))
	d := ask(c, input(false, "", b)) // the fork has left it
	ask(c, input(false, "fork", f))
	notFound(c, input(false, "", b))

	s := ask(c, input(true, "", d))
	ask(c, input(true, "", "")) // a fresh conversation in the same lane
	ask(c, input(true, "", s))
	ask(other, input(true, "z", s))
	h := p.response(p.post("/v1/responses", responseBody, "")).ID
	ask(other, input(false, "z", h))
	if a := p.get("/v1/responses/" + s); !strings.Contains(p.whole(a), `"status":"completed"`) {
		t.Errorf("retrieved %s", a.body)
	}
	if a := p.get("/v1/responses/" + d); a.StatusCode != http.StatusNotFound {
		t.Errorf("store: false: %d, want 404", a.StatusCode)
	}
	over := p.post("/v1/responses", `{"model":"gpt-5-mini","input":"x","previous_response_id":"`+s+`"}`, "")
	// a, b, d and s of two words each, with four of an answer, and one more.
	if r := p.response(over); r.Usage.InputTokens != 4*(2+4)+1 {
		t.Errorf("continued over HTTP: %d tokens", r.Usage.InputTokens)
	}
}

// TestEviction holds that a failed continuation forgets what it continued, if that was in
// the same lane.
func TestEviction(t *testing.T) {
	t.Parallel()
	const badOutput = `"input":[{"type":"function_call_output","call_id":"call_x","output":"1"}]`
	for _, tt := range []struct {
		path, lane, members string
		status              int
		evicted             bool
	}{
		{"/v1/responses", "", badOutput, 400, true},
		{"/v1/responses", "", `"input":[1]`, 400, true},
		{"/v1/responses", "", `"model":"nope","input":"x"`, 404, true},
		{"/v1/responses", "", `"input":"x","metadata":{"simulate":"status=503"}`, 503, true},
		{"/v1/responses", "", `"input":"x","metadata":{"simulate":"status=500,cut-events=3"}`, 500, true},
		{"/v1/responses", "", `"input":"x","metadata":{"simulate":"end=error"}`, 500, true},
		{"/v1/responses", "", `"input":"x","metadata":{"simulate":"end=failed"}`, 0, true},
		{"/v1/responses", "fork", badOutput, 400, false},
		{"/v1/responses", "fork", `"input":"x","metadata":{"simulate":"end=failed"}`, 0, false},
		{"/openai/v1/responses", "", badOutput, 400, true},
	} {
		p := run(t, simulator.Options{})
		c := p.dial(tt.path, "Api-Key: k")
		c.create(`"input":"x","store":false`)
		id := c.completed().ID
		members := tt.members + `,"store":false,"previous_response_id":"` + id + `"`
		if tt.lane != "" {
			members += `,"stream_id":"` + tt.lane + `"`
		}
		c.create(members)
		if e, _ := c.terminal(); e.Status != tt.status || e.StreamID != tt.lane {
			t.Errorf("%s: got %s, want %d", members, e.raw, tt.status)
		}
		c.create(`"input":"x","store":false,"previous_response_id":"` + id + `"`)
		if e, _ := c.terminal(); (e.Error.Code == "previous_response_not_found") != tt.evicted ||
			(e.Type == "response.completed") == tt.evicted {
			t.Errorf("%s: then got %s, want it evicted: %t", members, e.raw, tt.evicted)
		}
		c.create(`"input":"x"`)
		c.completed() // the socket is as good as before
	}
}

// TestFunctionCall holds that a call is remembered, and answered by its output alone.
func TestFunctionCall(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	c := p.dial("/v1/responses")
	const tools = `"store":false,"tools":[{"type":"function","name":"find","parameters":{"type":"object","properties":{"q":{"type":"string"}}}}]`
	c.create(`"input":"find one",` + tools)
	first := c.completed()
	if first.Output[0].Type != "function_call" {
		t.Fatalf("got %+v", first)
	}
	c.create(fmt.Sprintf(`"previous_response_id":%q,"input":[{"type":"function_call_output","call_id":%q,"output":"forty two"}],%s`,
		first.ID, first.Output[0].CallID, tools))
	e, text := c.terminal()
	if e.Type != "response.completed" || text != "You said: forty two" || e.Response.Usage.InputTokens != 2+3+2 {
		t.Errorf("got %q, %s", text, e.raw)
	}
}
