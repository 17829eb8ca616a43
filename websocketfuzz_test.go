package llmproxy

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// jsonMember is a member of an object, its name unescaped and its value as it stands.
type jsonMember struct{ name, value string }

// membersOf returns the members of the object that text begins with, as a lenient reader
// finds them. ok is false where there is no whole object.
func membersOf(text []byte) (list []jsonMember, ok bool) {
	d := jsontext.NewDecoder(bytes.NewReader(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if d.PeekKind() != '{' {
		return nil, false
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, false
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, false
		}
		m := jsonMember{name: name.String()}
		value, err := d.ReadValue()
		if err != nil {
			return nil, false
		}
		m.value = string(value)
		list = append(list, m)
	}
	_, err := d.ReadToken()
	return list, err == nil
}

// text returns the text of a member's value, "" where that is none.
func (m jsonMember) text() string {
	s, err := jsontext.AppendUnquote(nil, []byte(m.value))
	if err != nil && s == nil || m.value == "" || m.value[0] != '"' {
		return ""
	}
	return string(s)
}

// readAsCreate reports whether some reader of JSON, however lenient, would take text for a
// response.create.
func readAsCreate(text []byte) bool {
	list, ok := membersOf(text)
	return ok && slices.ContainsFunc(list, func(m jsonMember) bool { return m.name == "type" && m.text() == eventCreate })
}

// Nothing that a provider may read as a response.create passes for anything else.
func FuzzWSClientMessage(f *testing.F) {
	for _, seed := range []string{
		`{"type":"response.create","model":"openai/m","stream":true,"input":"x"}`,
		`{"stream_options":{"a":1} , "background":true,"stream":null,"type":"response.create"}`,
		`{"typ\u0065":"response.cre\u0061te","stream_id":"a.b-c_1","previous_response_id":"resp_1"}`,
		`{"type":"x","type":"response.create"}`,
		`{"type":"response.create","type":"x"}`,
		`[{"type":"response.create"}]`,
		`{"type":"response.create"} {"type":"x"}`,
		"\ufeff" + `{"type":"response.create"}`,
		"{\"type\":\"response.create\",\"x\":\"\xff\"}",
		`{"type":"response.steer","previous_response_id":"resp_1","input":"x"}`,
		`{"type":"response.cancel","response_id":"r","stream_id":null}`,
		`{"type":{"type":"response.create"},"a":{"stream":true}}`,
		`{"type":"response.create","stream_id":"","str\u0065am":false,"model":"a\"b"}`,
		`"response.create"`, `{`, ``, `null`, `{"type":"response.create",}`, "\x00{\x00}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		before := bytes.Clone(p)
		ev, err := readClientEvent(p)
		m, perr := ParseWSMessage(p)
		if !bytes.Equal(p, before) {
			t.Fatal("the message was changed")
		}
		if err == nil && !ev.create && readAsCreate(p) {
			t.Fatalf("%q may be read as a create, and passes for another message", p)
		}
		if err == nil && ev.create && !readAsCreate(p) {
			t.Fatalf("%q passes for a create, and is none", p)
		}
		if err != nil && err.Status != 400 {
			t.Fatalf("%q is refused with %d", p, err.Status)
		}
		if err == nil && perr == nil && (m.Type == eventCreate) != ev.create {
			t.Fatalf("%q is a %q for ParseWSMessage, and a create for the relay: %v", p, m.Type, ev.create)
		}
		if ev.lane.invalid && ev.lane.name != "" {
			t.Fatalf("%q has an invalid lane with the name %q", p, ev.lane.name)
		}
		if err == nil && perr == nil && !ev.lane.invalid && ev.lane.name != m.StreamID {
			t.Fatalf("%q has the lane %q for the relay, %q for ParseWSMessage", p, ev.lane.name, m.StreamID)
		}
		if err == nil && ev.create {
			spliceHolds(t, p)
		}
	})
}

// spliceHolds checks that the create p reaches a provider as it is, but for another model
// and what a strict provider must not get.
func spliceHolds(t *testing.T, p []byte) {
	body, err := ParseBody(p)
	if err != nil {
		return // it is refused
	}
	meta, merr := body.metadata()
	if merr != nil {
		return
	}
	dropped := []string{"stream", "stream_options", "background"}
	for _, strict := range []bool{false, true} {
		for _, model := range []string{"", meta.Model, `an"other`} {
			x := &Exchange{Operation: Operation{API: APIResponses}, Body: body, Meta: meta, Route: Route{Model: model}}
			got, err := new(turn).message(x, WebSocketMode{Strict: strict})
			if err != nil {
				t.Fatalf("%q: %v", p, err)
			}
			list, _ := membersOf(p)
			var want []jsonMember
			same := true
			if model != "" && !body.has(memberModel) {
				same, want = false, []jsonMember{{name: "model", value: strconv.Quote(model)}}
			}
			for _, m := range list {
				switch {
				case strict && slices.Contains(dropped, m.name):
					same = false
					continue
				case m.name == "model" && model != "" && model != meta.Model:
					same, m.value = false, strconv.Quote(model)
				}
				want = append(want, m)
			}
			if same && !bytes.Equal(got, p) {
				t.Fatalf("%q became %q", p, got)
			}
			if !jsonValid(got) {
				t.Fatalf("%q became %q, which is not valid", p, got)
			}
			if have, ok := membersOf(got); !ok || !slices.Equal(have, want) {
				t.Fatalf("%q became %q: got %q, want %q", p, got, have, want)
			}
		}
	}
}

