package simulator

import (
	"iter"
	"net/http"
)

// Events of a stream of Responses. Each begins with its type and its place in the
// stream.

type eventHead struct {
	Type           string `json:"type"`
	SequenceNumber int    `json:"sequence_number"`
}

type lifecycleEvent struct {
	eventHead
	Response responseObject `json:"response"`
	Usage    *responseUsage `json:"usage,omitempty"` // where a script wants it
}

type itemEvent struct {
	eventHead
	OutputIndex int `json:"output_index"`
	Item        any `json:"item"`
}

// place is where in the output an event belongs.
type place struct {
	ItemID       string `json:"item_id"`
	OutputIndex  int    `json:"output_index"`
	ContentIndex int    `json:"content_index"`
}

type partEvent struct {
	eventHead
	place
	Part textPart `json:"part"`
}

type textDelta struct {
	eventHead
	place
	Delta    string     `json:"delta"`
	Logprobs []struct{} `json:"logprobs"`
}

type textDone struct {
	eventHead
	place
	Text     string     `json:"text"`
	Logprobs []struct{} `json:"logprobs"`
}

type argumentsDelta struct {
	eventHead
	ItemID      string `json:"item_id"`
	OutputIndex int    `json:"output_index"`
	Delta       string `json:"delta"`
}

type argumentsDone struct {
	eventHead
	ItemID      string `json:"item_id"`
	OutputIndex int    `json:"output_index"`
	Arguments   string `json:"arguments"`
}

type errorEvent struct {
	eventHead
	Code    *string `json:"code"`
	Message string  `json:"message"`
	Param   *string `json:"param"`
}

// responseStream numbers the events of a stream. After the consumer has had enough,
// nothing happens any more.
type responseStream struct {
	yield   func(event) bool
	next    int
	stopped bool
}

func (st *responseStream) head(kind string) eventHead { return eventHead{kind, st.next} }

// send sends e, of the type that its head says.
func (st *responseStream) send(head eventHead, e any) {
	if !st.stopped {
		st.stopped = !st.yield(event{name: head.Type, data: encode(e)})
	}
	st.next++
}

func (st *responseStream) lifecycle(kind string, o responseObject) {
	h := st.head(kind)
	st.send(h, lifecycleEvent{eventHead: h, Response: o})
}

func (st *responseStream) item(kind string, index int, item any) {
	h := st.head(kind)
	st.send(h, itemEvent{h, index, item})
}

// events returns the stream of r.
func (r *response) events() iter.Seq[event] {
	return func(yield func(event) bool) {
		st := &responseStream{yield: yield}
		first := "in_progress"
		if r.request.background {
			first = "queued"
		}
		st.lifecycle("response.created", r.object(first))
		if r.request.background {
			st.lifecycle("response.queued", r.object("queued"))
		}
		st.lifecycle("response.in_progress", r.object("in_progress"))
		if r.script.KeepAlive {
			h := st.head("keepalive")
			st.send(h, h)
		}
		r.outputEvents(st)
		if r.watcher != nil && !st.stopped {
			r.watcher.seal()
		}
		r.terminal(st)
		if r.script.Done && !st.stopped {
			yield(event{data: []byte("[DONE]")})
		}
	}
}

// terminal sends the last event, unless the script leaves it out.
func (r *response) terminal(st *responseStream) {
	switch {
	case r.script.Unfinished:
	case r.script.Ending == EndError:
		h := st.head("error")
		st.send(h, errorEvent{h, new("server_error"), scripted(http.StatusInternalServerError).message, nil})
	default:
		h := st.head("response." + r.end())
		e := lifecycleEvent{eventHead: h, Response: r.object(r.end())}
		if r.script.Report == ReportTop {
			e.Usage, e.Response.Usage = e.Response.Usage, nil
		}
		if r.script.NoOutput {
			e.Response.Output = nil
		}
		st.send(h, e)
		if r.script.Again {
			e.eventHead = st.head("response.done")
			st.send(e.eventHead, e)
		}
	}
}

// outputEvents sends the items of the output, one after the other.
func (r *response) outputEvents(st *responseStream) {
	index := 0
	if r.answer.reasoning > 0 {
		st.item("response.output_item.added", index, r.reasoningItem())
		st.item("response.output_item.done", index, r.reasoningItem())
		index++
	}
	if len(r.answer.deltas) > 0 {
		r.messageEvents(st, index)
		index++
	}
	for j := range r.answer.calls {
		if reason, _ := r.stops(true); reason != "" {
			r.breakOffCalls(reason, j)
			return
		}
		r.callEvents(st, index, j)
		index++
	}
}

// messageEvents sends the text. A failure leaves it open.
func (r *response) messageEvents(st *responseStream, index int) {
	item := r.messageItem(true)
	at := place{ItemID: item.ID, OutputIndex: index}
	none := []struct{}{}
	st.item("response.output_item.added", index, item)
	h := st.head("response.content_part.added")
	st.send(h, partEvent{h, at, newTextPart("")})
	for i, text := range r.answer.deltas {
		if st.stopped {
			return
		}
		if reason, discard := r.stops(false); reason != "" {
			discard = discard || i == 0
			r.breakOff(reason, i, discard)
			if discard {
				return
			}
			break
		}
		h = st.head("response.output_text.delta")
		st.send(h, textDelta{h, at, text, none})
	}
	if r.script.fails() || r.script.Unfinished {
		return
	}
	text := r.answer.text()
	h = st.head("response.output_text.done")
	st.send(h, textDone{h, at, text, none})
	h = st.head("response.content_part.done")
	st.send(h, partEvent{h, at, newTextPart(text)})
	st.item("response.output_item.done", index, r.messageItem(false))
}

// callEvents sends the j-th call.
func (r *response) callEvents(st *responseStream, index, j int) {
	item := r.callItem(j, true)
	st.item("response.output_item.added", index, item)
	for _, part := range argumentDeltas(r.answer.calls[j].arguments) {
		h := st.head("response.function_call_arguments.delta")
		st.send(h, argumentsDelta{h, item.ID, index, part})
	}
	h := st.head("response.function_call_arguments.done")
	st.send(h, argumentsDone{h, item.ID, index, r.answer.calls[j].arguments})
	st.item("response.output_item.done", index, r.callItem(j, false))
}
