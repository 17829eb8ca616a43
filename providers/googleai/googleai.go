// Package googleai makes the provider of Google's Gemini API, the one with API keys.
//
// It speaks generateContent and its siblings below /v1beta, and Google's
// OpenAI-compatible Chat Completions, Embeddings and Images below /v1beta/openai.
// Requests and answers stay as they are.
package googleai

import (
	"bytes"
	"net/url"
	"strings"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/embeddings"
	"github.com/llmproxy/llmproxy/dialect/gemini"
	"github.com/llmproxy/llmproxy/dialect/images"
	"github.com/llmproxy/llmproxy/providers/internal/setting"
	"github.com/llmproxy/llmproxy/wire"
)

// Type is the provider's type, and its name unless the configuration gives another.
const Type = "googleai"

const (
	apiPath    = "/v1beta"
	compatible = apiPath + "/openai"
)

// New returns the provider that c describes. The error joins a *[FieldError] for each
// fault of c. What c points to is copied.
func New(c Config) (*llmproxy.BaseProvider, error) {
	p, err := setting.Common{
		Name: c.name(), BaseURL: c.base(), APIKey: c.APIKey, ClientKeys: c.ClientKeys,
		Headers: c.Headers, Models: c.Models, Timeout: c.Timeout,
	}.Provider(setting.Service{
		Type: Type, BaseURL: "https://generativelanguage.googleapis.com", APIPath: apiPath, Paths: paths(),
		// The OpenAI-compatible paths take it as well. Google refuses a request with two
		// credentials.
		KeyHeader: "X-Goog-Api-Key",
		Models: []string{
			"gemini-*", "gemma-*", "models/gemini-*", "models/gemma-*", "learnlm-*",
			"text-embedding-004", "imagen-*", "veo-*",
		},
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
	p.Routes.Prefixes = []string{"google", "gemini"}
	p.Routes.Paths = []llmproxy.APIType{llmproxy.APIGenerateContent}
	p.Options.KeyQuery = []string{"key", "access_token"}
	// Google answers a wrong key with 400 and this reason.
	p.Options.RejectsKey = func(body []byte) bool { return bytes.Contains(body, []byte(`"API_KEY_INVALID"`)) }
	p.URLs = urls{p.URLs}
	return p, nil
}

// paths returns where the APIs of OpenAI are, as far as Google has them.
func paths() map[llmproxy.APIType]string {
	paths := map[llmproxy.APIType]string{}
	for _, api := range []llmproxy.APIType{
		llmproxy.APIChatCompletions, llmproxy.APIEmbeddings, llmproxy.APIImages,
		"models", "files", "batches", "videos", "audio",
	} {
		paths[api] = compatible
	}
	return paths
}

// base returns the base URL without /openai, which people copy from Google's guide to the
// OpenAI-compatible API.
func (c Config) base() string {
	if base := strings.TrimRight(c.BaseURL, "/"); strings.HasSuffix(base, compatible) {
		return strings.TrimSuffix(base, "/openai")
	}
	return c.BaseURL
}

// urls are those of a base URL, but for models that are named with their collection.
type urls struct{ llmproxy.URLResolver }

// Resolve returns the URL of x's operation. A model that a body names "models/gemini-…",
// as Google's lists do, is not put below models a second time.
func (u urls) Resolve(x *llmproxy.Exchange) (*url.URL, error) {
	if x.Operation.API == llmproxy.APIGenerateContent && !x.Operation.Mount {
		path := x.UpstreamPath()
		for _, twice := range []string{"/models/models%2F", "/models/models/"} {
			if rest, ok := strings.CutPrefix(path, twice); ok {
				x = x.Clone()
				x.Operation.Path, x.Operation.ModelAt = "/models/"+rest, wire.Span{}
				break
			}
		}
	}
	return u.URLResolver.Resolve(x)
}
