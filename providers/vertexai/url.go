package vertexai

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/wire"
)

const global = "global"

// places says where requests go.
type places struct {
	base llmproxy.URLResolver // the root, and the API version for all that is on no mount
	// parent is the resource that models are below: that of the project and location, or
	// in express mode "".
	parent string
}

func newPlaces(c Config, base llmproxy.URLResolver) places {
	p := places{base: base}
	if c.Project != "" {
		p.parent = "/projects/" + c.Project + "/locations/" + cmp.Or(c.Location, global)
	}
	return p
}

// Resolve returns the URL of x's operation. On the provider's mount, the path stands as
// the client sent it, project and location included.
func (p places) Resolve(x *llmproxy.Exchange) (*url.URL, error) {
	if x.Operation.Mount {
		return p.base.Resolve(x)
	}
	path, err := p.path(x)
	if err != nil {
		return nil, err
	}
	at := x.Clone()
	at.Operation.Path, at.Operation.ModelAt = path, wire.Span{}
	return p.base.Resolve(at)
}

// path returns the path of x's operation below the API version.
func (p places) path(x *llmproxy.Exchange) (string, error) {
	op := &x.Operation
	switch {
	case op.API == llmproxy.APIMessages:
		// In the body Vertex AI wants anthropic_version and no model, and in a body that
		// passes through nothing is added.
		return "", &llmproxy.Error{
			Status: http.StatusBadRequest, Type: "invalid_request_error", Code: "unsupported_api",
			Message: "Vertex AI takes Messages in a form of its own, and requests are not translated yet: " +
				"send it as Anthropic's SDKs for Vertex AI do, with the provider's mount as base URL",
			NoRetry: true,
		}
	case op.API == llmproxy.APIChatCompletions:
		if p.parent == "" {
			return "", llmproxy.BadRequest("Vertex AI has Chat Completions below a project, and the provider has none")
		}
		return p.parent + "/endpoints/openapi" + op.Path, nil
	case x.Method == http.MethodGet:
		return "/publishers/google" + x.UpstreamPath(), nil // a list of models, or one
	case op.ModelAt.Found() && strings.Contains(x.UpstreamModel(), "/"):
		resource, err := p.resource(x.UpstreamModel())
		if err != nil {
			return "", err
		}
		return resource + op.Path[op.ModelAt.End:], nil
	}
	return p.parent + "/publishers/google" + x.UpstreamPath(), nil
}

// resource returns the path of a model that is named with slashes, in the forms that
// Google's SDKs know: publisher/model, and names of resources.
func (p places) resource(model string) (string, error) {
	segments := strings.Split(model, "/")
	for i, s := range segments {
		if s == "" || s == "." || s == ".." {
			return "", llmproxy.BadRequest("the model is no name of a resource")
		}
		segments[i] = strings.ReplaceAll(url.PathEscape(s), ":", "%3A")
	}
	path := "/" + strings.Join(segments, "/")
	switch {
	case segments[0] == "projects":
		return path, nil
	case segments[0] == "publishers":
		return p.parent + path, nil
	case segments[0] == "models":
		return p.parent + "/publishers/google" + path, nil
	case len(segments) == 2:
		return p.parent + "/publishers/" + segments[0] + "/models/" + segments[1], nil
	}
	return "", llmproxy.BadRequest("the model is no name of a resource: want a model of Google's, publisher/model, or publishers/…/models/…")
}
