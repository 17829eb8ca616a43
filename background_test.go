package llmproxy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

// settler keeps what it is told.
type settler struct {
	recorder
	mu      sync.Mutex // guards settled
	settled []llmproxy.Record
	ids     []string
}

func (s *settler) Settle(_ context.Context, provider, responseID string, r *llmproxy.Record) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settled, s.ids = append(s.settled, *r), append(s.ids, provider+" "+responseID)
	return len(s.settled) == 1, nil
}

// A background response is settled by what shows its usage: retrieved, streamed or
// cancelled; what shows none settles nothing.
func TestBackgroundResponses(t *testing.T) {
	t.Parallel()
	for _, mount := range []string{"", "/openai"} {
		s := &settler{recorder: make(recorder, 64)}
		r := newRigOf(t, simulator.Options{APIKey: providerKey, AnyModel: true}, openai_compatible.Config{Type: "openai", APIKey: providerKey},
			llmproxy.WithRecorder(s), llmproxy.WithBilling(loadBilling()))
		r.records = s.recorder
		a := r.post(mount+"/v1/responses", `{"model":"cheap-1","background":true,"input":"one two three"}`)
		var created struct{ ID, Status string }
		if err := json.Unmarshal([]byte(a.body), &created); err != nil || created.ID == "" || created.Status == "completed" {
			t.Fatalf("got %s, %v", a.body, err)
		}
		if rec := r.record(); rec.Outcome != llmproxy.OutcomePending || rec.CostState != llmproxy.CostPending || rec.CostKnown || rec.ResponseID != created.ID {
			t.Errorf("record %+v", rec)
		}
		for range 20 {
			a = r.do(r.request("GET", r.gateway+mount+"/v1/responses/"+created.ID, nil))
			rec := r.record()
			if rec.UsageSource != llmproxy.UsageNone || rec.CostState != llmproxy.CostFree || a.header.Get("X-Gateway-Prompt-Tokens") != "" {
				t.Errorf("record %+v, header %v", rec, a.header)
			}
			var got struct{ Status string }
			if err := json.Unmarshal([]byte(a.body), &got); err != nil {
				t.Fatal(err)
			}
			if got.Status == "completed" {
				break
			}
		}
		s.mu.Lock()
		if len(s.settled) != 1 || s.ids[0] != "openai "+created.ID {
			t.Fatalf("settled %v", s.ids)
		}
		got := s.settled[0]
		s.mu.Unlock()
		price := loadModels["cheap-1"]
		want, err := price.Cost(got.Usage)
		if err != nil || got.Outcome != llmproxy.OutcomeCompleted || got.UsageSource != llmproxy.UsageProvider || got.Usage.PromptTokens != 3 || got.Cost != want || got.CostState != llmproxy.CostExact {
			t.Errorf("settled with %+v, %v", got, err)
		}
	}
}

func TestCostHeaders(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, simulator.Options{APIKey: providerKey, AnyModel: true}, openai_compatible.Config{Type: "openai", APIKey: providerKey}, llmproxy.WithBilling(loadBilling()))
	const body = `{"model":"cheap-1","messages":[{"role":"user","content":"one two three"}]`
	a := r.post("/v1/chat/completions", body+"}")
	rec := r.record()
	if got := a.header.Get("X-Gateway-Cost"); got != rec.Cost.String() || rec.CostState != llmproxy.CostExact || rec.Cost == 0 || rec.PriceVersion != "test" || !rec.ListCostKnown {
		t.Errorf("header %q, record %+v", got, rec)
	}
	a = r.post("/v1/chat/completions", body+`,"stream":true}`)
	rec = r.record()
	if got := a.trailer.Get("X-Gateway-Cost"); got != rec.Cost.String() || rec.CostState != llmproxy.CostExact {
		t.Errorf("trailer %q, record %+v", got, rec)
	}
	a = r.post("/v1/chat/completions", `{"model":"unknown","messages":[{"role":"user","content":"one two three"}]}`)
	if rec = r.record(); a.header["X-Gateway-Cost"] != nil || rec.CostState != llmproxy.CostUnpriced || rec.CostKnown {
		t.Errorf("header %v, record %+v", a.header, rec)
	}
}

// A cancellation that says nothing of usage leaves it to a later answer to say it.
func TestBackgroundCancelled(t *testing.T) {
	t.Parallel()
	const response = `{"id":"resp_1","object":"response","model":"cheap-1","status":%q,"usage":%s}`
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasSuffix(r.URL.Path, "/cancel"):
			fmt.Fprintf(w, response, "cancelled", "null")
		case r.Method == http.MethodGet:
			fmt.Fprintf(w, response, "cancelled", `{"input_tokens":1000,"output_tokens":500,"total_tokens":1500}`)
		default:
			fmt.Fprintf(w, response, "queued", "null")
		}
	}))
	t.Cleanup(upstream.Close)
	s := &settler{recorder: make(recorder, 64)}
	told := 0
	r := newRigOf(t, simulator.Options{}, openai_compatible.Config{Type: "openai", APIKey: providerKey, BaseURL: upstream.URL},
		llmproxy.WithRecorder(s), llmproxy.WithBilling(loadBilling()),
		llmproxy.WithBillingCallback(func(r *llmproxy.Record, b *llmproxy.BillingResult) {
			if r.Revision == 1 && b.CostKnown {
				told++
			}
		}))
	r.records = s.recorder
	r.post("/v1/responses", `{"model":"cheap-1","background":true,"input":"x"}`)
	r.post("/v1/responses/resp_1/cancel", `{}`)
	s.mu.Lock()
	if len(s.settled) != 0 {
		t.Errorf("settled with %+v", s.settled)
	}
	s.mu.Unlock()
	r.do(r.request("GET", r.gateway+"/v1/responses/resp_1", nil))
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.settled) != 1 || s.settled[0].Usage.PromptTokens != 1000 || s.settled[0].Outcome != llmproxy.OutcomeIncomplete || s.settled[0].CostState != llmproxy.CostExact {
		t.Errorf("settled with %+v", s.settled)
	}
	if told != 1 {
		t.Errorf("the callback was told %d times of the settlement", told)
	}
}
