package llmproxy

import "context"

// Caller is on whose behalf a request is made, as the handler in front of the router
// found out. Its zero value is nobody in particular.
type Caller struct {
	// Key is the public id of the gateway key: it goes on the record.
	Key string
	// Tags win over those that the request itself gives.
	Tags map[string]string
}

type callerKey struct{}

// WithCaller returns a context whose requests are made on behalf of c. The router does
// not change c.Tags, and nobody else may.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// callerOf returns on whose behalf the request with ctx is made.
func callerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// tags returns the request's tags with the caller's over them.
func (c Caller) tags(request map[string]string) map[string]string {
	if len(c.Tags) == 0 {
		return request
	}
	if len(request) == 0 {
		return c.Tags
	}
	for name, value := range c.Tags {
		request[name] = value
	}
	return request
}
