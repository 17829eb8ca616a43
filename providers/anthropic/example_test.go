package anthropic_test

import (
	"fmt"
	"net/http"
	"os"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/anthropic"
)

func ExampleNew() {
	provider, err := anthropic.New(anthropic.Config{APIKey: os.Getenv(anthropic.KeyEnv)})
	if err != nil {
		fmt.Println(err)
		return
	}
	router := llmproxy.NewAutoRouter(llmproxy.WithProvider(provider))
	mux := http.NewServeMux()
	mux.Handle("/llm/", http.StripPrefix("/llm", router))
	fmt.Println(provider.Name(), provider.Routing().BuiltIn)
	// Output: anthropic [claude-*]
}
