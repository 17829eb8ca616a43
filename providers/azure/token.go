package azure

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/internal/setting"
)

// TokenSource gets access tokens of Entra ID.
type TokenSource interface {
	// Token returns a token for scope, such as
	// https://cognitiveservices.azure.com/.default, and when it expires; a zero time
	// means never. A provider asks ahead of that time, and by one call at a time for each
	// scope. The error may be logged.
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
		var kept [scopes]*tokens
		for s := range kept {
			kept[s] = &tokens{source: c.Tokens, scope: scope(s).String()}
		}
		name := c.name()
		return setting.Enricher(func(r *http.Request, x *llmproxy.Exchange) error {
			token, err := kept[at.scope(x)].get(r.Context())
			if err != nil {
				return fmt.Errorf("%w: %w", noToken(name), err)
			}
			r.Header.Set("Authorization", "Bearer "+token)
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

func noToken(provider string) *llmproxy.Error {
	return &llmproxy.Error{
		Status: http.StatusBadGateway, Type: "server_error", Code: "provider_auth",
		Message: fmt.Sprintf("the provider %q could not be given a token of Entra ID", provider),
	}
}

const (
	early    = 5 * time.Minute  // before its end, a token is replaced
	margin   = 30 * time.Second // before its end, a token is not used any more
	pause    = 30 * time.Second // after a failure, while the old token is good
	patience = 30 * time.Second // with one call of a source
)

// tokens keeps the token of one scope.
type tokens struct {
	source TokenSource
	scope  string

	mu      sync.Mutex // guards the following
	value   string     // "" before the first
	refresh time.Time  // from when on another is asked for
	expires time.Time  // from when on value is of no use
	flight  *flight    // the call under way; nil if none
}

// flight is one call of a source.
type flight struct {
	done chan struct{} // closed at its end
	err  error         // as of then
	left bool          // the caller left; nothing is said about the source
}

// get returns a token. Whoever finds it old asks for another; the rest use the old one
// while it is good, and wait when it is not.
func (t *tokens) get(ctx context.Context) (string, error) {
	for {
		t.mu.Lock()
		now := time.Now()
		good := t.value != "" && now.Before(t.expires)
		if good && (t.flight != nil || now.Before(t.refresh)) {
			defer t.mu.Unlock()
			return t.value, nil
		}
		f := t.flight
		if f == nil {
			f = &flight{done: make(chan struct{}), err: errNoToken}
			t.flight = f
			t.mu.Unlock()
			return t.fetch(ctx, f)
		}
		t.mu.Unlock()
		select {
		case <-f.done:
			if f.err != nil && !f.left {
				return "", f.err
			}
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

var errNoToken = errors.New("the source gave no token")

// fetch asks the source and keeps what it gives.
func (t *tokens) fetch(ctx context.Context, f *flight) (string, error) {
	defer func() { // also if the source panics
		t.mu.Lock()
		t.flight = nil
		t.mu.Unlock()
		close(f.done)
	}()
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	value, expires, err := t.source.Token(bounded, t.scope)
	if err == nil && value == "" {
		err = errNoToken
	}
	f.err, f.left = err, ctx.Err() != nil

	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if err != nil {
		if t.value == "" || !now.Before(t.expires) {
			return "", err
		}
		t.refresh = now.Add(pause)
		return t.value, nil
	}
	if expires.IsZero() {
		expires = now.AddDate(100, 0, 0)
	}
	life := expires.Sub(now)
	t.value, t.refresh, t.expires = value, expires.Add(-min(early, life/2)), expires.Add(-min(margin, life/4))
	return t.value, nil
}
