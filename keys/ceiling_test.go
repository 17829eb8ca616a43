package keys

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/wire"
)

// place is a provider by its name alone.
type place struct {
	llmproxy.Provider
	name string
}

func (p place) Name() string { return p.name }

// exchange is one with that body, routed to openai.
func exchange(t *testing.T, api llmproxy.APIType, body string) *llmproxy.Exchange {
	t.Helper()
	x := &llmproxy.Exchange{
		ID: "x", Operation: llmproxy.Operation{API: api, JSON: true, Metered: true},
		Route: llmproxy.Route{Provider: place{name: "openai"}},
	}
	if body == "" {
		return x
	}
	var err error
	if x.Body, err = llmproxy.ParseBody([]byte(body)); err != nil {
		t.Fatal(err)
	}
	x.Meta.Model, _ = wire.String(wire.Member([]byte(body), "model"))
	x.Meta.ServiceTier, _ = wire.String(wire.Member([]byte(body), "service_tier"))
	x.Meta.PreviousResponseID, _ = wire.String(wire.Member([]byte(body), "previous_response_id"))
	return x
}

// costs is a price list: 1 for input, 3 where it is cached, 10 for output, 20 for
// reasoning, 7 for the request; priority costs double, the speed fast ten times as much,
// in the region us a tenth more. The model cheap costs a tenth of it, and only openai has
// a price for anything.
func costs(q llmproxy.CostQuery) (llmproxy.CostInfo, bool) {
	if q.Provider != "openai" || q.Model == "unknown" {
		return llmproxy.CostInfo{}, false
	}
	c := llmproxy.CostInfo{Input: 1, CacheWrite1h: 3, Output: 10, Reasoning: 20, Request: 7}
	switch q.ServiceTier {
	case "":
	case "priority":
		c.Multiplier = llmproxy.Ratio{Num: 2, Den: 1}
	case "flex":
		c.Multiplier = llmproxy.Ratio{Num: 1, Den: 2}
	default:
		return llmproxy.CostInfo{}, false
	}
	if q.Speed == "fast" {
		c.Multiplier = llmproxy.Ratio{Num: 10, Den: 1}
	}
	if q.Region == "us" {
		c.Multiplier = llmproxy.Ratio{Num: 11, Den: 10}
	}
	if q.Model == "cheap" {
		c = llmproxy.CostInfo{Output: 1}
	}
	return c, true
}

