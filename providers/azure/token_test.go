package azure_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/azure"
)

// source is a source of tokens that are numbered by call.
type source struct {
	token string        // "" means token 1, token 2 …
	life  time.Duration // 0 means for ever
	takes time.Duration // a call
	fail  func(call int) error

	mu     sync.Mutex // guards the following
	calls  int
	scopes []string
}

func (s *source) Token(ctx context.Context, scope string) (string, time.Time, error) {
	s.mu.Lock()
	s.calls++
	call := s.calls
	s.scopes = append(s.scopes, scope)
	s.mu.Unlock()
	if s.takes > 0 {
		select {
		case <-time.After(s.takes):
		case <-ctx.Done():
			return "", time.Time{}, ctx.Err()
		}
	}
	if s.fail != nil {
		if err := s.fail(call); err != nil {
			return "", time.Time{}, err
		}
	}
	token := s.token
	if token == "" {
		token = fmt.Sprint("token ", call)
	}
	var expires time.Time
	if s.life > 0 {
		expires = time.Now().Add(s.life)
	}
	return token, expires, nil
}

func (s *source) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// pass lets virtual time pass, and what is under way come to rest.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func provider(t *testing.T, c azure.Config) *llmproxy.BaseProvider {
	t.Helper()
	if c.BaseURL == "" {
		c.Resource = "r"
	}
	p, err := azure.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// bearer returns the credential of a request, or its error.
func bearer(ctx context.Context, p *llmproxy.BaseProvider) string {
	r := (&http.Request{Header: http.Header{}}).WithContext(ctx)
	if err := p.Enrich(r, post(llmproxy.APIChatCompletions, "/chat/completions", "d", "")); err != nil {
		return err.Error()
	}
	return r.Header.Get("Authorization")
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	chat, claude := post(llmproxy.APIChatCompletions, "/chat/completions", "d", ""), post(llmproxy.APIMessages, "/messages", "c", "")
	client := http.Header{"Api-Key": {"theirs"}}
	for _, tt := range []struct {
		name   string
		config azure.Config
		x      *llmproxy.Exchange
		client http.Header
		want   http.Header
	}{
		{"a key", azure.Config{APIKey: "ours"}, chat, nil, http.Header{"Api-Key": {"ours"}}},
		{"a key for Claude", azure.Config{APIKey: "ours"}, claude, nil, http.Header{"Api-Key": {"ours"}, "X-Api-Key": {"ours"}}},
		{"a key for Claude on the mount", azure.Config{APIKey: "ours"}, mounted("/anthropic/v1/models"), nil, http.Header{"Api-Key": {"ours"}, "X-Api-Key": {"ours"}}},
		{"a token", azure.Config{AccessToken: "ours"}, chat, nil, http.Header{"Authorization": {"Bearer ours"}}},
		{"a source", azure.Config{Tokens: &source{token: "ours"}}, claude, nil, http.Header{"Authorization": {"Bearer ours"}}},
		{"none", azure.Config{}, chat, nil, http.Header{}},
		{"the client's", azure.Config{ClientKeys: true}, chat, client, client},
		{"the client's, and a key of ours", azure.Config{ClientKeys: true, APIKey: "ours"}, claude, client, client},
		{"the client's, and a token of ours", azure.Config{ClientKeys: true, AccessToken: "ours"}, chat, client, client},
		{"the client's, and a source of ours", azure.Config{ClientKeys: true, Tokens: &source{token: "ours"}}, chat, client, client},
		{
			"headers over all",
			azure.Config{AccessToken: "ours", Headers: map[string]string{"authorization": "Bearer other", "X-A": "b"}},
			chat, nil,
			http.Header{"Authorization": {"Bearer other"}, "X-A": {"b"}},
		},
	} {
		p := provider(t, tt.config)
		h := tt.client.Clone()
		if h == nil {
			h = http.Header{}
		}
		r := (&http.Request{Header: h}).WithContext(t.Context())
		if err := p.Enrich(r, tt.x); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if diff := cmp.Diff(tt.want, r.Header); diff != "" {
			t.Errorf("%s: want - got +:\n%s", tt.name, diff)
		}
		if got := p.Settings().ClientKeys; got != tt.config.ClientKeys {
			t.Errorf("%s: ClientKeys %v", tt.name, got)
		}
	}
}

