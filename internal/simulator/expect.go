package simulator

import (
	"fmt"
	"strings"
)

// UsageOf returns the usage that the answer to a request reports by the rules of the
// package, where no script interferes. path ends in the API's path, body is the JSON
// request. What a previous response adds is not known here. The error says why there is
// no usage: no such API, or a request that would be refused.
func UsageOf(path string, body []byte) (Usage, error) {
	var none Script
	switch {
	case strings.HasSuffix(path, "/chat/completions"):
		req, err := parseChat(body)
		if err != nil {
			return Usage{}, err
		}
		return none.usage(req.prompt.tokens, req.generate(&none)), nil
	case strings.HasSuffix(path, "/completions"):
		req, err := parseCompletions(body)
		if err != nil {
			return Usage{}, err
		}
		return none.usage(req.tokens(), req.generate(&none)), nil
	case strings.HasSuffix(path, "/responses"):
		req, err := parseResponse(body)
		if err != nil {
			return Usage{}, err
		}
		return none.usage(req.prompt.tokens, []generation{none.generate(&req.prompt)}), nil
	case strings.HasSuffix(path, "/responses/compact"):
		req, err := parseResponse(body)
		if err != nil {
			return Usage{}, err
		}
		return none.usage(req.prompt.tokens, []generation{{tokens: CompactionTokens}}), nil
	case strings.HasSuffix(path, "/embeddings"):
		req, err := parseEmbeddings(body)
		if err != nil {
			return Usage{}, err
		}
		return Usage{Prompt: req.tokens()}, nil
	case strings.HasSuffix(path, "/images/generations"):
		req, err := parseImages(body)
		if err != nil {
			return Usage{}, err
		}
		return req.usage(), nil
	default:
		return Usage{}, fmt.Errorf("no usage known for %s", path)
	}
}
