package interceptors_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/interceptors"
)

// book is a log that many write to.
type book struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// lines returns the log's lines.
func (b *book) lines(t *testing.T) (all []map[string]any) {
	t.Helper()
	for line := range strings.Lines(b.String()) {
		var members map[string]any
		if err := json.Unmarshal([]byte(line), &members); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, members)
	}
	return all
}

func newBook() (*book, *slog.Logger) {
	b := &book{}
	return b, slog.New(slog.NewJSONHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// ways are the transports: a body with secret text for each.
var ways = []struct {
	name, body string
	socket     bool
}{
	{"JSON", `{"model":"gpt-5-mini","input":"` + secretText + `"}`, false},
	{"stream", `{"model":"gpt-5-mini","stream":true,"input":"` + secretText + `"}`, false},
	{"turn", `{"type":"response.create","model":"gpt-5-mini","store":false,"input":"` + secretText + `"}`, true},
}

// send sends the body of a way, and returns the record of the exchange.
func (s *site) send(body string, socket bool, fields ...string) llmproxy.Record {
	s.t.Helper()
	if socket {
		s.turns(fields, body)
	} else {
		s.post("/v1/responses", body, fields...)
	}
	return s.record()
}

func TestLoggingSaysTheSameOfEveryTransport(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			b, logger := newBook()
			s := newSiteOf(t, llmproxy.Caller{Key: "key_public"}, &interceptors.Logging{Logger: logger})
			r := s.send(way.body, way.socket)
			lines := b.lines(t)
			if len(lines) != 2 {
				t.Fatalf("got %d lines:\n%s", len(lines), b)
			}
			start, end := lines[0], lines[1]
			transport := map[string]string{"JSON": "http", "stream": "sse", "turn": "websocket"}[way.name]
			for name, want := range map[string]any{
				"msg": "exchange begins", "level": "DEBUG", "id": r.ID, "provider": "openai", "api": "responses",
				"transport": transport, "model_requested": "gpt-5-mini", "model": "gpt-5-mini", "key": "key_public",
			} {
				if start[name] != want {
					t.Errorf("start: %s is %v, want %v", name, start[name], want)
				}
			}
			for name, want := range map[string]any{
				"msg": "exchange ended", "level": "INFO", "id": r.ID, "provider": "openai", "api": "responses",
				"transport": transport, "model": r.Model, "status": float64(200), "outcome": "completed",
				"cost_usd": r.Cost.String(), "key": "key_public", "duration_ms": float64(r.Duration.Milliseconds()),
			} {
				if end[name] != want {
					t.Errorf("end: %s is %v, want %v", name, end[name], want)
				}
			}
			usage, _ := end["usage"].(map[string]any)
			if usage["prompt_tokens"] != float64(r.Usage.PromptTokens) || r.Usage.PromptTokens == 0 {
				t.Errorf("usage is %v, want %v", usage, r.Usage)
			}
			if way.socket && (end["turn"] != float64(1) || end["connection_id"] != r.ConnectionID) {
				t.Errorf("turn %v of %v", end["turn"], end["connection_id"])
			}
			for _, canary := range []string{secretText, siteKey, visitorKey} {
				if strings.Contains(b.String(), canary) {
					t.Errorf("the log has %s:\n%s", canary, b)
				}
			}
		})
	}
}

func TestLoggingOfFailures(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		b, logger := newBook()
		s := newSite(t, twice(), &interceptors.Logging{Logger: logger, Start: slog.LevelInfo, End: slog.LevelDebug})
		body := strings.Replace(way.body, `"input"`, `"metadata":{"simulate":"status=500"},"input"`, 1)
		r := s.send(body, way.socket, "X-Simulate", map[bool]string{false: "status=500"}[way.socket])
		lines := b.lines(t)
		// Two attempts pass through, and are one exchange.
		if len(lines) != 2 || len(r.Attempts) != 2 {
			t.Fatalf("%s: got %d lines of %d attempts:\n%s", way.name, len(lines), len(r.Attempts), b)
		}
		if lines[0]["level"] != "INFO" || lines[1]["level"] != "WARN" || lines[1]["status"] != float64(500) || lines[1]["outcome"] != "error" || lines[1]["attempts"] != float64(2) {
			t.Errorf("%s: got\n%s", way.name, b)
		}
	}
}

func TestLoggingKeepsToItsLevels(t *testing.T) {
	t.Parallel()
	b := &book{}
	s := newSite(t, &interceptors.Logging{Logger: slog.New(slog.NewJSONHandler(b, nil)), End: slog.LevelDebug})
	s.send(ways[0].body, false)
	if b.String() != "" {
		t.Errorf("got %s", b)
	}
}

// What another interceptor refuses is logged as well.
func TestLoggingOfRefusals(t *testing.T) {
	t.Parallel()
	refuse := llmproxy.InterceptorFunc(func(context.Context, *llmproxy.Exchange, llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
		return nil, &llmproxy.Error{Status: 429, Type: "requests", Code: "too_fast", Message: "slow down"}
	})
	b, logger := newBook()
	s := newSite(t, &interceptors.Logging{Logger: logger}, refuse)
	s.send(ways[0].body, false)
	lines := b.lines(t)
	if len(lines) != 2 || lines[1]["level"] != "INFO" || lines[1]["outcome"] != "rejected" || lines[1]["status"] != float64(429) {
		t.Errorf("got %s", b)
	}
}
