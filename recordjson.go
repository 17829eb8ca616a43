package llmproxy

import (
	"encoding/json"
	"log/slog"
	"time"
)

// recordJSON is a Record as users see it: in `usage export`, in logs, in the admin API.
// Zero counts and empty names are left out.
type recordJSON struct {
	ID                string            `json:"id"`
	Time              string            `json:"time"`
	Provider          string            `json:"provider,omitempty"`
	API               APIType           `json:"api,omitempty"`
	Transport         Transport         `json:"transport,omitempty"`
	ModelRequested    string            `json:"model_requested,omitempty"`
	Model             string            `json:"model,omitempty"`
	ResponseID        string            `json:"response_id,omitempty"`
	ProviderRequestID string            `json:"provider_request_id,omitempty"`
	Status            int               `json:"status,omitempty"`
	Outcome           Outcome           `json:"outcome"`
	FinishReason      string            `json:"finish_reason,omitempty"`
	ServiceTier       string            `json:"service_tier,omitempty"`
	Usage             usageJSON         `json:"usage"`
	UsageSource       UsageSource       `json:"usage_source"`
	Inconsistent      bool              `json:"inconsistent,omitempty"`
	Unread            bool              `json:"unread,omitempty"`
	CostUSD           string            `json:"cost_usd,omitempty"`
	CostState         CostState         `json:"cost_state"`
	DurationMS        int64             `json:"duration_ms"`
	TTFTMS            int64             `json:"ttft_ms,omitempty"`
	Tags              map[string]string `json:"tags,omitempty"`
	Attempts          []attemptJSON     `json:"attempts,omitempty"`
	Error             *errorJSON        `json:"error,omitempty"`
}

type usageJSON struct {
	PromptTokens             int64 `json:"prompt_tokens,omitempty"`
	CompletionTokens         int64 `json:"completion_tokens,omitempty"`
	TotalTokens              int64 `json:"total_tokens,omitempty"`
	CacheReadTokens          int64 `json:"cache_read_tokens,omitempty"`
	CacheWriteTokens         int64 `json:"cache_write_tokens,omitempty"`
	CacheWrite5mTokens       int64 `json:"cache_write_5m_tokens,omitempty"`
	CacheWrite1hTokens       int64 `json:"cache_write_1h_tokens,omitempty"`
	ReasoningTokens          int64 `json:"reasoning_tokens,omitempty"`
	PromptAudioTokens        int64 `json:"prompt_audio_tokens,omitempty"`
	CompletionAudioTokens    int64 `json:"completion_audio_tokens,omitempty"`
	PromptImageTokens        int64 `json:"prompt_image_tokens,omitempty"`
	CompletionImageTokens    int64 `json:"completion_image_tokens,omitempty"`
	PromptVideoTokens        int64 `json:"prompt_video_tokens,omitempty"`
	ToolPromptTokens         int64 `json:"tool_prompt_tokens,omitempty"`
	CitationTokens           int64 `json:"citation_tokens,omitempty"`
	AcceptedPredictionTokens int64 `json:"accepted_prediction_tokens,omitempty"`
	RejectedPredictionTokens int64 `json:"rejected_prediction_tokens,omitempty"`
	WebSearches              int64 `json:"web_searches,omitempty"`
	WebFetches               int64 `json:"web_fetches,omitempty"`
}

type attemptJSON struct {
	Provider string `json:"provider"`
	Model    string `json:"model,omitempty"`
	Status   int    `json:"status,omitempty"`
	Error    string `json:"error,omitempty"`
}

