package dashboard_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/dashboard"
	"github.com/llmproxy/llmproxy/pricing"
)

func threeRecords() []llmproxy.Record {
	return []llmproxy.Record{
		answered("A", 3*time.Hour, func(r *llmproxy.Record) { r.Tags = map[string]string{"team": "a"} }),
		answered("B", 2*time.Hour, func(r *llmproxy.Record) {
			r.Provider, r.Key, r.Outcome, r.Status = "groq", "key_1", llmproxy.OutcomeError, 503
			r.Usage, r.UsageSource = llmproxy.Usage{}, llmproxy.UsageNone
			r.Cost, r.CostState, r.ListCostKnown, r.ListCost, r.PriceVersion = 0, llmproxy.CostFree, false, 0, ""
			r.FinishReason, r.TTFT = "", 0
			r.Error = &llmproxy.RecordError{Type: "server_error", Code: "overloaded"}
		}),
		answered("C", time.Hour, func(r *llmproxy.Record) {
			r.Model, r.CostKnown, r.Cost, r.CostState = "unknown-model", false, 0, llmproxy.CostUnpriced
			r.ListCostKnown, r.ListCost, r.PriceVersion = false, 0, ""
			r.ConnectionID, r.Turn, r.Transport = "W", 2, llmproxy.TransportWebSocket
		}),
	}
}

// The exact answer is what scripts are written against.
func TestUsageAsJSON(t *testing.T) {
	t.Parallel()
	w := ask(t, at(t, threeRecords()...), "GET", "/api/usage?since=24h&by=provider&limit=1&order=oldest")
	const want = `{"since":"2026-11-24T12:00:00Z","by":"provider",` +
		`"total":{"group":"","exchanges":3,"errors":1,"usage":{"prompt_tokens":2400,"completion_tokens":680,"total_tokens":3080},` +
		`"cost_usd":"0.0007496","list_cost_usd":"0.0007496","unpriced":1,"estimated":0,"duration_ms_sum":2436,"ttft_ms_sum":380,"ttft_count":2},` +
		`"sums":[{"group":"groq","exchanges":1,"errors":1,"usage":{},"cost_usd":"0","list_cost_usd":"0","unpriced":0,"estimated":0,"duration_ms_sum":812,"ttft_ms_sum":0,"ttft_count":0},` +
		`{"group":"openai","exchanges":2,"errors":0,"usage":{"prompt_tokens":2400,"completion_tokens":680,"total_tokens":3080},` +
		`"cost_usd":"0.0007496","list_cost_usd":"0.0007496","unpriced":1,"estimated":0,"duration_ms_sum":1624,"ttft_ms_sum":380,"ttft_count":2}],` +
		`"records":[{"id":"A","time":"2026-11-25T09:00:00.000Z","provider":"openai","api":"responses","transport":"sse",` +
		`"model_requested":"gpt-5","model":"gpt-5","status":200,"outcome":"completed","finish_reason":"stop",` +
		`"usage":{"prompt_tokens":1200,"completion_tokens":340,"total_tokens":1540},"usage_source":"provider","cost_usd":"0.0007496","cost_state":"exact",` +
		`"list_cost_usd":"0.0007496","price_version":"v1","duration_ms":812,"ttft_ms":190,"tags":{"team":"a"}}],"next":"A"}` + "\n"
	got := w.Body.String()
	if w.Code != http.StatusOK || got != want || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("got %d %s\n%s\nwant\n%s", w.Code, w.Header().Get("Content-Type"), got, want)
	}
}

// idsOf returns the ids of the records of an answer, and where it goes on.
func idsOf(t *testing.T, d http.Handler, query string) (ids, next string, total int64) {
	t.Helper()
	w := ask(t, d, "GET", "/api/usage?"+query)
	var answer struct {
		Total   *struct{ Exchanges int64 }
		Records []struct{ ID string }
		Next    string
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", query, w.Code, w.Body)
	}
	total = -1
	if answer.Total != nil {
		total = answer.Total.Exchanges
	}
	for _, r := range answer.Records {
		ids += r.ID
	}
	return ids, answer.Next, total
}

