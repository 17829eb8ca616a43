package llmproxy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// Bugs of other gateways that cost their users money, each as what must be true here. The
// comments name where each was reported. Those of reading one answer are with the readers,
// in dialect/*/bugs_test.go; those of prices in pricing/bugs_test.go.

// BerriAI/litellm#5364, #11789: cached tokens were lost, or priced otherwise, when the same
// answer was streamed. Portkey-AI/gateway#1210, #1564: or when it came another way.
func TestTheSameAnswerCostsTheSameHoweverItComes(t *testing.T) {
	t.Parallel()
	for _, c := range []end{
		{transport: overHTTP},
		{transport: overSSE},
		{transport: overSocket},
		{transport: overHTTP, ask: "chat"},
		{transport: overSSE, ask: "chat"},
		{transport: overSSE, ask: "chat", script: "usage=every"},
		{transport: overSSE, ask: "chat", script: "usage=x_groq"},
		{transport: overHTTP, ask: "array"},
		{transport: overHTTP, ask: "invoke"},
		{transport: overAWS, ask: "invoke"},
		{transport: overAWS},
	} {
		t.Run(fmt.Sprintf("%s %s %s", c.transport, c.ask, c.script), func(t *testing.T) {
			t.Parallel()
			r := c.rig.start(t, c)
			if c.transport == overSocket {
				r.overSocket(c, "cheap-1")
			} else {
				r.overHTTP(c, "cheap-1")
			}
			want := llmproxy.Usage{PromptTokens: 1200, CompletionTokens: 300, CacheRead: 1000}
			if rec := r.record(); rec.Usage != want || rec.Cost.String() != wholeCost || rec.CostState != llmproxy.CostExact {
				t.Errorf("%+v costs %s (%s), want %+v and %s", rec.Usage, rec.Cost, rec.CostState, want, wholeCost)
			}
		})
	}
}

// BerriAI/litellm#30630, #33736, yinxulai/one-switch#3: a stream that the client cancelled
// left no trace, so that cancelling was free.
func TestACancelledStreamLeavesARecord(t *testing.T) {
	t.Parallel()
	c := end{transport: overSSE, ask: "chat", script: "usage=every,hang=3", rig: endRig{leaves: true}}
	r := c.rig.start(t, c)
	r.overHTTP(c, "cheap-1")
	rec := r.record()
	if rec.Outcome != llmproxy.OutcomeCancelled || rec.UsageSource != llmproxy.UsagePartial || rec.CostState != llmproxy.CostEstimated ||
		rec.Usage != (llmproxy.Usage{PromptTokens: 1200, CompletionTokens: 2, CacheRead: 1000}) || rec.Cost.String() != chatCost {
		t.Errorf("record %+v", rec)
	}
}

// QuantumNous/new-api#7241, BerriAI/litellm#34351, agentgateway/agentgateway#3274: what ended
// incomplete, or failed, was not billed, or at a guess.
func TestIncompleteAndFailedAnswersAreBilled(t *testing.T) {
	t.Parallel()
	for _, ending := range []string{"incomplete", "failed"} {
		for _, transport := range []llmproxy.Transport{overHTTP, overSSE, overSocket} {
			c := end{transport: transport, script: "end=" + ending}
			r := c.rig.start(t, c)
			if transport == overSocket {
				r.overSocket(c, "cheap-1")
			} else {
				r.overHTTP(c, "cheap-1")
			}
			if rec := r.record(); string(rec.Outcome) != ending || rec.Cost.String() != wholeCost || rec.UsageSource != llmproxy.UsageProvider {
				t.Errorf("%s over %s: record %+v", ending, transport, rec)
			}
		}
	}
}

