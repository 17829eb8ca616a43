package keys_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/keys"
)

// books are those of one key.
type books struct {
	mu    sync.Mutex
	asked []time.Time // guarded by mu
	spent func(since time.Time) (llmproxy.USD, error)
}

func (b *books) Spent(_ context.Context, key string, since time.Time) (llmproxy.USD, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, since)
	if key != "key_a" {
		return 0, errors.New("another key")
	}
	return b.spent(since)
}

var day = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

func holdOf(id string, since time.Time, money llmproxy.USD) keys.Hold {
	return keys.Hold{ID: id, Key: "key_a", Since: since, Limit: 10 * dollar, Money: money, Life: time.Hour}
}

// What was spent before is asked for once in a period, however many want to know.
func TestLocalAsksItsBooks(t *testing.T) {
	t.Parallel()
	b := &books{spent: func(since time.Time) (llmproxy.USD, error) {
		if since.Equal(day) {
			return 7 * dollar, nil
		}
		return 10 * dollar, nil
	}}
	l := keys.NewLocal(b)
	var wg sync.WaitGroup
	for _, id := range []string{"a", "b", "c"} {
		wg.Go(func() {
			if err := l.Hold(t.Context(), holdOf(id, day, dollar)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	e, ok := errors.AsType[*keys.ExceededError](l.Hold(t.Context(), holdOf("d", day, 1)))
	if !ok || e.Spent != 7*dollar || e.Held != 3*dollar {
		t.Errorf("got %v, want $7 spent and $3 held", e)
	}
	if want := "budget exceeded: $7 is spent, $3 held"; e.Error() != want {
		t.Errorf("got %q, want %q", e.Error(), want)
	}
	if err := l.Hold(t.Context(), holdOf("e", day.AddDate(0, 0, 1), 1)); !errors.Is(err, keys.ErrBudgetExceeded) {
		t.Errorf("the next day: got %v, want %v", err, keys.ErrBudgetExceeded)
	}
	if len(b.asked) != 2 {
		t.Errorf("the books were asked for %v", b.asked)
	}
}

// Books that cannot be read say nothing, and are asked again.
func TestLocalWithoutItsBooks(t *testing.T) {
	t.Parallel()
	b := &books{spent: func(time.Time) (llmproxy.USD, error) { return 0, errDown }}
	l := keys.NewLocal(b)
	h := holdOf("a", day, dollar)
	if err := l.Hold(t.Context(), h); !errors.Is(err, errDown) || errors.Is(err, keys.ErrBudgetExceeded) {
		t.Errorf("got %v, want %v", err, errDown)
	}
	// The books have what is charged meanwhile.
	if err := l.Charge(t.Context(), holdOf("b", day, 0), 5*dollar); err != nil {
		t.Error(err)
	}
	b.spent = func(time.Time) (llmproxy.USD, error) { return 5 * dollar, nil }
	if err := l.Hold(t.Context(), h); err != nil {
		t.Error(err)
	}
	e, _ := errors.AsType[*keys.ExceededError](l.Hold(t.Context(), keys.Hold{ID: "c", Key: "key_a", Since: day, Limit: 1, Money: 1}))
	if e == nil || e.Spent != 5*dollar || e.Held != dollar {
		t.Errorf("got %+v, want $5 spent and $1 held", e)
	}
	b.spent = func(time.Time) (llmproxy.USD, error) { panic("books") }
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is gone")
			}
		}()
		_ = l.Hold(t.Context(), holdOf("d", day.AddDate(0, 0, 1), 1))
	}()
	b.spent = func(time.Time) (llmproxy.USD, error) { return 0, nil }
	if err := l.Hold(t.Context(), holdOf("d", day.AddDate(0, 0, 1), 1)); err != nil {
		t.Errorf("after a panic of the books: %v", err)
	}
}
