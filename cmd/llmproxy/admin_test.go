package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/llmproxy/llmproxy/internal/simulator"
)

// The operators' pages on a socket that only this user can connect to, without a token.
func TestAdminOnUnixSocket(t *testing.T) {
	t.Parallel()
	provider := httptest.NewServer(simulator.New(simulator.Options{}))
	defer provider.Close()
	dir, err := os.MkdirTemp("", "llmproxy") // t.TempDir's may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "admin.sock")
	p := start(t, []string{"KEY=k"}, "serve", "--listen", "[::1]:0", "--config", config(t, provider.URL, "admin: {listen: \"unix:"+socket+"\"}\n"))
	if got := p.stderr.next(t, `msg=admin address=unix:(\S+)`); got != socket {
		t.Errorf("the pages are at %s, want %s", got, socket)
	}
	p.stderr.next(t, `msg=listening address=http://\[::1\]:\d+`)
	if info, err := os.Lstat(socket); err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("the socket is %v, %v", info, err)
	}
	admin := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/api/usage": 200, "/metrics": 200, "/": 200} {
		resp, err := admin.Get("http://localhost" + path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	p.interrupt(t)
	p.stderr.rest()
	p.stdout.rest()
	p.end(t, 0)
	if _, err := os.Lstat(socket); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
}