func TestCeiling(t *testing.T) {
	t.Parallel()
	const chat, responses = llmproxy.APIChatCompletions, llmproxy.APIResponses
	for _, tt := range []struct {
		name   string
		api    llmproxy.APIType
		body   string
		tokens int64 // of output
		more   int64 // tokens of input, besides the bytes
		num    int64 // of the factor on all tokens
		den    int64
	}{
		{"no limit", chat, `{"model":"m"}`, 32_768, 0, 1, 1},
		{"a limit", chat, `{"model":"m","max_tokens":5}`, 5, 0, 1, 1},
		{"another", chat, `{"model":"m","max_completion_tokens":6,"max_tokens":5}`, 6, 0, 1, 1},
		{"another API's", chat, `{"model":"m","max_output_tokens":1}`, 32_768, 0, 1, 1},
		{"above the model's", chat, `{"model":"long","max_tokens":5000}`, 1000, 0, 1, 1},
		{"none, but the model's", chat, `{"model":"long"}`, 1000, 0, 1, 1},
		{"no number", chat, `{"model":"m","max_tokens":"5"}`, 32_768, 0, 1, 1},
		{"none at all", chat, `{"model":"m","max_tokens":0}`, 32_768, 0, 1, 1},
		{"three answers", chat, `{"model":"m","n":3,"max_tokens":5}`, 15, 0, 1, 1},
		{"the best of four", llmproxy.APICompletions, `{"model":"m","prompt":"a","best_of":4,"n":1,"max_tokens":5}`, 20, 0, 1, 1},
		{"Responses", responses, `{"model":"m","max_output_tokens":16,"max_tokens":1}`, 16, 0, 1, 1},
		{"Messages", llmproxy.APIMessages, `{"model":"m","max_tokens":8}`, 8, 0, 1, 1},
		{"Gemini", llmproxy.APIGenerateContent, `{"model":"m","generationConfig":{"maxOutputTokens":8,"candidateCount":2}}`, 16, 0, 1, 1},
		{"Converse", llmproxy.APIConverse, `{"model":"m","inferenceConfig":{"maxTokens":8}}`, 8, 0, 1, 1},
		{"InvokeModel", llmproxy.APIInvokeModel, `{"model":"m","max_tokens":8}`, 8, 0, 1, 1},
		{"Ollama", llmproxy.APIOllama, `{"model":"m","options":{"num_predict":8}}`, 8, 0, 1, 1},
		{"known conversation", responses, `{"model":"m","previous_response_id":"resp_1","max_output_tokens":16}`, 16, 500, 1, 1},
		{"unknown conversation", responses, `{"model":"m","previous_response_id":"resp_2","max_output_tokens":16}`, 16, 128_000, 1, 1},
		{"a conversation by name", responses, `{"model":"m","conversation":{"id":"conv_1"},"max_output_tokens":16}`, 16, 600, 1, 1},
		{"a stored prompt", responses, `{"model":"m","prompt":{"id":"pmpt_1"},"max_output_tokens":16}`, 16, 128_000, 1, 1},
		{"cached content", llmproxy.APIGenerateContent, `{"model":"m","cachedContent":"cachedContents/a","generationConfig":{"maxOutputTokens":8}}`, 8, 128_000, 1, 1},
		{"a dearer tier", chat, `{"model":"m","service_tier":"priority","max_tokens":5}`, 5, 0, 2, 1},
		{"a cheaper tier, which may not be served", chat, `{"model":"m","service_tier":"flex","max_tokens":5}`, 5, 0, 1, 1},
		{"a tier without a price", chat, `{"model":"m","service_tier":"x","max_tokens":5}`, 5, 0, 1, 1},
		{"speed", llmproxy.APIMessages, `{"model":"m","speed":"fast","max_tokens":8}`, 8, 0, 10, 1},
		{"region", llmproxy.APIMessages, `{"model":"m","inference_geo":"us","max_tokens":10}`, 10, 0, 11, 10},
	} {
		b := &Budget{
			Billing: &llmproxy.BillingCalculator{Lookup: costs},
			OutputLimit: func(_, model string) int64 {
				if model == "long" {
					return 1000
				}
				return 0
			},
		}
		b.lengths().update("resp_1", func(int64) int64 { return 500 })
		b.lengths().update("conv_1", func(int64) int64 { return 600 })
		x := exchange(t, tt.api, tt.body)
		a := read(x)
		got, priced := b.ceiling(x, &a)
		tokens := llmproxy.USD(3*(int64(len(tt.body))+tt.more) + 20*tt.tokens)
		scaled, err := llmproxy.Ratio{Num: tt.num, Den: tt.den}.Of(tokens)
		if err != nil {
			t.Fatal(err)
		}
		if want := scaled + 7; !priced || got != want {
			t.Errorf("%s: got %d, %t, want %d", tt.name, got, priced, want)
		}
	}
}

// The dearest of all places counts, and one without a price is a price that is not known.
func TestCeilingOfSeveralPlaces(t *testing.T) {
	t.Parallel()
	b := &Budget{Billing: &llmproxy.BillingCalculator{Lookup: costs}}
	x := exchange(t, llmproxy.APIChatCompletions, `{"model":"cheap","max_tokens":5}`)
	a := read(x)
	if got, priced := b.ceiling(x, &a); got != 5 || !priced {
		t.Errorf("by itself: got %d, %t, want 5", got, priced)
	}
	reach := []llmproxy.Route{x.Route, {Provider: x.Route.Provider, Model: "m"}}
	b.Reach = func(*llmproxy.Exchange) []llmproxy.Route { return reach }
	const dear = 32*3 + 5*20 + 7
	if got, priced := b.ceiling(x, &a); got != dear || !priced || a.prompt != 32 {
		t.Errorf("with a dear place: got %d, %t, want %d", got, priced, dear)
	}
	b.Billing.Markup = func(r *llmproxy.Record) llmproxy.Ratio {
		if r.Model == "m" && r.Provider == "openai" && r.ModelRequested == "cheap" {
			return llmproxy.Ratio{Num: 3, Den: 2}
		}
		return llmproxy.Ratio{}
	}
	if got, _ := b.ceiling(x, &a); got != 304 { // 304.5, half to even
		t.Errorf("with a markup: got %d, want 304", got)
	}
	for _, other := range []llmproxy.Route{{Provider: place{name: "other"}}, {Provider: x.Route.Provider, Model: "unknown"}, {}} {
		reach = []llmproxy.Route{x.Route, other}
		if got, priced := b.ceiling(x, &a); priced {
			t.Errorf("with a place without a price: got %d", got)
		}
	}
	if got, priced := (&Budget{}).ceiling(x, &a); priced {
		t.Errorf("without prices: got %d", got)
	}
}

