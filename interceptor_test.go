package llmproxy_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
	"github.com/llmproxy/llmproxy/wire"
)

// trace notes when an interceptor is entered and left.
func trace(log *[]string, name string) llmproxy.Interceptor {
	return llmproxy.InterceptorFunc(func(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
		*log = append(*log, name+" in")
		reply, err := next(ctx, x)
		*log = append(*log, name+" out")
		return reply, err
	})
}

// Interceptors wrap each other like onions, for JSON and streams alike.
func TestInterceptorOrder(t *testing.T) {
	t.Parallel()
	for _, body := range []string{chatJSON, chatStream} {
		var log []string
		r := newRig(t, llmproxy.WithInterceptor(trace(&log, "A"), trace(&log, "B")), llmproxy.WithInterceptor(trace(&log, "C")))
		if got := r.post("/v1/chat/completions", body); got.status != 200 || got.err != nil {
			t.Fatalf("got %d, %v", got.status, got.err)
		}
		_ = r.record()
		if want := []string{"A in", "B in", "C in", "C out", "B out", "A out"}; !slices.Equal(log, want) {
			t.Errorf("got %q, want %q", log, want)
		}
	}
}

// An interceptor may send the exchange to another provider. The edits are made afresh
// for that one: neither the model nor include_usage of the first reaches it.
func TestInterceptorFallsBack(t *testing.T) {
	t.Parallel()
	for _, body := range []string{chatJSON, chatStream} {
		second := simulator.New(simulator.Options{AnyModel: true, APIKey: "sk-second"})
		server := httptest.NewServer(second)
		t.Cleanup(server.Close)
		other, err := openai_compatible.New(openai_compatible.Config{Name: "second", Type: "mistral", BaseURL: server.URL, APIKey: "sk-second"})
		if err != nil {
			t.Fatal(err)
		}
		fallback := llmproxy.InterceptorFunc(func(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
			reply, err := next(ctx, x)
			if err != nil || reply.StatusCode < 500 {
				return reply, err
			}
			_ = reply.Stream.Close()
			x = x.Clone()
			x.Route = llmproxy.Route{Provider: other, Model: "mistral-small"}
			return next(ctx, x)
		})
		r := newRig(t, llmproxy.WithInterceptor(fallback))
		got := r.post("/v1/chat/completions", strings.Replace(body, "gpt-5-mini", "openai/gpt-5-mini", 1), "X-Simulate", "status=500")
		if first := string(r.simulator.Requests()[0].Body); !strings.Contains(first, `"model":"gpt-5-mini"`) {
			t.Errorf("the first received %s", first)
		}
		// The second reads the script too, and refuses as well: its answer comes back.
		want := strings.Replace(body, "gpt-5-mini", "mistral-small", 1)
		if sent := second.Requests()[0]; string(sent.Body) != want || sent.Header.Get("Authorization") != "Bearer sk-second" {
			t.Errorf("the second received %s", sent.Body)
		}
		if got.status != 500 || got.header.Get("X-Gateway-Provider") != "second" || got.header.Get("X-Gateway-Model") != "mistral-small" {
			t.Errorf("got %d %v", got.status, got.header)
		}
		rec := r.record()
		r.noMore()
		if rec.Provider != "second" || rec.ModelRequested != "openai/gpt-5-mini" || len(rec.Attempts) != 2 ||
			rec.Attempts[0] != (llmproxy.Attempt{Provider: "openai", Model: "gpt-5-mini", Status: 500}) ||
			rec.Attempts[1] != (llmproxy.Attempt{Provider: "second", Model: "mistral-small", Status: 500}) {
			t.Errorf("record %+v", rec)
		}
	}
}

// Splices that interceptors ask for go together with the pipeline's own.
func TestInterceptorEdits(t *testing.T) {
	t.Parallel()
	edit := llmproxy.InterceptorFunc(func(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
		x = x.Clone()
		at := strings.Index(string(x.Body.Bytes()), `tell`)
		x.Edits = []wire.Edit{{Span: wire.Span{Start: at, End: at + 4}, New: []byte("show")}}
		return next(ctx, x)
	})
	r := newRig(t, llmproxy.WithInterceptor(edit))
	got := r.post("/v1/chat/completions", strings.Replace(chatStream, "gpt-5-mini", "openai/gpt-5-mini", 1))
	want := strings.Replace(chatStreamAdded, "tell", "show", 1)
	if sent := string(r.simulator.Requests()[0].Body); got.status != 200 || sent != want {
		t.Errorf("got %d, the provider received\n%s\nwant\n%s", got.status, sent, want)
	}
	_ = r.record()
}

// pieces is a Stream of one piece.
type pieces struct{ text string }