// jsonValid reports whether text is one JSON text, names that are there twice aside.
func jsonValid(text []byte) bool {
	return jsontext.Value(text).IsValid(jsontext.AllowDuplicateNames(true))
}

// serverKinds are the types that mean something to turns.
var serverKinds = map[string]serverKind{
	`"response.created"`: kindCreated, `"response.completed"`: kindTerminal, `"response.incomplete"`: kindTerminal,
	`"response.failed"`: kindTerminal, `"response.cancelled"`: kindTerminal, `"response.done"`: kindTerminal,
	`"response.output_item.done"`: kindItemDone, `"error"`: kindError, `"response.steer.accepted"`: kindSteered,
	`"response.steer.pending"`: kindSteer, `"response.steer.failed"`: kindSteer,
}

// A provider's message is what its own words say; bytes of any kind do no harm.
func FuzzWSServerMessage(f *testing.F) {
	for _, seed := range []string{
		`{"type":"response.created","stream_id":"a","response":{"id":"resp_1","previous_response_id":"resp_0"}}`,
		`{"type":"response.completed","response":{"id":"resp_1","output":[{"type":"function_call"}],"usage":{"input_tokens":1}}}`,
		`{"type":"response.done","id":"resp_1","usage":{}}`,
		`{"response":{"id":"resp_1"},"type":"response.failed"}`,
		`{"type":"error","status":429,"error":{"code":"rate_limit_exceeded","headers":{"retry-after":2}}}`,
		`{"type":"error","code":"invalid_stream_id"}`,
		`{"type":"response.output_item.done","item":{"type":"custom_tool_call"}}`,
		`{"type":"response.steer.accepted","steer":{"previous_response_id":"resp_1"}}`,
		`{"type":"response.inject.failed","response_id":"r"}`,
		`{"type":"response.output_text.delta","delta":"{\"type\":\"error\"}"}`,
		`[DONE]`, `{"type":"response.created"`, `{"type"`, `{`, ``, "\xff", `{"type":"error","error":1,"status":"x"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		ev := readServerEvent(p, true)
		ev.id()
		ev.previous()
		ev.steered()
		outputCallsClient(ev.response)
		callsClient(ev.item())
		eventHeader(p)
		if n := ev.eventStatus(); n < 400 || n > 599 {
			t.Fatalf("%q has the status %d", p, n)
		}
		if out := appendForeignError(nil, 429, p, "l"); !jsonValid(out) {
			t.Fatalf("%q became the event %q", p, out)
		}
		list, ok := membersOf(p)
		if !ok || !jsontext.Value(p).IsValid() {
			return
		}
		member := func(name string) string {
			for _, m := range list {
				if m.name == name {
					return m.value
				}
			}
			return ""
		}
		if want := serverKinds[member("type")]; ev.kind != want {
			t.Fatalf("%q is of the kind %d, want %d", p, ev.kind, want)
		}
		if got := string(ev.lane); got != member("stream_id") {
			t.Fatalf("%q is of the lane %q, want %q", p, got, member("stream_id"))
		}
		if got := string(ev.response); (ev.kind == kindCreated || ev.kind == kindTerminal) && got != member("response") {
			t.Fatalf("%q has the response %q, want %q", p, got, member("response"))
		}
		if other := readServerEvent(p, false); other.lane != nil || other.kind != ev.kind {
			t.Fatalf("%q is of another kind where there are no lanes", p)
		}
	})
}

// laneModel holds lanes to what it knows of the flights that it has sent.
type laneModel struct {
	t     *testing.T
	lanes lanes
	runs  map[*flight]bool     // flights that have not ended
	waits map[string][]*flight // creates that nothing has been heard of, in the order they were sent in
}

func (m *laneModel) send(lane laneName) {
	f := &flight{lane: lane, turn: &turn{run: &run{x: &Exchange{}}}}
	m.lanes.wait(f)
	m.runs[f] = true
	if !lane.invalid {
		m.waits[lane.name] = append(m.waits[lane.name], f)
	}
}

// hear shows a message of the provider.
func (m *laneModel) hear(p string) {
	ev := readServerEvent([]byte(p), m.lanes.named)
	got := m.lanes.find(&ev)
	if got.lost != nil {
		m.end(got.lost, p)
	}
	switch {
	case got.orphan && got.f != nil:
		m.t.Fatalf("%s is of a flight and of none", p)
	case got.orphan && !got.last:
		f := &flight{lane: laneName{name: got.lane.name}, turn: &turn{run: &run{x: &Exchange{}}}}
		m.lanes.adopt(f, got.lane, ev.id())
		m.runs[f] = true
	case got.f != nil && ev.kind == kindCreated:
		if w := m.waits[got.lane.name]; len(w) == 0 || w[0] != got.f {
			m.t.Fatalf("%s is not of the create that has waited longest", p)
		}
	}
	if f := got.f; f != nil {
		if !m.runs[f] {
			m.t.Fatalf("%s is of a flight that has ended", p)
		}
		m.waits[f.lane.name] = slices.DeleteFunc(m.waits[f.lane.name], func(w *flight) bool { return w == f })
		if got.last {
			m.end(f, p)
		}
	}
	m.check(p)
}

func (m *laneModel) end(f *flight, p string) {
	if !m.runs[f] {
		m.t.Fatalf("%s ends a flight for the second time", p)
	}
	delete(m.runs, f)
}

// check compares what lanes holds with what has not ended.
func (m *laneModel) check(p string) {
	all := m.lanes.all()
	if m.lanes.count != len(m.runs) || len(all) != len(m.runs) {
		m.t.Fatalf("after %s: the count is %d, %d are listed, and %d have not ended", p, m.lanes.count, len(all), len(m.runs))
	}
	for _, f := range all {
		if !m.runs[f] || f.finished {
			m.t.Fatalf("after %s: a flight that has ended is listed, or one twice", p)
		}
	}
	for id, f := range m.lanes.byID {
		if !m.runs[f] || f.id != id {
			m.t.Fatalf("after %s: %s is known, and has ended", p, id)
		}
	}
}

// Whatever a provider says, in whatever order, a flight ends at most once, and the count
// of those that have not is right.
func FuzzWSLanes(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3})
	f.Add([]byte{0, 0, 0x10, 0x21, 0x12, 0x23, 1, 9, 17, 2, 3})
	f.Add([]byte{0, 1, 5, 2, 1, 2, 0, 6, 1, 7, 8, 3, 4})
	f.Add(bytes.Repeat([]byte{0x80, 0x91, 0xa3, 0xb2, 0xc4, 0xd5, 0xe6, 0xf7}, 8))
	f.Fuzz(func(t *testing.T, ops []byte) {
		m := &laneModel{t: t, lanes: newLanes(), runs: map[*flight]bool{}, waits: map[string][]*flight{}}
		for i, op := range ops {
			lane := []string{"", "a", "b", fmt.Sprint("n", i)}[op>>4&3] // the last one is new
			id := fmt.Sprint("resp_", op>>6)
			stream := ""
			if lane != "" {
				stream = `"stream_id":"` + lane + `",`
			}
			response := fmt.Sprintf(`"response":{"id":%q,"previous_response_id":"resp_%d"}`, id, int(op>>6+3)%4)
			switch op & 15 {
			case 0, 1:
				m.send(laneName{name: lane})
				m.check("a create")
			case 2:
				m.send(laneName{invalid: true})
				m.check("a create")
			case 3, 4:
				m.hear(`{"type":"response.created",` + stream + response + `}`)
			case 5, 6:
				m.hear(`{"type":"response.completed",` + stream + response + `}`)
			case 7:
				m.hear(`{"type":"response.incomplete",` + stream + response + `}`)
			case 8:
				m.hear(`{"type":"response.done",` + stream + response + `}`)
			case 9:
				m.hear(`{"type":"error",` + stream + `"status":429}`)
			case 10:
				m.hear(`{"type":"error","status":500}`)
			case 11:
				m.hear(`{"type":"error","status":400,"error":{"code":"invalid_stream_id"}}`)
			case 12:
				m.hear(fmt.Sprintf(`{"type":"response.steer.accepted",%s"steer":{"previous_response_id":%q}}`, stream, id))
			case 13:
				m.hear(fmt.Sprintf(`{"type":"response.steer.failed",%s"steer":{"previous_response_id":%q}}`, stream, id))
			case 14:
				m.hear(`{"type":"response.output_item.done",` + stream + `"item":{"type":"function_call"}}`)
			case 15:
				m.hear(`{"type":"response.output_text.delta",` + stream + `"delta":"x"}`)
			}
		}
		for _, f := range m.lanes.all() {
			m.lanes.forget(f)
			m.lanes.forget(f) // twice counts once
			m.end(f, "the end of the socket")
		}
		m.check("the end of the socket")
	})
}
