// Package googleai makes the provider of Google's Gemini API, the one with API keys.
//
// It speaks generateContent and its siblings below /v1beta, and Google's
// OpenAI-compatible Chat Completions, Embeddings and Images below /v1beta/openai.
// Requests and answers stay as they are.
package googleai

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/embeddings"
	"github.com/llmproxy/llmproxy/dialect/gemini"
	"github.com/llmproxy/llmproxy/dialect/images"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
	"github.com/llmproxy/llmproxy/wire"
)

// Type is the provider's type, and its name unless the configuration gives another.
const Type = "googleai"

const (
	address    = "https://generativelanguage.googleapis.com"
	apiPath    = "/v1beta"
	compatible = apiPath + "/openai"
)

// New returns the provider that c describes. The error joins a *[FieldError] for each
// fault of c. What c points to is copied.
func New(c Config) (*llmproxy.BaseProvider, error) {
	// What all providers have in common is checked there. The key is sent by us.
	p, err := openai_compatible.New(openai_compatible.Config{
		Name: c.name(), BaseURL: cmp.Or(c.BaseURL, address),
		APIKey: c.APIKey, ClientKeys: true,
		Headers: c.Headers, Models: c.Models, Timeout: c.Timeout,
	})
	if err != nil {
		return nil, err
	}
	p.Speaks = map[llmproxy.APIType]llmproxy.API{
		llmproxy.APIGenerateContent: {NewExtractor: gemini.New},
		// Streams report usage on every chunk, unasked.
		llmproxy.APIChatCompletions: {NewExtractor: gemini.NewChat},
		llmproxy.APIEmbeddings:      {NewExtractor: embeddings.New},
		llmproxy.APIImages:          {NewExtractor: images.New},
	}
	p.Routes = llmproxy.Routing{
		Models: p.Routes.Models,
		BuiltIn: []string{
			"gemini-*", "gemma-*", "models/gemini-*", "models/gemma-*", "learnlm-*",
			"text-embedding-004", "gemini-embedding-*", "imagen-*", "veo-*",
		},
		Prefixes: []string{"google", "gemini"},
		Paths:    []llmproxy.APIType{llmproxy.APIGenerateContent},
	}
	p.Options = llmproxy.Settings{ClientKeys: c.ClientKeys, Timeout: c.Timeout, KeyQuery: "key"}
	if p.URLs, err = newURLs(cmp.Or(c.BaseURL, address)); err != nil {
		return nil, err
	}
	if !c.ClientKeys && c.APIKey != "" {
		p.Enricher = withKey(c.APIKey, p.Enricher)
	}
	return p, nil
}

// enricher is a function, so that the key is out of reach of fmt, encoding/json and
// reflect: printing a provider cannot show it.
type enricher func(r *http.Request, x *llmproxy.Exchange) error

// Enrich adds the credential, and then the operator's header fields over all else.
func (e enricher) Enrich(r *http.Request, x *llmproxy.Exchange) error { return e(r, x) }

// withKey sends key as x-goog-api-key, which the OpenAI-compatible paths take as well.
// Google refuses a request that has two credentials.
func withKey(key string, next llmproxy.RequestEnricher) llmproxy.RequestEnricher {
	return enricher(func(r *http.Request, x *llmproxy.Exchange) error {
		r.Header.Set("X-Goog-Api-Key", key)
		return next.Enrich(r, x)
	})
}

// urls are those of a base URL, but for models that are named with their collection.
type urls struct{ llmproxy.BaseURL }

func newURLs(base string) (urls, error) {
	// People copy the base URL of the OpenAI-compatible API from Google's guide.
	base = strings.TrimRight(base, "/")
	if root, ok := strings.CutSuffix(base, compatible); ok {
		base = root
	}
	paths := map[llmproxy.APIType]string{}
	for _, api := range []llmproxy.APIType{
		llmproxy.APIChatCompletions, llmproxy.APIEmbeddings, llmproxy.APIImages,
		"models", "files", "batches", "videos", "audio",
	} {
		paths[api] = compatible
	}
	u, err := llmproxy.NewBaseURL(base, apiPath, paths)
	return urls{u}, err
}

// Resolve returns the URL of x's operation. A model that a body names "models/gemini-…",
// as Google's lists do, is not put below models a second time.
func (u urls) Resolve(x *llmproxy.Exchange) (*url.URL, error) {
	if x.Operation.API == llmproxy.APIGenerateContent && !x.Operation.Mount {
		rest, escaped := strings.CutPrefix(x.UpstreamPath(), "/models/models%2F")
		bare := false
		if !escaped {
			rest, bare = strings.CutPrefix(x.UpstreamPath(), "/models/models/")
		}
		if escaped || bare {
			x = x.Clone()
			x.Operation.Path, x.Operation.ModelAt = "/models/"+rest, wire.Span{}
		}
	}
	return u.BaseURL.Resolve(x)
}
