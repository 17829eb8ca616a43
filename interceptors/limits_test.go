package interceptors_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/interceptors"
)

// ask posts chatBody on behalf of key at the time at, and returns the status with what
// Retry-After says.
func (s *stage) ask(at time.Duration, key string, fields ...string) string {
	s.t.Helper()
	<-time.After(at - time.Since(s.began))
	r := s.request("POST", "/v1/chat/completions", chatBody, fields...)
	w := s.send(r.WithContext(llmproxy.WithCaller(r.Context(), llmproxy.Caller{Key: key})))
	return strings.TrimSpace(fmt.Sprint(w.Code, " ", w.Header().Get("Retry-After")))
}

func TestLimitsOfRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := setStage(t, once(""), []string{"openai"}, llmproxy.WithInterceptor(&interceptors.Limits{
			Per: interceptors.PerKey, Quota: interceptors.Quota{Requests: 3},
			Quotas: map[string]interceptors.Quota{"rich": {Requests: 100}, "free": {}},
		}))
		for _, tt := range []struct {
			at        time.Duration
			key, want string
		}{
			{0, "a", "200"},
			{0, "a", "200"},
			{0, "a", "200"},
			{0, "a", "429 21"}, // rounded up: a third of a minute, and a moment
			{0, "b", "200"},
			{0, "", "200"},
			{19 * sec, "a", "429 2"},
			{20*sec + 1, "a", "200"},
			{20*sec + 1, "a", "429 20"},
			{90 * sec, "a", "200"}, // it is full, and holds no more than that
			{90 * sec, "a", "200"},
			{90 * sec, "a", "200"},
			{90 * sec, "a", "429 21"},
		} {
			if got := s.ask(tt.at, tt.key); got != tt.want {
				t.Errorf("%s at %v: got %s, want %s", tt.key, tt.at, got, tt.want)
			}
		}
		for range 50 {
			if a, b := s.ask(0, "rich"), s.ask(0, "free"); a != "200" || b != "200" {
				t.Errorf("got %s and %s", a, b)
			}
		}
	})
}

// A client that comes back when it was told to is served.
func TestLimitsTellTheTime(t *testing.T) {
	t.Parallel()
	for _, quota := range []interceptors.Quota{{Requests: 7}, {Tokens: 1100}, {Requests: 1}, {Tokens: 1}} {
		synctest.Test(t, func(t *testing.T) {
			var wait time.Duration
			outer := llmproxy.InterceptorFunc(func(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
				reply, err := next(ctx, x)
				wait = 0
				if e, ok := err.(*llmproxy.Error); ok { //nolint:errorlint // bare
					wait = e.RetryAfter
				}
				return reply, err
			})
			s := setStage(t, once(""), []string{"openai"}, llmproxy.WithInterceptor(outer, &interceptors.Limits{Quota: quota}))
			refused := 0
			for range 40 {
				if got := s.post(chatBody); got.Code == 200 {
					continue
				}
				refused++
				<-time.After(wait)
				if got := s.post(chatBody); got.Code != 200 {
					t.Fatalf("%+v: refused again, for %v, after %v", quota, wait, time.Since(s.began))
				}
			}
			if refused == 0 {
				t.Errorf("%+v: nothing was refused", quota)
			}
		})
	}
}

// The refusal is in the dialect of the client, and nothing reaches the provider.
func TestLimitsRefuse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ path, body, want string }{
		{"/v1/chat/completions", chatBody, `{"error":{"message":"the gateway's limit of 1 requests a minute, per model, is reached","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}`},
		{"/v1/messages", `{"model":"gpt-5-mini","max_tokens":9,"messages":[]}`, `{"type":"error","error":{"type":"rate_limit_error","message":"the gateway's limit of 1 requests a minute, per model, is reached"`},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := setStage(t, once(""), []string{"openai"}, llmproxy.WithInterceptor(&interceptors.Limits{Per: interceptors.PerModel, Quota: interceptors.Quota{Requests: 1}}))
			s.post(chatBody)
			s.record()
			got := s.send(s.request("POST", tt.path, tt.body))
			if got.Code != 429 || !strings.HasPrefix(got.Body.String(), tt.want) || got.Header().Get("Retry-After") != "61" {
				t.Errorf("got %d %s, Retry-After %q", got.Code, got.Body, got.Header().Get("Retry-After"))
			}
			if rec := s.record(); rec.Outcome != llmproxy.OutcomeRejected || len(rec.Attempts) != 0 || rec.Error.Code != "rate_limit_exceeded" {
				t.Errorf("record %+v", rec)
			}
			if len(s.times()) != 1 {
				t.Errorf("%d calls", len(s.times()))
			}
		})
	}
}

