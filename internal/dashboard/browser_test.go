package dashboard_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/dashboard"
	"github.com/llmproxy/llmproxy/ledger"
)

// The pages, as people see them: in a real browser, at the size of a desk and of a phone,
// light and dark. Pictures of them are left where go test -artifacts says.
func TestPagesInABrowser(t *testing.T) {
	t.Parallel()
	now := time.Now()
	history := dashboard.History(now, 3000)
	store := ledger.NewMemory()
	if err := store.Append(t.Context(), history); err != nil {
		t.Fatal(err)
	}
	d := newDashboard(t, dashboard.Options{Records: store, Live: &dashboard.Tail{}, Models: someModels, Version: "v1.2.3", Providers: someProviders(now)})
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	b := startBrowser(t)
	dir := t.ArtifactDir()

	connection, failed := "", ""
	for i := range history {
		if r := &history[i]; r.Turn >= 5 && r.Lane != "" {
			connection = r.ConnectionID
		} else if r.Outcome == llmproxy.OutcomeError && len(r.Attempts) > 0 {
			failed = r.ID
		}
	}
	pages := []struct{ name, path, heading string }{
		{"overview", "/", "Overview"},
		{"overview-week", "/?range=7d&by=tag:team", "Overview"},
		{"overview-hour", "/?range=1h&by=provider", "Overview"},
		{"overview-month", "/?range=30d&by=key&provider=anthropic", "Overview"},
		{"overview-nothing", "/?model=nothing", "Overview"},
		{"exchanges", "/exchanges?outcome=completed", "Exchanges"},
		{"exchange", "/exchanges/" + failed, ""},
		{"turn", "/exchanges/" + turnOf(history, connection), ""},
		{"connection", "/connections/" + connection, "WebSocket connection"},
		{"live", "/live", "Live"},
		{"providers", "/providers", "Providers"},
		{"models", "/models", "Models"},
	}
	for _, s := range []screen{
		{"desk-light", 1280, 800, false, true},
		{"desk-dark", 1280, 800, true, true},
		{"phone-light", 375, 812, false, true},
		{"phone-dark", 375, 812, true, true},
	} {
		p := b.open(s)
		for _, page := range pages {
			p.load(server.URL + page.path)
			if page.heading != "" {
				if got := p.eval(`document.querySelector("h1").textContent`); got != page.heading {
					t.Errorf("%s on %s: the heading is %q, want %q", page.name, s.name, got, page.heading)
				}
			}
			// What is wider than the screen has to scroll inside its own box.
			if got := p.eval(`String(document.documentElement.scrollWidth <= innerWidth)`); got != "true" {
				t.Errorf("%s on %s is %s pixels wide", page.name, s.name, p.eval(`String(document.documentElement.scrollWidth)`))
			}
			p.shoot(dir, page.name+"-"+s.name)
		}
		p.wellBehaved()
	}
}

// turnOf returns the id of a turn of a connection.
func turnOf(history []llmproxy.Record, connection string) string {
	for i := range history {
		if history[i].ConnectionID == connection && history[i].Turn == 3 {
			return history[i].ID
		}
	}
	return ""
}

var _ = strings.Contains
