package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

// What the doctor says of a provider that is well, of one that is not, and what to do.
func TestDoctor(t *testing.T) {
	t.Parallel()
	const key = "key-canary"
	s := simulator.New(simulator.Options{APIKey: key, AWS: simulator.AWSCredentials{AccessKeyID: key, SecretAccessKey: key}})
	provider := httptest.NewServer(s)
	t.Cleanup(provider.Close)
	secure := httptest.NewTLSServer(s)
	t.Cleanup(secure.Close)
	late := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(-10*time.Minute).UTC().Format(http.TimeFormat))
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(late.Close)
	silent := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-silent:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(slow.Close)
	t.Cleanup(func() { close(silent) })
	status := func(code int) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }))
		t.Cleanup(s.Close)
		return s.URL
	}
	gone := httptest.NewServer(nil)
	gone.Close()

	const well = `\S+ is reached in \d+ ms; the credential is taken; the clocks agree`
	for _, tt := range []struct {
		name, provider string
		want           string // of the lines about the provider
		fault          bool
	}{
		{"openai", fmt.Sprintf("openai: {api_key: %s, base_url: %q}", key, provider.URL), `openai +ok +` + well, false},
		{"anthropic", fmt.Sprintf("anthropic: {api_key: %s, base_url: %q}", key, provider.URL), `anthropic +ok +` + well, false},
		{"googleai", fmt.Sprintf("googleai: {api_key: %s, base_url: %q}", key, provider.URL), `googleai +ok +` + well, false},
		{"azure", fmt.Sprintf("azure: {api_key: %s, base_url: %q}", key, provider.URL), `azure +ok +` + well, false},
		{"cohere", fmt.Sprintf("cohere: {api_key: %s, base_url: %q}", key, provider.URL), `cohere +ok +` + well, false},
		{
			"bedrock", fmt.Sprintf("bedrock: {region: us-east-1, access_key_id: %s, secret_access_key: %s, base_url: %q}", key, key, provider.URL),
			`bedrock +ok +` + well, false,
		},
		{"bad key", fmt.Sprintf("openai: {api_key: bad-canary, base_url: %q}", provider.URL), `openai +FAULT .*the credential is refused \(401\).*\n +→ set providers.openai.api_key to a valid key`, true},
		{"Google's bad key", fmt.Sprintf("googleai: {api_key: bad-canary, base_url: %q}", provider.URL), `googleai +FAULT .*the credential is refused \(400\).*\n +→ set providers.googleai.api_key`, true},
		{
			"bad signature", fmt.Sprintf("bedrock: {region: us-east-1, access_key_id: %s, secret_access_key: bad-canary, base_url: %q}", key, provider.URL),
			`bedrock +FAULT .*the credential is refused \(403\).*\n +→ set providers.bedrock.secret_access_key`, true,
		},
		{"nobody there", fmt.Sprintf("openai: {api_key: %s, base_url: %q}", key, gone.URL), `openai +FAULT +\S+ is not reached: the connection is refused\n +→ start the service, or correct the port in providers.openai.base_url`, true},
		{"no such name", "openai: {api_key: k, base_url: \"http://no-such-name.invalid\"}", `openai +FAULT +no-such-name.invalid is not reached: the name no-such-name.invalid cannot be resolved\n +→ check the spelling`, true},
		{"too slow", fmt.Sprintf("openai: {api_key: %s, base_url: %q}", key, slow.URL), `openai +FAULT +\S+ is not reached: no answer within 2s\n +→ check providers.openai.base_url, the firewall`, true},
		{"authority", fmt.Sprintf("openai: {api_key: %s, base_url: %q}", key, secure.URL), `openai +FAULT .*an authority that is not known here\n +→ name the file of your own authority in SSL_CERT_FILE`, true},
		{"clock", fmt.Sprintf("openai: {api_key: %s, base_url: %q}", key, late.URL), `openai +FAULT .*the credential is taken; this clock is (9m5|10m)\S+ ahead of the provider's\n +→ set this machine's clock`, true},
		{"broken", fmt.Sprintf("openai: {api_key: %s, base_url: %q}", key, status(503)), `openai +FAULT .*it answers 503.*\n +→ the provider has a fault`, true},
		{"no list", fmt.Sprintf("mine: {type: openai_compatible, base_url: %q}", status(404)), `mine +ok .*it lists no models \(404\), so the credential was not tried`, false},
		{"full", fmt.Sprintf("mine: {type: openai_compatible, base_url: %q}", status(429)), `mine +ok .*too many requests at the moment \(429\)`, false},
		{"moved", fmt.Sprintf("mine: {type: openai_compatible, base_url: %q}", status(308)), `mine +FAULT .*it answers 308.*\n +→ write where it leads to as providers.mine.base_url`, true},
		{"keyless", fmt.Sprintf("mine: {type: openai_compatible, base_url: %q}", status(200)), `mine +ok .*it needs no key`, false},
		{"passes", fmt.Sprintf("openai: {client_keys: pass, base_url: %q}", provider.URL), `openai +ok .*each client brings its own key`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "gateway.yaml")
			if err := os.WriteFile(file, []byte("providers:\n  "+tt.provider+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			timeout, code, wantErr := "30s", 0, ""
			if tt.name == "too slow" {
				timeout = "2s"
			}
			if tt.fault {
				code, wantErr = 1, "llmproxy: the doctor has found faults: with 1 of 1 providers\n"
			}
			stdout, stderr := call(t, code, "doctor", "--config", file, "--timeout", timeout)
			if !regexp.MustCompile(`(?m)^` + tt.want).MatchString(stdout) {
				t.Errorf("got\n%s, want %s", stdout, tt.want)
			}
			if stderr != wantErr || strings.Contains(stdout, "canary") {
				t.Errorf("got %q and\n%s", stderr, stdout)
			}
		})
	}
	bad := filepath.Join(t.TempDir(), "gateway.yaml")
	if err := os.WriteFile(bad, []byte("providers: {openai: {api_kee: k}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if stdout, stderr := call(t, 1, "doctor", "--config", bad); stdout != "" || !strings.Contains(stderr, ":1:") {
		t.Errorf("a configuration with a fault: %q, %q", stdout, stderr)
	}
}
