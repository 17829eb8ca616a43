package bedrock_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/bedrock"
	"github.com/llmproxy/llmproxy/providers/internal/provider/providertest"
	"github.com/llmproxy/llmproxy/wire"
)

func resolve(t *testing.T, p llmproxy.Provider, op llmproxy.Operation) string {
	t.Helper()
	u, err := p.Resolve(&llmproxy.Exchange{Operation: op})
	if err != nil {
		t.Fatal(err)
	}
	return u.String()
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]bedrock.Config{
		"https://bedrock-runtime.eu-west-3.amazonaws.com":          {Region: "eu-west-3"},
		"https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com": {Region: "us-gov-west-1", FIPS: true},
		"https://bedrock-runtime.cn-north-1.amazonaws.com.cn":      {Region: "cn-north-1"},
		"https://host:8443/base":                                   {Region: "us-east-1", BaseURL: "https://host:8443/base/"},
		"http://localhost:1234":                                    {BaseURL: "http://localhost:1234"},
	} {
		c.BearerToken = ourToken
		p, err := bedrock.New(c)
		if err != nil {
			t.Errorf("%s: %v", want, err)
			continue
		}
		for _, tt := range []struct {
			op   llmproxy.Operation
			path string
		}{
			{llmproxy.Operation{API: llmproxy.APIConverse, Path: "/model/a%3A0/converse"}, "/model/a%3A0/converse"},
			{llmproxy.Operation{API: llmproxy.APIInvokeModel, Path: "/model/a:0/invoke"}, "/model/a:0/invoke"},
			{llmproxy.Operation{API: llmproxy.APIChatCompletions, Path: "/chat/completions"}, "/openai/v1/chat/completions"},
			{llmproxy.Operation{API: llmproxy.APIResponses, Path: "/responses/resp_1/cancel"}, "/openai/v1/responses/resp_1/cancel"},
			{llmproxy.Operation{API: llmproxy.APIMessages, Path: "/messages"}, "/anthropic/v1/messages"},
			{llmproxy.Operation{API: llmproxy.APIMessages, Path: "/v1/messages", Mount: true}, "/v1/messages"},
			{llmproxy.Operation{Path: "/guardrail/g/version/1/apply", Mount: true}, "/guardrail/g/version/1/apply"},
		} {
			if got := resolve(t, p, tt.op); got != want+tt.path {
				t.Errorf("got %s, want %s", got, want+tt.path)
			}
		}
	}
}

// Bedrock wants a model in one segment; on a mount paths stay as they stand.
func TestBareSlashesAreEscaped(t *testing.T) {
	t.Parallel()
	p, err := bedrock.New(bedrock.Config{Region: "us-east-1", BearerToken: ourToken})
	if err != nil {
		t.Fatal(err)
	}
	const (
		before, model, after = "/model/", "arn:aws:bedrock:us-east-1:1:inference-profile/us.a%3A0", "/converse"
		host                 = "https://bedrock-runtime.us-east-1.amazonaws.com"
	)
	op := llmproxy.Operation{
		API: llmproxy.APIConverse, Path: before + model + after,
		ModelAt: wire.Span{Start: len(before), End: len(before) + len(model)},
	}
	if got, want := resolve(t, p, op), host+"/model/arn:aws:bedrock:us-east-1:1:inference-profile%2Fus.a%3A0/converse"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	u, err := p.Resolve(&llmproxy.Exchange{Operation: op, Route: llmproxy.Route{Model: "a/b:c"}, Meta: llmproxy.BodyMetadata{Model: "x"}})
	if want := host + "/model/a%2Fb%3Ac/converse"; err != nil || u.String() != want {
		t.Errorf("another model: got %s, %v, want %s", u, err, want)
	}
	op.Mount = true
	if got, want := resolve(t, p, op), host+op.Path; got != want {
		t.Errorf("on the mount: got %s, want %s", got, want)
	}
}

