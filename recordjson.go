package llmproxy

import (
	"encoding/json"
	"log/slog"
	"strconv"
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
	Speed             string            `json:"speed,omitempty"`
	Region            string            `json:"region,omitempty"`
	Usage             Usage             `json:"usage"`
	UsageSource       UsageSource       `json:"usage_source"`
	Items             []itemJSON        `json:"items,omitempty"`
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

type itemJSON struct {
	Model string `json:"model"`
	Usage Usage  `json:"usage"`
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

// counter is one count under its name in a usage record.
type counter struct {
	name string
	n    int64
}

// counters are the counts of u in the order of a usage record.
func (u *Usage) counters() [20]counter {
	return [...]counter{
		{"prompt_tokens", u.PromptTokens},
		{"completion_tokens", u.CompletionTokens},
		{"total_tokens", u.TotalTokens()},
		{"cache_read_tokens", u.CacheRead + u.CacheReadAudio + u.CacheReadImage},
		{"cache_write_tokens", u.CacheWrite + u.CacheWrite1h},
		{"cache_write_5m_tokens", u.CacheWrite5m},
		{"cache_write_1h_tokens", u.CacheWrite1h},
		{"reasoning_tokens", u.Reasoning},
		{"prompt_audio_tokens", u.InputAudio + u.CacheReadAudio},
		{"completion_audio_tokens", u.OutputAudio},
		{"prompt_image_tokens", u.InputImage + u.CacheReadImage},
		{"completion_image_tokens", u.OutputImage},
		{"prompt_video_tokens", u.InputVideo},
		{"tool_prompt_tokens", u.InputTool},
		{"citation_tokens", u.Citation},
		{"accepted_prediction_tokens", u.AcceptedPrediction},
		{"rejected_prediction_tokens", u.RejectedPrediction},
		{"web_searches", u.WebSearches},
		{"web_fetches", u.WebFetches},
		{"search_units", u.SearchUnits},
	}
}

// MarshalJSON encodes u as in a usage record; zero counts are left out.
func (u Usage) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for _, c := range u.counters() {
		if c.n == 0 {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), c.name...), '"', ':')
		b = strconv.AppendInt(b, c.n, 10)
	}
	return append(b, '}'), nil
}

// LogValue is u as attributes; zero counts are left out.
func (u Usage) LogValue() slog.Value {
	attrs := make([]slog.Attr, 0, 8)
	for _, c := range u.counters() {
		if c.n != 0 {
			attrs = append(attrs, slog.Int64(c.name, c.n))
		}
	}
	return slog.GroupValue(attrs...)
}

// MarshalJSON encodes r as one usage record.
func (r *Record) MarshalJSON() ([]byte, error) {
	j := recordJSON{
		ID: r.ID, Time: r.Time.UTC().Format("2006-01-02T15:04:05.000Z"),
		Provider: r.Provider, API: r.API, Transport: r.Transport,
		ModelRequested: r.ModelRequested, Model: r.Model,
		ResponseID: r.ResponseID, ProviderRequestID: r.ProviderRequestID,
		Status: r.Status, Outcome: r.Outcome, FinishReason: r.FinishReason, ServiceTier: r.ServiceTier, Speed: r.Speed, Region: r.Region,
		Usage: r.Usage, UsageSource: r.UsageSource, Inconsistent: r.Inconsistent, Unread: r.Unread,
		CostState: r.CostState, DurationMS: r.Duration.Milliseconds(), TTFTMS: r.TTFT.Milliseconds(), Tags: r.Tags,
	}
	if r.CostState == CostFree || r.CostState == CostProvider {
		j.CostUSD = r.Cost.String()
	}
	for _, i := range r.Items {
		j.Items = append(j.Items, itemJSON(i))
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
	str("speed", r.Speed)
	str("region", r.Region)
	if r.UsageSource != UsageNone {
		attrs = append(attrs, slog.Attr{Key: "usage", Value: r.Usage.LogValue()})
	}
	str("usage_source", string(r.UsageSource))
	for _, i := range r.Items {
		attrs = append(attrs, slog.Group("item", slog.String("model", i.Model), slog.Any("usage", i.Usage)))
	}
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
