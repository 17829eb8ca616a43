package llmproxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/llmproxy/llmproxy/wire"
)

// recordTime is how a record spells its time.
const recordTime = "2006-01-02T15:04:05.000Z"

// MarshalJSON encodes r as one usage record.
func (r *Record) MarshalJSON() ([]byte, error) { return r.AppendJSON(nil), nil }

// AppendJSON appends r as one usage record, as users see it: in `usage export`, in the
// admin API, in the ledger. Zero counts, empty names and unknown costs are left out.
// [Record.UnmarshalJSON] gets the same record back, but for parts of a millisecond.
func (r *Record) AppendJSON(dst []byte) []byte {
	o := object{append(dst, '{')}
	o.str("id", r.ID)
	o.name("time")
	o.b = append(r.Time.UTC().AppendFormat(append(o.b, '"'), recordTime), '"')
	o.str("provider", r.Provider)
	o.str("api", string(r.API))
	o.str("transport", string(r.Transport))
	o.str("model_requested", r.ModelRequested)
	o.str("model", r.Model)
	if r.ModelAsked != r.Model {
		o.str("model_asked", r.ModelAsked)
	}
	o.str("response_id", r.ResponseID)
	o.str("provider_request_id", r.ProviderRequestID)
	o.str("connection_id", r.ConnectionID)
	o.num("turn", int64(r.Turn))
	o.str("lane", r.Lane)
	o.num("status", int64(r.Status))
	o.str("outcome", string(r.Outcome))
	o.str("finish_reason", r.FinishReason)
	o.str("service_tier", r.ServiceTier)
	o.str("speed", r.Speed)
	o.str("region", r.Region)
	o.name("usage")
	o.b = r.Usage.appendJSON(o.b)
	o.str("usage_source", string(r.UsageSource))
	if len(r.Items) > 0 {
		o.name("items")
		for i, item := range r.Items {
			inner := object{append(o.b, "[,"[min(i, 1)], '{')}
			inner.str("model", item.Model)
			inner.name("usage")
			o.b = append(item.Usage.appendJSON(inner.b), '}')
		}
		o.b = append(o.b, ']')
	}
	o.flag("inconsistent", r.Inconsistent)
	o.flag("unread", r.Unread)
	if r.CostKnown {
		o.str("cost_usd", r.Cost.String())
	}
	o.str("cost_state", string(r.CostState))
	if r.ListCostKnown {
		o.str("list_cost_usd", r.ListCost.String())
	}
	o.str("price_version", r.PriceVersion)
	o.name("duration_ms")
	o.b = strconv.AppendInt(o.b, r.Duration.Milliseconds(), 10)
	o.num("ttft_ms", r.TTFT.Milliseconds())
	o.str("key", r.Key)
	if len(r.Tags) > 0 {
		o.name("tags")
		o.b = appendTags(o.b, r.Tags)
	}
	if len(r.Attempts) > 0 {
		o.name("attempts")
		for i, a := range r.Attempts {
			inner := object{append(o.b, "[,"[min(i, 1)], '{')}
			inner.str("provider", a.Provider)
			inner.str("model", a.Model)
			inner.num("status", int64(a.Status))
			inner.str("error", a.Error)
			o.b = append(inner.b, '}')
		}
		o.b = append(o.b, ']')
	}
	if e := r.Error; e != nil {
		o.name("error")
		inner := object{append(o.b, '{')}
		inner.str("type", e.Type)
		inner.str("code", e.Code)
		inner.str("message", e.Message)
		o.b = append(inner.b, '}')
	}
	o.num("revision", int64(r.Revision))
	return append(o.b, '}')
}

func appendTags(dst []byte, tags map[string]string) []byte {
	var room [8]string
	names := room[:0]
	for name := range tags {
		names = append(names, name)
	}
	slices.Sort(names)
	dst = append(dst, '{')
	for i, name := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = wire.AppendString(dst, name)
		dst = wire.AppendString(append(dst, ':'), tags[name])
	}
	return append(dst, '}')
}

// object is a JSON object that is being written, its end missing.
type object struct{ b []byte }

