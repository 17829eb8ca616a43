package interceptors_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmproxy/llmproxy"
)

// canned answers each request by a function of it and its body.
type canned func(r *http.Request, body string) *http.Response

func (f canned) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = string(b)
	}
	resp := f(r, body)
	resp.Request, resp.ProtoMajor, resp.ProtoMinor = r, 1, 1
	return resp, nil
}

// say is an answer; fields are name, value ….
func say(status int, body string, fields ...string) *http.Response {
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i < len(fields); i += 2 {
		h.Set(fields[i], fields[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: -1}
}

const goodChat = `{"id":"chatcmpl-1","model":"m","choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4}}`

// What a provider quotes of a request takes no target out; what it says itself does, and
// no body for longer than the longest pause.
func TestPoolsQuotations(t *testing.T) {
	t.Parallel()
	const quoted = `"message":"Invalid value: 'insufficient credits, credit balance, try again in 23h ok'. Supported values are: 'user'."`
	for _, tt := range []struct {
		name   string
		status int
		body   string
		asked  []string // at once, a moment later, after five minutes
	}{
		{"bad request", 400, `{"error":{` + quoted + `,"type":"invalid_request_error","code":"invalid_value"}}`, []string{"p0", "p0", "p0"}},
		{"forbidden", 403, `{"error":{` + quoted + `,"type":"permission_error"}}`, []string{"p0", "p1", "p0", "p0"}},
		{"unauthorized", 401, `{"error":{` + quoted + `}}`, []string{"p0", "p1", "p0", "p0"}},
		{"too many", 429, `{"error":{"message":"Please try again in 23h."}}`, []string{"p0", "p1", "p1", "p0"}},
		{"no credit", 400, `{"error":{"message":"Your credit balance is too low to go on."}}`, []string{"p0", "p1", "p1", "p0"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var asked []string
				p := setPools(t, [][]string{{""}, {""}}, nil, llmproxy.WithTransport(canned(func(r *http.Request, body string) *http.Response {
					asked = append(asked, r.URL.Host)
					if strings.Contains(body, "evil") && r.URL.Host == "p0" {
						return say(tt.status, tt.body)
					}
					return say(200, goodChat)
				})))
				p.post(`{"model":"best","messages":[{"role":"evil","content":"x"}]}`)
				p.post(best(chatBody))
				<-time.After(5 * time.Minute)
				p.post(best(chatBody))
				if !slices.Equal(asked, tt.asked) {
					t.Errorf("asked %v, want %v", asked, tt.asked)
				}
			})
		})
	}
}

// A credential that the provider refuses by its code is no good for anything.
func TestPoolsAccount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		p := setPools(t, [][]string{{""}, {""}}, nil, llmproxy.WithTransport(canned(func(r *http.Request, _ string) *http.Response {
			asked = append(asked, r.URL.Host)
			if r.URL.Host == "p0" {
				return say(401, `{"error":{"message":"Incorrect API key","code":"invalid_api_key"}}`)
			}
			return say(200, goodChat)
		})))
		for range 5 {
			p.post(best(chatBody))
		}
		if got, want := fmt.Sprint(asked), "[p0 p1 p0 p1 p0 p1 p1 p1]"; got != want {
			t.Errorf("asked %s, want %s", got, want)
		}
	})
}