// Nothing overflows.
func TestHugeCeiling(t *testing.T) {
	t.Parallel()
	b := &Budget{Billing: &llmproxy.BillingCalculator{
		Lookup: func(llmproxy.CostQuery) (llmproxy.CostInfo, bool) {
			return llmproxy.CostInfo{Input: math.MaxInt64, Output: math.MaxInt64, Request: math.MaxInt64}, true
		},
		Markup: func(*llmproxy.Record) llmproxy.Ratio { return llmproxy.Ratio{Num: math.MaxInt64, Den: 1} },
	}}
	x := exchange(t, llmproxy.APIChatCompletions, `{"model":"m","n":9223372036854775807,"max_tokens":9223372036854775807}`)
	a := read(x)
	if got, priced := b.ceiling(x, &a); got != math.MaxInt64 || !priced {
		t.Errorf("got %d, %t", got, priced)
	}
	// Of a budget no more is held than all of it.
	k := one{Key{ID: "key_a", Per: Total, Budget: 1000}}
	l := NewLocal(nil)
	b.Keys, b.Holder = &k, l
	x.Caller.Key = "key_a"
	next := func(context.Context, *llmproxy.Exchange) (*llmproxy.Reply, error) {
		return &llmproxy.Reply{StatusCode: 200}, nil
	}
	if _, err := b.Intercept(t.Context(), x, next); err != nil {
		t.Fatal(err)
	}
	y := x.Clone()
	y.ID = "y"
	if _, err := b.Intercept(t.Context(), y, next); err == nil || !strings.Contains(err.Error(), "is held by requests") {
		t.Errorf("a second one: %v", err)
	}
}

// A body without one that can be read is as long as what is not seen.
func TestCeilingWithoutABody(t *testing.T) {
	t.Parallel()
	b := &Budget{Billing: &llmproxy.BillingCalculator{Lookup: costs}, Output: 10, Context: 100}
	x := exchange(t, llmproxy.APIImages, "")
	a := read(x)
	if got, priced := b.ceiling(x, &a); got != 100*3+10*20+7 || !priced {
		t.Errorf("got %d, %t", got, priced)
	}
}

// Whatever a body says, what is held for it is not negative, and never less than for its
// bytes.
func FuzzCeiling(f *testing.F) {
	f.Add(`{"model":"m","max_tokens":-5,"n":-1}`, uint8(0))
	f.Add(`{"model":"m","generationConfig":{"maxOutputTokens":1e18,"candidateCount":9e18}}`, uint8(3))
	apis := []llmproxy.APIType{
		llmproxy.APIChatCompletions, llmproxy.APIResponses, llmproxy.APIMessages, llmproxy.APIGenerateContent,
		llmproxy.APIConverse, llmproxy.APIInvokeModel, llmproxy.APIOllama, llmproxy.APICohere,
	}
	f.Fuzz(func(t *testing.T, body string, api uint8) {
		if _, err := llmproxy.ParseBody([]byte(body)); err != nil {
			return
		}
		x := exchange(t, apis[int(api)%len(apis)], body)
		x.Meta.Model = "m"
		b := &Budget{Billing: &llmproxy.BillingCalculator{Lookup: costs}}
		a := read(x)
		if got, priced := b.ceiling(x, &a); !priced || got < llmproxy.USD(3*len(body)+7) {
			t.Errorf("%q: got %d, %t", body, got, priced)
		}
	})
}
