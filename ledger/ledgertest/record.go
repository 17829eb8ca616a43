package ledgertest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/llmproxy/llmproxy"
)

// noon is when the suite's records are from.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// Full returns a record in which every field is set.
func Full() llmproxy.Record {
	return llmproxy.Record{
		ID: "01KAV6TC00FULL", Time: noon.Add(123 * time.Millisecond), Provider: "openai",
		API: llmproxy.APIResponses, Transport: llmproxy.TransportWebSocket,
		ModelRequested: "openai/gpt-5-mini", ModelAsked: "gpt-5-mini", Model: "gpt-5-mini-2025-08-07",
		ResponseID: "resp_1", ProviderRequestID: "req_1", Status: 200, Outcome: llmproxy.OutcomeIncomplete,
		FinishReason: "max_output_tokens", ServiceTier: "flex", Speed: "fast", Region: "us",
		Usage: llmproxy.Usage{
			PromptTokens: 1 << 40, CompletionTokens: 2000, CacheRead: 101, CacheReadAudio: 102, CacheReadImage: 103,
			CacheWrite: 104, CacheWrite1h: 105, CacheWrite5m: 106, InputAudio: 107, InputImage: 108, InputVideo: 109,
			InputTool: 110, Citation: 111, Reasoning: 112, OutputAudio: 113, OutputImage: 114,
			AcceptedPrediction: 115, RejectedPrediction: 116, WebSearches: 117, WebFetches: 118, SearchUnits: 119,
		},
		UsageSource: llmproxy.UsagePartial,
		Items: []llmproxy.Item{
			{Model: "advisor", Usage: llmproxy.Usage{PromptTokens: 5, CompletionTokens: 7}},
			{Model: "judge"},
		},
		Inconsistent: true, Unread: true,
		Cost: 749_600_000, CostKnown: true, CostState: llmproxy.CostProvider,
		ListCost: 1, ListCostKnown: true, PriceVersion: "2026-11-23",
		Duration: 812 * time.Millisecond, TTFT: 190 * time.Millisecond, Key: "key_1",
		Tags: map[string]string{"team": "a", "quoted \"name\"": "v=\\w\n", "empty": "", "ümlaut": "日本"},
		Attempts: []llmproxy.Attempt{
			{Provider: "azure", Model: "gpt", Error: "provider_unreachable"},
			{Provider: "openai", Model: "gpt-5-mini", Status: 200},
		},
		Error:        &llmproxy.RecordError{Type: "server_error", Code: "unfinished_answer", Message: "the answer ended without saying so"},
		ConnectionID: "01KAV6TBCONN", Turn: 3, Lane: "main", Revision: 1,
	}
}

// plain returns a small record of its own id, n minutes after noon.
func plain(id string, n int) llmproxy.Record {
	return llmproxy.Record{
		ID: id, Time: noon.Add(time.Duration(n) * time.Minute), Provider: "openai", API: llmproxy.APIChatCompletions,
		Transport: llmproxy.TransportHTTP, ModelRequested: "gpt-5-mini", ModelAsked: "gpt-5-mini", Model: "gpt-5-mini",
		Status: 200, Outcome: llmproxy.OutcomeCompleted, Usage: llmproxy.Usage{PromptTokens: 10, CompletionTokens: 3},
		UsageSource: llmproxy.UsageProvider, Cost: 100, CostKnown: true, CostState: llmproxy.CostExact,
		ListCost: 90, ListCostKnown: true, PriceVersion: "v1", Duration: 20 * time.Millisecond,
	}
}

// background returns the record of a background response that is still pending.
func background(id string) llmproxy.Record {
	return llmproxy.Record{
		ID: id, Time: noon, Provider: "openai", API: llmproxy.APIResponses, Transport: llmproxy.TransportHTTP,
		ModelRequested: "o9", ModelAsked: "o9", Model: "o9", ResponseID: "resp_" + id, Status: 200,
		Outcome: llmproxy.OutcomePending, UsageSource: llmproxy.UsageNone, CostState: llmproxy.CostPending,
		Duration: time.Millisecond, Key: "key_1",
	}
}

// random returns a record whose fields are set or not as r decides. Texts hold what
// clients may send: quotes, NUL, other scripts, much of it.
func random(r *rand.Rand, id string) llmproxy.Record {
	text := func() string {
		switch r.IntN(8) {
		case 0, 1, 2:
			return ""
		case 3:
			return "a\x00b"
		case 4:
			return `"; DROP TABLE records; -- '%_\`
		case 5:
			return "日本\u2028\U0001F600\ufffd"
		case 6:
			return string(make([]byte, r.IntN(300))) + "x"
		}
		return fmt.Sprintf("word%d", r.IntN(5))
	}
	flag := func() bool { return r.IntN(2) == 0 }
	usage := func() (u llmproxy.Usage) {
		for _, n := range []*int64{
			&u.PromptTokens, &u.CompletionTokens, &u.CacheRead, &u.CacheReadAudio, &u.CacheReadImage, &u.CacheWrite,
			&u.CacheWrite1h, &u.CacheWrite5m, &u.InputAudio, &u.InputImage, &u.InputVideo, &u.InputTool, &u.Citation,
			&u.Reasoning, &u.OutputAudio, &u.OutputImage, &u.AcceptedPrediction, &u.RejectedPrediction,
			&u.WebSearches, &u.WebFetches, &u.SearchUnits,
		} {
			if flag() {
				*n = r.Int64N(1 << 45)
			}
		}
		return u
	}
	rec := llmproxy.Record{
		ID: id, Time: noon.Add(time.Duration(r.IntN(1_000_000)) * time.Millisecond),
		Provider: text(), API: llmproxy.APIType(text()), Transport: llmproxy.Transport(text()),
		ModelRequested: text(), Model: text(), ResponseID: text(), ProviderRequestID: text(),
		Status: r.IntN(600), Outcome: llmproxy.Outcome(text()), FinishReason: text(), ServiceTier: text(),
		Speed: text(), Region: text(), Usage: usage(), UsageSource: llmproxy.UsageSource(text()),
		Inconsistent: flag(), Unread: flag(), CostState: llmproxy.CostState(text()), PriceVersion: text(),
		Duration: time.Duration(r.IntN(1e6)) * time.Millisecond, TTFT: time.Duration(r.IntN(1e3)) * time.Millisecond,
		Key: text(), ConnectionID: text(), Turn: r.IntN(3), Lane: text(), Revision: r.IntN(2),
	}
	rec.ModelAsked = rec.Model // "" stands for the same
	if asked := text(); asked != "" {
		rec.ModelAsked = asked
	}
	if flag() {
		rec.Cost, rec.CostKnown = llmproxy.USD(r.Int64N(1<<50)), true
	}
	if flag() {
		rec.ListCost, rec.ListCostKnown = llmproxy.USD(r.Int64N(1<<50)), true
	}
	for range r.IntN(3) {
		rec.Items = append(rec.Items, llmproxy.Item{Model: text(), Usage: usage()})
		rec.Attempts = append(rec.Attempts, llmproxy.Attempt{Provider: text(), Model: text(), Status: r.IntN(600), Error: text()})
		if rec.Tags == nil {
			rec.Tags = map[string]string{}
		}
		rec.Tags["t"+text()] = text()
	}
	if flag() {
		rec.Error = &llmproxy.RecordError{Type: text(), Code: text(), Message: text()}
	}
	return rec
}