// Tokens are reserved before the call and settled after it.
func TestLimitsOfTokens(t *testing.T) {
	t.Parallel()
	const used = "prompt-tokens=100,completion-tokens=50"
	reserved := int64(len(chatBody)/4 + 1024) // of a request that does not say how long its answer may be
	for _, tt := range []struct {
		name  string
		words []string
		limit int64
		want  []string
	}{
		// After each answer its real use has been taken, 150.
		{"less than reserved", []string{used, used, used}, reserved + 300, []string{"200", "200", "200", "429"}},
		{"more than reserved", []string{"prompt-tokens=5000,completion-tokens=0", used}, reserved, []string{"200", "429"}},
		{"a request larger than the limit", []string{used, used}, 100, []string{"200", "429"}},
		{"nothing was used", []string{"status=500", "status=400", "status=429", "cut-bytes=0"}, reserved, []string{"500", "400", "429", "502", "200"}},
		{"nobody knows what was used", []string{"usage=none", used}, reserved, []string{"200", "429"}},
		{"the answer broke off", []string{"cut-bytes=9"}, reserved, []string{"502", "429"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := setStage(t, once(tt.words...), []string{"openai"}, llmproxy.WithInterceptor(&interceptors.Limits{Quota: interceptors.Quota{Tokens: tt.limit}}))
				var got []string
				for range tt.want {
					got = append(got, fmt.Sprint(s.post(chatBody).Code))
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("got %v, want %v", got, tt.want)
				}
			})
		})
	}
}

// A stream holds what is reserved for it until its end.
func TestLimitsReserve(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		body := strings.Replace(chatBody, "{", `{"max_completion_tokens":600,`, 1)
		s := setStage(t, once("delay=1s"), []string{"openai"}, llmproxy.WithInterceptor(&interceptors.Limits{Quota: interceptors.Quota{Tokens: 1000}}))
		done := make(chan *httptest.ResponseRecorder)
		go func() { done <- s.post(body) }()
		synctest.Wait()
		if got := s.post(body); got.Code != 429 {
			t.Errorf("beside it: got %d", got.Code)
		}
		if got := <-done; got.Code != 200 {
			t.Errorf("got %d", got.Code)
		}
		if got := s.post(body); got.Code != 200 {
			t.Errorf("after it: got %d", got.Code)
		}
	})
}

func TestLimitsOfConcurrency(t *testing.T) {
	t.Parallel()
	for _, word := range []string{"delay=10s", "delay=10s,status=500", "delay=10s,cut-bytes=0", "delay=10s,cut-bytes=9"} {
		synctest.Test(t, func(t *testing.T) {
			s := setStage(t, once(word), []string{"openai"}, llmproxy.WithInterceptor(&interceptors.Limits{
				Per: interceptors.PerTag, Tag: "team", Quota: interceptors.Quota{Concurrent: 1},
			}))
			done := make(chan string)
			go func() { done <- s.ask(0, "", "X-Gateway-Tags", "team=red") }()
			synctest.Wait()
			if red, blue, none := s.ask(0, "", "X-Gateway-Tags", "team=red"), s.ask(0, "", "X-Gateway-Tags", "team=blue"), s.ask(0, ""); red != "429 1" || blue != "200" || none != "200" {
				t.Errorf("red %s, blue %s, none %s", red, blue, none)
			}
			<-done
			if got := s.ask(0, "", "X-Gateway-Tags", "team=red"); got != "200" {
				t.Errorf("%s: afterwards got %s", word, got)
			}
		})
	}
}

// What a further limit refuses has not taken place.
func TestLimitsGiveBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := setStage(t, once("delay=10s"), []string{"openai"}, llmproxy.WithInterceptor(
			&interceptors.Limits{Quota: interceptors.Quota{Requests: 2, Tokens: 3000, Concurrent: 2}},
			&interceptors.Limits{Per: interceptors.PerModel, Quota: interceptors.Quota{Concurrent: 1}},
		))
		done := make(chan struct{})
		go func() { defer close(done); s.post(chatBody) }()
		synctest.Wait()
		for range 9 {
			if got := s.post(chatBody); got.Code != 429 || !strings.Contains(got.Body.String(), "concurrency_limit_exceeded") {
				t.Errorf("got %d %s", got.Code, got.Body)
			}
		}
		<-done
		if got := s.post(chatBody); got.Code != 200 {
			t.Errorf("got %d %s", got.Code, got.Body)
		}
	})
}

