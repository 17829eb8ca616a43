package invoke_test

import (
	"fmt"

	"github.com/llmproxy/llmproxy/dialect/invoke"
	"github.com/llmproxy/llmproxy/wire"
)

func ExampleNew() {
	r := invoke.New()
	r.Frame(wire.Frame{Data: []byte(`{"generation":"Hi","prompt_token_count":8,"generation_token_count":35,"stop_reason":"stop"}`)})
	m := r.Metadata()
	fmt.Println(m.Outcome, m.FinishReason, m.Usage.PromptTokens, m.Usage.CompletionTokens)
	// Output: completed stop 8 35
}