// Azure wants tokens of another scope for its newer paths.
func TestScopes(t *testing.T) {
	t.Parallel()
	const older, newer = "https://cognitiveservices.azure.com/.default", "https://ai.azure.com/.default"
	for _, tt := range []struct {
		version string
		x       *llmproxy.Exchange
		want    string
	}{
		{"", post(llmproxy.APIChatCompletions, "/chat/completions", "d", ""), newer},
		{"preview", post(llmproxy.APIResponses, "/responses", "d", ""), newer},
		{dated, post(llmproxy.APIChatCompletions, "/chat/completions", "d", ""), older},
		{dated, post(llmproxy.APIResponses, "/responses", "d", ""), older},
		{"", named(llmproxy.APIChatCompletions, "d", "/chat/completions", "api-version=x"), older},
		{dated, post(llmproxy.APIMessages, "/messages", "c", ""), newer},
		{"", mounted("/openai/deployments/d/chat/completions"), older},
		{"", mounted("/openai/responses"), older},
		{"", mounted("/openai/v10/responses"), older},
		{"", mounted("/models/chat/completions"), older},
		{dated, mounted("/openai/v1/responses"), newer},
		{dated, mounted("/openai/v1"), newer},
		{dated, mounted("/anthropic/v1/messages"), newer},
	} {
		s := &source{}
		p := provider(t, azure.Config{APIVersion: tt.version, Tokens: s})
		r := (&http.Request{Header: http.Header{}}).WithContext(t.Context())
		if err := p.Enrich(r, tt.x); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{tt.want}, s.scopes); diff != "" {
			t.Errorf("version %q, %s: want - got +:\n%s", tt.version, tt.x.Operation.Path, diff)
		}
	}
}

func TestTokensAreKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &source{life: time.Hour}
		p := provider(t, azure.Config{Tokens: s})
		for _, tt := range []struct {
			after time.Duration // since the step before
			want  string
		}{
			{0, "Bearer token 1"},
			{54 * time.Minute, "Bearer token 1"},
			{time.Minute, "Bearer token 1"}, // five minutes ahead of its end
			{0, "Bearer token 2"},
			{54 * time.Minute, "Bearer token 2"},
			{24 * time.Hour, "Bearer token 3"},
		} {
			pass(tt.after)
			if got := bearer(t.Context(), p); got != tt.want {
				t.Errorf("after %v: got %s, want %s", tt.after, got, tt.want)
			}
		}
	})
}

// Tokens that live shorter than the five minutes are used for half of their life, and
// those without an end for ever.
func TestLivesOfTokens(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		life, at time.Duration
		want     string
	}{
		{time.Minute, 29 * time.Second, "Bearer token 1"},
		{time.Minute, 30 * time.Second, "Bearer token 2"},
		{0, 10_000 * time.Hour, "Bearer token 1"},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := provider(t, azure.Config{Tokens: &source{life: tt.life}})
			bearer(t.Context(), p)
			pass(tt.at)
			bearer(t.Context(), p) // asks for another if it is time
			pass(0)
			if got := bearer(t.Context(), p); got != tt.want {
				t.Errorf("life %v, at %v: got %s, want %s", tt.life, tt.at, got, tt.want)
			}
		})
	}
}

// Many requests at once ask for one token, and wait for it; while the old one is good,
// none of them waits.
func TestOneCallAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &source{life: time.Hour, takes: 10 * time.Second}
		p := provider(t, azure.Config{Tokens: s})
		all := func() (tokens map[string]int, waited map[time.Duration]int) {
			tokens, waited = map[string]int{}, map[time.Duration]int{}
			var mu sync.Mutex
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					start := time.Now()
					token := bearer(t.Context(), p)
					mu.Lock()
					defer mu.Unlock()
					tokens[token]++
					waited[time.Since(start)]++
				})
			}
			wg.Wait()
			return tokens, waited
		}
		tokens, waited := all()
		if diff := cmp.Diff(map[string]int{"Bearer token 1": 50}, tokens); diff != "" {
			t.Errorf("at first: want - got +:\n%s", diff)
		}
		if diff := cmp.Diff(map[time.Duration]int{10 * time.Second: 50}, waited); diff != "" {
			t.Errorf("at first: waits, want - got +:\n%s", diff)
		}
		pass(56 * time.Minute)
		tokens, waited = all()
		if diff := cmp.Diff(map[string]int{"Bearer token 1": 50}, tokens); diff != "" {
			t.Errorf("ahead of the end: want - got +:\n%s", diff)
		}
		if diff := cmp.Diff(map[time.Duration]int{0: 50}, waited); diff != "" {
			t.Errorf("ahead of the end: waits, want - got +:\n%s", diff)
		}
		pass(10 * time.Second)
		if got := bearer(t.Context(), p); got != "Bearer token 2" {
			t.Errorf("afterwards: got %s", got)
		}
		if got := s.asked(); got != 2 {
			t.Errorf("%d calls, want 2", got)
		}
	})
}

var errPlanned = errors.New("planned")

const failure = `the provider "azure" could not be given a token of Entra ID: `

