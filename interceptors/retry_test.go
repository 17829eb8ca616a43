package interceptors_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/interceptors"
)

const (
	ms  = time.Millisecond
	sec = time.Second
)

// settings are those of a Retry that concern time.
type settings struct {
	Attempts                   int
	Base, Max, MaxWait, Within time.Duration
}

// The number and the times of the calls, for JSON answers and streams alike.
func TestRetryTimes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		words  []string // of the simulator, answer after answer
		retry  settings
		times  []time.Duration
		status int
	}{
		{"good at once", nil, settings{}, []time.Duration{0}, 200},
		{"twice bad", []string{"status=500", "status=503"}, settings{}, []time.Duration{0, 200 * ms, 600 * ms}, 200},
		{"always bad", []string{"status=500", "status=500", "status=502", "status=500"}, settings{}, []time.Duration{0, 200 * ms, 600 * ms}, 502},
		{"one call", []string{"status=500"}, settings{Attempts: 1}, []time.Duration{0}, 500},
		{
			"longest pause",
			[]string{"status=500", "status=500", "status=500", "status=500"},
			settings{Attempts: 5, Base: sec, Max: 3 * sec},
			[]time.Duration{0, sec, 3 * sec, 6 * sec, 9 * sec},
			200,
		},
		{"the time is up", []string{"status=500", "status=500", "status=500"}, settings{Base: 2 * sec, Within: 5 * sec}, []time.Duration{0, 2 * sec}, 500},
		{"408", []string{"status=408"}, settings{}, []time.Duration{0, 200 * ms}, 200},
		{"409", []string{"status=409"}, settings{}, []time.Duration{0, 200 * ms}, 200},
		{"429, its limit reset in a second", []string{"status=429"}, settings{}, []time.Duration{0, 1200 * ms}, 200},
		{"498", []string{"status=498"}, settings{}, []time.Duration{0, 200 * ms}, 200},
		{"529", []string{"status=529"}, settings{}, []time.Duration{0, 200 * ms}, 200},
		{"400", []string{"status=400"}, settings{}, []time.Duration{0}, 400},
		{"404", []string{"status=404"}, settings{}, []time.Duration{0}, 404},
		{"422", []string{"status=422"}, settings{}, []time.Duration{0}, 422},
		{"no connection", []string{"cut-bytes=0"}, settings{}, []time.Duration{0, 200 * ms}, 200},
		{"seconds", []string{"status=429,retry-after=2"}, settings{}, []time.Duration{0, 2200 * ms}, 200},
		{"milliseconds win", []string{"status=429,retry-after=2,retry-after-ms=500"}, settings{}, []time.Duration{0, 700 * ms}, 200},
		{"a whole day", []string{"status=429,retry-after=86400"}, settings{}, []time.Duration{0}, 429},
		{"more than a day", []string{"status=503,retry-after=86401"}, settings{}, []time.Duration{0, 200 * ms}, 200},
		{"more than a day, but a reset", []string{"status=429,retry-after=86401"}, settings{}, []time.Duration{0, 1200 * ms}, 200},
		{"too long to wait", []string{"status=503,retry-after=31"}, settings{}, []time.Duration{0}, 503},
		{"as long as may be", []string{"status=503,retry-after=31"}, settings{MaxWait: 31 * sec}, []time.Duration{0, 31200 * ms}, 200},
		{"no time", []string{"status=503,retry-after=soon"}, settings{}, []time.Duration{0, 200 * ms}, 200},
		{"no quota", []string{"status=429,code=insufficient_quota,retry-after=1"}, settings{}, []time.Duration{0}, 429},
		{"no quota, whatever it says", []string{"status=429,code=billing_hard_limit_reached,should-retry=true"}, settings{}, []time.Duration{0}, 429},
		{"it says no", []string{"status=500,should-retry=false"}, settings{}, []time.Duration{0}, 500},
		{"it says yes", []string{"status=400,should-retry=true"}, settings{}, []time.Duration{0, 200 * ms}, 200},
	} {
		for _, body := range []string{chatBody, streamBody} {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					retry := &interceptors.Retry{
						Attempts: tt.retry.Attempts, Base: tt.retry.Base, Max: tt.retry.Max, MaxWait: tt.retry.MaxWait, Within: tt.retry.Within,
						Jitter: longest,
					}
					s := setStage(t, once(tt.words...), []string{"openai"}, llmproxy.WithInterceptor(retry))
					got := s.post(body)
					if times := s.times(); !slices.Equal(times, tt.times) || got.Code != tt.status {
						t.Errorf("calls at %v, status %d; want %v, %d", times, got.Code, tt.times, tt.status)
					}
					rec := s.record()
					if len(rec.Attempts) != len(tt.times) || rec.Attempts[len(rec.Attempts)-1].Status != tt.status || rec.Status != tt.status {
						t.Errorf("record of %d, attempts %+v", rec.Status, rec.Attempts)
					}
				})
			})
		}
	}
}

