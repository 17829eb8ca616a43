package llmproxy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

// However a provider words the end of a response, it is billed once.
func TestWebSocketOddEnds(t *testing.T) {
	t.Parallel()
	for _, simulate := range []string{
		"response-done", "usage=top", "no-output", "meta", "keepalive", "piece=7", "response-done,usage=top,no-output,meta",
	} {
		for _, lane := range []string{"", "l"} {
			r := newSocketRig(t, simulator.Options{AnyModel: true}, llmproxy.WithBilling(loadBilling()))
			s := r.connect("/v1/responses")
			for range 2 {
				s.create(on(lane) + `"model":"middle-1","metadata":{"simulate":"` + simulate + `"},"input":"one two three"`)
				s.until("response.completed")
				if strings.Contains(simulate, "response-done") {
					s.until("response.done")
				}
			}
			s.create(`"model":"dear-1","input":"behind"`) // so that all has been read
			for e := s.until("response.completed"); e.Response.Model != "dear-1"; e = s.until("response.completed") {
			}
			s.conn.Close()
			r.bills("middle-1", "middle-1", "dear-1")
		}
	}
}

// A provider that gives all responses of a connection one id has each of them billed.
func TestWebSocketSameID(t *testing.T) {
	t.Parallel()
	r := newSocketRig(t, simulator.Options{AnyModel: true, Manner: simulator.MannerXAI}, llmproxy.WithBilling(loadBilling()))
	s := r.connect("/v1/responses")
	var ids []string
	for i := range 3 {
		s.create(`"model":"cheap-1","metadata":{"simulate":"same-id,response-done"},"input":"` + strings.Repeat("word ", i+1) + `"`)
		ids = append(ids, s.until("response.completed").Response.ID)
		s.until("response.done")
	}
	if ids[0] != ids[1] || ids[0] != ids[2] {
		t.Errorf("the ids are %v", ids)
	}
	s.conn.Close()
	turns := r.turns()
	for i := range 3 {
		if d := cmp.Diff(countedBill(turns[i], "cheap-1", i+1), billOf(r.record())); d != "" {
			t.Errorf("turn %d: the provider's count - the record +\n%s", i+1, d)
		}
	}
	r.noMore()
}

// An error event ends the turn it is about: after the first event, and where it does not
// say on which lane.
func TestWebSocketErrorEvents(t *testing.T) {
	t.Parallel()
	for _, lane := range []string{"", "l"} {
		for _, tt := range []struct {
			simulate string
			status   int // of the record
		}{
			{"status=429,code=rate_limit_exceeded", 429},
			{"status=429,code=rate_limit_exceeded,flat-error", 429},
			{"status=429,code=rate_limit_exceeded,no-stream-id", 429},
			{"status=429,code=rate_limit_exceeded,no-stream-id,flat-error", 429},
			{"status=503,code=server_is_overloaded,cut-events=4", 200},
			{"status=503,code=server_is_overloaded,cut-events=4,no-stream-id", 200},
			{"end=error", 200},
			{"end=error,flat-error", 200},
			{"end=error,no-stream-id", 200},
		} {
			r := newSocketRig(t, simulator.Options{AnyModel: true})
			s := r.connect("/v1/responses")
			s.create(on(lane) + `"model":"m","metadata":{"simulate":"` + tt.simulate + `"},"input":"one two three four five"`)
			var e event
			for e.Type != "error" {
				var err error
				if e, err = s.read(); err != nil {
					t.Fatal(err)
				}
			}
			if stays := !strings.Contains(tt.simulate, "no-stream-id"); stays && e.StreamID != lane || !stays && e.StreamID != "" {
				t.Errorf("%s on %q: got %s", tt.simulate, lane, e.raw)
			}
			rec := r.record()
			if rec.Status != tt.status || rec.Turn != 1 || rec.Lane != lane || rec.Error == nil ||
				rec.Outcome != llmproxy.OutcomeError && rec.Outcome != llmproxy.OutcomeFailed || tt.status >= 400 && rec.Outcome != llmproxy.OutcomeError {
				t.Errorf("%s on %q: record %+v, %+v", tt.simulate, lane, rec, rec.Error)
			}
			s.create(on(lane) + `"model":"m","input":"one"`)
			s.until("response.completed")
			if rec := r.record(); rec.Turn != 2 || rec.Outcome != llmproxy.OutcomeCompleted || rec.Lane != lane {
				t.Errorf("%s on %q: the next record %+v", tt.simulate, lane, rec)
			}
			r.noMore()
		}
	}
}

