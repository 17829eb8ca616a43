package llmproxy_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/internal/simulator"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

const (
	chatStream      = `{"model":"gpt-5-mini","stream":true,"messages":[{"role":"user","content":"tell me one thing"}]}`
	chatStreamAdded = `{"model":"gpt-5-mini","stream":true,"messages":[{"role":"user","content":"tell me one thing"}],"stream_options":{"include_usage":true}}`
	chatJSON        = `{"model":"gpt-5-mini","messages":[{"role":"user","content":"tell me one thing"}]}`
	responsesStream = `{"model":"gpt-5-reason","stream":true,"input":"tell me one thing"}`
	responsesJSON   = `{"model":"gpt-5-reason","input":"tell me one thing"}`
)

// Whatever a provider's stream looks like, its bytes arrive, and its usage is read.
func TestStreamBytes(t *testing.T) {
	t.Parallel()
	for _, script := range []string{
		"", "eol=crlf", "eol=cr", "piece", "piece=7", "no-space", "multi-line", "comments", "bom",
		"gzip", "huge", "close-delimited", "no-done", "done", "keepalive", "events=2000",
		"eol=crlf,piece,comments,multi-line", "huge,piece=65536", "usage=finish", "usage=x_groq", "usage=every",
	} {
		for _, api := range []struct {
			path, body, upstream string
			name                 llmproxy.APIType
		}{
			{"/v1/chat/completions", chatStreamAdded, chatStreamAdded, llmproxy.APIChatCompletions},
			{"/v1/responses", responsesStream, responsesStream, llmproxy.APIResponses},
		} {
			if api.name == llmproxy.APIResponses && strings.HasPrefix(script, "usage=") || script == "close-delimited,no-done" {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s", api.name, script), func(t *testing.T) {
				t.Parallel()
				r := newRig(t)
				want := r.direct(api.path, api.upstream, "X-Simulate", strings.ReplaceAll(script, "gzip", ""))
				got := r.post(api.path, api.body, "X-Simulate", script)
				if got.err != nil || got.status != 200 {
					t.Fatalf("got %d, %v", got.status, got.err)
				}
				if got.body != want.body {
					t.Errorf("got %d bytes, want %d:\n%.400q\n%.400q", len(got.body), len(want.body), got.body, want.body)
				}
				rec := r.record()
				r.noMore()
				usage, err := simulator.UsageOf(api.path, []byte(api.body))
				if err != nil {
					t.Fatal(err)
				}
				if script == "events=2000" || strings.HasPrefix(script, "huge") {
					usage.Completion = rec.Usage.CompletionTokens // the script's
				}
				if rec.Usage.PromptTokens != usage.Prompt || rec.Usage.CompletionTokens != usage.Completion || rec.Usage.Reasoning != usage.Reasoning {
					t.Errorf("usage %+v, want %+v", rec.Usage, usage)
				}
				if rec.Outcome != llmproxy.OutcomeCompleted || rec.UsageSource != llmproxy.UsageProvider ||
					rec.Transport != llmproxy.TransportSSE || rec.TTFT <= 0 || rec.Status != 200 {
					t.Errorf("record %+v", rec)
				}
				if got := got.trailer.Get("X-Gateway-Prompt-Tokens"); got != fmt.Sprint(usage.Prompt) {
					t.Errorf("trailer says %q prompt tokens, want %d", got, usage.Prompt)
				}
			})
		}
	}
}

// The gateway asks for usage where the client did not, and keeps the answer to its own
// question to itself.
func TestUsageIsAskedForAndWithheld(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, body, upstream string }{
		{"no stream_options", chatStream, chatStreamAdded},
		{"explicit false", strings.Replace(chatStreamAdded, "true}}", "false}}", 1), chatStreamAdded},
		{"other options", strings.Replace(chatStreamAdded, `"include_usage":true`, `"include_obfuscation" : false`, 1), strings.Replace(chatStreamAdded, `"include_usage":true`, `"include_obfuscation" : false,"include_usage":true`, 1)},
	} {
		for _, script := range []string{"", "piece", "eol=crlf,piece=3", "eol=cr", "usage=null-choices"} {
			t.Run(tt.name+"/"+script, func(t *testing.T) {
				t.Parallel()
				r := newRig(t)
				plain := r.direct("/v1/chat/completions", tt.upstream, "X-Simulate", script)
				got := r.post("/v1/chat/completions", tt.body, "X-Simulate", script)
				if sent := string(r.simulator.Requests()[1].Body); sent != tt.upstream {
					t.Errorf("the provider received\n%s\nwant\n%s", sent, tt.upstream)
				}
				// The usage-only event is the last but one.
				end := "\n\n"
				if strings.Contains(script, "crlf") {
					end = "\r\n\r\n"
				} else if strings.Contains(script, "cr") {
					end = "\r\r"
				}
				events := strings.SplitAfter(plain.body, end)
				usage := len(events) - 3
				if !strings.Contains(events[usage], `"usage":{`) {
					t.Fatalf("%q holds no usage", events[usage])
				}
				want := strings.Join(append(events[:usage:usage], events[usage+1:]...), "")
				if got.body != want || got.err != nil {
					t.Errorf("got %v\n%q\nwant\n%q", got.err, got.body, want)
				}
				if rec := r.record(); rec.UsageSource != llmproxy.UsageProvider || rec.Usage.PromptTokens == 0 {
					t.Errorf("record %+v", rec)
				}
			})
		}
	}
}

