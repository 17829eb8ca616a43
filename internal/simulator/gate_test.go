package simulator_test

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

// TestGates opens an answer step by step.
func TestGates(t *testing.T) {
	t.Parallel()
	header, body, events := make(chan struct{}), make(chan struct{}), make(chan struct{})
	p := run(t, simulator.Options{Script: func(*http.Request) simulator.Script {
		return simulator.Script{
			BeforeHeader: simulator.Until(header),
			BeforeBody:   simulator.Until(body),
			BeforeEvent:  simulator.Until(events),
		}
	}})
	answered := make(chan *http.Response)
	go func() {
		res, err := p.server.Client().Do(p.request(http.MethodPost, "/v1/chat/completions", chatStream))
		if err != nil {
			t.Error(err)
		}
		answered <- res
	}()
	header <- struct{}{} // there is a taker, so the answer waited
	res := <-answered
	if res == nil {
		return
	}
	defer res.Body.Close()
	body <- struct{}{}
	r := bufio.NewReader(res.Body)
	for range 3 {
		events <- struct{}{}
		if _, err := r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		if blank, err := r.ReadString('\n'); blank != "\n" || err != nil {
			t.Fatalf("%q, %v after an event", blank, err)
		}
		if n := r.Buffered(); n != 0 {
			t.Fatalf("%d bytes came before their time", n)
		}
	}
	close(events)
	if _, err := p.Await(t.Context(), simulator.Finished(1)); err != nil {
		t.Error(err)
	}
}

// TestPause holds in virtual time that a pause is as long as it says, and ends early
// with its context.
func TestPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if err := simulator.At(2, simulator.Pause(time.Hour))(t.Context(), 1); err != nil || time.Since(start) != 0 {
			t.Errorf("another place: %v after %v, want no wait", err, time.Since(start))
		}
		if err := simulator.At(2, simulator.Pause(time.Hour))(t.Context(), 2); err != nil || time.Since(start) != time.Hour {
			t.Errorf("%v after %v, want an hour", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for _, gate := range []simulator.Gate{simulator.Pause(time.Hour), simulator.Never, simulator.Until(nil)} {
			if err := gate(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want the end of the context", err)
			}
		}
	})
}

func TestSequence(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{Script: simulator.Sequence(
		simulator.Script{Status: 500}, simulator.Script{Status: 429, RetryAfter: "1"})})
	for _, want := range []int{500, 429, 200, 200} {
		if a := p.post("/v1/chat/completions", chatBody, ""); a.StatusCode != want {
			t.Errorf("got %d, want %d", a.StatusCode, want)
		}
	}
}

// TestHeaderOverScript holds that X-Simulate adds to what Options.Script wants.
func TestHeaderOverScript(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{Script: func(*http.Request) simulator.Script {
		return simulator.Script{Status: 500, Code: "x"}
	}})
	a := p.post("/v1/chat/completions", chatBody, "status=503")
	want := `{"error":{"message":"The server is overloaded. Please try again later.",` +
		`"type":"service_unavailable_error","param":null,"code":"x"}}`
	if a.StatusCode != 503 || a.body != want {
		t.Errorf("got %d %s, want 503 %s", a.StatusCode, a.body, want)
	}
}
