package llmproxy_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/llmproxy/llmproxy"
)

const mini = `{"type":"response.create","model":"gpt-5-mini","input":"x"}`

// What a provider says after an error comes after it, and the turns are numbered as they
// end.
func TestWebSocketOrderBehindAnError(t *testing.T) {
	t.Parallel()
	r := newPlayedRig(t)
	for range 50 {
		client, provider := r.open()
		for range 2 {
			client.send(mini)
			provider.want(mini)
		}
		for _, m := range []string{
			`{"type":"error","status":400,"error":{"type":"invalid_request_error","code":"nope","message":"gone"}}`,
			`{"type":"codex.rate_limits"}`, createdEvent("", "resp_2"), completedEvent("", "resp_2", 1, 1),
		} {
			provider.send(m)
		}
		var got []string
		for range 4 {
			e, err := client.read()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e.Type)
		}
		if want := "error codex.rate_limits response.created response.completed"; strings.Join(got, " ") != want {
			t.Fatalf("got %v, want %s", got, want)
		}
		if first, second := r.record(), r.record(); first.Turn != 1 || first.Status != 400 || second.Turn != 2 || second.Status != 200 {
			t.Fatalf("records %+v, %+v", first, second)
		}
		client.conn.Close()
		provider.conn.Close()
	}
}

// A message that nobody answers does not swallow the error of a create after it.
func TestWebSocketErrorAfterProcessed(t *testing.T) {
	t.Parallel()
	r := newPlayedRig(t)
	client, provider := r.open()
	client.send(mini)
	provider.want(mini)
	for _, m := range []string{createdEvent("", "resp_1"), completedEvent("", "resp_1", 1, 1)} {
		provider.send(m)
		client.want(m)
	}
	r.record()
	const processed = `{"type":"response.processed","response_id":"resp_1"}`
	client.send(processed)
	provider.want(processed)
	client.send(mini)
	provider.want(mini)
	const gone = `{"type":"error","status":400,"error":{"type":"invalid_request_error","code":"previous_response_not_found","message":"gone","param":"previous_response_id"}}`
	provider.send(gone)
	client.want(gone)
	if rec := r.record(); rec.Turn != 2 || rec.Status != 400 {
		t.Errorf("record %+v", rec)
	}
}

// An interceptor that waits holds up its own lane alone, before the provider is asked and
// after.
func TestWebSocketInterceptorWaits(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	r := newPlayedRig(t, llmproxy.WithInterceptor(llmproxy.InterceptorFunc(
		func(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
			if x.Meta.Model == "before" {
				<-gate
			}
			reply, err := next(ctx, x)
			if x.Meta.Model == "after" {
				<-gate
			}
			return reply, err
		})))
	client, provider := r.open()
	const after, b = `{"type":"response.create","stream_id":"a","model":"after","input":"x"}`, `{"type":"response.create","stream_id":"b","model":"gpt-5-mini","input":"x"}`
	client.send(after)
	provider.want(after)
	client.send(`{"type":"response.create","model":"before","input":"x"}`)
	client.send(`{"type":"response.cancel","response_id":"resp_x"}`)
	client.send(b)
	provider.want(b)
	provider.send(createdEvent("a", "resp_a"))
	provider.send(createdEvent("b", "resp_b"))
	client.want(createdEvent("b", "resp_b"))
	close(gate)
	client.want(createdEvent("a", "resp_a"))
}

// panicky panics when it is told of the second intent.
type panicky struct {
	recorder
	n *atomic.Int32
}

func (p panicky) Begin(context.Context, *llmproxy.Record) error {
	if p.n.Add(1) == 2 {
		panic("canary")
	}
	return nil
}

// A recorder that panics over a turn that nobody asked for harms nothing.
func TestWebSocketRecorderPanics(t *testing.T) {
	t.Parallel()
	r := newPlayedRig(t, llmproxy.WithRecorder(panicky{make(recorder, 16), &atomic.Int32{}}))
	client, provider := r.open()
	client.send(mini)
	provider.want(mini)
	provider.send(completedEvent("", "resp_1", 1, 1))
	client.want(completedEvent("", "resp_1", 1, 1))
	provider.send(createdEvent("", "resp_2"))
	client.want(createdEvent("", "resp_2"))
}
