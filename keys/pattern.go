package keys

import "strings"

// matches reports whether name matches pattern, in which each * stands for any characters.
// ASCII case is ignored, as it is in the patterns of routing.
func matches(pattern, name string) bool {
	pattern, name = lowered(pattern), lowered(name)
	first, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == name
	}
	if !strings.HasPrefix(name, first) {
		return false
	}
	name = name[len(first):]
	for {
		part, more, again := strings.Cut(rest, "*")
		if !again {
			return strings.HasSuffix(name, part)
		}
		// The leftmost place leaves the most for what follows.
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name, rest = name[i+len(part):], more
	}
}

// lowered returns s with its ASCII letters in lower case.
func lowered(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// matchAny reports whether one of patterns matches name.
func matchAny(patterns []string, name string) bool {
	for _, p := range patterns {
		if matches(p, name) {
			return true
		}
	}
	return false
}
