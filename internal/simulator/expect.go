package simulator

import (
	"fmt"
	"net/url"
	"strings"
)

// UsageOf returns the usage that the answer to a request reports by the rules of the
// package, where no script interferes. path is the request's, below any mount, with or
// without its query; body is the JSON request. What a previous response adds is not known
// here. Converse and Cohere do not say how much of the completion was reasoning. The
// error says why there is no usage: no such API, or a request that would be refused.
func UsageOf(path string, body []byte) (Usage, error) {
	path, _, _ = strings.Cut(path, "?")
	for _, e := range expectations() {
		if !strings.HasSuffix(path, e.suffix) {
			continue
		}
		model, ok := e.model(path)
		if !ok {
			continue
		}
		return e.usage(model, body)
	}
	return Usage{}, fmt.Errorf("no usage known for %s", path)
}

// expectation is how to find the usage of the requests whose path ends in suffix.
type expectation struct {
	suffix string
	before string // what the path's model comes after; empty: there is none
	usage  func(model string, body []byte) (Usage, error)
}

// model returns the model that path names.
func (e *expectation) model(path string) (string, bool) {
	if e.before == "" {
		return "", true
	}
	_, rest, ok := strings.Cut(strings.TrimSuffix(path, e.suffix), e.before)
	if !ok {
		return "", false
	}
	model, err := url.PathUnescape(rest)
	return model, err == nil
}

// expectations returns them; of several that fit, the first counts.
func expectations() []expectation {
	const deployment, models, model = "/openai/deployments/", "/models/", "/model/"
	return []expectation{
		{"/v2/chat", "", expectCohere},
		{"/v2/embed", "", expectCohereEmbed},
		{"/v2/rerank", "", expectRerank},
		{"/v1/messages", "", expectMessages(Anthropic)},
		{":rawPredict", models, expectMessages(Vertex)},
		{":streamRawPredict", models, expectMessages(Vertex)},
		{":generateContent", models, expectGemini},
		{":streamGenerateContent", models, expectGemini},
		{":embedContent", models, expectGeminiEmbed(false)},
		{":batchEmbedContents", models, expectGeminiEmbed(true)},
		{":predict", models, expectPredict},
		{"/converse", model, expectConverse},
		{"/converse-stream", model, expectConverse},
		{"/invoke", model, expectMessages(Bedrock)},
		{"/invoke-with-response-stream", model, expectMessages(Bedrock)},
		{"/chat/completions", deployment, expectChat},
		{"/chat/completions", "", expectChat},
		{"/completions", deployment, expectCompletions},
		{"/completions", "", expectCompletions},
		{"/responses", "", expectResponse},
		{"/responses/compact", "", expectCompact},
		{"/embeddings", deployment, expectEmbeddings},
		{"/embeddings", "", expectEmbeddings},
		{"/images/generations", deployment, expectImages},
		{"/images/generations", "", expectImages},
	}
}

// inBody returns body for a model in the path, if there is one.
func inBody(model string, body []byte) []byte {
	if model == "" {
		return body
	}
	return withModel(body, model)
}

func expectChat(model string, body []byte) (Usage, error) {
	var none Script
	req, err := parseChat(inBody(model, body))
	if err != nil {
		return Usage{}, err
	}
	return none.usage(req.prompt.tokens, req.generate(&none)), nil
}

func expectCompletions(model string, body []byte) (Usage, error) {
	var none Script
	req, err := parseCompletions(inBody(model, body))
	if err != nil {
		return Usage{}, err
	}
	return none.usage(req.tokens(), req.generate(&none)), nil
}

func expectResponse(_ string, body []byte) (Usage, error) {
	var none Script
	req, err := parseResponse(body)
	if err != nil {
		return Usage{}, err
	}
	return req.usage(&none, req.prompt.tokens, req.generate(&none)), nil
}

func expectCompact(_ string, body []byte) (Usage, error) {
	var none Script
	req, err := parseResponse(body)
	if err != nil {
		return Usage{}, err
	}
	return none.usage(req.prompt.tokens, []generation{{tokens: CompactionTokens}}), nil
}

func expectEmbeddings(model string, body []byte) (Usage, error) {
	req, err := parseEmbeddings(inBody(model, body))
	if err != nil {
		return Usage{}, err
	}
	return Usage{Prompt: req.tokens()}, nil
}

func expectImages(model string, body []byte) (Usage, error) {
	req, err := parseImages(inBody(model, body))
	if err != nil {
		return Usage{}, err
	}
	return req.usage(), nil
}

func expectMessages(via API) func(string, []byte) (Usage, error) {
	return func(model string, body []byte) (Usage, error) {
		var none Script
		req, err := parseMessages(body, via, model)
		if err == nil {
			err = req.requireLimit()
		}
		if err != nil {
			return Usage{}, err
		}
		return none.total(req.marks.usage(req.prompt.tokens), []generation{none.generate(&req.prompt)}), nil
	}
}

func expectGemini(model string, body []byte) (Usage, error) {
	var none Script
	req, err := parseGemini(body, model)
	if err != nil {
		return Usage{}, err
	}
	return none.usage(req.prompt.tokens, []generation{none.generate(&req.prompt)}), nil
}

func expectGeminiEmbed(batch bool) func(string, []byte) (Usage, error) {
	return func(model string, body []byte) (Usage, error) {
		list, err := parseGeminiEmbed(body, model, batch)
		if err != nil {
			return Usage{}, err
		}
		return Usage{Prompt: geminiEmbedTokens(list)}, nil
	}
}

func expectPredict(_ string, body []byte) (Usage, error) {
	req, err := parsePredict(body)
	if err != nil {
		return Usage{}, err
	}
	return Usage{Prompt: req.tokens()}, nil
}

func expectConverse(model string, body []byte) (Usage, error) {
	var none Script
	req, err := parseConverse(body, model)
	if err != nil {
		return Usage{}, err
	}
	u := none.total(req.marks.usage(req.prompt.tokens), []generation{none.generate(&req.prompt)})
	u.Reasoning = 0
	return u, nil
}

func expectCohere(_ string, body []byte) (Usage, error) {
	var none Script
	req, err := parseCohere(body)
	if err != nil {
		return Usage{}, err
	}
	u := none.usage(req.prompt.tokens, []generation{none.generate(&req.prompt)})
	u.Reasoning = 0
	return u, nil
}

func expectCohereEmbed(_ string, body []byte) (Usage, error) {
	req, err := parseCohereEmbed(body)
	if err != nil {
		return Usage{}, err
	}
	return Usage{Prompt: req.tokens()}, nil
}

func expectRerank(_ string, body []byte) (Usage, error) {
	req, err := parseRerank(body)
	if err != nil {
		return Usage{}, err
	}
	return Usage{SearchUnits: req.searchUnits()}, nil
}
