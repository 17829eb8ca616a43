package llmproxy

import "github.com/llmproxy/llmproxy/wire"

// Body is a JSON request body with the places of the members that routing and metering
// read. It is immutable.
type Body struct {
	bytes []byte
	root  wire.Span
	spans [memberCount]wire.Span
}

// A member is a top-level member that the admission scan looks for.
type member int

const (
	memberModel member = iota
	memberModelID
	memberStream
	memberStreamOptions
	memberInput
	memberPrompt
	memberContents
	memberMessages
	memberMaxTokens
	memberMaxCompletionTokens
	memberMaxOutputTokens
	memberServiceTier
	memberPreviousResponseID
	memberBackground
	memberCount
)

var memberNames = wire.NewNames(
	"model", "modelId", "stream", "stream_options", "input", "prompt", "contents",
	"messages", "max_tokens", "max_completion_tokens", "max_output_tokens",
	"service_tier", "previous_response_id", "background",
)

// Bytes returns the body as the client sent it, decoded. It must not be changed.
func (b *Body) Bytes() []byte { return b.bytes }
