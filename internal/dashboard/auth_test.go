package dashboard_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy/internal/dashboard"
)

const secretToken = "correct-horse-battery-staple"

// insidePaths are what only who is known may see.
func insidePaths() []string {
	return []string{"/", "/exchanges", "/exchanges/A", "/connections/W", "/live", "/live/events", "/providers", "/models", "/api/usage", "/api/models", "/metrics", "/nothing", "/api/nothing"}
}

func TestTokenOpensWhatIsInside(t *testing.T) {
	t.Parallel()
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("metric 1\n")) })
	d := newDashboard(t, dashboard.Options{Records: storeOf(t, threeRecords()...), Token: secretToken, Metrics: metrics, Now: func() time.Time { return noon }})
	for _, path := range insidePaths() {
		for name, header := range map[string]string{"no token": "", "a wrong one": "Bearer wrong", "another scheme": "Basic " + secretToken, "a part of it": "Bearer correct"} {
			w := ask(t, d, "GET", path, "Authorization", header)
			if w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") != `Bearer realm="llmproxy admin"` || !strings.Contains(w.Body.String(), `"code":"invalid_token"`) {
				t.Errorf("%s with %s: got %d %s", path, name, w.Code, w.Body)
			}
		}
		if path == "/live/events" {
			continue // has no source here
		}
		w := ask(t, d, "GET", path, "Authorization", "bearer "+secretToken)
		want := http.StatusOK
		if strings.HasSuffix(path, "nothing") {
			want = http.StatusNotFound
		}
		if w.Code != want {
			t.Errorf("%s with the token: got %d %s", path, w.Code, w.Body)
		}
		if strings.Contains(w.Body.String(), secretToken) {
			t.Errorf("%s shows the token", path)
		}
	}
	// Who asks whether the process lives need not be known, whatever the host is called.
	for _, path := range []string{"/healthz", "/readyz"} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "http://10.0.0.7:8081"+path, nil)
		w := httptest.NewRecorder()
		d.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Errorf("%s: got %d", path, w.Code)
		}
	}
}

func TestWithoutATokenOnlyOwnHosts(t *testing.T) {
	t.Parallel()
	d := newDashboard(t, dashboard.Options{Records: storeOf(t), Hosts: []string{"box.internal"}, Version: "v1.2.3"})
	for _, path := range insidePaths() {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "http://evil.example"+path, nil)
		r.Header.Set("Accept", "text/html")
		w := httptest.NewRecorder()
		d.ServeHTTP(w, r)
		if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "set admin.token") || strings.Contains(w.Body.String(), "v1.2.3") {
			t.Errorf("%s: got %d %s", path, w.Code, w.Body)
		}
	}
	for _, host := range []string{"box.internal", "127.0.0.1:8081", "[::1]:8081"} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "http://"+host+"/api/usage", nil)
		w := httptest.NewRecorder()
		d.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Errorf("%s: got %d", host, w.Code)
		}
	}
}

// post sends a form.
func post(t *testing.T, d http.Handler, path string, form url.Values, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "POST", "http://gateway.example:8081"+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "text/html")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w
}

