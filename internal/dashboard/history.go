package dashboard

import (
	"cmp"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy"
)

// historyModel is one model of a made-up history.
type historyModel struct {
	provider, requested, model string
	api                        llmproxy.APIType
	transport                  llmproxy.Transport
	weight                     int   // how often it is asked, relative to the others
	prompt, completion         int64 // tokens, about
	ttft, token                time.Duration
	cost                       llmproxy.CostInfo // zero: unpriced
}

// historyPrice is a price in dollars per thousand million tokens, which are whole numbers.
func historyPrice(input, cached, output llmproxy.Rate) llmproxy.CostInfo {
	return llmproxy.CostInfo{
		Input: input * 1000, CacheRead: cached * 1000, CacheWrite: input * 1250,
		Output: output * 1000, Reasoning: output * 1000, Source: "demo", Version: "demo",
	}
}

func historyModels() []historyModel {
	const ms = time.Millisecond
	const http, sse, aws, socket = llmproxy.TransportHTTP, llmproxy.TransportSSE, llmproxy.TransportEventStream, llmproxy.TransportWebSocket
	return []historyModel{
		{"openai", "gpt-5", "gpt-5-2025-08-07", llmproxy.APIResponses, socket, 20, 9000, 900, 620 * ms, 11 * ms, historyPrice(1250, 125, 10_000)},
		{"openai", "gpt-5-mini", "gpt-5-mini-2025-08-07", llmproxy.APIChatCompletions, sse, 26, 1800, 420, 310 * ms, 7 * ms, historyPrice(250, 25, 2000)},
		{"openai", "text-embedding-3-small", "text-embedding-3-small", llmproxy.APIEmbeddings, http, 9, 700, 0, 0, 60 * ms, historyPrice(20, 20, 0)},
		{"anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929", llmproxy.APIMessages, sse, 22, 14_000, 1100, 840 * ms, 14 * ms, historyPrice(3000, 300, 15_000)},
		{"anthropic", "claude-haiku-4-5", "claude-haiku-4-5-20251001", llmproxy.APIMessages, sse, 10, 3200, 500, 420 * ms, 8 * ms, historyPrice(1000, 100, 5000)},
		{"groq", "groq/llama-3.3-70b-versatile", "llama-3.3-70b-versatile", llmproxy.APIChatCompletions, sse, 11, 1500, 380, 120 * ms, 3 * ms, historyPrice(590, 590, 790)},
		{"googleai", "gemini-2.5-flash", "gemini-2.5-flash", llmproxy.APIGenerateContent, sse, 12, 5200, 640, 380 * ms, 5 * ms, historyPrice(300, 75, 2500)},
		{"bedrock", "amazon.nova-micro-v1:0", "amazon.nova-micro-v1:0", llmproxy.APIConverse, aws, 5, 1200, 260, 260 * ms, 6 * ms, historyPrice(35, 9, 140)},
		{"my-vllm", "my-vllm/qwen3-32b", "qwen3-32b", llmproxy.APIChatCompletions, sse, 4, 2100, 700, 180 * ms, 9 * ms, llmproxy.CostInfo{}},
	}
}

// history makes records up.
type history struct {
	rand    *rand.Rand
	now     time.Time
	models  []historyModel
	weights int
	billing llmproxy.BillingCalculator
	records []llmproxy.Record
}

// History returns n records of the thirty days before now, the oldest first, as a busy team
// might leave them: more of them by day than by night and the newest ones the densest, with
// turns of WebSockets, errors, clients that left, and a model without a price. The same now
// and n give the same records. It is for demonstrations; nothing in it has happened.
func History(now time.Time, n int) []llmproxy.Record {
	if n <= 0 {
		return nil
	}
	h := history{rand: rand.New(rand.NewPCG(2026, 11)), now: now.UTC(), models: historyModels()}
	costs := map[string]llmproxy.CostInfo{}
	for _, m := range h.models {
		h.weights += m.weight
		if m.cost.Version != "" {
			costs[m.model] = m.cost
		}
	}
	h.billing.Lookup = func(q llmproxy.CostQuery) (llmproxy.CostInfo, bool) {
		c, ok := costs[q.Model]
		return c, ok
	}
	times := h.times(n)
	for len(h.records) < n {
		t := times[len(h.records)]
		m := h.models[h.choose()]
		if m.transport == llmproxy.TransportWebSocket {
			h.connection(m, times, n)
			continue
		}
		h.records = append(h.records, h.exchange(m, t))
	}
	slices.SortFunc(h.records, func(a, b llmproxy.Record) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.ID, b.ID))
	})
	return h.records
}

