package llmproxy_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/coderws"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

// loadModels are models of different price, in dollars per million tokens.
var loadModels = map[string]llmproxy.CostInfo{
	"cheap-1":  {Input: 50_000, Output: 400_000, CacheRead: 5_000},
	"middle-1": {Input: 1_250_000, Output: 10_000_000, CacheRead: 125_000},
	"dear-1":   {Input: 15_000_000, Output: 120_000_000, CacheRead: 7_500_000},
}

func loadBilling() *llmproxy.BillingCalculator {
	return &llmproxy.BillingCalculator{Lookup: func(q llmproxy.CostQuery) (llmproxy.CostInfo, bool) {
		name, _, _ := strings.Cut(q.Model, "@")
		c, ok := loadModels[name]
		c.Version = "test"
		return c, ok
	}}
}

// ledgerOf keeps records by id, and notes what is recorded twice.
type ledgerOf struct {
	mu      sync.Mutex
	intents map[string]bool
	records map[string]llmproxy.Record
	twice   []string
}

func newLedgerOf() *ledgerOf {
	return &ledgerOf{intents: map[string]bool{}, records: map[string]llmproxy.Record{}}
}

func (l *ledgerOf) Begin(_ context.Context, r *llmproxy.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.intents[r.ID] = true
	return nil
}

func (l *ledgerOf) Record(_ context.Context, r *llmproxy.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.records[r.ID]; ok {
		l.twice = append(l.twice, r.ID)
	}
	l.records[r.ID] = *r
	return nil
}

// 200 connections, 20 turns each, in several lanes, of models of different price: each
// bill is the provider's own count at that model's price.
func TestWebSocketLoad(t *testing.T) {
	t.Parallel()
	sockets, turns := 200, 20
	if testing.Short() {
		sockets = 20
	}
	ledger := newLedgerOf()
	r := newSocketRig(t, simulator.Options{AnyModel: true, KeepRequests: sockets, KeepBytes: 1 << 30},
		llmproxy.WithRecorder(ledger), llmproxy.WithBilling(loadBilling()))
	names := []string{"cheap-1", "middle-1", "dear-1"}
	var wg sync.WaitGroup
	for i := range sockets {
		wg.Go(func() {
			conn, _, err := r.handshake("/v1/responses")
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			s := &socket{t: t, conn: conn}
			for n := range turns {
				lane := ""
				if n%4 > 0 {
					lane = fmt.Sprintf(`"stream_id":"lane-%d",`, n%4)
				}
				message := fmt.Sprintf(`{"type":"response.create","store":false,%s"model":%q,"input":%q}`, lane, names[(i+n)%3], strings.Repeat("word ", 1+(i*n)%50))
				if err := conn.WriteMessage(llmproxy.WSText, []byte(message)); err != nil {
					t.Error(err)
					return
				}
			}
			for done := 0; done < turns; {
				e, err := s.read()
				if err != nil || e.Type == "error" {
					t.Errorf("%v %s", err, e.raw)
					return
				}
				if e.Type == "response.completed" {
					done++
				}
			}
		})
	}
	wg.Wait()
	compareBills(t, r, ledger, sockets*turns, true)
}

