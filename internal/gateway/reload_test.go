package gateway

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/fsnotify/fsnotify"

	"github.com/llmproxy/llmproxy"
)

// another returns a copy of r's configuration, changed.
func (r *running) another(change func(*Config)) *Config {
	c := *r.config
	c.Providers = slices.Clone(c.Providers)
	change(&c)
	return &c
}

// kept returns how many generations something runs in, the current one included.
func (g *Gateway) kept() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.generations)
}

// A stream goes on under the configuration that it began with, what comes after it has the
// new one, and the old one is forgotten with the stream.
func TestReload(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	stream := gated(release)
	r := start(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Authorization") == "Bearer sk-canary" {
			stream.ServeHTTP(w, req)
			return
		}
		fmt.Fprintf(w, `{"model":%q}`, req.Header.Get("Authorization"))
	}), nil)
	resp := r.post(t, true)
	first := make([]byte, len(firstEvent))
	if _, err := io.ReadFull(resp.Body, first); err != nil {
		t.Fatal(err)
	}
	if err := r.gateway.Reload(r.another(func(c *Config) { c.Providers[0].APIKey = "second" }), Parts{}); err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(r.post(t, false).Body); string(text) != `{"model":"Bearer second"}` || err != nil {
		t.Errorf("after the change: %s, %v", text, err)
	}
	if n := r.gateway.kept(); n != 2 {
		t.Errorf("%d generations, want that of the stream and the new one", n)
	}
	old := r.gateway.current.Load()
	broken := r.another(func(c *Config) { c.Providers[0].Type = "none" })
	if err := r.gateway.Reload(broken, Parts{}); err == nil || r.gateway.current.Load() != old {
		t.Errorf("a configuration that cannot be built: %v", err)
	}
	close(release)
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != lastEvents {
		t.Errorf("got %q, %v", rest, err)
	}
	close(r.stop)
	if err := <-r.served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if n := r.gateway.kept(); n != 1 {
		t.Errorf("%d generations after the stream, want 1", n)
	}
	if err := r.gateway.Reload(r.config, Parts{}); err != errEnding { //nolint:errorlint // as it is returned
		t.Errorf("after the end: %v", err)
	}
}

// The end of a gateway waits for streams of an old configuration too.
func TestShutdownOfGenerations(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	r := start(t, gated(release), nil)
	resp := r.post(t, true)
	if _, err := io.ReadFull(resp.Body, make([]byte, len(firstEvent))); err != nil {
		t.Fatal(err)
	}
	if err := r.gateway.Reload(r.another(func(c *Config) { c.Fallback = "openai" }), Parts{}); err != nil {
		t.Fatal(err)
	}
	close(r.stop)
	<-r.listener.closed
	select {
	case err := <-r.served:
		t.Fatalf("Serve returned %v before the stream was over", err)
	default:
	}
	close(release)
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != lastEvents {
		t.Errorf("got %q, %v", rest, err)
	}
	if err := <-r.served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// A change gives nobody more than the quota says, and forgets no provider that it does not
// concern.
func TestReloadRemembers(t *testing.T) {
	t.Parallel()
	r := start(t, http.HandlerFunc(plain), func(c *Config) {
		c.Interceptors = []InterceptorConfig{{Limits: &LimitsConfig{Per: "gateway", RPM: 1}}}
		c.Models = []ModelConfig{{Name: "fast", Targets: []string{"openai/gpt-5-mini"}}}
	})
	if resp := r.post(t, false); resp.StatusCode != http.StatusOK {
		t.Fatalf("got %s", resp.Status)
	}
	before := r.gateway.current.Load()
	next := r.another(func(c *Config) {
		c.Interceptors = []InterceptorConfig{{Limits: &LimitsConfig{Per: "gateway", RPM: 1}}}
		c.Models = []ModelConfig{{Name: "fast", Targets: []string{"openai/gpt-5-mini"}}}
	})
	if err := r.gateway.Reload(next, Parts{}); err != nil {
		t.Fatal(err)
	}
	if resp := r.post(t, false); resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("got %s, want 429", resp.Status)
	}
	if now := r.gateway.current.Load(); now.providers["openai"] != before.providers["openai"] || now.pools != before.pools {
		t.Error("the provider or the pools are others, although nothing about them has changed")
	}
	// Where budgets look for the dearest target.
	if routes := next.reach(&llmproxy.Exchange{Meta: llmproxy.BodyMetadata{Model: "fast"}}); len(routes) != 1 || routes[0].Model != "gpt-5-mini" {
		t.Errorf("the model leads to %v", routes)
	}
	other := r.another(func(c *Config) { c.Models = []ModelConfig{{Name: "fast", Targets: []string{"openai/gpt-5"}}} })
	if err := r.gateway.Reload(other, Parts{}); err != nil {
		t.Fatal(err)
	}
	if now := r.gateway.current.Load(); now.pools == before.pools {
		t.Error("the pools are those of other models")
	}
}

