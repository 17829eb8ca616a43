package simulator_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

func TestStart(t *testing.T) {
	t.Parallel()
	base, stop, err := simulator.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for _, http2 := range []bool{false, true} {
		transport := &http.Transport{Protocols: new(http.Protocols)}
		transport.Protocols.SetHTTP1(!http2)
		transport.Protocols.SetUnencryptedHTTP2(http2)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/chat/completions", strings.NewReader(chatBody))
		if err != nil {
			t.Fatal(err)
		}
		res, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		transport.CloseIdleConnections()
		if err != nil || res.StatusCode != 200 || !strings.Contains(string(body), "You said: one two three") {
			t.Errorf("HTTP/%d: got %d %s, %v", res.ProtoMajor, res.StatusCode, body, err)
		}
		if want := map[bool]int{false: 1, true: 2}[http2]; res.ProtoMajor != want {
			t.Errorf("HTTP/%d, want %d", res.ProtoMajor, want)
		}
	}
	stop()
	stop()
	_, err = http.Get(base + "/models")
	if err == nil {
		t.Error("it still answers after stop")
	}
}

// TestHTTP2 holds that what has another form in HTTP/2 is there.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	s := simulator.New(simulator.Options{})
	base, stop, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	for _, tt := range []struct {
		simulate string
		whole    bool
	}{
		{"", true},
		{"trailers", true},
		{"hop-by-hop", true},
		{"close-delimited", true},
		{"cut-events=2", false},
		{"cut-bytes=2", false},
		{"close-delimited,cut-bytes=2", false},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/chat/completions", strings.NewReader(chatStream))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Simulate", tt.simulate)
		res, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if (err == nil) != tt.whole || strings.HasSuffix(string(body), "[DONE]\n\n") != tt.whole {
			t.Errorf("%s: %d bytes, %v", tt.simulate, len(body), err)
		}
		if got := res.Trailer.Get("X-Sim-Bytes"); (got != "") != (tt.simulate == "trailers") {
			t.Errorf("%s: trailer %q", tt.simulate, got)
		}
	}
}

// TestStopEndsAnswers holds that stop does not wait for a client.
func TestStopEndsAnswers(t *testing.T) {
	t.Parallel()
	s := simulator.New(simulator.Options{})
	base, stop, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/chat/completions", strings.NewReader(chatBody))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Simulate", "hang")
	done := make(chan error, 1)
	go func() {
		res, err := transport.RoundTrip(r)
		if err == nil {
			res.Body.Close()
		}
		done <- err
	}()
	if _, err := s.Await(t.Context(), simulator.Arrived(1)); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := <-done; err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("the client got %v", err)
	}
	if got := s.Requests()[0]; !got.Finished {
		t.Error("an answer still runs after stop")
	}
}
