package dialect_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect"
	"github.com/llmproxy/llmproxy/dialect/chat"
	"github.com/llmproxy/llmproxy/dialect/completions"
	"github.com/llmproxy/llmproxy/dialect/dialecttest"
	"github.com/llmproxy/llmproxy/dialect/embeddings"
	"github.com/llmproxy/llmproxy/dialect/images"
	"github.com/llmproxy/llmproxy/dialect/messages"
	"github.com/llmproxy/llmproxy/dialect/responses"
)

func TestCharges(t *testing.T) {
	t.Parallel()
	const none = -1
	for _, tt := range []struct {
		name   string
		charge dialect.Charge
		usage  string
		want   llmproxy.USD // none where no charge is stated
	}{
		{"ticks", dialect.Ticks, `{"prompt_tokens":1,"cost_in_usd_ticks":20800000}`, 2_080_000_000},
		{"one tick", dialect.Ticks, `{"cost_in_usd_ticks":1}`, 100},
		{"no ticks", dialect.Ticks, `{"cost_in_usd_ticks":0}`, 0},
		{"ticks, spelled otherwise", dialect.Ticks, `{"cost_in_usd_ticks":2.08e7}`, 2_080_000_000},
		{"the most ticks", dialect.Ticks, `{"cost_in_usd_ticks":92233720368547758}`, 9_223_372_036_854_775_800},
		{"too many ticks", dialect.Ticks, `{"cost_in_usd_ticks":92233720368547759}`, none},
		{"half a tick", dialect.Ticks, `{"cost_in_usd_ticks":0.5}`, none},
		{"negative ticks", dialect.Ticks, `{"cost_in_usd_ticks":-1}`, none},
		{"ticks in quotes", dialect.Ticks, `{"cost_in_usd_ticks":"20800000"}`, none},
		{"ticks of null", dialect.Ticks, `{"cost_in_usd_ticks":null}`, none},
		{"another's cost", dialect.Ticks, `{"cost":0.01365,"is_byok":false}`, none},

		{"credits", dialect.Credits, `{"cost":0.01365,"is_byok":false}`, 13_650_000_000},
		{"credits with an exponent", dialect.Credits, `{"cost":9.25e-06,"is_byok":false}`, 9_250_000},
		{"credits with binary noise", dialect.Credits, `{"cost":0.0076509169000000005}`, 7_650_916_900},
		{"nothing, of a free model", dialect.Credits, `{"cost":0,"is_byok":false,"cost_details":{"upstream_inference_cost":null}}`, 0},
		{"searches over the model's own cost", dialect.Credits, `{"cost":0.0145476,"cost_details":{"upstream_inference_cost":0.0001776}}`, 14_547_600_000},
		{"the fee for an account of one's own", dialect.Credits, `{"cost":0.00095,"is_byok":true,"cost_details":{"upstream_inference_cost":0.019}}`, none},
		{"no fee for an account of one's own", dialect.Credits, `{"cost":0,"is_byok":true}`, none},
		{"a fee, by the cost at the model's provider", dialect.Credits, `{"cost":0.00095,"cost_details":{"upstream_inference_cost":0.019}}`, none},
		{"no fee, by the cost at the model's provider", dialect.Credits, `{"cost":0,"is_byok":null,"cost_details":{"upstream_inference_cost":0.019}}`, none},
		{"stated to be credits", dialect.Credits, `{"cost":0.01,"is_byok":false,"cost_details":{"upstream_inference_cost":0.019}}`, 10_000_000_000},
		{"no credits", dialect.Credits, `{"prompt_tokens":1}`, none},
		{"negative credits", dialect.Credits, `{"cost":-0.01}`, none},
		{"credits in quotes", dialect.Credits, `{"cost":"0.01"}`, none},
		{"an object of credits", dialect.Credits, `{"cost":{"total_cost":0.01}}`, none},
		{"more than there is", dialect.Credits, `{"cost":1e9}`, none},
		{"a number without end", dialect.Credits, `{"cost":0.` + strings.Repeat("1", 100) + `}`, none},

		{"a total", dialect.TotalCost, `{"cost":{"input_tokens_cost":0.0001,"request_cost":0.005,"total_cost":0.0056}}`, 5_600_000_000},
		{"no total", dialect.TotalCost, `{"cost":{"input_tokens_cost":0.0001}}`, none},
		{"a negative total", dialect.TotalCost, `{"cost":{"total_cost":-1}}`, none},
		{"a cost that is a number", dialect.TotalCost, `{"cost":0.01365}`, none},
		{"no usage", dialect.TotalCost, ``, none},
	} {
		got, ok := tt.charge([]byte(tt.usage))
		want, stated := max(tt.want, 0), tt.want != none
		if got != want || ok != stated {
			t.Errorf("%s: %s: got %v, %v, want %v, %v", tt.name, tt.usage, got, ok, want, stated)
		}
	}
}

