package dashboard_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/dashboard"
	"github.com/llmproxy/llmproxy/ledger"
)

func TestReadiness(t *testing.T) {
	t.Parallel()
	var reasons []string
	d := newDashboard(t, dashboard.Options{Records: storeOf(t), NotReady: func() []string { return reasons }})
	for _, tt := range []struct {
		path    string
		reasons []string
		status  int
		body    string
	}{
		{"/healthz", nil, 200, `{"status":"ok"}`},
		{"/readyz", nil, 200, `{"status":"ready"}`},
		{"/readyz", []string{"draining", "the ledger is full"}, 503, `{"status":"not ready","reasons":["draining","the ledger is full"]}`},
		{"/healthz", []string{"draining"}, 200, `{"status":"ok"}`},
	} {
		reasons = tt.reasons
		if w := ask(t, d, "GET", tt.path); w.Code != tt.status || strings.TrimSpace(w.Body.String()) != tt.body {
			t.Errorf("%s with %q: got %d %s", tt.path, tt.reasons, w.Code, w.Body)
		}
	}
}

// inline finds what the policy would not run or apply: style and handlers in a page's own
// text; scripts finds the scripts.
var (
	inline  = regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|javascript:`)
	scripts = regexp.MustCompile(`(?is)<script.*?</script>`)
	linked  = regexp.MustCompile(`^<script src="/static/live\.js\?[\w-]{12}" defer></script>$`)
)

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	history := dashboard.History(noon, 300)
	connection := ""
	for _, r := range history {
		if r.ConnectionID != "" {
			connection = r.ConnectionID
		}
	}
	d := newDashboard(t, dashboard.Options{
		Records: storeOf(t, history...), Now: func() time.Time { return noon }, Models: someModels, Providers: someProviders(noon),
		Live: &dashboard.Tail{},
	})
	for _, path := range []string{
		"/", "/?range=1h", "/?range=30d&by=tag:team", "/exchanges", "/exchanges/" + history[3].ID, "/connections/" + connection, "/live", "/providers",
		"/models", "/nothing", "/api/usage", "/healthz", "/static/style.css", "/static/nothing",
	} {
		w := ask(t, d, "GET", path, "Accept", "text/html")
		for name, want := range map[string]string{
			"Content-Security-Policy":      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
			"X-Content-Type-Options":       "nosniff",
			"X-Frame-Options":              "DENY",
			"Referrer-Policy":              "same-origin",
			"Cross-Origin-Opener-Policy":   "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		if got := w.Header().Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control is %q", path, got)
		}
		if strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
			if found := inline.FindString(w.Body.String()); found != "" {
				t.Errorf("%s has %q in its text", path, found)
			}
			if found := scripts.FindAllString(w.Body.String(), -1); len(found) != 1 || !linked.MatchString(found[0]) {
				t.Errorf("%s has the scripts %q", path, found)
			}
		}
	}
}

// The files of pages are kept by browsers until they change.
func TestStaticFiles(t *testing.T) {
	t.Parallel()
	d := at(t)
	for name, kind := range map[string]string{"style.css": "text/css", "live.js": "text/javascript", "icon.svg": "image/svg+xml"} {
		link := regexp.MustCompile(`/static/` + regexp.QuoteMeta(name) + `\?[\w-]+`).FindString(page(t, d, "/"))
		w := ask(t, d, "GET", link)
		if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), kind) || w.Header().Get("Cache-Control") != "public, max-age=31536000, immutable" {
			t.Errorf("%s: got %d %v", link, w.Code, w.Header())
		}
	}
	for _, path := range []string{"/static/", "/static/..%2ftemplates%2flayout.html", "/static/.hidden"} {
		if w := ask(t, d, "GET", path); w.Code == http.StatusOK {
			t.Errorf("%s is served", path)
		}
	}
}

// Whatever clients and providers call things, a page shows it and does not obey it.
func TestMarkupInNames(t *testing.T) {
	t.Parallel()
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(2)>'`
	r := answered("A", time.Minute, func(r *llmproxy.Record) {
		r.Model, r.ModelRequested, r.ModelAsked, r.Provider, r.Key = evil, evil, evil, evil, evil
		r.ResponseID, r.ProviderRequestID, r.ServiceTier, r.FinishReason, r.PriceVersion = evil, evil, evil, evil, evil
		r.ConnectionID, r.Turn, r.Lane = "W", 1, evil
		r.Tags = map[string]string{evil: evil, "team": evil}
		r.Attempts = []llmproxy.Attempt{{Provider: evil, Model: evil, Error: evil}}
		r.Error = &llmproxy.RecordError{Type: evil, Code: evil, Message: evil}
		r.Outcome = llmproxy.OutcomeFailed
	})
	d := newDashboard(t, dashboard.Options{
		Records: storeOf(t, r), Now: func() time.Time { return noon },
		Models: func() []dashboard.Model { return []dashboard.Model{{Provider: evil, Name: evil, Source: evil}} },
		Providers: func() []dashboard.Provider {
			return []dashboard.Provider{{Name: evil, Type: "x", State: dashboard.StateDown, Reason: evil}}
		},
	})
	for _, path := range []string{"/", "/?by=tag:team", "/?by=key", "/exchanges", "/exchanges/A", "/connections/W", "/live", "/providers", "/models", "/exchanges?model=%22%3E%3Cscript%3E&outcome=%3Cscript%3E"} {
		w := ask(t, d, "GET", path, "Accept", "text/html")
		if strings.Contains(w.Body.String(), "<script>") || strings.Contains(w.Body.String(), "<img src=x") || strings.Contains(w.Body.String(), "\" onerror") {
			t.Errorf("%s: markup got through", path)
		}
		if !strings.Contains(w.Body.String(), "script&gt;") && !strings.Contains(w.Body.String(), "script%3e") {
			t.Errorf("%s does not show the name: %d", path, w.Code)
		}
	}
}

