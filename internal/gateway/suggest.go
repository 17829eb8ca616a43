package gateway

import "strings"

// suggest returns "; did you mean …?" with the candidate nearest to word, or "" when
// none is near: one slip in a short word, two in a longer one.
func suggest(word string, candidates []string) string {
	best, distance := "", 3
	if len(word) < 5 {
		distance = 2
	}
	for _, c := range candidates {
		if d := slips(strings.ToLower(word), c); d < distance {
			best, distance = c, d
		}
	}
	if best == "" {
		return ""
	}
	return `; did you mean "` + best + `"?`
}

// slips returns how many slips of the keyboard make b of a: a byte inserted, dropped or
// replaced, or two neighbours swapped.
func slips(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1) // the rows above
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			replaced := last[j]
			if a[i] != b[j] {
				replaced++
			}
			row[j+1] = min(replaced, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