func TestLogin(t *testing.T) {
	t.Parallel()
	now := noon
	var log bytes.Buffer
	d := newDashboard(t, dashboard.Options{
		Records: storeOf(t), Token: secretToken, Now: func() time.Time { return now },
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	w := ask(t, d, "GET", "/exchanges?model=a", "Accept", "text/html")
	if w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), `<input type="hidden" name="next" value="/exchanges?model=a">`) {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	if w := post(t, d, "/login", url.Values{"token": {"wrong-token-of-mine"}, "next": {"/exchanges"}}); w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), "This is not the admin token.") || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("a wrong token: got %d %s", w.Code, w.Body)
	}
	if w := post(t, d, "/login", url.Values{"token": {secretToken}}, "Origin", "https://evil.example"); w.Code != http.StatusForbidden || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("from another page: got %d", w.Code)
	}
	if w := post(t, d, "/login", url.Values{"token": {strings.Repeat("x", 20_000)}}); w.Code != http.StatusBadRequest {
		t.Errorf("too long a form: got %d", w.Code)
	}
	if w := post(t, d, "/login", url.Values{"token": {secretToken}, "next": {"//evil.example"}}); w.Header().Get("Location") != "/" {
		t.Errorf("got sent to %q", w.Header().Get("Location"))
	}
	w = post(t, d, "/login", url.Values{"token": {secretToken}, "next": {"/exchanges?model=a"}}, "Origin", "http://gateway.example:8081")
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/exchanges?model=a" {
		t.Fatalf("got %d %q", w.Code, w.Header().Get("Location"))
	}
	cookie := w.Result().Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/" || cookie.Secure || cookie.MaxAge != 12*60*60 || strings.Contains(cookie.Value, secretToken) {
		t.Errorf("got %+v", cookie)
	}
	pair := cookie.Name + "=" + cookie.Value
	opened := func(d http.Handler, cookie string) bool {
		return ask(t, d, "GET", "/", "Accept", "text/html", "Cookie", cookie).Code == http.StatusOK
	}
	if !opened(d, pair) {
		t.Error("the cookie opens nothing")
	}
	if got := ask(t, d, "GET", "/", "Accept", "text/html", "Cookie", pair).Body.String(); !strings.Contains(got, "Sign out") {
		t.Error("there is no way to sign out")
	}
	restarted := newDashboard(t, dashboard.Options{Records: storeOf(t), Token: secretToken, Now: func() time.Time { return now }})
	if !opened(restarted, pair) {
		t.Error("the cookie does not survive a restart")
	}
	changed := newDashboard(t, dashboard.Options{Records: storeOf(t), Token: secretToken + "2", Now: func() time.Time { return now }})
	if opened(changed, pair) {
		t.Error("the cookie survives a change of the token")
	}
	until, mark, _ := strings.Cut(cookie.Value, ".")
	for _, forged := range []string{"", ".", until, until + ".", "9" + until + "." + mark, until + "." + mark + "x", mark} {
		if opened(d, cookie.Name+"="+forged) {
			t.Errorf("%q opens the pages", forged)
		}
	}
	now = now.Add(12 * time.Hour)
	if opened(d, pair) {
		t.Error("the cookie is good for ever")
	}
	if w := post(t, d, "/logout", nil); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/login" || w.Result().Cookies()[0].MaxAge != -1 {
		t.Errorf("signing out: got %d", w.Code)
	}
	if w := post(t, d, "/logout", nil, "Sec-Fetch-Site", "cross-site"); w.Code != http.StatusForbidden {
		t.Errorf("signing out from another page: got %d", w.Code)
	}
	for _, secret := range []string{secretToken, "wrong-token-of-mine", cookie.Value} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log has a credential: %s", log.String())
		}
	}
	if !strings.Contains(log.String(), "a login to the dashboard was refused") {
		t.Errorf("the log says %q", log.String())
	}
}

// Over TLS the cookie stays there.
func TestCookieOverTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(newDashboard(t, dashboard.Options{Records: storeOf(t), Token: secretToken}))
	defer server.Close()
	client := server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.PostForm(server.URL+"/login", url.Values{"token": {secretToken}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	client.CloseIdleConnections()
	if cookies := resp.Cookies(); len(cookies) != 1 || !cookies[0].Secure {
		t.Errorf("got %v", cookies)
	}
}

// Without a token there is nothing to log in to.
func TestLoginWithoutAToken(t *testing.T) {
	t.Parallel()
	d := at(t)
	if w := ask(t, d, "GET", "/login"); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/" {
		t.Errorf("got %d", w.Code)
	}
	if w := post(t, d, "/login", url.Values{"token": {""}}); w.Code != http.StatusUnauthorized {
		t.Errorf("an empty token: got %d", w.Code)
	}
}
