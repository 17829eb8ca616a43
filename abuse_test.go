package llmproxy_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
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

// newRigBehind is a rig whose provider is h.
func newRigBehind(t *testing.T, h http.HandlerFunc, opts ...llmproxy.Option) *rig {
	t.Helper()
	upstream := httptest.NewServer(h)
	t.Cleanup(upstream.Close)
	return newRigOf(t, simulator.Options{}, openai_compatible.Config{Type: "openai", BaseURL: upstream.URL}, opts...)
}

// A refusal does not wait for a body that nobody will read.
func TestRefusalBeforeTheBody(t *testing.T) {
	t.Parallel()
	for _, head := range []string{
		"POST /nope/v1/x HTTP/1.1\r\n", "GET / HTTP/1.1\r\n", "POST /v1/realtime HTTP/1.1\r\n",
		"POST /v1/chat/completions HTTP/1.1\r\nX-Gateway-Tags: novalue\r\n",
		"POST /v1/chat/completions HTTP/1.1\r\nContent-Encoding: compress\r\n",
	} {
		r := newRig(t)
		conn, err := net.Dial("tcp", strings.TrimPrefix(r.gateway, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "%sHost: x\r\nContent-Length: 1000\r\n\r\n", head)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%q: %v", head, err)
		}
		if _, err := io.ReadAll(resp.Body); err != nil || !resp.Close {
			t.Errorf("%q: %v, Close %t", head, err, resp.Close)
		}
	}
}

// A client that dribbles its body does not hold up a shutdown.
func TestShutdownDuringABody(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pr, pw := io.Pipe()
	defer pw.Close()
	got := make(chan answer)
	read := make(chan struct{})
	go func() { got <- r.do(r.request("POST", r.gateway+"/v1/chat/completions", pr)) }()
	go func() {
		_, _ = pw.Write([]byte(`{"model":`)) // returns when the client's transport has it
		close(read)
	}()
	<-read
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = r.router.Shutdown(ctx) // a request that arrives after it is refused as well
	r.fault(<-got, 503, "shutting_down")
	r.uncalled()
}

// Interceptors that misuse what they have harm their own exchange at most.
func TestInterceptorMisuse(t *testing.T) {
	t.Parallel()
	t.Run("a call that nobody waits for", func(t *testing.T) {
		t.Parallel()
		var wg sync.WaitGroup
		gaveUp := make(chan struct{})
		r := newRig(t, llmproxy.WithInterceptor(llmproxy.InterceptorFunc(func(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
			wg.Go(func() {
				if _, err := next(ctx, x); err == nil {
					t.Error("a late call gave a reply")
				}
			})
			<-gaveUp
			return nil, &llmproxy.Error{Status: 504, Code: "slow"}
		})))
		go func() {
			_, _ = r.simulator.Await(t.Context(), simulator.Arrived(1))
			close(gaveUp)
		}()
		if got := r.post("/v1/chat/completions", chatJSON, "X-Simulate", "hang"); got.status != 504 {
			t.Errorf("got %d", got.status)
		}
		wg.Wait()
		if _, err := r.simulator.Await(t.Context(), simulator.Departed(1)); err != nil {
			t.Error(err)
		}
		if rec := r.record(); rec.Status != 504 {
			t.Errorf("record %+v", rec)
		}
		r.noMore()
	})
	t.Run("a call after the answer has begun", func(t *testing.T) {
		t.Parallel()
		late := make(chan error, 1)
		r := newRig(t, llmproxy.WithInterceptor(llmproxy.InterceptorFunc(func(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
			clone := x.Clone()
			reply, err := next(ctx, clone)
			if err == nil {
				reply.Stream = &atClose{reply.Stream, func() {
					_, err := next(ctx, clone)
					late <- err
				}}
			}
			return reply, err
		})))
		if got := r.post("/v1/chat/completions", chatStream); got.status != 200 || got.err != nil {
			t.Errorf("got %d, %v", got.status, got.err)
		}
		if err := <-late; err == nil {
			t.Error("it was sent")
		}
		if n := len(r.simulator.Requests()); n != 1 {
			t.Errorf("%d calls of the provider", n)
		}
		_ = r.record()
	})
	t.Run("a stream that is closed while it is read", func(t *testing.T) {
		t.Parallel()
		step := make(chan struct{})
		r := newRigOf(t, simulator.Options{Script: func(*http.Request) simulator.Script {
			return simulator.Script{BeforeEvent: simulator.At(2, simulator.Until(step))}
		}}, openai_compatible.Config{Type: "openai"}, llmproxy.WithInterceptor(llmproxy.InterceptorFunc(func(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
			reply, err := next(ctx, x)
			if err == nil {
				go func() { _ = reply.Stream.Close() }()
			}
			return reply, err
		})))
		if got := r.post("/v1/chat/completions", chatStream); got.err == nil {
			t.Errorf("the answer ended as if whole: %q", got.body)
		}
		if rec := r.record(); rec.Outcome != llmproxy.OutcomeError {
			t.Errorf("record %+v", rec)
		}
	})
	t.Run("an answer of another length", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{`{"short":1}`, `{"long":"` + strings.Repeat("x", 5000) + `"}`} {
			r := newRig(t, llmproxy.WithInterceptor(llmproxy.InterceptorFunc(func(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
				reply, err := next(ctx, x)
				if err == nil {
					_ = reply.Stream.Close()
					reply.Stream = &pieces{text}
				}
				return reply, err
			})))
			if got := r.post("/v1/chat/completions", chatJSON); got.body != text || got.err != nil {
				t.Errorf("got %q, %v", got.body, got.err)
			}
			_ = r.record()
		}
	})
	t.Run("a reply without a stream or a status", func(t *testing.T) {
		t.Parallel()
		for _, reply := range []*llmproxy.Reply{{StatusCode: 200}, {Stream: &pieces{"x"}}} {
			r := newRig(t, llmproxy.WithInterceptor(llmproxy.InterceptorFunc(func(context.Context, *llmproxy.Exchange, llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
				return reply, nil
			})))
			r.fault(r.post("/v1/chat/completions", chatJSON), 500, "internal_error")
			_ = r.record()
		}
	})
}