// Nobody asks a provider for usage that refuses the question or answers without it.
func TestUsageIsNotAskedFor(t *testing.T) {
	t.Parallel()
	no := false
	for _, tt := range []struct {
		name, path, body string
		config           openai_compatible.Config
		opts             []llmproxy.Option
	}{
		{"the client asked", "/v1/chat/completions", chatStreamAdded, openai_compatible.Config{Type: "openai"}, nil},
		{"no stream", "/v1/chat/completions", chatJSON, openai_compatible.Config{Type: "openai"}, nil},
		{"Responses", "/v1/responses", responsesStream, openai_compatible.Config{Type: "openai"}, nil},
		{"Responses on the mount", "/openai/v1/responses", responsesStream, openai_compatible.Config{Type: "openai"}, nil},
		{"Responses by its body", "/", responsesStream, openai_compatible.Config{Type: "openai"}, nil},
		{"mistral", "/v1/chat/completions", chatStream, openai_compatible.Config{Type: "mistral"}, nil},
		{"groq", "/v1/chat/completions", chatStream, openai_compatible.Config{Type: "groq"}, nil},
		{"switched off", "/v1/chat/completions", chatStream, openai_compatible.Config{Type: "openai", IncludeUsage: &no}, nil},
		{"no metering", "/v1/chat/completions", chatStream, openai_compatible.Config{Type: "openai"}, []llmproxy.Option{llmproxy.WithMetering(false)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRigOf(t, simulator.Options{}, tt.config, tt.opts...)
			got := r.post(tt.path, tt.body)
			if sent := string(r.simulator.Requests()[0].Body); got.status != 200 || sent != tt.body {
				t.Errorf("status %d, the provider received %s", got.status, sent)
			}
			_ = r.record()
		})
	}
}

// Completions streams are asked for usage as chat is.
func TestCompletionsStream(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const body = `{"model":"gpt-3.5-turbo-instruct","stream":true,"prompt":"one two three"}`
	got := r.post("/v1/completions", body)
	if got.status != 200 || strings.Contains(got.body, `"usage":{`) || !strings.HasSuffix(got.body, "data: [DONE]\n\n") {
		t.Errorf("got %d %q", got.status, got.body)
	}
	want, err := simulator.UsageOf("/v1/completions", []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if rec := r.record(); rec.Usage.PromptTokens != want.Prompt || rec.Usage.CompletionTokens != want.Completion || rec.API != llmproxy.APICompletions {
		t.Errorf("record %+v, want %+v", rec, want)
	}
}

// An event reaches the client while the next one does not exist yet.
func TestStreamIsFlushed(t *testing.T) {
	t.Parallel()
	step := make(chan struct{})
	r := newRigOf(t, simulator.Options{Script: func(*http.Request) simulator.Script {
		return simulator.Script{BeforeEvent: simulator.Until(step)}
	}}, openai_compatible.Config{Type: "openai"})
	resp, err := r.client.Do(r.request("POST", r.gateway+"/v1/chat/completions", strings.NewReader(chatStream)))
	if err != nil { // the header came before any event
		t.Fatal(err)
	}
	defer resp.Body.Close()
	buf := make([]byte, 4096)
	for range 3 {
		step <- struct{}{}
		n, err := resp.Body.Read(buf)
		if err != nil || !strings.HasPrefix(string(buf[:n]), "data: {") || !strings.HasSuffix(string(buf[:n]), "\n\n") {
			t.Fatalf("got %q, %v", buf[:n], err)
		}
	}
	close(step)
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Error(err)
	}
	_ = r.record()
}

