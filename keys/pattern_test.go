package keys

import (
	"regexp"
	"strings"
	"testing"
)

func TestMatches(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"gpt-5", "gpt-5", true},
		{"gpt-5", "GPT-5", true},
		{"gpt-5", "gpt-5-mini", false},
		{"gpt-5*", "gpt-5", true},
		{"gpt-5*", "gpt-5-mini", true},
		{"*-mini", "gpt-5-mini", true},
		{"*-mini", "-min", false},
		{"a*a", "a", false},
		{"a*a", "aa", true},
		{"a*b*c", "a-bc-b-c", true},
		{"a*bc*c", "abc", false},
		{"*", "", true},
		{"", "", true},
		{"", "a", false},
		{"k", "\u212a", false}, // the Kelvin sign is no letter of ASCII
	} {
		if got := matches(tt.pattern, tt.name); got != tt.want {
			t.Errorf("matches(%q, %q) = %t, want %t", tt.pattern, tt.name, got, tt.want)
		}
	}
}

// A pattern matches what the regular expression of it does.
func FuzzMatches(f *testing.F) {
	f.Add("a*b", "axxb")
	f.Add("*a*", "A")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 100 || !printable(pattern) || !printable(name) {
			return
		}
		parts := strings.Split(lowered(pattern), "*")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		want := regexp.MustCompile("(?s)^" + strings.Join(parts, ".*") + "$").MatchString(lowered(name))
		if got := matches(pattern, name); got != want {
			t.Errorf("matches(%q, %q) = %t, want %t", pattern, name, got, want)
		}
	})
}
