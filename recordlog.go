package llmproxy

import (
	"log/slog"
	"time"
)

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
	str("connection_id", r.ConnectionID)
	num("turn", int64(r.Turn))
	str("lane", r.Lane)
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
	if r.CostKnown && r.CostState != CostFree {
		str("cost_usd", r.Cost.String())
	}
	str("cost_state", string(r.CostState))
	if r.ListCostKnown && (!r.CostKnown || r.ListCost != r.Cost) {
		str("list_cost_usd", r.ListCost.String())
	}
	str("price_version", r.PriceVersion)
	attrs = append(attrs, slog.Int64("duration_ms", r.Duration.Milliseconds()))
	num("ttft_ms", int64(r.TTFT/time.Millisecond))
	str("key", r.Key)
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
	attrs := make([]slog.Attr, 0, 8)
	for _, c := range u.counters() {
		if c.n != 0 {
			attrs = append(attrs, slog.Int64(c.name, c.n))
		}
	}
	return slog.GroupValue(attrs...)
}
