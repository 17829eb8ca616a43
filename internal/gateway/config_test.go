package gateway

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

func TestSize(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   string
		want Size // 0: refused
	}{
		{"1", 1},
		{"64MiB", 64 << 20},
		{"64 mib", 64 << 20},
		{"64M", 64 << 20},
		{"1GiB", 1 << 30},
		{"1GB", 1e9},
		{"5kb", 5000},
		{"5K", 5120},
		{"12B", 12},
		{"8589934591GiB", 8589934591 << 30},
		{"8589934592GiB", 0},
		{"0", 0},
		{"-1", 0},
		{"1.5GiB", 0},
		{"GiB", 0},
		{"", 0},
		{"1TiB", 0},
		{"1 000", 0},
		{"0x10", 0},
	} {
		var got Size
		err := got.UnmarshalText([]byte(tt.in))
		if got != tt.want || (err == nil) != (tt.want != 0) {
			t.Errorf("%q: got %d, %v, want %d", tt.in, got, err, tt.want)
		}
	}
}

func TestDisconnect(t *testing.T) {
	t.Parallel()
	var c Config
	c.withDefaults()
	if got, want := c.Disconnect.router(), llmproxy.Drain(30*time.Second); got != want {
		t.Errorf("by default: got %v, want %v", got, want)
	}
	c.Disconnect.Policy = policyCancel
	if got := c.Disconnect.router(); got != llmproxy.Cancel {
		t.Errorf("cancel: got %v, want %v", got, llmproxy.Cancel)
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in       string
		want     string // "": refused
		loopback bool
	}{
		{"127.0.0.1:8080", "127.0.0.1:8080", true},
		{"127.8.8.8:0", "127.8.8.8:0", true},
		{"[::1]:8080", "[::1]:8080", true},
		{"[::1%lo]:8080", "[::1%lo]:8080", true},
		{"localhost:80", "localhost:80", true},
		{"LocalHost:80", "LocalHost:80", true},
		{"[::ffff:127.0.0.1]:80", "[::ffff:127.0.0.1]:80", true},
		{":8080", ":8080", false},
		{"0.0.0.0:8080", "0.0.0.0:8080", false},
		{"[::]:8080", "[::]:8080", false},
		{"10.0.0.1:8080", "10.0.0.1:8080", false},
		{"localhost.example:80", "localhost.example:80", false},
		{"127.0.0.1.example:80", "127.0.0.1.example:80", false},
		{"unix:/run/llmproxy.sock", "unix:/run/llmproxy.sock", true},
		{"unix:llmproxy.sock", "unix:llmproxy.sock", true},
		{"unix:", "", false},
		{"unix:@abstract", "", false},
		{"unix:" + strings.Repeat("x", 104), "", false},
		{"8080", "", false},
		{"", "", false},
		{"host", "", false},
		{"host:", "", false},
		{"host:http", "", false},
		{"host:-1", "", false},
		{"host:+80", "", false},
		{"host:080", "", false},
		{"host:65536", "", false},
		{"::1:80", "", false},
	} {
		got, err := parseAddress(tt.in)
		if tt.want == "" {
			if err == nil {
				t.Errorf("%q: got %s, want an error", tt.in, got)
			}
			continue
		}
		if err != nil || got.String() != tt.want || got.Loopback() != tt.loopback {
			t.Errorf("%q: got %s, loopback %t, %v, want %s, %t", tt.in, got, got.Loopback(), err, tt.want, tt.loopback)
		}
	}
}

// overlap is held against the definition: is there a word, of a small alphabet and up to
// the length at which one must show, that both match?
func TestOverlap(t *testing.T) {
	t.Parallel()
	words := []string{""}
	for i := 0; len(words[i]) < 5; i++ {
		words = append(words, words[i]+"a", words[i]+"b")
	}
	var patterns []string
	for _, w := range words {
		if len(w) <= 3 {
			patterns = append(patterns, w)
			for i := range len(w) {
				patterns = append(patterns, w[:i]+"*"+w[i+1:])
				for j := range i {
					patterns = append(patterns, w[:j]+"*"+w[j+1:i]+"*"+w[i+1:])
				}
			}
		}
	}
	matches := map[string]map[string]bool{}
	for _, p := range patterns {
		matches[p] = map[string]bool{}
		for _, w := range words {
			if globs(p, w) {
				matches[p][w] = true
			}
		}
	}
	for _, a := range patterns {
		for _, b := range patterns {
			want := false
			for w := range matches[a] {
				want = want || matches[b][w]
			}
			if got := overlap(a, b); got != want {
				t.Fatalf("overlap(%q, %q) = %t, want %t", a, b, got, want)
			}
		}
	}
}

// globs reports whether w matches p, in which * stands for any characters.
func globs(p, w string) bool {
	switch {
	case p == "":
		return w == ""
	case p[0] == '*':
		return globs(p[1:], w) || w != "" && globs(p, w[1:])
	default:
		return w != "" && w[0] == p[0] && globs(p[1:], w[1:])
	}
}

func TestSuggest(t *testing.T) {
	t.Parallel()
	names := []string{"openai", "groq", "xai", "vllm", "listen"}
	for _, tt := range []struct{ in, want string }{
		{"opnai", "openai"},
		{"oepnai", "openai"},
		{"OpenAI", "openai"},
		{"xia", "xai"},
		{"grok", "groq"},
		{"lisetn", "listen"},
		{"llm", "vllm"},
		{"zzz", ""},
		{"anthropic", ""},
		{"", ""},
	} {
		want := ""
		if tt.want != "" {
			want = `; did you mean "` + tt.want + `"?`
		}
		if got := suggest(tt.in, names); got != want {
			t.Errorf("suggest(%q) = %q, want %q", tt.in, got, want)
		}
	}
}

// complete returns the least that a provider of type t at url needs, under the name n.
func complete(t providerType, url string) ProviderConfig {
	p := ProviderConfig{Name: "n", Type: t.name, APIKey: "k", BaseURL: url}
	for key, value := range map[string]string{"location": "us-central1", "region": "us-east-1"} {
		if slices.Contains(t.keys, key) {
			p.set(key, value)
		}
	}
	if t.name == "vertexai" {
		p.Project = "p"
	}
	return p
}

func TestCatalog(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	variables := map[string]string{}
	for _, p := range catalog() {
		if seen[p.name] {
			t.Errorf("type %s is there twice", p.name)
		}
		seen[p.name] = true
		if reason := refuseName(p.name); reason != "" {
			t.Errorf("type %s cannot be the name of a provider: it %s", p.name, reason)
		}
		for _, v := range p.env {
			for _, name := range v.names {
				if other, ok := variables[name]; ok && other != p.name {
					t.Errorf("%s makes both %s and %s", name, other, p.name)
				}
				variables[name] = p.name
			}
		}
		for _, key := range p.keys {
			if !slices.Contains(yamlKeys(reflect.TypeFor[ProviderConfig]()), key) {
				t.Errorf("type %s has a key %s that nothing can be read into", p.name, key)
			}
		}
		provider, err := p.build(complete(p, "http://127.0.0.1:1"))
		if err != nil || provider.Name() != "n" {
			t.Errorf("type %s: %v, %v", p.name, provider, err)
		}
	}
	for _, p := range openai_compatible.Presets() {
		if _, ok := findType(p.Type); !ok {
			t.Errorf("preset %s is not in the catalogue", p.Type)
		}
	}
}