// choose returns the index of a model.
func (h *history) choose() int {
	at := h.rand.IntN(h.weights)
	for i, m := range h.models {
		if at -= m.weight; at < 0 {
			return i
		}
	}
	return 0
}

// times returns when the records begin, in order.
func (h *history) times(n int) []time.Time {
	times := make([]time.Time, 0, n)
	const month = 30 * 24 * time.Hour
	for i := range n {
		var t time.Time
		for range 8 { // nights and week-ends are quiet: look for a better time, a few times
			// The smaller of two: there are ever more of them towards now.
			before := min(h.rand.Int64N(int64(month)), h.rand.Int64N(int64(month)))
			if i%50 == 0 {
				before = h.rand.Int64N(int64(time.Hour))
			}
			t = h.now.Add(-time.Duration(before)).Truncate(time.Millisecond)
			busy := 35
			if hour := t.Hour(); hour >= 8 && hour < 18 {
				busy = 100
			}
			if day := t.Weekday(); day == time.Saturday || day == time.Sunday {
				busy /= 2
			}
			if h.rand.IntN(100) < busy {
				break
			}
		}
		times = append(times, t)
	}
	slices.SortFunc(times, time.Time.Compare)
	return times
}

// exchange makes one of m up.
func (h *history) exchange(m historyModel, t time.Time) llmproxy.Record {
	asked := strings.TrimPrefix(m.requested, m.provider+"/")
	r := llmproxy.Record{
		Provider: m.provider, API: m.api, Transport: m.transport,
		ModelRequested: m.requested, ModelAsked: asked, Model: m.model,
		Status: 200, Outcome: llmproxy.OutcomeCompleted, FinishReason: "stop", UsageSource: llmproxy.UsageProvider,
		TTFT: h.about(m.ttft), Attempts: []llmproxy.Attempt{{Provider: m.provider, Model: asked, Status: 200}},
		ProviderRequestID: "req_" + strconv.FormatUint(h.rand.Uint64(), 36),
	}
	h.owner(&r)
	prompt, completion := h.scatter(m.prompt), h.scatter(m.completion)
	r.Usage = llmproxy.Usage{PromptTokens: prompt, CompletionTokens: completion}
	if m.prompt > 2000 && h.rand.IntN(3) > 0 {
		r.Usage.CacheRead = prompt * int64(40+h.rand.IntN(50)) / 100
	}
	if m.provider == "openai" && completion > 0 {
		r.Usage.Reasoning = completion * int64(h.rand.IntN(60)) / 100
	}
	r.Duration = r.TTFT + time.Duration(max(completion, 1))*h.about(m.token)
	h.end(&r)
	if last := h.now.Add(-r.Duration).Truncate(time.Millisecond); t.After(last) && r.Transport != llmproxy.TransportWebSocket {
		t = last // it has ended
	}
	r.ID, r.Time = h.id(t), t
	b := h.billing.Bill(&r)
	r.Cost, r.CostKnown, r.CostState = b.Cost, b.CostKnown, b.State
	r.ListCost, r.ListCostKnown, r.PriceVersion = b.ListCost, b.ListCostKnown, b.PriceVersion
	return r
}

// owner gives r a key and tags.
func (h *history) owner(r *llmproxy.Record) {
	owners := [...]struct{ key, team, feature string }{
		{"key_7Q2MZK4A", "search", "answers"},
		{"key_7Q2MZK4A", "search", "ranking"},
		{"key_B9XWTR61", "support", "assistant"},
		{"key_B9XWTR61", "support", "triage"},
		{"key_E5HNV0DJ", "platform", "coding-agent"},
		{"key_KP38CYSG", "research", "evaluation"},
	}
	o := owners[min(h.rand.IntN(len(owners)), h.rand.IntN(len(owners)+2))]
	r.Key, r.Tags = o.key, map[string]string{"team": o.team, "feature": o.feature}
}

