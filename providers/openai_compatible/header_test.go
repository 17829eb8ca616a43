package openai_compatible_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

func TestEnrich(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		config openai_compatible.Config
		client http.Header // as far as the router lets it through
		want   http.Header
	}{
		{
			"a key",
			openai_compatible.Config{APIKey: "sk-ours"},
			http.Header{"Accept": {"*/*"}},
			http.Header{"Accept": {"*/*"}, "Authorization": {"Bearer sk-ours"}},
		},
		{"no key", openai_compatible.Config{}, http.Header{}, http.Header{}},
		{
			"a key in a field of its own",
			openai_compatible.Config{APIKey: "sk-ours", APIKeyHeader: "api-key"},
			http.Header{},
			http.Header{"Api-Key": {"sk-ours"}},
		},
		{
			"no key for a field of its own",
			openai_compatible.Config{APIKeyHeader: "api-key"},
			http.Header{},
			http.Header{},
		},
		{
			"the client's key, and a field of its own",
			openai_compatible.Config{ClientKeys: true, APIKey: "sk-ours", APIKeyHeader: "api-key"},
			http.Header{"Api-Key": {"sk-client"}},
			http.Header{"Api-Key": {"sk-client"}},
		},
		{
			"headers over the key's field",
			openai_compatible.Config{APIKey: "sk-ours", APIKeyHeader: "api-key", Headers: map[string]string{"Api-Key": "sk-other"}},
			http.Header{},
			http.Header{"Api-Key": {"sk-other"}},
		},
		{
			"the client's key",
			openai_compatible.Config{ClientKeys: true},
			http.Header{"Authorization": {"Bearer sk-client"}},
			http.Header{"Authorization": {"Bearer sk-client"}},
		},
		{
			"the client's key, and one of ours",
			openai_compatible.Config{ClientKeys: true, APIKey: "sk-ours"},
			http.Header{"Authorization": {"Bearer sk-client"}},
			http.Header{"Authorization": {"Bearer sk-client"}},
		},
		{
			"the client's key, and it sent none",
			openai_compatible.Config{ClientKeys: true, APIKey: "sk-ours"},
			http.Header{},
			http.Header{},
		},
		{
			"headers over the client's",
			openai_compatible.Config{Headers: map[string]string{"x-title": "ours", "User-Agent": "gw", "X-Empty": ""}},
			http.Header{"X-Title": {"theirs", "twice"}, "User-Agent": {"sdk"}, "X-Other": {"kept"}},
			http.Header{"X-Title": {"ours"}, "User-Agent": {"gw"}, "X-Empty": {""}, "X-Other": {"kept"}},
		},
		{
			"headers over the key",
			openai_compatible.Config{APIKey: "sk-ours", Headers: map[string]string{"authorization": "Basic eDp5"}},
			http.Header{},
			http.Header{"Authorization": {"Basic eDp5"}},
		},
		{
			"organization and project",
			openai_compatible.Config{Organization: "org-1", Project: "proj_1"},
			http.Header{"Openai-Organization": {"org-client"}},
			http.Header{"Openai-Organization": {"org-1"}, "Openai-Project": {"proj_1"}},
		},
		{
			"the client's organization",
			openai_compatible.Config{},
			http.Header{"Openai-Organization": {"org-client"}},
			http.Header{"Openai-Organization": {"org-client"}},
		},
		{
			"headers over organization",
			openai_compatible.Config{Organization: "org-1", Headers: map[string]string{"OpenAI-Organization": "org-2"}},
			http.Header{},
			http.Header{"Openai-Organization": {"org-2"}},
		},
	} {
		tt.config.BaseURL = "http://host"
		p, err := openai_compatible.New(tt.config)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := p.Settings().ClientKeys; got != tt.config.ClientKeys {
			t.Errorf("%s: ClientKeys %v, want %v", tt.name, got, tt.config.ClientKeys)
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

// The router shares the client's value slices with the request.
func TestEnrichLeavesTheClientsValuesAlone(t *testing.T) {
	t.Parallel()
	p, err := openai_compatible.New(openai_compatible.Config{
		BaseURL: "http://host", APIKey: "sk-ours", Headers: map[string]string{"X-Title": "ours"},
	})
	if err != nil {
		t.Fatal(err)
	}
	title, key := []string{"theirs"}, []string{"Bearer theirs"}
	r := &http.Request{Header: http.Header{"X-Title": title, "Authorization": key}}
	if err := p.Enrich(r, &llmproxy.Exchange{}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(title, []string{"theirs"}) || !slices.Equal(key, []string{"Bearer theirs"}) {
		t.Errorf("the client's values became %q and %q", title, key)
	}
}

func TestConfigIsCopied(t *testing.T) {
	t.Parallel()
	c := openai_compatible.Config{
		BaseURL: "http://host", Headers: map[string]string{"X-Title": "ours"}, Models: []string{"qwen3-*"},
	}
	p, err := openai_compatible.New(c)
	if err != nil {
		t.Fatal(err)
	}
	c.Headers["X-Title"], c.Models[0] = "changed", "changed"
	r := &http.Request{Header: http.Header{}}
	if err := p.Enrich(r, &llmproxy.Exchange{}); err != nil {
		t.Fatal(err)
	}
	if got := r.Header.Get("X-Title"); got != "ours" {
		t.Errorf("X-Title is %q after the configuration changed", got)
	}
	if got := p.Routing().Models; !slices.Equal(got, []string{"qwen3-*"}) {
		t.Errorf("patterns are %q after the configuration changed", got)
	}
}
