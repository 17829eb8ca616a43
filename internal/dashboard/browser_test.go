package dashboard_test

import (
	"net/http/httptest"
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

// Who has the token gets in through the form, and out again.
func TestLoginInABrowser(t *testing.T) {
	t.Parallel()
	d := newDashboard(t, dashboard.Options{Records: storeOf(t, answered("A", time.Minute, nil)), Token: secretToken, Now: func() time.Time { return noon }})
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	b := startBrowser(t)
	dir := t.ArtifactDir()
	for _, s := range []screen{{"desk-light", 1280, 800, false, true}, {"phone-dark", 375, 812, true, false}} {
		p := b.open(s)
		p.load(server.URL + "/exchanges?model=gpt-5")
		p.shoot(dir, "login-"+s.name)
		heading := func() string {
			return p.eval(`document.querySelector("h1").textContent + (document.querySelector("[role=alert]")?.textContent ?? "")`)
		}
		submit := func(selector, token string) {
			p.eval(`if (document.querySelector("#token")) document.querySelector("#token").value = "` + token + `"; document.querySelector("` + selector + `").click()`)
			p.wait()
		}
		if got := p.eval(`document.activeElement.id`); got != "token" {
			t.Errorf("%s: the focus is on %q", s.name, got)
		}
		submit("button", "wrong")
		if got := heading(); got != "llmproxyThis is not the admin token." {
			t.Errorf("%s: a wrong token leads to %q", s.name, got)
		}
		p.shoot(dir, "login-wrong-"+s.name)
		submit("button", secretToken)
		if got := p.eval(`document.querySelector("h1").textContent + location.pathname + location.search + document.cookie`); got != "Exchanges/exchanges?model=gpt-5" {
			t.Errorf("%s: the token leads to %q", s.name, got)
		}
		p.shoot(dir, "signed-in-"+s.name)
		submit("header form button", "")
		if got := heading(); got != "llmproxy" {
			t.Errorf("%s: signing out leads to %q", s.name, got)
		}
		p.load(server.URL + "/")
		if got := heading(); got != "llmproxy" {
			t.Errorf("%s: after signing out: %q", s.name, got)
		}
		p.wellBehaved("401 (Unauthorized)")
	}
}

// What ends while the live page is open appears on it, by script and without a reload.
func TestLivePageInABrowser(t *testing.T) {
	t.Parallel()
	var tail dashboard.Tail
	wrapped := tail.Wrap(&recorder{})
	d := newDashboard(t, dashboard.Options{Records: storeOf(t, answered("A", time.Minute, nil)), Live: &tail, Now: func() time.Time { return noon }})
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	t.Cleanup(tail.Close) // first: the server waits for its streams
	p := startBrowser(t).open(screen{"desk-light", 1280, 800, false, true})
	p.load(server.URL + "/live?provider=openai")
	// until calls back when a part of the page says what it should.
	until := func(selector, text string) string {
		return p.eval(`new Promise((done) => {
			const look = () => { const e = document.querySelector("` + selector + `"); if (e && e.textContent.includes("` + text + `")) done(e.textContent); };
			new MutationObserver(look).observe(document.body, {childList: true, subtree: true, characterData: true});
			look();
		})`)
	}
	until("#live", "live")
	for _, r := range []llmproxy.Record{
		answered("B", 0, func(r *llmproxy.Record) { r.Provider = "groq" }),
		answered("C", 0, func(r *llmproxy.Record) { r.Model = `<img src=x onerror="document.title='run'">` }),
		answered("D", 0, func(r *llmproxy.Record) { r.Model = "the-newest" }),
	} {
		if err := wrapped.Record(t.Context(), &r); err != nil {
			t.Fatal(err)
		}
	}
	if got := until("#live", "2 new"); got != "live · 2 new" {
		t.Errorf("the page says %q", got)
	}
	const models = `[...document.querySelectorAll("#rows .strong")].map((a) => a.textContent).join("|")`
	if got, want := p.eval(models), `the-newest|<img src=x onerror="document.title='run'">|gpt-5`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := p.eval(`document.title + document.querySelectorAll("main img").length`); got != "Live · llmproxy0" {
		t.Errorf("got %s", got)
	}
	p.shoot(t.ArtifactDir(), "live-new-desk-light")
	p.wellBehaved()
}

// The figures and the tables need no script, and the live page reloads itself.
func TestPagesWithoutScripts(t *testing.T) {
	t.Parallel()
	d := newDashboard(t, dashboard.Options{Records: storeOf(t, dashboard.History(noon, 500)...), Live: &dashboard.Tail{}, Now: func() time.Time { return noon }})
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	p := startBrowser(t).open(screen{"desk-light", 1280, 800, false, false})
	for _, tt := range []struct{ path, look, want string }{
		{"/?range=30d", `document.querySelector(".tile:nth-child(2) .value").textContent`, "500"},
		{"/?range=30d", `String(document.querySelectorAll(".draw rect.c0").length > 20)`, "true"},
		{"/exchanges", `String(document.querySelectorAll("#rows tr").length)`, "50"},
		{"/live", `document.querySelector("meta[http-equiv=refresh]").content`, "5"},
	} {
		p.load(server.URL + tt.path)
		if got := p.eval(tt.look); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.path, got, tt.want)
		}
	}
	p.wellBehaved()
}

// Whoever has only a keyboard reaches the content first, and sees where the focus is.
func TestKeyboardInABrowser(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(at(t, threeRecords()...))
	t.Cleanup(server.Close)
	b := startBrowser(t)
	p := b.open(screen{"desk-light", 1280, 800, false, true})
	p.load(server.URL + "/")
	for i, want := range []string{"Skip to the content", "llmproxy", "Overview"} {
		for _, kind := range []string{"keyDown", "keyUp"} {
			b.must(p.session, "Input.dispatchKeyEvent", map[string]any{"type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}, nil)
		}
		if got := p.eval(`document.activeElement.textContent.trim()`); got != want {
			t.Errorf("tab %d leads to %q, want %q", i+1, got, want)
		}
		if got := p.eval(`getComputedStyle(document.activeElement).outlineStyle + getComputedStyle(document.activeElement).outlineWidth`); got != "solid2px" {
			t.Errorf("tab %d: the outline is %s", i+1, got)
		}
	}
}
