package llmproxy

import (
	"net/http"
	"strings"
)

// admit reads what routing needs and chooses the provider.
func (e *run) admit(t target, fixed Provider) *Error {
	a, r, x := e.a, e.r, e.x
	if n := a.limits.Header; n > 0 && headerSize(r) > n {
		return headersTooLarge(n)
	}
	var err *Error
	if x.Tags, err = parseTags(r.Header["X-Gateway-Tags"]); err != nil {
		return err
	}
	x.Tags = x.Caller.tags(x.Tags)
	if t.provider != "" {
		p, ok := a.registry.Get(t.provider)
		if !ok {
			return providerNotFound(t.provider)
		}
		x.Route.Provider = p
		if _, native := p.API(APIOllama); !native && x.Operation.API == APIOllama {
			// Others serve OpenAI's embeddings at a path that ends as Ollama's own.
			if api, metered, ok := openAIPath(x.Operation.Path[strings.LastIndexByte(x.Operation.Path, '/'):]); ok {
				x.Operation.API, x.Operation.Metered = api, metered
			}
		}
	}
	if upgrade(r.Header) {
		return &Error{
			Status: http.StatusUpgradeRequired, Type: "invalid_request_error", Code: "websocket_not_supported",
			Message: "no WebSocket is served at this path: use HTTP", NoRetry: true,
		}
	}
	e.bodySeen = true
	if x.Operation.JSON {
		text, decoded, err := e.readBody()
		if err != nil {
			return err
		}
		e.decoded = decoded
		body, perr := ParseBody(text)
		if perr != nil {
			putBuffer(text)
			return asError(perr)
		}
		body.pooled = true
		body.users.Store(1)
		x.Body, e.body = body, body
		if x.Meta, err = body.metadata(); err != nil {
			return err
		}
	} else if err := e.openUpload(); err != nil {
		return err
	}
	if t.model != "" {
		x.Meta.Model = t.model
	}
	if len(x.Meta.Model) > longestModel {
		x.Meta.Model = ""
		return badMember("model", "the name of the model is too long")
	}
	x.Meta.Stream = x.Meta.Stream || t.streams
	switch {
	case fixed != nil:
		x.Route = Route{Provider: fixed, Model: cutPrefix(fixed, x.Meta.Model)}
	case x.Route.Provider == nil:
		if x.Route, err = a.route(e.client, t, x); err != nil {
			return err
		}
	}
	if m := x.Route.Provider.Settings().Model; m != "" && !x.Operation.Mount {
		x.Route.Model = m
	}
	if t.byBody {
		api, err := apiOfBody(x.Body, x.Route.Provider)
		if err != nil {
			return err
		}
		x.settleOn(api)
	}
	if api, ok := x.Route.Provider.API(x.Operation.API); ok && api.Parser != nil && x.Body != nil {
		api.Parser.Parse(x.Body, &x.Meta)
	}
	if x.Meta.Stream {
		x.Transport = TransportSSE
	}
	return nil
}

// openUpload prepares an opaque body.
func (e *run) openUpload() *Error {
	r, limit := e.r, e.a.limits.Upload
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil
	}
	if limit > 0 && r.ContentLength > limit {
		return tooLarge("the upload", limit)
	}
	e.sink.duplex()
	e.upload = newClientBody(r.Body, e.sink, e.a.limits, limit, "the upload")
	e.x.upload, e.x.length = e.upload, r.ContentLength
	if len(r.Trailer) > 0 {
		e.trailer = make(http.Header, len(r.Trailer))
		for name := range r.Trailer {
			if !staysHere(name) && !credential(name) {
				e.trailer[name] = nil
			}
		}
		e.upload.onEOF = func() {
			for name := range e.trailer {
				e.trailer[name] = r.Trailer[name]
			}
		}
	}
	return nil
}

// longestModel bounds the names of models, in bytes. ARNs are the longest.
const longestModel = 2048
