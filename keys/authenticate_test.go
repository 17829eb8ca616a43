package keys_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/keys"
)

// echo is a handler that keeps what it was asked, and on whose behalf.
type echo struct{ got *http.Request }

func (e *echo) ServeHTTP(_ http.ResponseWriter, r *http.Request) { e.got = r }

// ringOf returns a ring with one key, and its secret.
func ringOf(t testing.TB, k keys.Key) (*keys.Ring, keys.Key, string) {
	t.Helper()
	var m keys.Memory
	k.Name = "test"
	k, secret, err := keys.New(k, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Create(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	ring, err := keys.NewRing(t.Context(), &m, keys.RingOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return ring, k, string(secret)
}

func TestWhereAKeyMayCome(t *testing.T) {
	t.Parallel()
	ring, _, secret := ringOf(t, keys.Key{})
	for _, tt := range []struct {
		name, target string
		fields       []string
		ok           bool
		left         []string // of the fields, by name
		query        string
	}{
		{"bearer", "/v1/responses", []string{"Authorization", "Bearer " + secret}, true, nil, ""},
		{"bearer, oddly spelled", "/v1/responses", []string{"Authorization", " bearer   " + secret + " "}, true, nil, ""},
		{"x-api-key", "/v1/messages", []string{"X-Api-Key", secret}, true, nil, ""},
		{"api-key", "/openai/deployments/d/chat/completions", []string{"Api-Key", secret}, true, nil, ""},
		{"x-goog-api-key", "/v1beta/models/m:generateContent", []string{"X-Goog-Api-Key", secret}, true, nil, ""},
		{"the query of Gemini", "/v1beta/models/m:generateContent?alt=sse&key=" + secret, nil, true, nil, "alt=sse"},
		{"the query of Gemini, on a mount", "/googleai/v1beta/models/m:generateContent?key=" + secret, nil, true, nil, ""},
		{"the query of Gemini, escaped", "/v1/models/m:countTokens?k%65y=%6clmp_" + secret[5:], nil, true, nil, ""},
		{"the query elsewhere", "/v1/responses?key=" + secret, nil, false, nil, ""},
		{"beside the client's own", "/v1/messages", []string{"Authorization", "Bearer sk-own", "X-Api-Key", secret}, true, []string{"Authorization"}, ""},
		{"beside the client's own, the other way round", "/v1/messages", []string{"X-Api-Key", "sk-own", "Authorization", "Bearer " + secret}, true, []string{"X-Api-Key"}, ""},
		{"twice", "/v1/messages?x=" + secret, []string{"X-Api-Key", secret, "Authorization", "Bearer " + secret}, true, nil, ""},
		{"basic", "/v1/messages", []string{"Authorization", "Basic " + secret}, false, nil, ""},
		{"no scheme", "/v1/messages", []string{"Authorization", secret}, false, nil, ""},
		{"nothing", "/v1/messages", nil, false, nil, ""},
	} {
		var e echo
		r := httptest.NewRequest("POST", "http://gateway"+strings.ReplaceAll(tt.target, " ", ""), nil)
		for i := 0; i < len(tt.fields); i += 2 {
			r.Header.Set(tt.fields[i], tt.fields[i+1])
		}
		before := r.Header.Clone()
		w := httptest.NewRecorder()
		keys.Authenticate(ring, &e).ServeHTTP(w, r)
		if ok := e.got != nil; ok != tt.ok {
			t.Errorf("%s: let through: %t, want %t (%d)", tt.name, ok, tt.ok, w.Code)
			continue
		}
		if !tt.ok {
			if w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s: got %d, %v", tt.name, w.Code, w.Header())
			}
			continue
		}
		var left []string
		for name := range e.got.Header {
			left = append(left, name)
		}
		if !slices.Equal(left, tt.left) || e.got.URL.RawQuery != tt.query || strings.Contains(e.got.RequestURI, secret) {
			t.Errorf("%s: %v and %q travel on, want %v and %q", tt.name, left, e.got.URL.RawQuery, tt.left, tt.query)
		}
		for name, values := range before {
			if !slices.Equal(r.Header[name], values) {
				t.Errorf("%s: the client's own request was changed", tt.name)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{})
	_, valid := r.key(keys.Key{})
	_, expiring := r.key(keys.Key{Expires: time.Now().Add(time.Hour)})
	revoked, revokedSecret := r.key(keys.Key{})
	if err := r.store.Revoke(t.Context(), revoked.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := r.ring.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	const invalid = "the gateway key is not valid: it is unknown, expired or revoked"
	for _, tt := range []struct{ name, secret, want string }{
		{"unknown", string(keys.NewSecret()), invalid},
		{"revoked", revokedSecret, invalid},
		{"a provider's", "sk-proj-abc", invalid},
		{"mistyped", valid[:len(valid)-1] + "-", "the gateway key is not whole: its checksum is wrong"},
		{"none", "", "a gateway key is wanted: send it as a bearer token in Authorization, or in x-api-key, api-key or x-goog-api-key"},
	} {
		want := `{"error":{"message":"` + tt.want + `","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`
		if a := r.do("POST", "/v1/chat/completions", tt.secret, `{"model":"gpt-5"}`); a.status != 401 || a.body != want {
			t.Errorf("%s: got %d %s, want 401 %s", tt.name, a.status, a.body, want)
		} else if a.header.Get("X-Should-Retry") != "false" || a.header.Get("X-Gateway-Request-Id") == "" {
			t.Errorf("%s: the header is %v", tt.name, a.header)
		}
	}
	r.do("POST", "/v1/messages", revokedSecret, `{}`).want(t, "Messages", 401, `{"type":"error","error":{"type":"authentication_error","message":"`+invalid)
	r.do("POST", "/v1beta/models/m:generateContent", revokedSecret, `{}`).want(t, "Gemini", 401, `"status":"UNAUTHENTICATED"`)
	signed := r.do("POST", "/model/m/converse", "", `{}`, "Authorization", "AWS4-HMAC-SHA256 Credential=AKID/20261123/us-east-1/bedrock/aws4_request")
	signed.want(t, "SigV4", 401, "send the key as a bearer token (AWS_BEARER_TOKEN_BEDROCK)")
	if got := signed.header.Get("X-Amzn-Errortype"); got != "AccessDeniedException" {
		t.Errorf("SigV4: X-Amzn-Errortype is %q", got)
	}
	r.do("GET", "/v1/models/gpt-5?X-Amz-Signature=abc", "", "").want(t, "SigV4 in the query", 401, "AWS Signature Version 4")
	if a := r.do("GET", "/", "", ""); a.status != 200 {
		t.Errorf("GET /: %d", a.status)
	}
	if a := r.do("HEAD", "/", "", ""); a.status != 200 {
		t.Errorf("HEAD /: %d", a.status)
	}
	r.do("POST", "/", "", `{"model":"gpt-5","input":"a"}`).want(t, "POST /", 401, "a gateway key is wanted")
	r.do("POST", "/v1/chat/completions", expiring, `{"model":"gpt-5","messages":[{"role":"user","content":"hi"}]}`).want(t, "not yet expired", 200, "You said")
	rec := <-r.records
	if n := len(r.records); n != 0 || rec.Status != 200 || rec.Key == "" {
		t.Errorf("%d more records; the first is %+v", n, rec)
	}
	for _, req := range r.simulator.Requests() {
		for _, secret := range []string{valid, expiring, revokedSecret} {
			if strings.Contains(strings.Join(req.Header["Authorization"], ""), secret) {
				t.Error("a secret reached the provider")
			}
		}
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	ring, k, secret := ringOf(t, keys.Key{Expires: time.Now().Add(time.Hour)})
	if found, ok := ring.Find(keys.Secret(secret)); !ok || found.ID != k.ID || found.Valid(k.Expires) || !found.Valid(k.Expires.Add(-1)) {
		t.Errorf("found %+v, %t", found, ok)
	}
	if _, ok := ring.Find(keys.NewSecret()); ok {
		t.Error("a secret of nobody's was found")
	}
}

func TestCallerOfAKey(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{})
	k, secret := r.key(keys.Key{Tags: map[string]string{"team": "a"}})
	r.do("POST", "/v1/chat/completions", secret, `{"model":"gpt-5","messages":[{"role":"user","content":"hi"}]}`,
		"X-Gateway-Tags", "team=b,feature=c").want(t, "with tags", 200, "You said")
	rec := <-r.records
	if rec.Key != k.ID || len(rec.Tags) != 2 || rec.Tags["team"] != "a" || rec.Tags["feature"] != "c" {
		t.Errorf("the record has the key %s and the tags %v", rec.Key, rec.Tags)
	}
}

// Whatever a request looks like: nothing panics, no secret of ours travels on, and only
// who sends the right one is let through.
func FuzzAuthenticate(f *testing.F) {
	ring, _, secret := ringOf(f, keys.Key{})
	f.Add("/v1beta/models/m:generateContent", "a=b&key=SECRET", "Bearer x", "SECRET", "", "")
	f.Add("/", "", "Bearer SECRET", "SECRET ", " SECRET", "sk-own")
	f.Add("/x", "k%65y=SECRET&%zz=SECRET", "bearer  SECRET", "", "", "")
	f.Fuzz(func(t *testing.T, path, query, authorization, xAPIKey, apiKey, google string) {
		fill := func(s string) string { return strings.ReplaceAll(s, "SECRET", secret) }
		query = fill(query)
		r := &http.Request{
			Method: "POST", URL: &url.URL{Path: "/" + path, RawQuery: query}, Header: http.Header{
				"Authorization": {fill(authorization)}, "X-Api-Key": {fill(xAPIKey)}, "Api-Key": {fill(apiKey)}, "X-Goog-Api-Key": {fill(google)},
			},
		}
		var e echo
		w := httptest.NewRecorder()
		keys.Authenticate(ring, &e).ServeHTTP(w, r)
		if e.got == nil {
			if w.Code != http.StatusUnauthorized {
				t.Errorf("refused with %d", w.Code)
			}
			if strings.Contains(w.Body.String(), secret) {
				t.Error("the refusal has the secret")
			}
			return
		}
		sent := fill(authorization) + fill(xAPIKey) + fill(apiKey) + fill(google)
		if plain, err := url.QueryUnescape(query); err == nil {
			sent += plain
		}
		if !strings.Contains(sent, secret) && !strings.Contains(sent+query, secret) {
			t.Error("let through without the secret")
		}
		for name, values := range e.got.Header {
			for _, v := range values {
				if name != "Authorization" && strings.TrimSpace(v) == secret {
					t.Errorf("the secret travels on in %s", name)
				}
			}
		}
		if values := e.got.URL.Query()["key"]; slices.Contains(values, secret) {
			t.Error("the secret travels on in the query")
		}
	})
}

// What a middleware in front can rely on: the key's id is public, the secret is nowhere in
// the error.
func TestRefusalHasNoSecret(t *testing.T) {
	t.Parallel()
	ring, _, secret := ringOf(t, keys.Key{})
	for _, sent := range []string{secret[:len(secret)-1], secret + "x", base64.StdEncoding.EncodeToString([]byte(secret))} {
		r := httptest.NewRequest("POST", "/v1/messages", nil)
		r.Header.Set("X-Api-Key", sent)
		w := httptest.NewRecorder()
		keys.Authenticate(ring, http.NotFoundHandler()).ServeHTTP(w, r)
		if w.Code != 401 || strings.Contains(w.Body.String(), sent[:20]) {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
	}
}
