package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/llmproxy/llmproxy"
)

// Store keeps records for good and answers questions about them. Implementations are
// below adapter/; package ledgertest holds them to what is written here. Its methods may
// be called by many goroutines at once.
type Store interface {
	// Append keeps records, all of them or, with an error, none. A record whose ID is
	// there already is skipped, unless its Revision is higher: then it takes the other's
	// place. The store keeps nothing that a record points to.
	//
	// The error is [ErrRefused] where it is about a record's own values, and trying again
	// is of no use. Any other error is about the store: it is down, or full.
	Append(ctx context.Context, records []llmproxy.Record) error

	// Records calls yield with the records that f selects, the oldest first (by Time, then
	// ID, byte by byte), until yield returns an error, which it returns. Records that are appended
	// meanwhile may or may not be seen.
	Records(ctx context.Context, f Filter, yield func(*llmproxy.Record) error) error

	// Sums returns sums over the records that f selects, one for each group, sorted by
	// Group, byte by byte; none where f selects nothing. After, Limit and Newest have no
	// say. An unknown grouping is an error.
	Sums(ctx context.Context, f Filter, by Grouping) ([]Sum, error)

	// Pending returns the record of a background response whose CostState is still
	// pending, by the provider's name for the response; ok is false where there is none.
	Pending(ctx context.Context, provider, responseID string) (r llmproxy.Record, ok bool, err error)

	// Reprice sets the cost fields of records (Cost, ListCost, their Known, CostState and
	// PriceVersion) by ID, and nothing else of them. What they were first stays with the
	// record, as its original cost; see Repriced.
	Reprice(ctx context.Context, records []llmproxy.Record) error

	// Repriced calls yield with the records that Reprice has changed and f selects, the
	// oldest first, as they are and as they were.
	Repriced(ctx context.Context, f Filter, yield func(now, original *llmproxy.Record) error) error

	// Delete removes the records from before t, and returns how many there were.
	Delete(ctx context.Context, before time.Time) (int64, error)

	// Close ends the store once its calls have returned.
	Close() error
}

// ErrRefused means that the store cannot keep a record for what is in it. The journal puts
// such a record aside, so that it does not keep others from the store.
var ErrRefused = errors.New("ledger: the store cannot keep a value of a record")

// Filter selects records. A zero field selects all.
type Filter struct {
	Since, Until time.Time // Since ≤ Time < Until
	Provider     string
	Model        string // the one that answered
	Key          string
	Outcome      llmproxy.Outcome
	ConnectionID string
	Tag          string // "name" or "name=value"
	ID           string
	After        string // the ID of the last record of a page: only records that come after it, in the order of Records
	Limit        int    // at most so many; 0 means all
	Newest       bool   // the newest first, in Records
}

// Grouping is what records are summed by.
type Grouping string

// The groupings. ByTag sums by the value of the tag after the colon: "tag:team".
const (
	ByNothing  Grouping = ""
	ByModel    Grouping = "model"
	ByProvider Grouping = "provider"
	ByKey      Grouping = "key"
	ByDay      Grouping = "day"  // UTC, as 2006-01-02
	ByHour     Grouping = "hour" // UTC, as 2006-01-02T15
	ByOutcome  Grouping = "outcome"
	ByTag      Grouping = "tag:"
)

// Sum is what the records of one group come to.
type Sum struct {
	Group     string // "" also for records without a value
	Exchanges int64
	Errors    int64 // of the outcomes error and failed
	Usage     llmproxy.Usage
	// Cost and ListCost are over the records that have one. They may exceed what one
	// [llmproxy.USD] holds: then the store returns [llmproxy.ErrMoney].
	Cost, ListCost llmproxy.USD
	Unpriced       int64 // records whose cost is not known: unpriced, pending, or estimated without usage
	Estimated      int64 // records that have a cost which is an estimate
	DurationSum    time.Duration
	TTFTSum        time.Duration // over the TTFTCount records that have one
	TTFTCount      int64
}
