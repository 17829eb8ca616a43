package vertexai

import (
	"context"
	"net/http"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/internal/setting"
	"github.com/llmproxy/llmproxy/providers/internal/token"
)

// A CredentialSource gets access tokens of Google Cloud, for the scope
// https://www.googleapis.com/auth/cloud-platform.
type CredentialSource interface {
	// Token returns a new token and when it expires; a zero time means never. A provider
	// keeps what it gets, asks ahead of that time while requests go on with the old token,
	// and has one call under way at a time. ctx is no request's, and lasts half a minute:
	// Token must return when it ends. The error may be logged.
	Token(ctx context.Context) (token string, expiry time.Time, err error)
}

// credentials sets the access token of c, and then what next does, which knows the API
// key.
func credentials(c Config, next llmproxy.RequestEnricher) llmproxy.RequestEnricher {
	var get func(context.Context) (string, error)
	switch {
	case c.ClientKeys:
		return next
	case c.AccessToken != "":
		get = func(context.Context) (string, error) { return c.AccessToken, nil }
	case c.Credentials != nil:
		get = token.New(c.Credentials.Token, c.name(), "an access token").Get
	default:
		return next
	}
	return setting.Enricher(func(r *http.Request, x *llmproxy.Exchange) error {
		value, err := get(r.Context())
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Bearer "+value)
		return next.Enrich(r, x)
	})
}
