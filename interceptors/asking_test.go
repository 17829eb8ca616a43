package interceptors_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/interceptors"
)

// Retries inside: each target is asked as often as it may be, then the next one.
func TestPoolsAroundRetry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := setPools(t, [][]string{{"status=500", "status=500"}, {"status=503"}}, nil,
			llmproxy.WithInterceptor(&interceptors.Retry{Attempts: 2, Jitter: longest}))
		if got := p.post(best(chatBody)); got.Code != 200 {
			t.Errorf("got %d", got.Code)
		}
		if want := []string{"p0", "p0", "p1", "p1"}; !slices.Equal(p.asked(), want) {
			t.Errorf("asked %v, want %v", p.asked(), want)
		}
		if want := []time.Duration{0, 200 * ms, 200 * ms, 400 * ms}; !slices.Equal(p.times(), want) {
			t.Errorf("at %v, want %v", p.times(), want)
		}
	})
}

// A retry inside does not wait while another target is well, and others learn at once what
// it has found out.
func TestPoolsAroundRetryThatWouldWait(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		words [][]string
		asked []string
		took  time.Duration
	}{
		{"a long hint", [][]string{{"status=429,retry-after=25"}, nil}, []string{"p0", "p1", "p1"}, 0},
		{"a lack of capacity", [][]string{{"status=498"}, nil}, []string{"p0", "p1", "p1"}, 0},
		{"a short hint", [][]string{{"status=429,retry-after=1"}, nil}, []string{"p0", "p0", "p0"}, 1200 * ms},
		{"no hint", [][]string{{"status=529"}, nil}, []string{"p0", "p0", "p0"}, 200 * ms},
		{"a conflict, which is one everywhere", [][]string{{"status=409,retry-after=5"}, nil}, []string{"p0", "p0", "p0"}, 5200 * ms},
		{"nobody else", [][]string{{"status=429,retry-after=25"}}, []string{"p0", "p0", "p0"}, 25200 * ms},
		{"nobody else is well", [][]string{{"status=429,retry-after=25"}, {"status=429,retry-after=20"}}, []string{"p0", "p1", "p1", "p1"}, 20200 * ms},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := setPools(t, tt.words, nil, llmproxy.WithInterceptor(&interceptors.Retry{Jitter: longest}))
				if got := p.post(best(chatBody)); got.Code != 200 || time.Since(p.began) != tt.took {
					t.Errorf("got %d after %v, want %v", got.Code, time.Since(p.began), tt.took)
				}
				p.post(best(chatBody))
				if !slices.Equal(p.asked(), tt.asked) {
					t.Errorf("asked %v, want %v", p.asked(), tt.asked)
				}
			})
		})
	}
}

// While a retry inside waits, others go to another target.
func TestPoolsLearnFromRetry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := setPools(t, [][]string{{"status=429,retry-after=1"}, nil}, nil, llmproxy.WithInterceptor(&interceptors.Retry{Jitter: longest}))
		done := make(chan int)
		go func() { done <- p.post(best(chatBody)).Code }()
		synctest.Wait() // it waits
		p.post(best(chatBody))
		if got := <-done; got != 200 {
			t.Errorf("got %d", got)
		}
		if want := []string{"p0", "p1", "p0"}; !slices.Equal(p.asked(), want) {
			t.Errorf("asked %v, want %v", p.asked(), want)
		}
	})
}