func (o *object) name(name string) {
	if o.b[len(o.b)-1] != '{' {
		o.b = append(o.b, ',')
	}
	o.b = append(append(append(o.b, '"'), name...), '"', ':')
}

// str writes a text unless it is empty.
func (o *object) str(name, value string) {
	if value != "" {
		o.name(name)
		o.b = wire.AppendString(o.b, value)
	}
}

// num writes a number unless it is 0.
func (o *object) num(name string, n int64) {
	if n != 0 {
		o.name(name)
		o.b = strconv.AppendInt(o.b, n, 10)
	}
}

// flag writes true, or nothing.
func (o *object) flag(name string, value bool) {
	if value {
		o.name(name)
		o.b = append(o.b, "true"...)
	}
}

// recordJSON is what UnmarshalJSON reads.
type recordJSON struct {
	ID                string            `json:"id"`
	Time              time.Time         `json:"time"`
	Provider          string            `json:"provider"`
	API               APIType           `json:"api"`
	Transport         Transport         `json:"transport"`
	ModelRequested    string            `json:"model_requested"`
	Model             string            `json:"model"`
	ModelAsked        string            `json:"model_asked"`
	ResponseID        string            `json:"response_id"`
	ProviderRequestID string            `json:"provider_request_id"`
	ConnectionID      string            `json:"connection_id"`
	Turn              int               `json:"turn"`
	Lane              string            `json:"lane"`
	Status            int               `json:"status"`
	Outcome           Outcome           `json:"outcome"`
	FinishReason      string            `json:"finish_reason"`
	ServiceTier       string            `json:"service_tier"`
	Speed             string            `json:"speed"`
	Region            string            `json:"region"`
	Usage             Usage             `json:"usage"`
	UsageSource       UsageSource       `json:"usage_source"`
	Items             []Item            `json:"items"`
	Inconsistent      bool              `json:"inconsistent"`
	Unread            bool              `json:"unread"`
	CostUSD           *string           `json:"cost_usd"`
	CostState         CostState         `json:"cost_state"`
	ListCostUSD       *string           `json:"list_cost_usd"`
	PriceVersion      string            `json:"price_version"`
	DurationMS        int64             `json:"duration_ms"`
	TTFTMS            int64             `json:"ttft_ms"`
	Key               string            `json:"key"`
	Tags              map[string]string `json:"tags"`
	Attempts          []Attempt         `json:"attempts"`
	Error             *RecordError      `json:"error"`
	Revision          int               `json:"revision"`
}

// UnmarshalJSON reads a usage record. Members that it does not know are skipped: they are
// a later version's.
func (r *Record) UnmarshalJSON(text []byte) error {
	var j recordJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return fmt.Errorf("usage record: %w", err)
	}
	*r = Record{
		ID: j.ID, Time: j.Time, Provider: j.Provider, API: j.API, Transport: j.Transport,
		ModelRequested: j.ModelRequested, Model: j.Model, ModelAsked: j.ModelAsked,
		ResponseID: j.ResponseID, ProviderRequestID: j.ProviderRequestID,
		ConnectionID: j.ConnectionID, Turn: j.Turn, Lane: j.Lane,
		Status: j.Status, Outcome: j.Outcome, FinishReason: j.FinishReason,
		ServiceTier: j.ServiceTier, Speed: j.Speed, Region: j.Region,
		Usage: j.Usage, UsageSource: j.UsageSource, Items: j.Items, Inconsistent: j.Inconsistent, Unread: j.Unread,
		CostState: j.CostState, PriceVersion: j.PriceVersion,
		Duration: time.Duration(j.DurationMS) * time.Millisecond, TTFT: time.Duration(j.TTFTMS) * time.Millisecond,
		Key: j.Key, Tags: j.Tags, Attempts: j.Attempts, Error: j.Error, Revision: j.Revision,
	}
	if r.ModelAsked == "" {
		r.ModelAsked = r.Model
	}
	for _, cost := range [...]struct {
		text  *string
		to    *USD
		known *bool
	}{{j.CostUSD, &r.Cost, &r.CostKnown}, {j.ListCostUSD, &r.ListCost, &r.ListCostKnown}} {
		if cost.text == nil {
			continue
		}
		amount, err := ParseUSD(*cost.text)
		if err != nil {
			return fmt.Errorf("usage record %s: cost: %w", r.ID, err)
		}
		*cost.to, *cost.known = amount, true
	}
	return nil
}

