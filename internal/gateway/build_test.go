package gateway

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// A call is a request as a provider gets it: its target, and its header.
type call struct {
	target string
	header http.Header
}

// credentials are the fields in which any provider's keys travel.
var credentials = []string{"Authorization", "X-Api-Key", "Api-Key", "X-Goog-Api-Key", "X-Amz-Security-Token"}

// shown writes the target and whatever credentials came with it.
func (c call) shown() string {
	var b strings.Builder
	b.WriteString(c.target)
	for _, name := range credentials {
		for _, value := range c.header.Values(name) {
			fmt.Fprintf(&b, "\n%s: %s", name, value)
		}
	}
	return b.String()
}

// Each type of provider is called where its service is, with the configured credential in
// its own field, and without that of the client. A credential is in no log and no answer,
// not even where the provider sends it back.
func TestProvidersAreCalled(t *testing.T) {
	t.Parallel()
	const (
		chat     = "/v1/chat/completions"
		generate = "/v1beta/models/gemini-2.5-flash:generateContent"
		converse = "/model/us.amazon.nova-lite-v1%3A0/converse"
	)
	for _, tt := range []struct {
		name, provider, path string
		want                 string // a regular expression
	}{
		{"openai", `{api_key: sk-canary, base_url: "${URL}"}`, chat, `/v1/chat/completions\nAuthorization: Bearer sk-canary`},
		{"openai", `{client_keys: pass, base_url: "${URL}/v1/"}`, chat, `/v1/chat/completions\nAuthorization: Bearer client-canary`},
		{"groq", `{api_key: sk-canary, base_url: "${URL}"}`, chat, `/openai/v1/chat/completions\nAuthorization: Bearer sk-canary`},
		{"alibaba", `{api_key: sk-canary, base_url: "${URL}"}`, chat, `/compatible-mode/v1/chat/completions\nAuthorization: Bearer sk-canary`},
		{"alibaba", `{api_key: sk-canary, base_url: "${URL}"}`, "/v1/messages", `/apps/anthropic/v1/messages\nAuthorization: Bearer sk-canary`},
		{
			"mine",
			`{type: openai_compatible, api_key: sk-canary, base_url: "${URL}", api_path: /api/v3, query: {version: sk-canary}, api_key_header: api-key}`,
			chat, `/api/v3/chat/completions\?version=sk-canary\nApi-Key: sk-canary`,
		},
		{
			"mine", `{type: openai_compatible, api_key: sk-canary, base_url: "${URL}", paths: {messages: /claude/v1}}`,
			"/v1/messages", `/claude/v1/messages\nAuthorization: Bearer sk-canary`,
		},
		{"anthropic", `{api_key: sk-canary, base_url: "${URL}"}`, "/v1/messages", `/v1/messages\nX-Api-Key: sk-canary`},
		{"anthropic", `{auth_token: sk-canary, base_url: "${URL}"}`, "/v1/messages", `/v1/messages\nAuthorization: Bearer sk-canary`},
		{"anthropic", `{client_keys: pass, base_url: "${URL}"}`, "/v1/messages", `/v1/messages\nAuthorization: Bearer client-canary`},
		{"googleai", `{api_key: sk-canary, base_url: "${URL}/v1beta"}`, generate, generate + `\nX-Goog-Api-Key: sk-canary`},
		{"googleai", `{api_key: sk-canary, base_url: "${URL}"}`, chat, `/v1beta/openai/chat/completions\nX-Goog-Api-Key: sk-canary`},
		{
			"vertex", `{type: vertexai, project: p, location: us-central1, access_token: sk-canary, base_url: "${URL}"}`,
			generate, `/v1/projects/p/locations/us-central1/publishers/google/models/gemini-2.5-flash:generateContent\nAuthorization: Bearer sk-canary`,
		},
		{
			"vertex", `{type: vertexai, api_key: sk-canary, api_version: v1beta1, base_url: "${URL}"}`,
			generate, `/v1beta1/publishers/google/models/gemini-2.5-flash:generateContent\nX-Goog-Api-Key: sk-canary`,
		},
		{"bedrock", `{region: us-east-1, bearer_token: sk-canary, base_url: "${URL}"}`, converse, converse + `\nAuthorization: Bearer sk-canary`},
		{"bedrock", `{region: us-east-1, api_key: sk-canary, base_url: "${URL}"}`, converse, converse + `\nAuthorization: Bearer sk-canary`},
		{
			"bedrock", `{region: eu-west-1, access_key_id: AKIDcanary, secret_access_key: sk-canary, session_token: token-canary, base_url: "${URL}"}`,
			converse, converse + `\nAuthorization: AWS4-HMAC-SHA256 Credential=AKIDcanary/\d+/eu-west-1/bedrock/aws4_request, ` +
				`SignedHeaders=\S+, Signature=[0-9a-f]+\nX-Amz-Security-Token: token-canary`,
		},
		{"azure", `{api_key: sk-canary, base_url: "${URL}"}`, chat, `/openai/v1/chat/completions\nApi-Key: sk-canary`},
		{"azure", `{access_token: sk-canary, base_url: "${URL}/openai"}`, chat, `/openai/v1/chat/completions\nAuthorization: Bearer sk-canary`},
		{
			"azure", `{api_key: sk-canary, base_url: "${URL}", api_version: 2024-10-21, deployment: mine}`,
			chat, `/openai/deployments/mine/chat/completions\?api-version=2024-10-21\nApi-Key: sk-canary`,
		},
		{"cohere", `{api_key: sk-canary, base_url: "${URL}"}`, "/v2/chat", `/v2/chat\nAuthorization: Bearer sk-canary`},
	} {
		t.Run(fmt.Sprint(tt.name, tt.provider), func(t *testing.T) {
			t.Parallel()
			calls := make(chan call, 1)
			upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				c := call{r.URL.RequestURI(), r.Header}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusUnauthorized)
				fmt.Fprintf(w, `{"error":{"message":%q}}`, "wrong key: "+c.shown())
				calls <- c
			}))
			t.Cleanup(upstream.Close)
			r := start(t, http.NotFoundHandler(), func(c *Config) {
				text := fmt.Sprintf("providers:\n  %s: %s\n", tt.name, tt.provider)
				loaded, err := Source{LookupEnv: environment("URL=" + upstream.URL)}.load("", []byte(text))
				if err != nil {
					t.Fatal(err)
				}
				*c = *loaded
			})
			req, err := http.NewRequestWithContext(t.Context(), "POST", r.url+tt.path, strings.NewReader(`{"model":"m","messages":[]}`))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Authorization", "Bearer client-canary")
			resp, err := r.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			select {
			case c := <-calls:
				if got := c.shown(); !regexp.MustCompile(`^` + tt.want + `$`).MatchString(got) {
					t.Errorf("the provider was called as\n%s\nwant\n%s", got, tt.want)
				}
			default:
				t.Fatalf("the provider was not called: %s, %s", resp.Status, body)
			}
			if strings.Contains(r.log.String(), "canary") {
				t.Errorf("a credential is in the log:\n%s", r.log)
			}
			if strings.Contains(tt.provider, "pass") {
				return // the client's own key comes back to it
			}
			if resp.StatusCode != http.StatusBadGateway || strings.Contains(string(body), "canary") || !strings.Contains(string(body), "credential") {
				t.Errorf("the client got %s, %s", resp.Status, body)
			}
		})
	}
}

// Without a credential of its own a cloud's provider uses those of the machine: it is no
// fault that none can be found yet.
func TestMachineCredentials(t *testing.T) {
	t.Parallel()
	c, err := load(t, `
providers:
  vertex: {type: vertexai, project: p}
  bedrock: {region: us-east-1}
  azure: {resource: r}
`[1:])
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(c.providerNames(), " "), "vertex bedrock azure"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, err := New(c, Parts{}, Log{}.logger(io.Discard)); err != nil {
		t.Error(err)
	}
}

func TestAWSProfile(t *testing.T) {
	t.Parallel()
	_, err := load(t, "providers:\n  bedrock: {profile: none-of-this-name}\n")
	const want = `llmproxy.yaml:2:22: providers.bedrock.profile: the configuration of AWS's own tools has no such profile, or cannot be read
    profile: none-of-this-name`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
