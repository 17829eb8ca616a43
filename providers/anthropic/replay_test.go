package anthropic_test

import (
	"cmp"
	"net/http"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/anthropic"
	"github.com/llmproxy/llmproxy/providers/internal/provider/providertest"
)

// Every recorded exchange passes through the gateway unchanged, on the mount, routed by
// its model, and by a prefix on the model, with whatever version the client names.
func TestReplayRecordings(t *testing.T) {
	t.Parallel()
	recordings := providertest.Recordings(t, "anthropic")
	if len(recordings) != 104 {
		t.Errorf("%d recordings, want 104", len(recordings))
	}
	r := newRig(t, anthropic.Config{APIKey: providerKey})
	versions := []string{"", "2023-06-01", "2026-10-21"}
	for i, rec := range recordings {
		prefixed := rec.Request
		for _, spelled := range []string{`"model": "`, `"model":"`} {
			prefixed = strings.Replace(prefixed, spelled+"claude-", spelled+"anthropic/claude-", 1)
		}
		if prefixed == rec.Request {
			t.Errorf("%s: the model is spelled in another way", rec.ID)
		}
		for k, way := range []providertest.Way{
			{Name: "by mount", Target: "/anthropic" + rec.Path, Body: rec.Request},
			{Name: "by model", Target: rec.Path, Body: rec.Request},
			{Name: "by prefix", Target: rec.Path, Body: prefixed},
		} {
			version := versions[(i+k)%len(versions)]
			way.Header = http.Header{"Anthropic-Beta": {"some-beta"}}
			if version != "" {
				way.Header.Set("Anthropic-Version", version)
			}
			got := r.Replay(rec, way)
			h := got.Call.Header
			if h.Get("X-Api-Key") != providerKey || h.Get("Anthropic-Version") != cmp.Or(version, "2023-06-01") || h.Get("Anthropic-Beta") != "some-beta" {
				t.Errorf("%s %s: the provider received %v", rec.ID, way.Name, h)
			}
			source, outcome := llmproxy.UsageProvider, llmproxy.OutcomeCompleted
			if rec.Want.Usage == nil {
				source = llmproxy.UsageNone // counts of tokens, and an error
			}
			if rec.Status >= 400 {
				outcome = llmproxy.OutcomeError
			}
			if got.Record.UsageSource != source || got.Record.Outcome != outcome || got.Record.Inconsistent {
				t.Errorf("%s %s: the record is %+v", rec.ID, way.Name, got.Record)
			}
		}
	}
}