// An answer that broke off cannot be taken for a whole one, and what is known of it is
// kept.
func TestBrokenStream(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, path, body, script string
		event                    string // the error event
		source                   llmproxy.UsageSource
	}{
		{"chat between events", "/v1/chat/completions", chatStream, "cut-events=2", "data: {\"error\":{\"message\":\"the answer of the provider \\\"openai\\\" broke off\",\"type\":\"server_error\",\"param\":null,\"code\":\"provider_broken\"}}\n\n", llmproxy.UsageNone},
		{"chat inside an event", "/v1/chat/completions", chatStream, "cut-bytes=300", "\n\ndata: {\"error\":{\"message\":\"the answer of the provider \\\"openai\\\" broke off\",\"type\":\"server_error\",\"param\":null,\"code\":\"provider_broken\"}}\n\n", llmproxy.UsageNone},
		{"chat after some usage", "/v1/chat/completions", chatStreamAdded, "usage=every,cut-events=3", "\n\n", llmproxy.UsagePartial},
		{"chat with CRLF", "/v1/chat/completions", chatStream, "eol=crlf,cut-events=2", "}\r\n\r\ndata: {\"error\":{\"message\":\"the answer of the provider \\\"openai\\\" broke off\",\"type\":\"server_error\",\"param\":null,\"code\":\"provider_broken\"}}\r\n\r\n", llmproxy.UsageNone},
		{"chat before its first byte", "/v1/chat/completions", chatStream, "cut-bytes=0", "data: {\"error\":", llmproxy.UsageNone},
		{"responses", "/v1/responses", responsesStream, "cut-events=4", "event: error\ndata: {\"type\":\"error\",\"sequence_number\":4,\"code\":\"provider_broken\",\"message\":\"the answer of the provider \\\"openai\\\" broke off\",\"param\":null}\n\n", llmproxy.UsageNone},
		{"the end of the connection in place of an end", "/v1/responses", responsesStream, "close-delimited,cut-events=4", "event: error\ndata: {\"type\":\"error\",\"sequence_number\":4,", llmproxy.UsageNone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			got := r.post(tt.path, tt.body, "X-Simulate", tt.script)
			if got.status != 200 || got.err == nil {
				t.Errorf("got %d, %v, want 200 and a cut body", got.status, got.err)
			}
			if !strings.Contains(got.body, tt.event) {
				t.Errorf("got\n%q\nwant the event\n%q", got.body, tt.event)
			}
			rec := r.record()
			r.noMore()
			if rec.Outcome != llmproxy.OutcomeError || rec.Status != 200 || rec.UsageSource != tt.source || rec.Error == nil || rec.Error.Code != "provider_broken" {
				t.Errorf("record %+v, error %+v", rec, rec.Error)
			}
		})
	}
}

// A stream whose bytes end well but whose answer does not passes as it is; the record
// says so.
func TestUnfinishedStream(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	want := r.direct("/v1/responses", responsesStream, "X-Simulate", "unfinished")
	got := r.post("/v1/responses", responsesStream, "X-Simulate", "unfinished")
	if got.err != nil || got.body != want.body {
		t.Errorf("got %v, %q", got.err, got.body)
	}
	if rec := r.record(); rec.Outcome != llmproxy.OutcomeError || rec.UsageSource != llmproxy.UsageNone || rec.Status != 200 {
		t.Errorf("record %+v", rec)
	}
}

// Usage counts in every terminal event.
func TestTerminalEvents(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		script  string
		outcome llmproxy.Outcome
	}{
		{"end=incomplete", llmproxy.OutcomeIncomplete},
		{"end=failed", llmproxy.OutcomeFailed},
	} {
		for _, body := range []string{responsesStream, responsesJSON} {
			r := newRig(t)
			got := r.post("/v1/responses", body, "X-Simulate", tt.script)
			rec := r.record()
			if got.err != nil || rec.Outcome != tt.outcome || rec.UsageSource != llmproxy.UsageProvider || rec.Usage.PromptTokens == 0 || rec.Usage.Reasoning == 0 {
				t.Errorf("%s: %v, record %+v", tt.script, got.err, rec)
			}
		}
	}
}

// A client that leaves ends the provider's call at once.
func TestDisconnectCancels(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	req := r.request("POST", r.gateway+"/v1/chat/completions", strings.NewReader(chatStream), "X-Simulate", "hang=2")
	resp, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 64)); err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if _, err := r.simulator.Await(t.Context(), simulator.Departed(1)); err != nil {
		t.Fatal(err)
	}
	if rec := r.record(); rec.Outcome != llmproxy.OutcomeCancelled || rec.Status != 499 || rec.UsageSource != llmproxy.UsageNone {
		t.Errorf("record %+v", rec)
	}
	r.noMore()
}

