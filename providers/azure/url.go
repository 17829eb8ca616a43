package azure

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/internal/setting"
	"github.com/llmproxy/llmproxy/wire"
)

const (
	apiPath     = "/openai"
	anthropic   = "/anthropic"
	v1          = "/v1"
	deployments = "/deployments/"
)

// places says where requests go.
type places struct {
	base       llmproxy.URLResolver // the root, and apiPath for all that is on no mount
	foundry    llmproxy.URLResolver // of Claude; nil where there is none
	dated      bool                 // models are asked for by deployment
	version    string               // for requests without one; "" adds none
	deployment string               // of all requests; "" means the model
}

func newPlaces(c Config, base llmproxy.URLResolver) places {
	p := places{base: base, dated: c.dated(), version: c.APIVersion, deployment: c.Deployment}
	if root := c.foundry(); root != "" {
		if urls, err := llmproxy.NewBaseURL(root, anthropic+v1, nil); err == nil {
			p.foundry = urls
		}
	}
	return p
}

// foundry returns the address of the resource at Foundry, which serves Claude; "" where
// there is none, or none that is known.
func (c Config) foundry() string {
	const host = ".services.ai.azure.com"
	if c.BaseURL == "" {
		return "https://" + c.Resource + host
	}
	base := strings.TrimSuffix(strings.TrimRight(c.baseURL(), "/"), apiPath)
	if u, err := url.Parse(base); err != nil || !strings.HasSuffix(u.Hostname(), host) {
		return ""
	}
	return base
}

// Resolve returns the URL of x's operation. On the provider's mount, path and query
// stand as the client sent them.
func (p places) Resolve(x *llmproxy.Exchange) (*url.URL, error) {
	switch {
	case p.claude(x):
		return p.foundry.Resolve(x)
	case x.Operation.Mount:
		return p.base.Resolve(x)
	}
	path, err := p.path(x)
	if err != nil {
		return nil, err
	}
	at := x.Clone()
	at.Operation.Path, at.Operation.ModelAt = path, wire.Span{}
	u, err := p.base.Resolve(at)
	if err != nil {
		return nil, err
	}
	if p.version != "" && !setting.HasParameter(x.RawQuery, "api-version") {
		u.RawQuery = "api-version=" + p.version
	}
	return u, nil
}

// claude reports whether x goes to Foundry's API of Claude.
func (p places) claude(x *llmproxy.Exchange) bool {
	op := x.Operation
	if op.Mount {
		return p.foundry != nil && strings.HasPrefix(op.Path, anthropic+"/")
	}
	return p.foundry != nil && op.API == llmproxy.APIMessages
}

// path returns the path of x's operation below apiPath.
func (p places) path(x *llmproxy.Exchange) (string, error) {
	path := x.UpstreamPath()
	if rest, ok := strings.CutPrefix(path, apiPath+deployments); ok {
		return deployments + rest, nil
	}
	if !p.dated {
		return v1 + path, nil
	}
	if !byDeployment(path) || x.Method == http.MethodGet {
		return path, nil
	}
	name := p.deployment
	if name == "" {
		name = x.UpstreamModel()
	}
	if name == "" {
		return "", llmproxy.BadRequest("the request names no model, and the provider has no deployment of its own: post to /openai/deployments/NAME" + path)
	}
	if !isSegment(name) {
		return "", llmproxy.BadRequest("the model is no name of a deployment")
	}
	return deployments + url.PathEscape(name) + path, nil
}

// byDeployment reports whether the dated API has path below each deployment. The rest is
// the resource's: Responses and files, for example.
func byDeployment(path string) bool {
	switch path {
	case "/chat/completions", "/completions", "/embeddings",
		"/images/generations", "/images/edits",
		"/audio/transcriptions", "/audio/translations", "/audio/speech":
		return true
	}
	return false
}

// isSegment reports whether name, escaped, is one segment of a path.
func isSegment(name string) bool { return name != "." && name != ".." }

// scope returns the scope of a token for x.
func (p places) scope(x *llmproxy.Exchange) scope {
	path := x.Operation.Path
	switch {
	case p.claude(x):
		return ai
	case x.Operation.Mount && (path == apiPath+v1 || strings.HasPrefix(path, apiPath+v1+"/")):
		return ai
	case x.Operation.Mount, p.dated, strings.HasPrefix(path, apiPath+deployments):
		return cognitiveServices
	}
	return ai
}
