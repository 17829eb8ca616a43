// Package bedrock makes the provider of Amazon Bedrock's runtime.
//
// It speaks Converse and InvokeModel and, at paths of their own on the same host, OpenAI's
// Chat Completions and Responses and Anthropic's Messages; what else the host has passes
// through on the mount. Requests and answers stay as they are. A request is sent with a
// Bedrock API key, or signed as the last thing before it is sent, on each attempt anew.
package bedrock

import (
	"net/url"
	"strings"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/dialect/chat"
	"github.com/llmproxy/llmproxy/dialect/converse"
	"github.com/llmproxy/llmproxy/dialect/invoke"
	"github.com/llmproxy/llmproxy/dialect/messages"
	"github.com/llmproxy/llmproxy/dialect/responses"
	"github.com/llmproxy/llmproxy/providers/internal/setting"
	"github.com/llmproxy/llmproxy/wire"
)

// Type is the provider's type, and its name unless the configuration gives another.
const Type = "bedrock"

// The environment variables of a Bedrock API key and of the region, as AWS's SDKs know
// them. RegionEnv comes first.
const (
	BearerTokenEnv   = "AWS_BEARER_TOKEN_BEDROCK"
	RegionEnv        = "AWS_REGION"
	DefaultRegionEnv = "AWS_DEFAULT_REGION"
)

// New returns the provider that c describes. The error joins a *[FieldError] for each
// fault of c. What c points to is copied, but for c.Credentials.
func New(c Config) (*llmproxy.BaseProvider, error) {
	bearer := c.BearerToken
	if !setting.Visible(bearer) {
		bearer = "" // a fault of its own
	}
	p, err := setting.Common{
		Name: c.name(), BaseURL: c.address(), APIKey: bearer, ClientKeys: c.ClientKeys,
		Headers: c.Headers, Models: c.Models, Timeout: c.Timeout,
	}.Provider(setting.Service{
		Type: Type,
		Paths: map[llmproxy.APIType]string{
			llmproxy.APIChatCompletions: "/openai/v1",
			llmproxy.APIResponses:       "/openai/v1",
			"models":                    "/openai/v1",
			llmproxy.APIMessages:        "/anthropic/v1",
		},
		Models: models(),
	}, c.faults()...)
	if err != nil {
		return nil, err
	}
	includeUsage := c.IncludeUsage == nil || *c.IncludeUsage
	p.Speaks = map[llmproxy.APIType]llmproxy.API{
		llmproxy.APIConverse:        {NewExtractor: converse.New},
		llmproxy.APIInvokeModel:     {NewExtractor: invoke.New},
		llmproxy.APIChatCompletions: {NewExtractor: chat.New, IncludeUsage: includeUsage},
		llmproxy.APIResponses:       {NewExtractor: responses.New},
		llmproxy.APIMessages:        {NewExtractor: messages.New},
	}
	p.Routes.Paths = []llmproxy.APIType{llmproxy.APIConverse, llmproxy.APIInvokeModel}
	p.Options.KeyQuery = []string{ // of a presigned request
		"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-Security-Token", "X-Amz-Signature", "X-Amz-SignedHeaders",
	}
	p.URLs = urls{p.URLs}
	p.Enricher = credentials(c, p.Enricher)
	return p, nil
}

// models returns the patterns of names that are Bedrock's: those of foundation models
// begin with their maker, those of inference profiles with a part of the world before it.
func models() []string {
	return []string{
		"ai21.*", "amazon.*", "anthropic.*", "cohere.*", "deepseek.*", "google.gemma-*", "luma.*", "meta.*",
		"minimax.*", "mistral.*", "moonshot.*", "moonshotai.*", "nvidia.*", "openai.gpt-*", "qwen.*",
		"stability.*", "twelvelabs.*", "writer.*", "xai.*", "zai.*",
		"us.*.*", "us-gov.*.*", "ca.*.*", "sa.*.*", "eu.*.*", "apac.*.*", "jp.*.*", "au.*.*", "global.*.*",
		// Inference profiles, provisioned, imported and custom models, prompts, routers.
		"arn:aws*:bedrock:*", "arn:aws*:sagemaker:*:endpoint/*",
	}
}

// urls are those of a base URL, but for models that clients write with bare slashes.
type urls struct{ llmproxy.URLResolver }

// Resolve returns the URL of x's operation. Bedrock takes a model for one segment of a
// path: the slashes of an ARN are escaped. On a mount paths stay as they stand.
func (u urls) Resolve(x *llmproxy.Exchange) (*url.URL, error) {
	op := &x.Operation
	if at := op.ModelAt; at.Found() && !op.Mount && x.UpstreamPath() == op.Path {
		if model := op.Path[at.Start:at.End]; strings.Contains(model, "/") {
			path := op.Path[:at.Start] + strings.ReplaceAll(model, "/", "%2F") + op.Path[at.End:]
			x = x.Clone()
			x.Operation.Path, x.Operation.ModelAt = path, wire.Span{}
		}
	}
	return u.URLResolver.Resolve(x)
}
