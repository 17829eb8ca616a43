// Command interceptor serves the gateway with an interceptor that turns to a second
// provider when the first one fails.
package main

import (
	"cmp"
	"context"
	"log"
	"net/http"
	"os"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/openai"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

func main() {
	openAI, err := openai.New(openai.Config{APIKey: os.Getenv("OPENAI_API_KEY")})
	if err != nil {
		log.Fatal(err)
	}
	local, err := openai_compatible.New(openai_compatible.Config{Type: "ollama"})
	if err != nil {
		log.Fatal(err)
	}
	router := llmproxy.NewAutoRouter(
		llmproxy.WithProvider(openAI),
		llmproxy.WithInterceptor(fallback(llmproxy.Route{
			Provider: local,
			Model:    cmp.Or(os.Getenv("LOCAL_MODEL"), "gpt-oss:20b"),
		})),
	)
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", router))
}

// fallback sends an exchange to second when its own provider cannot be reached, or
// answers 5xx. It works for streams as well: no byte has gone to the client yet.
func fallback(second llmproxy.Route) llmproxy.Interceptor {
	return llmproxy.InterceptorFunc(func(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
		reply, err := next(ctx, x)
		switch {
		case err == nil && reply.StatusCode < http.StatusInternalServerError:
			return reply, nil
		case ctx.Err() != nil, x.Body == nil:
			// Nobody waits any more, or the body went by unread and cannot be sent twice.
			return reply, err
		case err == nil:
			_ = reply.Stream.Close() // a reply that is not returned must be closed
		}
		// The URL, the credential and the edits of the body are made for the provider of
		// each attempt, so there is no more to say than where.
		other := x.Clone()
		other.Route = second
		return next(ctx, other)
	})
}
