package ollama_test

import (
	"fmt"

	"github.com/llmproxy/llmproxy/dialect/ollama"
	"github.com/llmproxy/llmproxy/wire"
)

func ExampleNew() {
	reader := ollama.New()
	stream := wire.NewLines(reader, 0)
	fmt.Fprintln(stream, `{"model":"qwen3:8b","message":{"role":"assistant","content":"Hi"},"done":false}`)
	fmt.Fprintln(stream, `{"model":"qwen3:8b","done":true,"done_reason":"stop","prompt_eval_count":29,"eval_count":3}`)
	m := reader.Metadata()
	fmt.Println(reader.Done(), m.Model, m.FinishReason, m.Usage.PromptTokens, m.Usage.CompletionTokens)
	// Output: true qwen3:8b stop 29 3
}
