package simulator

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// route is one operation of an API.
type route struct {
	pattern string // segments in braces stand for one segment, with ... for the rest
	method  string
	upload  bool // serve reads the body itself
	serve   func(*Server, *call) (reply, error)
}

// routes returns the operations of a; of two that match, the first counts.
func (a API) routes() []route {
	switch a {
	case OpenAI:
		return openAIRoutes()
	case Azure:
		return azureRoutes()
	case Anthropic:
		return []route{
			{"/v1/messages", http.MethodPost, false, (*Server).messages},
			{"/v1/messages/count_tokens", http.MethodPost, false, (*Server).countMessages},
			{"/v1/models", http.MethodGet, false, (*Server).listAnthropicModels},
			{"/v1/models/{model...}", http.MethodGet, false, (*Server).retrieveAnthropicModel},
		}
	case Gemini:
		return geminiRoutes()
	case Vertex:
		return vertexRoutes()
	case Bedrock:
		return []route{
			{"/model/{model}/converse", http.MethodPost, false, (*Server).converse},
			{"/model/{model}/converse-stream", http.MethodPost, false, (*Server).converseStream},
			{"/model/{model}/invoke", http.MethodPost, false, (*Server).invoke},
			{"/model/{model}/invoke-with-response-stream", http.MethodPost, false, (*Server).invokeStream},
			{"/model/{model}/count-tokens", http.MethodPost, false, (*Server).countBedrock},
		}
	case Cohere:
		return []route{
			{"/v2/chat", http.MethodPost, false, (*Server).cohereChat},
			{"/v2/embed", http.MethodPost, false, (*Server).cohereEmbed},
			{"/v2/rerank", http.MethodPost, false, (*Server).cohereRerank},
		}
	}
	return nil
}

func openAIRoutes() []route {
	return []route{
		{"/chat/completions", http.MethodPost, false, (*Server).chat},
		{"/completions", http.MethodPost, false, (*Server).completions},
		{"/responses", http.MethodPost, false, (*Server).createResponse},
		{"/responses", http.MethodGet, false, (*Server).openSocket},
		{"/responses/input_tokens", http.MethodPost, false, (*Server).countInput},
		{"/responses/compact", http.MethodPost, false, (*Server).compact},
		{"/responses/{id}", http.MethodGet, false, (*Server).retrieveResponse},
		{"/responses/{id}", http.MethodDelete, false, (*Server).deleteResponse},
		{"/responses/{id}/cancel", http.MethodPost, false, (*Server).cancelResponse},
		{"/responses/{id}/input_items", http.MethodGet, false, (*Server).inputItems},
		{"/embeddings", http.MethodPost, false, (*Server).embeddings},
		{"/images/generations", http.MethodPost, false, (*Server).images},
		{"/audio/transcriptions", http.MethodPost, true, (*Server).transcribe},
		{"/files", http.MethodPost, true, (*Server).upload},
		{"/files", http.MethodGet, false, (*Server).listFiles},
		{"/files/{id}", http.MethodGet, false, (*Server).retrieveFile},
		{"/files/{id}/content", http.MethodGet, false, (*Server).fileContent},
		{"/models", http.MethodGet, false, (*Server).listModels},
		{"/models/{id...}", http.MethodGet, false, (*Server).retrieveModel},
	}
}

// route finds the route of c and notes its parameters.
func (s *Server) route(c *call) (*route, error) {
	var allowed []string
	for _, rest := range s.rests(c) {
		for _, rt := range c.api.routes() {
			params, ok := match(rt.pattern, rest)
			if !ok || c.isLiteral(rest, rt.pattern) {
				continue
			}
			if rt.method == c.Method {
				c.operation, c.params = rt.method+" "+rt.pattern, params
				if c.api == Bedrock {
					unescape(params)
				}
				return &rt, nil
			}
			if !slices.Contains(allowed, rt.method) {
				allowed = append(allowed, rt.method)
			}
		}
	}
	if len(allowed) > 0 {
		f := badRequest("method_not_supported", "", "%s is not allowed on %s.", c.Method, c.URL.Path)
		f.status = http.StatusMethodNotAllowed
		f.allow = strings.Join(allowed, ", ")
		return nil, f
	}
	return nil, notFound("", "", "Unknown request URL: %s %s.", c.Method, c.URL.Path)
}

// rests returns the paths that c's may mean to the routes of its API.
func (s *Server) rests(c *call) []string {
	if c.api != OpenAI || c.base != "" {
		return []string{c.rest}
	}
	var rests []string
	for _, base := range s.basePaths {
		rest, ok := strings.CutPrefix(c.rest, base)
		if ok && strings.HasPrefix(rest, "/") {
			rests = append(rests, rest)
		}
	}
	return rests
}

// isLiteral reports whether path is an operation of its own although it looks like the
// id that pattern has room for.
func (c *call) isLiteral(path, pattern string) bool {
	switch {
	case !strings.Contains(pattern, "{"):
		return false
	case c.api.isGoogle():
		return strings.Contains(path, ":") && !strings.Contains(pattern, ":")
	default:
		return strings.HasSuffix(path, "/responses/input_tokens") || strings.HasSuffix(path, "/responses/compact")
	}
}

// match compares path with pattern.
func match(pattern, path string) (map[string]string, bool) {
	params := map[string]string{}
	for pattern != "" && path != "" {
		var want, got string
		want, pattern = segment(pattern)
		if name, verb, ok := strings.Cut(want, "...}"); ok {
			value, ok := strings.CutSuffix(path[1:], verb)
			params[name[1:]] = value
			return params, ok && value != ""
		}
		got, path = segment(path)
		switch {
		case strings.HasPrefix(want, "{") && got != "":
			params[strings.Trim(want, "{}")] = got
		case want != got:
			return nil, false
		}
	}
	return params, pattern == "" && path == ""
}

// segment cuts the first segment of path, which begins with a slash.
func segment(path string) (first, rest string) {
	path = path[1:]
	if i := strings.IndexByte(path, '/'); i >= 0 {
		return path[:i], path[i:]
	}
	return path, ""
}

// unescape undoes the percent-encoding of params, which came out of a path that holds.
func unescape(params map[string]string) {
	for name, value := range params {
		if plain, err := url.PathUnescape(value); err == nil {
			params[name] = plain
		}
	}
}