func TestKeep(t *testing.T) {
	t.Parallel()
	load := func(text string) *Config {
		t.Helper()
		c, err := (Source{LookupEnv: func(string) (string, bool) { return "", false }}).load("llmproxy.yaml", []byte("providers: {openai: {api_key: k}}\n"+text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	before := load("admin: {token: one}\n")
	same := load("admin: {token: one}\nfallback: openai\nhosts: [a]\n")
	if kept := same.keep(before); len(kept) != 0 {
		t.Errorf("kept %v of what can change", kept)
	}
	c := load("listen: 127.0.0.1:9000\nadmin: {token: two}\nauth: {mode: keys}\npricing: {unpriced: allow}\nledger: {url: \"sqlite:other.db\"}\n" +
		"limits: {header: 1MiB, read_header_timeout: 1s}\nlog: {level: warn}\n")
	want := []string{"listen", "admin", "auth.mode", "pricing.unpriced", "ledger", "limits.header", "limits.read_header_timeout", "log"}
	if kept := c.keep(before); !slices.Equal(kept, want) {
		t.Errorf("kept %v, want %v", kept, want)
	}
	c.File, c.Warnings = before.File, before.Warnings
	if !reflect.DeepEqual(c, before) {
		t.Error("what was kept is not what was before")
	}
}

// Of what happens in the directory, only what changes the file's text counts.
func TestWatchConcerns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"one": "1", "two": "2"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link, file := filepath.Join(dir, "current"), filepath.Join(dir, "llmproxy.yaml")
	if err := os.Symlink("one", link); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("current", file); err != nil {
		t.Fatal(err)
	}
	w := &watch{file: file}
	if !w.seen() || w.seen() {
		t.Error("the first look is news, and the second is not")
	}
	for _, tt := range []struct {
		name string
		op   fsnotify.Op
		want bool
	}{
		{"llmproxy.yaml", fsnotify.Write, true},
		{"llmproxy.yaml", fsnotify.Create, true},
		{"llmproxy.yaml", fsnotify.Chmod, false},
		{"llmproxy.db", fsnotify.Write, false},
		{"llmproxy.db-wal", fsnotify.Create, false},
	} {
		if got := w.concerns(fsnotify.Event{Name: filepath.Join(dir, tt.name), Op: tt.op}); got != tt.want {
			t.Errorf("%s of %s: %t, want %t", tt.op, tt.name, got, tt.want)
		}
	}
	next := filepath.Join(dir, "next")
	if err := os.Symlink("two", next); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, link); err != nil {
		t.Fatal(err)
	}
	if !w.concerns(fsnotify.Event{Name: link, Op: fsnotify.Create}) || !w.seen() {
		t.Error("the file leads elsewhere, and that does not count")
	}
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if w.seen() {
		t.Error("a file that is gone counts as another")
	}
	if !strings.HasSuffix(w.target, "two") && w.target != "" {
		t.Errorf("the target is %s", w.target)
	}
}