// The same before there is an answer at all.
func TestDisconnectBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	req := r.request("POST", r.gateway+"/v1/chat/completions", strings.NewReader(chatJSON), "X-Simulate", "hang").WithContext(ctx)
	go func() {
		_, _ = r.simulator.Await(t.Context(), simulator.Arrived(1))
		cancel()
	}()
	if resp, err := r.client.Do(req); err == nil {
		_ = resp.Body.Close()
		t.Fatal("an answer came")
	}
	if _, err := r.simulator.Await(t.Context(), simulator.Departed(1)); err != nil {
		t.Fatal(err)
	}
	if rec := r.record(); rec.Outcome != llmproxy.OutcomeCancelled || rec.Status != 499 {
		t.Errorf("record %+v", rec)
	}
}

// With Drain, the provider is heard out, and the usage is exact.
func TestDisconnectDrains(t *testing.T) {
	t.Parallel()
	step := make(chan struct{})
	r := newRigOf(t, simulator.Options{Script: func(*http.Request) simulator.Script {
		return simulator.Script{BeforeEvent: simulator.At(2, simulator.Until(step))}
	}}, openai_compatible.Config{Type: "openai"}, llmproxy.WithDisconnect(llmproxy.Drain(time.Hour)))
	left := make(chan struct{})
	resp, err := r.client.Do(r.request("POST", r.gateway+"/v1/chat/completions", strings.NewReader(chatStream)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 64)); err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	close(left)
	close(step)
	requests, err := r.simulator.Await(t.Context(), simulator.Finished(1))
	if err != nil {
		t.Fatal(err)
	}
	if requests[0].Departed {
		t.Error("the provider's call was cancelled")
	}
	want, err := simulator.UsageOf("/v1/chat/completions", []byte(chatStream))
	if err != nil {
		t.Fatal(err)
	}
	rec := r.record()
	if rec.UsageSource != llmproxy.UsageProvider || rec.Usage.PromptTokens != want.Prompt || rec.Usage.CompletionTokens != want.Completion {
		t.Errorf("record %+v, want %+v", rec, want)
	}
	// Whether the gateway has noticed by then is the network's doing.
	if rec.Outcome != llmproxy.OutcomeCancelled && rec.Outcome != llmproxy.OutcomeCompleted {
		t.Errorf("outcome %s", rec.Outcome)
	}
}

// A drain has an end.
func TestDrainIsBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t, llmproxy.WithDisconnect(llmproxy.Drain(time.Millisecond)))
	resp, err := r.client.Do(r.request("POST", r.gateway+"/v1/chat/completions", strings.NewReader(chatStream), "X-Simulate", "hang=2"))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if _, err := r.simulator.Await(t.Context(), simulator.Departed(1)); err != nil {
		t.Fatal(err)
	}
	if rec := r.record(); rec.Outcome != llmproxy.OutcomeCancelled || rec.Status != 499 {
		t.Errorf("record %+v", rec)
	}
}

// The record is kept before the client can have the whole answer.
func TestRecordComesBeforeTheLastPiece(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ path, body, end string }{
		{"/v1/chat/completions", chatStream, "[DONE]"},
		{"/v1/responses", responsesStream, "response.completed"},
		{"/v1/chat/completions", chatJSON, "}"},
		{"/v1/files/unmetered/content", "", ""},
	} {
		slow := &slowRecorder{asked: make(chan struct{}), let: make(chan struct{})}
		r := newRig(t, llmproxy.WithRecorder(slow))
		method := "POST"
		if tt.body == "" {
			method = "GET"
		}
		got := make(chan string)
		seen := make(chan string, 1)
		go func() {
			resp, err := r.client.Do(r.request(method, r.gateway+tt.path, strings.NewReader(tt.body)))
			if err != nil {
				got <- err.Error()
				return
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(io.TeeReader(resp.Body, &latest{seen}))
			got <- string(body)
		}()
		<-slow.asked
		select {
		case body := <-got:
			t.Errorf("%s: the answer was whole before its record: %q", tt.path, body)
			close(slow.let)
			continue
		case s := <-seen:
			if tt.end != "" && strings.Contains(s, tt.end+"\n") {
				t.Errorf("%s: the end came before the record: %q", tt.path, s)
			}
		default:
		}
		close(slow.let)
		if body := <-got; !strings.Contains(body, tt.end) {
			t.Errorf("%s: got %q", tt.path, body)
		}
	}
}
