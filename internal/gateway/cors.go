package gateway

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/llmproxy/llmproxy"
)

// What pages of the operator's origins may do, and read of an answer besides its body.
const (
	corsMethods = "GET, HEAD, POST, PUT, PATCH, DELETE"
	corsExposed = "X-Gateway-Request-Id, X-Gateway-Provider, X-Gateway-Model, X-Gateway-Cost, X-Gateway-Prompt-Tokens, " +
		"X-Gateway-Completion-Tokens, Retry-After, X-Should-Retry, X-Request-Id, Request-Id"
	corsMaxAge = "600" // seconds; browsers cut longer ones
)

// crossOrigin lets pages of the origins that the operator named read the answers, and
// answers the question that browsers ask before ("preflight"), for which no gateway key is
// wanted. A key is no cookie: no credentials of the browser's own are allowed.
func crossOrigin(next http.Handler, origins []Origin) http.Handler {
	if len(origins) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		origin := r.Header.Get("Origin")
		if !slices.ContainsFunc(origins, func(o Origin) bool { return strings.EqualFold(string(o), origin) }) {
			next.ServeHTTP(w, r)
			return
		}
		h.Set("Access-Control-Allow-Origin", origin)
		if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
			h.Set("Access-Control-Expose-Headers", corsExposed)
			next.ServeHTTP(w, r)
			return
		}
		h.Add("Vary", "Access-Control-Request-Headers")
		h.Set("Access-Control-Allow-Methods", corsMethods)
		if asked := r.Header.Values("Access-Control-Request-Headers"); len(asked) > 0 {
			// SDKs have fields of their own, and * does not stand for Authorization.
			h["Access-Control-Allow-Headers"] = slices.Clone(asked)
		}
		if r.Header.Get("Access-Control-Request-Private-Network") == "true" {
			h.Set("Access-Control-Allow-Private-Network", "true")
		}
		h.Set("Access-Control-Max-Age", corsMaxAge)
		w.WriteHeader(http.StatusNoContent)
	})
}

// ownCORS takes what a provider says to web pages off its answers: it is meant for pages
// that call the provider.
type ownCORS struct{}

func (ownCORS) Intercept(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
	reply, err := next(ctx, x)
	if err != nil {
		return nil, err
	}
	for name := range reply.Header {
		if strings.HasPrefix(name, "Access-Control-") {
			delete(reply.Header, name)
		}
	}
	if reply.Header["Vary"] != nil {
		reply.Header.Add("Vary", "Origin") // it takes the place of ours
	}
	return reply, nil
}
