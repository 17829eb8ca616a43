package simulator

import (
	"bytes"
	"iter"
)

// Events of a stream of Messages.

type messageStart struct {
	Type    string        `json:"type"`
	Message messageObject `json:"message"`
}

type blockStart struct {
	Type  string      `json:"type"`
	Index int         `json:"index"`
	Block answerBlock `json:"content_block"`
}

type blockDelta struct {
	Type  string     `json:"type"`
	Index int        `json:"index"`
	Delta deltaOfAny `json:"delta"`
}

// deltaOfAny is a piece of a block: of the kind that Type names.
type deltaOfAny struct {
	Type        string  `json:"type"`
	Text        *string `json:"text,omitempty"`
	PartialJSON *string `json:"partial_json,omitempty"`
	Thinking    *string `json:"thinking,omitempty"`
	Signature   *string `json:"signature,omitempty"`
}

type blockStop struct {
	Type  string `json:"type"`
	Index int    `json:"index"`
}

type messageDelta struct {
	Type  string `json:"type"`
	Delta struct {
		StopReason   *string `json:"stop_reason"`
		StopSequence *string `json:"stop_sequence"`
	} `json:"delta"`
	Usage any `json:"usage,omitempty"`
}

// outputUsage is what message_delta reports at least.
type outputUsage struct {
	OutputTokens int64 `json:"output_tokens"`
}

type messageStop struct {
	Type    string             `json:"type"`
	Metrics *invocationMetrics `json:"amazon-bedrock-invocationMetrics,omitempty"`
}

// messageStream sends the events of a stream. After the consumer has had enough, nothing
// happens any more.
type messageStream struct {
	yield   func(event) bool
	index   int // of the block
	pinged  bool
	stopped bool
}

func (st *messageStream) send(name string, v any) { st.sendEvent(event{name: name, data: encode(v)}) }

func (st *messageStream) sendEvent(e event) {
	if !st.stopped {
		st.stopped = !st.yield(e)
	}
}

func (st *messageStream) ping() {
	st.send("ping", struct {
		Type string `json:"type"`
	}{"ping"})
}

func (st *messageStream) delta(d deltaOfAny) {
	st.send("content_block_delta", blockDelta{"content_block_delta", st.index, d})
}

func (st *messageStream) stop() {
	st.send("content_block_stop", blockStop{"content_block_stop", st.index})
	st.index++
}

// sse returns the stream as Anthropic sends it: the JSON of each event has some spaces
// before its last brace.
func (a *messageAnswer) sse() iter.Seq[event] {
	return func(yield func(event) bool) {
		n := 0
		for e := range a.events() {
			spaces := bytes.Repeat([]byte(" "), int(a.digest[n%len(a.digest)]%16))
			last := len(e.data) - 1
			e.data = append(append(e.data[:last:last], spaces...), '}')
			n++
			if !yield(e) {
				return
			}
		}
	}
}

// events returns the events of the stream, plainly.
func (a *messageAnswer) events() iter.Seq[event] {
	return func(yield func(event) bool) {
		st := &messageStream{yield: yield}
		start := a.head()
		if a.script.Report != ReportNone {
			seed := a.usage
			seed.Completion, seed.Reasoning = min(1, seed.Completion), 0
			if a.script.Report == ReportFinish {
				seed = Usage{}
			}
			start.Usage = a.wholeUsage(seed)
		}
		st.send("message_start", messageStart{"message_start", start})
		if a.script.KeepAlive {
			st.ping()
		}
		a.blocks(st)
		switch {
		case a.script.fails() && a.via == Bedrock:
			st.sendEvent(a.script.awsFailure())
		case a.script.fails():
			f := scripted(statusOverloaded)
			f.name = a.script.Code
			st.send("error", f.anthropic(a.digest))
		case !a.script.Unfinished:
			a.end(st)
		}
	}
}

// blocks sends the content. A failure leaves the text open.
func (a *messageAnswer) blocks(st *messageStream) {
	if a.answer.reasoning > 0 {
		a.start(st, answerBlock{Type: "thinking", Thinking: new(""), Signature: new("")})
		for _, text := range a.answer.thoughts() {
			st.delta(deltaOfAny{Type: "thinking_delta", Thinking: &text})
		}
		st.delta(deltaOfAny{Type: "signature_delta", Signature: new(a.digest.signature())})
		st.stop()
	}
	if len(a.answer.deltas) > 0 {
		a.start(st, answerBlock{Type: "text", Text: new("")})
		for _, text := range a.answer.deltas {
			if st.stopped {
				return
			}
			st.delta(deltaOfAny{Type: "text_delta", Text: &text})
		}
		if a.script.fails() || a.script.Unfinished {
			return
		}
		st.stop()
	}
	for j, tc := range a.answer.calls {
		a.start(st, a.callBlock(j))
		st.delta(deltaOfAny{Type: "input_json_delta", PartialJSON: new("")})
		for _, part := range argumentDeltas(tc.arguments) {
			st.delta(deltaOfAny{Type: "input_json_delta", PartialJSON: &part})
		}
		st.stop()
	}
}

// start begins a block. After the first comes a ping, except on Bedrock.
func (a *messageAnswer) start(st *messageStream, block answerBlock) {
	st.send("content_block_start", blockStart{"content_block_start", st.index, block})
	if !st.pinged && a.via != Bedrock {
		st.ping()
	}
	st.pinged = true
}

// end sends why the answer is over, what it consumed, and the last event.
func (a *messageAnswer) end(st *messageStream) {
	delta := messageDelta{Type: "message_delta"}
	delta.Delta.StopReason = new(a.stopReason())
	switch a.script.Report {
	case ReportNone:
	case ReportStart:
		delta.Usage = outputUsage{a.usage.Completion}
	default:
		delta.Usage = newMessageUsage(a.usage)
	}
	st.send("message_delta", delta)
	stop := messageStop{Type: "message_stop"}
	if a.via == Bedrock && a.script.Report != ReportNone {
		stop.Metrics = newInvocationMetrics(a.usage)
	}
	st.send("message_stop", stop)
}

// invocationMetrics is what Bedrock adds to the last event.
type invocationMetrics struct {
	InputTokenCount           int64 `json:"inputTokenCount"`
	OutputTokenCount          int64 `json:"outputTokenCount"`
	InvocationLatency         int64 `json:"invocationLatency"`
	FirstByteLatency          int64 `json:"firstByteLatency"`
	CacheReadInputTokenCount  int64 `json:"cacheReadInputTokenCount"`
	CacheWriteInputTokenCount int64 `json:"cacheWriteInputTokenCount"`
}

func newInvocationMetrics(u Usage) *invocationMetrics {
	return &invocationMetrics{
		InputTokenCount: u.Prompt - u.Cached - u.CacheWrite, OutputTokenCount: u.Completion,
		InvocationLatency: 12, FirstByteLatency: 3,
		CacheReadInputTokenCount: u.Cached, CacheWriteInputTokenCount: u.CacheWrite,
	}
}
