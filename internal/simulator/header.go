package simulator

import "net/http"

// setAPIHeader sets what c's API says of itself in every answer.
func (c *call) setAPIHeader(h http.Header) {
	set := func(pairs ...string) {
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
	}
	switch c.api {
	case OpenAI, Azure:
		set(
			"X-Request-Id", c.digest.id("req_", 0),
			"X-Ratelimit-Limit-Requests", "10000",
			"X-Ratelimit-Limit-Tokens", "2000000",
			"X-Ratelimit-Remaining-Requests", "9999",
			"X-Ratelimit-Remaining-Tokens", "1999000",
			"X-Ratelimit-Reset-Requests", "6ms",
			"X-Ratelimit-Reset-Tokens", "30ms",
		)
		if c.api == Azure {
			set("Apim-Request-Id", c.digest.uuid(0), "X-Ms-Region", "Simulated")
			return
		}
		set(
			"Openai-Processing-Ms", "12",
			"Openai-Version", "2020-10-01",
			"Openai-Organization", "org-simulated",
		)
	case Anthropic:
		set(
			"Request-Id", c.digest.id("req_", 0),
			"Anthropic-Organization-Id", "org-simulated",
			"Anthropic-Ratelimit-Requests-Limit", "4000",
			"Anthropic-Ratelimit-Requests-Remaining", "3999",
			"Anthropic-Ratelimit-Requests-Reset", "2026-11-24T00:00:00Z",
		)
	case Gemini:
		set("X-Gemini-Service-Tier", "standard")
	case Vertex:
	case Bedrock:
		set("X-Amzn-Requestid", c.digest.uuid(0))
	case Cohere:
		set("X-Debug-Trace-Id", c.digest.id("", 0))
	}
}
