package vertexai_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/vertexai"
)

// source gives tokens as its function does, and counts.
type source struct {
	calls atomic.Int64
	token func(ctx context.Context, call int64) (string, time.Time, error)
}

func (s *source) Token(ctx context.Context) (string, time.Time, error) {
	return s.token(ctx, s.calls.Add(1))
}

// bearer returns a function that enriches a request of a provider with that source, and
// returns the token it got.
func bearer(t *testing.T, s *source) func(ctx context.Context) (string, error) {
	t.Helper()
	p, err := vertexai.New(vertexai.Config{Project: "p", Credentials: s})
	if err != nil {
		t.Fatal(err)
	}
	return func(ctx context.Context) (string, error) {
		r := (&http.Request{Header: http.Header{}}).WithContext(ctx)
		err := p.Enrich(r, &llmproxy.Exchange{})
		token := r.Header.Get("Authorization")
		if len(token) > len("Bearer ") {
			token = token[len("Bearer "):]
		}
		return token, err
	}
}

// numbered gives a, b, c …, each for a time.
func numbered(life time.Duration) func(context.Context, int64) (string, time.Time, error) {
	return func(_ context.Context, call int64) (string, time.Time, error) {
		return string(rune('a' + call - 1)), time.Now().Add(life), nil
	}
}

// at is what a token is expected to be after a time.
type at struct {
	after time.Duration
	token string // "" if there is none
}

func TestTokensAreRenewedAhead(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		life time.Duration
		want []at
	}{
		"an hour":       {time.Hour, []at{{0, "a"}, {55*time.Minute - 1, "a"}, {1, "a"}, {0, "b"}, {54 * time.Minute, "b"}, {time.Minute, "b"}, {0, "c"}}},
		"longer unused": {time.Hour, []at{{0, "a"}, {24 * time.Hour, "b"}}},
		"short-lived":   {20 * time.Second, []at{{0, "a"}, {9 * time.Second, "a"}, {time.Second, "a"}, {0, "b"}, {time.Hour, "c"}}},
		"over at once":  {-time.Second, []at{{0, ""}, {0, ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				get := bearer(t, &source{token: numbered(tt.life)})
				for _, step := range tt.want {
					pass(step.after)
					if got, err := get(t.Context()); got != step.token || (err != nil) != (step.token == "") {
						t.Errorf("after %s: got %q, %v, want %q", step.after, got, err, step.token)
					}
				}
			})
		})
	}
}

// pass lets time go by, inside a bubble, and what is under way come to rest.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestTokenWithoutExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &source{token: func(context.Context, int64) (string, time.Time, error) { return "a", time.Time{}, nil }}
		get := bearer(t, s)
		for range 3 {
			if got, err := get(t.Context()); got != "a" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
			pass(1000 * time.Hour)
		}
		if n := s.calls.Load(); n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
	})
}

// Many ask, one call is made, all get what it brings.
func TestOneCallAtATime(t *testing.T) {
	t.Parallel()
	for name, result := range map[string]error{"a token": nil, "a failure": errors.New("planned")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				let := make(chan struct{})
				s := &source{token: func(context.Context, int64) (string, time.Time, error) {
					<-let
					return "a", time.Now().Add(time.Hour), result
				}}
				get := bearer(t, s)
				var wg sync.WaitGroup
				for range 20 {
					wg.Go(func() {
						got, err := get(t.Context())
						if result == nil && (got != "a" || err != nil) {
							t.Errorf("got %q, %v", got, err)
						}
						fault, ok := errors.AsType[*llmproxy.Error](err)
						if result != nil && (!ok || fault.Status != http.StatusBadGateway || fault.Code != "provider_auth" || !errors.Is(err, result)) {
							t.Errorf("got %v", err)
						}
					})
				}
				synctest.Wait()
				close(let)
				wg.Wait()
				if n := s.calls.Load(); n != 1 {
					t.Errorf("%d calls, want 1", n)
				}
				if _, err := get(t.Context()); !errors.Is(err, result) {
					t.Errorf("afterwards: %v", err)
				}
				if n := s.calls.Load(); result != nil && n != 2 {
					t.Errorf("%d calls, want another after a failure", n)
				}
			})
		})
	}
}