// compareBills holds the ledger against what the provider has counted. all says that
// every turn has reached its end.
func compareBills(t *testing.T, r *rig, ledger *ledgerOf, least int, all bool) {
	t.Helper()
	type key struct{ connection, response string }
	counted := map[string]simulator.Turn{}
	for _, turn := range r.turns() {
		if turn.ResponseID != "" {
			counted[turn.ResponseID] = turn
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := r.router.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	ledger.mu.Lock()
	defer ledger.mu.Unlock()
	if len(ledger.twice) > 0 {
		t.Errorf("recorded twice: %v", ledger.twice)
	}
	for id := range ledger.intents {
		if _, ok := ledger.records[id]; !ok {
			t.Errorf("the intent %s has no record", id)
		}
	}
	if len(ledger.records) < least {
		t.Errorf("%d records, want at least %d", len(ledger.records), least)
	}
	numbers := map[key]bool{}
	for _, rec := range ledger.records {
		if !ledger.intents[rec.ID] && rec.Turn == 0 {
			continue // it was not forwarded
		}
		if k := (key{rec.ConnectionID, fmt.Sprint(rec.Turn)}); rec.Turn < 1 || numbers[k] {
			t.Errorf("turn %d of %s twice, or none", rec.Turn, rec.ConnectionID)
		} else {
			numbers[k] = true
		}
		turn, ok := counted[rec.ResponseID]
		if rec.UsageSource != llmproxy.UsageProvider {
			if all {
				t.Errorf("record %+v", rec)
			}
			continue
		}
		if !ok {
			t.Errorf("the provider knows no response %q", rec.ResponseID)
			continue
		}
		name, _, _ := strings.Cut(turn.Model, "@")
		price := loadModels[name]
		want, err := price.Cost(llmproxy.Usage{
			PromptTokens: int64(turn.Usage.Prompt), CompletionTokens: int64(turn.Usage.Completion), CacheRead: int64(turn.Usage.Cached),
		})
		if err != nil || rec.Cost != want || !rec.CostKnown || rec.CostState != llmproxy.CostExact || rec.Model != turn.Model {
			t.Errorf("%s costs %s (%s), the provider's count of %+v comes to %s, %v", rec.Model, rec.Cost, rec.CostState, turn, want, err)
		}
		delete(counted, rec.ResponseID)
	}
	if all && len(counted) > 0 {
		t.Errorf("%d turns were not billed", len(counted))
	}
}

// Both sides are killed at random moments: each turn that was forwarded has exactly one
// record, and nothing is left.
func TestWebSocketKilled(t *testing.T) {
	t.Parallel()
	rounds := 150
	if testing.Short() {
		rounds = 20
	}
	for _, policy := range []struct {
		name string
		llmproxy.Disconnect
	}{{"cancel", llmproxy.Cancel}, {"drain", llmproxy.Drain(patience)}} {
		t.Run(policy.name, func(t *testing.T) {
			t.Parallel()
			ledger := newLedgerOf()
			r := newSocketRig(t, simulator.Options{AnyModel: true, KeepRequests: 1024, KeepBytes: 1 << 30},
				llmproxy.WithRecorder(ledger), llmproxy.WithBilling(loadBilling()), llmproxy.WithDisconnect(policy.Disconnect),
				llmproxy.WithWebSocket(coderws.Upgrader{}, coderws.Dialer{}))
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			var wg sync.WaitGroup
			for i := range rounds {
				rnd := rand.New(rand.NewPCG(seed, uint64(i)))
				wg.Go(func() {
					conn, _, err := r.handshake("/v1/responses")
					if err != nil {
						t.Error(err)
						return
					}
					defer conn.Close()
					creates := 1 + rnd.IntN(6)
					for n := range creates {
						simulate := ""
						switch rnd.IntN(4) {
						case 0:
							simulate = fmt.Sprintf(`"metadata":{"simulate":"cut-events=%d"},`, rnd.IntN(8))
						case 1:
							simulate = fmt.Sprintf(`"metadata":{"simulate":"close=1011,cut-events=%d"},`, rnd.IntN(8))
						}
						_ = conn.WriteMessage(llmproxy.WSText, fmt.Appendf(nil, `{"type":"response.create","store":false,"stream_id":"l%d",%s"model":"cheap-1@%d.%d","input":"some words to say again"}`, n%3, simulate, i, n))
					}
					for range rnd.IntN(60) {
						_, p, err := conn.ReadMessage()
						if err != nil {
							return
						}
						if m, _ := llmproxy.ParseWSMessage(p); m.Type == "response.completed" || m.Type == "error" {
							if creates--; creates == 0 {
								return
							}
						}
					}
				})
			}
			wg.Wait()
			forwarded := map[string]bool{} // by the model, which no two creates share
			r.turns()
			for _, c := range r.simulator.Connections() {
				for _, frame := range c.Frames {
					m, err := llmproxy.ParseWSMessage(frame.Data)
					if err != nil || forwarded[m.Model] {
						t.Errorf("the provider got %s, %v", frame.Data, err)
					}
					forwarded[m.Model] = true
				}
			}
			if len(forwarded) == 0 {
				t.Error("nothing was forwarded")
			}
			compareBills(t, r, ledger, len(forwarded), false)
			for _, rec := range ledger.records {
				if rec.Turn > 0 && forwarded[rec.ModelRequested] {
					delete(forwarded, rec.ModelRequested)
				} else if rec.Turn > 0 && ledger.intents[rec.ID] && rec.UsageSource != llmproxy.UsageNone {
					t.Errorf("a second record of one create: %+v", rec)
				}
			}
			if len(forwarded) > 0 {
				t.Errorf("forwarded, and not recorded: %v", forwarded)
			}
		})
	}
}
