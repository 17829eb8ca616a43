package keys

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/wire"
)

// Access holds an exchange to what its key may be used for, and keeps tenants apart: what
// is made with one key cannot be read, continued, cancelled or deleted with another.
//
// It belongs inside of what chooses the provider (interceptors.Pools), so that each attempt
// is checked against the provider and model that it goes to. Exchanges on behalf of nobody
// pass. Set the fields before its first use. It is safe for concurrent use.
type Access struct {
	// Keys has the keys.
	Keys Lookup

	// Owners remembers what was made with which key. Nil: nobody is kept from anything.
	Owners *Owners

	// Share names a tag: keys with the same value of it have what they make in common. "":
	// no two keys do.
	Share string

	// AllowUnknown lets any key use what nobody is known to have made: what is older than
	// the gateway, or was made past it. Without it, that is refused like what is another's.
	AllowUnknown bool

	// Listings lets keys list files, batches and the like, of which a provider shows all
	// there are, whoever made them.
	Listings bool
}

var _ llmproxy.Interceptor = (*Access)(nil)

// Intercept refuses x, or hands it to next and remembers what it makes.
func (a *Access) Intercept(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
	if x.Caller.Key == "" {
		return next(ctx, x)
	}
	k, ok := a.Keys.Key(x.Caller.Key)
	if !ok || !k.Valid(time.Now()) {
		return nil, invalidKey() // a WebSocket outlives its key
	}
	if err := k.allows(x); err != nil {
		return nil, err
	}
	if a.Owners == nil || x.Route.Provider == nil {
		return next(ctx, x)
	}
	t := thingOf(x.Operation.Path)
	if err := a.apart(ctx, k, x, t); err != nil {
		return nil, err
	}
	reply, err := next(ctx, x)
	if err == nil && reply.StatusCode < 300 {
		a.learn(ctx, x, t, reply)
	}
	return reply, err
}

// allows returns why k may not be used for x, nil if it may.
func (k *Key) allows(x *llmproxy.Exchange) error {
	p := x.Route.Provider
	if p != nil && len(k.Providers) > 0 && !matchAny(k.Providers, p.Name()) {
		return forbidden("provider_not_allowed", "", fmt.Sprintf("the gateway key may not use the provider %q", p.Name()))
	}
	if k.restricted() && !k.Unmetered && !meterable(x) {
		return forbidden("endpoint_not_allowed", "", "the gateway cannot meter this endpoint, and the gateway key has a budget or a list of models")
	}
	if len(k.Models) == 0 {
		return nil
	}
	if model := x.UpstreamModel(); model == "" {
		if x.Operation.Metered {
			return forbidden("model_not_allowed", "model", "the gateway key has a list of models, and the request names none that can be read")
		}
	} else if !k.allowsModel(x) {
		return modelNotAllowed(x.Meta.Model)
	}
	if x.Body != nil {
		for model := range otherModels(x.Body.Bytes()) {
			if !k.allowsName(p, model) {
				return modelNotAllowed(model)
			}
		}
	}
	return nil
}

// allowsModel reports whether k may use the model that x is routed to: under the name it
// has at its provider, or under the name that the client calls it by, where that is the
// operator's choice: an alias, say. What the client itself has put in front, to choose a
// provider, counts for patterns with a slash alone.
func (k *Key) allowsModel(x *llmproxy.Exchange) bool {
	asked, routed := x.Meta.Model, x.UpstreamModel()
	if k.allowsName(x.Route.Provider, routed) {
		return true
	}
	prefixed := strings.HasSuffix(asked, "/"+routed)
	for _, pattern := range k.Models {
		if (!prefixed || strings.Contains(pattern, "/")) && matches(pattern, asked) {
			return true
		}
	}
	return false
}

// allowsName reports whether k may use the model called name at p.
func (k *Key) allowsName(p llmproxy.Provider, name string) bool {
	return matchAny(k.Models, name) || p != nil && matchAny(k.Models, p.Name()+"/"+name)
}

// otherModels iterates over the models that a request asks for besides its own: those to
// turn to (OpenRouter's models, fallbacks), and those of tools that the provider runs
// (image generation, advisors).
func otherModels(body []byte) func(yield func(string) bool) {
	named := func(v []byte) (string, bool) {
		if wire.KindOf(v) == wire.Object {
			v = wire.Member(v, "model")
		}
		return wire.String(v)
	}
	return func(yield func(string) bool) {
		for name, value := range wire.Members(body) {
			switch string(name) {
			case "models", "fallbacks", "tools":
			default:
				continue
			}
			for v := range wire.Elements(value) {
				if model, ok := named(v); ok && !yield(model) {
					return
				}
			}
		}
	}
}

func modelNotAllowed(model string) *llmproxy.Error {
	const most = 100
	if len(model) > most {
		model = strings.ToValidUTF8(model[:most], "") + "…"
	}
	return forbidden("model_not_allowed", "model", fmt.Sprintf("the gateway key may not use the model %q", model))
}

func forbidden(code, param, message string) *llmproxy.Error {
	return &llmproxy.Error{
		Status: http.StatusForbidden, Type: "invalid_request_error", Code: code, Param: param,
		Message: message, NoRetry: true,
	}
}

// meterable reports whether what x uses can be metered, or costs nothing.
func meterable(x *llmproxy.Exchange) bool {
	op := &x.Operation
	reads := x.Method == http.MethodGet || x.Method == http.MethodHead
	switch {
	case op.Metered:
		return true
	case op.Charged, op.API == "": // of what nobody here knows, nobody can say what it is
		return false
	}
	switch op.API {
	case "fine_tuning", "vector_stores", "batches", "videos", "audio", "rerank", "models":
		return reads
	}
	return true
}