// What is not retried any more reaches the client as it came.
func TestRetryHandsOnTheLastAnswer(t *testing.T) {
	t.Parallel()
	for _, words := range [][]string{
		{"status=503", "status=503", "status=503"},
		{"status=429,code=insufficient_quota"},
		{"status=429,retry-after=600"},
		{"status=502"}, // HTML, not retried for its Within
	} {
		synctest.Test(t, func(t *testing.T) {
			within := time.Minute
			if len(words) == 1 {
				within = -1
			}
			plain := setStage(t, once(words[len(words)-1]), []string{"openai"})
			s := setStage(t, once(words...), []string{"openai"}, llmproxy.WithInterceptor(&interceptors.Retry{Jitter: longest, Within: within}))
			want, got := plain.post(streamBody), s.post(streamBody)
			if got.Code != want.Code || got.Body.String() != want.Body.String() || got.Body.Len() == 0 {
				t.Errorf("%v: got %d %q, want %d %q", words, got.Code, got.Body, want.Code, want.Body)
			}
			for _, name := range []string{"Content-Type", "Retry-After", "X-Should-Retry"} {
				if got.Header().Get(name) != want.Header().Get(name) {
					t.Errorf("%v: %s is %q, want %q", words, name, got.Header().Get(name), want.Header().Get(name))
				}
			}
			if n := len(s.times()); n != len(words) {
				t.Errorf("%v: %d calls", words, n)
			}
		})
	}
}

// The body that is sent again is the body.
func TestRetrySendsTheSame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := setStage(t, once("status=500", "cut-bytes=0"), []string{"openai"}, llmproxy.WithInterceptor(&interceptors.Retry{Jitter: longest}))
		if got := s.post(chatBody); got.Code != 200 {
			t.Fatalf("got %d", got.Code)
		}
		for i, c := range s.calls {
			if c.body != chatBody {
				t.Errorf("call %d had the body %s", i, c.body)
			}
		}
		want := []llmproxy.Attempt{
			{Provider: "openai", Model: "gpt-5-mini", Status: 500},
			{Provider: "openai", Model: "gpt-5-mini", Error: "provider_unreachable"},
			{Provider: "openai", Model: "gpt-5-mini", Status: 200},
		}
		if rec := s.record(); !slices.Equal(rec.Attempts, want) {
			t.Errorf("attempts %+v, want %+v", rec.Attempts, want)
		}
	})
}

// An answer that breaks off after its beginning is not asked for again.
func TestRetryNotAfterTheFirstByte(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ body, words string }{{chatBody, "cut-bytes=20"}, {streamBody, "cut-events=1"}} {
		synctest.Test(t, func(t *testing.T) {
			s := setStage(t, once(tt.words), []string{"openai"}, llmproxy.WithInterceptor(&interceptors.Retry{}))
			_ = s.post(tt.body)
			if n := len(s.times()); n != 1 {
				t.Errorf("%s: %d calls, want 1", tt.words, n)
			}
			if rec := s.record(); rec.Outcome != llmproxy.OutcomeError {
				t.Errorf("record %+v", rec)
			}
		})
	}
}

// A client that leaves during a pause ends it.
func TestRetryEndsWithTheClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := setStage(t, once("status=429,retry-after=20"), []string{"openai"}, llmproxy.WithInterceptor(&interceptors.Retry{Jitter: longest}))
		ctx, cancel := context.WithTimeout(t.Context(), 3*sec)
		defer cancel()
		s.send(s.request("POST", "/v1/chat/completions", chatBody).WithContext(ctx))
		if n, took := len(s.times()), time.Since(s.began); n != 1 || took != 3*sec {
			t.Errorf("%d calls in %v, want 1 in 3s", n, took)
		}
		if rec := s.record(); rec.Outcome != llmproxy.OutcomeCancelled || rec.Status != 499 || len(rec.Attempts) != 1 {
			t.Errorf("record %+v", rec)
		}
	})
}

// A provider that has not answered when the client leaves is not asked again.
func TestRetryNotForACancelledContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := setStage(t, once("delay=10s", "status=500"), []string{"openai"}, llmproxy.WithInterceptor(&interceptors.Retry{
			Retryable: func(*llmproxy.Exchange, *interceptors.Failure) bool { return true },
		}))
		ctx, cancel := context.WithTimeout(t.Context(), sec)
		defer cancel()
		s.send(s.request("POST", "/v1/chat/completions", chatBody).WithContext(ctx))
		if n := len(s.times()); n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
	})
}

