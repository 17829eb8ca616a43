package chat_test

import (
	"fmt"

	"github.com/llmproxy/llmproxy/dialect/chat"
	"github.com/llmproxy/llmproxy/wire"
)

func ExampleNew() {
	x := chat.New()
	stream := wire.NewSSE(x, 0)
	fmt.Fprint(stream, `data: {"id":"c1","model":"gpt-5","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}

data: {"id":"c1","model":"gpt-5","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}

data: [DONE]

`)
	m := x.Metadata()
	fmt.Println(x.Done(), m.Outcome, m.Model, m.FinishReason, m.Usage.TotalTokens())
	// Output: true completed gpt-5 stop 12
}