// ding113/claude-code-hub#1165, BerriAI/litellm#35290: a client that does not ask for usage
// got its streams for nothing. headroomlabs-ai/headroom#2026: one that did not ask was given
// a chunk without choices, at which it broke.
func TestAStreamIsMeteredUnasked(t *testing.T) {
	t.Parallel()
	c := end{transport: overSSE, ask: "chat"}
	r := c.rig.start(t, c)
	path, body, provider := c.request("cheap-1")
	got := r.post(path, body, "X-Provider", provider, "X-Simulate", reported)
	for event := range strings.SplitSeq(strings.TrimSuffix(got.body, "data: [DONE]\n\n"), "\n\n") {
		if event != "" && (!strings.Contains(event, `"choices":[{`) || strings.Contains(event, `"usage":{`)) {
			t.Errorf("the client got %s", event)
		}
	}
	if rec := r.record(); rec.Cost.String() != wholeCost || rec.UsageSource != llmproxy.UsageProvider {
		t.Errorf("record %+v", rec)
	}
	if sent := string(r.simulator.Requests()[0].Body); !strings.Contains(sent, `"stream_options":{"include_usage":true}`) {
		t.Errorf("the provider was asked %s", sent)
	}
}

// decolua/9router#3081: stream_options was added to what is no stream, which is a 400.
func TestUsageIsAskedOfStreamsAlone(t *testing.T) {
	t.Parallel()
	for _, stream := range []string{"", `"stream":false,`, `"stream":null,`} {
		r := newRig(t)
		body := `{"model":"gpt-5-mini",` + stream + `"messages":[{"role":"user","content":"tell me one thing"}]}`
		got := r.post("/v1/chat/completions", body)
		if sent := string(r.simulator.Requests()[0].Body); got.status != 200 || sent != body {
			t.Errorf("got %d, the provider was asked %s", got.status, sent)
		}
		if rec := r.record(); rec.UsageSource != llmproxy.UsageProvider {
			t.Errorf("record %+v", rec)
		}
	}
}

// diegosouzapw/OmniRoute#9750: usage was dropped where its chunk has a choice: here neither
// the meter loses it, nor the client its choice.
func TestUsageBesideAChoicePasses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const script = "usage=finish"
	want := r.direct("/v1/chat/completions", chatStreamAdded, "X-Simulate", script)
	got := r.post("/v1/chat/completions", chatStream, "X-Simulate", script)
	if got.body != want.body || !strings.Contains(got.body, `"finish_reason":"stop"`) {
		t.Errorf("got %q, want %q", got.body, want.body)
	}
	if rec := r.record(); rec.UsageSource != llmproxy.UsageProvider || rec.Usage.PromptTokens == 0 {
		t.Errorf("record %+v", rec)
	}
}

