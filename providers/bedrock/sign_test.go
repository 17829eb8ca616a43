package bedrock_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/bedrock"
	"github.com/llmproxy/llmproxy/providers/internal/provider/providertest"
	"github.com/llmproxy/llmproxy/wire"
)

// verify reports what is wrong with the signature of a request, computed as AWS's
// documentation of Signature Version 4 says, from what arrived. It is our own, so that
// the signer is not held against itself; the requests that AWS's SDK sent show that it is
// right.
func verify(r providertest.Call, accessKey, secret string) error {
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=")
	if !ok {
		return fmt.Errorf("no signature in %q", r.Header.Get("Authorization"))
	}
	credential, rest, _ := strings.Cut(rest, ", SignedHeaders=")
	list, signature, _ := strings.Cut(rest, ", Signature=")
	date := r.Header.Get("X-Amz-Date")
	if len(date) != len("20060102T150405Z") {
		return fmt.Errorf("X-Amz-Date is %q", date)
	}
	scope := []string{date[:8], "us-east-1", "bedrock", "aws4_request"}
	if want := accessKey + "/" + strings.Join(scope, "/"); credential != want {
		return fmt.Errorf("credential %s, want %s", credential, want)
	}
	signed := strings.Split(list, ";")
	if !slices.IsSorted(signed) {
		return fmt.Errorf("signed fields are not sorted: %s", list)
	}
	for name := range r.Header {
		name = strings.ToLower(name)
		if (name == "content-type" || strings.HasPrefix(name, "x-amz-")) && !slices.Contains(signed, name) {
			return fmt.Errorf("%s is not signed", name)
		}
	}

	var canonical strings.Builder
	path, query, _ := strings.Cut(r.URI, "?")
	fmt.Fprintf(&canonical, "%s\n%s\n", r.Method, escaped(path))
	pairs := strings.Split(query, "&")
	slices.Sort(pairs)
	fmt.Fprintf(&canonical, "%s\n", strings.Join(pairs, "&"))
	for _, name := range signed {
		value := r.Host
		if name != "host" {
			value = strings.Join(strings.Fields(strings.Join(r.Header.Values(name), ",")), " ")
		}
		fmt.Fprintf(&canonical, "%s:%s\n", name, value)
	}
	fmt.Fprintf(&canonical, "\n%s\n%x", list, sha256.Sum256([]byte(r.Body)))

	key := []byte("AWS4" + secret)
	for _, part := range scope {
		key = sum(key, part)
	}
	text := fmt.Sprintf("AWS4-HMAC-SHA256\n%s\n%s\n%x", date, strings.Join(scope, "/"), sha256.Sum256([]byte(canonical.String())))
	if want := hex.EncodeToString(sum(key, text)); signature != want {
		return fmt.Errorf("signature %s, want %s, of\n%s", signature, want, canonical.String())
	}
	return nil
}