// Forward ends with its context, whatever the policy for clients that leave.
func TestForwardEndsWithItsContext(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"hang", "hang=2"} {
		r := newRig(t, llmproxy.WithDisconnect(llmproxy.Drain(time.Hour)))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, _, err := r.router.Forward(ctx, r.request("POST", "/v1/chat/completions", strings.NewReader(chatStream), "X-Simulate", script))
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", script, err)
		}
		if rec := r.record(); rec.Outcome != llmproxy.OutcomeCancelled {
			t.Errorf("record %+v", rec)
		}
	}
}

func TestForwardTooLarge(t *testing.T) {
	t.Parallel()
	r := newRig(t, llmproxy.WithLimits(llmproxy.Limits{Frame: 1 << 16}))
	_, _, err := r.router.Forward(t.Context(), r.request("POST", "/v1/chat/completions", strings.NewReader(chatJSON), "X-Simulate", "json-bytes=3000000"))
	if e, ok := errors.AsType[*llmproxy.Error](err); !ok || e.Code != "answer_too_large" {
		t.Errorf("got %v", err)
	}
	if rec := r.record(); rec.Outcome != llmproxy.OutcomeError || rec.Error.Code != "answer_too_large" {
		t.Errorf("record %+v", rec)
	}
}

// The time for the header of an answer begins when the request is sent, however long a
// client takes to upload it.
func TestHeaderTimeBeginsAfterTheUpload(t *testing.T) {
	t.Parallel()
	r := newRig(t, llmproxy.WithLimits(llmproxy.Limits{ResponseHeaderTimeout: time.Second}))
	pr, pw := io.Pipe()
	got := make(chan answer)
	go func() {
		got <- r.do(r.request("POST", r.gateway+"/v1/files", pr, "Content-Type", "multipart/form-data; boundary=x", "X-Simulate", ""))
	}()
	_, _ = io.WriteString(pw, "--x\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n")
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for range 6 { // more than the time in all
		<-tick.C
		_, _ = io.WriteString(pw, strings.Repeat("a", 1000))
	}
	_, _ = io.WriteString(pw, "\r\n--x--\r\n")
	_ = pw.Close()
	if a := <-got; a.status != 200 {
		t.Errorf("got %d %s", a.status, a.body)
	}
	_ = r.record()
}

