package interceptors_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/interceptors"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

func TestHeaderBan(t *testing.T) {
	t.Parallel()
	for _, body := range []string{chatBody, streamBody} {
		synctest.Test(t, func(t *testing.T) {
			s := setStage(t, once("retry-after=2,status=429"), []string{"openai"}, llmproxy.WithInterceptor(
				&interceptors.HeaderBan{Request: []string{"x-team", "ACCEPT"}, Response: []string{"retry-after", "X-RateLimit-Reset-Requests"}},
			))
			r := s.request("POST", "/v1/chat/completions", body, "X-Team", "red", "Accept", "*/*", "X-Other", "stays")
			got := s.send(r)
			sent := s.calls[0].header
			if sent.Values("X-Team") != nil || sent.Values("Accept") != nil || sent.Get("X-Other") != "stays" {
				t.Errorf("the provider received %v", sent)
			}
			if h := got.Header(); h.Values("Retry-After") != nil || h.Values("X-Ratelimit-Reset-Requests") != nil || h.Get("X-Ratelimit-Remaining-Requests") != "0" {
				t.Errorf("the client received %v", h)
			}
			if r.Header.Get("X-Team") != "red" {
				t.Errorf("the client's own header has become %v", r.Header)
			}
		})
	}
}

func TestAddHeader(t *testing.T) {
	t.Parallel()
	for _, body := range []string{chatBody, streamBody} {
		synctest.Test(t, func(t *testing.T) {
			s := setStage(t, once(""), []string{"openai"}, llmproxy.WithInterceptor(&interceptors.AddHeader{
				Request: http.Header{
					"user-agent": {"gateway"}, "X-Two": {"a", "b"},
					"authorization": {"Bearer of somebody"}, "X-Gateway-Secret": {"x"},
				},
				Response: http.Header{"server": {"llmproxy"}, "content-type": {"text/plain"}, "Content-Length": {"1"}, "transfer-encoding": {"x"}},
			}))
			r := s.request("POST", "/v1/chat/completions", body, "User-Agent", "agent", "X-Other", "stays")
			got := s.send(r)
			sent := s.calls[0].header
			if !slices.Equal(sent["User-Agent"], []string{"gateway"}) || !slices.Equal(sent["X-Two"], []string{"a", "b"}) || sent.Get("X-Other") != "stays" {
				t.Errorf("the provider received %v", sent)
			}
			if sent.Get("Authorization") != "Bearer sk-canary-provider" || sent.Get("X-Gateway-Secret") != "" {
				t.Errorf("the provider received %v", sent)
			}
			if h := got.Header(); h.Get("Server") != "llmproxy" || h.Get("Content-Type") != "text/plain" || h.Get("Content-Length") == "1" || h.Get("Transfer-Encoding") != "" {
				t.Errorf("the client received %v", h)
			}
			if r.Header.Get("User-Agent") != "agent" {
				t.Errorf("the client's own header has become %v", r.Header)
			}
		})
	}
}

// A retry sends the changed header each time, from inside and from outside.
func TestHeadersWithRetry(t *testing.T) {
	t.Parallel()
	add := &interceptors.AddHeader{Request: http.Header{"X-Added": {"1"}}, Response: http.Header{"X-Back": {"1"}}}
	for _, order := range [][]llmproxy.Interceptor{
		{add, &interceptors.Retry{Jitter: longest}},
		{&interceptors.Retry{Jitter: longest}, add},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := setStage(t, once("status=500"), []string{"openai"}, llmproxy.WithInterceptor(order...))
			got := s.post(chatBody)
			if len(s.calls) != 2 || got.Code != 200 || got.Header().Get("X-Back") != "1" {
				t.Fatalf("got %d %v after %d calls", got.Code, got.Header(), len(s.calls))
			}
			for i, c := range s.calls {
				if !slices.Equal(c.header["X-Added"], []string{"1"}) {
					t.Errorf("call %d had %v", i, c.header)
				}
			}
		})
	}
}

// A field that is banned is banned as a trailer too.
func TestHeaderBanTrailers(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Trailer", "X-Secret, X-Open")
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, "hello")
		w.Header().Set("X-Secret", "1")
		w.Header().Set("X-Open", "2")
	}))
	defer upstream.Close()
	p, err := openai_compatible.New(openai_compatible.Config{Name: "p", Type: "openai_compatible", APIKey: "k", BaseURL: upstream.URL})
	if err != nil {
		t.Fatal(err)
	}
	gateway := httptest.NewServer(llmproxy.NewAutoRouter(llmproxy.WithProvider(p), llmproxy.WithInterceptor(&interceptors.HeaderBan{Response: []string{"x-secret"}})))
	defer gateway.Close()
	resp, err := http.Get(gateway.URL + "/p/v1/whatever")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	if resp.Trailer.Get("X-Secret") != "" || resp.Trailer.Get("X-Open") != "2" {
		t.Errorf("trailer %v", resp.Trailer)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}
