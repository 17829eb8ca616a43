package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Whatever is wrong, and wherever a secret ended up by mistake, no fault shows it.
func TestNoSecretIsShown(t *testing.T) {
	t.Parallel()
	values := []string{
		`sk-canary`, `"sk-canary`, `"sk-canary\n"`, `{a: sk-canary}`, `[sk-canary]`, `{sk-canary: sk-canary, b`,
		"|\n      sk-canary\n      more", `*x # sk-canary`, `!!int sk-canary`, `${sk-canary}`,
		`"${CANARY}"`, `["${CANARY}"]`, `"${UNSET:-${CANARY}} x"`, `"${CANARY:-`, `'${CANARY}'x`,
	}
	for key, owner := range providerKeys() {
		for i, value := range values {
			if !owner.secret && i < 10 {
				continue // of these, the file's own text may be shown
			}
			line := "    " + key + ": " + value + "\n"
			text := "providers:\n  groq:\n    api_key: k\n  n:\n" + line
			if key != "type" {
				text += "    type: " + owner.name + "\n"
			}
			_, err := load(t, text, "CANARY=env-canary: {[\n")
			if err == nil && !owner.takesAll {
				t.Errorf("no fault in\n%s", text)
			}
			if err != nil && strings.Contains(err.Error(), "canary") && !strings.Contains(value, "${sk-canary}") {
				t.Errorf("a secret is shown in\n%s\n%v", text, err)
			}
		}
	}
	for _, key := range keysOf(reflect.TypeFor[Config]()) {
		text := key + ": \"${CANARY}\"\nproviders: {openai: {api_key: k}}\n"
		if _, err := load(t, text, "CANARY=env-canary\n"); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got %v", key, err)
		}
	}
}

// A keyOwner is a type of provider that has a key.
type keyOwner struct {
	name     string // of the type
	secret   bool   // the key's value is never shown
	takesAll bool   // there are values of any kind that are no fault
}

// providerKeys returns every key of a provider, those of later versions and misspelt ones
// included, each with a type that has it.
func providerKeys() map[string]keyOwner {
	keys := map[string]keyOwner{
		"api_kye": {"openai", true, false}, "prices": {"openai", true, false}, "session_tokne": {"bedrock", true, false},
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[ProviderConfig]()) {
		key := f.Tag.Get("yaml")
		if key == "" || key == "-" {
			continue
		}
		owner := keyOwner{name: "openai", secret: f.Tag.Get("secret") != ""}
		for _, t := range catalog() {
			if slices.Contains(t.keys, key) {
				owner.name = t.name
				break
			}
		}
		switch key {
		case "api_key", "base_url", "headers", "models", "query", "auth_token", "access_token", "bearer_token",
			"access_key_id", "secret_access_key", "session_token", "deployment":
			owner.takesAll = true
		}
		keys[key] = owner
	}
	return keys
}

// A configuration that is printed, logged or encoded shows no key.
func TestConfigHidesSecrets(t *testing.T) {
	t.Parallel()
	c, err := load(t, `
providers:
  openai: {api_key: sk-canary, base_url: "http://canary", headers: {X-A: canary}, query: {k: canary}}
  anthropic: {auth_token: sk-canary}
  vertex: {type: vertexai, project: p, access_token: sk-canary}
  bedrock: {region: us-east-1, bearer_token: sk-canary, access_key_id: canary, secret_access_key: canary, session_token: canary}
  azure: {resource: r, access_token: sk-canary}
`[1:])
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%v %+v %#v %s\n", c, *c, *c, c.Providers)
	if err := json.NewEncoder(&b).Encode(c); err != nil {
		t.Fatal(err)
	}
	slog.New(slog.NewJSONHandler(&b, nil)).Info("", "config", c)
	slog.New(slog.NewTextHandler(&b, nil)).Info("", "config", c)
	if strings.Contains(b.String(), "canary") {
		t.Errorf("a secret is shown: %s", &b)
	}
}

