package llmproxy

import (
	"net/http"
	"net/url"
	"strings"
)

// target is what the method, path and header of a request say.
type target struct {
	op       Operation
	provider string // of a mount; "" elsewhere
	model    string // where the API has it in the path
	streams  bool   // the path asks for a stream
	byBody   bool   // "/": the body decides on the API
}

// dialects are the APIs whose bodies the gateway understands: a provider must speak the
// one that a request is written in.
var dialects = map[APIType]bool{
	APIChatCompletions: true, APICompletions: true, APIResponses: true,
	APIEmbeddings: true, APIImages: true, APIMessages: true, APIGenerateContent: true,
	APIConverse: true, APIInvokeModel: true, APICohere: true,
}

// shared are the first segments, below /v1, of APIs that are routed by the model of a
// JSON body or, without one, by X-Provider or the fallback.
var shared = map[string]bool{
	"images": true, "audio": true, "files": true, "uploads": true, "batches": true,
	"moderations": true, "conversations": true, "rerank": true, "videos": true,
	"fine_tuning": true, "vector_stores": true, "models": true,
}

// detect reads the method and path of r. Listed paths win over mounts. Where the provider
// is fixed there are no mounts: what is not listed goes to it as it stands.
func detect(r *http.Request, fixed bool) (target, *Error) {
	path := r.URL.EscapedPath()
	if path == "" || path[0] != '/' {
		return target{}, routeNotFound()
	}
	if hasDotSegment(path) {
		return target{}, BadRequest("a path with . or .. segments is not forwarded")
	}
	post := r.Method == http.MethodPost
	if path == "/" && post {
		return target{op: Operation{JSON: true, Metered: true}, byBody: true}, nil
	}
	isJSON := post && isJSON(r.Header.Get("Content-Type"))
	rest := path
	for strings.HasPrefix(rest, "/v1/") {
		rest = rest[len("/v1"):]
	}
	if t, ok := listed(post, isJSON, strings.TrimSuffix(rest, "/")); ok {
		return t, nil
	}
	first, _ := segment(rest)
	if first == "realtime" {
		return target{}, &Error{
			Status: http.StatusNotFound, Type: "invalid_request_error", Code: "realtime_not_supported",
			Message: "the Realtime API is not served here yet", NoRetry: true,
		}
	}
	if fixed {
		op := onMount(post, isJSON, path)
		op.Mount, op.Path = true, path
		return target{op: op}, nil
	}
	if rest != path {
		return target{}, routeNotFound()
	}
	first, rest = segment(path)
	name, err := url.PathUnescape(first)
	if err != nil || rest == "" {
		return target{}, routeNotFound()
	}
	op := onMount(post, isJSON, rest)
	op.Mount, op.Path = true, rest
	return target{op: op, provider: name}, nil
}

// segment cuts the first segment off path: "/a/b" gives "a" and "/b".
func segment(path string) (first, rest string) {
	path = strings.TrimPrefix(path, "/")
	if i := strings.IndexByte(path, '/'); i >= 0 {
		return path[:i], path[i:]
	}
	return path, ""
}

// listed recognises the paths of auto-routed requests. path has no /v1 in front.
func listed(post, isJSON bool, path string) (t target, ok bool) {
	t.op.Path = path
	if api, metered, exact := openAIPath(path); exact && post {
		t.op.API, t.op.JSON, t.op.Metered = api, true, metered
		return t, true
	}
	first, rest := segment(path)
	switch {
	case first == "chat" && strings.HasPrefix(rest, "/completions"):
		t.op.API = APIChatCompletions
	case first == "completions" && rest == "":
		t.op.API = APICompletions
	case first == "embeddings" && rest == "":
		t.op.API = APIEmbeddings
	case first == "responses":
		t.op.API = APIResponses
	case first == "messages":
		t.op.API = APIMessages
		t.op.JSON = post && (rest == "" || rest == "/count_tokens")
		t.op.Metered = post && rest == ""
	case first == "v1beta" && strings.HasPrefix(rest, "/models"):
		return geminiPath(post, rest), true
	case first == "model":
		return bedrockPath(post, path)
	case first == "v2" && (rest == "/chat" || rest == "/embed" || rest == "/rerank"):
		t.op.Path, t.op.API, t.op.JSON, t.op.Metered = rest, APICohere, post, post
	case first == "openai" && strings.HasPrefix(rest, "/deployments/"):
		return azurePath(post, path), true
	case first == "images":
		t.op.API, t.op.JSON, t.op.Metered = APIImages, isJSON, post
	case shared[first]:
		t.op.API, t.op.JSON = APIType(first), isJSON
	default:
		return target{}, false
	}
	return t, true
}

// openAIPath recognises the paths of OpenAI's APIs that take a JSON body.
func openAIPath(path string) (api APIType, metered, ok bool) {
	switch path {
	case "/chat/completions":
		return APIChatCompletions, true, true
	case "/completions":
		return APICompletions, true, true
	case "/responses", "/responses/compact":
		return APIResponses, true, true
	case "/responses/input_tokens":
		return APIResponses, false, true
	case "/embeddings":
		return APIEmbeddings, true, true
	}
	return "", false, false
}

