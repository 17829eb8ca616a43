package interceptors

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/llmproxy/llmproxy"
)

// HeaderBan keeps header fields from crossing, whatever the case of their names.
//
// The handshake of a WebSocket and its answer do not come here, and a turn has no header of
// its own: what it bans of the request concerns a connection that is opened for the turn
// later. The gateway's own fields, X-Gateway-…, are set
// after all interceptors. Its zero value bans nothing.
type HeaderBan struct {
	Request  []string // names of fields that do not reach the provider
	Response []string // names of fields that do not reach the client
}

var _ llmproxy.Interceptor = (*HeaderBan)(nil)

// Intercept takes the fields out.
func (b *HeaderBan) Intercept(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
	if slices.ContainsFunc(b.Request, func(name string) bool { return len(x.Header.Values(name)) > 0 }) {
		x = x.Clone()
		x.Header = maps.Clone(x.Header)
		for _, name := range b.Request {
			x.Header.Del(name)
		}
	}
	reply, err := next(ctx, x)
	if err == nil && reply != nil {
		for _, name := range b.Response {
			reply.Header.Del(name)
			reply.DropTrailer(name)
		}
	}
	return reply, err
}

// AddHeader sets header fields, in the place of any that are there, whatever the case of
// their names.
//
// Fields that the pipeline keeps to itself do not reach the provider: credentials, those of
// the connection, X-Gateway-…. A turn on a WebSocket has no header of its own: see
// [HeaderBan]. Its zero value adds nothing.
type AddHeader struct {
	Request  http.Header // for the provider; read only
	Response http.Header // for the client; read only
}

var _ llmproxy.Interceptor = (*AddHeader)(nil)

// Intercept sets the fields.
func (a *AddHeader) Intercept(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
	if len(a.Request) > 0 {
		x = x.Clone()
		header := make(http.Header, len(x.Header)+len(a.Request))
		maps.Copy(header, x.Header)
		x.Header = header
		set(header, a.Request)
	}
	reply, err := next(ctx, x)
	if err == nil && reply != nil && len(a.Response) > 0 {
		if reply.Header == nil {
			reply.Header = make(http.Header, len(a.Response))
		}
		set(reply.Header, a.Response)
	}
	return reply, err
}

// set copies the fields of from into h.
func set(h, from http.Header) {
	for name, values := range from {
		switch name = http.CanonicalHeaderKey(name); name {
		case "Content-Length", "Transfer-Encoding", "Trailer", "Connection":
			continue // how the answer is framed is the server's business
		}
		h[name] = slices.Clip(values)
	}
}