func TestRouting(t *testing.T) {
	t.Parallel()
	p, err := bedrock.New(bedrock.Config{Name: "mine", Region: "us-east-1", BearerToken: ourToken, Models: []string{"my-*"}, Timeout: time.Minute, ClientKeys: true})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.Settings(), (llmproxy.Settings{Timeout: time.Minute, ClientKeys: true, KeyQuery: []string{
		"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-Security-Token", "X-Amz-Signature", "X-Amz-SignedHeaders",
	}}); !reflect.DeepEqual(got, want) {
		t.Errorf("settings are %+v, want %+v", got, want)
	}
	r := p.Routing()
	if !slices.Equal(r.Models, []string{"my-*"}) || !slices.Equal(r.Paths, []llmproxy.APIType{llmproxy.APIConverse, llmproxy.APIInvokeModel}) || p.Name() != "mine" {
		t.Errorf("%s routes %+v", p.Name(), r)
	}
	for api, includeUsage := range map[llmproxy.APIType]bool{
		llmproxy.APIConverse: false, llmproxy.APIInvokeModel: false, llmproxy.APIMessages: false,
		llmproxy.APIResponses: false, llmproxy.APIChatCompletions: true,
	} {
		if a, ok := p.API(api); !ok || a.NewExtractor == nil || a.IncludeUsage != includeUsage {
			t.Errorf("%s: %+v, %v", api, a, ok)
		}
	}
	if _, ok := p.API(llmproxy.APIEmbeddings); ok {
		t.Error("the host has no embeddings of OpenAI's shape")
	}
	no := false
	p, err = bedrock.New(bedrock.Config{Region: "us-east-1", BearerToken: ourToken, IncludeUsage: &no})
	if err != nil {
		t.Fatal(err)
	}
	if a, _ := p.API(llmproxy.APIChatCompletions); a.IncludeUsage {
		t.Error("usage is asked for though the operator does not want it")
	}
}

