package gateway

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
)

func proxies(t *testing.T, texts ...string) (all []Proxy) {
	t.Helper()
	for _, s := range texts {
		var p Proxy
		if err := p.UnmarshalText([]byte(s)); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		all = append(all, p)
	}
	return all
}

// Whom X-Forwarded-For names counts only as far as proxies of the operator vouch for it.
func TestClientAddress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		remote    string
		forwarded []string
		proxies   []string
		want      string
	}{
		{"192.0.2.1:1234", nil, nil, "192.0.2.1"},
		{"192.0.2.1:1234", []string{"198.51.100.9"}, nil, "192.0.2.1"},
		{"192.0.2.1:1234", []string{"198.51.100.9"}, []string{"10.0.0.0/8"}, "192.0.2.1"},
		{"10.1.2.3:1234", []string{"198.51.100.9"}, []string{"10.0.0.0/8"}, "198.51.100.9"},
		{"10.1.2.3:1234", nil, []string{"10.0.0.0/8"}, "10.1.2.3"},
		// The client has written the first one itself.
		{"10.1.2.3:1234", []string{"203.0.113.5, 198.51.100.9, 10.9.9.9"}, []string{"10.0.0.0/8"}, "198.51.100.9"},
		{"10.1.2.3:1234", []string{"203.0.113.5", "198.51.100.9:99"}, []string{"10.0.0.0/8"}, "198.51.100.9"},
		{"10.1.2.3:1234", []string{"203.0.113.5, nonsense"}, []string{"10.0.0.0/8"}, "10.1.2.3"},
		{"10.1.2.3:1234", []string{"10.0.0.1, 10.0.0.2"}, []string{"10.0.0.0/8"}, "10.0.0.1"},
		{"[2001:db8::1]:1234", []string{"[2001:db8:1::2]:9"}, []string{"2001:db8::/64"}, "2001:db8:1::2"},
		{"[::ffff:10.0.0.1]:1234", []string{"198.51.100.9"}, []string{"10.0.0.1"}, "198.51.100.9"},
		{"@", []string{"198.51.100.9"}, []string{"10.0.0.1"}, ""},
		{"@", []string{"198.51.100.9"}, []string{"unix"}, "198.51.100.9"},
		{"192.0.2.1:1234", []string{"198.51.100.9"}, []string{"unix"}, "192.0.2.1"},
	} {
		r := &http.Request{RemoteAddr: tt.remote, Header: http.Header{"X-Forwarded-For": tt.forwarded}}
		if got := clientAddress(r, proxies(t, tt.proxies...)); got != tt.want {
			t.Errorf("%s, %q, trusting %v: got %q, want %q", tt.remote, tt.forwarded, tt.proxies, got, tt.want)
		}
	}
}

func TestProxyText(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "10.0.0.0/33", "proxy.internal", "fe80::1%eth0", "::ffff:10.0.0.0/104"} {
		var p Proxy
		if err := p.UnmarshalText([]byte(s)); err != errProxy { //nolint:errorlint // as it is returned
			t.Errorf("%q: %v", s, err)
		}
	}
}

// Whatever clients write, the address is one, and none of the proxies' where a stranger
// connects.
func FuzzClientAddress(f *testing.F) {
	f.Add("10.0.0.1:1", "198.51.100.9, 10.0.0.2")
	f.Add("192.0.2.1:1", "x")
	f.Add("@", "[::1]:1,,")
	trusted := []Proxy{{netip.MustParsePrefix("10.0.0.0/8")}}
	f.Fuzz(func(t *testing.T, remote, forwarded string) {
		got := clientAddress(&http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": {forwarded}}}, trusted)
		peer, ok := hostOf(remote)
		if got != "" {
			if _, err := netip.ParseAddr(got); err != nil {
				t.Errorf("%q is no address", got)
			}
		}
		if ok && !trusted[0].prefix.Contains(peer) && got != peer.String() {
			t.Errorf("a stranger at %s passes for %s", peer, got)
		}
	})
}

// Who is refused at the door is logged, by his address alone; who is let in is not.
func TestRefusalsAreLogged(t *testing.T) {
	t.Parallel()
	var log buffer
	door := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer good" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	h := refusals(door, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "in") }), proxies(t, "192.0.2.1"), Log{}.logger(&log))
	for _, secret := range []string{"good", "bad-canary"} {
		r := httptest.NewRequest("POST", "http://localhost/v1/responses?key=query-canary", nil)
		r.Header.Set("Authorization", "Bearer "+secret)
		r.Header.Set("X-Forwarded-For", "198.51.100.9")
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	got := log.String()
	if strings.Count(got, "\n") != 1 || !strings.Contains(got, `client=198.51.100.9`) || strings.Contains(got, "canary") {
		t.Errorf("logged %s", got)
	}
}

// A page of an origin that was named may ask, and read what it gets; others may not.
func TestCrossOrigin(t *testing.T) {
	t.Parallel()
	provider := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "https://provider.example")
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Set("Vary", "Accept-Encoding")
		_, _ = io.WriteString(w, `{}`)
	})
	const page = "http://localhost:3000"
	r := start(t, provider, func(c *Config) { c.Origins = []Origin{page} })
	send := func(method, origin string, header ...string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, r.url+"/v1/chat/completions", strings.NewReader(`{"model":"gpt-5"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Origin", origin)
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		return resp
	}
	ask := []string{"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,x-stainless-os", "Access-Control-Request-Private-Network", "true"}
	resp := send("OPTIONS", page, ask...)
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": page, "Access-Control-Allow-Methods": corsMethods, "Access-Control-Allow-Headers": "authorization,x-stainless-os",
		"Access-Control-Allow-Private-Network": "true", "Access-Control-Max-Age": "600", "Access-Control-Allow-Credentials": "",
	} {
		if got := resp.Header.Get(name); got != want || resp.StatusCode != http.StatusNoContent {
			t.Errorf("preflight: %s, %s is %q, want %q", resp.Status, name, got, want)
		}
	}
	resp = send("POST", page)
	if got := resp.Header["Access-Control-Allow-Origin"]; len(got) != 1 || got[0] != page || resp.StatusCode != http.StatusOK {
		t.Errorf("%s, for %q", resp.Status, got)
	}
	if vary := strings.Join(resp.Header["Vary"], ","); !strings.Contains(vary, "Origin") || !strings.Contains(vary, "Accept-Encoding") ||
		resp.Header.Get("Access-Control-Allow-Credentials") != "" || !strings.Contains(resp.Header.Get("Access-Control-Expose-Headers"), "X-Gateway-Cost") {
		t.Errorf("header %v", resp.Header)
	}
	for method, status := range map[string]int{"OPTIONS": 0, "POST": http.StatusForbidden} {
		resp := send(method, "https://evil.example", ask...)
		if resp.Header.Get("Access-Control-Allow-Origin") != "" || resp.Header.Get("Access-Control-Allow-Methods") != "" || status != 0 && resp.StatusCode != status {
			t.Errorf("%s from elsewhere: %s, %v", method, resp.Status, resp.Header)
		}
	}
}

var _ llmproxy.Interceptor = ownCORS{}
