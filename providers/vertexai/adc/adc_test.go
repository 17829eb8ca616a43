package adc_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy/providers/vertexai/adc"
)

// serviceAccount writes the file of a service account whose token endpoint is url, and
// has the environment name it. So none of the tests can run in parallel.
func serviceAccount(t *testing.T, url string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "gateway@p.iam.gserviceaccount.com", "token_uri": url,
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "account.json")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", name)
}

func TestServiceAccount(t *testing.T) {
	asked := 0
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if got := r.FormValue("grant_type"); got != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
			t.Errorf("grant type %q", got)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"access_token":"ya29.a","token_type":"Bearer","expires_in":3600}`))
	}))
	defer endpoint.Close()
	serviceAccount(t, endpoint.URL)
	source := adc.Default()
	for n := range 2 {
		token, expiry, err := source.Token(t.Context())
		if token != "ya29.a" || err != nil || !expiry.After(time.Now()) {
			t.Errorf("got %q, %s, %v", token, expiry, err)
		}
		if asked != n+1 {
			t.Errorf("asked %d times, want %d: each call is to give a new token", asked, n+1)
		}
	}
}

func TestRefusal(t *testing.T) {
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"invalid_grant","error_description":"assertion ` + r.FormValue("assertion") + `"}`))
	}))
	defer endpoint.Close()
	serviceAccount(t, endpoint.URL)
	_, _, err := adc.Default().Token(t.Context())
	if err == nil || !strings.HasPrefix(err.Error(), "adc: get token: ") || strings.Contains(err.Error(), "assertion") || !strings.Contains(err.Error(), "400") {
		t.Errorf("got %v", err)
	}
}

func TestEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	endpoint := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not see the client leave
		cancel()
		<-r.Context().Done()
	}))
	defer endpoint.Close()
	serviceAccount(t, endpoint.URL)
	if _, _, err := adc.Default().Token(ctx); !strings.Contains(fmt.Sprint(err), context.Canceled.Error()) {
		t.Errorf("got %v", err)
	}
}

func TestNoCredentials(t *testing.T) {
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", filepath.Join(t.TempDir(), "missing.json"))
	_, _, err := adc.Default().Token(t.Context())
	if err == nil || !strings.HasPrefix(err.Error(), "adc: find credentials: ") {
		t.Errorf("got %v", err)
	}
}