// Names of Bedrock's find it without a prefix; those of others do not.
func TestModels(t *testing.T) {
	t.Parallel()
	urls, err := llmproxy.NewBaseURL("http://fallback", "/v1", nil)
	if err != nil {
		t.Fatal(err)
	}
	fallback := &llmproxy.BaseProvider{ID: "fallback", URLs: urls, Speaks: map[llmproxy.APIType]llmproxy.API{llmproxy.APIChatCompletions: {}}}
	g := newRig(t, bedrock.Config{BearerToken: ourToken}, llmproxy.WithProvider(fallback), llmproxy.WithFallback("fallback"))
	for model, want := range map[string]bool{
		"amazon.nova-lite-v1:0": true, "us.amazon.nova-lite-v1:0": true, "anthropic.claude-sonnet-4-20250514-v1:0": true,
		"global.anthropic.claude-sonnet-4-5-20250929-v1:0": true, "us-gov.anthropic.claude-x": true, "meta.llama3-70b-instruct-v1:0": true,
		"jp.anthropic.claude-x": true, "apac.amazon.nova-pro-v1:0": true, "openai.gpt-oss-120b-1:0": true, "qwen.qwen3-32b-v1:0": true,
		"arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-x": true,
		"arn:aws-cn:bedrock:cn-north-1:1:application-inference-profile/abc":              true,
		"arn:aws:bedrock:us-east-1:1:default-prompt-router/anthropic.claude:1":           true,

		"claude-sonnet-4-5": false, "gpt-4.1": false, "qwen3-32b": false, "mistral-large": false, "google/gemma-3": false, "us.x": false,
	} {
		body, _ := json.Marshal(map[string]string{"model": model})
		got := g.Do("POST", "/v1/chat/completions", string(body), nil).Call
		if found := got.Host != "fallback"; found != want || got.URI == "" {
			t.Errorf("%s: Bedrock's is %v, want %v", model, found, want)
		}
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	const (
		secret     = "canary"
		wantKey    = "spaces, line ends and other control characters have no place in it"
		wantRegion = "region: want an AWS region, such as us-east-1"
		wantURL    = "base_url: want an http:// or https:// URL with a host and without user, query and fragment"
		wantAny    = "bearer_token: no credential; want it, or access_key_id and secret_access_key, or those of AWS's own tools"
	)
	for name, tt := range map[string]struct {
		config bedrock.Config
		want   []string
	}{
		"nothing":               {bedrock.Config{}, []string{wantAny, "region: missing; want an AWS region, such as us-east-1"}},
		"no region to sign for": {bedrock.Config{BaseURL: "http://host", AccessKeyID: "a", SecretAccessKey: "b"}, []string{"region: missing; requests cannot be signed without it"}},
		"no region":             {bedrock.Config{Region: secret + " 1", BearerToken: "a"}, []string{wantRegion}},
		"half a region":         {bedrock.Config{Region: "us-east", BearerToken: "a"}, []string{wantRegion}},
		"a password":            {bedrock.Config{Region: "us-east-1", BearerToken: "a", BaseURL: "https://me:" + secret + "@host"}, []string{wantURL}},
		"two endpoints":         {bedrock.Config{FIPS: true, BearerToken: "a", BaseURL: "https://host"}, []string{"fips: base_url says where the endpoint is; want one of the two"}},
		"line ends":             {bedrock.Config{Region: "us-east-1", BearerToken: secret + "\n"}, []string{"bearer_token: " + wantKey}},
		"line ends in keys": {
			bedrock.Config{Region: "us-east-1", AccessKeyID: secret + " ", SecretAccessKey: secret + "\n", SessionToken: secret + "\x7f"},
			[]string{"access_key_id: " + wantKey, "secret_access_key: " + wantKey, "session_token: " + wantKey},
		},
		"no id":          {bedrock.Config{Region: "us-east-1", SecretAccessKey: secret}, []string{"access_key_id: missing; secret_access_key is there"}},
		"no secret":      {bedrock.Config{Region: "us-east-1", AccessKeyID: secret}, []string{"secret_access_key: missing; access_key_id is there"}},
		"a session only": {bedrock.Config{Region: "us-east-1", SessionToken: secret}, []string{"session_token: is of no use without access_key_id and secret_access_key"}},
		"others'": {
			bedrock.Config{Name: "a/b", Region: "us-east-1", BearerToken: "a", Timeout: -1, Models: []string{""}, Headers: map[string]string{"Host": secret}},
			[]string{
				"headers: Host is set by the gateway", "models: pattern 1 is empty",
				"name: spaces, control characters and / have no place in it: it is a part of models and paths", "timeout: is negative",
			},
		},
	} {
		providertest.Faults(t, name, bedrock.New, tt.config, tt.want, secret)
	}
}

func TestRegionOfTheAddress(t *testing.T) {
	t.Parallel()
	for address, found := range map[string]bool{
		"https://bedrock-runtime.eu-west-1.amazonaws.com/":                         true,
		"https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com":                 true,
		"https://vpce-0a1-b2.bedrock-runtime.us-east-1.vpce.amazonaws.com":         true,
		"https://bedrock-runtime.cn-north-1.amazonaws.com.cn":                      true,
		"https://bedrock-runtime.us-east-1.api.aws":                                true,
		"HTTPS://Bedrock-Runtime.US-East-1.AmazonAWS.com":                          true,
		"https://proxy.example.com/bedrock-runtime.us-east-1.amazonaws.com":        false,
		"https://bedrock-runtime.us-east-1.example.com":                            false,
		"https://example.com/?x=https://bedrock-runtime.us-east-1.amazonaws.com/a": false,
	} {
		_, err := bedrock.New(bedrock.Config{BaseURL: address, AccessKeyID: "a", SecretAccessKey: "b"})
		if (err == nil) != found {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// However a configuration or a provider is printed, logged or encoded: no secret.
func TestSecretsStayIn(t *testing.T) {
	t.Parallel()
	const canary = "canary-0123456789"
	for _, c := range []bedrock.Config{
		{Name: "mine", Region: "us-east-1", AccessKeyID: canary, SecretAccessKey: canary, SessionToken: canary, Headers: map[string]string{"X-Token": canary}},
		{Name: "mine", Region: "us-east-1", BearerToken: canary, Credentials: aws.NewCredentialsCache(aws.AnonymousCredentials{})},
	} {
		p, err := bedrock.New(c)
		if err != nil {
			t.Fatal(err)
		}
		// Also once the signer has derived its keys.
		r, err := http.NewRequest("POST", "https://host/model/a/converse", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Enrich(r, &llmproxy.Exchange{}); err != nil {
			t.Fatal(err)
		}
		providertest.Hides(t, c, p, canary)
		if got, want := c.String(), "provider mine (bedrock)"; got != want {
			t.Errorf("String: got %s, want %s", got, want)
		}
	}
}

func ExampleNew() {
	p, err := bedrock.New(bedrock.Config{Region: "eu-west-3", BearerToken: "key"})
	if err != nil {
		fmt.Println(err)
		return
	}
	u, err := p.Resolve(&llmproxy.Exchange{Operation: llmproxy.Operation{
		API: llmproxy.APIConverse, Path: "/model/eu.amazon.nova-lite-v1%3A0/converse",
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(u)
	// Output: https://bedrock-runtime.eu-west-3.amazonaws.com/model/eu.amazon.nova-lite-v1%3A0/converse
}
