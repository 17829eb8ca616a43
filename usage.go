package llmproxy

// Usage is what one exchange consumed, in tokens and tool calls, normalised over all
// providers.
//
// PromptTokens and CompletionTokens are totals. The fields below each total split it
// into disjoint parts: every token is in exactly one of them. Whatever a provider's own
// convention is (cached tokens inside or beside the prompt, reasoning inside or beside
// the completion), the reader of its dialect has resolved it before it gets here.
// The zero value means nothing was consumed; whether anything was reported at all is
// [ResponseMetadata.UsageReported].
type Usage struct {
	PromptTokens     int64 // everything sent: fresh, cached, cache-written, audio, image, tool
	CompletionTokens int64 // everything generated: text, reasoning, audio, image

	// Parts of PromptTokens; what they leave is uncached text.
	CacheRead      int64 // text read from the provider's cache
	CacheReadAudio int64 // audio read from the cache
	CacheReadImage int64 // images read from the cache
	CacheWrite     int64 // written to the cache at the short or default lifetime
	CacheWrite1h   int64 // written at the one-hour lifetime
	InputAudio     int64 // uncached audio
	InputImage     int64 // uncached images
	InputVideo     int64 // uncached video
	InputTool      int64 // tool results fed back by the provider (Gemini)
	Citation       int64 // citation tokens (Perplexity)

	// Parts of CompletionTokens; what they leave is text and tool-call arguments.
	Reasoning   int64
	OutputAudio int64
	OutputImage int64

	// Inside CompletionTokens, for information; they overlap the parts above.
	AcceptedPrediction int64
	RejectedPrediction int64

	// CacheWrite5m is the part of CacheWrite that the provider stated to live five
	// minutes.
	CacheWrite5m int64

	// Calls of tools that the provider ran and charges by the call.
	WebSearches int64
	WebFetches  int64
	SearchUnits int64 // of a rerank (Cohere)
}

// TotalTokens returns PromptTokens + CompletionTokens.
func (u Usage) TotalTokens() int64 { return u.PromptTokens + u.CompletionTokens }

// Input returns the uncached text tokens of the prompt: PromptTokens less all its parts.
func (u Usage) Input() int64 {
	return u.PromptTokens - u.CacheRead - u.CacheReadAudio - u.CacheReadImage -
		u.CacheWrite - u.CacheWrite1h - u.InputAudio - u.InputImage - u.InputVideo -
		u.InputTool - u.Citation
}

// Output returns the text tokens of the completion: CompletionTokens less all its parts.
func (u Usage) Output() int64 {
	return u.CompletionTokens - u.Reasoning - u.OutputAudio - u.OutputImage
}

// Consistent reports whether the parts fit into their totals and nothing is negative.
func (u Usage) Consistent() bool {
	for _, n := range [...]int64{
		u.PromptTokens, u.CompletionTokens, u.Input(), u.Output(),
		u.CacheRead, u.CacheReadAudio, u.CacheReadImage, u.CacheWrite, u.CacheWrite1h,
		u.CacheWrite5m, u.CacheWrite - u.CacheWrite5m,
		u.InputAudio, u.InputImage, u.InputVideo, u.InputTool, u.Citation,
		u.Reasoning, u.OutputAudio, u.OutputImage,
		u.AcceptedPrediction, u.RejectedPrediction, u.WebSearches, u.WebFetches, u.SearchUnits,
	} {
		if n < 0 {
			return false
		}
	}
	return true
}

// CacheUsage is the part of a [Usage] that concerns the provider's prompt cache, as it
// is handed out under Custom["cache_usage"].
type CacheUsage struct {
	CachedTokens        int // tokens of the prompt read from the cache, of any kind
	CacheCreationTokens int // tokens of the prompt written to the cache, of any lifetime
}

// Cache returns the cache counters of u.
func (u Usage) Cache() CacheUsage {
	return CacheUsage{
		CachedTokens:        int(u.CacheRead + u.CacheReadAudio + u.CacheReadImage),
		CacheCreationTokens: int(u.CacheWrite + u.CacheWrite1h),
	}
}
