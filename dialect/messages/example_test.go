package messages_test

import (
	"fmt"

	"github.com/llmproxy/llmproxy/dialect/messages"
	"github.com/llmproxy/llmproxy/wire"
)

func ExampleNew() {
	x := messages.New()
	stream := wire.NewSSE(x, 0)
	fmt.Fprint(stream, `event: message_start
data: {"type":"message_start","message":{"id":"msg_1","model":"claude-sonnet-5","usage":{"input_tokens":3,"cache_read_input_tokens":2000,"output_tokens":1}}}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15}}

event: message_stop
data: {"type":"message_stop"}

`)
	m := x.Metadata()
	fmt.Println(x.Done(), m.Outcome, m.Model, m.FinishReason)
	fmt.Println(m.Usage.PromptTokens, m.Usage.CacheRead, m.Usage.Input(), m.Usage.CompletionTokens)
	// Output:
	// true completed claude-sonnet-5 end_turn
	// 2003 2000 3 15
}
