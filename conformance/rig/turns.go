package rig

import (
	"context"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

// Uncounted is a create for which the provider has no turn: the gateway refused it, or
// the provider did before it counted.
type Uncounted struct {
	Lane    string
	Status  int
	Code    string
	Refused bool // by the gateway: no provider was called
}

// Counted waits until no WebSocket to the provider is left, and holds the gateway's
// records against what the provider has counted: one record for each turn, and for each
// of more, and no others. A turn that broke off has the outcome aborted.
func (s *Sockets) Counted(client *Session, aborted llmproxy.Outcome, more ...Uncounted) {
	client.T.Helper()
	ctx, cancel := context.WithTimeout(client.T.Context(), Patience)
	defer cancel()
	if err := s.Simulator.AwaitNoSockets(ctx); err != nil {
		client.T.Fatalf("a socket to the provider is left: %v", err)
	}
	connections := s.Simulator.Connections()
	n := len(more)
	for _, c := range connections {
		n += len(c.Turns)
	}
	records := make([]llmproxy.Record, n)
	for i := range records {
		records[i] = s.recordWithin(ctx, client)
	}
	s.handshakes(client, connections)
	s.bill(client, records)
	for _, m := range more {
		var rec llmproxy.Record
		if rec, records = take(client, records, func(r *llmproxy.Record) bool {
			return r.Lane == m.Lane && r.Status == m.Status && r.Error != nil && r.Error.Code == m.Code && r.ResponseID == ""
		}, m); rec.ID != "" {
			m.compare(client, &rec)
		}
	}
	for _, c := range connections {
		records = s.counted(client, records, c.Turns, aborted)
	}
}

// recordWithin waits for the next record until ctx ends.
func (s *Sockets) recordWithin(ctx context.Context, client *Session) llmproxy.Record {
	client.T.Helper()
	select {
	case rec := <-s.records:
		return rec
	case <-ctx.Done():
		client.T.Fatal("the gateway has fewer records than the provider has turns")
		panic("unreachable")
	}
}

// take takes the first record out of records that fits.
func take(client *Session, records []llmproxy.Record, fits func(*llmproxy.Record) bool, what any) (llmproxy.Record, []llmproxy.Record) {
	client.T.Helper()
	i := slices.IndexFunc(records, func(r llmproxy.Record) bool { return fits(&r) })
	if i < 0 {
		client.T.Errorf("no record of %+v among %+v", what, records)
		return llmproxy.Record{}, records
	}
	rec := records[i]
	return rec, slices.Delete(slices.Clone(records), i, i+1)
}

// counted takes out the records of one connection's turns. Those of a lane ended in the
// order in which they began.
func (s *Sockets) counted(client *Session, records []llmproxy.Record, turns []simulator.Turn, aborted llmproxy.Outcome) []llmproxy.Record {
	client.T.Helper()
	connection := ""
	latest := map[string]int{}
	for _, turn := range turns {
		var rec llmproxy.Record
		rec, records = take(client, records, func(r *llmproxy.Record) bool {
			code := ""
			if r.Error != nil {
				code = r.Error.Code
			}
			return r.Lane == turn.Lane && r.ResponseID == known(&turn) && (connection == "" || r.ConnectionID == connection) &&
				(r.ResponseID != "" || turn.Outcome != simulator.TurnErrored || r.Status == turn.Status && code == turn.Code)
		}, turn)
		if rec.ID == "" {
			continue
		}
		connection = rec.ConnectionID
		if rec.Turn <= latest[turn.Lane] {
			client.T.Errorf("turn %d of lane %q ended after turn %d", rec.Turn, turn.Lane, latest[turn.Lane])
		}
		latest[turn.Lane] = rec.Turn
		s.turn(client, &rec, &turn, aborted)
	}
	return records
}

// known is the id of the turn's response, as far as the provider has told it.
func known(turn *simulator.Turn) string {
	if turn.Events == 0 {
		return ""
	}
	return turn.ResponseID
}

// turn holds one record against one turn.
func (s *Sockets) turn(client *Session, rec *llmproxy.Record, turn *simulator.Turn, aborted llmproxy.Outcome) {
	client.T.Helper()
	want := llmproxy.Record{
		ID: rec.ID, Time: rec.Time, Duration: rec.Duration, TTFT: rec.TTFT, ConnectionID: rec.ConnectionID, Turn: rec.Turn,
		ModelRequested: client.Model(rec.ModelAsked), ModelAsked: rec.ModelAsked, Model: rec.ModelAsked,
		Provider: s.provider, API: llmproxy.APIResponses, Transport: llmproxy.TransportWebSocket, Lane: turn.Lane,
		Attempts:   []llmproxy.Attempt{{Provider: s.provider, Model: rec.ModelAsked, Status: 200}},
		ResponseID: known(turn), ServiceTier: turn.ServiceTier, Status: 200, FinishReason: rec.FinishReason,
		UsageSource: llmproxy.UsageNone, CostState: llmproxy.CostUnpriced, Error: rec.Error,
	}
	if turn.Model != "" && turn.Events > 0 {
		want.Model = turn.Model
		if asked := client.Snapshot(rec.ModelAsked); asked != turn.Model && rec.ModelAsked != "" {
			client.T.Errorf("the record's model %s is not what %s answers", rec.ModelAsked, turn.Model)
		}
	}
	if turn.Reported {
		want.Usage = (&Exchange{API: llmproxy.APIResponses}).normalised(turn.Usage)
		want.UsageSource = llmproxy.UsageProvider
		if want.Cost, want.CostKnown = cost(turn.Model, turn.Usage); want.CostKnown {
			want.CostState, want.ListCost, want.ListCostKnown = llmproxy.CostExact, want.Cost, true
		}
	}
	code := turn.Code
	switch turn.Outcome {
	case simulator.TurnCompleted:
		want.Outcome = llmproxy.OutcomeCompleted
	case simulator.TurnIncomplete:
		want.Outcome, want.FinishReason = llmproxy.OutcomeIncomplete, turn.Reason
	case simulator.TurnFailed:
		want.Outcome = llmproxy.OutcomeFailed
	case simulator.TurnErrored:
		want.Outcome, want.ServiceTier = llmproxy.OutcomeFailed, ""
		want.CostKnown, want.CostState = true, llmproxy.CostFree
		if turn.Events == 0 {
			want.Outcome, want.Status, want.Attempts[0].Status = llmproxy.OutcomeError, turn.Status, turn.Status
		}
	case simulator.TurnAborted:
		want.Outcome, want.ServiceTier, want.CostState = aborted, "", llmproxy.CostEstimated
		code = "provider_broken"
		attempt := llmproxy.Attempt{Provider: s.provider, Model: rec.ModelAsked, Error: code}
		switch {
		case aborted == llmproxy.OutcomeCancelled:
			want.Status, code = 499, ""
			attempt.Error = "client_closed_request"
		case turn.Events == 0:
			want.Status = 502
		}
		if turn.Events == 0 {
			want.Attempts[0] = attempt
		}
	case simulator.TurnRunning:
		client.T.Errorf("a turn that has not ended: %+v", turn)
	}
	if diff := cmp.Diff(want, *rec); diff != "" {
		client.T.Errorf("turn %+v (- want, + recorded)\n%s", turn, diff)
	}
	if got := codeOf(rec); got != code {
		client.T.Errorf("the record's error is %q, want %q: %+v", got, code, turn)
	}
	if rec.Turn < 1 || rec.ConnectionID == "" || rec.Duration <= 0 || rec.Time.IsZero() {
		client.T.Errorf("turn %d of connection %q took %v from %v", rec.Turn, rec.ConnectionID, rec.Duration, rec.Time)
	}
}

func codeOf(rec *llmproxy.Record) string {
	if rec.Error == nil {
		return ""
	}
	return rec.Error.Code
}

// compare holds rec against m.
func (m *Uncounted) compare(client *Session, rec *llmproxy.Record) {
	client.T.Helper()
	outcome, attempts := llmproxy.OutcomeError, 1
	if m.Refused {
		outcome, attempts = llmproxy.OutcomeRejected, 0
	}
	if rec.Outcome != outcome || rec.Usage != (llmproxy.Usage{}) || rec.UsageSource != llmproxy.UsageNone ||
		rec.Cost != 0 || !rec.CostKnown || rec.CostState != llmproxy.CostFree || len(rec.Attempts) != attempts ||
		rec.Transport != llmproxy.TransportWebSocket || rec.API != llmproxy.APIResponses {
		client.T.Errorf("%+v has the record %+v", m, rec)
	}
}

// bill holds what the gateway's callback was told against the records: each turn that
// reached the provider was billed once, at the cost that is recorded.
func (s *Sockets) bill(client *Session, records []llmproxy.Record) {
	client.T.Helper()
	s.mu.Lock()
	got := slices.Clone(s.bills)
	s.mu.Unlock()
	var want []bill
	for _, r := range records {
		if r.Turn > 0 {
			want = append(want, bill{r.Turn, r.ResponseID, r.Cost, r.CostKnown})
		}
	}
	order := func(a, b bill) int { return strings.Compare(a.id, b.id)*1_000_000 + a.turn - b.turn }
	slices.SortFunc(got, order)
	slices.SortFunc(want, order)
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(bill{})); diff != "" {
		client.T.Errorf("billed (- recorded, + called back)\n%s", diff)
	}
}

// handshakes checks what reached the provider: nothing but handshakes since the last
// record that was looked at, with its credential, and no secret of the client.
func (s *Sockets) handshakes(client *Session, connections []simulator.Connection) {
	client.T.Helper()
	requests := s.Simulator.Requests()
	if len(requests) != s.compared+len(connections) {
		client.T.Fatalf("%d requests reached the provider, of which %d are looked at and %d are WebSockets", len(requests), s.compared, len(connections))
	}
	for _, r := range requests[s.compared:] {
		if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			client.T.Errorf("a request that is no handshake: %s %s", r.Method, r.URI)
		}
		client.secret(r)
	}
	s.compared = len(requests)
	for _, c := range connections {
		for _, f := range c.Frames {
			for _, secret := range s.setup.Secrets {
				if strings.Contains(string(f.Data), secret) {
					client.T.Error("a credential of the client reached the provider in a message")
				}
			}
			if prefix := client.Prefix; prefix != "" && strings.Contains(string(f.Data), `"model":"`+prefix) {
				client.T.Errorf("a model reached the provider with its prefix: %.200s", f.Data)
			}
		}
	}
}
