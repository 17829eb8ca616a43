package simulator_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

// signed are requests that AWS's own SDK for Go (v1.47.7) has signed, for the host
// bedrock-runtime.us-east-1.amazonaws.com.
var signed = []struct {
	path, body, service, token, headers, signature string
}{
	{
		"/model/" + claudeID + "/converse", converseBody, "bedrock", "",
		"anthropic-version;content-length;content-type;host;x-amz-date;x-spaces",
		"0e85b002ab338ea4c6ebbe60559572135ca82192d5dc898b3de68db298deedcc",
	},
	{
		"/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.amazon.nova-micro-v1%3A0/converse-stream",
		converseBody, "bedrock", "session/token+==",
		"anthropic-version;content-length;content-type;host;x-amz-date;x-amz-security-token;x-spaces",
		"cc8bd5f349c56f4d5b14aa459c93a5c49278cf0d47a172752c6cc64f50985082",
	},
	{
		"/anthropic/v1/messages?a=&a=b%20c&a-b=%C3%A4&beta=true", `{"model":"claude-sonnet-4-5","max_tokens":100,"messages":[{"role":"user","content":"one two three"}]}`,
		"bedrock-mantle", "",
		"anthropic-version;content-length;content-type;host;x-amz-date;x-spaces",
		"ba98f29e99d4c67d079afaea0114254f6c7fac9ce2b9d8f5b5194d44ac1921c1",
	},
}

var awsKeys = simulator.AWSCredentials{
	AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", Region: "us-east-1",
}

// signedRequest returns the i-th of the signed requests.
func (p *provider) signedRequest(i int) *http.Request {
	s := signed[i]
	r := p.request(http.MethodPost, s.path, s.body,
		"Content-Type: application/json", "Anthropic-Version: 2023-06-01", "X-Spaces:   a   b ",
		"X-Amz-Date: 20261124T123000Z",
		"Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261124/us-east-1/"+s.service+"/aws4_request, "+
			"SignedHeaders="+s.headers+", Signature="+s.signature)
	r.Host = "bedrock-runtime.us-east-1.amazonaws.com"
	if s.token != "" {
		r.Header.Set("X-Amz-Security-Token", s.token)
	}
	return r
}