// Responses that nobody asked for, and ends without beginnings, are billed too.
func TestWebSocketUnasked(t *testing.T) {
	t.Parallel()
	for _, lane := range []string{"", "l"} {
		r := newPlayedRig(t, llmproxy.WithBilling(&llmproxy.BillingCalculator{Lookup: func(llmproxy.CostQuery) (llmproxy.CostInfo, bool) {
			return loadModels["cheap-1"], true
		}}))
		client, provider := r.open()
		both := func(message string) {
			t.Helper()
			provider.send(message)
			client.want(message)
		}
		want := func(turn int, id, asked string, prompt, completion int64) {
			t.Helper()
			rec := r.record()
			price := loadModels["cheap-1"]
			expected := bill{lane, id, "gpt-5-mini", asked, turn, llmproxy.OutcomeCompleted, prompt, completion, llmproxy.USD(prompt*int64(price.Input) + completion*int64(price.Output))}
			if d := cmp.Diff(expected, billOf(rec)); d != "" || rec.ConnectionID == "" || rec.Provider != "openai" {
				t.Errorf("want - got +\n%s", d)
			}
		}
		// An end without a beginning is that of the create that waits.
		create := `{"type":"response.create",` + on(lane) + `"model":"openai/gpt-5-mini","input":"x"}`
		client.send(create)
		provider.want(`{"type":"response.create",` + on(lane) + `"model":"gpt-5-mini","input":"x"}`)
		both(completedEvent(lane, "resp_1", 3, 4))
		want(1, "resp_1", "openai/gpt-5-mini", 3, 4)
		// One that nobody asked for.
		both(createdEvent(lane, "resp_2"))
		both(`{"type":"response.output_text.delta",` + on(lane) + `"delta":"x"}`)
		both(completedEvent(lane, "resp_2", 5, 6))
		want(2, "resp_2", "openai/gpt-5-mini", 5, 6)
		// The end alone of one that nobody asked for.
		both(completedEvent(lane, "resp_3", 7, 8))
		want(3, "resp_3", "openai/gpt-5-mini", 7, 8)
		both(`{"type":"response.done",` + on(lane) + `"response":{"id":"resp_3","status":"completed","model":"gpt-5-mini","usage":{"input_tokens":7,"output_tokens":8,"total_tokens":15}}}`)
		// A beginning after another one without an end: that one has broken off.
		client.send(create)
		if _, err := provider.read(); err != nil {
			t.Fatal(err)
		}
		both(createdEvent(lane, "resp_4"))
		provider.send(createdEvent(lane, "resp_5"))
		if e, err := client.read(); err != nil || e.Type != "error" || e.StreamID != lane || e.Error.Code != "provider_broken" {
			t.Errorf("got %s, %v", e.raw, err)
		}
		client.want(createdEvent(lane, "resp_5"))
		if rec := r.record(); rec.Turn != 4 || rec.ResponseID != "resp_4" || rec.Outcome != llmproxy.OutcomeError || rec.UsageSource != llmproxy.UsageNone || rec.CostState == llmproxy.CostExact {
			t.Errorf("record %+v", rec)
		}
		both(completedEvent(lane, "resp_5", 9, 10))
		want(5, "resp_5", "openai/gpt-5-mini", 9, 10)
		// Events that are about no turn pass.
		for _, message := range []string{
			`{"type":"codex.rate_limits","rate_limits":{}}`, `{"type":"response.steer.failed","steer":{"previous_response_id":"x"}}`,
			`{"type":"keepalive","sequence_number":1}`, `{}`, `{"no":"type"}`, fmt.Sprintf(`{"type":"error",%s"error":{"code":"x"}}`, on(lane)),
		} {
			both(message)
		}
		r.noMore()
	}
}