// langfuse/langfuse#10592, #12306, langchain-ai/langsmith-sdk#2519: what exports usage added
// the cache to a prompt that holds it. Every way out of the gateway has the same totals.
func TestNoWayOutAddsTheCacheAgain(t *testing.T) {
	t.Parallel()
	c := end{transport: overHTTP}
	var seen llmproxy.ResponseMetadata
	r := c.rig.start(t, c)
	llmproxy.WithInterceptor(llmproxy.InterceptorFunc(func(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
		reply, err := next(ctx, x)
		if err == nil {
			x.OnSettled(func(*llmproxy.Record) { seen = reply.Tap.Metadata() })
		}
		return reply, err
	}))(r.router)
	path, body, provider := c.request("cheap-1")
	got := r.post(path, body, "X-Provider", provider, "X-Simulate", reported)
	rec := r.record()

	if p, o := got.header.Get("X-Gateway-Prompt-Tokens"), got.header.Get("X-Gateway-Completion-Tokens"); p != "1200" || o != "300" {
		t.Errorf("the header says %s and %s", p, o)
	}
	var exported struct {
		Usage map[string]int64 `json:"usage"`
	}
	if err := json.Unmarshal(rec.AppendJSON(nil), &exported); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int64{"prompt_tokens": 1200, "completion_tokens": 300, "total_tokens": 1500, "cache_read_tokens": 1000}
	if fmt.Sprint(exported.Usage) != fmt.Sprint(counts) {
		t.Errorf("the record says %v, want %v", exported.Usage, counts)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("exchange", "record", &rec)
	for name, n := range counts {
		if !strings.Contains(log.String(), fmt.Sprintf(".usage.%s=%d ", name, n)) {
			t.Errorf("the log does not say %s=%d: %s", name, n, log.String())
		}
	}
	if seen.Usage != rec.Usage || seen.Custom["cache_usage"] != (llmproxy.CacheUsage{CachedTokens: 1000}) {
		t.Errorf("the metadata say %+v, %v", seen.Usage, seen.Custom)
	}
	if rec.Usage.Input() != 200 || rec.Usage.Output() != 300 {
		t.Errorf("%d fresh tokens and %d of text", rec.Usage.Input(), rec.Usage.Output())
	}
}

// BerriAI/litellm#15740: one call, on its way through two APIs of the gateway, was charged
// twice. An exchange has one record, whatever its path and however often it is sent.
func TestOneExchangeIsOneRecord(t *testing.T) {
	t.Parallel()
	twice := llmproxy.InterceptorFunc(func(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
		reply, err := next(ctx, x)
		if err != nil {
			return nil, err
		}
		for { // to its end: all of it has been metered
			if _, err := reply.Stream.Next(); err != nil {
				break
			}
		}
		_ = reply.Stream.Close()
		return next(ctx, x)
	})
	for _, tt := range []struct {
		path, body string
		attempts   int
		opts       []llmproxy.Option
	}{
		{"/v1/responses", responsesJSON, 1, nil},
		{"/v1/responses", responsesStream, 1, nil},
		{"/", responsesJSON, 1, nil},
		{"/", chatJSON, 1, nil},
		{"/openai/v1/chat/completions", chatStream, 1, nil},
		{"/v1/responses", responsesJSON, 2, []llmproxy.Option{llmproxy.WithInterceptor(twice)}},
		{"/v1/chat/completions", chatStream, 2, []llmproxy.Option{llmproxy.WithInterceptor(twice)}},
	} {
		ledger := newLedgerOf()
		r := newRig(t, append(tt.opts, llmproxy.WithRecorder(ledger), llmproxy.WithBilling(loadBilling()))...)
		got := r.post(tt.path, tt.body)
		if err := r.router.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if n := len(r.simulator.Requests()); got.status != 200 || n != tt.attempts {
			t.Errorf("%s: %d after %d calls", tt.path, got.status, n)
		}
		if len(ledger.records) != 1 || len(ledger.twice) != 0 {
			t.Errorf("%s: %d records, twice %v", tt.path, len(ledger.records), ledger.twice)
		}
		for _, rec := range ledger.records {
			if len(rec.Attempts) != tt.attempts {
				t.Errorf("%s: attempts %+v", tt.path, rec.Attempts)
			}
		}
	}
}

// azerozero/grob#454: zeros beside a text were believed, and the answer was free.
// BerriAI/litellm#37994: zeros that are the truth were replaced by a guess.
func TestZerosAreNotAPrice(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text   string
		source llmproxy.UsageSource
		state  llmproxy.CostState
		cost   string
	}{
		{"hi", llmproxy.UsageNone, llmproxy.CostUnpriced, ""},
		{"", llmproxy.UsageProvider, llmproxy.CostExact, "0"},
	} {
		r := newRigBehind(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"model":"cheap-1","choices":[{"index":0,"message":{"role":"assistant","content":%q},"finish_reason":"stop"}],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}`, tt.text)
		}, llmproxy.WithBilling(loadBilling()))
		_ = r.post("/v1/chat/completions", strings.Replace(chatJSON, "gpt-5-mini", "cheap-1", 1))
		rec := r.record()
		if rec.UsageSource != tt.source || rec.CostState != tt.state || dollars(rec.Cost, rec.CostKnown) != tt.cost {
			t.Errorf("beside %q: record %+v", tt.text, rec)
		}
	}
}

// AutomatosAI/automatos-ai#745, tailcallhq/forgecode#1641, BerriAI/litellm#11626: what
// OpenRouter charged was added to what the model's provider charged, or lost in streams, and
// an account of one's own there made the answer free.
func TestOpenRoutersChargeIsTheCost(t *testing.T) {
	t.Parallel()
	const usage = `{"prompt_tokens":1200,"completion_tokens":300,"total_tokens":1500,"prompt_tokens_details":{"cached_tokens":1000},`
	for _, tt := range []struct {
		cost  string // as OpenRouter says it
		state llmproxy.CostState
		want  string
	}{
		{`"cost":0.01365,"is_byok":false,"cost_details":{"upstream_inference_cost":0.012}}`, llmproxy.CostProvider, "0.01365"},
		{`"cost":0,"is_byok":true,"cost_details":{"upstream_inference_cost":0.01365}}`, llmproxy.CostExact, wholeCost},
	} {
		for _, stream := range []bool{false, true} {
			upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if stream {
					w.Header().Set("Content-Type", "text/event-stream")
					fmt.Fprintf(w, "data: {\"model\":\"cheap-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\n"+
						"data: {\"choices\":[],\"usage\":%s\n\ndata: [DONE]\n\n", usage+tt.cost+"}")
					return
				}
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprintf(w, `{"model":"cheap-1","choices":[{"index":0,"message":{"content":"hi"},"finish_reason":"stop"}],"usage":%s}`, usage+tt.cost)
			}))
			t.Cleanup(upstream.Close)
			r := newRigOf(t, simulator.Options{}, openai_compatible.Config{Type: "openrouter", BaseURL: upstream.URL}, llmproxy.WithBilling(loadBilling()))
			_ = r.post("/v1/chat/completions", fmt.Sprintf(`{"model":"cheap-1","stream":%t,"messages":[]}`, stream))
			rec := r.record()
			if rec.CostState != tt.state || rec.Cost.String() != tt.want || rec.ListCost.String() != wholeCost {
				t.Errorf("%s, streamed = %t: record %+v", tt.cost, stream, rec)
			}
		}
	}
}

// BerriAI/litellm#41344: a model that costs nothing was let through without a look at what
// stands in for it, and what that cost was not charged. The price is that of what served.
func TestWhatStandsInIsCharged(t *testing.T) {
	t.Parallel()
	second := simulator.New(simulator.Options{AnyModel: true})
	server := httptest.NewServer(second)
	t.Cleanup(server.Close)
	paid, err := openai_compatible.New(openai_compatible.Config{Name: "paid", Type: "openai", BaseURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	free := loadBilling()
	billing := &llmproxy.BillingCalculator{Lookup: func(q llmproxy.CostQuery) (llmproxy.CostInfo, bool) {
		if q.Provider != "paid" {
			return llmproxy.CostInfo{}, true
		}
		return free.Lookup(q)
	}}
	fallback := llmproxy.InterceptorFunc(func(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
		reply, err := next(ctx, x)
		if err != nil || reply.StatusCode < 500 {
			return reply, err
		}
		_ = reply.Stream.Close()
		x = x.Clone()
		x.Route = llmproxy.Route{Provider: paid, Model: "dear-1"}
		return next(ctx, x)
	})
	for _, body := range []string{chatJSON, chatStream} {
		r := newRigOf(t, simulator.Options{AnyModel: true, Script: simulator.Sequence(simulator.Script{Status: 503})}, openai_compatible.Config{Type: "openai"},
			llmproxy.WithInterceptor(fallback), llmproxy.WithBilling(billing))
		got := r.post("/v1/chat/completions", strings.Replace(body, "gpt-5-mini", "free-1", 1), "X-Simulate", reported)
		rec := r.record()
		// 200 × 15 + 1000 × 7.5 + 300 × 120, in millionths
		if got.status != 200 || rec.Provider != "paid" || rec.Model != "dear-1" || rec.ModelRequested != "free-1" || rec.Cost.String() != "0.0465" || rec.CostState != llmproxy.CostExact {
			t.Errorf("got %d, record %+v", got.status, rec)
		}
	}
}