// While a new token is asked for, all go on with the old one.
func TestOldTokenMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		let := make(chan struct{})
		s := &source{}
		s.token = func(ctx context.Context, call int64) (string, time.Time, error) {
			if call == 2 {
				<-let
			}
			return numbered(time.Hour)(ctx, call)
		}
		get := bearer(t, s)
		_, _ = get(t.Context())
		pass(56 * time.Minute)
		for range 2 {
			if got, err := get(t.Context()); got != "a" || err != nil {
				t.Errorf("meanwhile: got %q, %v, want the old one", got, err)
			}
			synctest.Wait()
		}
		close(let)
		synctest.Wait()
		if got, err := get(t.Context()); got != "b" || err != nil {
			t.Errorf("got %q, %v, want b", got, err)
		}
		if n := s.calls.Load(); n != 2 {
			t.Errorf("%d calls, want 2", n)
		}
	})
}

// A source that fails is asked again, though not for every request, and the old token
// serves while it is good.
func TestFailuresMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		planned := errors.New("planned")
		s := &source{}
		s.token = func(ctx context.Context, call int64) (string, time.Time, error) {
			if call > 1 {
				return "", time.Time{}, planned
			}
			return numbered(time.Hour)(ctx, call)
		}
		get := bearer(t, s)
		for i, step := range []struct {
			after time.Duration
			token string
			calls int64
		}{
			{0, "a", 1},
			{55 * time.Minute, "a", 2},
			{29 * time.Second, "a", 2},
			{time.Second, "a", 3},
			{3*time.Minute + 59*time.Second, "a", 4},
			{time.Second, "", 5},
			{0, "", 6},
		} {
			pass(step.after)
			got, err := get(t.Context())
			synctest.Wait()
			if got != step.token || (err != nil) != (step.token == "") || err != nil && !errors.Is(err, planned) {
				t.Errorf("step %d: got %q, %v", i, got, err)
			}
			if n := s.calls.Load(); n != step.calls {
				t.Errorf("step %d: %d calls, want %d", i, n, step.calls)
			}
		}
	})
}

// Whoever leaves does not wait on, and does not take the token from the others.
func TestLeaving(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		let := make(chan struct{})
		s := &source{token: func(ctx context.Context, _ int64) (string, time.Time, error) {
			<-let
			return "a", time.Now().Add(time.Hour), ctx.Err()
		}}
		get := bearer(t, s)
		ctx, leave := context.WithCancelCause(t.Context())
		gone := errors.New("gone")
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := get(ctx); !errors.Is(err, gone) {
				t.Errorf("who asked, and left: %v", err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			if _, err := get(ctx); !errors.Is(err, gone) {
				t.Errorf("who waited, and left: %v", err)
			}
		})
		wg.Go(func() {
			if got, err := get(t.Context()); got != "a" || err != nil {
				t.Errorf("who stayed: got %q, %v", got, err)
			}
		})
		synctest.Wait()
		leave(gone)
		synctest.Wait()
		close(let)
		wg.Wait()
	})
}

func TestPatience(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		get := bearer(t, &source{token: func(ctx context.Context, _ int64) (string, time.Time, error) {
			<-ctx.Done()
			return "", time.Time{}, ctx.Err()
		}})
		began := time.Now()
		if _, err := get(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if waited := time.Since(began); waited != 30*time.Second {
			t.Errorf("waited %s", waited)
		}
	})
}

// What a source does wrong is contained.
func TestOddSources(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &source{}
		s.token = func(ctx context.Context, call int64) (string, time.Time, error) {
			switch call {
			case 1:
				return "", time.Now().Add(time.Hour), nil
			case 2:
				panic("planned")
			}
			return numbered(time.Hour)(ctx, call)
		}
		get := bearer(t, s)
		if got, err := get(t.Context()); got != "" || err == nil {
			t.Errorf("no token: got %q, %v", got, err)
		}
		if got, err := get(t.Context()); got != "" || !strings.HasSuffix(fmt.Sprint(err), ": the source panicked: planned") {
			t.Errorf("a panic: got %q, %v", got, err)
		}
		if got, err := get(t.Context()); got != "c" || err != nil {
			t.Errorf("after a panic: got %q, %v", got, err)
		}
	})
}