// An opaque body has been read once the first call is over.
func TestRetryNotOfUploads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := setStage(t, once("status=500"), []string{"openai"}, llmproxy.WithInterceptor(&interceptors.Retry{}))
		got := s.send(s.request("POST", "/v1/files", "a file", "Content-Type", "multipart/form-data; boundary=x"))
		if n := len(s.times()); n != 1 || got.Code != 500 || strings.Contains(got.Body.String(), "internal_error") {
			t.Errorf("%d calls, then %d %s", n, got.Code, got.Body)
		}
	})
}

// What has no body is sent again where that changes nothing.
func TestRetryOfReads(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		method string
		calls  int
	}{{"GET", 2}, {"DELETE", 1}} {
		synctest.Test(t, func(t *testing.T) {
			s := setStage(t, once("status=500"), []string{"openai"}, llmproxy.WithInterceptor(&interceptors.Retry{}))
			s.send(s.request(tt.method, "/v1/models/gpt-5-mini", ""))
			if n := len(s.times()); n != tt.calls {
				t.Errorf("%s: %d calls, want %d", tt.method, n, tt.calls)
			}
		})
	}
}

func TestRetryPredicate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen []int
		s := setStage(t, once("status=400", "status=500", "status=500"), []string{"openai"}, llmproxy.WithInterceptor(&interceptors.Retry{
			Attempts: 5,
			Retryable: func(x *llmproxy.Exchange, f *interceptors.Failure) bool {
				seen = append(seen, f.Status)
				return f.Status == http.StatusBadRequest && strings.Contains(string(f.Body), "error") && x.Meta.Model == "gpt-5-mini"
			},
		}))
		if got := s.post(chatBody); got.Code != 500 || !slices.Equal(seen, []int{400, 500}) || len(s.times()) != 2 {
			t.Errorf("got %d after %d calls, asked about %v", got.Code, len(s.times()), seen)
		}
	})
}

// The pauses are drawn from nothing up to the bound.
func TestRetryJitter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var bounds []time.Duration
		s := setStage(t, once("status=500", "status=429,retry-after=1", "status=500"), []string{"openai"}, llmproxy.WithInterceptor(&interceptors.Retry{
			Attempts: 4, Base: 100 * ms,
			Jitter: func(most time.Duration) time.Duration { bounds = append(bounds, most); return most / 4 },
		}))
		s.post(chatBody)
		if want := []time.Duration{100 * ms, 100 * ms, 400 * ms}; !slices.Equal(bounds, want) {
			t.Errorf("drawn up to %v, want %v", bounds, want)
		}
		if want := []time.Duration{0, 25 * ms, 1050 * ms, 1150 * ms}; !slices.Equal(s.times(), want) {
			t.Errorf("calls at %v, want %v", s.times(), want)
		}
	})
}

// An outage is not multiplied: beyond the reserve there is one retry for five exchanges.
func TestRetryBudget(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		budget *interceptors.RetryBudget
		calls  int
	}{
		{&interceptors.RetryBudget{}, 100 + 10 + 20},
		{nil, 100 + 10 + 20},
		{&interceptors.RetryBudget{Percent: 50, Reserve: 4}, 100 + 4 + 50},
		{&interceptors.RetryBudget{Percent: -1}, 300},
	} {
		synctest.Test(t, func(t *testing.T) {
			down := make([]string, 300)
			for i := range down {
				down[i] = "status=500"
			}
			s := setStage(t, once(down...), []string{"openai"}, llmproxy.WithInterceptor(&interceptors.Retry{
				Budget: tt.budget, Jitter: func(time.Duration) time.Duration { return 0 },
			}))
			for range 100 {
				if got := s.post(chatBody); got.Code != 500 {
					t.Fatalf("got %d", got.Code)
				}
			}
			// The first exchanges earn what they do not need: nothing is above the reserve.
			if n := len(s.times()); n > tt.calls || n < tt.calls-1 {
				t.Errorf("%+v: %d calls, want %d", tt.budget, n, tt.calls)
			}
		})
	}
}

// What the budget has lost comes back, one retry a second.
func TestRetryBudgetRecovers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := make([]string, 100)
		for i := range down {
			down[i] = "status=500"
		}
		s := setStage(t, once(down...), []string{"openai"}, llmproxy.WithInterceptor(&interceptors.Retry{
			Budget: &interceptors.RetryBudget{Percent: 1, Reserve: 2}, Jitter: func(time.Duration) time.Duration { return 0 },
		}))
		calls := func() int {
			before := len(s.times())
			s.post(chatBody)
			return len(s.times()) - before
		}
		got := []int{calls(), calls()}
		<-time.After(sec)
		got = append(got, calls(), calls())
		<-time.After(time.Hour)
		got = append(got, calls(), calls())
		if want := []int{3, 1, 2, 1, 3, 1}; !slices.Equal(got, want) {
			t.Errorf("calls %v, want %v", got, want)
		}
	})
}