// A charge is read where the provider is one that states it, whatever the API, and
// nowhere else.
func TestReadersReadCharges(t *testing.T) {
	t.Parallel()
	const usage = `{"input_tokens":10,"output_tokens":5,"cost_in_usd_ticks":7}`
	for _, tt := range []struct {
		name      string
		newReader func() llmproxy.ResponseExtractor
		answer    string
	}{
		{"chat", chat.New, `{"choices":[{"message":{},"finish_reason":"stop"}],"usage":` + usage + `}`},
		{"chat, streamed", chat.New, "data: {\"choices\":[],\"usage\":" + usage + "}\n\ndata: [DONE]\n\n"},
		{"completions", completions.New, `{"choices":[{"text":"","finish_reason":"stop"}],"usage":` + usage + `}`},
		{"responses", responses.New, `{"object":"response","status":"completed","usage":` + usage + `}`},
		{"responses, streamed", responses.New, "event: response.incomplete\ndata: {\"response\":{\"usage\":" + usage + "}}\n\n"},
		{"embeddings", embeddings.New, `{"data":[],"usage":` + usage + `}`},
		{"images", images.New, `{"data":[],"usage":` + usage + `}`},
		{"messages", messages.New, `{"type":"message","role":"assistant","content":[],"stop_reason":"end_turn","usage":` + usage + `}`},
	} {
		m, _ := dialecttest.Read(t, tt.newReader, tt.answer)
		if m.CostReported || m.ProviderCost != 0 || !m.UsageReported {
			t.Errorf("%s: got %+v, want usage and no charge", tt.name, m)
		}
		m, _ = dialecttest.Read(t, dialect.Charging(tt.newReader, nil), tt.answer)
		if m.CostReported {
			t.Errorf("%s: a charge, which nobody reads", tt.name)
		}
		m, _ = dialecttest.Read(t, dialect.Charging(tt.newReader, dialect.Ticks), tt.answer)
		if !m.CostReported || m.ProviderCost != 700 || m.Usage.PromptTokens != 10 || m.Usage.CompletionTokens != 5 {
			t.Errorf("%s: got %+v, want the charge", tt.name, m)
		}
	}
}

// xAI charges by the image and counts no tokens. What it charges is a report all the same.
func TestChargeWithoutTokens(t *testing.T) {
	t.Parallel()
	m, _ := dialecttest.Read(t, dialect.Charging(images.New, dialect.Ticks), `{"data":[{"b64_json":""}],"usage":{"cost_in_usd_ticks":700000000}}`)
	if !m.UsageReported || !m.CostReported || m.ProviderCost != 70_000_000_000 || m.Usage != (llmproxy.Usage{}) {
		t.Errorf("got %+v, want 0.07 dollars and no tokens", m)
	}
}

// Reports are cumulative, and each states the charge so far, or none.
func TestChargeOfTheLastReport(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		reports []string
		want    llmproxy.USD
		stated  bool
	}{
		{"the last counts", []string{`{"prompt_tokens":7,"cost":0.1}`, `{"prompt_tokens":7,"completion_tokens":1,"cost":0.25}`}, 250_000_000_000, true},
		{"only the last states one", []string{`{"prompt_tokens":7}`, `{"prompt_tokens":7,"completion_tokens":1,"cost":0.25}`}, 250_000_000_000, true},
		{"more tokens, and no charge for them", []string{`{"prompt_tokens":7,"cost":0.1}`, `{"prompt_tokens":7,"completion_tokens":1}`}, 0, false},
		{"the same once more", []string{`{"prompt_tokens":7,"cost":0.1}`, `{"prompt_tokens":7}`}, 100_000_000_000, true},
		{"zeros", []string{`{"prompt_tokens":7,"completion_tokens":1,"cost":0.1}`, `{"prompt_tokens":0,"completion_tokens":0,"cost":0}`}, 100_000_000_000, true},
		{"zeros that state no charge", []string{`{"prompt_tokens":7,"completion_tokens":1,"cost":0.1}`, `{"prompt_tokens":0,"completion_tokens":0}`}, 100_000_000_000, true},
		{"zeros do not make it free", []string{`{"prompt_tokens":7,"completion_tokens":1}`, `{"prompt_tokens":0,"completion_tokens":0,"cost":0}`}, 0, false},
		{"zeros at a charge", []string{`{"prompt_tokens":7,"completion_tokens":1,"cost":0.1}`, `{"prompt_tokens":0,"completion_tokens":0,"cost":0.25}`}, 250_000_000_000, true},
		{"free", []string{`{"prompt_tokens":7,"completion_tokens":1,"cost":0}`}, 0, true},
		{"no report", []string{`{"prompt_tokens":7,"cost":0.1}`, `null`, `{}`}, 100_000_000_000, true},
		{"an account of one's own after all", []string{`{"prompt_tokens":7,"cost":0.1}`, `{"prompt_tokens":8,"cost":0.1,"is_byok":true}`}, 0, false},
	} {
		stream := ""
		for _, r := range tt.reports {
			stream += `data: {"choices":[{"index":0,"delta":{}}],"usage":` + r + "}\n\n"
		}
		m, _ := dialecttest.Read(t, dialect.Charging(chat.New, dialect.Credits), stream+"data: [DONE]\n\n")
		if m.ProviderCost != tt.want || m.CostReported != tt.stated {
			t.Errorf("%s: got %v, %v, want %v, %v", tt.name, m.ProviderCost, m.CostReported, tt.want, tt.stated)
		}
	}
}