func TestSignature(t *testing.T) {
	t.Parallel()
	for i, s := range signed {
		keys := awsKeys
		keys.SessionToken = s.token
		p := run(t, simulator.Options{AWS: keys, APIKey: "sk-0123456789abcdef"})
		p.whole(p.do(p.signedRequest(i)))
		// A key is still good.
		r := p.signedRequest(i)
		r.Header.Set("Authorization", "Bearer sk-0123456789abcdef")
		p.whole(p.do(r))
	}
	p := run(t, simulator.Options{AWS: awsKeys})
	for name, tt := range map[string]struct {
		change     func(*http.Request)
		status     int
		kind, text string
	}{
		"path": {func(r *http.Request) { r.URL.RawPath = ""; r.URL.Path = "/model/amazon.nova-micro-v1:0/converse" }, 403, "InvalidSignatureException", "not that of this request"},
		// The same path to most, but not what was signed.
		"encoding": {func(r *http.Request) { r.URL.RawPath = strings.ReplaceAll(r.URL.RawPath, "%3A", ":") }, 403, "InvalidSignatureException", "not that of this request"},
		"query":    {func(r *http.Request) { r.URL.RawQuery = "a=b" }, 403, "InvalidSignatureException", "not that of this request"},
		"host":     {func(r *http.Request) { r.Host = "localhost" }, 403, "InvalidSignatureException", "not that of this request"},
		"header":   {func(r *http.Request) { r.Header.Set("Content-Type", "application/json; charset=utf-8") }, 403, "InvalidSignatureException", "not that of this request"},
		"hash":     {func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", "00") }, 403, "InvalidSignatureException", "X-Amz-Content-Sha256"},
		"date":     {func(r *http.Request) { r.Header.Set("X-Amz-Date", "20261125T123000Z") }, 403, "InvalidSignatureException", "date"},
		"time":     {func(r *http.Request) { r.Header.Set("X-Amz-Date", "20261124T123001Z") }, 403, "InvalidSignatureException", "not that of this request"},
		"no date":  {func(r *http.Request) { r.Header.Del("X-Amz-Date") }, 403, "InvalidSignatureException", "date"},
		"token":    {func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "x") }, 403, "UnrecognizedClientException", ""},
		"key":      {replaced("AKIDEXAMPLE", "AKIDOTHER"), 403, "UnrecognizedClientException", ""},
		"region":   {replaced("us-east-1/", "eu-west-1/"), 403, "InvalidSignatureException", "region eu-west-1, want us-east-1"},
		"service":  {replaced("/bedrock/", "/bedrock-mantle/"), 403, "InvalidSignatureException", "service bedrock-mantle, want bedrock"},
		"unsigned": {replaced("content-type;host;", "content-type;"), 403, "InvalidSignatureException", "Host"},
		"unsorted": {replaced("content-type;host", "host;content-type"), 400, "IncompleteSignatureException", ""},
		"torn":     {replaced(", Signature=", ", Sig="), 400, "IncompleteSignatureException", ""},
		"scope":    {replaced("/aws4_request", ""), 400, "IncompleteSignatureException", ""},
		"bearer":   {func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, 403, "AccessDeniedException", ""},
		"basic":    {func(r *http.Request) { r.Header.Set("Authorization", "Basic x") }, 400, "IncompleteSignatureException", ""},
		"nothing":  {func(r *http.Request) { r.Header.Del("Authorization") }, 403, "MissingAuthenticationTokenException", ""},
	} {
		r := p.signedRequest(0)
		tt.change(r)
		a := p.do(r)
		kind, _, _ := strings.Cut(a.Header.Get("X-Amzn-Errortype"), ":")
		if a.StatusCode != tt.status || kind != tt.kind || !strings.Contains(a.body, tt.text) {
			t.Errorf("%s: got %d %s %s, want %d %s", name, a.StatusCode, kind, a.body, tt.status, tt.kind)
		}
	}
	// Another body.
	r := p.signedRequest(0)
	other := p.request(http.MethodPost, signed[0].path, strings.Replace(converseBody, "one", "two", 1))
	r.Body = other.Body
	if a := p.do(r); a.StatusCode != http.StatusForbidden || !strings.Contains(a.body, "not that of this request") {
		t.Errorf("another body: got %d %s", a.StatusCode, a.body)
	}
}

// replaced changes the Authorization.
func replaced(old, new string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, new, 1))
	}
}

// TestSignatureOfAuthority holds that :authority may be signed in place of host, as the
// SDK for JavaScript does over HTTP/2. The signature was computed by a program of its own.
func TestSignatureOfAuthority(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{AWS: awsKeys})
	r := p.signedRequest(0)
	r.Header.Set("X-Amz-Content-Sha256", "60162ed484ed1cf914feee8aad98374e50bca92dbf4d996b44bcf9f7bcde9b83")
	replaced(signed[0].headers, ":authority;anthropic-version;content-type;x-amz-content-sha256;x-amz-date")(r)
	replaced(signed[0].signature, "f7ee6b4b47eb32a5c9386071913d06aaf978320884710830476029e6b1190659")(r)
	p.whole(p.do(r))
}

// TestUnverified holds that without credentials any signature is good, and that one is
// wanted.
func TestUnverified(t *testing.T) {
	t.Parallel()
	p := run(t, simulator.Options{})
	r := p.signedRequest(0)
	replaced("Signature=", "Signature=0")(r)
	p.whole(p.do(r))
	if a := p.do(p.request(http.MethodPost, signed[0].path, converseBody)); a.StatusCode != http.StatusForbidden {
		t.Errorf("without Authorization: got %d %s", a.StatusCode, a.body)
	}
}