func (p *pieces) Next() ([]byte, error) {
	if p.text == "" {
		return nil, io.EOF
	}
	text := []byte(p.text)
	p.text = ""
	return text, nil
}

func (p *pieces) Close() error { return nil }

// An interceptor may answer by itself, refuse, or fail; each leaves one record.
func TestInterceptorAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		f       llmproxy.InterceptorFunc
		status  int
		body    string
		outcome llmproxy.Outcome
	}{
		{
			name: "answers",
			f: func(context.Context, *llmproxy.Exchange, llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
				return &llmproxy.Reply{StatusCode: 200, Header: http.Header{"Content-Type": {"text/plain"}}, Stream: &pieces{"cached"}}, nil
			},
			status: 200, body: "cached", outcome: llmproxy.OutcomeCompleted,
		},
		{
			name: "refuses",
			f: func(context.Context, *llmproxy.Exchange, llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
				return nil, &llmproxy.Error{Status: 429, Type: "requests", Code: "too_fast", Message: "slow down"}
			},
			status: 429, body: `{"error":{"message":"slow down","type":"requests","param":null,"code":"too_fast"}}`, outcome: llmproxy.OutcomeRejected,
		},
		{
			name: "fails",
			f: func(context.Context, *llmproxy.Exchange, llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
				return nil, errPlanned
			},
			status: 500, body: `{"error":{"message":"the gateway failed","type":"server_error","param":null,"code":"internal_error"}}`, outcome: llmproxy.OutcomeError,
		},
		{
			name: "returns nothing",
			f: func(context.Context, *llmproxy.Exchange, llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
				return nil, nil
			},
			status: 500, body: `{"error":{"message":"the gateway failed","type":"server_error","param":null,"code":"internal_error"}}`, outcome: llmproxy.OutcomeError,
		},
		{
			name: "panics",
			f: func(context.Context, *llmproxy.Exchange, llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
				panic("a prompt: " + clientKey)
			},
			status: 500, body: `{"error":{"message":"the gateway failed","type":"server_error","param":null,"code":"internal_error"}}`, outcome: llmproxy.OutcomeError,
		},
		{
			name: "panics after the provider's answer",
			f: func(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
				reply, _ := next(ctx, x)
				defer reply.Stream.Close()
				panic("a prompt: " + clientKey)
			},
			status: 500, body: `{"error":{"message":"the gateway failed","type":"server_error","param":null,"code":"internal_error"}}`, outcome: llmproxy.OutcomeError,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, llmproxy.WithInterceptor(tt.f))
			got := r.post("/v1/chat/completions", chatJSON)
			if got.status != tt.status || got.body != tt.body {
				t.Errorf("got %d %s, want %d %s", got.status, got.body, tt.status, tt.body)
			}
			rec := r.record()
			r.noMore()
			if rec.Outcome != tt.outcome || rec.Status != tt.status {
				t.Errorf("record %+v", rec)
			}
			if strings.Contains(r.log.String(), clientKey) {
				t.Errorf("the log holds the panic's text: %s", r.log)
			}
		})
	}
}

// What an interceptor sees of a stream's end is what the record says.
func TestInterceptorSeesTheTap(t *testing.T) {
	t.Parallel()
	for _, body := range []string{chatJSON, chatStream, responsesJSON, responsesStream} {
		path := "/v1/chat/completions"
		if strings.Contains(body, "input") {
			path = "/v1/responses"
		}
		seen := make(chan llmproxy.ResponseMetadata, 1)
		r := newRig(t, llmproxy.WithInterceptor(llmproxy.InterceptorFunc(func(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
			reply, err := next(ctx, x)
			if err == nil {
				reply.Stream = &atClose{reply.Stream, func() { seen <- reply.Tap.Metadata() }}
			}
			return reply, err
		})))
		if got := r.post(path, body); got.status != 200 || got.err != nil {
			t.Fatalf("got %d, %v", got.status, got.err)
		}
		rec, meta := r.record(), <-seen
		if meta.Usage != rec.Usage || meta.ID != rec.ResponseID || !meta.UsageReported {
			t.Errorf("the interceptor saw %+v, the record is %+v", meta, rec)
		}
		n, ok := meta.Custom["reasoning_tokens"].(int)
		if want := int(rec.Usage.Reasoning); n != want || ok != (want > 0) {
			t.Errorf("%s: Custom %v, want %d reasoning tokens", path, meta.Custom, want)
		}
		if meta.Custom["provider"] != "openai" || meta.Custom["api_type"] != string(rec.API) {
			t.Errorf("Custom %v", meta.Custom)
		}
	}
}

type atClose struct {
	llmproxy.Stream
	f func()
}

func (a *atClose) Close() error {
	if a.f != nil {
		a.f()
		a.f = nil
	}
	return a.Stream.Close()
}
