// Package adc gets access tokens of Google Cloud for package vertexai from application
// default credentials: the file that GOOGLE_APPLICATION_CREDENTIALS names (of a service
// account, of workload identity, or of a user), the one that gcloud keeps, or the
// metadata server of the machine.
package adc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"

	"github.com/llmproxy/llmproxy/providers/vertexai"
)

// scope covers Vertex AI.
const scope = "https://www.googleapis.com/auth/cloud-platform"

// Default returns the source. It looks for the credentials whenever it is asked for a
// token, so that files may change and none need be there at first.
func Default() vertexai.CredentialSource { return source{} }

type source struct{}

// Token gets a token, as long as ctx lasts. Nothing is kept: package vertexai does that.
func (source) Token(ctx context.Context) (token string, expiry time.Time, err error) {
	// Some of the library's requests have no context of their own.
	ctx = context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		return http.DefaultTransport.RoundTrip(r.WithContext(ctx))
	})})
	found, err := google.FindDefaultCredentialsWithParams(ctx, google.CredentialsParams{
		Scopes: []string{scope},
	})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("adc: find credentials: %w", err)
	}
	t, err := found.TokenSource.Token()
	if err != nil {
		return "", time.Time{}, fmt.Errorf("adc: get token: %w", plain(err))
	}
	return t.AccessToken, t.Expiry, nil
}

// transport is an [http.RoundTripper].
type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// plain leaves out the body of Google's answer, which repeats what was sent.
func plain(err error) error {
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok && e.Response != nil {
		return fmt.Errorf("the token endpoint answered %s %s", e.Response.Status, e.ErrorCode)
	}
	return err
}
