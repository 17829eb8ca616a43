package token_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/internal/token"
)

// No test may leave a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const refusal = `the provider "p" could not be given a token`

var errPlanned = errors.New("planned")

// rig is a cache whose source counts its calls.
type rig struct {
	*token.Cache
	calls atomic.Int64
}

// newRig returns a cache; answer is the source, and is told which call it is.
func newRig(answer func(ctx context.Context, call int64) (string, time.Time, error)) *rig {
	r := &rig{}
	r.Cache = token.New(func(ctx context.Context) (string, time.Time, error) {
		return answer(ctx, r.calls.Add(1))
	}, "p", "a token")
	return r
}

// numbered is token 1, token 2 …
func numbered(call int64, life time.Duration) (string, time.Time, error) {
	return fmt.Sprint("token ", call), time.Now().Add(life), nil
}

// hang returns when ctx ends.
func hang(ctx context.Context) (string, time.Time, error) {
	<-ctx.Done()
	return "", time.Time{}, context.Cause(ctx)
}

// pass lets virtual time pass, and what is under way come to rest.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// step is a request, and what it must get.
type step struct {
	after time.Duration // since the step before came to rest
	want  string        // a token, or why there is none
	waits time.Duration
	calls int64 // of the source, so far
}

func (r *rig) walk(t *testing.T, steps []step) {
	t.Helper()
	for i, s := range steps {
		pass(s.after)
		start := time.Now()
		got, err := r.Get(t.Context())
		waited := time.Since(start)
		if err != nil {
			got = strings.TrimPrefix(err.Error(), refusal+": ")
		}
		synctest.Wait()
		if calls := r.calls.Load(); got != s.want || waited != s.waits || calls != s.calls {
			t.Errorf("step %d: got %q after %v with %d calls, want %q after %v with %d",
				i, got, waited, calls, s.want, s.waits, s.calls)
		}
	}
}

func TestLives(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		life  time.Duration // 0 means for ever
		steps []step
	}{
		{"an hour", time.Hour, []step{
			{0, "token 1", 0, 1},
			{55*time.Minute - 1, "token 1", 0, 1},
			{1, "token 1", 0, 2},
			{0, "token 2", 0, 2},
			{59*time.Minute + 30*time.Second, "token 3", 0, 3}, // too late for the background
		}},
		{"twenty seconds", 20 * time.Second, []step{
			{0, "token 1", 0, 1},
			{10*time.Second - 1, "token 1", 0, 1},
			{1, "token 1", 0, 2},
			{0, "token 2", 0, 2},
			{15*time.Second - 1, "token 2", 0, 3},
			{0, "token 3", 0, 3},
			{15 * time.Second, "token 4", 0, 4},
		}},
		{"for ever", 0, []step{
			{0, "token 1", 0, 1},
			{200_000 * time.Hour, "token 1", 0, 1},
		}},
		{"none", -time.Second, []step{
			{0, "the source gave a token that has expired", 0, 1},
			{0, "the source gave a token that has expired", 0, 2},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				newRig(func(_ context.Context, call int64) (string, time.Time, error) {
					if tt.life == 0 {
						return fmt.Sprint("token ", call), time.Time{}, nil
					}
					return numbered(call, tt.life)
				}).walk(t, tt.steps)
			})
		})
	}
}

// While the token is good, nobody waits for a source that hangs. Once it is not, whoever
// comes waits for the call under way, and does not get the old one in the end.
func TestHangingSource(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		newRig(func(ctx context.Context, call int64) (string, time.Time, error) {
			if call == 1 {
				return numbered(call, time.Hour)
			}
			return hang(ctx)
		}).walk(t, []step{
			{0, "token 1", 0, 1},
			{55 * time.Minute, "token 1", 0, 2},
			{29 * time.Second, "token 1", 0, 2},
			{31*time.Second - 1, "token 1", 0, 2}, // half a minute after the call was given up
			{1, "token 1", 0, 3},
			{3*time.Minute + 15*time.Second, "token 1", 0, 4},
			{15 * time.Second, "context deadline exceeded", 15 * time.Second, 4},
			{0, "context deadline exceeded", 30 * time.Second, 5},
		})
	})
}

