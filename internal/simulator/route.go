package simulator

import (
	"net/http"
	"slices"
	"strings"
)

// route is one operation of the API.
type route struct {
	pattern string // segments in braces stand for one segment, with ... for the rest
	method  string
	upload  bool // serve reads the body itself
	serve   func(*Server, *call) (reply, error)
}

// routes returns the operations; of two that match, the first counts.
func routes() []route {
	return []route{
		{"/chat/completions", http.MethodPost, false, (*Server).chat},
		{"/completions", http.MethodPost, false, (*Server).completions},
		{"/responses", http.MethodPost, false, (*Server).createResponse},
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
	for _, base := range s.basePaths {
		rest, ok := strings.CutPrefix(c.URL.Path, base)
		if !ok || !strings.HasPrefix(rest, "/") {
			continue
		}
		for _, rt := range routes() {
			params, ok := match(rt.pattern, rest)
			if !ok || isLiteral(rest) && strings.Contains(rt.pattern, "{") {
				continue
			}
			if rt.method == c.Method {
				c.operation, c.params = rt.method+" "+rt.pattern, params
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

// isLiteral reports whether path is an operation of its own although it looks like the
// id of a response.
func isLiteral(path string) bool {
	return path == "/responses/input_tokens" || path == "/responses/compact"
}

// match compares path with pattern.
func match(pattern, path string) (map[string]string, bool) {
	params := map[string]string{}
	for pattern != "" && path != "" {
		var want, got string
		want, pattern = segment(pattern)
		if name, ok := strings.CutSuffix(want, "...}"); ok {
			params[name[1:]] = path[1:]
			return params, len(path) > 1
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