// A failure is one for all that wait. While the old token is good, it is used, and the
// source is left alone for half a minute.
func TestFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		failing := false
		s := &source{life: time.Hour, takes: time.Second, fail: func(int) error {
			if failing {
				return errPlanned
			}
			return nil
		}}
		p := provider(t, azure.Config{Tokens: s})
		failing = true
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if got := bearer(t.Context(), p); got != failure+"planned" {
					t.Errorf("without a token: got %s", got)
				}
			})
		}
		wg.Wait()
		if got := s.asked(); got != 1 {
			t.Errorf("%d calls, want 1", got)
		}
		failing = false
		if got := bearer(t.Context(), p); got != "Bearer token 2" {
			t.Errorf("after the failure: got %s", got)
		}
		failing = true
		pass(56 * time.Minute)
		for _, tt := range []struct {
			after time.Duration
			want  string
			calls int
		}{
			{0, "Bearer token 2", 3},
			{30 * time.Second, "Bearer token 2", 3}, // a second of which the call took
			{time.Second, "Bearer token 2", 4},
			{3 * time.Minute, failure + "planned", 5}, // half a minute ahead of its end
		} {
			pass(tt.after)
			got := bearer(t.Context(), p)
			synctest.Wait()
			if got != tt.want || s.asked() != tt.calls {
				t.Errorf("after %v: got %s in call %d, want %s in call %d", tt.after, got, s.asked(), tt.want, tt.calls)
			}
		}
	})
}

func TestFailureIsTheProviders(t *testing.T) {
	t.Parallel()
	p := provider(t, azure.Config{Name: "azure", Tokens: &source{fail: func(int) error { return errPlanned }}})
	r := (&http.Request{Header: http.Header{}}).WithContext(t.Context())
	err := p.Enrich(r, post(llmproxy.APIChatCompletions, "/chat/completions", "d", ""))
	e, ok := errors.AsType[*llmproxy.Error](err)
	if !ok || e.Status != http.StatusBadGateway || e.Code != "provider_auth" || !errors.Is(err, errPlanned) {
		t.Errorf("got %v", err)
	}
	if len(r.Header) != 0 {
		t.Errorf("the header became %v", r.Header)
	}
	empty := provider(t, azure.Config{Tokens: emptySource{}})
	if got := bearer(t.Context(), empty); got != failure+"the source gave no token" {
		t.Errorf("an empty token: got %s", got)
	}
}

type emptySource struct{}

func (emptySource) Token(context.Context, string) (string, time.Time, error) {
	return "", time.Time{}, nil
}

// Whoever leaves does not wait on, and does not end the call for the others.
func TestLeaving(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &source{takes: 10 * time.Second}
		p := provider(t, azure.Config{Tokens: s})
		first, leave := context.WithCancelCause(t.Context())
		third, leaveToo := context.WithCancelCause(t.Context())
		var wg sync.WaitGroup
		got := make([]string, 3)
		for i, ctx := range []context.Context{first, t.Context(), third} {
			wg.Go(func() { got[i] = bearer(ctx, p) })
			synctest.Wait()
		}
		pass(time.Second)
		leaveToo(errPlanned)
		synctest.Wait()
		leave(errPlanned)
		wg.Wait()
		want := []string{failure + "planned", "Bearer token 1", failure + "planned"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("want - got +:\n%s", diff)
		}
	})
}

// A source that never answers is given up.
func TestPatience(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := provider(t, azure.Config{Tokens: &source{takes: time.Hour}})
		start := time.Now()
		if got := bearer(t.Context(), p); got != failure+"context deadline exceeded" || time.Since(start) != 30*time.Second {
			t.Errorf("after %v: got %s", time.Since(start), got)
		}
	})
}

// A source that panics does not leave anyone waiting.
func TestPanic(t *testing.T) {
	t.Parallel()
	p := provider(t, azure.Config{Tokens: &source{fail: func(call int) error {
		if call == 1 {
			panic(errPlanned)
		}
		return nil
	}}})
	if got := bearer(t.Context(), p); got != failure+"the source panicked: planned" {
		t.Errorf("got %s", got)
	}
	if got := bearer(t.Context(), p); got != "Bearer token 2" {
		t.Errorf("got %s", got)
	}
}

// The tokens of one scope are kept apart from those of the other, and a call for one
// does not hold up the other.
func TestTokensOfEachScope(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &source{takes: time.Second}
		p := provider(t, azure.Config{APIVersion: dated, Tokens: s})
		got := make([]string, 2)
		start := time.Now()
		for range 2 {
			var wg sync.WaitGroup
			for i, x := range []*llmproxy.Exchange{
				post(llmproxy.APIChatCompletions, "/chat/completions", "d", ""),
				post(llmproxy.APIMessages, "/messages", "c", ""),
			} {
				wg.Go(func() {
					r := (&http.Request{Header: http.Header{}}).WithContext(t.Context())
					if err := p.Enrich(r, x); err != nil {
						t.Error(err)
					}
					got[i] = r.Header.Get("Authorization")
				})
				synctest.Wait()
			}
			wg.Wait()
			if diff := cmp.Diff([]string{"Bearer token 1", "Bearer token 2"}, got); diff != "" {
				t.Errorf("want - got +:\n%s", diff)
			}
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v", took)
		}
		want := []string{"https://cognitiveservices.azure.com/.default", "https://ai.azure.com/.default"}
		if diff := cmp.Diff(want, s.scopes); diff != "" {
			t.Errorf("scopes: want - got +:\n%s", diff)
		}
	})
}
