// Package genaiattr has the names that OpenTelemetry's semantic conventions for generative
// AI give to attributes and instruments, as far as the telemetry adapters use them.
//
// They are those of version 1.41.0, the last one that the Go module of OpenTelemetry has;
// a test compares them. Since then they are kept in a repository of their own, and may
// still change: then this is the one file to edit.
package genaiattr

// Attributes.
const (
	OperationName = "gen_ai.operation.name"
	ProviderName  = "gen_ai.provider.name"
	TokenType     = "gen_ai.token.type"

	RequestModel     = "gen_ai.request.model"
	RequestMaxTokens = "gen_ai.request.max_tokens"
	RequestStream    = "gen_ai.request.stream"

	ResponseID               = "gen_ai.response.id"
	ResponseModel            = "gen_ai.response.model"
	ResponseFinishReasons    = "gen_ai.response.finish_reasons"
	ResponseTimeToFirstChunk = "gen_ai.response.time_to_first_chunk" // seconds

	UsageInputTokens         = "gen_ai.usage.input_tokens"
	UsageOutputTokens        = "gen_ai.usage.output_tokens"
	UsageCacheReadTokens     = "gen_ai.usage.cache_read.input_tokens"
	UsageCacheCreationTokens = "gen_ai.usage.cache_creation.input_tokens"
	UsageReasoningTokens     = "gen_ai.usage.reasoning.output_tokens"

	ErrorType  = "error.type"
	StatusCode = "http.response.status_code"
)

// Values of TokenType. The last three, which are no part of the conventions, are parts of
// the first two.
const (
	TokenInput      = "input"
	TokenOutput     = "output"
	TokenCacheRead  = "cache_read"
	TokenCacheWrite = "cache_write"
	TokenReasoning  = "reasoning"
)

// Instrument is a metric that is a histogram.
type Instrument struct{ Name, Unit, Description string }

// The instruments of the conventions.
var (
	TokenUsage = Instrument{"gen_ai.client.token.usage", "{token}", "Number of input and output tokens used."}
	Duration   = Instrument{"gen_ai.server.request.duration", "s", "Time from the request to the last byte of its answer."}
	FirstToken = Instrument{"gen_ai.server.time_to_first_token", "s", "Time from the request to the first byte of a streamed answer."}
	PerToken   = Instrument{"gen_ai.server.time_per_output_token", "s", "Time for each output token after the first, of streamed answers."}
)