// Zeros beside output are no report, unless they cost something.
func TestChargeOfZeros(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, delta, usage string
		want               llmproxy.USD
		stated, reported   bool
	}{
		{"a text for nothing", `{"content":"hi"}`, `{"prompt_tokens":0,"completion_tokens":0,"cost":0}`, 0, false, false},
		{"a text at a charge", `{"content":"hi"}`, `{"prompt_tokens":0,"completion_tokens":0,"cost":0.1}`, 100_000_000_000, true, true},
		{"nothing for nothing", `{"content":""}`, `{"prompt_tokens":0,"completion_tokens":0,"cost":0}`, 0, true, true},
	} {
		m, _ := dialecttest.Read(t, dialect.Charging(chat.New, dialect.Credits), `data: {"choices":[{"index":0,"delta":`+tt.delta+`}],"usage":`+tt.usage+"}\n\ndata: [DONE]\n\n")
		if m.CostReported && m.ProviderCost != tt.want || m.CostReported != tt.stated || m.UsageReported != tt.reported {
			t.Errorf("%s: got %v, %v, reported = %v", tt.name, m.ProviderCost, m.CostReported, m.UsageReported)
		}
	}
}

// OpenRouter has stated a charge in most of the recorded answers.
func TestRecordedCharges(t *testing.T) {
	t.Parallel()
	stated := 0
	dialecttest.Recordings(t, "..", "openrouter", func(r dialecttest.Recording) {
		got, _ := dialecttest.Read(t, dialect.Charging(readerOf(r.Path), dialect.Credits), r.Response)
		var want json.Number // the last one
		for line := range strings.Lines(r.Response) {
			var a struct {
				Usage struct{ Cost json.Number }
			}
			if json.Unmarshal([]byte(strings.TrimPrefix(line, "data: ")), &a) == nil && a.Usage.Cost != "" {
				want = a.Usage.Cost
			}
		}
		if got.CostReported != (want != "") {
			t.Errorf("%s: stated = %v, want %q", r.ID, got.CostReported, want)
		}
		if !got.CostReported {
			return
		}
		stated++
		if amount, err := llmproxy.ParseUSD(want.String()); err != nil || got.ProviderCost != amount {
			t.Errorf("%s: got %v, want %s", r.ID, got.ProviderCost, want)
		}
	})
	if stated != 24 {
		t.Errorf("%d charges, want 24", stated)
	}
}

// The worked examples that state a charge agree with it.
func TestWorkedCharges(t *testing.T) {
	t.Parallel()
	charges := map[string]dialect.Charge{"xai-chat-additive": dialect.Ticks, "openrouter-1": dialect.Credits}
	for _, e := range workedExamples(t) {
		charge := charges[e.ID]
		if charge == nil {
			continue
		}
		delete(charges, e.ID)
		m, _ := dialecttest.Read(t, dialect.Charging(chat.New, charge), inChat(string(e.Raw)))
		if !m.CostReported || m.ProviderCost != e.Cost {
			t.Errorf("%s: got %v, %v, want %v", e.ID, m.ProviderCost, m.CostReported, e.Cost)
		}
	}
	for id := range charges {
		t.Errorf("%s is not in the notes", id)
	}
}

// Whatever a usage object is, a charge is an amount to pay or none.
func FuzzCharges(f *testing.F) {
	f.Add([]byte(`{"cost_in_usd_ticks":20800000}`))
	f.Add([]byte(`{"cost":1e-5,"is_byok":false,"cost_details":{"upstream_inference_cost":1}}`))
	f.Add([]byte(`{"cost":{"total_cost":0.5}}`))
	f.Fuzz(func(t *testing.T, usage []byte) {
		for i, charge := range []dialect.Charge{dialect.Ticks, dialect.Credits, dialect.TotalCost} {
			if amount, ok := charge(usage); amount < 0 || amount != 0 && !ok {
				t.Errorf("charge %d: got %v, %v", i, amount, ok)
			}
		}
	})
}
