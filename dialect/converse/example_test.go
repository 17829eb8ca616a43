package converse_test

import (
	"fmt"

	"github.com/llmproxy/llmproxy/dialect/converse"
	"github.com/llmproxy/llmproxy/wire"
)

func ExampleNew() {
	r := converse.New()
	r.Frame(wire.Frame{Event: []byte("messageStop"), Data: []byte(`{"stopReason":"end_turn"}`)})
	r.Frame(wire.Frame{Event: []byte("metadata"), Data: []byte(`{"usage":{"inputTokens":50,"outputTokens":200,"cacheReadInputTokens":1024,"totalTokens":1274}}`)})
	m := r.Metadata()
	fmt.Println(r.Done(), m.FinishReason, m.Usage.PromptTokens, m.Usage.CacheRead, m.Usage.CompletionTokens)
	// Output: true end_turn 1074 1024 200
}
