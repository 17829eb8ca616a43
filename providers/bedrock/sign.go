package bedrock

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/internal/setting"
)

const (
	// service is the name that requests to the runtime are signed for, whatever their path.
	service = "bedrock"
	// patience bounds the wait for credentials, which may come from a service themselves.
	patience = 30 * time.Second
	// early is how long before their end credentials are replaced.
	early = time.Minute
	// maxUnbuffered bounds a body that is read to be signed. Bedrock takes 25 MB.
	maxUnbuffered = 32 << 20
	// oldest is the version of Messages for requests that name none.
	oldest = "2023-06-01"
)

// credentials does what rest does, which sets a bearer token and the operator's fields,
// and then signs the request, where c wants that.
func credentials(c Config, rest llmproxy.RequestEnricher) llmproxy.RequestEnricher {
	sign := func(*http.Request) error { return nil }
	if c.signs() {
		sign = newSigner(c).sign
	}
	return setting.Enricher(func(r *http.Request, x *llmproxy.Exchange) error {
		if x.Operation.API == llmproxy.APIMessages && r.Header.Get("Anthropic-Version") == "" {
			r.Header.Set("Anthropic-Version", oldest)
		}
		if err := rest.Enrich(r, x); err != nil {
			return err
		}
		if r.Header.Get("Authorization") != "" {
			return nil // a bearer token, the client's own, or what the operator sets
		}
		return sign(r)
	})
}

// signer signs requests by AWS Signature Version 4.
type signer struct {
	provider    string
	region      string
	credentials aws.CredentialsProvider
	v4          *v4.Signer // keeps the keys it derives
	now         func() time.Time
}

func newSigner(c Config) *signer {
	s := &signer{provider: c.name(), region: c.region(), credentials: c.Credentials, v4: v4.NewSigner(), now: time.Now}
	static := aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken}
	switch _, cached := c.Credentials.(*aws.CredentialsCache); {
	case static.HasKeys():
		s.credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return static, nil })
	case !cached:
		s.credentials = aws.NewCredentialsCache(c.Credentials, func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = early })
	}
	return s
}

// sign signs r, whose body is final. Few fields are signed: the host, the type of the
// body and what is AWS's own. Whatever else there is, some hop on the way may change.
//
// The signature holds for the path as it is sent, which AWS escapes once more, and for the
// exact bytes of the body.
func (s *signer) sign(r *http.Request) error {
	hash, err := payloadHash(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	keys, err := s.credentials.Retrieve(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", s.noCredentials(), err)
	}
	few := &http.Request{Method: r.Method, Host: r.Host, Header: http.Header{}}
	for name, values := range r.Header {
		if name == "Content-Type" || strings.HasPrefix(name, "X-Amz-") {
			few.Header[name] = slices.Clone(values)
		}
	}
	few.URL = new(*r.URL) // the signer rewrites its query
	if err := s.v4.SignHTTP(ctx, keys, few, hash, service, s.region, s.now()); err != nil {
		return fmt.Errorf("%w: %w", s.noCredentials(), err)
	}
	r.Host = few.Host // without a port that is the scheme's own
	maps.Copy(r.Header, few.Header)
	return nil
}

func (s *signer) noCredentials() *llmproxy.Error {
	return &llmproxy.Error{
		Status: http.StatusBadGateway, Type: "server_error", Code: "provider_auth",
		Message: fmt.Sprintf("the provider %q could not be given credentials of AWS", s.provider),
	}
}

// payloadHash returns the SHA-256 of r's body, in hex. A body that can be had only once is
// read, and put back.
func payloadHash(r *http.Request) (string, error) {
	h := sha256.New()
	switch {
	case r.Body == nil || r.Body == http.NoBody:
	case r.GetBody != nil:
		body, err := r.GetBody()
		if err != nil {
			return "", err
		}
		defer body.Close()
		if _, err := io.Copy(h, body); err != nil {
			return "", err
		}
	default:
		defer r.Body.Close()
		var b bytes.Buffer
		n, err := io.Copy(io.MultiWriter(&b, h), io.LimitReader(r.Body, maxUnbuffered+1))
		if err != nil {
			return "", err
		}
		if n > maxUnbuffered {
			return "", &llmproxy.Error{
				Status: http.StatusRequestEntityTooLarge, Type: "invalid_request_error", Code: "request_too_large", NoRetry: true,
				Message: fmt.Sprintf("a body of more than %d bytes cannot be signed for Bedrock", maxUnbuffered),
			}
		}
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }
		r.Body, _ = r.GetBody()
		r.ContentLength = n
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