// counter is one count under its name in a usage record.
type counter struct {
	name string
	n    int64
}

// counters are the counts of u in the order of a usage record.
func (u *Usage) counters() [22]counter {
	return [...]counter{
		{"prompt_tokens", u.PromptTokens},
		{"completion_tokens", u.CompletionTokens},
		{"total_tokens", u.TotalTokens()},
		{"cache_read_tokens", u.CacheRead + u.CacheReadAudio + u.CacheReadImage},
		{"cache_read_audio_tokens", u.CacheReadAudio},
		{"cache_read_image_tokens", u.CacheReadImage},
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
func (u Usage) MarshalJSON() ([]byte, error) { return u.appendJSON(nil), nil }

func (u *Usage) appendJSON(dst []byte) []byte {
	o := object{append(dst, '{')}
	for _, c := range u.counters() {
		o.num(c.name, c.n)
	}
	return append(o.b, '}')
}

// UnmarshalJSON reads the counts of a usage record.
func (u *Usage) UnmarshalJSON(text []byte) error {
	var n struct {
		Prompt          int64 `json:"prompt_tokens"`
		Completion      int64 `json:"completion_tokens"`
		CacheRead       int64 `json:"cache_read_tokens"`
		CacheReadAudio  int64 `json:"cache_read_audio_tokens"`
		CacheReadImage  int64 `json:"cache_read_image_tokens"`
		CacheWrite      int64 `json:"cache_write_tokens"`
		CacheWrite5m    int64 `json:"cache_write_5m_tokens"`
		CacheWrite1h    int64 `json:"cache_write_1h_tokens"`
		Reasoning       int64 `json:"reasoning_tokens"`
		PromptAudio     int64 `json:"prompt_audio_tokens"`
		CompletionAudio int64 `json:"completion_audio_tokens"`
		PromptImage     int64 `json:"prompt_image_tokens"`
		CompletionImage int64 `json:"completion_image_tokens"`
		PromptVideo     int64 `json:"prompt_video_tokens"`
		ToolPrompt      int64 `json:"tool_prompt_tokens"`
		Citation        int64 `json:"citation_tokens"`
		Accepted        int64 `json:"accepted_prediction_tokens"`
		Rejected        int64 `json:"rejected_prediction_tokens"`
		WebSearches     int64 `json:"web_searches"`
		WebFetches      int64 `json:"web_fetches"`
		SearchUnits     int64 `json:"search_units"`
	}
	if bytes.Equal(text, []byte("null")) {
		return nil
	}
	if err := json.Unmarshal(text, &n); err != nil {
		return fmt.Errorf("usage: %w", err)
	}
	*u = Usage{
		PromptTokens: n.Prompt, CompletionTokens: n.Completion,
		CacheRead:      n.CacheRead - n.CacheReadAudio - n.CacheReadImage,
		CacheReadAudio: n.CacheReadAudio, CacheReadImage: n.CacheReadImage,
		CacheWrite: n.CacheWrite - n.CacheWrite1h, CacheWrite5m: n.CacheWrite5m, CacheWrite1h: n.CacheWrite1h,
		InputAudio: n.PromptAudio - n.CacheReadAudio, InputImage: n.PromptImage - n.CacheReadImage,
		InputVideo: n.PromptVideo, InputTool: n.ToolPrompt, Citation: n.Citation,
		Reasoning: n.Reasoning, OutputAudio: n.CompletionAudio, OutputImage: n.CompletionImage,
		AcceptedPrediction: n.Accepted, RejectedPrediction: n.Rejected,
		WebSearches: n.WebSearches, WebFetches: n.WebFetches, SearchUnits: n.SearchUnits,
	}
	return nil
}
