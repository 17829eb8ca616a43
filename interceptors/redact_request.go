package interceptors

import (
	"strings"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/wire"
)

// requestTexts are the places of the texts of requests: names of members, joined by dots,
// with * for the elements of an array.
var requestTexts = map[llmproxy.APIType][]string{
	llmproxy.APIChatCompletions: chatTexts,
	llmproxy.APICompletions:     {"prompt", "prompt.*", "suffix"},
	llmproxy.APIEmbeddings:      {"input", "input.*", "input.*.text", "messages.*.content", "messages.*.content.*.text"},
	llmproxy.APIImages:          {"prompt"},
	llmproxy.APIResponses: {
		"instructions", "input", "input.*.content", "input.*.content.*.text", "input.*.content.*.refusal",
		"input.*.output", "input.*.output.*.text", "input.*.input", "prompt.variables.*", "prompt.variables.*.text",
	},
	llmproxy.APIMessages: messagesTexts,
	llmproxy.APIGenerateContent: {
		"systemInstruction.parts.*.text", "system_instruction.parts.*.text",
		"systemInstruction.parts.text", "system_instruction.parts.text",
		"contents.*.parts.*.text", "contents.*.parts.text", "contents.parts.*.text", "contents.parts.text",
		"content.parts.*.text", "content.parts.text", "requests.*.content.parts.*.text", "requests.*.content.parts.text",
		"generateContentRequest.contents.*.parts.*.text", "generateContentRequest.systemInstruction.parts.*.text",
		"instances.*.content", "instances.*.prompt",
	},
	llmproxy.APIConverse: converseTexts,
	// The bodies of InvokeModel are those of the model's own API.
	llmproxy.APIInvokeModel: append([]string{
		"prompt", "inputText", "texts.*", "message", "messages.*.content.*.toolResult.content.*.text",
	}, messagesTexts...),
	llmproxy.APICohere: append([]string{
		"message", "preamble", "query", "documents.*", "documents.*.text", "documents.*.data.text",
		"texts.*", "inputs.*.content.*.text",
	}, chatTexts...),
	llmproxy.APIOllama: append([]string{"prompt", "suffix", "system", "input", "input.*"}, chatTexts...),
}

var (
	chatTexts     = []string{"messages.*.content", "messages.*.content.*.text", "messages.*.content.*.refusal", "messages.*.refusal", "prediction.content", "prediction.content.*.text"}
	messagesTexts = []string{
		"system", "system.*.text", "messages.*.content", "messages.*.content.*.text",
		"messages.*.content.*.content", "messages.*.content.*.content.*.text",
	}
	converseTexts = []string{
		"system.*.text", "messages.*.content.*.text", "messages.*.content.*.toolResult.content.*.text",
		"promptVariables.*.text",
	}
)

// walk shows the strings at path in value, a part of a JSON document. A step * stands for
// the elements of an array, and for the members of an object.
func walk(value []byte, path string, visit func(text []byte)) {
	if path == "" {
		if wire.KindOf(value) == wire.Text {
			visit(value)
		}
		return
	}
	step, rest, _ := strings.Cut(path, ".")
	switch wire.KindOf(value) {
	case wire.Array:
		if step == "*" {
			for element := range wire.Elements(value) {
				walk(element, rest, visit)
			}
		}
	case wire.Object:
		for name, member := range wire.Members(value) {
			if step == "*" || string(name) == step {
				walk(member, rest, visit)
			}
		}
	}
}
