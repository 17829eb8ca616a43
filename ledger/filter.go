package ledger

import (
	"cmp"
	"strings"

	"github.com/llmproxy/llmproxy"
)

// selects reports whether f selects r, leaving After, Limit and Newest aside.
func (f *Filter) selects(r *llmproxy.Record) bool {
	switch {
	case !f.Since.IsZero() && r.Time.Before(f.Since),
		!f.Until.IsZero() && !r.Time.Before(f.Until),
		f.Provider != "" && r.Provider != f.Provider,
		f.Model != "" && r.Model != f.Model,
		f.Key != "" && r.Key != f.Key,
		f.Outcome != "" && r.Outcome != f.Outcome,
		f.ConnectionID != "" && r.ConnectionID != f.ConnectionID,
		f.ID != "" && r.ID != f.ID:
		return false
	case f.Tag == "":
		return true
	}
	name, want, valued := strings.Cut(f.Tag, "=")
	got, ok := r.Tags[name]
	return ok && (!valued || got == want)
}

// order is the order of [Store.Records]: by Time, then by ID.
func order(a, b *llmproxy.Record) int {
	return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.ID, b.ID))
}