// escaped escapes all but slashes and the unreserved characters of RFC 3986.
func escaped(path string) string {
	var b strings.Builder
	for _, c := range []byte(path) {
		if c == '/' || strings.IndexByte("-._~", c) >= 0 || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func sum(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// sdkRequest is a request as the client of AWS's own SDK for Go sent it
// (service/bedrockruntime v1.63.11, aws/signer/v4 of v1.47.7).
type sdkRequest struct {
	Name, Method, URI, Host string
	Header                  http.Header
	Body                    string
}

func sdkRequests(t *testing.T) (all []sdkRequest) {
	t.Helper()
	text, err := os.ReadFile("testdata/sdk-requests.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		var r sdkRequest
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

func TestVerifyAgreesWithTheSDK(t *testing.T) {
	t.Parallel()
	requests := sdkRequests(t)
	for _, r := range requests {
		s := providertest.Call{Method: r.Method, URI: r.URI, Host: r.Host, Header: r.Header, Body: r.Body}
		if err := verify(s, "AKIDCLIENT", "secret-of-the-client"); err != nil {
			t.Errorf("%s: %v", r.Name, err)
		}
		for what, change := range map[string]func(s *providertest.Call){
			"body":    func(s *providertest.Call) { s.Body += " " },
			"path":    func(s *providertest.Call) { s.URI = strings.Replace(s.URI, "%3A", ":", 1) },
			"query":   func(s *providertest.Call) { s.URI += "?a=b" },
			"host":    func(s *providertest.Call) { s.Host += ":443" },
			"session": func(s *providertest.Call) { s.Header = s.Header.Clone(); s.Header.Add("X-Amz-Security-Token", "x") },
		} {
			other := s
			change(&other)
			if verify(other, "AKIDCLIENT", "secret-of-the-client") == nil {
				t.Errorf("%s: another %s is accepted", r.Name, what)
			}
		}
	}
	if len(requests) != 16 {
		t.Errorf("%d requests, want 16", len(requests))
	}
}

// What the SDK's client sends reaches AWS at the same path and with the same body, signed
// as ours: on the mount and elsewhere, with and without a session, and where an
// interceptor changed the body.
func TestTheSDKsRequestsAreSignedAnew(t *testing.T) {
	t.Parallel()
	const edited = `"user","x":1`
	edit := func(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
		if x.Header.Get("X-Edit") == "" {
			return next(ctx, x)
		}
		x = x.Clone()
		i := bytes.Index(x.Body.Bytes(), []byte(`"user"`))
		x.Edits = []wire.Edit{{Span: wire.Span{Start: i, End: i + len(`"user"`)}, New: []byte(edited)}}
		return next(ctx, x)
	}
	for _, session := range []string{"", ourSession} {
		t.Run("session "+session, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, bedrock.Config{AccessKeyID: ourKey, SecretAccessKey: ourSecret, SessionToken: session},
				llmproxy.WithInterceptor(llmproxy.InterceptorFunc(edit)))
			for _, r := range sdkRequests(t) {
				for _, mount := range []string{"", "/bedrock"} {
					for _, want := range []string{r.Body, strings.Replace(r.Body, `"user"`, edited, 1)} {
						header := r.Header.Clone()
						header.Del("Content-Length")
						if want != r.Body {
							header.Set("X-Edit", "1")
						}
						result := g.Do(r.Method, mount+r.URI, r.Body, header)
						got, answer := result.Call, result.Reply
						name := fmt.Sprintf("%s%s, edited %v", mount, r.Name, want != r.Body)
						if answer.Status != http.StatusOK || got.Method != r.Method || got.URI != r.URI || got.Host != r.Host || got.Body != want {
							t.Errorf("%s: %d, AWS got %s %s on %s: %s", name, answer.Status, got.Method, got.URI, got.Host, got.Body)
						}
						if err := verify(got, ourKey, ourSecret); err != nil {
							t.Errorf("%s: %v", name, err)
						}
						if token := got.Header.Get("X-Amz-Security-Token"); token != session {
							t.Errorf("%s: the session token is %q, want %q", name, token, session)
						}
						if s := fmt.Sprint(got.Header); strings.Contains(s, "AKIDCLIENT") || strings.Contains(s, "of-a-client") {
							t.Errorf("%s: AWS got the client's credentials: %s", name, s)
						}
					}
				}
			}
		})
	}
}

// Only what no hop changes is signed.
func TestFewFieldsAreSigned(t *testing.T) {
	t.Parallel()
	g := newRig(t, bedrock.Config{AccessKeyID: ourKey, SecretAccessKey: ourSecret, SessionToken: ourSession, Headers: map[string]string{"X-Amz-Extra": "  a   b "}})
	got := g.Do("POST", "/model/amazon.nova-lite-v1:0/converse", "{}", http.Header{
		"Traceparent": {"00-a"}, "Amz-Sdk-Request": {"attempt=1"}, "User-Agent": {"sdk"}, "Accept": {"*/*"},
	}).Call
	if err := verify(got, ourKey, ourSecret); err != nil {
		t.Error(err)
	}
	if want := "SignedHeaders=content-type;host;x-amz-date;x-amz-extra;x-amz-security-token,"; !strings.Contains(got.Header.Get("Authorization"), want) {
		t.Errorf("got %s, want %s", got.Header.Get("Authorization"), want)
	}
	if got.Header.Get("Traceparent") == "" || got.Header.Get("Amz-Sdk-Request") == "" {
		t.Errorf("fields are missing: %v", got.Header)
	}
}

// Whatever a path on the mount is, and whatever its body, the signature fits.
func TestEverythingIsSigned(t *testing.T) {
	t.Parallel()
	g := newRig(t, bedrock.Config{AccessKeyID: ourKey, SecretAccessKey: ourSecret, Region: "us-east-1", BaseURL: address + ":80/"})
	for _, tt := range []struct {
		method, target, body, contentType string
		uri                               string // "" is target without the mount
	}{
		{"GET", "/bedrock/async-invoke?maxResults=3&statusEquals=Completed", "", "", ""},
		{"GET", "/bedrock/async-invoke?b=2&a=1&a=0", "", "", ""},
		{"POST", "/bedrock/guardrail/id/version/1/apply", `{"content":[]}`, "application/json", ""},
		{"POST", "/bedrock/model/a/unknown", "no JSON", "text/plain", ""},
		{"DELETE", "/bedrock/x%20y/%7Ez/~z/a%2Fb/(c)!/d,e;f", "", "", ""},
		{"POST", "/model/a.b%20c/converse", `{"a":1}`, "application/json", ""},
		{"POST", "/v1/chat/completions", `{"model":"openai.gpt-oss-120b-1:0"}`, "application/json", "/openai/v1/chat/completions"},
		{"POST", "/v1/messages", `{"model":"global.anthropic.claude"}`, "application/json", "/anthropic/v1/messages"},
	} {
		result := g.Do(tt.method, tt.target, tt.body, http.Header{"Content-Type": {tt.contentType}})
		got, answer := result.Call, result.Reply
		if tt.uri == "" {
			tt.uri = strings.TrimPrefix(tt.target, "/bedrock")
		}
		if err := verify(got, ourKey, ourSecret); err != nil || answer.Status != 200 || got.URI != tt.uri || got.Body != tt.body {
			t.Errorf("%s %s: %d, AWS got %s with %q: %v", tt.method, tt.target, answer.Status, got.URI, got.Body, err)
		}
		if got.Host != "bedrock-runtime.us-east-1.amazonaws.com" {
			t.Errorf("%s %s: sent to %s", tt.method, tt.target, got.Host)
		}
	}
}

// A body of unknown length is read to be signed, and its length is known then.
func TestBodiesOfUnknownLengthAreSigned(t *testing.T) {
	t.Parallel()
	g := newRig(t, bedrock.Config{AccessKeyID: ourKey, SecretAccessKey: ourSecret})
	result := g.DoFrom("POST", "/bedrock/files", io.MultiReader(strings.NewReader("a"), strings.NewReader("b")), http.Header{"Content-Type": {"text/plain"}})
	got, answer := result.Call, result.Reply
	if err := verify(got, ourKey, ourSecret); err != nil || answer.Status != http.StatusOK || got.Body != "ab" || got.Length != 2 {
		t.Errorf("got %d, AWS %q with a length of %d: %v", answer.Status, got.Body, got.Length, err)
	}
}

func TestBodiesThatAreTooLargeToBeSigned(t *testing.T) {
	t.Parallel()
	g := newRig(t, bedrock.Config{AccessKeyID: ourKey, SecretAccessKey: ourSecret})
	result := g.Do("POST", "/bedrock/files", strings.Repeat("x", 32<<20+1), http.Header{"Content-Type": {"text/plain"}})
	got, answer := result.Call, result.Reply
	if answer.Status != http.StatusRequestEntityTooLarge || got.URI != "" {
		t.Errorf("got %d %s, AWS %q", answer.Status, answer.Body, got.URI)
	}
}

func TestBearerTokensGoFirst(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]bedrock.Config{
		"alone":         {BearerToken: ourToken},
		"with keys":     {BearerToken: ourToken, AccessKeyID: ourKey, SecretAccessKey: ourSecret, SessionToken: ourSession},
		"with a source": {BearerToken: ourToken, Credentials: aws.AnonymousCredentials{}},
		"the client's":  {ClientKeys: true, AccessKeyID: ourKey, SecretAccessKey: ourSecret},
		"the operator's": {
			AccessKeyID: ourKey, SecretAccessKey: ourSecret, SessionToken: ourSession,
			Headers: map[string]string{"authorization": "Bearer " + ourToken},
		},
	} {
		g := newRig(t, c)
		client := "Bearer of-a-client"
		got := g.Do("POST", "/model/m/invoke", "{}", http.Header{"Authorization": {client}}).Call
		want := "Bearer " + ourToken
		if c.ClientKeys {
			want = client
		}
		if a := got.Header["Authorization"]; len(a) != 1 || a[0] != want {
			t.Errorf("%s: Authorization is %q", name, a)
		}
		if got.Header.Get("X-Amz-Date") != "" || got.Header.Get("X-Amz-Security-Token") != "" {
			t.Errorf("%s: AWS got parts of a signature: %v", name, got.Header)
		}
	}
}

// source counts how often credentials are asked for.
type source struct {
	asked atomic.Int32
	life  time.Duration
	err   error
}

func (s *source) Retrieve(context.Context) (aws.Credentials, error) {
	s.asked.Add(1)
	return aws.Credentials{
		AccessKeyID: ourKey, SecretAccessKey: ourSecret, SessionToken: ourSession,
		CanExpire: true, Expires: time.Now().Add(s.life),
	}, s.err
}

func TestCredentialsAreKept(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		life time.Duration
		want int32
	}{{time.Hour, 1}, {time.Second, 3}} {
		s := &source{life: tt.life}
		g := newRig(t, bedrock.Config{Credentials: s})
		for range 3 {
			got := g.Do("POST", "/model/m/invoke", "{}", nil).Call
			if err := verify(got, ourKey, ourSecret); err != nil {
				t.Error(err)
			}
		}
		if n := s.asked.Load(); n != tt.want {
			t.Errorf("credentials that live %v: asked %d times, want %d", tt.life, n, tt.want)
		}
	}
}

func TestNoCredentials(t *testing.T) {
	t.Parallel()
	g := newRig(t, bedrock.Config{Credentials: &source{err: errors.New("canary at 169.254.169.254")}})
	result := g.Do("POST", "/model/m/invoke", "{}", nil)
	got, answer := result.Call, result.Reply
	if want := `{"message":"the provider \"bedrock\" could not be given credentials of AWS"}`; answer.Status != http.StatusBadGateway || answer.Body != want {
		t.Errorf("got %d %s, want %s", answer.Status, answer.Body, want)
	}
	if got.URI != "" {
		t.Errorf("AWS was called at %s", got.URI)
	}
	if r := result.Record; r.Error == nil || r.Error.Code != "provider_auth" {
		t.Errorf("the record is %+v", r)
	}
}
