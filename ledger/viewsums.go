package ledger

import (
	"context"

	"github.com/llmproxy/llmproxy"
)

// Sums is [Store.Sums] of both. It reads every record that f selects.
func (v View) Sums(ctx context.Context, f Filter, by Grouping) ([]Sum, error) {
	if _, err := by.group(&llmproxy.Record{}); err != nil {
		return nil, err
	}
	s := sums{by: by, groups: map[string]*summing{}}
	if err := v.Records(ctx, f, s.add); err != nil {
		return nil, err
	}
	return s.all()
}
