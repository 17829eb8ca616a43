// Package azure makes the provider of OpenAI's models in Azure, in both of the forms that
// Azure serves them: by deployment, with a dated API version, and at /openai/v1.
//
// It speaks OpenAI's APIs and, for Claude in Foundry, Messages. Requests and answers stay
// as they are. Tokens of Entra ID come from a [TokenSource]; package entra has one.
package azure

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/chat"
	"github.com/llmproxy/llmproxy/dialect/completions"
	"github.com/llmproxy/llmproxy/dialect/embeddings"
	"github.com/llmproxy/llmproxy/dialect/images"
	"github.com/llmproxy/llmproxy/dialect/messages"
	"github.com/llmproxy/llmproxy/dialect/responses"
	"github.com/llmproxy/llmproxy/providers/internal/setting"
)

// Type is the provider's type, and its name unless the configuration gives another.
const Type = "azure"

// Config says which resource a provider is and how to use it. Resource or BaseURL is
// needed.
//
// However a Config is printed, logged or encoded, it shows its name only.
type Config struct {
	Name string // "" means "azure"

	// Resource is the name of the resource: its address is
	// https://RESOURCE.openai.azure.com.
	Resource string
	// BaseURL is the address in full, with or without /openai or /openai/v1, with or
	// without a trailing slash.
	BaseURL string

	// APIVersion is the version that requests name unless they name one themselves. A date
	// ("2024-10-21", "2025-04-01-preview") means that models are asked for by deployment,
	// at /openai/deployments/NAME. "", or "v1" or "preview", means /openai/v1, where the
	// model in a body is the deployment's name.
	APIVersion string
	// Deployment is the deployment that all requests go to, whatever their model; ""
	// means the one that is named like the model.
	Deployment string

	// At most one of the following three is the credential.
	APIKey      string // sent as api-key
	AccessToken string // of Entra ID, sent as Authorization: Bearer
	Tokens      TokenSource
	// ClientKeys forwards the client's own credential in place of ours.
	ClientKeys bool

	// Headers are set on every request, in place of the client's and of our own.
	Headers map[string]string
	Models  []string      // patterns of models to route here
	Timeout time.Duration // for the header of an answer; 0 means the router's
	// IncludeUsage says whether stream_options.include_usage may be added to streamed
	// requests. Nil means yes; API versions before September 2024 may refuse it.
	IncludeUsage *bool
}

// name returns the name the provider gets.
func (c Config) name() string { return cmp.Or(c.Name, Type) }

// String names the provider and its type, no more.
func (c Config) String() string { return fmt.Sprintf("provider %s (%s)", c.name(), Type) }

// Format writes String, whatever the verb: %#v or %d would show the key.
func (c Config) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// MarshalText returns String: JSON and YAML would show the key.
func (c Config) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// FieldError is one fault of a [Config]. [New] joins all it finds.
type FieldError = setting.FieldError

// New returns the provider that c describes. The error joins a *[FieldError] for each
// fault of c. What c points to is copied, but for c.Tokens.
func New(c Config) (*llmproxy.BaseProvider, error) {
	p, err := setting.Common{
		Name: c.name(), BaseURL: c.baseURL(), APIKey: c.APIKey, ClientKeys: c.ClientKeys,
		Headers: c.Headers, Models: c.Models, Timeout: c.Timeout,
	}.Provider(setting.Service{Type: Type, APIPath: apiPath, KeyHeader: "Api-Key"}, c.faults()...)
	if err != nil {
		return nil, err
	}
	at := newPlaces(c, p.URLs)
	p.URLs = at
	p.Routes.Deployments = true
	if !c.dated() {
		p.Options.Model = c.Deployment
	}
	includeUsage := c.IncludeUsage == nil || *c.IncludeUsage
	p.Speaks = map[llmproxy.APIType]llmproxy.API{
		llmproxy.APIChatCompletions: {NewExtractor: chat.New, IncludeUsage: includeUsage},
		llmproxy.APICompletions:     {NewExtractor: completions.New, IncludeUsage: includeUsage},
		llmproxy.APIResponses:       {NewExtractor: responses.New},
		llmproxy.APIEmbeddings:      {NewExtractor: embeddings.New},
		llmproxy.APIImages:          {NewExtractor: images.New},
	}
	if at.foundry != nil {
		p.Speaks[llmproxy.APIMessages] = llmproxy.API{NewExtractor: messages.New}
	}
	// One conversation a connection, says its documentation of the mode.
	p.Socket = &llmproxy.WebSocketMode{NoLanes: true, Strict: true}
	p.Enricher = credentials(c, at, p.Enricher)
	return p, nil
}

// baseURL returns the address without /v1, which is no part of it. Where the resource is
// at fault, it is one that lets the rest be checked.
func (c Config) baseURL() string {
	if c.BaseURL == "" {
		resource := c.Resource
		if !resourceName.MatchString(resource) {
			resource = "unknown"
		}
		return "https://" + resource + ".openai.azure.com"
	}
	if base := strings.TrimRight(c.BaseURL, "/"); strings.HasSuffix(base, apiPath+v1) {
		return strings.TrimSuffix(base, v1)
	}
	return c.BaseURL
}

var (
	resourceName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$`)
	date         = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}(-preview)?$`)
	version      = regexp.MustCompile(`^(|v1|preview|latest)$`)
)

// dated reports whether models are asked for by deployment.
func (c Config) dated() bool { return date.MatchString(c.APIVersion) }

// faults returns what is wrong with c besides what all providers have in common.
func (c Config) faults() (faults []error) {
	fault := func(field, problem string) {
		faults = append(faults, setting.Fault(c.name(), field, "%s", problem))
	}
	switch {
	case c.Resource == "" && c.BaseURL == "":
		fault("resource", "missing; want the NAME of https://NAME.openai.azure.com, or a base_url")
	case c.Resource == "":
	case c.BaseURL != "":
		fault("resource", "base_url says where the resource is; want one of the two")
	case !resourceName.MatchString(c.Resource):
		fault("resource", "want the name alone: the NAME of https://NAME.openai.azure.com")
	}
	switch {
	case c.dated() && strings.HasSuffix(strings.TrimRight(c.BaseURL, "/"), apiPath+v1):
		fault("api_version", "a dated version has no place at /openai/v1: want it, or a base_url without /v1")
	case !c.dated() && !version.MatchString(c.APIVersion):
		fault("api_version", "want a date such as 2024-10-21 or 2025-04-01-preview, or none for /openai/v1")
	}
	if !isSegment(c.Deployment) {
		fault("deployment", "want a name, not . or ..")
	}
	if !setting.Visible(c.AccessToken) {
		fault("access_token", setting.NotVisible)
	}
	given := 0
	for _, has := range []bool{c.APIKey != "", c.AccessToken != "", c.Tokens != nil} {
		if has {
			given++
		}
	}
	if given > 1 {
		fault("access_token", "there is another credential; want one")
	}
	return faults
}
