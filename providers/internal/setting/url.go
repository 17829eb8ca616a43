package setting

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/llmproxy/llmproxy"
)

// urls returns where c's requests to s go, or which field is at fault and why. No URL and
// no value of a query is in the problem: a password or the key may be.
func (c Common) urls(s Service) (urls llmproxy.URLResolver, field, problem string) {
	raw, path, paths := s.BaseURL, s.APIPath, maps.Clone(s.Paths)
	if c.BaseURL != "" {
		raw = c.BaseURL
	}
	if raw == "" {
		return nil, "base_url", fmt.Sprintf("missing; type %s has none of its own", s.Type)
	}
	if s.Alias != "" && strings.HasSuffix(strings.TrimRight(raw, "/"), s.Alias) {
		path = s.Alias
	}
	if c.APIPath != "" {
		if !isPath(c.APIPath) {
			return nil, "api_path", "want a path such as /v1, or / for none"
		}
		path = strings.TrimRight(c.APIPath, "/")
		// Messages is another API, at a path of its own.
		maps.DeleteFunc(paths, func(api llmproxy.APIType, _ string) bool { return api != llmproxy.APIMessages })
	}
	for _, api := range slices.Sorted(maps.Keys(c.Paths)) {
		if !hasPath(api) {
			return nil, "paths", "one of the APIs is unknown; want chat_completions, completions, responses, embeddings, images or messages"
		}
		if !isPath(c.Paths[api]) {
			return nil, "paths", fmt.Sprintf("%s: want a path such as /v1, or / for the root", api)
		}
		if paths == nil {
			paths = map[llmproxy.APIType]string{}
		}
		paths[api] = strings.TrimRight(c.Paths[api], "/")
	}
	base, err := llmproxy.NewBaseURL(raw, path, paths)
	if err != nil {
		return nil, "base_url", "want an http:// or https:// URL with a host and without user, query and fragment"
	}
	if len(c.Query) == 0 {
		return base, "", ""
	}
	if _, empty := c.Query[""]; empty {
		return nil, "query", "a parameter has no name"
	}
	return withQuery(base, c.Query), "", ""
}

// hasPath reports whether the API may be served at a path that the operator names.
func hasPath(api llmproxy.APIType) bool {
	switch api {
	case llmproxy.APIChatCompletions, llmproxy.APICompletions, llmproxy.APIResponses,
		llmproxy.APIEmbeddings, llmproxy.APIImages, llmproxy.APIMessages:
		return true
	}
	return false
}

func isPath(path string) bool {
	return strings.HasPrefix(path, "/") && Visible(path) && !strings.ContainsAny(path, "?#%")
}

// resolve is a function, so that the query it adds is out of reach of fmt, encoding/json
// and reflect: it may hold a key.
type resolve func(x *llmproxy.Exchange) (*url.URL, error)

// Resolve returns the URL of x's operation.
func (r resolve) Resolve(x *llmproxy.Exchange) (*url.URL, error) { return r(x) }

// withQuery adds parameters to what urls resolves.
func withQuery(urls llmproxy.URLResolver, parameters map[string]string) resolve {
	type parameter struct{ name, pair string }
	var list []parameter
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		list = append(list, parameter{name, url.QueryEscape(name) + "=" + url.QueryEscape(parameters[name])})
	}
	return func(x *llmproxy.Exchange) (*url.URL, error) {
		u, err := urls.Resolve(x)
		if err != nil {
			return nil, err
		}
		var pairs []string
		for _, p := range list {
			if !HasParameter(x.RawQuery, p.name) {
				pairs = append(pairs, p.pair)
			}
		}
		u.RawQuery = strings.Join(pairs, "&")
		return u, nil
	}
}

// HasParameter reports whether a raw query has a parameter of that name, whatever its
// value.
func HasParameter(rawQuery, name string) bool {
	for pair := range strings.SplitSeq(rawQuery, "&") {
		written, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(written); err == nil && plain == name {
			return true
		}
	}
	return false
}
