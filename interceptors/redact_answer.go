package interceptors

import (
	"bytes"
	"slices"
	"strings"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/wire"
)

// findTexts shows what a frame of an answer says of its texts, in order. data is an event
// of a stream, or a whole answer.
type findTexts func(data []byte, see func(textAt))

// textAt is a text in a frame, or that texts have ended.
type textAt struct {
	lane   lane
	value  []byte // the JSON string; a part of the frame's data
	whole  bool   // the text begins and ends here
	end    bool   // the lane's text has ended
	endAll bool   // all texts have
}

// answerTexts are the APIs whose answers can be read.
var answerTexts = map[llmproxy.APIType]findTexts{
	llmproxy.APIChatCompletions: findChat,
	llmproxy.APICompletions:     findChat,
	llmproxy.APIResponses:       findResponses,
	llmproxy.APIMessages:        findMessages,
	llmproxy.APIGenerateContent: findGemini,
	llmproxy.APIConverse:        findConverse,
	llmproxy.APIEmbeddings:      func([]byte, func(textAt)) {},
	llmproxy.APIImages: func(data []byte, see func(textAt)) {
		walk(data, "data.*.revised_prompt", func(v []byte) { see(textAt{value: v, whole: true}) })
		walk(data, "revised_prompt", func(v []byte) { see(textAt{value: v, whole: true}) })
	},
}

// chatMembers are the texts of a message and of a delta.
var chatMembers = [...]string{
	"content", "content.*.text", "content.*.thinking.*.text", "refusal", "reasoning_content", "reasoning", "reasoning_details.*.text",
	"reasoning_details.*.summary", "audio.transcript",
}

// findChat reads Chat Completions and Completions.
func findChat(data []byte, see func(textAt)) {
	at := int64(-1)
	for choice := range wire.Elements(wire.Member(data, "choices")) {
		at++
		l := lane{item: at}
		if n, ok := wire.Int(wire.Member(choice, "index")); ok {
			l.item = n
		}
		for name, value := range wire.Members(choice) {
			switch string(name) {
			case "message":
				for _, path := range chatMembers {
					walk(value, path, func(v []byte) { see(textAt{value: v, whole: true}) })
				}
			case "delta":
				findDelta(value, l, see)
			case "text":
				see(textAt{lane: l, value: value})
			}
		}
		if reason := wire.Member(choice, "finish_reason"); reason != nil && !wire.IsNull(reason) {
			see(textAt{lane: l, end: true})
			endOthers(l, nil, see)
		}
	}
}

// findDelta reads the delta of a choice. A text that it does not go on with has ended, if
// it says anything else.
func findDelta(delta []byte, l lane, see func(textAt)) {
	var said []string
	for _, path := range chatMembers {
		l.kind = path
		walk(delta, path, func(v []byte) {
			if !bytes.Equal(v, []byte(`""`)) {
				said = append(said, path)
				see(textAt{lane: l, value: v})
			}
		})
	}
	if len(said) > 0 || len(wire.Member(delta, "tool_calls")) > 0 {
		endOthers(l, said, see)
	}
}

// endOthers ends the texts of a choice but those that are said.
func endOthers(l lane, said []string, see func(textAt)) {
	for _, l.kind = range chatMembers {
		if !slices.Contains(said, l.kind) {
			see(textAt{lane: l, end: true})
		}
	}
}

// itemTexts and partTexts are the texts of an output item of Responses and of its parts.
var (
	partTexts = []string{"text", "refusal", "transcript"}
	itemTexts = []string{"content.*.text", "content.*.refusal", "content.*.transcript", "summary.*.text"}
)

