// Package cohere makes the provider of Cohere: of its own API, version 2 (chat, embed and
// rerank), and of what it serves in OpenAI's shape. What else it has passes through on
// the provider's mount.
package cohere

import (
	"cmp"
	"fmt"
	"io"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/chat"
	native "github.com/llmproxy/llmproxy/dialect/cohere"
	"github.com/llmproxy/llmproxy/dialect/embeddings"
	"github.com/llmproxy/llmproxy/providers/internal/setting"
)

// Type is the provider's type, and its name unless the configuration gives another.
const Type = "cohere"

// Config says how to use Cohere: at least APIKey, or ClientKeys.
//
// However a Config is printed, logged or encoded, it shows its name only.
type Config struct {
	Name string // "" means "cohere"
	// BaseURL is the address of another service that is called in the same way, with or
	// without /v2, with or without a trailing slash. "" means Cohere's.
	BaseURL string
	APIKey  string // sent as Authorization: Bearer; "" sends none
	// ClientKeys forwards the client's own credential. APIKey is never sent then.
	ClientKeys bool
	Headers    map[string]string // set on every request, in place of the client's and of our own
	Models     []string          // patterns of models to route here
	Timeout    time.Duration     // for the header of an answer; 0 means the router's
}

// FieldError is one fault of a [Config]. [New] joins all it finds.
type FieldError = setting.FieldError

// New returns the provider that c describes. The error joins a *[FieldError] for each
// fault of c. What c points to is copied.
func New(c Config) (*llmproxy.BaseProvider, error) {
	const compatible = "/compatibility/v1"
	p, err := setting.Common{
		Name: c.name(), BaseURL: c.BaseURL, APIKey: c.APIKey, ClientKeys: c.ClientKeys,
		Headers: c.Headers, Models: c.Models, Timeout: c.Timeout,
	}.Provider(setting.Service{
		Type: Type, BaseURL: "https://api.cohere.com", APIPath: "/v2",
		Paths: map[llmproxy.APIType]string{
			llmproxy.APIChatCompletions: compatible,
			llmproxy.APIEmbeddings:      compatible,
			// Version 1 serves what is asked for as /v1/models and /v1/rerank.
			"models": "/v1", "rerank": "/v1",
		},
		Models: []string{"command-*", "command", "embed-*", "rerank-*", "c4ai-*"},
	})
	if err != nil {
		return nil, err
	}
	p.Speaks = map[llmproxy.APIType]llmproxy.API{
		llmproxy.APICohere: {NewExtractor: native.New},
		// Whether streams need include_usage is not documented; what clients ask for passes.
		llmproxy.APIChatCompletions: {NewExtractor: chat.New},
		llmproxy.APIEmbeddings:      {NewExtractor: embeddings.New},
	}
	p.Routes.Paths = []llmproxy.APIType{llmproxy.APICohere}
	return p, nil
}

// name returns the name the provider gets.
func (c Config) name() string { return cmp.Or(c.Name, Type) }

// String names the provider and its type, no more.
func (c Config) String() string { return fmt.Sprintf("provider %s (%s)", c.name(), Type) }

// Format writes String, whatever the verb: %#v or %d would show the key.
func (c Config) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// MarshalText returns String: JSON and YAML would show the key.
func (c Config) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
