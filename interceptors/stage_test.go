package interceptors_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

const (
	chatBody   = `{"model":"gpt-5-mini","messages":[{"role":"user","content":"say something"}]}`
	streamBody = `{"model":"gpt-5-mini","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"say something"}]}`
)

// stage is a gateway in front of simulated providers, without sockets: what happens on it
// may happen on virtual time.
type stage struct {
	t       *testing.T
	began   time.Time
	router  *llmproxy.AutoRouter
	records chan llmproxy.Record

	mu    sync.Mutex // guards calls
	calls []call
}

// call is one that reached a provider.
type call struct {
	provider string
	at       time.Duration // since the stage was set
	body     string
	header   http.Header
}

// setStage returns a gateway with the providers of the names, each of which misbehaves as
// script says of the request.
func setStage(t *testing.T, script func(provider string) func(*http.Request) simulator.Script, providers []string, opts ...llmproxy.Option) *stage {
	t.Helper()
	s := &stage{t: t, began: time.Now(), records: make(chan llmproxy.Record, 1024)}
	opts = append([]llmproxy.Option{
		llmproxy.WithTransport(s), llmproxy.WithRecorder(s), llmproxy.WithLogger(slog.New(slog.DiscardHandler)),
	}, opts...)
	for _, name := range providers {
		opts = append(opts, llmproxy.WithProvider(s.provider(name, script(name))))
	}
	s.router = llmproxy.NewAutoRouter(opts...)
	return s
}

// once is the script of one provider that misbehaves as each of words in turn.
func once(words ...string) func(string) func(*http.Request) simulator.Script {
	return func(string) func(*http.Request) simulator.Script { return inTurn(words...) }
}

func inTurn(words ...string) func(*http.Request) simulator.Script {
	var scripts []simulator.Script
	for _, w := range words {
		s, err := simulator.ParseScript(w, simulator.Script{})
		if err != nil {
			panic(err)
		}
		scripts = append(scripts, s)
	}
	return simulator.Sequence(scripts...)
}

// provider returns one whose requests a simulator of its own answers.
func (s *stage) provider(name string, script func(*http.Request) simulator.Script) llmproxy.Provider {
	s.t.Helper()
	p, err := openai_compatible.New(openai_compatible.Config{Name: name, Type: "openai", BaseURL: "http://" + name, APIKey: "sk-canary-provider"})
	if err != nil {
		s.t.Fatal(err)
	}
	return &staged{p, simulator.New(simulator.Options{AnyModel: true, Script: script})}
}

// staged is a provider with the handler that answers for it.
type staged struct {
	llmproxy.Provider
	handler http.Handler
}

func (p *staged) Enrich(r *http.Request, x *llmproxy.Exchange) error {
	*r = *r.WithContext(context.WithValue(r.Context(), handlerKey{}, p.handler))
	return p.Provider.Enrich(r, x)
}

type handlerKey struct{}

// RoundTrip has the provider's handler answer, whole.
func (s *stage) RoundTrip(r *http.Request) (*http.Response, error) {
	body := []byte(nil)
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body.Close()
	}
	s.mu.Lock()
	s.calls = append(s.calls, call{r.URL.Host, time.Since(s.began), string(body), r.Header.Clone()})
	s.mu.Unlock()
	in := r.Clone(r.Context())
	in.RequestURI, in.Body = r.URL.RequestURI(), io.NopCloser(bytes.NewReader(body))
	w := httptest.NewRecorder()
	end := io.EOF
	func() {
		defer func() {
			if p := recover(); p != nil {
				if p != http.ErrAbortHandler { //nolint:errorlint // a sentinel
					panic(p)
				}
				end = io.ErrUnexpectedEOF
			}
		}()
		r.Context().Value(handlerKey{}).(http.Handler).ServeHTTP(w, in)
	}()
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if end != io.EOF && w.Body.Len() == 0 {
		return nil, errors.New("connection reset by peer")
	}
	resp := w.Result()
	resp.Body = io.NopCloser(io.MultiReader(w.Body, ending{end}))
	return resp, nil
}

// ending is a reader of nothing but an end.
type ending struct{ err error }

func (e ending) Read([]byte) (int, error) { return 0, e.err }

func (s *stage) Begin(context.Context, *llmproxy.Record) error { return nil }

func (s *stage) Record(_ context.Context, r *llmproxy.Record) error {
	s.records <- *r
	return nil
}

// post sends body to Chat Completions; fields are name, value ….
func (s *stage) post(body string, fields ...string) *httptest.ResponseRecorder {
	return s.send(s.request("POST", "/v1/chat/completions", body, fields...))
}

func (s *stage) request(method, path, body string, fields ...string) *http.Request {
	r := httptest.NewRequestWithContext(s.t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer sk-canary-client")
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	return r
}

// send has the gateway serve r. An answer that broke off is as long as it got.
func (s *stage) send(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	func() {
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // a sentinel
				panic(p)
			}
		}()
		s.router.ServeHTTP(w, r)
	}()
	return w
}

// record returns the next record, which has been made.
func (s *stage) record() llmproxy.Record {
	s.t.Helper()
	select {
	case r := <-s.records:
		return r
	default:
		s.t.Fatal("no record was made")
		panic("unreachable")
	}
}

// times returns when providers were called.
func (s *stage) times() (at []time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		at = append(at, c.at)
	}
	return at
}

// asked returns which providers were called, in order.
func (s *stage) asked() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		names = append(names, c.provider)
	}
	return names
}

// longest is a jitter that is none: always the longest pause.
func longest(most time.Duration) time.Duration { return most }
