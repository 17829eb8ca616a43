package dialect_test

import (
	"fmt"

	"github.com/llmproxy/llmproxy/dialect"
)

// xAI counts reasoning beside the completion; its total says so.
func ExampleNormalise() {
	u, ok, inconsistent := dialect.Normalise([]byte(`{
		"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 151,
		"completion_tokens_details": {"reasoning_tokens": 110}
	}`), dialect.Text)
	fmt.Println(ok, inconsistent)
	fmt.Println(u.PromptTokens, u.CompletionTokens, u.Reasoning, u.Output())
	// Output:
	// true false
	// 32 119 110 9
}