func TestOverviewShowsWhatThereIs(t *testing.T) {
	t.Parallel()
	d := at(t, threeRecords()...)
	got := page(t, d, "/")
	for _, want := range []string{
		`<p class="value" title="0.0007496 USD">$0.0007</p>`,
		`<p class="value" title="3 exchanges">3</p>`,
		`<p class="value" title="3,080 tokens">3.08k</p><p class="below">2.4k in, 680 out</p>`,
		`<p class="value" title="1 error">33.3 %</p><p class="below">1 of 3</p>`,
		`<p class="value" title="median of 2 answers: 190ms">190 ms</p><p class="below">median · p95 190 ms</p>`,
		`<a href="/?model=gpt-5" title="gpt-5">gpt-5</a>`,
		`<a href="/?by=tag%3Ateam">team</a>`,
		`+ 1 exchange has no price and is not in these sums.`,
		`<code>overloaded</code></td><td><span class="badge bad">error 503</span></td><td>groq</td>`,
		`<time datetime="2026-11-25T11:00:00Z" title="2026-11-25 11:00:00.000 UTC" data-ago>1 h ago</time>`,
		`<a href="/connections/W">turn 2</a>`,
		`<a href="/exchanges?since=24h">All of this time</a>`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the overview lacks %s", want)
		}
	}
	if got := page(t, d, "/?by=tag:team"); !strings.Contains(got, "<th>team</th>") || !strings.Contains(got, `<a href="/?by=tag%3Ateam&amp;tag=team%3Da" title="a">a</a>`) {
		t.Error("spend by team is not shown")
	}
	if got := page(t, d, "/?range=7d&model=gpt-5&by=provider"); !strings.Contains(got, `<a href="/?by=provider&amp;range=7d" title="Take this filter off"><span>model</span> gpt-5`) || !strings.Contains(got, `title="2 exchanges"`) {
		t.Error("the filter is not shown, or selects something else")
	}
	for since, want := range map[string]string{"1h": "&#43;100 % on the hour before", "24h": "−75 % on the day before"} {
		d := at(t, answered("A", time.Minute, nil), answered("B", 2*time.Minute, nil), answered("C", 61*time.Minute, nil),
			answered("D", 25*time.Hour, nil), answered("E", 26*time.Hour, nil), answered("F", 27*time.Hour, nil), answered("G", 28*time.Hour, nil),
			answered("H", 29*time.Hour, nil), answered("I", 30*time.Hour, nil), answered("J", 31*time.Hour, nil), answered("K", 32*time.Hour, nil),
			answered("L", 33*time.Hour, nil), answered("M", 34*time.Hour, nil), answered("N", 35*time.Hour, nil), answered("O", 36*time.Hour, nil))
		if got := page(t, d, "/?range="+since); !strings.Contains(got, want) {
			t.Errorf("%s: the overview lacks %s", since, want)
		}
	}
	if got := page(t, at(t), "/"); !strings.Contains(got, "No exchange in this time") || !strings.Contains(got, "Send a request through the gateway") {
		t.Error("an empty ledger is not explained")
	}
	for _, path := range []string{"/?range=1y", "/?by=colour", "/?nothing=1"} {
		if w := ask(t, d, "GET", path, "Accept", "text/html"); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "<h1>Bad Request</h1>") {
			t.Errorf("%s: got %d", path, w.Code)
		}
	}
}