// findResponses reads Responses: its events have each text several times.
func findResponses(data []byte, see func(textAt)) {
	whole := func(value []byte, paths ...string) {
		for _, path := range paths {
			walk(value, path, func(v []byte) { see(textAt{value: v, whole: true}) })
		}
	}
	kind, _ := wire.String(wire.Member(data, "type"))
	if !strings.HasPrefix(kind, "response.") {
		if kind == "error" {
			see(textAt{endAll: true})
		}
		for item := range wire.Elements(wire.Member(data, "output")) {
			whole(item, itemTexts...)
		}
		return
	}
	if response := wire.Member(data, "response"); response != nil {
		if kind != "response.created" && kind != "response.queued" && kind != "response.in_progress" {
			see(textAt{endAll: true})
		}
		for item := range wire.Elements(wire.Member(response, "output")) {
			whole(item, itemTexts...)
		}
		return
	}
	if item := wire.Member(data, "item"); item != nil {
		whole(item, itemTexts...)
		return
	}
	var l lane
	l.item, _ = wire.Int(wire.Member(data, "output_index"))
	for _, name := range [...]string{"content_index", "summary_index"} {
		if n, ok := wire.Int(wire.Member(data, name)); ok {
			l.part = n
		}
	}
	switch name, phase := kind[:strings.LastIndexByte(kind, '.')], kind[strings.LastIndexByte(kind, '.'):]; {
	case wire.Member(data, "part") != nil:
		whole(wire.Member(data, "part"), partTexts...)
	case strings.Contains(name, "_arguments"), strings.HasSuffix(name, "_input"), strings.HasSuffix(name, "_code"), name == "response.audio":
		// What tools are called with, and sound.
	case phase == ".delta":
		l.kind = name
		see(textAt{lane: l, value: wire.Member(data, "delta")})
	case phase == ".done":
		l.kind = name
		see(textAt{lane: l, end: true})
		whole(data, partTexts...)
	}
}

// findMessages reads Messages. Its thoughts are signed.
func findMessages(data []byte, see func(textAt)) {
	kind, _ := wire.String(wire.Member(data, "type"))
	var l lane
	l.item, _ = wire.Int(wire.Member(data, "index"))
	switch kind {
	case "message":
		walk(data, "content.*.text", func(v []byte) { see(textAt{value: v, whole: true}) })
	case "content_block_start":
		walk(data, "content_block.text", func(v []byte) { see(textAt{lane: l, value: v}) })
	case "content_block_delta":
		walk(data, "delta.text", func(v []byte) { see(textAt{lane: l, value: v}) })
	case "content_block_stop":
		see(textAt{lane: l, end: true})
	case "message_delta", "message_stop", "error":
		see(textAt{endAll: true})
	}
}

// findGemini reads GenerateContent. An answer that is an array has the events of a stream.
func findGemini(data []byte, see func(textAt)) {
	if wire.KindOf(data) == wire.Array {
		for event := range wire.Elements(data) {
			findGemini(event, see)
		}
		return
	}
	at := int64(-1)
	for candidate := range wire.Elements(wire.Member(data, "candidates")) {
		at++
		l := lane{item: at}
		if n, ok := wire.Int(wire.Member(candidate, "index")); ok {
			l.item = n
		}
		for part := range wire.Elements(wire.Member(wire.Member(candidate, "content"), "parts")) {
			// What is thought and what is said follow on each other.
			this, other := l, l
			this.kind, other.kind = "said", "thought"
			if thought, _ := wire.Bool(wire.Member(part, "thought")); thought {
				this, other = other, this
			}
			see(textAt{lane: other, end: true})
			if text := wire.Member(part, "text"); text != nil {
				see(textAt{lane: this, value: text})
			} else {
				see(textAt{lane: this, end: true})
			}
		}
		if wire.Member(candidate, "finishReason") != nil {
			for _, l.kind = range [...]string{"said", "thought"} {
				see(textAt{lane: l, end: true})
			}
		}
	}
}

// findConverse reads Converse and the payloads of ConverseStream. Its thoughts are signed.
func findConverse(data []byte, see func(textAt)) {
	walk(data, "output.message.content.*.text", func(v []byte) { see(textAt{value: v, whole: true}) })
	index := wire.Member(data, "contentBlockIndex")
	if index == nil {
		return
	}
	var l lane
	l.item, _ = wire.Int(index)
	said := false
	walk(data, "delta.text", func(v []byte) {
		said = true
		see(textAt{lane: l, value: v})
	})
	if !said {
		see(textAt{lane: l, end: true})
	}
}
