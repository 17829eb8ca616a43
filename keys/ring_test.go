package keys_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmproxy/llmproxy/keys"
)

// faulty is a store that can be down.
type faulty struct {
	keys.Memory

	mu    sync.Mutex
	down  error // guarded by mu
	lists int   // guarded by mu
}

func (f *faulty) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = err
}

func (f *faulty) Revision(ctx context.Context) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down != nil {
		return 0, f.down
	}
	return f.Memory.Revision(ctx)
}

func (f *faulty) List(ctx context.Context) ([]keys.Key, error) {
	f.mu.Lock()
	f.lists++
	f.mu.Unlock()
	return f.Memory.List(ctx)
}

var errDown = errors.New("the store is down")

func TestRingFollowsItsStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s faulty
		var log logBuffer
		ring, err := keys.NewRing(t.Context(), &s, keys.RingOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { ring.Run(ctx) })
		// A test on virtual time may let it pass.
		pass := func(d time.Duration) {
			<-time.After(d)
			synctest.Wait()
		}
		k, secret, err := keys.New(keys.Key{Name: "a", RPM: 3, TPM: 4}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Create(ctx, k); err != nil {
			t.Fatal(err)
		}
		if _, ok := ring.Find(secret); ok {
			t.Error("known at once: the test is about something else")
		}
		pass(time.Second)
		if got, ok := ring.Find(secret); !ok || got.ID != k.ID {
			t.Fatal("a new key is not known after a second")
		}
		if rpm, tpm := ring.Rates(k.ID); rpm != 3 || tpm != 4 {
			t.Errorf("its limits are %d and %d", rpm, tpm)
		}
		if rpm, tpm := ring.Rates("key_x"); rpm != 0 || tpm != 0 {
			t.Errorf("the limits of no key are %d and %d", rpm, tpm)
		}

		s.set(errDown)
		if err := s.Revoke(ctx, k.ID, time.Now()); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		if got, ok := ring.Find(secret); !ok || !got.Valid(time.Now()) {
			t.Error("the last good copy does not serve while the store is down")
		}
		if err := ring.Err(); !errors.Is(err, errDown) {
			t.Errorf("Err: got %v, want %v", err, errDown)
		}
		s.set(nil)
		pass(time.Second)
		if got, ok := ring.Find(secret); !ok || got.Valid(time.Now()) || len(ring.All()) != 1 {
			t.Error("a revoked key is valid after a second")
		}
		if err := ring.Err(); err != nil {
			t.Errorf("Err: got %v", err)
		}
		before := s.lists
		pass(time.Hour)
		if s.lists != before {
			t.Errorf("all keys were read %d times although nothing had changed", s.lists-before)
		}
		cancel()
		wg.Wait()
		text := log.String()
		if n := strings.Count(text, "the gateway keys cannot be read"); n != 1 {
			t.Errorf("a minute without the store is logged %d times", n)
		}
		if !strings.Contains(text, "the gateway keys can be read again") {
			t.Error("its return is not logged")
		}
	})
}

func TestRingNeedsItsStoreToBegin(t *testing.T) {
	t.Parallel()
	s := &faulty{down: errDown}
	if _, err := keys.NewRing(t.Context(), s, keys.RingOptions{}); !errors.Is(err, errDown) {
		t.Errorf("got %v, want %v", err, errDown)
	}
}
