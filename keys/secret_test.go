package keys_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy/keys"
)

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func TestSecret(t *testing.T) {
	t.Parallel()
	seen := map[keys.Secret]bool{}
	for range 1000 {
		s := keys.NewSecret()
		if len(s) != 54 || !strings.HasPrefix(string(s), "llmp_") || strings.Trim(string(s[5:]), alphabet) != "" {
			t.Fatalf("the secret has the form %q", string(s))
		}
		if got, err := keys.ParseSecret(string(s)); err != nil || got != s {
			t.Fatalf("ParseSecret: got %q, %v", string(got), err)
		}
		if seen[s] {
			t.Fatal("a secret came twice")
		}
		seen[s] = true
	}
}

// Whatever prints a secret by mistake prints its prefix.
func TestSecretIsNotShown(t *testing.T) {
	t.Parallel()
	s := keys.NewSecret()
	for _, format := range []string{"%v", "%s", "%+v", "%#v", "%q"} {
		for _, v := range []any{s, struct{ S keys.Secret }{s}} {
			if got := fmt.Sprintf(format, v); strings.Contains(got, string(s[5:])) {
				t.Errorf("%s shows the secret", format)
			}
		}
	}
}

func TestParseSecret(t *testing.T) {
	t.Parallel()
	s := string(keys.NewSecret())
	for _, tt := range []struct {
		name, text string
		want       error
	}{
		{"another's key", "sk-proj-abc", keys.ErrNotSecret},
		{"nothing", "", keys.ErrNotSecret},
		{"another prefix", "LLMP_" + s[5:], keys.ErrNotSecret},
		{"the prefix alone", "llmp_", keys.ErrMistyped},
		{"cut", s[:53], keys.ErrMistyped},
		{"too long", s + "0", keys.ErrMistyped},
		{"in quotes", `llmp_"` + s[6:], keys.ErrMistyped},
		{"two letters swapped", swapped(s), keys.ErrMistyped},
	} {
		if got, err := keys.ParseSecret(tt.text); !errors.Is(err, tt.want) || got != "" {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}

// swapped returns s with two neighbours that differ in each other's place.
func swapped(s string) string {
	for i := 10; ; i++ {
		if s[i] != s[i+1] {
			return s[:i] + s[i+1:i+2] + s[i:i+1] + s[i+2:]
		}
	}
}

// A secret with one character changed is none, and what is one is spelled in one way.
func FuzzParseSecret(f *testing.F) {
	f.Add(string(keys.NewSecret()), uint(7), byte('x'))
	f.Add("llmp_", uint(0), byte(0))
	f.Fuzz(func(t *testing.T, text string, at uint, c byte) {
		s, err := keys.ParseSecret(text)
		if err != nil {
			if s != "" {
				t.Errorf("%q: an error and a secret", text)
			}
			return
		}
		if string(s) != text {
			t.Errorf("%q was read as %q", text, string(s))
		}
		changed := []byte(text)
		i := at % uint(len(changed))
		if changed[i] == c {
			return
		}
		changed[i] = c
		if _, err := keys.ParseSecret(string(changed)); err == nil {
			t.Errorf("%q and %q are both secrets", text, changed)
		}
	})
}
