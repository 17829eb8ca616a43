package gemini_test

import (
	"fmt"

	"github.com/llmproxy/llmproxy/dialect/gemini"
	"github.com/llmproxy/llmproxy/wire"
)

func ExampleNew() {
	x := gemini.New()
	stream := wire.NewSSE(x, 0)
	fmt.Fprint(stream, `data: {"candidates":[{"content":{"parts":[{"text":"Hi"}]}}],"usageMetadata":{"promptTokenCount":7,"thoughtsTokenCount":20,"totalTokenCount":27}}

data: {"candidates":[{"content":{"parts":[{"text":"!"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":5,"thoughtsTokenCount":20,"totalTokenCount":32}}

`)
	m := x.Metadata()
	fmt.Println(m.Outcome, m.FinishReason, m.Usage.CompletionTokens, m.Usage.Reasoning)
	// Output: completed STOP 25 20
}
