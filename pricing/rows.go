package pricing

import (
	"cmp"
	"slices"
	"strings"
)

// Rows returns the prices that b was made of, in order of family, model and period, each
// with its source and version. The Family of one of the operator's is its provider. The
// caller owns the slice, but not what its rows point to.
func (b *Book) Rows() []Price {
	rows := slices.Clone(b.rows)
	slices.SortStableFunc(rows, func(x, y Price) int {
		return cmp.Or(strings.Compare(x.Family, y.Family), strings.Compare(x.Model, y.Model))
	})
	return rows
}

// sortPatterns puts the most precise first: the one with the most bytes that are not *,
// then the one that comes first in the alphabet.
func sortPatterns(models []*model) {
	precise := func(m *model) int { return len(m.pattern) - strings.Count(m.pattern, "*") }
	slices.SortFunc(models, func(x, y *model) int {
		return cmp.Or(precise(y)-precise(x), strings.Compare(x.pattern, y.pattern))
	})
}
