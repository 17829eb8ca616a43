package simulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// AWSCredentials are static credentials with which a client signs. Of the region and the
// session token an empty one is not asked for.
type AWSCredentials struct {
	AccessKeyID, SecretAccessKey, SessionToken, Region string
}

// awsAlgorithm is the only way to sign that is taken: AWS's Signature Version 4.
const awsAlgorithm = "AWS4-HMAC-SHA256"

// awsTime is the form of X-Amz-Date.
const awsTime = "20060102T150405Z"

// awsServices are the services that run models, as scopes name them.
var awsServices = [...]string{"bedrock", "bedrock-mantle", "aws-external-anthropic"}

// authorizeAWS checks an Authorization of Bedrock that is no signature to verify: any
// where the options have neither a key nor credentials.
func (s *Server) authorizeAWS(r *http.Request) error {
	key := bearer(r)
	switch {
	case r.Header.Get("Authorization") == "":
		return awsFault(http.StatusForbidden, "MissingAuthenticationTokenException", "The request has no Authorization.")
	case key == "":
		return awsFault(http.StatusBadRequest, "IncompleteSignatureException", "The Authorization is neither a signature nor a bearer token.")
	case s.options.APIKey == "" && s.options.AWS.SecretAccessKey == "":
		return nil
	case s.options.APIKey == "" || !hmac.Equal([]byte(key), []byte(s.options.APIKey)):
		return awsFault(http.StatusForbidden, "AccessDeniedException", "The bearer token is not valid.")
	default:
		return nil
	}
}

func awsFault(status int, name, message string) *fault {
	return &fault{status: status, kind: "invalid_request_error", name: name, message: message}
}

// verify checks c's signature, which covers the body. How old it is does not matter.
func (s *Server) verify(c *call) error {
	if !c.signed {
		return nil
	}
	sig, err := parseSignature(c.Header.Get("Authorization"))
	if err != nil {
		return err
	}
	aws := s.options.AWS
	date, token := c.Header.Get("X-Amz-Date"), c.Header.Get("X-Amz-Security-Token")
	services := awsServices[:]
	if c.api == Bedrock {
		services = awsServices[:1]
	}
	wrong := func(message string) error {
		return awsFault(http.StatusForbidden, "InvalidSignatureException", message)
	}
	switch {
	case sig.accessKeyID != aws.AccessKeyID, token != aws.SessionToken:
		return awsFault(http.StatusForbidden, "UnrecognizedClientException", "The security token is not valid.")
	case len(date) != len(awsTime) || !strings.HasPrefix(date, sig.date+"T"):
		return wrong("The date of the scope is not that of X-Amz-Date.")
	case aws.Region != "" && sig.region != aws.Region:
		return wrong("The scope names the region " + sig.region + ", want " + aws.Region + ".")
	case !slices.Contains(services, sig.service):
		return wrong("The scope names the service " + sig.service + ", want " + strings.Join(services, " or ") + ".")
	case !sig.signs("host") && !sig.signs(":authority"), !sig.signs("x-amz-date"), token != "" && !sig.signs("x-amz-security-token"):
		return wrong("Host, X-Amz-Date or X-Amz-Security-Token is not among the signed headers.")
	}
	payload := hexSum(c.body)
	if said := c.Header.Get("X-Amz-Content-Sha256"); said != "" && said != payload {
		return wrong("X-Amz-Content-Sha256 is not the hash of the body.")
	}
	want := sig.compute(aws.SecretAccessKey, date, sig.canonical(c.Request, payload))
	if !hmac.Equal([]byte(want), []byte(sig.signature)) {
		return wrong("The signature is not that of this request.")
	}
	return nil
}

// signature is an Authorization with a signature.
type signature struct {
	accessKeyID, date, region, service string
	headers                            []string // as signed: in lower case, sorted
	signature                          string
}

func parseSignature(authorization string) (*signature, error) {
	var sig signature
	scope := ""
	for part := range strings.SplitSeq(strings.TrimPrefix(authorization, awsAlgorithm), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Credential":
			scope = value
		case "SignedHeaders":
			sig.headers = strings.Split(value, ";")
		case "Signature":
			sig.signature = value
		}
	}
	parts := strings.Split(scope, "/")
	if len(parts) != 5 || parts[4] != "aws4_request" || sig.signature == "" || !slices.IsSorted(sig.headers) {
		return nil, awsFault(http.StatusBadRequest, "IncompleteSignatureException",
			"The Authorization lacks a whole Credential, sorted SignedHeaders or a Signature.")
	}
	sig.accessKeyID, sig.date, sig.region, sig.service = parts[0], parts[1], parts[2], parts[3]
	return &sig, nil
}

func (sig *signature) signs(header string) bool { return slices.Contains(sig.headers, header) }

// canonical returns r in the form that is hashed.
func (sig *signature) canonical(r *http.Request, payload string) string {
	path, query, _ := strings.Cut(r.RequestURI, "?")
	var b strings.Builder
	b.WriteString(r.Method + "\n" + canonicalPath(path) + "\n" + canonicalQuery(query) + "\n")
	for _, name := range sig.headers {
		b.WriteString(name + ":" + canonicalHeader(r, name) + "\n")
	}
	b.WriteString("\n" + strings.Join(sig.headers, ";") + "\n" + payload)
	return b.String()
}

// canonicalPath escapes a path, as it was sent, once more.
func canonicalPath(path string) string {
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		segments[i] = awsEscape(segment)
	}
	return strings.Join(segments, "/")
}

// canonicalQuery sorts a query by name and value, each escaped anew.
func canonicalQuery(query string) string {
	// What does not parse is not signed, and then the signature is wrong.
	values, _ := url.ParseQuery(query)
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		list := slices.Sorted(slices.Values(values[name]))
		for _, value := range list {
			pairs = append(pairs, awsEscape(name)+"="+awsEscape(value))
		}
	}
	return strings.Join(pairs, "&")
}

// canonicalHeader returns the value of a header with its white space collapsed.
func canonicalHeader(r *http.Request, name string) string {
	values := r.Header.Values(name)
	switch name {
	case "host", ":authority":
		values = []string{r.Host}
	case "content-length":
		values = []string{strconv.FormatInt(r.ContentLength, 10)}
	}
	var plain []string
	for _, value := range values {
		plain = append(plain, strings.Join(strings.Fields(value), " "))
	}
	return strings.Join(plain, ",")
}

// awsEscape percent-encodes all but the unreserved characters of RFC 3986.
func awsEscape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-_.~", c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteString("%" + strings.ToUpper(hex.EncodeToString([]byte{c})))
		}
	}
	return b.String()
}

// compute returns the signature of a canonical request, in hex.
func (sig *signature) compute(secret, date, canonical string) string {
	scope := strings.Join([]string{sig.date, sig.region, sig.service, "aws4_request"}, "/")
	key := []byte("AWS4" + secret)
	for _, part := range []string{sig.date, sig.region, sig.service, "aws4_request"} {
		key = hmacSum(key, part)
	}
	return hex.EncodeToString(hmacSum(key, strings.Join([]string{awsAlgorithm, date, scope, hexSum([]byte(canonical))}, "\n")))
}

func hmacSum(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func hexSum(p []byte) string {
	sum := sha256.Sum256(p)
	return hex.EncodeToString(sum[:])
}