func TestUsageFiltersAndPages(t *testing.T) {
	t.Parallel()
	d := at(t, threeRecords()...)
	for _, tt := range []struct {
		query, ids, next string
		total            int64
	}{
		{"", "CBA", "", 3},
		{"order=oldest", "ABC", "", 3},
		{"limit=2", "CB", "B", 3},
		{"limit=2&after=B", "A", "", -1},
		{"limit=1&after=A&order=oldest", "B", "B", -1},
		{"limit=0", "", "", 3},
		{"provider=groq", "B", "", 1},
		{"model=gpt-5", "BA", "", 2},
		{"key=key_1", "B", "", 1},
		{"tag=team", "A", "", 1},
		{"tag=team%3Da", "A", "", 1},
		{"tag=team%3Db", "", "", 0},
		{"outcome=error", "B", "", 1},
		{"connection=W", "C", "", 1},
		{"id=A", "A", "", 1},
		{"since=90m", "C", "", 1},
		{"since=2026-11-25T09:00&until=2h", "A", "", 1},
		{"since=&model=", "CBA", "", 3}, // as a form sends it
	} {
		ids, next, total := idsOf(t, d, tt.query)
		if ids != tt.ids || next != tt.next || total != tt.total {
			t.Errorf("%s: got %q, next %q, of %d, want %q, %q, %d", tt.query, ids, next, total, tt.ids, tt.next, tt.total)
		}
	}
}

func TestWrongParametersAreExplained(t *testing.T) {
	t.Parallel()
	d := at(t, threeRecords()...)
	for _, tt := range []struct{ query, code, message string }{
		{"since=yesterday", "invalid_parameter", "since: is no time: write one such as 24h, 30d, 2026-11-01 or 2026-11-01T10:00:00Z"},
		{"until=1y", "invalid_parameter", "until: is no time: write one such as 24h, 30d, 2026-11-01 or 2026-11-01T10:00:00Z"},
		{"since=1h&until=2h", "invalid_parameter", "since: is not before until"},
		{"by=colour", "invalid_parameter", `by: "colour" is none of model, provider, key, day, hour, outcome and tag:NAME`},
		{"by=tag", "invalid_parameter", "by: name the tag, as in tag:team"},
		{"outcome=fine", "invalid_parameter", `outcome: "fine" is none of completed, incomplete, failed, error, cancelled, rejected, pending`},
		{"limit=-1", "invalid_parameter", "limit: want a number from 0 to 10000"},
		{"limit=10001", "invalid_parameter", "limit: want a number from 0 to 10000"},
		{"order=best", "invalid_parameter", "order: want newest or oldest"},
		{"after=Z", "invalid_parameter", "after: there is no record of that id"},
		{"model=a&model=b", "invalid_parameter", "model: is there more than once"},
		{"model=" + strings.Repeat("x", 513), "invalid_parameter", "model: is longer than 512 bytes"},
		{"model=%ff", "invalid_parameter", "model: is no text"},
		{"modle=a", "unknown_parameter", `"modle" is no parameter here: there are since, until, by, provider, model, key, tag, outcome, connection, id, limit, after, order`},
		{"model=%zz", "invalid_request", "the query is not well-formed"},
	} {
		w := ask(t, d, "GET", "/api/usage?"+tt.query)
		var answer struct {
			Error struct{ Type, Code, Message, Param string }
		}
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		if w.Code != http.StatusBadRequest || answer.Error.Code != tt.code || answer.Error.Message != tt.message || answer.Error.Type != "invalid_request_error" {
			t.Errorf("%s: got %d %+v, want %s: %s", shortened(tt.query), w.Code, answer.Error, tt.code, tt.message)
		}
	}
}

func shortened(s string) string { return s[:min(len(s), 60)] }

func TestSumsBeyondAnAmount(t *testing.T) {
	t.Parallel()
	dear := func(r *llmproxy.Record) { r.Cost = math.MaxInt64 }
	d := at(t, answered("A", time.Hour, dear), answered("B", time.Hour, dear))
	w := ask(t, d, "GET", "/api/usage")
	if want := `"code":"sum_too_large"`; w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), want) {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if w := ask(t, d, "GET", "/", "Accept", "text/html"); w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), "choose a shorter time") {
		t.Errorf("the page: got %d %s", w.Code, w.Body)
	}
}

