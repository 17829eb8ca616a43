package simulator

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
)

// API is the surface of one provider: its paths, its shapes, its way to ask for a key
// and to refuse.
type API int

// The APIs.
const (
	OpenAI    API = iota
	Azure         // OpenAI's shapes: /openai/deployments/{deployment}, /openai/v1
	Anthropic     // /v1/messages
	Gemini        // /v1beta/models/{model}:generateContent
	Vertex        // /v1/projects/{p}/locations/{l}/publishers/{google,anthropic}
	Bedrock       // /model/{model}/converse
	Cohere        // /v2/chat
)

// String returns the name of a, in lower case.
func (a API) String() string {
	return [...]string{"openai", "azure", "anthropic", "gemini", "vertex", "bedrock", "cohere"}[a]
}

// Mount serves an API below a path.
type Mount struct {
	// Path has no slash at its end. Below a path that is not empty everything is API's.
	// At the root an API has what its paths and headers show to be its own.
	Path string
	API  API
}

// DefaultMounts returns the mounts of a [Server] whose options name none: all APIs at
// the root, and Anthropic's below /anthropic too, where resellers have it.
func DefaultMounts() []Mount {
	return []Mount{
		{"/anthropic", Anthropic},
		{"", Azure},
		{"", Anthropic},
		{"", Gemini},
		{"", Vertex},
		{"", Bedrock},
		{"", Cohere},
	}
}

// sorted returns mounts, those with the longest path first.
func sorted(mounts []Mount) []Mount {
	mounts = slices.Clone(mounts)
	slices.SortStableFunc(mounts, func(a, b Mount) int { return cmp.Compare(len(b.Path), len(a.Path)) })
	return mounts
}

// locate finds out which API r is for, below which path, and the rest of its path. What
// no mount claims is OpenAI's.
func (s *Server) locate(r *http.Request) (api API, base, rest string) {
	path := r.URL.Path
	for _, m := range s.mounts {
		if m.API == Bedrock {
			path = r.URL.EscapedPath() // model ids hold slashes
		}
		rest, ok := strings.CutPrefix(path, m.Path)
		if ok && strings.HasPrefix(rest, "/") && (m.Path != "" || m.API.claims(r)) {
			return m.API, m.Path, rest
		}
		path = r.URL.Path
	}
	return OpenAI, "", path
}

// claims reports whether r, at the root, is for a.
func (a API) claims(r *http.Request) bool {
	path := r.URL.Path
	under := func(prefix string) bool { return strings.HasPrefix(path, prefix) }
	switch a {
	case OpenAI:
		return false
	case Azure:
		return under("/openai/deployments/") ||
			under("/openai/") && (r.Header.Get("Api-Key") != "" || r.URL.Query().Has("api-version"))
	case Anthropic:
		models := path == "/v1/models" || under("/v1/models/")
		return path == "/v1/messages" || under("/v1/messages/") ||
			models && r.Header.Get("Anthropic-Version") != ""
	case Gemini:
		// The rest below /v1beta/openai is in the shape of OpenAI.
		return under("/v1beta/") && !under("/v1beta/openai/") ||
			under("/v1/models/") && r.Method == http.MethodPost
	case Vertex:
		rest := strings.TrimPrefix(strings.TrimPrefix(path, "/v1beta1"), "/v1")
		return rest != path && (strings.HasPrefix(rest, "/projects/") || strings.HasPrefix(rest, "/publishers/"))
	case Bedrock:
		return under("/model/")
	case Cohere:
		return under("/v2/")
	}
	return false
}

// isGoogle reports whether a has Google's manners.
func (a API) isGoogle() bool { return a == Gemini || a == Vertex }