// An hour has its own, finer steps; what is in them adds up.
func TestOverviewOfAnHour(t *testing.T) {
	t.Parallel()
	d := at(t, answered("A", 52*time.Minute, nil), answered("B", time.Minute, nil), answered("C", 61*time.Minute, nil))
	got := page(t, d, "/?range=1h")
	for _, want := range []string{`title="2 exchanges"`, "Wed 25 Nov 11:05–11:10 UTC\ngpt-5: $0.0007496", "Wed 25 Nov 11:55–12:00 UTC\ngpt-5: $0.0007496", "Wed 25 Nov 11:30–11:35 UTC\ngpt-5: $0<"} {
		if !strings.Contains(got, want) {
			t.Errorf("the overview lacks %s", want)
		}
	}
}

func TestExchangesPage(t *testing.T) {
	t.Parallel()
	d := at(t, dashboard.History(noon, 120)...)
	first := page(t, d, "/exchanges?since=30d")
	if n := strings.Count(first, "<tr>\n<td class=\"c-time\">"); n != 50 {
		t.Errorf("got %d rows, want 50", n)
	}
	next := regexp.MustCompile(`href="(/exchanges\?after=[^"]+)" rel="next"`).FindStringSubmatch(first)
	if next == nil {
		t.Fatal("there is no next page")
	}
	second := page(t, d, strings.ReplaceAll(next[1], "&amp;", "&"))
	if !strings.Contains(second, `href="/exchanges?since=30d">Newest</a>`) || first == second {
		t.Error("there is no way back to the first page")
	}
	w := ask(t, d, "GET", "/exchanges?since=never&model=gpt-5", "Accept", "text/html")
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), `role="alert">since: is no time`) || !strings.Contains(w.Body.String(), `name="model" value="gpt-5"`) {
		t.Errorf("a wrong filter: got %d %s", w.Code, w.Body)
	}
	if got := page(t, d, "/exchanges?model=nothing"); !strings.Contains(got, "No exchange has all of these.") {
		t.Error("an empty page is not explained")
	}
	if got := page(t, d, "/exchanges?model=a%26b"); !strings.Contains(got, `href="/api/usage?model=a%26b"`) {
		t.Error("the same as JSON is not linked")
	}
}

