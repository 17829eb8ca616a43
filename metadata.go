package llmproxy

// BodyMetadata is what the gateway reads from a request, besides its bytes.
type BodyMetadata struct {
	Model              string // as the client wrote it, a provider prefix included; "" if absent
	Stream             bool   // a body with "stream": true, or a path that streams
	IncludeUsage       bool   // the client itself set stream_options.include_usage
	MaxTokens          int64  // the output limit the client set; 0 if none
	ServiceTier        string // the tier asked for; the tier served is in ResponseMetadata
	PreviousResponseID string
	Background         bool // a Responses request that is to run detached
}

// ResponseMetadata is what an answer says about itself.
type ResponseMetadata struct {
	ID          string // the provider's id of the answer; "" if it gave none
	Model       string // the model that answered, as the provider names it
	ServiceTier string // the tier that was served

	// FinishReason is the provider's own word for why the answer ended ("stop",
	// "length", "tool_calls", "max_output_tokens" …), that of the first choice.
	FinishReason string

	// Outcome is how the answer ended as far as its own bytes say: OutcomeCompleted,
	// OutcomeIncomplete, OutcomeFailed, or OutcomePending for a background response
	// that was only accepted. OutcomeUnknown while no end has been seen.
	Outcome Outcome

	Usage         Usage
	UsageReported bool // the provider reported usage; an explicit zero counts as a report

	// Inconsistent says that the reported counters contradict each other (a part
	// larger than its total, say). Usage then holds the totals as reported.
	Inconsistent bool

	// Items are parts of the exchange that another model served, and that have its price
	// (an advisor, say). They are not in Usage.
	Items []Item

	// ProviderCost is the charge that the provider itself stated, where CostReported.
	ProviderCost USD
	CostReported bool

	// Speed and Region are what Anthropic served the answer with and where ("fast",
	// "us"): both have prices of their own. "" if not said.
	Speed, Region string

	// ErrorType and ErrorCode are the provider's own, of an error it reported in the
	// body or in the stream; "" if it reported none. Its message is not kept: providers
	// quote prompts and keys in it.
	ErrorType string
	ErrorCode string

	// Custom repeats parts of the above under the names that users of the reference
	// system know: "reasoning_tokens" (int), "cache_usage" (CacheUsage), "api_type"
	// (string), "provider" (string). A count is there only when greater than zero.
	// The pipeline fills it for its callers; readers of answers leave it nil, and
	// nothing in this module reads it.
	Custom map[string]any
}

// Item is what one further model consumed in an exchange.
type Item struct {
	Model string `json:"model"`
	Usage Usage  `json:"usage"`
}

// setCustom fills Custom. It is the one place that does.
func (m *ResponseMetadata) setCustom(api APIType, provider string) {
	m.Custom = map[string]any{"api_type": string(api), "provider": provider}
	if n := m.Usage.Reasoning; n > 0 {
		m.Custom["reasoning_tokens"] = int(n)
	}
	if c := m.Usage.Cache(); c != (CacheUsage{}) {
		m.Custom["cache_usage"] = c
	}
}
