package cohere_test

import (
	"fmt"

	"github.com/llmproxy/llmproxy/dialect/cohere"
	"github.com/llmproxy/llmproxy/wire"
)

func ExampleNew() {
	reader := cohere.New()
	stream := wire.NewSSE(reader, 0)
	fmt.Fprint(stream, "event: message-start\ndata: {\"type\":\"message-start\",\"id\":\"c1\"}\n\n")
	fmt.Fprint(stream, "event: message-end\ndata: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"COMPLETE\",")
	fmt.Fprint(stream, "\"usage\":{\"billed_units\":{\"input_tokens\":70,\"output_tokens\":30},\"tokens\":{\"input_tokens\":540}}}}\n\n")
	m := reader.Metadata()
	fmt.Println(reader.Done(), m.FinishReason, m.Usage.PromptTokens, m.Usage.CompletionTokens)
	// Output: true COMPLETE 70 30
}
