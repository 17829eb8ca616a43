package azure_test

import (
	"fmt"
	"net/http"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/azure"
	"github.com/llmproxy/llmproxy/providers/internal/provider/providertest"
)

// canary is a secret; no output may have it.
const canary = "az-canary-0123456789"

func ExampleNew() {
	provider, err := azure.New(azure.Config{
		Resource: "my-resource",
		APIKey:   os.Getenv("AZURE_OPENAI_API_KEY"),
		Models:   []string{"gpt-*"}, // as the deployments are named
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	router := llmproxy.NewAutoRouter(llmproxy.WithProvider(provider))
	http.Handle("/", router)
	fmt.Println(provider.Name())
	// Output: azure
}

func TestNew(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for _, includeUsage := range []*bool{nil, &yes, &no} {
		p, err := azure.New(azure.Config{
			Name: "east", Resource: "r", Models: []string{"gpt-*"}, Timeout: time.Minute, IncludeUsage: includeUsage,
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Name(); got != "east" {
			t.Errorf("named %s, want east", got)
		}
		want := llmproxy.Routing{Models: []string{"gpt-*"}, Deployments: true}
		if diff := cmp.Diff(want, p.Routing()); diff != "" {
			t.Errorf("routing: want - got +:\n%s", diff)
		}
		if got, want := p.Settings(), (llmproxy.Settings{Timeout: time.Minute}); !reflect.DeepEqual(got, want) {
			t.Errorf("settings are %v, want %v", got, want)
		}
		adds := includeUsage == nil || *includeUsage
		for api, want := range map[llmproxy.APIType]bool{
			llmproxy.APIChatCompletions: adds, llmproxy.APICompletions: adds, llmproxy.APIResponses: false,
			llmproxy.APIEmbeddings: false, llmproxy.APIImages: false, llmproxy.APIMessages: false,
		} {
			if got, ok := p.API(api); !ok || got.NewExtractor() == nil || got.IncludeUsage != want {
				t.Errorf("%s: %+v, %v, want IncludeUsage %v", api, got, ok, want)
			}
		}
		if _, ok := p.API(llmproxy.APIGenerateContent); ok {
			t.Error("claims to speak Gemini's API")
		}
	}
}

// A deployment for all is in the path of the dated API, and the model elsewhere.
func TestDeploymentForAll(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{"": "d", "preview": "d", "2024-10-21": ""} {
		p, err := azure.New(azure.Config{Resource: "r", Deployment: "d", APIVersion: version})
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Settings().Model; got != want {
			t.Errorf("version %q: every model is %q, want %q", version, got, want)
		}
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	type faults []string // field: problem
	const (
		wantResource = "resource: want the name alone: the NAME of https://NAME.openai.azure.com"
		wantURL      = "base_url: want an http:// or https:// URL with a host and without user, query and fragment"
		wantVersion  = "api_version: want a date such as 2024-10-21 or 2025-04-01-preview, or none for /openai/v1"
		oneKey       = "access_token: there is another credential; want one"
		notVisible   = "spaces, line ends and other control characters have no place in it"
	)
	for _, tt := range []struct {
		name   string
		config azure.Config
		want   faults
	}{
		{"nothing", azure.Config{}, faults{"resource: missing; want the NAME of https://NAME.openai.azure.com, or a base_url"}},
		{"a URL for a resource", azure.Config{Resource: "https://" + canary + ".openai.azure.com"}, faults{wantResource}},
		{"a host for a resource", azure.Config{Resource: canary + ".openai.azure.com"}, faults{wantResource}},
		{"a path in a resource", azure.Config{Resource: "a/" + canary}, faults{wantResource}},
		{"a hyphen at the end", azure.Config{Resource: canary + "-"}, faults{wantResource}},
		{"two addresses", azure.Config{Resource: "r", BaseURL: "https://" + canary}, faults{"resource: base_url says where the resource is; want one of the two"}},
		{"no URL", azure.Config{BaseURL: canary}, faults{wantURL}},
		{"the whole target", azure.Config{BaseURL: "https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=" + canary}, faults{wantURL}},
		{"no version", azure.Config{Resource: "r", APIVersion: canary}, faults{wantVersion}},
		{"half a date", azure.Config{Resource: "r", APIVersion: "2024-10"}, faults{wantVersion}},
		{"a date and more", azure.Config{Resource: "r", APIVersion: "2024-10-21&x=" + canary}, faults{wantVersion}},
		{
			"a date for /v1",
			azure.Config{BaseURL: "https://r.openai.azure.com/openai/v1/", APIVersion: "2024-10-21"},
			faults{"api_version: a dated version has no place at /openai/v1: want it, or a base_url without /v1"},
		},
		{"dots for a deployment", azure.Config{Resource: "r", Deployment: ".."}, faults{"deployment: want a name, not . or .."}},
		{"two credentials", azure.Config{Resource: "r", APIKey: canary, AccessToken: canary}, faults{oneKey}},
		{"two others", azure.Config{Resource: "r", APIKey: canary, Tokens: &source{}}, faults{oneKey}},
		{"a line end in the key", azure.Config{Resource: "r", APIKey: canary + "\n"}, faults{"api_key: " + notVisible}},
		{"a line end in the token", azure.Config{Resource: "r", AccessToken: canary + "\r"}, faults{"access_token: " + notVisible}},
		{
			"all at once",
			azure.Config{Name: "a/b", APIVersion: "x", Timeout: -1, Headers: map[string]string{"Host": canary}},
			faults{
				"resource: missing; want the NAME of https://NAME.openai.azure.com, or a base_url",
				wantVersion, "timeout: is negative", "headers: Host is set by the gateway",
				"name: spaces, control characters and / have no place in it: it is a part of models and paths",
			},
		},
	} {
		providertest.Faults(t, tt.name, azure.New, tt.config, tt.want, canary)
	}
}

// However a configuration or a provider is printed or encoded: no secret.
func TestSecretsStayIn(t *testing.T) {
	t.Parallel()
	for _, c := range []azure.Config{
		{Resource: "r", APIKey: canary, Headers: map[string]string{"X-Token": canary}},
		{Resource: "r", AccessToken: canary},
		{BaseURL: "http://host", AccessToken: canary},
		{Resource: "r", Tokens: &source{token: canary}},
	} {
		p, err := azure.New(c)
		if err != nil {
			t.Fatal(err)
		}
		providertest.Hides(t, c, p, canary)
		if got, want := c.String(), "provider azure (azure)"; got != want {
			t.Errorf("String: got %s, want %s", got, want)
		}
	}
}
