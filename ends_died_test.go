package llmproxy_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/ledger"
)

// journalOf is a journal whose process dies before an exchange has ended.
type journalOf struct{ *ledger.Journal }

func (journalOf) Record(context.Context, *llmproxy.Record) error { return nil }

// The row of the table of ends that is found when the gateway comes back: the exchange
// had begun, and nobody knows how it ended.
func TestGatewayDied(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		transport llmproxy.Transport // that of the exchange
		intent    llmproxy.Transport // what is known of it before the answer
	}{
		{overHTTP, overHTTP},
		{overSSE, overSSE},
		{overAWS, overSSE},
		{overSocket, overSocket},
	} {
		for model, state := range map[string]llmproxy.CostState{
			"cheap-1": llmproxy.CostEstimated, "dear-unknown": llmproxy.CostUnpriced,
		} {
			t.Run(string(tt.transport)+"/"+model, func(t *testing.T) {
				t.Parallel()
				dir, store, log := t.TempDir(), ledger.NewMemory(), slog.New(slog.DiscardHandler)
				open := func() *ledger.Journal {
					j, err := ledger.Open(dir, store, ledger.Options{MaxBytes: 4 << 20, Logger: log})
					if err != nil {
						t.Fatal(err)
					}
					return j
				}
				shut := func(j *ledger.Journal) {
					if err := j.Close(t.Context()); err != nil {
						t.Error(err)
					}
				}
				c := end{transport: tt.transport}
				r := c.rig.start(t, c)
				j := open()
				llmproxy.WithRecorder(journalOf{j})(r.router)
				if c.transport == overSocket {
					r.overSocket(c, model)
				} else {
					r.overHTTP(c, model)
				}
				if err := r.router.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
				shut(j)
				shut(open())

				var found []llmproxy.Record
				if err := store.Records(t.Context(), ledger.Filter{}, func(rec *llmproxy.Record) error {
					found = append(found, *rec)
					return nil
				}); err != nil {
					t.Fatal(err)
				}
				if len(found) != 1 {
					t.Fatalf("%d records, want 1: %+v", len(found), found)
				}
				rec := found[0]
				got := ended{rec.Outcome, rec.Status, rec.UsageSource, rec.CostState, dollars(rec.Cost, rec.CostKnown), rec.Transport}
				if want := (ended{"error", 0, "none", state, "", tt.intent}); got != want {
					t.Errorf("the record says\n%+v, want\n%+v", got, want)
				}
				if rec.Error == nil || rec.Error.Code != "gateway_died" || rec.ModelAsked != model || rec.Provider == "" || strings.Contains(string(rec.AppendJSON(nil)), `"status"`) {
					t.Errorf("the record says %s", rec.AppendJSON(nil))
				}
			})
		}
	}
}
