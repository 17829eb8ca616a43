package openai_compatible_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// keeper keeps the last record.
type keeper struct{ last llmproxy.Record }

func (k *keeper) Begin(context.Context, *llmproxy.Record) error { return nil }

func (k *keeper) Record(_ context.Context, r *llmproxy.Record) error {
	k.last = *r
	return nil
}

// A service's word for what it charged is taken from the services that state a charge,
// each in its own way, and from nobody else: another's member of that name is no money.
func TestStatedCharges(t *testing.T) {
	t.Parallel()
	const usage = `{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"cost_in_usd_ticks":7,"cost":`
	const number, object = usage + `0.25,"is_byok":false}`, usage + `{"total_cost":0.5}}`
	for _, tt := range []struct {
		typ, usage string
		want       llmproxy.USD
		state      llmproxy.CostState
	}{
		{"xai", number, 700, llmproxy.CostProvider},
		{"xai", object, 700, llmproxy.CostProvider},
		{"openrouter", number, 250_000_000_000, llmproxy.CostProvider},
		{"openrouter", object, 0, llmproxy.CostUnpriced},
		{"openrouter", usage + `0.25,"is_byok":true}`, 0, llmproxy.CostUnpriced},
		{"perplexity", object, 500_000_000_000, llmproxy.CostProvider},
		{"perplexity", number, 0, llmproxy.CostUnpriced},
		{"openai", number, 0, llmproxy.CostUnpriced},
		{"deepinfra", number, 0, llmproxy.CostUnpriced},
		{"groq", object, 0, llmproxy.CostUnpriced},
		{"openai_compatible", number, 0, llmproxy.CostUnpriced},
		{"vllm", object, 0, llmproxy.CostUnpriced},
	} {
		type way struct{ path, contentType, answer string }
		ways := []way{
			{"/v1/chat/completions", "application/json", `{"choices":[{"message":{},"finish_reason":"stop"}],"usage":` + tt.usage + `}`},
			{"/v1/chat/completions", "text/event-stream", "data: {\"choices\":[],\"usage\":" + tt.usage + "}\n\ndata: [DONE]\n\n"},
			{"/v1/responses", "application/json", `{"object":"response","status":"completed","usage":` + tt.usage + `}`},
			{"/v1/responses", "text/event-stream", "event: response.completed\ndata: {\"response\":{\"usage\":" + tt.usage + "}}\n\n"},
			{"/v1/embeddings", "application/json", `{"data":[],"usage":` + tt.usage + `}`},
		}
		if tt.typ == "openrouter" {
			usage := strings.Replace(tt.usage, `"prompt_tokens":10`, `"input_tokens":10`, 1)
			ways = append(ways, way{"/v1/messages", "application/json", `{"type":"message","role":"assistant","content":[],"stop_reason":"end_turn","usage":` + usage + `}`})
		}
		for _, way := range ways {
			p, err := openai_compatible.New(openai_compatible.Config{Name: "named-otherwise", Type: tt.typ, BaseURL: "http://host"})
			if err != nil {
				t.Fatal(err)
			}
			k := &keeper{}
			a := llmproxy.NewAutoRouter(llmproxy.WithProvider(p), llmproxy.WithRecorder(k), llmproxy.WithTransport(roundTrip(func(r *http.Request) (*http.Response, error) {
				return &http.Response{
					StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {way.contentType}},
					Body: io.NopCloser(strings.NewReader(way.answer)), ContentLength: int64(len(way.answer)), Request: r,
				}, nil
			})))
			w := httptest.NewRecorder()
			a.ServeHTTP(w, httptest.NewRequest(http.MethodPost, way.path, strings.NewReader(`{"model":"m"}`)))
			if w.Body.String() != way.answer {
				t.Errorf("%s %s: the answer became %s", tt.typ, way.path, w.Body)
			}
			if k.last.Cost != tt.want || k.last.CostState != tt.state || k.last.Usage.PromptTokens != 10 {
				t.Errorf("%s %s %s, %s: got %v, %s, %+v, want %v, %s", tt.typ, way.path, way.contentType, tt.usage,
					k.last.Cost, k.last.CostState, k.last.Usage, tt.want, tt.state)
			}
		}
	}
}