// end lets some exchanges end otherwise than well.
func (h *history) end(r *llmproxy.Record) {
	fault := func(outcome llmproxy.Outcome, status int, kind, code string) {
		r.Outcome, r.Status, r.FinishReason = outcome, status, ""
		r.Error = &llmproxy.RecordError{Type: kind, Code: code}
		r.Attempts[0].Status = status
		if status != 200 {
			r.Usage, r.UsageSource, r.CostState, r.Model = llmproxy.Usage{}, llmproxy.UsageNone, llmproxy.CostFree, r.ModelAsked
			r.Duration, r.TTFT = r.TTFT, 0
		}
	}
	switch at := h.rand.IntN(1000); {
	case at < 12:
		fault(llmproxy.OutcomeError, 429, "rate_limit_error", "rate_limit_exceeded")
	case at < 18:
		fault(llmproxy.OutcomeError, 503, "server_error", "overloaded_error")
	case at < 21:
		fault(llmproxy.OutcomeError, 504, "server_error", "provider_timeout")
		r.Attempts[0].Status, r.Attempts[0].Error, r.Error.Message = 0, "provider_timeout", "the provider did not answer in time"
	case at < 25:
		fault(llmproxy.OutcomeError, 400, "invalid_request_error", "context_length_exceeded")
	case at < 30:
		fault(llmproxy.OutcomeRejected, 402, "invalid_request_error", "budget_exceeded")
		r.Attempts, r.Duration, r.Error.Message = nil, time.Millisecond, "the key's budget for the month is spent"
	case at < 34:
		fault(llmproxy.OutcomeFailed, 200, "server_error", "server_error")
	case at < 56 && r.Transport != llmproxy.TransportHTTP:
		r.Outcome, r.Status, r.FinishReason, r.UsageSource = llmproxy.OutcomeCancelled, 499, "", llmproxy.UsagePartial
		r.Usage.CompletionTokens /= 3
		r.Usage.Reasoning /= 3
		r.Duration = r.TTFT + (r.Duration-r.TTFT)/3
	case at < 80 && r.Usage.CompletionTokens > 0:
		r.Outcome, r.FinishReason = llmproxy.OutcomeIncomplete, "length"
	case at < 160 && r.Provider == "openai":
		retried := llmproxy.Attempt{Provider: r.Provider, Model: r.ModelAsked, Status: 503}
		r.Attempts = append([]llmproxy.Attempt{retried}, r.Attempts...)
	}
}

// connection makes a few turns of one WebSocket up, with the prompt growing as an agent's
// does, and two lanes on some.
func (h *history) connection(m historyModel, times []time.Time, n int) {
	start := times[len(h.records)]
	id := h.id(start)
	var owner llmproxy.Record
	h.owner(&owner)
	lanes := []string{""}
	if h.rand.IntN(4) == 0 {
		lanes = []string{"main", "review"}
	}
	at := start
	for turn := 1; turn <= 2+h.rand.IntN(9) && len(h.records) < n && at.Before(h.now); turn++ {
		m := m
		m.prompt += int64(turn) * 1800
		r := h.exchange(m, at)
		r.ConnectionID, r.Turn, r.Lane, r.ResponseID = id, turn, lanes[turn%len(lanes)], "resp_"+r.ID
		r.Key, r.Tags = owner.Key, map[string]string{"team": owner.Tags["team"], "feature": owner.Tags["feature"]}
		if r.Time.Add(r.Duration).After(h.now) {
			return
		}
		h.records = append(h.records, r)
		pause := h.about(2 * time.Second)
		if len(lanes) > 1 && turn%2 == 1 {
			pause = -r.Duration / 2 // the lanes overlap
		}
		at = at.Add(r.Duration + pause).Truncate(time.Millisecond)
	}
}

// scatter returns something near n, now and then much more.
func (h *history) scatter(n int64) int64 {
	if n <= 0 {
		return 0
	}
	n = n * int64(60+h.rand.IntN(80)) / 100
	if h.rand.IntN(12) == 0 {
		n = n * int64(150+h.rand.IntN(250)) / 100
	}
	return max(n, 1)
}

func (h *history) about(d time.Duration) time.Duration { return time.Duration(h.scatter(int64(d))) }

// id returns an id like those of exchanges, whose order is that of time.
func (h *history) id(t time.Time) string {
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(t.UnixMilli())<<16|h.rand.Uint64()&0xffff)
	binary.BigEndian.PutUint64(b[8:], h.rand.Uint64())
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	var s [26]byte
	for i := len(s) - 1; i >= 0; i-- {
		s[i] = alphabet[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(s[:])
}
