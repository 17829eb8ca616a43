package llmproxy

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/llmproxy/llmproxy/wire"
)

// target is what the method, path and header of a request say.
type target struct {
	op       Operation
	provider string // of a mount; "" elsewhere
	model    string // where the API has it in the path
	streams  bool   // the path asks for a stream
	byBody   bool   // "/": the body decides on the API

	deployments bool // /openai/deployments/…
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

// charged are those of them that cost something for each request.
var charged = map[string]bool{"audio": true, "rerank": true, "videos": true}

// detect reads the method and path of r. Listed paths win over mounts. Where the provider
// is fixed there are no mounts: what is not listed goes to it as it stands.
func detect(r *http.Request, fixed bool) (target, *Error) {
	if r.Method == http.MethodTrace || r.Method == http.MethodConnect {
		// A provider would answer TRACE with the header it got, our credential in it.
		return target{}, &Error{
			Status: http.StatusMethodNotAllowed, Type: "invalid_request_error", Code: "method_not_allowed",
			Message: "the method " + r.Method + " is not forwarded",
		}
	}
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
		if post && !t.op.JSON && strings.Contains(rest, "%") {
			if plain, err := url.PathUnescape(rest); err == nil {
				if twin, _ := listed(post, isJSON, plain); twin.op.JSON {
					return t, disguised()
				}
			}
		}
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
		return onMount(post, isJSON, path)
	}
	if rest != path {
		return target{}, routeNotFound()
	}
	first, rest = segment(path)
	name, err := url.PathUnescape(first)
	if err != nil || rest == "" {
		return target{}, routeNotFound()
	}
	t, refused := onMount(post, isJSON, rest)
	t.provider = name
	return t, refused
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
		t.op.API, t.op.Settles = APIResponses, settles(post, rest)
	case first == "messages":
		t.op.API = APIMessages
		t.op.JSON = post && (rest == "" || rest == "/count_tokens")
		t.op.Metered, t.op.Charged = post && rest == "", post && rest == "/batches"
	case first == "v1beta" && rest != "":
		t.op.API, t.op.Charged = APIGenerateContent, post
		if m := modelsPath(rest); post && m.op.API == APIGenerateContent {
			t = m
		} else if !post && strings.HasPrefix(rest, "/models/") {
			t.setModel(rest, len("/models/"), len(rest))
		}
		t.op.Path = rest
	case first == "models" && post && modelsPath(path).op.API == APIGenerateContent:
		t = modelsPath(path) // Google's /v1
		t.op.Path = path
	case first == "model" && rest != "":
		if t, ok = bedrockPath(post, path); !ok {
			t = target{op: Operation{API: APIConverse, Charged: post}} // a verb that is not read
		}
		t.op.Path = path
	case first == "v2" && (rest == "/chat" || rest == "/embed" || rest == "/rerank"):
		t.op.Path, t.op.API, t.op.JSON, t.op.Metered = rest, APICohere, post, post
	case first == "openai" && strings.HasPrefix(rest, "/deployments/"):
		if post {
			t, _ = byEnd(isJSON, path)
		}
		t.op.Path, t.deployments = path, true
	case first == "images":
		t.op.API, t.op.JSON, t.op.Metered = APIImages, isJSON, post
	case first == "models" && len(rest) > 1:
		t.op.API = "models"
		t.setModel(path, len("/models/"), len(path)) // it routes, and its prefix is cut
	case shared[first]:
		t.op.API, t.op.JSON, t.op.Charged = APIType(first), isJSON, post && charged[first]
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
// serve the same APIs below different paths. The path stays as it is.
func onMount(post, isJSON bool, path string) (t target, err *Error) {
	if post {
		var ok bool
		if t, ok = byEnd(isJSON, path); t.op.API == APIMessages && strings.HasSuffix(path, "awPredict") && !strings.Contains(path, "/publishers/anthropic/") {
			t = target{} // Vertex serves other publishers' own APIs at the same verbs
		} else if !ok && strings.Contains(path, "%") {
			if plain, uerr := url.PathUnescape(path); uerr == nil {
				if _, ok = byEnd(isJSON, plain); ok {
					return t, disguised()
				}
			}
		}
	}
	if t.op.API == "" {
		t.op.API = apiOfSegments(path)
		if at := strings.Index(path, "/responses/"); at >= 0 {
			t.op.Settles = settles(post, path[at+len("/responses"):])
		}
		// Of what nobody here knows, nobody can say that it is free.
		t.op.Charged = post && (t.op.API == "" || t.op.API == "models" || charged[string(t.op.API)] || strings.HasSuffix(path, "/messages/batches"))
	}
	t.op.Mount, t.op.Path = true, path
	return t, nil
}

// settles reports whether rest, below /responses, is that of a response itself or of its
// cancellation.
func settles(post bool, rest string) bool {
	id, verb := segment(rest)
	return id != "" && (!post && verb == "" || post && verb == "/cancel")
}

// apiOfSegments names the API of a path that is not read, by the first of its segments
// that is one's.
func apiOfSegments(path string) APIType {
	for path != "" {
		var name string
		switch name, path = segment(path); {
		case name == "responses":
			return APIResponses
		case name == "messages":
			return APIMessages
		case name == "chat" && strings.HasPrefix(path, "/completions"):
			return APIChatCompletions
		case shared[name]:
			return APIType(name)
		}
	}
	return ""
}

// disguised refuses a path that only its reader would know for an API's: nothing may pass
// the meter by its spelling.
func disguised() *Error {
	return BadRequest("the path of an API must not be percent-encoded where it need not be")
}

// byEnd recognises a path that is posted to by its last segments.
func byEnd(isJSON bool, path string) (t target, ok bool) {
	for rest := strings.TrimSuffix(path, "/"); rest != ""; _, rest = segment(rest) {
		if t, ok = end(isJSON, rest); ok {
			if at := &t.op.ModelAt; at.Found() {
				at.Start, at.End = at.Start+len(path)-len(rest), at.End+len(path)-len(rest)
			}
			return t, true
		}
	}
	return target{}, false
}

// end recognises the end of a path.
func end(isJSON bool, path string) (target, bool) {
	if api, metered, ok := openAIPath(path); ok {
		return target{op: Operation{API: api, JSON: true, Metered: metered}}, true
	}
	switch path {
	case "/images/generations", "/images/edits", "/images/variations":
		return target{op: Operation{API: APIImages, JSON: isJSON, Metered: true}}, true
	case "/messages", "/messages/count_tokens":
		return target{op: Operation{API: APIMessages, JSON: true, Metered: path == "/messages"}}, true
	case "/v2/chat", "/v2/embed", "/v2/rerank":
		return target{op: Operation{API: APICohere, JSON: true, Metered: true}}, true
	case "/api/chat", "/api/generate", "/api/embed", "/api/embeddings":
		return target{op: Operation{API: APIOllama, JSON: true, Metered: true}}, true
	}
	switch first, rest := segment(path); first {
	case "models", "tunedModels", "endpoints":
		t := modelsPath(path)
		return t, t.op.JSON
	case "model":
		return bedrockPath(true, path)
	case "deployments":
		name, _ := segment(rest)
		if api, metered, ok := openAIPath(rest[min(len(rest), len("/")+len(name)):]); ok {
			t := target{op: Operation{API: api, JSON: true, Metered: metered}}
			t.setModel(path, len("/deployments/"), len("/deployments/")+len(name))
			return t, true
		}
	}
	return target{}, false
}

// setModel notes that path has the model at [start, end).
func (t *target) setModel(path string, start, end int) {
	if model, err := url.PathUnescape(path[start:end]); err == nil && model != "" {
		t.model, t.op.ModelAt = model, wire.Span{Start: start, End: end}
	}
}

// modelsPath reads /models/{model}:{verb}, of Gemini's API and of Vertex AI, which has
// Anthropic's models under verbs of their own; tuned models stand at /tunedModels and
// /endpoints. The model may hold slashes.
func modelsPath(path string) (t target) {
	first, _ := segment(path)
	i := strings.LastIndexByte(path, ':')
	if i < 0 || first != "models" && first != "tunedModels" && first != "endpoints" {
		return t
	}
	t.op.API, t.op.JSON = APIGenerateContent, true
	switch verb := path[i+1:]; verb {
	case "generateContent", "embedContent", "batchEmbedContents":
		t.op.Metered = true
	case "streamGenerateContent":
		t.op.Metered, t.streams = true, true
	case "countTokens":
	case "rawPredict", "streamRawPredict":
		t.op.API = APIMessages
		t.op.Metered = !strings.HasSuffix(path[:i], "/count-tokens")
	default:
		t.op.JSON, t.op.Charged = false, true // images, video: not read
	}
	t.setModel(path, len("/")+len(first)+len("/"), i)
	return t
}

// bedrockPath reads /model/{id}/{verb}; the id is one escaped segment or bare segments.
func bedrockPath(post bool, path string) (t target, ok bool) {
	i := strings.LastIndexByte(path, '/')
	t.op.JSON = post
	switch verb := path[i+1:]; verb {
	case "converse", "converse-stream":
		t.op.API, t.op.Metered = APIConverse, post
	case "invoke", "invoke-with-response-stream":
		t.op.API, t.op.Metered = APIInvokeModel, post
	case "count-tokens":
		t.op.API = APIConverse
	default:
		return target{}, false
	}
	t.streams = strings.HasSuffix(path, "stream")
	if i > len("/model/") {
		t.setModel(path, len("/model/"), i)
	}
	return t, t.model != ""
}

// apiOfBody tells the API of a request on "/" by its members and its provider's APIs.
func apiOfBody(b *Body, p Provider) (APIType, *Error) {
	speaks := func(api APIType) bool { _, ok := p.API(api); return ok }
	switch {
	case b.has(memberMessages):
		for _, api := range p.Routing().Paths {
			if api == APIMessages || api == APIConverse || api == APICohere {
				return api, nil // its native one, though it may speak OpenAI's as well
			}
		}
		for _, api := range [...]APIType{APIConverse, APIChatCompletions, APIMessages, APICohere} {
			if speaks(api) {
				return api, nil
			}
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

// settleOn makes x, a request on "/", one of api: it decides where it goes below a provider's API
// path, and whether it carries members that only routed.
func (x *Exchange) settleOn(api APIType) {
	op := &x.Operation
	op.API = api
	at := func(before, after string) {
		model := escapeModel(x.Meta.Model)
		op.Path = before + model + after
		op.ModelAt = wire.Span{Start: len(before), End: len(before) + len(model)}
		x.bare = true
	}
	switch api {
	case APIChatCompletions:
		op.Path = "/chat/completions"
	case APICompletions:
		op.Path = "/completions"
	case APIResponses:
		op.Path = "/responses"
	case APIMessages:
		op.Path = "/messages"
	case APICohere:
		op.Path = "/chat"
	case APIConverse:
		verb := "/converse"
		if x.Meta.Stream {
			verb = "/converse-stream"
		}
		at("/model/", verb)
	case APIGenerateContent:
		verb := ":generateContent"
		if x.Meta.Stream {
			verb = ":streamGenerateContent"
			if !strings.Contains(x.RawQuery, "alt=") {
				x.RawQuery = strings.TrimPrefix(x.RawQuery+"&alt=sse", "&")
			}
		}
		at("/models/", verb)
	}
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

// isLines reports whether a Content-Type is that of JSON texts, one a line.
func isLines(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(media), "application/x-ndjson")
}

// isEventStream reports whether a Content-Type is that of AWS event streams.
func isEventStream(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(media), "application/vnd.amazon.eventstream")
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