func TestExchangePage(t *testing.T) {
	t.Parallel()
	r := answered("A", time.Minute, func(r *llmproxy.Record) {
		r.Usage.CacheRead, r.Usage.Reasoning = 1024, 128
		r.Key, r.Tags, r.ConnectionID, r.Turn, r.Lane = "key_1", map[string]string{"team": "a b", "x": ""}, "W", 4, "main"
		r.Attempts = []llmproxy.Attempt{{Provider: "groq", Model: "g", Error: "provider_timeout"}, {Provider: "openai", Model: "gpt-5", Status: 200}}
		r.Items = []llmproxy.Item{{Model: "advisor", Usage: llmproxy.Usage{PromptTokens: 7}}}
		r.Revision = 1
	})
	d := at(t, r)
	got := page(t, d, "/exchanges/A")
	for _, want := range []string{
		`<tr><td>Prompt</td><td class="n">1,200</td></tr><tr class="part"><td>read from the cache</td><td class="n">1,024</td></tr><tr><td>Completion</td><td class="n">340</td></tr><tr class="part"><td>reasoning</td><td class="n">128</td></tr>`,
		`<dt>Cost</dt><dd>0.0007496 USD · exact</dd>`,
		`<a href="/exchanges?key=key_1">key_1</a>`,
		`<a href="/exchanges?tag=team%3da%20b">team=a b</a>, <a href="/exchanges?tag=x">x</a>`,
		`<dt>Turn</dt><dd>4 on lane main</dd>`,
		`<tr><td>1</td><td>groq</td><td>g</td><td class="n"><span class="none">–</span></td><td><code>provider_timeout</code></td></tr><tr><td>2</td><td>openai</td>`,
		`<h3>of which by advisor</h3>`,
		`&#34;cost_usd&#34;: &#34;0.0007496&#34;`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if w := ask(t, d, "GET", "/exchanges/B", "Accept", "text/html"); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "there is no exchange B") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if w := ask(t, d, "GET", "/connections/V"); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "there is no connection V") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestConnectionPage(t *testing.T) {
	t.Parallel()
	turn := func(id string, n int, lane string, before time.Duration) llmproxy.Record {
		return answered(id, before, func(r *llmproxy.Record) {
			r.ConnectionID, r.Turn, r.Lane, r.Transport, r.Duration = "W", n, lane, llmproxy.TransportWebSocket, 10*time.Second
		})
	}
	d := at(t, turn("A", 1, "", 60*time.Second), turn("B", 2, "side", 55*time.Second), turn("C", 3, "", 30*time.Second), answered("D", time.Second, nil))
	got := page(t, d, "/connections/W")
	for _, want := range []string{
		`<p class="value">3</p><p class="below">0 errors</p>`,
		`title="0.0022488 USD">$0.0022</p>`,
		`<p class="value">40.0 s</p>`,
		`<div class="names"><span>default</span><span>side</span></div>`,
		`<a href="/exchanges/B"><rect class="span good" x="12.50%" width="25.00%" y="34" height="16" rx="4"><title>turn 2, completed, 10.0 s, 1,540 tokens</title></rect><rect class="wait" x="12.50%" width="0.48%"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

func TestProvidersPage(t *testing.T) {
	t.Parallel()
	records := []llmproxy.Record{answered("A", 10*time.Minute, nil)}
	for i := range 4 {
		records = append(records, answered("F"+string(rune('0'+i)), time.Duration(9-i)*time.Minute, func(r *llmproxy.Record) {
			r.Provider, r.Outcome, r.Status = "groq", llmproxy.OutcomeError, 503
			r.Error = &llmproxy.RecordError{Code: "overloaded"}
		}))
	}
	records = append(records, answered("G", time.Minute, func(r *llmproxy.Record) { r.Provider = "once" }))
	d := newDashboard(t, dashboard.Options{Records: storeOf(t, records...), Now: func() time.Time { return noon }, Providers: func() []dashboard.Provider {
		return []dashboard.Provider{{Name: "openai", Type: "openai"}, {Name: "groq", Type: "groq"}, {Name: "mine", Type: "openai_compatible", State: dashboard.StateDown, Reason: "quota", Until: noon.Add(time.Minute)}, {Name: "cohere"}}
	}})
	got := page(t, d, "/providers")
	last := 0
	for _, want := range []string{
		`<h2>openai</h2><span class="badge good">answering</span>`,
		`<h2>groq</h2><span class="badge bad">failing</span>`,
		`<a href="/exchanges?outcome=error&amp;provider=groq&amp;since=1h">100.0 %</a>`,
		`last error <a href="/exchanges/F3"><time datetime="2026-11-25T11:54:00Z"`,
		`<h2>mine <small>openai_compatible</small></h2><span class="badge bad">down</span>`,
		`<p class="wrong">Left alone until <time datetime="2026-11-25T12:01:00Z">2026-11-25 12:01:00.000 UTC</time>: quota.</p>`,
		`<h2>cohere</h2><span class="badge fair">idle</span>`,
		`<h2>once</h2><span class="badge good">answering</span>`, // no longer configured
	} {
		at := strings.Index(got, want)
		if at < last {
			t.Errorf("the page lacks %s, or has it elsewhere", want)
			continue
		}
		last = at
	}
}

func TestHealthOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		state      dashboard.State
		latest     []bool
		word, tone string
	}{
		{"", nil, "idle", "fair"},
		{"", []bool{false}, "answering", "good"},
		{"", []bool{true, false}, "failing", "bad"},
		{"", []bool{true, false, false}, "answering", "good"},
		{dashboard.StateUp, nil, "up", "good"},
		{dashboard.StateUp, []bool{true, true}, "failing", "bad"},
		{dashboard.StateDown, []bool{false}, "down", "bad"},
	} {
		if word, tone := dashboard.HealthOf(tt.state, tt.latest); word != tt.word || tone != tt.tone {
			t.Errorf("%q after %v: got %s %s", tt.state, tt.latest, word, tone)
		}
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	d := at(t)
	for _, path := range []string{"/", "/api/usage", "/exchanges"} {
		if w := ask(t, d, "DELETE", path); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: got %d", path, w.Code)
		}
		if w := ask(t, d, "HEAD", path); w.Code != http.StatusOK {
			t.Errorf("HEAD %s: got %d", path, w.Code)
		}
	}
	if w := ask(t, d, "GET", "/metrics"); w.Code != http.StatusNotFound {
		t.Errorf("without metrics: got %d", w.Code)
	}
}

// When the ledger cannot be read, the client learns that much, and the log the rest.
func TestLedgerThatCannotBeRead(t *testing.T) {
	t.Parallel()
	store := ledger.NewMemory()
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	d := newDashboard(t, dashboard.Options{Records: store, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for _, path := range []string{"/", "/exchanges", "/exchanges/A", "/connections/W", "/live", "/providers", "/api/usage"} {
		log.Reset()
		w := ask(t, d, "GET", path)
		if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), `"code":"ledger_unavailable"`) || strings.Contains(w.Body.String(), "closed") {
			t.Errorf("%s: got %d %s", path, w.Code, w.Body)
		}
		if !strings.Contains(log.String(), "ledger: closed") {
			t.Errorf("%s: the log says %q", path, log.String())
		}
	}
	if w := ask(t, d, "GET", "/", "Accept", "text/html"); !strings.Contains(w.Body.String(), "<h1>Service Unavailable</h1>") {
		t.Errorf("the page is %s", w.Body)
	}
}

// busy has records that come when they may.
type busy struct {
	*ledger.Memory
	reading chan struct{}
	free    chan struct{}
}

func (b busy) Records(context.Context, ledger.Filter, func(*llmproxy.Record) error) error {
	b.reading <- struct{}{}
	<-b.free
	return nil
}

// Pages that hold many records are made a few at a time; who waits may leave.
func TestFewPagesAtOnce(t *testing.T) {
	t.Parallel()
	b := busy{ledger.NewMemory(), make(chan struct{}), make(chan struct{})}
	d := newDashboard(t, dashboard.Options{Records: b})
	var asked sync.WaitGroup
	for range 4 {
		asked.Go(func() { ask(t, d, "GET", "/") })
		<-b.reading
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	d.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "http://localhost/", nil))
	if w.Code != 499 || !strings.Contains(w.Body.String(), "client_closed_request") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	close(b.free)
	asked.Wait()
}

func TestNewWithoutRecords(t *testing.T) {
	t.Parallel()
	if _, err := dashboard.New(dashboard.Options{}); err == nil || err.Error() != "dashboard: no records to show" {
		t.Errorf("got %v", err)
	}
}
