package ledger

import (
	"maps"
	"slices"

	"github.com/llmproxy/llmproxy"
)

// clone returns a copy of r that shares nothing with it.
func clone(r *llmproxy.Record) *llmproxy.Record {
	c := *r
	c.Items, c.Attempts, c.Tags = slices.Clone(r.Items), slices.Clone(r.Attempts), maps.Clone(r.Tags)
	if r.Error != nil {
		e := *r.Error
		c.Error = &e
	}
	return &c
}
