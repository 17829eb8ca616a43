package azure

import (
	"context"
	"net/http"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/internal/setting"
	"github.com/llmproxy/llmproxy/providers/internal/token"
)

// TokenSource gets access tokens of Entra ID.
type TokenSource interface {
	// Token returns a token for scope, such as
	// https://cognitiveservices.azure.com/.default, and when it expires; a zero time
	// means never. A provider keeps what it gets, asks ahead of that time while requests
	// go on with the old token, and has one call under way at a time for each scope. ctx
	// is no request's, and lasts half a minute: Token must return when it ends. The error
	// may be logged.
	Token(ctx context.Context, scope string) (token string, expires time.Time, err error)
}

// scope is what a token is for.
type scope int

const (
	cognitiveServices scope = iota // the dated API
	ai                             // /openai/v1 and Claude
	scopes                         // how many there are
)

func (s scope) String() string {
	if s == ai {
		return "https://ai.azure.com/.default"
	}
	return "https://cognitiveservices.azure.com/.default"
}

// credentials sets the credential of c, and then what rest does: the operator's fields
// come last.
func credentials(c Config, at places, rest llmproxy.RequestEnricher) llmproxy.RequestEnricher {
	switch {
	case c.ClientKeys:
		return rest
	case c.AccessToken != "":
		bearer := "Bearer " + c.AccessToken
		return setting.Enricher(func(r *http.Request, x *llmproxy.Exchange) error {
			r.Header.Set("Authorization", bearer)
			return rest.Enrich(r, x)
		})
	case c.Tokens != nil:
		var kept [scopes]*token.Cache
		for s := range kept {
			kept[s] = token.New(func(ctx context.Context) (string, time.Time, error) {
				return c.Tokens.Token(ctx, scope(s).String())
			}, c.name(), "a token of Entra ID")
		}
		return setting.Enricher(func(r *http.Request, x *llmproxy.Exchange) error {
			value, err := kept[at.scope(x)].Get(r.Context())
			if err != nil {
				return err
			}
			r.Header.Set("Authorization", "Bearer "+value)
			return rest.Enrich(r, x)
		})
	case c.APIKey != "" && at.foundry != nil:
		key := c.APIKey
		return setting.Enricher(func(r *http.Request, x *llmproxy.Exchange) error {
			if at.claude(x) {
				r.Header.Set("X-Api-Key", key) // what Claude's API looks for
			}
			return rest.Enrich(r, x)
		})
	}
	return rest
}
