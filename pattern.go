package llmproxy

// matchPattern reports whether name matches pattern, in which each * stands for any
// characters. ASCII case is ignored.
func matchPattern(pattern, name string) bool {
	// The usual two-pointer walk: on a mismatch, let the last * take one more byte.
	p, n, star, mark := 0, 0, -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, n
			p++
		case p < len(pattern) && lower(pattern[p]) == lower(name[n]):
			p++
			n++
		case star >= 0:
			p = star + 1
			mark++
			n = mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// matchAny reports whether one of patterns matches name.
func matchAny(patterns []string, name string) bool {
	return longestMatch(patterns, name) > 0
}

// longestMatch returns the length of the longest of patterns that matches name, 0 if
// none does.
func longestMatch(patterns []string, name string) (length int) {
	for _, p := range patterns {
		if len(p) > length && matchPattern(p, name) {
			length = len(p)
		}
	}
	return length
}
