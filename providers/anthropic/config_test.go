package anthropic_test

import (
	"net/http"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/anthropic"
	"github.com/llmproxy/llmproxy/providers/internal/provider/providertest"
)

// canary is a secret; no output may have it.
const canary = "sk-ant-canary-0123456789"

func TestNew(t *testing.T) {
	t.Parallel()
	p, err := anthropic.New(anthropic.Config{APIKey: canary})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.Name(), "anthropic"; got != want {
		t.Errorf("named %s, want %s", got, want)
	}
	want := llmproxy.Routing{BuiltIn: []string{"claude-*"}, Paths: []llmproxy.APIType{llmproxy.APIMessages}}
	if diff := cmp.Diff(want, p.Routing()); diff != "" {
		t.Errorf("routing (-want +got):\n%s", diff)
	}
	api, ok := p.API(llmproxy.APIMessages)
	if !ok || api.NewExtractor == nil || api.IncludeUsage {
		t.Errorf("messages: %v, %+v", ok, api)
	}
	if _, ok := p.API(llmproxy.APIChatCompletions); ok {
		t.Error("it speaks Chat Completions")
	}

	p, err = anthropic.New(anthropic.Config{Name: "claude", Models: []string{"my-*"}, Timeout: time.Minute, ClientKeys: true})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.Name(), "claude"; got != want {
		t.Errorf("named %s, want %s", got, want)
	}
	if got := p.Routing().Models; !slices.Equal(got, []string{"my-*"}) {
		t.Errorf("the operator's patterns are %q", got)
	}
	if got, want := p.Settings(), (llmproxy.Settings{Timeout: time.Minute, ClientKeys: true}); !reflect.DeepEqual(got, want) {
		t.Errorf("settings are %v, want %v", got, want)
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	post := llmproxy.Operation{API: llmproxy.APIMessages, Path: "/messages"}
	count := llmproxy.Operation{API: llmproxy.APIMessages, Path: "/messages/count_tokens"}
	batch := llmproxy.Operation{API: llmproxy.APIMessages, Path: "/messages/batches/msgbatch_1/results"}
	models := llmproxy.Operation{API: "models", Path: "/models/claude-1"}
	mount := llmproxy.Operation{Path: "/v1/files/file_1/content", Mount: true}
	for _, tt := range []struct {
		base string
		op   llmproxy.Operation
		want string
	}{
		{"", post, "https://api.anthropic.com/v1/messages"},
		{"", count, "https://api.anthropic.com/v1/messages/count_tokens"},
		{"", batch, "https://api.anthropic.com/v1/messages/batches/msgbatch_1/results"},
		{"", models, "https://api.anthropic.com/v1/models/claude-1"},
		{"", mount, "https://api.anthropic.com/v1/files/file_1/content"},
		{"http://host:8080", post, "http://host:8080/v1/messages"},
		{"http://host:8080/", post, "http://host:8080/v1/messages"},
		{"http://host:8080/v1", post, "http://host:8080/v1/messages"},
		{"http://host:8080/v1/", mount, "http://host:8080/v1/files/file_1/content"},
		{"https://resource.services.ai.azure.com/anthropic/", post, "https://resource.services.ai.azure.com/anthropic/v1/messages"},
		{"https://resource.services.ai.azure.com/anthropic/v1", mount, "https://resource.services.ai.azure.com/anthropic/v1/files/file_1/content"},
	} {
		p, err := anthropic.New(anthropic.Config{BaseURL: tt.base})
		if err != nil {
			t.Fatal(err)
		}
		u, err := p.Resolve(&llmproxy.Exchange{Operation: tt.op})
		if err != nil {
			t.Fatal(err)
		}
		if got := u.String(); got != tt.want {
			t.Errorf("%q, %s: got %s, want %s", tt.base, tt.op.Path, got, tt.want)
		}
	}
}

func TestEnrich(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		config anthropic.Config
		client http.Header // as far as the router lets it through
		want   http.Header
	}{
		{
			"a key",
			anthropic.Config{APIKey: "sk-ours"},
			http.Header{"Accept": {"*/*"}},
			http.Header{"Accept": {"*/*"}, "X-Api-Key": {"sk-ours"}, "Anthropic-Version": {"2023-06-01"}},
		},
		{
			"a token",
			anthropic.Config{AuthToken: "ours"},
			http.Header{},
			http.Header{"Authorization": {"Bearer ours"}, "Anthropic-Version": {"2023-06-01"}},
		},
		{"no credential", anthropic.Config{}, http.Header{}, http.Header{"Anthropic-Version": {"2023-06-01"}}},
		{
			"the client's version and betas",
			anthropic.Config{APIKey: "sk-ours"},
			http.Header{"Anthropic-Version": {"2026-10-21"}, "Anthropic-Beta": {"context-1m-2025-08-07", "unknown-2030-01-01"}, "Anthropic-Workspace-Id": {"w"}},
			http.Header{"X-Api-Key": {"sk-ours"}, "Anthropic-Version": {"2026-10-21"}, "Anthropic-Beta": {"context-1m-2025-08-07", "unknown-2030-01-01"}, "Anthropic-Workspace-Id": {"w"}},
		},
		{
			"the client's key",
			anthropic.Config{ClientKeys: true},
			http.Header{"X-Api-Key": {"sk-client"}, "Anthropic-Version": {"2023-06-01"}},
			http.Header{"X-Api-Key": {"sk-client"}, "Anthropic-Version": {"2023-06-01"}},
		},
		{
			"the client's token, and a key of ours",
			anthropic.Config{ClientKeys: true, APIKey: "sk-ours"},
			http.Header{"Authorization": {"Bearer client"}},
			http.Header{"Authorization": {"Bearer client"}, "Anthropic-Version": {"2023-06-01"}},
		},
		{
			"the client's credential, and it sent none",
			anthropic.Config{ClientKeys: true, AuthToken: "ours"},
			http.Header{},
			http.Header{"Anthropic-Version": {"2023-06-01"}},
		},
		{
			"headers over the client's and ours",
			anthropic.Config{APIKey: "sk-ours", Headers: map[string]string{"anthropic-version": "2026-10-21", "anthropic-beta": "a,b", "X-API-KEY": "other"}},
			http.Header{"Anthropic-Version": {"2023-06-01"}, "Anthropic-Beta": {"c"}},
			http.Header{"X-Api-Key": {"other"}, "Anthropic-Version": {"2026-10-21"}, "Anthropic-Beta": {"a,b"}},
		},
	} {
		p, err := anthropic.New(tt.config)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		r := &http.Request{Header: tt.client.Clone()}
		if err := p.Enrich(r, &llmproxy.Exchange{}); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if diff := cmp.Diff(tt.want, r.Header); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.name, diff)
		}
	}
}

