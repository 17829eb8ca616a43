package keys

import (
	"cmp"
	"math"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/wire"
)

// asked is what a request says about how much it may cost.
type asked struct {
	prompt  int64  // tokens, at most
	output  int64  // tokens of one answer, at most; 0: the client set no limit
	answers int64  // how many of them
	speed   string // Anthropic's
	region  string // likewise
	resumes string // the conversation it goes on with, by id; "" if none
	unseen  bool   // it refers to content, besides that, which is not in it
}

// read reads x. Only the limits count that the request's own API knows: a provider would
// ignore another's.
func read(x *llmproxy.Exchange) (a asked) {
	a.answers = 1
	a.resumes = x.Meta.PreviousResponseID
	if x.Body == nil {
		a.unseen = true
		return a
	}
	body := x.Body.Bytes()
	a.prompt = int64(len(body)) // a token is a byte at least
	for name, value := range wire.Members(body) {
		number := func(into *int64) {
			if n, ok := wire.Int(value); ok {
				*into = max(*into, n)
			}
		}
		switch string(name) {
		case "n", "best_of", "num_generations":
			number(&a.answers)
		case "speed":
			a.speed, _ = wire.String(value)
		case "inference_geo":
			a.region, _ = wire.String(value)
		case "cachedContent", "cached_content":
			a.unseen = a.unseen || !wire.IsNull(value)
		case "prompt":
			a.unseen = a.unseen || wire.KindOf(value) == wire.Object // a stored one
		case "conversation":
			if wire.KindOf(value) == wire.Object {
				value = wire.Member(value, "id")
			}
			if id, ok := wire.String(value); ok {
				a.resumes = id
			}
		default:
			a.limit(x.Operation.API, string(name), value)
		}
	}
	return a
}

// limit reads the member name, if it is where api has the limit of an answer.
func (a *asked) limit(api llmproxy.APIType, name string, value []byte) {
	number := func(value []byte, into *int64) {
		if n, ok := wire.Int(value); ok {
			*into = max(*into, n)
		}
	}
	switch api {
	case llmproxy.APIChatCompletions:
		if name == "max_completion_tokens" || name == "max_tokens" {
			number(value, &a.output)
		}
	case llmproxy.APIResponses:
		if name == "max_output_tokens" {
			number(value, &a.output)
		}
	case llmproxy.APIMessages, llmproxy.APICompletions, llmproxy.APICohere:
		if name == "max_tokens" {
			number(value, &a.output)
		}
	case llmproxy.APIGenerateContent:
		if name == "generationConfig" || name == "generation_config" {
			number(wire.Member(value, "maxOutputTokens"), &a.output)
			number(wire.Member(value, "max_output_tokens"), &a.output)
			number(wire.Member(value, "candidateCount"), &a.answers)
			number(wire.Member(value, "candidate_count"), &a.answers)
		}
	case llmproxy.APIConverse:
		if name == "inferenceConfig" {
			number(wire.Member(value, "maxTokens"), &a.output)
		}
	case llmproxy.APIInvokeModel:
		if name == "max_tokens" || name == "maxTokens" || name == "max_gen_len" {
			number(value, &a.output)
		}
		if name == "inferenceConfig" {
			number(wire.Member(value, "maxTokens"), &a.output)
			number(wire.Member(value, "max_new_tokens"), &a.output)
		}
	case llmproxy.APIOllama:
		if name == "options" {
			number(wire.Member(value, "num_predict"), &a.output)
		}
	}
}

// ceiling returns the most that x, which says a, should cost, over all places it may go
// to. priced is false where the price of one of them is not known.
func (b *Budget) ceiling(x *llmproxy.Exchange, a *asked) (most llmproxy.USD, priced bool) {
	if a.resumes != "" {
		if n, ok := b.lengths().get(a.resumes); ok {
			a.prompt = plus(a.prompt, n)
		} else {
			a.unseen = true
		}
	}
	if a.unseen {
		a.prompt = plus(a.prompt, cmp.Or(b.Context, 128_000))
	}
	routes := []llmproxy.Route{x.Route}
	if b.Reach != nil {
		if reach := b.Reach(x); len(reach) > 0 {
			routes = reach
		}
	}
	for _, route := range routes {
		cost, ok := b.at(x, a, route)
		if !ok {
			return 0, false
		}
		most = max(most, cost)
	}
	return most, true
}

// at returns the most that x should cost on one route, whatever tier, speed or region that
// it asks for is served.
func (b *Budget) at(x *llmproxy.Exchange, a *asked, route llmproxy.Route) (most llmproxy.USD, priced bool) {
	if b.Billing == nil || b.Billing.Lookup == nil || route.Provider == nil {
		return 0, false
	}
	provider, model := route.Provider.Name(), cmp.Or(route.Model, x.Meta.Model)
	tokens := a.output
	longest := int64(0)
	if b.OutputLimit != nil {
		longest = b.OutputLimit(provider, model)
	}
	switch {
	case tokens <= 0:
		tokens = cmp.Or(longest, b.Output, 32_768)
	case longest > 0:
		tokens = min(tokens, longest)
	}
	tokens = times(tokens, a.answers)
	q := llmproxy.CostQuery{
		Provider: provider, Model: model, Asked: model, API: x.Operation.API, Time: x.Start, PromptTokens: a.prompt,
	}
	for _, q.ServiceTier = range options(x.Meta.ServiceTier) {
		for _, q.Speed = range options(a.speed) {
			for _, q.Region = range options(a.region) {
				if c, ok := b.Billing.Lookup(q); ok {
					most, priced = max(most, dearest(&c, a.prompt, tokens)), true
				}
			}
		}
	}
	if priced && b.Billing.Markup != nil {
		r := llmproxy.Record{
			ID: x.ID, Time: x.Start, Provider: provider, API: x.Operation.API, Transport: x.Transport,
			ModelRequested: x.Meta.Model, ModelAsked: model, Model: model, Key: x.Caller.Key, Tags: x.Tags,
		}
		marked, err := b.Billing.Markup(&r).Of(most)
		if err != nil {
			marked = math.MaxInt64
		}
		most = marked
	}
	return most, priced
}

// options are a value that is asked for and none.
func options(asked string) []string {
	if asked == "" {
		return []string{""}
	}
	return []string{"", asked}
}

// dearest returns the price of so many tokens at the dearest rates of c. It leaves out
// what is charged by the call: nobody knows how often a provider calls its tools.
func dearest(c *llmproxy.CostInfo, prompt, output int64) llmproxy.USD {
	in := max(c.Input, c.InputAudio, c.InputImage, c.InputVideo, c.InputTool, c.Citation,
		c.CacheRead, c.CacheReadAudio, c.CacheReadImage, c.CacheWrite, c.CacheWrite1h)
	out := max(c.Output, c.Reasoning, c.OutputAudio, c.OutputImage)
	cost := sum(llmproxy.USD(times(prompt, int64(in))), llmproxy.USD(times(output, int64(out))))
	cost, err := c.Multiplier.Of(cost)
	if err != nil {
		return math.MaxInt64
	}
	return sum(cost, c.Request)
}

// plus returns a + b, and times a × b, which stay within what an int64 holds; neither is
// negative.
func plus(a, b int64) int64 { return int64(sum(llmproxy.USD(a), llmproxy.USD(b))) }

func times(a, b int64) int64 {
	if a <= 0 || b <= 0 {
		return 0
	}
	if a > math.MaxInt64/b {
		return math.MaxInt64
	}
	return a * b
}