// The connection's end is no proof that a JSON answer is whole; its syntax is.
func TestUnprovenJSON(t *testing.T) {
	t.Parallel()
	const whole = `{"id":"x","model":"m","choices":[{"index":0,"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}`
	for _, body := range []string{whole, whole[:40]} {
		r := newRigBehind(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n%s", body)
			_ = conn.Close()
		})
		got := r.post("/v1/chat/completions", chatJSON)
		rec := r.record()
		if body == whole {
			if got.status != 200 || got.body != whole || rec.Outcome != llmproxy.OutcomeCompleted {
				t.Errorf("got %d %s, %s", got.status, got.body, rec.Outcome)
			}
			continue
		}
		r.fault(got, 502, "provider_broken")
		if rec.Outcome != llmproxy.OutcomeError {
			t.Errorf("record %+v", rec)
		}
	}
}

// A connection that is reset after the terminal event takes nothing away.
func TestResetAfterTheEnd(t *testing.T) {
	t.Parallel()
	const stream = "data: {\"model\":\"m\",\"choices\":[{\"index\":0,\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"
	r := newRigBehind(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, stream)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	if got := r.post("/v1/chat/completions", chatStreamAdded); got.body != stream || got.err != nil {
		t.Errorf("got %q, %v", got.body, got.err)
	}
	if rec := r.record(); rec.Outcome != llmproxy.OutcomeCompleted {
		t.Errorf("record %+v", rec)
	}
}

// Nothing of a provider passes for ours, and nothing that only a hop may see passes.
func TestProvidersTrailers(t *testing.T) {
	t.Parallel()
	r := newRigBehind(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Trailer", "X-Own, X-Gateway-Cost, X-Gateway-Prompt-Tokens, Set-Cookie")
		_, _ = io.WriteString(w, "data: {\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\ndata: [DONE]\n\n")
		for name, value := range map[string]string{"X-Own": "1", "X-Gateway-Cost": "0", "X-Gateway-Prompt-Tokens": "666", "Set-Cookie": "a=b"} {
			w.Header().Set(name, value)
		}
	})
	got := r.post("/v1/chat/completions", chatStreamAdded)
	want := http.Header{"X-Own": {"1"}, "X-Gateway-Prompt-Tokens": {"3"}, "X-Gateway-Completion-Tokens": {"4"}}
	if fmt.Sprint(got.trailer) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got.trailer, want)
	}
	_ = r.record()
}

// An empty answer needs no decoding, whatever it says of its coding.
func TestEmptyCodedAnswer(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 204, 304} {
		for _, flush := range []bool{false, true} {
			r := newRigBehind(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Encoding", "gzip")
				w.WriteHeader(status)
				if flush {
					_ = http.NewResponseController(w).Flush()
				}
			})
			if got := r.post("/v1/chat/completions", chatJSON); got.status != status || got.body != "" || got.err != nil {
				t.Errorf("%d: got %d %q, %v", status, got.status, got.body, got.err)
			}
			_ = r.record()
		}
	}
}

// A provider that answers TRACE would show our credential.
func TestTraceIsNotForwarded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.fault(r.do(r.request("TRACE", r.gateway+"/openai/v1/models", http.NoBody)), 405, "method_not_allowed")
	r.uncalled()
	_ = r.record()
}

// A stream that was asked for is one, whatever the provider calls it.
func TestStreamOfAnotherName(t *testing.T) {
	t.Parallel()
	const events = "data: {\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{}}]}\n\n"
	const usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n"
	for _, contentType := range []string{"text/plain", "", "application/octet-stream"} {
		step := make(chan struct{})
		r := newRigBehind(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header()["Content-Type"] = nil
			if contentType != "" {
				w.Header().Set("Content-Type", contentType)
			}
			_, _ = io.WriteString(w, events)
			_ = http.NewResponseController(w).Flush()
			<-step
			_, _ = io.WriteString(w, usage+"data: [DONE]\n\n")
		})
		resp, err := r.client.Do(r.request("POST", r.gateway+"/v1/chat/completions", strings.NewReader(chatStream)))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		first := make([]byte, len(events))
		if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != events {
			t.Errorf("%q: %q, %v", contentType, first, err) // before the rest exists
		}
		close(step)
		if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != "data: [DONE]\n\n" {
			t.Errorf("%q: %q, %v", contentType, rest, err)
		}
		if rec := r.record(); rec.Usage.PromptTokens != 3 || rec.UsageSource != llmproxy.UsageProvider || rec.Outcome != llmproxy.OutcomeCompleted {
			t.Errorf("record %+v", rec)
		}
	}
}

