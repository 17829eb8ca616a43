package llmproxy

import (
	"fmt"
	"net/url"
	"strings"
)

// BaseURL is the address of a provider: a root, and below it the path at which the
// provider's type serves its API. It resolves the URLs of every API that puts the model
// into the body.
type BaseURL struct {
	root    url.URL            // without the API path and without a trailing slash
	apiPath string             // "/v1", "/openai/v1", or ""
	paths   map[APIType]string // APIs served under another path
}

// NewBaseURL parses raw, a base URL with or without apiPath, with or without a trailing
// slash. paths names the APIs that the provider serves under another path than apiPath.
func NewBaseURL(raw, apiPath string, paths map[APIType]string) (BaseURL, error) {
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return BaseURL{}, fmt.Errorf("base URL %q: want http:// or https:// and a host", redactURL(raw))
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return BaseURL{}, fmt.Errorf("base URL of host %s: a user, query or fragment has no place in it", u.Host)
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	path = strings.TrimSuffix(path, apiPath)
	root := url.URL{Scheme: u.Scheme, Host: u.Host}
	if err := setPath(&root, path); err != nil {
		return BaseURL{}, fmt.Errorf("base URL of host %s: %w", u.Host, err)
	}
	return BaseURL{root: root, apiPath: apiPath, paths: paths}, nil
}

// redactURL keeps what helps to find a mistake in a URL and nothing that may be secret.
func redactURL(raw string) string {
	if i := strings.IndexAny(raw, "?#"); i >= 0 {
		raw = raw[:i]
	}
	if i := strings.LastIndexByte(raw, '@'); i >= 0 {
		raw = raw[i+1:]
	}
	return raw
}

// setPath sets path, which is escaped, on u.
func setPath(u *url.URL, path string) error {
	plain, err := url.PathUnescape(path)
	if err != nil {
		return err
	}
	u.Path, u.RawPath = plain, ""
	if plain != path {
		u.RawPath = path
	}
	return nil
}

// Resolve returns the URL of x's operation: on a mount the rest of the client's path
// below the root, elsewhere the operation's path below the API's path.
func (b BaseURL) Resolve(x *Exchange) (*url.URL, error) {
	prefix := ""
	if !x.Operation.Mount {
		prefix = b.apiPath
		if p, ok := b.paths[x.Operation.API]; ok {
			prefix = p
		}
	}
	u := b.root
	if err := setPath(&u, b.root.EscapedPath()+prefix+x.UpstreamPath()); err != nil {
		return nil, BadRequest("the path is not validly percent-encoded")
	}
	return &u, nil
}

// String returns the root and the API path.
func (b BaseURL) String() string { return b.root.String() + b.apiPath }