// onMount recognises the API of a path below a mount by its last segments: providers
// serve the same APIs below different paths.
func onMount(post, isJSON bool, path string) (op Operation) {
	if !post {
		return op
	}
	path = strings.TrimSuffix(path, "/")
	for rest := path; rest != ""; {
		if api, metered, ok := openAIPath(rest); ok {
			return Operation{API: api, JSON: true, Metered: metered}
		}
		switch rest {
		case "/images/generations", "/images/edits", "/images/variations":
			return Operation{API: APIImages, JSON: isJSON, Metered: true}
		}
		_, rest = segment(rest)
	}
	return op
}

// geminiPath reads /models/{model}:{verb}; the model may hold slashes.
func geminiPath(post bool, path string) target {
	t := target{op: Operation{API: APIGenerateContent, Path: path}}
	i := strings.LastIndexByte(path, ':')
	if i < 0 || !post {
		return t
	}
	verb := path[i+1:]
	if model, err := url.PathUnescape(strings.TrimPrefix(path[:i], "/models/")); err == nil {
		t.model = model
	}
	t.op.JSON = true
	t.op.Metered = verb != "countTokens"
	t.streams = verb == "streamGenerateContent"
	return t
}

// bedrockPath reads /model/{id}/{verb}; the id is one escaped segment or bare segments.
func bedrockPath(post bool, path string) (target, bool) {
	i := strings.LastIndexByte(path, '/')
	id, verb := path[:i], path[i+1:]
	t := target{op: Operation{Path: path, JSON: post}}
	switch verb {
	case "converse", "converse-stream":
		t.op.API, t.op.Metered = APIConverse, post
	case "invoke", "invoke-with-response-stream":
		t.op.API, t.op.Metered = APIInvokeModel, post
	case "count-tokens":
		t.op.API = APIConverse
	default:
		return target{}, false
	}
	model, err := url.PathUnescape(strings.TrimPrefix(id, "/model/"))
	if err != nil || model == "" || id == "/model" {
		return target{}, false
	}
	t.model = model
	t.streams = strings.HasSuffix(verb, "stream")
	return t, true
}

// azurePath reads /openai/deployments/{name}/….
func azurePath(post bool, path string) target {
	t := target{op: Operation{Path: path}}
	name, rest := segment(strings.TrimPrefix(path, "/openai/deployments"))
	if model, err := url.PathUnescape(name); err == nil {
		t.model = model
	}
	if api, metered, ok := openAIPath(rest); ok && post {
		t.op.API, t.op.JSON, t.op.Metered = api, true, metered
	}
	return t
}

// apiOfBody tells the API of a request on "/" by its members and its provider's APIs.
func apiOfBody(b *Body, p Provider) (APIType, *Error) {
	speaks := func(api APIType) bool { _, ok := p.API(api); return ok }
	switch {
	case b.has(memberMessages):
		switch {
		case speaks(APIChatCompletions):
			return APIChatCompletions, nil
		case speaks(APIConverse):
			return APIConverse, nil
		case speaks(APIMessages):
			return APIMessages, nil
		}
		return APIChatCompletions, nil
	case b.has(memberInput):
		return APIResponses, nil
	case b.has(memberPrompt):
		return APICompletions, nil
	case b.has(memberContents):
		return APIGenerateContent, nil
	}
	return "", BadRequest("cannot tell the API of this body: want a member messages, input, prompt or contents")
}

// pathOf is where an API's requests go below a provider's API path.
var pathOf = map[APIType]string{
	APIChatCompletions: "/chat/completions",
	APICompletions:     "/completions",
	APIResponses:       "/responses",
	APIMessages:        "/messages",
}

// isJSON reports whether a Content-Type is JSON's.
func isJSON(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.TrimSpace(media)
	return strings.EqualFold(media, "application/json") ||
		len(media) > 5 && strings.EqualFold(media[len(media)-5:], "+json")
}

// isSSE reports whether a Content-Type is that of server-sent events.
func isSSE(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(media), "text/event-stream")
}

// hasDotSegment reports whether path, escaped, has a segment that is . or .. however
// it is spelled.
func hasDotSegment(path string) bool {
	if !strings.Contains(path, "/.") && !strings.Contains(path, "/%2") {
		return false
	}
	for path != "" {
		var seg string
		seg, path = segment(path)
		seg = strings.ReplaceAll(strings.ReplaceAll(seg, "%2e", "."), "%2E", ".")
		if seg == "." || seg == ".." {
			return true
		}
	}
	return false
}

// upgrade reports whether r asks to change the protocol to WebSocket, by token.
func upgrade(h http.Header) bool {
	return headerHasToken(h["Connection"], "upgrade") && headerHasToken(h["Upgrade"], "websocket")
}