// Usage counts in a last event that lacks its blank line, too.
func TestUsageInAnUnfinishedEvent(t *testing.T) {
	t.Parallel()
	for _, body := range []string{chatStream, chatStreamAdded} {
		r := newRigBehind(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: {\"model\":\"m\",\"choices\":[{\"index\":0,\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}")
		})
		if got := r.post("/v1/chat/completions", body); got.err != nil || strings.Contains(got.body, "usage") != (body == chatStreamAdded) {
			t.Errorf("got %q, %v", got.body, got.err)
		}
		if rec := r.record(); rec.Usage.PromptTokens != 3 || rec.UsageSource != llmproxy.UsageProvider {
			t.Errorf("record %+v", rec)
		}
	}
}

// What a provider reported is on the record, though an interceptor threw its answer away
// and forgot to close it.
func TestUsageOfADiscardedAnswer(t *testing.T) {
	t.Parallel()
	for _, refuse := range []bool{true, false} {
		r := newRig(t, llmproxy.WithInterceptor(llmproxy.InterceptorFunc(func(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
			reply, err := next(ctx, x)
			if err != nil {
				return nil, err
			}
			for err == nil {
				_, err = reply.Stream.Next()
			}
			if refuse {
				return nil, &llmproxy.Error{Status: 400, Type: "invalid_request_error", Code: "not_nice"}
			}
			return &llmproxy.Reply{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Stream: &pieces{"{}"}}, nil
		})))
		_ = r.post("/v1/chat/completions", chatJSON)
		want, err := simulator.UsageOf("/v1/chat/completions", []byte(chatJSON))
		if err != nil {
			t.Fatal(err)
		}
		rec := r.record()
		if rec.Usage.PromptTokens != want.Prompt || rec.Usage.CompletionTokens != want.Completion || rec.UsageSource != llmproxy.UsageProvider || rec.CostState != llmproxy.CostUnpriced {
			t.Errorf("refused %t: record %+v", refuse, rec)
		}
	}
}

// A reply that an interceptor drops does not hold the provider's connection.
func TestDroppedReply(t *testing.T) {
	t.Parallel()
	r := newRig(t, llmproxy.WithInterceptor(llmproxy.InterceptorFunc(func(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
		if _, err := next(ctx, x); err != nil {
			return nil, err
		}
		return nil, errPlanned
	})))
	r.fault(r.post("/v1/chat/completions", chatStream, "X-Simulate", "hang=2"), 500, "internal_error")
	if _, err := r.simulator.Await(t.Context(), simulator.Departed(1)); err != nil {
		t.Error(err)
	}
	_ = r.record()
}

// A recorder that panics costs the log a line and the client nothing.
func TestRecorderPanics(t *testing.T) {
	t.Parallel()
	r := newRig(t, llmproxy.WithRecorder(panickingRecorder{}))
	if got := r.post("/v1/chat/completions", chatJSON); got.status != 200 {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if log := r.log.String(); !strings.Contains(log, "the recorder panicked") || strings.Contains(log, clientKey) {
		t.Errorf("log: %s", log)
	}
}

type panickingRecorder struct{}

func (panickingRecorder) Begin(context.Context, *llmproxy.Record) error  { return nil }
func (panickingRecorder) Record(context.Context, *llmproxy.Record) error { panic(clientKey) }

func TestWithRegistryKeepsProviders(t *testing.T) {
	t.Parallel()
	one, two := &llmproxy.BaseProvider{ID: "one"}, &llmproxy.BaseProvider{ID: "two"}
	registry := llmproxy.NewRegistry(two)
	llmproxy.NewAutoRouter(llmproxy.WithProvider(one), llmproxy.WithRegistry(registry))
	if all := registry.All(); len(all) != 2 {
		t.Errorf("%d providers, want 2", len(all))
	}
}