// A token that expires on the way is not sent.
func TestExpiryDuringTheWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(func(_ context.Context, call int64) (string, time.Time, error) {
			end := time.Now().Add(5 * time.Second)
			<-time.After(time.Duration(7-call) * time.Second)
			return fmt.Sprint("token ", call), end, nil
		})
		r.walk(t, []step{
			{0, "the source gave a token that has expired", 6 * time.Second, 1},
			{0, "the source gave a token that has expired", 5 * time.Second, 2},
			{0, "token 3", 4 * time.Second, 3},
		})
	})
}

// A source that does not notice the end of its context is called once, and holds nobody
// up for longer than one that does. What it brings in the end is used.
func TestDeafSource(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		newRig(func(_ context.Context, call int64) (string, time.Time, error) {
			<-time.After(time.Hour)
			return numbered(call, time.Hour)
		}).walk(t, []step{
			{0, "context deadline exceeded", 30 * time.Second, 1},
			{0, "context deadline exceeded", 0, 1},
			{59*time.Minute + 30*time.Second, "token 1", 0, 1},
		})
	})
}

// Whatever there is to renew, one call is made for all who come.
func TestOneCallForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(func(_ context.Context, call int64) (string, time.Time, error) {
			<-time.After(10 * time.Second)
			if call == 3 {
				return "", time.Time{}, errPlanned
			}
			return numbered(call, time.Hour)
		})
		for i, tt := range []struct {
			after time.Duration
			want  string
			waits time.Duration
			calls int64
		}{
			{0, "token 1", 10 * time.Second, 1},
			{55 * time.Minute, "token 1", 0, 2},
			{10 * time.Second, "token 2", 0, 2},
			{time.Hour, "", 10 * time.Second, 3},
			{0, "token 4", 10 * time.Second, 4},
		} {
			pass(tt.after)
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					start := time.Now()
					got, err := r.Get(t.Context())
					if waited := time.Since(start); got != tt.want || waited != tt.waits || (err != nil) != (tt.want == "") {
						t.Errorf("step %d: got %q, %v after %v", i, got, err, waited)
					}
				})
			}
			wg.Wait()
			synctest.Wait()
			if calls := r.calls.Load(); calls != tt.calls {
				t.Errorf("step %d: %d calls, want %d", i, calls, tt.calls)
			}
		}
	})
}

// Whoever leaves ends its own wait and not the call, the one who came first included.
func TestLeaving(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		r := newRig(func(ctx context.Context, call int64) (string, time.Time, error) {
			if ctx.Value(key{}) != nil {
				t.Error("the source sees what belongs to a request")
			}
			select {
			case <-time.After(10 * time.Second):
				return numbered(call, time.Hour)
			case <-ctx.Done():
				return hang(ctx)
			}
		})
		first, leave := context.WithCancelCause(context.WithValue(t.Context(), key{}, 1))
		second, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		got, waited := make([]string, 3), make([]time.Duration, 3)
		var wg sync.WaitGroup
		for i, ctx := range []context.Context{first, second, t.Context()} {
			wg.Go(func() {
				value, err := r.Get(ctx)
				if err != nil {
					value = err.Error()
				}
				got[i], waited[i] = value, time.Since(start)
			})
			synctest.Wait()
		}
		pass(time.Second)
		leave(errPlanned)
		wg.Wait()
		if diff := cmp.Diff([]string{refusal + ": planned", refusal + ": context deadline exceeded", "token 1"}, got); diff != "" {
			t.Errorf("want - got +:\n%s", diff)
		}
		if diff := cmp.Diff([]time.Duration{time.Second, 3 * time.Second, 10 * time.Second}, waited); diff != "" {
			t.Errorf("waits: want - got +:\n%s", diff)
		}
		if calls := r.calls.Load(); calls != 1 {
			t.Errorf("%d calls, want 1", calls)
		}
	})
}

