package simulator

import (
	"iter"
	"net/http"
)

// Events of a stream of Converse. Each has some letters of padding.

type converseStart struct {
	P    string `json:"p"`
	Role string `json:"role"`
}

type converseBlockStart struct {
	Index int                 `json:"contentBlockIndex"`
	P     string              `json:"p"`
	Start converseAnswerBlock `json:"start"`
}

type converseBlockDelta struct {
	Index int    `json:"contentBlockIndex"`
	Delta any    `json:"delta"`
	P     string `json:"p"`
}

type converseBlockStop struct {
	Index int    `json:"contentBlockIndex"`
	P     string `json:"p"`
}

type converseStop struct {
	P          string `json:"p"`
	StopReason string `json:"stopReason"`
}

type converseMetadata struct {
	Metrics struct {
		LatencyMS int64 `json:"latencyMs"`
	} `json:"metrics"`
	P     string         `json:"p"`
	Usage *converseUsage `json:"usage,omitempty"`
}

// converseInput is a piece of a call's arguments.
type converseInput struct {
	ToolUse struct {
		Input string `json:"input"`
	} `json:"toolUse"`
}

const padding = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// padding returns what pads the n-th event of a stream.
func (d digest) padding(n int) string { return padding[:1+int(d[n%len(d)])%len(padding)] }

// converseEvents sends the events of a stream. After the consumer has had enough, nothing
// happens any more.
type converseEvents struct {
	yield   func(event) bool
	digest  digest
	sent    int
	index   int // of the block
	stopped bool
}

func (st *converseEvents) p() string { return st.digest.padding(st.sent) }

func (st *converseEvents) send(name string, v any) { st.sendEvent(event{name: name, data: encode(v)}) }

func (st *converseEvents) sendEvent(e event) {
	if !st.stopped {
		st.stopped = !st.yield(e)
	}
	st.sent++
}

func (st *converseEvents) delta(d any) {
	st.send("contentBlockDelta", converseBlockDelta{st.index, d, st.p()})
}

func (st *converseEvents) stop() {
	st.send("contentBlockStop", converseBlockStop{st.index, st.p()})
	st.index++
}

// events returns the stream. Only a call has a contentBlockStart.
func (a *converseAnswers) events() iter.Seq[event] {
	return func(yield func(event) bool) {
		st := &converseEvents{yield: yield, digest: a.digest}
		st.send("messageStart", converseStart{st.p(), "assistant"})
		a.blocks(st)
		switch {
		case a.script.fails():
			st.sendEvent(a.script.awsFailure())
		case !a.script.Unfinished:
			st.send("messageStop", converseStop{st.p(), a.stopReason()})
			metadata := converseMetadata{P: st.p()}
			metadata.Metrics.LatencyMS = 12
			if a.script.Report != ReportNone {
				metadata.Usage = newConverseUsage(a.usage)
			}
			st.send("metadata", metadata)
		}
	}
}

// blocks sends the content. A failure leaves the text open.
func (a *converseAnswers) blocks(st *converseEvents) {
	if a.answer.reasoning > 0 {
		for _, text := range a.answer.thoughts() {
			st.delta(converseAnswerBlock{Reasoning: &converseReasoning{converseThought: converseThought{Text: text}}})
		}
		st.delta(converseAnswerBlock{Reasoning: &converseReasoning{
			converseThought: converseThought{Signature: a.digest.signature()},
		}})
		st.stop()
	}
	if len(a.answer.deltas) > 0 {
		for _, text := range a.answer.deltas {
			if st.stopped {
				return
			}
			st.delta(converseAnswerBlock{Text: &text})
		}
		if a.script.fails() || a.script.Unfinished {
			return
		}
		st.stop()
	}
	for j, tc := range a.answer.calls {
		st.send("contentBlockStart", converseBlockStart{
			st.index, st.p(), converseAnswerBlock{ToolUse: &converseToolUse{Name: tc.name, ID: a.callID(j)}},
		})
		for _, part := range argumentDeltas(tc.arguments) {
			var input converseInput
			input.ToolUse.Input = part
			st.delta(input)
		}
		st.stop()
	}
}

// awsFailure is the frame with which a stream fails: an exception that the API knows, or
// an error that it does not.
func (s *Script) awsFailure() event {
	f := scripted(http.StatusInternalServerError)
	e := event{name: "internalServerException", kind: "exception", data: encode(awsError{f.message})}
	if s.Ending == EndFailed {
		e = event{name: "InternalFailure", kind: "error", data: []byte(f.message)}
	}
	if s.Code != "" {
		e.name = s.Code
	}
	return e
}
