package simulator

import (
	"encoding/json"
	"net/http"
)

// completionUsage is the usage object of Chat Completions and Completions.
type completionUsage struct {
	PromptTokens     int64             `json:"prompt_tokens"`
	CompletionTokens int64             `json:"completion_tokens"`
	TotalTokens      int64             `json:"total_tokens"`
	PromptDetails    promptDetails     `json:"prompt_tokens_details"`
	Details          completionDetails `json:"completion_tokens_details"`
}

type promptDetails struct {
	CachedTokens     int64 `json:"cached_tokens"`
	CacheWriteTokens int64 `json:"cache_write_tokens,omitempty"`
	AudioTokens      int64 `json:"audio_tokens"`
}

type completionDetails struct {
	ReasoningTokens          int64 `json:"reasoning_tokens"`
	AudioTokens              int64 `json:"audio_tokens"`
	AcceptedPredictionTokens int64 `json:"accepted_prediction_tokens"`
	RejectedPredictionTokens int64 `json:"rejected_prediction_tokens"`
}

func newCompletionUsage(u Usage) *completionUsage {
	return &completionUsage{
		PromptTokens: u.Prompt, CompletionTokens: u.Completion, TotalTokens: u.Total(),
		PromptDetails: promptDetails{CachedTokens: u.Cached, CacheWriteTokens: u.CacheWrite},
		Details:       completionDetails{ReasoningTokens: u.Reasoning},
	}
}

// xGroq is the member in which Groq reports the usage of a stream.
type xGroq struct {
	ID    string           `json:"id"`
	Usage *completionUsage `json:"usage,omitempty"`
}

// usageReporter puts usage on the chunks of a stream, where its script wants it.
type usageReporter struct {
	report Report
	asked  bool
	total  Usage
	soFar  Usage // grows with the chunks
	id     string
}

func newUsageReporter(c *call, req common, prompt int64, answers []generation) *usageReporter {
	total := c.script.usage(prompt, answers)
	return &usageReporter{
		report: c.script.Report,
		asked:  req.usage,
		total:  total,
		soFar:  Usage{Prompt: total.Prompt, Cached: total.Cached, CacheWrite: total.CacheWrite},
		id:     c.digest.id("req_", 0),
	}
}

// chunk returns the usage members of a chunk that adds so many tokens to the answer.
func (u *usageReporter) chunk(tokens int64, finish bool) (json.RawMessage, *xGroq) {
	u.soFar.Completion += tokens
	switch {
	case u.report == ReportFinish && finish:
		return encode(newCompletionUsage(u.total)), nil
	case u.report == ReportXGroq && finish:
		return nil, &xGroq{ID: u.id, Usage: newCompletionUsage(u.total)}
	case u.report == ReportEvery && finish:
		return encode(newCompletionUsage(u.total)), nil
	case u.report == ReportEvery:
		return encode(newCompletionUsage(u.soFar)), nil
	case u.report == ReportAsAsked && u.asked:
		return json.RawMessage("null"), nil
	default:
		return nil, nil
	}
}

// tail returns what follows the choices of a stream: an error; or a chunk made of the
// usage, where one is due, and [DONE].
func (u *usageReporter) tail(s *Script, chunk func(usage json.RawMessage, nullChoices bool) any) []event {
	if s.fails() {
		return []event{{data: encode(errorBody{scripted(http.StatusInternalServerError).detail()})}}
	}
	if s.Unfinished {
		return nil
	}
	var events []event
	null := u.report == ReportNullChoices
	if null || u.report == ReportAsAsked && u.asked {
		events = append(events, event{data: encode(chunk(encode(newCompletionUsage(u.total)), null))})
	}
	if !s.NoDone {
		events = append(events, event{data: []byte("[DONE]")})
	}
	return events
}
