package gateway

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A certificate is one for 127.0.0.1, signed by itself, as it is in files.
type certificate struct {
	parsed    *x509.Certificate
	cert, key []byte // PEM
}

// newCertificate makes a certificate that is good until the year end.
func newCertificate(t *testing.T, end int) certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "gateway"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:    time.Date(2001, 2, 3, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(end, 2, 3, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return certificate{
		parsed: parsed,
		cert:   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key:    pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}
}

// write writes files into dir, by their names.
func write(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// startTLS serves over TLS, to a client that speaks proto.
func startTLS(t *testing.T, upstream http.Handler, proto string) *running {
	t.Helper()
	c, dir := newCertificate(t, 2199), t.TempDir()
	write(t, dir, map[string][]byte{"server.pem": c.cert, "server.key": c.key})
	r := start(t, upstream, func(config *Config) {
		config.TLS = TLS{Cert: "server.pem", Key: "server.key"}.relativeTo(dir)
	})
	r.url = "https://" + r.listener.Addr().String()
	roots := x509.NewCertPool()
	roots.AddCert(c.parsed)
	var protocols http.Protocols
	protocols.SetHTTP1(proto == "HTTP/1.1")
	protocols.SetHTTP2(proto == "HTTP/2.0")
	r.client = &http.Client{Transport: &http.Transport{Protocols: &protocols, TLSClientConfig: &tls.Config{RootCAs: roots}}}
	return r
}

// Over TLS the data listener speaks HTTP/1.1 and HTTP/2, and nothing in the clear.
func TestTLS(t *testing.T) {
	t.Parallel()
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		r := startTLS(t, http.HandlerFunc(plain), proto)
		resp := r.post(t, false)
		if body, err := io.ReadAll(resp.Body); resp.Proto != proto || resp.TLS == nil || string(body) != answer || err != nil {
			t.Errorf("%s: got %s, %s, %v", proto, resp.Proto, body, err)
		}
		if resp.TLS.Version < tls.VersionTLS12 {
			t.Errorf("%s: got version %x of TLS", proto, resp.TLS.Version)
		}
		stream := startTLS(t, gated(closed()), proto).post(t, true)
		if body, err := io.ReadAll(stream.Body); string(body) != firstEvent+lastEvents || err != nil {
			t.Errorf("%s: streamed %s, %v", proto, body, err)
		}
		if got := stream.Trailer.Get("X-Gateway-Completion-Tokens"); got != "2" {
			t.Errorf("%s: the trailer says %q tokens", proto, got)
		}
		clear, err := http.Post("http://"+r.listener.Addr().String()+"/v1/chat/completions", "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		clear.Body.Close()
		if clear.StatusCode != http.StatusBadRequest || clear.Header.Get("X-Gateway-Request-Id") != "" {
			t.Errorf("in the clear: got %s", clear.Status)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func closed() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

func TestTLSFaults(t *testing.T) {
	t.Parallel()
	one, other, old := newCertificate(t, 2199), newCertificate(t, 2199), newCertificate(t, 2002)
	encrypted := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("canary")})
	legacy := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}, Bytes: []byte("canary")})
	malformed := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("canary")})
	files := map[string][]byte{
		"one.pem": one.cert, "one.key": one.key, "other.key": other.key, "old.pem": old.cert, "old.key": old.key,
		"both.pem": bytes.Join([][]byte{one.key, one.cert, other.cert}, nil), "encrypted.key": encrypted, "legacy.key": legacy,
		"malformed.pem": malformed, "large.pem": make([]byte, maxFile+1), "text": []byte("canary"),
	}
	for _, tt := range []struct{ tls, want string }{
		{"{cert: one.pem, key: one.key}", ""},
		{"{cert: both.pem, key: both.pem}", ""},
		{"{}", "1:1: tls.cert: missing; TLS needs cert and key\n    tls: …"},
		{"{key: one.key}", "1:1: tls.cert: missing; TLS needs cert and key\n    tls: …"},
		{"{cert: one.pem}", "1:1: tls.key: missing; TLS needs cert and key\n    tls: …"},
		{"{cert: none.pem, key: one.key}", "1:13: tls.cert: the file cannot be read: no such file or directory\n    cert: none.pem"},
		{"{cert: one.pem, key: none.key}", "1:27: tls.key: the file cannot be read: no such file or directory\n    key: none.key"},
		{"{cert: ., key: one.key}", "1:13: tls.cert: the file cannot be read: is a directory\n    cert: ."},
		{"{cert: one.key, key: one.pem}", "1:13: tls.cert: the file holds no certificate in PEM form\n    cert: one.key"},
		{"{cert: text, key: one.key}", "1:13: tls.cert: the file holds no certificate in PEM form\n    cert: text"},
		{"{cert: malformed.pem, key: one.key}", "1:13: tls.cert: the file's certificate is malformed\n    cert: malformed.pem"},
		{"{cert: large.pem, key: one.key}", "1:13: tls.cert: the file cannot be read: is larger than 1 MiB\n    cert: large.pem"},
		{"{cert: one.pem, key: text}", "1:27: tls.key: the file holds no private key in PEM form\n    key: text"},
		{"{cert: one.pem, key: encrypted.key}", "1:27: tls.key: the private key is encrypted; want it in the clear, in a file that only the gateway can read\n    key: encrypted.key"},
		{"{cert: one.pem, key: legacy.key}", "1:27: tls.key: the private key is encrypted; want it in the clear, in a file that only the gateway can read\n    key: legacy.key"},
		{"{cert: one.pem, key: other.key}", "1:27: tls.key: the file's key is not that of the certificate in cert\n    key: other.key"},
		{"{cert: one.pem, key: one.key, ca: x}", "1:36: unknown key \"ca\" in tls\n    ca: …"},
		{"server.pem", "1:6: tls wants keys of its own, not a single value\n    tls: …"},
		{"{cert: old.pem, key: old.key}", "warning 1:13: tls.cert: the certificate is good from 2001-02-03 to 2002-02-03 only\n    cert: old.pem"},
	} {
		dir := t.TempDir()
		write(t, dir, files)
		file := filepath.Join(dir, DefaultFile)
		write(t, dir, map[string][]byte{DefaultFile: []byte("tls: " + tt.tls + "\nproviders: {openai: {api_key: k}}\n")})
		c, err := Source{File: file, LookupEnv: environment()}.Load()
		got := ""
		switch {
		case err != nil:
			got = strings.ReplaceAll(err.Error(), file+":", "")
		case len(c.Warnings) > 0:
			got = "warning " + strings.ReplaceAll(c.Warnings[0].String(), file+":", "")
		case c.TLS.Cert != filepath.Join(dir, "one.pem") && c.TLS.Cert != filepath.Join(dir, "both.pem"):
			t.Errorf("%s: the certificate is looked for in %s", tt.tls, c.TLS.Cert)
		}
		if got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.tls, got, tt.want)
		}
	}
}

// Files that go away between the check and the start are an error of the start.
func TestTLSFilesAreGone(t *testing.T) {
	t.Parallel()
	c := &Config{Providers: []ProviderConfig{{Name: "openai", APIKey: "k"}}, TLS: TLS{Cert: filepath.Join(t.TempDir(), "c"), Key: "k"}}
	c.withDefaults()
	_, err := New(c, Parts{}, Log{}.logger(io.Discard))
	if want := "tls.cert: the file cannot be read: no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