// The loader survives anything; its faults have a place in the file; what it takes, it
// takes again, and the gateway can run it; and an unknown key never goes unnoticed.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"", "---\n", "a: 1\n---\nb: 2", "\ufefflisten: :1", "x: [", "{", "? a\n: b", "!!map {}", "&a [*a]", "<<: 1",
		"listen: \"${A}${B:-127.0.0.1:1}$$\"\nproviders:\n  openai: {api_key: \"${KEY}\"}\n",
		"providers:\n  a: &x {type: vllm, models: [b, c*]}\n  b: {<<: *x}\nfallback: a\nlimits: {upload: 1MB}\n",
		"providers: {groq: {api_key: k, headers: {A: b}, include_usage: true, timeout: 1s}}\nlog: {level: debug}",
		"providers:\n  openai:\n    api_key: |\n      k\n", "a: >-\n  b\n\nc: 'd''e'\n",
		"tls: {cert: a.pem, key: b}\nproviders: {anthropic: {auth_token: t}, googleai: {api_key: k}, cohere: {api_key: k}}\n",
		"providers:\n  b: {type: bedrock, region: us-east-1, access_key_id: a, secret_access_key: b, session_token: c, fips: true}\n" +
			"  v: {type: vertexai, project: p, location: eu, api_version: v1, access_token: t}\n" +
			"  a: {type: azure, resource: r, api_version: 2024-10-21, deployment: d, api_key: k}\n" +
			"  o: {type: openai_compatible, base_url: http://h, paths: {messages: /v1}, query: {a: b}, api_key_header: x}\n",
	} {
		f.Add(seed)
	}
	s := Source{LookupEnv: environment("KEY=k", "A=", "OPENAI_API_KEY=k")}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := s.load("f", []byte(text))
		if err != nil {
			var faults Faults
			if !errors.As(err, &faults) || len(faults) == 0 {
				t.Fatalf("the error is no list of faults: %v", err)
			}
			lines := strings.Count(text, "\n") + strings.Count(text, "\r") + 1
			for _, fault := range faults {
				if fault.Message == "" || fault.Line < 0 || fault.Line > lines || (fault.Line > 0) != (fault.Column > 0) {
					t.Errorf("%#v of %d lines", fault, lines)
				}
			}
			return
		}
		again, err := s.load("f", []byte(text))
		if err != nil {
			t.Fatalf("taken once, and then: %v", err)
		}
		if diff := cmp.Diff(c, again, cmpopts.IgnoreUnexported(ProviderConfig{})); diff != "" {
			t.Errorf("loaded twice: %s", diff)
		}
		if _, err := New(c, Parts{Recorder: LogRecorder(slog.New(slog.DiscardHandler))}, slog.New(slog.DiscardHandler)); err != nil {
			t.Errorf("taken, but does not run: %v", err)
		}
		if _, err := s.load("f", []byte(text+"\nfrobnicate: 1\n")); err == nil {
			t.Error("an unknown key was not noticed")
		}
	})
}

// A value of the environment is a value: it changes nothing but the scalar it stands in,
// and no fault repeats it.
func FuzzEnvironmentValue(f *testing.F) {
	for _, seed := range []string{"sk-1", `a"b`, "a: b\n- c", "${KEY}", "}", "'", "\x00", "#", "*x", "é", "\xff"} {
		f.Add(seed)
	}
	const text = "providers:\n  openai: {api_key: \"${KEY}\", headers: {X-A: '${KEY}'}}\n  groq:\n    api_key: ${KEY}\nfallback: groq\n"
	f.Fuzz(func(t *testing.T, value string) {
		if value == "" {
			t.Skip("an empty key is another matter")
		}
		c, err := Source{LookupEnv: environment("KEY=" + value)}.load("f", []byte(text))
		if err != nil {
			visible := !strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r >= 0x7f })
			if visible && utf8.ValidString(value) {
				t.Errorf("%q: %v", value, err)
			}
			if len(value) > 20 && strings.Contains(err.Error(), value) {
				t.Errorf("%q is shown: %v", value, err)
			}
			return
		}
		want := []ProviderConfig{
			{Name: "openai", Type: "openai", APIKey: value, Headers: map[string]string{"X-A": value}},
			{Name: "groq", Type: "groq", APIKey: value},
		}
		if diff := cmp.Diff(want, c.Providers, cmpopts.IgnoreUnexported(ProviderConfig{})); diff != "" || c.Fallback != "groq" {
			t.Errorf("%q: fallback %s, -want +got:\n%s", value, c.Fallback, diff)
		}
	})
}
