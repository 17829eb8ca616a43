// Package token keeps access tokens for the providers whose service wants one.
//
// A [Cache] asks its source ahead of a token's expiry and in the background, so that no
// request waits while there is a token that is good, and none is sent with one that is
// not. What a token is for, and where it goes, is in the package of its provider.
package token

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/llmproxy/llmproxy"
)

// A Source gets a new token and says when it expires; a zero time means never. It must
// return when ctx ends. Its error may be logged. A panic counts as an error.
type Source func(ctx context.Context) (token string, expires time.Time, err error)

// Cache keeps the token of one source. It is safe for concurrent use.
type Cache struct {
	source         Source
	provider, what string // for errors

	mu    sync.Mutex    // guards the following
	value string        // "" before the first
	renew time.Time     // from when on another is wanted
	end   time.Time     // from when on value is of no use
	pause time.Duration // after a failure, while value is good
	call  *call         // under way; nil if none
}

// A call of a source is nobody's own: it goes on whoever leaves.
type call struct {
	done <-chan struct{} // closed at its end, or when the source was too slow
	err  error           // as of then; guarded by the cache's mu
}

const (
	ahead    = 5 * time.Minute  // of its expiry, a token is renewed
	margin   = 30 * time.Second // before its expiry, a token is used no more
	pause    = 30 * time.Second // after a failure, while the old token is good
	patience = 30 * time.Second // with one call of a source
)

var (
	errNone = errors.New("the source gave no token")
	errOver = errors.New("the source gave a token that has expired")
)

// New returns the cache of a source. Errors name the provider and what its tokens are
// ("an access token").
func New(source Source, provider, what string) *Cache {
	return &Cache{source: source, provider: provider, what: what}
}

// Get returns a token that is good for some time yet. A call of the source is waited for
// only if there is none, while ctx lasts and for half a minute at most. The error wraps an
// [*llmproxy.Error], a 502 that says no more than that there is no token, and the cause.
func (c *Cache) Get(ctx context.Context) (string, error) {
	value, call := c.look()
	if value != "" {
		return value, nil
	}
	select {
	case <-call.done:
	case <-ctx.Done():
		return "", c.refusal(context.Cause(ctx))
	}
	return c.result(call)
}

// look returns the token if it is good, else the call to wait for. It starts one where
// another token is wanted and none is under way.
func (c *Cache) look() (value string, under *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	good := c.good(now)
	if c.call == nil && (!good || !now.Before(c.renew)) {
		c.call = c.start()
	}
	if good {
		return c.value, nil
	}
	return "", c.call
}

// result returns the token as it is after a wait for under.
func (c *Cache) result(under *call) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.good(time.Now()):
		return c.value, nil
	case under.err != nil:
		return "", c.refusal(under.err)
	}
	return "", c.refusal(errOver)
}

// good reports whether the token can be used at now. The caller holds mu.
func (c *Cache) good(now time.Time) bool { return c.value != "" && now.Before(c.end) }

// start calls the source, with a context of its own: the token is for all requests, and
// the one that came first may leave. There is no second call before the first has
// returned, so that a source that never does costs one goroutine.
func (c *Cache) start() *call {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	started := &call{done: ctx.Done(), err: context.DeadlineExceeded}
	go func() {
		defer cancel() // after keep
		value, expires, err := "", time.Time{}, errNone
		defer func() { // also if the source panics, or ends the goroutine
			if p := recover(); p != nil {
				err = fmt.Errorf("the source panicked: %v", p)
			}
			c.keep(started, value, expires, err)
		}()
		value, expires, err = c.source(ctx)
	}()
	return started
}

// keep ends a call with what it brought.
func (c *Cache) keep(ended *call, value string, expires time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.call = nil
	now := time.Now()
	if expires.IsZero() {
		expires = now.AddDate(100, 0, 0)
	}
	life := expires.Sub(now)
	switch {
	case err != nil:
	case value == "":
		err = errNone
	case life <= 0:
		err = errOver
	}
	ended.err = err
	if err != nil {
		c.renew = now.Add(c.pause)
		return
	}
	// Of a token that does not live long, part of its life is used.
	c.value, c.renew, c.end = value, expires.Add(-min(ahead, life/2)), expires.Add(-min(margin, life/4))
	c.pause = min(pause, life/8)
}

func (c *Cache) refusal(cause error) error {
	return fmt.Errorf("%w: %w", &llmproxy.Error{
		Status: http.StatusBadGateway, Type: "server_error", Code: "provider_auth",
		Message: fmt.Sprintf("the provider %q could not be given %s", c.provider, c.what),
	}, cause)
}
