package openai_compatible_test

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
)

func TestPresetsAreSane(t *testing.T) {
	t.Parallel()
	var (
		variable = regexp.MustCompile(`^[A-Z]+_API_KEY$`)
		apiPath  = regexp.MustCompile(`^(/[a-z0-9-]+)+$`)
	)
	shared := map[string]bool{"huggingface": true, "github": true} // their variables serve other ends
	seen := map[string]string{}                                    // types, variables and patterns, and whose they are
	claim := func(owner, what string) {
		if other, ok := seen[what]; ok {
			t.Errorf("%s: %s is also %s's", owner, what, other)
		}
		seen[what] = owner
	}
	for _, p := range openai_compatible.Presets() {
		claim(p.Type, "type "+p.Type)
		if p.Type != strings.ToLower(p.Type) || strings.ContainsAny(p.Type, "/ ") {
			t.Errorf("%q is no name for a type", p.Type)
		}
		if u, err := url.Parse(p.BaseURL); err != nil || u.Path != "" || (u.Host == "") != (p.Type == "openai_compatible") {
			t.Errorf("%s: base URL %q: want scheme and host alone", p.Type, p.BaseURL)
		} else if local := u.Scheme == "http"; local != (u.Hostname() == "127.0.0.1") {
			t.Errorf("%s: base URL %q: want https, except on this machine", p.Type, p.BaseURL)
		} else if service := u.Scheme == "https"; (service && !shared[p.Type]) != (len(p.KeyEnv) > 0) {
			t.Errorf("%s: %d variables for the key at %q", p.Type, len(p.KeyEnv), p.BaseURL)
		}
		if p.APIPath != "" && !apiPath.MatchString(p.APIPath) {
			t.Errorf("%s: API path %q", p.Type, p.APIPath)
		}
		for _, name := range p.KeyEnv {
			claim(p.Type, name)
			if !variable.MatchString(name) {
				t.Errorf("%s: variable %q", p.Type, name)
			}
		}
		for _, pattern := range slices.Concat(p.Models, p.Native) {
			claim(p.Type, "pattern "+pattern)
			if pattern != strings.ToLower(pattern) || strings.Trim(pattern, "* ") == "" {
				t.Errorf("%s: pattern %q", p.Type, pattern)
			}
		}
		for _, pattern := range p.Native {
			if !strings.HasPrefix(pattern, p.Type+"/") {
				t.Errorf("%s: %q does not begin with the provider's name", p.Type, pattern)
			}
		}
	}
}

func TestPresetsAreTheCallers(t *testing.T) {
	t.Parallel()
	rows := openai_compatible.Presets()
	rows[0].KeyEnv[0], rows[0].Models[0] = "X", "x"
	if p, ok := openai_compatible.Lookup(rows[0].Type); !ok || p.KeyEnv[0] == "X" || p.Models[0] == "x" {
		t.Errorf("a change of one table changed the next: %v, %v", p.KeyEnv, p.Models)
	}
	if p, ok := openai_compatible.Lookup("grok"); ok {
		t.Errorf("Lookup of an unknown type: %v", p)
	}
}

// Which types need include_usage is a matter of what gets billed, so it is written down
// twice.
func TestIncludeUsage(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for _, p := range openai_compatible.Presets() {
		byItself := !slices.Contains([]string{"groq", "perplexity", "mistral", "openrouter", "zai", "nvidia"}, p.Type)
		for _, tt := range []struct {
			operator *bool
			want     bool
		}{{nil, byItself}, {&yes, true}, {&no, false}} {
			provider, err := openai_compatible.New(openai_compatible.Config{
				Type: p.Type, BaseURL: "http://host", IncludeUsage: tt.operator,
			})
			if err != nil {
				t.Fatal(err)
			}
			for api, want := range map[llmproxy.APIType]bool{
				llmproxy.APIChatCompletions: tt.want,
				llmproxy.APICompletions:     tt.want,
				llmproxy.APIResponses:       false, // the rest have no such member
				llmproxy.APIEmbeddings:      false,
				llmproxy.APIImages:          false,
			} {
				got, ok := provider.API(api)
				if !ok || got.NewExtractor == nil || got.NewExtractor() == nil {
					t.Errorf("%s does not read %s", p.Type, api)
				}
				if got.IncludeUsage != want {
					t.Errorf("%s, %s, operator says %v: IncludeUsage %v, want %v", p.Type, api, tt.operator, got.IncludeUsage, want)
				}
			}
		}
	}
}

// Which types serve Messages, and where, written out.
func TestMessages(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"fireworks":  "https://api.fireworks.ai/inference/v1/messages",
		"deepseek":   "https://api.deepseek.com/anthropic/v1/messages",
		"openrouter": "https://openrouter.ai/api/v1/messages",
		"moonshot":   "https://api.moonshot.ai/anthropic/v1/messages",
		"alibaba":    "https://dashscope-intl.aliyuncs.com/apps/anthropic/v1/messages",
		"zai":        "https://api.z.ai/api/anthropic/v1/messages",
		"minimax":    "https://api.minimax.io/anthropic/v1/messages",
		"deepinfra":  "https://api.deepinfra.com/anthropic/v1/messages",
		"ollama":     "http://127.0.0.1:11434/v1/messages",
		"vllm":       "http://127.0.0.1:8000/v1/messages",
		"sglang":     "http://127.0.0.1:30000/v1/messages",
		"llamacpp":   "http://127.0.0.1:8080/v1/messages",
		"lmstudio":   "http://127.0.0.1:1234/v1/messages",
	}
	op := auto(llmproxy.APIMessages, "/messages")
	for _, p := range openai_compatible.Presets() {
		c := openai_compatible.Config{Type: p.Type, BaseURL: p.BaseURL}
		if c.BaseURL == "" {
			c.BaseURL = "http://host"
		}
		provider, err := openai_compatible.New(c)
		if err != nil {
			t.Fatal(err)
		}
		api, speaks := provider.API(llmproxy.APIMessages)
		if speaks != (want[p.Type] != "") || speaks && api.NewExtractor() == nil {
			t.Errorf("%s: speaks Messages: %v", p.Type, speaks)
		}
		if speaks {
			if got := resolve(t, c, op); got != want[p.Type] {
				t.Errorf("%s: got %s, want %s", p.Type, got, want[p.Type])
			}
		}
	}
	// Another path for OpenAI's APIs leaves an API with a path of its own where it is.
	c := openai_compatible.Config{Type: "deepseek", APIPath: "/beta"}
	if got := resolve(t, c, op); got != want["deepseek"] {
		t.Errorf("with an api_path: got %s, want %s", got, want["deepseek"])
	}
	// The operator may name a path, for a type that does not serve Messages too.
	for _, typ := range []string{"", "groq", "deepseek"} {
		c := openai_compatible.Config{
			Type: typ, BaseURL: "http://host/v1",
			Paths: map[llmproxy.APIType]string{llmproxy.APIMessages: "/claude/"},
		}
		provider, err := openai_compatible.New(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, speaks := provider.API(llmproxy.APIMessages); !speaks {
			t.Errorf("%s does not speak Messages with a path for it", typ)
		}
		want := "http://host/claude/messages"
		if typ == "groq" {
			want = "http://host/v1/claude/messages" // /v1 is no part of its API path
		}
		if got := resolve(t, c, op); got != want {
			t.Errorf("%q: got %s, want %s", typ, got, want)
		}
	}
}