func TestConfigIsCopied(t *testing.T) {
	t.Parallel()
	c := anthropic.Config{Headers: map[string]string{"X-Title": "ours"}, Models: []string{"my-*"}}
	p, err := anthropic.New(c)
	if err != nil {
		t.Fatal(err)
	}
	c.Headers["X-Title"], c.Models[0] = "changed", "changed"
	// The router shares the client's value slices with the request.
	title := []string{"theirs"}
	r := &http.Request{Header: http.Header{"X-Title": title}}
	if err := p.Enrich(r, &llmproxy.Exchange{}); err != nil {
		t.Fatal(err)
	}
	if got := r.Header.Get("X-Title"); got != "ours" || title[0] != "theirs" {
		t.Errorf("X-Title is %q, the client's %q", got, title)
	}
	if got := p.Routing().Models; !slices.Equal(got, []string{"my-*"}) {
		t.Errorf("patterns are %q after the configuration changed", got)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	type faults []string // field: problem
	const (
		wantURL  = "base_url: want an http:// or https:// URL with a host and without user, query and fragment"
		wantKey  = "api_key: spaces, line ends and other control characters have no place in it"
		wantName = "name: spaces, control characters and / have no place in it: it is a part of models and paths"
	)
	for _, tt := range []struct {
		name   string
		config anthropic.Config
		want   faults
	}{
		{"a key for a URL", anthropic.Config{BaseURL: canary}, faults{wantURL}},
		{"another scheme", anthropic.Config{BaseURL: "unix:///run/" + canary}, faults{wantURL}},
		{"a password", anthropic.Config{BaseURL: "https://me:" + canary + "@host/v1"}, faults{wantURL}},
		{"a query", anthropic.Config{BaseURL: "https://host/v1?key=" + canary}, faults{wantURL}},
		{"a line end in the key", anthropic.Config{APIKey: canary + "\n"}, faults{wantKey}},
		{
			"a space in the token",
			anthropic.Config{AuthToken: "Bearer " + canary},
			faults{"auth_token: spaces, line ends and other control characters have no place in it"},
		},
		{"both", anthropic.Config{APIKey: canary, AuthToken: canary}, faults{"auth_token: only one of api_key and auth_token can be sent"}},
		{"a slash in the name", anthropic.Config{Name: "a/b"}, faults{wantName}},
		{"an empty pattern", anthropic.Config{Models: []string{"a", ""}}, faults{"models: pattern 2 is empty"}},
		{"a negative timeout", anthropic.Config{Timeout: -1}, faults{"timeout: is negative"}},
		{
			"headers",
			anthropic.Config{Headers: map[string]string{
				"X-Api-Key: " + canary:   "",
				"connection":             canary,
				"HOST":                   canary,
				"sec-websocket-protocol": canary,
				"X-Two":                  canary,
				"x-two":                  canary,
				"X-Lines":                canary + "\nX-Other: 1",
				"":                       canary,
				"X-Fine":                 canary + "\tvé",
			}},
			faults{
				"headers: one of the names is not a field name",
				"headers: one of the names is not a field name",
				"headers: Host is set by the gateway",
				"headers: X-Lines has a value with a line end or another control character",
				"headers: Connection is set by the gateway",
				"headers: Sec-Websocket-Protocol is set by the gateway",
				"headers: X-Two is given twice",
			},
		},
		{
			"all at once",
			anthropic.Config{Name: "a b", BaseURL: canary, APIKey: canary + " ", AuthToken: canary, Timeout: -1},
			faults{wantName, wantURL, wantKey, "timeout: is negative", "auth_token: only one of api_key and auth_token can be sent"},
		},
	} {
		providertest.Faults(t, tt.name, anthropic.New, tt.config, tt.want, canary)
	}
}

// However a configuration or a provider is printed, logged or encoded: no secret.
func TestSecretsStayIn(t *testing.T) {
	t.Parallel()
	for _, c := range []anthropic.Config{
		{Name: "mine", APIKey: canary, Headers: map[string]string{"X-Token": canary}},
		{Name: "mine", AuthToken: canary},
	} {
		p, err := anthropic.New(c)
		if err != nil {
			t.Fatal(err)
		}
		providertest.Hides(t, c, p, canary)
		if got, want := c.String(), "provider mine (anthropic)"; got != want {
			t.Errorf("String: got %s, want %s", got, want)
		}
	}
}
