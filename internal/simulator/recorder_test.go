package simulator_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

func TestRequests(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	body := `{ "model":"gpt-5-mini" , "messages":[{"role":"user","content":"\u00e9"}]}` + "\n"
	p.whole(p.do(p.request(http.MethodPost, "/v1/chat/completions?a=%2F&b", body, "X-Test: 1", "X-Test: 2")))
	p.get("/v1/models/a%2Fb")
	requests, err := p.Await(t.Context(), simulator.Finished(2))
	if err != nil || len(requests) != 2 {
		t.Fatalf("%d requests, %v", len(requests), err)
	}
	r := requests[0]
	if r.Method != "POST" || r.URI != "/v1/chat/completions?a=%2F&b" || r.Proto != "HTTP/1.1" {
		t.Errorf("request line %s %s %s", r.Method, r.URI, r.Proto)
	}
	if string(r.Body) != body || r.Size != int64(len(body)) || !r.BodyRead || r.ContentLength != r.Size {
		t.Errorf("body %q, %d bytes, read %v, Content-Length %d", r.Body, r.Size, r.BodyRead, r.ContentLength)
	}
	sum := sha256.Sum256([]byte(body))
	if want := hex.EncodeToString(sum[:]); r.SHA256 != want {
		t.Errorf("SHA256 %s, want %s", r.SHA256, want)
	}
	if got := strings.Join(r.Header["X-Test"], "+"); got != "1+2" {
		t.Errorf("X-Test %q, want 1+2", got)
	}
	if r.Departed {
		t.Error("the client is said to have left")
	}
	if requests[1].URI != "/v1/models/a%2Fb" {
		t.Errorf("second URI %s", requests[1].URI)
	}
	p.Reset()
	if n := len(p.Requests()); n != 0 {
		t.Errorf("%d requests after Reset", n)
	}
}

func TestRequestTrailer(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	r := p.request(http.MethodPost, "/v1/chat/completions", "")
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader(chatBody)))
	r.ContentLength = -1
	r.Trailer = http.Header{"X-Checksum": {"abc"}}
	p.whole(p.do(r))
	got := p.Requests()[0]
	if got.Trailer.Get("X-Checksum") != "abc" || got.ContentLength != -1 {
		t.Errorf("trailer %v, Content-Length %d; want X-Checksum: abc, -1", got.Trailer, got.ContentLength)
	}
}

// TestDeparture holds that a client's departure is seen wherever the answer stands.
func TestDeparture(t *testing.T) {
	t.Parallel()
	for _, simulate := range []string{
		"hang", "hang=body", "hang=2", "hang=2,close-delimited", "hang=2,gzip", "hang,status=500",
	} {
		t.Run(simulate, func(t *testing.T) {
			t.Parallel()
			p := run(t, simulator.Options{})
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			r := p.request(http.MethodPost, "/v1/chat/completions", chatStream, "X-Simulate: "+simulate)
			done := make(chan error, 1)
			go func() {
				res, err := p.server.Client().Do(r.WithContext(ctx))
				if err == nil {
					_, err = io.Copy(io.Discard, res.Body)
					res.Body.Close()
				}
				done <- err
			}()
			requests, err := p.Await(t.Context(), func(rs []simulator.Request) bool {
				return len(rs) == 1 && rs[0].BodyRead
			})
			if err != nil || requests[0].Departed || requests[0].Finished {
				t.Fatalf("before: %+v, %v", requests, err)
			}
			leave()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("the client got %v", err)
			}
			if _, err := p.Await(t.Context(), simulator.Departed(1)); err != nil {
				t.Error(err)
			}
			if _, err := p.Await(t.Context(), simulator.Finished(1)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestUnfinishedRequest holds that a client that leaves in its body is seen too.
func TestUnfinishedRequest(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/v1/chat/completions", "/v1/files"} {
		p := run(t, simulator.Options{})
		in, out := io.Pipe()
		r := p.request(http.MethodPost, path, "", "Content-Type: multipart/form-data; boundary=b")
		r.Body, r.ContentLength = in, 100
		done := make(chan error, 1)
		go func() {
			_, err := p.server.Client().Do(r)
			done <- err
		}()
		if _, err := io.WriteString(out, "--b\r\n"); err != nil {
			t.Fatal(err)
		}
		left := errors.New("left")
		out.CloseWithError(left)
		if err := <-done; !errors.Is(err, left) {
			t.Errorf("%s: the client got %v", path, err)
		}
		requests, err := p.Await(t.Context(), simulator.Finished(1))
		if err != nil || !requests[0].Departed || requests[0].BodyRead {
			t.Errorf("%s: %+v, %v", path, requests, err)
		}
	}
}

func TestAwaitEnds(t *testing.T) {
	t.Parallel()
	s := simulator.New(simulator.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Await(ctx, simulator.Arrived(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestRecorderIsBounded(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{KeepRequests: 3, KeepBytes: 4000})
	for _, path := range []string{"/v1/a", "/v1/b", "/v1/c", "/v1/d"} {
		p.post(path, "x", "")
	}
	requests := p.Requests()
	if len(requests) != 3 || requests[0].URI != "/v1/b" {
		t.Errorf("kept %d, the oldest %s; want 3 from /v1/b on", len(requests), requests[0].URI)
	}
	p.Reset()
	for range 5 {
		p.post("/v1/e", strings.Repeat("x", 2000), "")
	}
	total := 0
	for _, r := range p.Requests() {
		total += len(r.Body)
		if len(r.Body) > 1000 || r.Size != 2000 {
			t.Errorf("%d of %d bytes, want at most 1000 of 2000", len(r.Body), r.Size)
		}
	}
	if total > 4000 {
		t.Errorf("%d bytes kept, want at most 4000", total)
	}
}