// An interceptor that panics inside takes nothing with it.
func TestLimitsAndAPanic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := true
		s := setStage(t, once(""), []string{"openai"}, llmproxy.WithInterceptor(
			&interceptors.Limits{Quota: interceptors.Quota{Concurrent: 1, Tokens: 1100}},
			llmproxy.InterceptorFunc(func(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
				if broken {
					broken = false
					panic("planned")
				}
				return next(ctx, x)
			}),
		))
		if first, second := s.post(chatBody).Code, s.post(chatBody).Code; first != 500 || second != 200 {
			t.Errorf("got %d, then %d", first, second)
		}
	})
}

// Inside of a retry, an exchange is settled once.
func TestLimitsInsideRetry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const used = "prompt-tokens=1000,completion-tokens=0"
		s := setStage(t, once("status=500", "status=500", used), []string{"openai"}, llmproxy.WithInterceptor(
			&interceptors.Retry{Jitter: func(time.Duration) time.Duration { return 0 }},
			&interceptors.Limits{Quota: interceptors.Quota{Tokens: 2100, Concurrent: 1}},
		))
		if got := s.post(chatBody); got.Code != 200 { // leaves 1100, enough for one more
			t.Errorf("got %d", got.Code)
		}
		if got := s.post(chatBody); got.Code != 200 {
			t.Errorf("then got %d %s", got.Code, got.Body)
		}
	})
}

// Values whose quota is whole are forgotten, no others are: those for which there is no
// room share a quota.
func TestLimitsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := setStage(t, once("delay=90s"), []string{"openai"}, llmproxy.WithInterceptor(&interceptors.Limits{
			Per: interceptors.PerKey, Quota: interceptors.Quota{Requests: 1, Concurrent: 1}, Remember: 2,
		}))
		done := make(chan string)
		go func() { done <- s.ask(0, "slow") }()
		synctest.Wait()
		var got []string
		for _, key := range []string{"a", "a", "b", "c", "a"} {
			got = append(got, s.ask(0, key))
		}
		for _, key := range []string{"b", "b", "c", "a", "slow"} { // a's is whole
			got = append(got, s.ask(60*sec, key))
		}
		want := []string{"200", "429 61", "200", "429 61", "429 61", "200", "429 61", "200", "429 61", "429 1"}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		<-done
	})
}

// However a client spells a model, it has one quota; another provider's has another one.
func TestLimitsPerModel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := setStage(t, once(), []string{"openai", "second"}, llmproxy.WithFallback("openai"), llmproxy.WithInterceptor(
			&interceptors.Limits{Per: interceptors.PerModel, Quota: interceptors.Quota{Requests: 1}, Quotas: map[string]interceptors.Quota{"openai/gpt-4": {Requests: 2}}},
		))
		var got []int
		for _, model := range []string{"gpt-5-mini", "gpt-5-mini", "openai/gpt-5-mini", "GPT-5-mini", "second/gpt-5-mini", "gpt-4", "GPT-4", "gpt-4"} {
			got = append(got, s.post(strings.Replace(chatBody, "gpt-5-mini", model, 1)).Code)
		}
		if want := []int{200, 429, 429, 429, 200, 200, 200, 429}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// What is not bounded leaves no debt for the time when it is.
func TestLimitsThatChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bound := int64(0)
		s := setStage(t, once(), []string{"openai"}, llmproxy.WithInterceptor(&interceptors.Limits{
			QuotaOf: func(string) (interceptors.Quota, bool) {
				return interceptors.Quota{Requests: bound, Tokens: 10_000 * bound, Concurrent: 9}, true
			},
		}))
		for _, bound = range []int64{1, 0, 1} {
			for range 100 * (1 - bound) {
				s.post(chatBody)
			}
			<-time.After(time.Minute)
			if got := s.post(chatBody); got.Code != 200 {
				t.Errorf("at %d a minute: got %d %s", bound, got.Code, got.Body)
			}
		}
	})
}

// What no token is reported of is counted as a request.
func TestLimitsOfReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := setStage(t, once(""), []string{"openai"}, llmproxy.WithInterceptor(&interceptors.Limits{Quota: interceptors.Quota{Requests: 2, Tokens: 1}}))
		var got []int
		for range 3 {
			got = append(got, s.send(s.request(http.MethodGet, "/v1/models", "")).Code)
		}
		if want := []int{200, 200, 429}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}