func TestModelsAsJSON(t *testing.T) {
	t.Parallel()
	d := newDashboard(t, dashboard.Options{Records: storeOf(t), Models: func() []dashboard.Model {
		return []dashboard.Model{
			{Provider: "openai", Name: "gpt-5", Aliases: []string{"gpt-5-latest"}, Prices: []dashboard.ItemPrice{{Item: "input", USD: "1.25", Per: "million_tokens"}}, Source: "embedded", Version: "v1"},
			{Provider: "my-vllm", Name: "qwen3"},
		}
	}})
	for _, tt := range []struct{ query, want string }{
		{"", `{"models":[{"provider":"openai","model":"gpt-5","aliases":["gpt-5-latest"],"prices":[{"item":"input","usd":"1.25","per":"million_tokens"}],"source":"embedded","version":"v1"},{"provider":"my-vllm","model":"qwen3"}]}`},
		{"?provider=my-vllm", `{"models":[{"provider":"my-vllm","model":"qwen3"}]}`},
		{"?model=LATEST", `{"models":[{"provider":"openai","model":"gpt-5","aliases":["gpt-5-latest"],"prices":[{"item":"input","usd":"1.25","per":"million_tokens"}],"source":"embedded","version":"v1"}]}`},
		{"?model=none", `{"models":[]}`},
	} {
		if got := strings.TrimSpace(ask(t, d, "GET", "/api/models"+tt.query).Body.String()); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.query, got, tt.want)
		}
	}
	if got := ask(t, at(t), "GET", "/api/models").Body.String(); got != `{"models":[]}`+"\n" {
		t.Errorf("without models: got %s", got)
	}
}

// The embedded list is shown by the providers that are configured, each model once.
func TestModelsOfAPriceList(t *testing.T) {
	t.Parallel()
	models := someModels()
	seen := map[string]bool{}
	for _, m := range models {
		name := m.Provider + "/" + m.Name
		if seen[name] {
			t.Errorf("%s is there twice", name)
		}
		seen[name] = true
	}
	for _, m := range models {
		if m.Name != "claude-sonnet-4-5" {
			continue
		}
		if m.Provider != "anthropic" || m.Price("input") != "3" || m.Price("output") != "15" || m.Price("audio") != "" || !m.More || m.Source != "embedded" || m.Version == "" {
			t.Errorf("got %+v", m)
		}
	}
	if !seen["anthropic/claude-sonnet-4-5"] || !seen["my-openai/gpt-5"] || seen["anthropic/gpt-5"] {
		t.Errorf("got %d models", len(models))
	}
}

// The operator's own prices are a provider's by its name, those of a list by its family.
func TestModelsOfTheOperator(t *testing.T) {
	t.Parallel()
	own, err := pricing.Own(map[string]map[string]map[string]string{"anthropic": {"qwen3-*": {"input": "0.10", "output": "0.40"}}})
	if err != nil {
		t.Fatal(err)
	}
	list, err := pricing.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	book, err := pricing.NewBook(own, list)
	if err != nil {
		t.Fatal(err)
	}
	providers := []dashboard.Provider{{Name: "anthropic", Type: "openai_compatible"}}
	got := dashboard.ModelsOf(book.Rows(), noon, providers, func(p dashboard.Provider) string { return pricing.Family(p.Type) })
	if len(got) != 1 || got[0].Name != "qwen3-*" || got[0].Price("input") != "0.1" || got[0].Price("output") != "0.4" || got[0].Source != "config" {
		t.Errorf("got %+v", got)
	}
}

// Beyond what is held for a page, sums still cover everything, and the page says what it
// looked at.
func TestManyRecords(t *testing.T) {
	t.Parallel()
	var records []llmproxy.Record
	for i := range dashboard.MaxRecent + 500 {
		records = append(records, answered(fmt.Sprintf("%08d", i), 20*time.Hour-time.Duration(i)*time.Second, nil))
	}
	d := at(t, records...)
	got := page(t, d, "/")
	for _, want := range []string{`title="10,500 exchanges">10,500<`, "of the newest 10,000 exchanges", `title="7.8708 USD">$7.87<`} {
		if !strings.Contains(got, want) {
			t.Errorf("the overview lacks %s", want)
		}
	}
	if got := page(t, d, "/?range=1h"); strings.Contains(got, "of the newest") {
		t.Error("an hour without exchanges is said to be cut")
	}
}
