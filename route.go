package llmproxy

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// route chooses the provider of a request that is not on a mount, and the name its model
// has there.
func (a *AutoRouter) route(ctx context.Context, t target, x *Exchange) (Route, *Error) {
	model := x.Meta.Model
	if a.detector != nil {
		hint := ProviderHint{Operation: x.Operation, Model: model, Header: x.Header, Meta: x.Meta, Transport: x.Transport, Caller: x.Caller}
		if name, renamed := a.detector.DetectProvider(ctx, hint); name != "" {
			p, ok := a.registry.Get(name)
			if !ok {
				return Route{}, providerNotFound(name)
			}
			return Route{Provider: p, Model: renamed}, nil
		}
	}
	if name := x.Header.Get("X-Provider"); name != "" {
		p, ok := a.registry.Get(name)
		if !ok {
			return Route{}, providerNotFound(name)
		}
		return Route{Provider: p, Model: cutPrefix(p, model)}, nil
	}
	providers := a.registry.All()
	if p := byPrefix(providers, model); p != nil {
		return Route{Provider: p, Model: cutPrefix(p, model)}, nil
	}
	if t.deployments {
		providers = slices.DeleteFunc(slices.Clone(providers), func(p Provider) bool { return !p.Routing().Deployments })
	}
	if model != "" {
		if p := byPattern(providers, model, func(r Routing) []string { return r.Models }); p != nil {
			return Route{Provider: p}, nil
		}
		if p := byPattern(providers, model, func(r Routing) []string { return r.BuiltIn }); p != nil {
			return Route{Provider: p}, nil
		}
		if a.lookup != nil {
			if name, ok := a.lookup(ctx, model); ok {
				if p, ok := a.registry.Get(name); ok && (!t.deployments || p.Routing().Deployments) {
					return Route{Provider: p}, nil
				}
			}
		}
	}
	if t.deployments {
		if len(providers) == 0 {
			return Route{}, noProvider(model)
		}
		return Route{Provider: providers[0]}, nil
	}
	for _, p := range providers {
		if slices.Contains(p.Routing().Paths, t.op.API) {
			return Route{Provider: p}, nil
		}
	}
	if p, ok := a.registry.Get(a.fallback); ok {
		return Route{Provider: p}, nil
	}
	if a.fallback == "" && len(providers) == 1 {
		return Route{Provider: providers[0]}, nil
	}
	return Route{}, noProvider(model)
}

// byPrefix returns the provider that the first segment of model names, nil if none.
func byPrefix(providers []Provider, model string) Provider {
	prefix, _, ok := strings.Cut(model, "/")
	if !ok {
		return nil
	}
	for _, p := range providers {
		if isPrefixOf(p, prefix) {
			return p
		}
	}
	return nil
}

func isPrefixOf(p Provider, prefix string) bool {
	return prefix == p.Name() || slices.Contains(p.Routing().Prefixes, prefix)
}

// cutPrefix returns model without the prefix that names p, once; "" where there is
// nothing to cut and the model stays as it is.
func cutPrefix(p Provider, model string) string {
	prefix, rest, ok := strings.Cut(model, "/")
	if !ok || rest == "" || !isPrefixOf(p, prefix) || matchAny(p.Routing().Native, model) {
		return ""
	}
	return rest
}

// byPattern returns the provider with the longest pattern that matches model, the first
// of several, nil if none matches.
func byPattern(providers []Provider, model string, of func(Routing) []string) (best Provider) {
	longest := 0
	for _, p := range providers {
		if n := longestMatch(of(p.Routing()), model); n > longest {
			best, longest = p, n
		}
	}
	return best
}

func routeNotFound() *Error {
	return &Error{
		Status: http.StatusNotFound, Type: "invalid_request_error", Code: "route_not_found",
		Message: "no API is served at this path",
	}
}

func providerNotFound(name string) *Error {
	return &Error{
		Status: http.StatusNotFound, Type: "invalid_request_error", Code: "provider_not_found",
		Message: fmt.Sprintf("no provider named %s is configured", quote(name)), cause: ErrNoProvider,
	}
}

func noProvider(model string) *Error {
	e := &Error{Status: http.StatusNotFound, Type: "invalid_request_error", Code: "model_not_found", Param: "model", cause: ErrNoProvider}
	if model == "" {
		e.Message = "the request names no model and there is no fallback: name the provider with X-Provider"
	} else {
		e.Message = fmt.Sprintf("no configured provider serves the model %s: name the provider with X-Provider or as a prefix of the model", quote(model))
	}
	return e
}

// quote shows a client its own words, bounded.
func quote(s string) string {
	const most = 100
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return fmt.Sprintf("%q", s)
}
