package vertexai

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

// A CredentialSource gets access tokens of Google Cloud, for the scope
// https://www.googleapis.com/auth/cloud-platform.
type CredentialSource interface {
	// Token returns a new token and when it expires; a zero time means never. A provider
	// keeps what it gets, asks ahead of that time, and has one call under way at a time.
	// The error may be logged.
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
		get = (&tokens{source: c.Credentials}).get
	default:
		return next
	}
	name := c.name()
	return setting.Enricher(func(r *http.Request, x *llmproxy.Exchange) error {
		token, err := get(r.Context())
		if err != nil {
			return fmt.Errorf("%w: %w", noToken(name), err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		return next.Enrich(r, x)
	})
}

func noToken(provider string) *llmproxy.Error {
	return &llmproxy.Error{
		Status: http.StatusBadGateway, Type: "server_error", Code: "provider_auth",
		Message: fmt.Sprintf("the provider %q could not be given an access token", provider),
	}
}

const (
	ahead    = 5 * time.Minute  // of its expiry, a token is renewed
	margin   = 30 * time.Second // before its expiry, a token is used no more
	pause    = 30 * time.Second // after a failure, while the old token is good
	patience = 30 * time.Second // with one call of a source
)

// tokens keeps the token of a source. It is safe for concurrent use.
type tokens struct {
	source CredentialSource

	mu    sync.Mutex // guards the following
	value string     // "" before the first
	renew time.Time  // from when on another is wanted
	end   time.Time  // from when on value is of no use
	call  *call      // under way; nil if none
}

// A call of a source has one caller, and others that wait for what it brings.
type call struct {
	done  chan struct{} // closed at its end
	value string
	err   error
}

var errNoToken = errors.New("the source gave no token")

// get returns a token that is good for some time yet. The first who finds that another
// is wanted gets it; meanwhile the rest use the old one, or wait if that is of no use.
func (t *tokens) get(ctx context.Context) (string, error) {
	t.mu.Lock()
	now := time.Now()
	old, c := t.value, t.call
	good := old != "" && now.Before(t.end)
	if good && (c != nil || now.Before(t.renew)) {
		t.mu.Unlock()
		return old, nil
	}
	if c != nil {
		t.mu.Unlock()
		select {
		case <-c.done:
			return c.value, c.err
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
	c = &call{done: make(chan struct{}), err: errNoToken}
	t.call = c
	t.mu.Unlock()

	t.ask(ctx, c)
	if c.err != nil && good {
		return old, nil
	}
	return c.value, c.err
}

// ask gets a token and keeps it. That the caller leaves does not end the call: others
// may be waiting for it.
func (t *tokens) ask(ctx context.Context, c *call) {
	defer func() { // also when the source panics
		t.mu.Lock()
		t.call = nil
		t.mu.Unlock()
		close(c.done)
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	value, expiry, err := t.source.Token(ctx)
	if err == nil && value == "" {
		err = errNoToken
	}
	c.value, c.err = value, err

	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if err != nil {
		t.renew = now.Add(pause)
		return
	}
	if expiry.IsZero() {
		expiry = now.AddDate(100, 0, 0)
	}
	left := expiry.Sub(now)
	t.value, t.renew, t.end = value, expiry.Add(-min(ahead, left/2)), expiry.Add(-min(margin, left/4))
}