type errorJSON struct {
	Type    string `json:"type,omitempty"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

// MarshalJSON encodes u with the totals first; zero counts are left out.
func (u Usage) MarshalJSON() ([]byte, error) { return json.Marshal(u.json()) }

func (u Usage) json() usageJSON {
	return usageJSON{
		PromptTokens:             u.PromptTokens,
		CompletionTokens:         u.CompletionTokens,
		TotalTokens:              u.TotalTokens(),
		CacheReadTokens:          u.CacheRead + u.CacheReadAudio + u.CacheReadImage,
		CacheWriteTokens:         u.CacheWrite + u.CacheWrite1h,
		CacheWrite5mTokens:       u.CacheWrite5m,
		CacheWrite1hTokens:       u.CacheWrite1h,
		ReasoningTokens:          u.Reasoning,
		PromptAudioTokens:        u.InputAudio + u.CacheReadAudio,
		CompletionAudioTokens:    u.OutputAudio,
		PromptImageTokens:        u.InputImage + u.CacheReadImage,
		CompletionImageTokens:    u.OutputImage,
		PromptVideoTokens:        u.InputVideo,
		ToolPromptTokens:         u.InputTool,
		CitationTokens:           u.Citation,
		AcceptedPredictionTokens: u.AcceptedPrediction,
		RejectedPredictionTokens: u.RejectedPrediction,
		WebSearches:              u.WebSearches,
		WebFetches:               u.WebFetches,
	}
}

// MarshalJSON encodes r as one usage record.
func (r *Record) MarshalJSON() ([]byte, error) {
	j := recordJSON{
		ID: r.ID, Time: r.Time.UTC().Format("2006-01-02T15:04:05.000Z"),
		Provider: r.Provider, API: r.API, Transport: r.Transport,
		ModelRequested: r.ModelRequested, Model: r.Model,
		ResponseID: r.ResponseID, ProviderRequestID: r.ProviderRequestID,
		Status: r.Status, Outcome: r.Outcome, FinishReason: r.FinishReason, ServiceTier: r.ServiceTier,
		Usage: r.Usage.json(), UsageSource: r.UsageSource, Inconsistent: r.Inconsistent, Unread: r.Unread,
		CostState: r.CostState, DurationMS: r.Duration.Milliseconds(), TTFTMS: r.TTFT.Milliseconds(), Tags: r.Tags,
	}
	if r.CostState == CostFree || r.CostState == CostProvider {
		j.CostUSD = r.Cost.String()
	}
	for _, a := range r.Attempts {
		j.Attempts = append(j.Attempts, attemptJSON(a))
	}
	if r.Error != nil {
		e := errorJSON(*r.Error)
		j.Error = &e
	}
	return json.Marshal(j)
}

// LogValue is r as the attributes of one structured log line, named like the members of
// its JSON.
func (r *Record) LogValue() slog.Value {
	attrs := make([]slog.Attr, 0, 32)
	str := func(name, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(name, value))
		}
	}
	num := func(name string, n int64) {
		if n != 0 {
			attrs = append(attrs, slog.Int64(name, n))
		}
	}
	str("id", r.ID)
	str("provider", r.Provider)
	str("api", string(r.API))
	str("transport", string(r.Transport))
	str("model_requested", r.ModelRequested)
	str("model", r.Model)
	str("response_id", r.ResponseID)
	str("provider_request_id", r.ProviderRequestID)
	num("status", int64(r.Status))
	str("outcome", string(r.Outcome))
	str("finish_reason", r.FinishReason)
	str("service_tier", r.ServiceTier)
	if r.UsageSource != UsageNone {
		attrs = append(attrs, slog.Any("usage", r.Usage))
	}
	str("usage_source", string(r.UsageSource))
	if r.CostState == CostProvider {
		str("cost_usd", r.Cost.String())
	}
	str("cost_state", string(r.CostState))
	attrs = append(attrs, slog.Int64("duration_ms", r.Duration.Milliseconds()))
	num("ttft_ms", int64(r.TTFT/time.Millisecond))
	if r.Inconsistent {
		attrs = append(attrs, slog.Bool("inconsistent", true))
	}
	if r.Unread {
		attrs = append(attrs, slog.Bool("unread", true))
	}
	if len(r.Tags) > 0 {
		attrs = append(attrs, slog.Any("tags", r.Tags))
	}
	if len(r.Attempts) > 1 {
		num("attempts", int64(len(r.Attempts)))
	}
	if e := r.Error; e != nil {
		attrs = append(attrs, slog.Group("error", slog.String("type", e.Type), slog.String("code", e.Code), slog.String("message", e.Message)))
	}
	return slog.GroupValue(attrs...)
}

// LogValue is u as attributes; zero counts are left out.
func (u Usage) LogValue() slog.Value {
	j := u.json()
	var attrs []slog.Attr
	for _, c := range [...]struct {
		name string
		n    int64
	}{
		{"prompt_tokens", j.PromptTokens},
		{"completion_tokens", j.CompletionTokens},
		{"total_tokens", j.TotalTokens},
		{"cache_read_tokens", j.CacheReadTokens},
		{"cache_write_tokens", j.CacheWriteTokens},
		{"reasoning_tokens", j.ReasoningTokens},
		{"web_searches", j.WebSearches},
	} {
		if c.n != 0 {
			attrs = append(attrs, slog.Int64(c.name, c.n))
		}
	}
	return slog.GroupValue(attrs...)
}