// The call in the background goes on when the request that started it has ended.
func TestRequestEndsBeforeTheRenewal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(func(ctx context.Context, call int64) (string, time.Time, error) {
			if call == 2 {
				<-time.After(time.Second)
			}
			if ctx.Err() != nil {
				return hang(ctx)
			}
			return numbered(call, time.Hour)
		})
		r.walk(t, []step{{0, "token 1", 0, 1}})
		pass(56 * time.Minute)
		ctx, leave := context.WithCancel(t.Context())
		if got, err := r.Get(ctx); got != "token 1" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		leave()
		r.walk(t, []step{{time.Second, "token 2", 0, 2}})
	})
}

// While the old token is good, a source that failed is left alone for a while: half a
// minute, or an eighth of a short life. Without a token everyone asks anew.
func TestFailures(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		life  time.Duration
		steps []step
	}{
		{time.Hour, []step{
			{0, "planned", 0, 1},
			{0, "token 2", 0, 2},
			{55 * time.Minute, "token 2", 0, 3}, // fails
			{30*time.Second - 1, "token 2", 0, 3},
			{1, "token 2", 0, 4}, // fails
			{4 * time.Minute, "planned", 0, 5},
			{0, "planned", 0, 6},
			{0, "token 7", 0, 7},
			{55 * time.Minute, "token 7", 0, 8},
			{0, "token 8", 0, 8},
		}},
		{16 * time.Second, []step{
			{0, "planned", 0, 1},
			{0, "token 2", 0, 2},
			{8 * time.Second, "token 2", 0, 3},
			{2*time.Second - 1, "token 2", 0, 3},
			{1, "token 2", 0, 4},
			{2*time.Second - 1, "token 2", 0, 4},
			{1, "planned", 0, 5},
			{0, "planned", 0, 6},
			{0, "token 7", 0, 7},
		}},
	} {
		t.Run(tt.life.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				newRig(func(_ context.Context, call int64) (string, time.Time, error) {
					switch call {
					case 2, 7, 8:
						return numbered(call, tt.life)
					}
					return "", time.Time{}, errPlanned
				}).walk(t, tt.steps)
			})
		})
	}
}

// A new token that is of no use does not take the place of one that is.
func TestGoodTokenStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		newRig(func(_ context.Context, call int64) (string, time.Time, error) {
			switch call {
			case 1:
				return numbered(call, time.Hour)
			case 2:
				return numbered(call, -time.Hour)
			}
			return "", time.Now().Add(time.Hour), nil
		}).walk(t, []step{
			{0, "token 1", 0, 1},
			{55 * time.Minute, "token 1", 0, 2},
			{time.Minute, "token 1", 0, 3},
			{3 * time.Minute, "token 1", 0, 4},
			{time.Minute, "the source gave no token", 0, 5},
		})
	})
}

// What a source does wrong is an error of its call.
func TestOddSources(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		newRig(func(_ context.Context, call int64) (string, time.Time, error) {
			switch call {
			case 1:
				return "", time.Time{}, nil
			case 2:
				panic("planned")
			case 3:
				runtime.Goexit()
			}
			return numbered(call, time.Hour)
		}).walk(t, []step{
			{0, "the source gave no token", 0, 1},
			{0, "the source panicked: planned", 0, 2},
			{0, "the source gave no token", 0, 3},
			{0, "token 4", 0, 4},
		})
	})
}

// The client sees the message alone; the cause is for the log.
func TestRefusal(t *testing.T) {
	t.Parallel()
	_, err := newRig(func(context.Context, int64) (string, time.Time, error) {
		return "", time.Time{}, errPlanned
	}).Get(t.Context())
	e, ok := errors.AsType[*llmproxy.Error](err)
	if !ok || !errors.Is(err, errPlanned) || e.Status != http.StatusBadGateway || e.Type != "server_error" || e.Code != "provider_auth" || e.Message != refusal {
		t.Errorf("got %v", err)
	}
}
