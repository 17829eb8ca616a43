package keys

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/llmproxy/llmproxy"
)

// Hold is money of a key's budget that an exchange may cost.
type Hold struct {
	ID    string        // the exchange's; of all budgets, once
	Key   string        // the ID of the key
	Since time.Time     // when the period began; the zero time for one without an end
	Limit llmproxy.USD  // the budget
	Money llmproxy.USD  // the most the exchange is expected to cost; more than 0, at most Limit
	Life  time.Duration // after which the exchange is taken for dead, if it is not settled
}

// Holder keeps what is spent and what is held of budgets. Its methods may be called by many
// goroutines at once; package keystest holds implementations to what is written here.
//
// What is held counts like what is spent until it is settled. An exchange is let in while
// the two together are less than the budget, and its hold then counts in full, even where
// less was left. So spending passes the budget by one exchange at most: the one whose hold
// was larger than what was left. No other is let in beside it before it is settled, or
// those before it have given back enough.
type Holder interface {
	// Hold holds h. An *[ExceededError] says that nothing is left; any other error, that
	// nobody knows. Where h.ID is held already, nothing changes.
	Hold(ctx context.Context, h Hold) error

	// Settle ends h with what the exchange has cost. Of an ID that is not held it changes
	// nothing: settling twice counts once. A hold that has outlived its Life can still be
	// settled.
	Settle(ctx context.Context, h Hold, cost llmproxy.USD) error

	// Charge spends cost without a hold. What has been charged under an ID before changes
	// nothing.
	Charge(ctx context.Context, h Hold, cost llmproxy.USD) error
}

// ErrBudgetExceeded means that nothing is left of a key's budget.
var ErrBudgetExceeded = errors.New("budget exceeded")

// ExceededError is an ErrBudgetExceeded with what the budget has come to.
type ExceededError struct{ Spent, Held llmproxy.USD }

func (e *ExceededError) Error() string {
	return fmt.Sprintf("%v: $%s is spent, $%s held", ErrBudgetExceeded, e.Spent, e.Held)
}

// Unwrap returns [ErrBudgetExceeded].
func (e *ExceededError) Unwrap() error { return ErrBudgetExceeded }

// Books tells what has been spent before: a ledger is one.
type Books interface {
	// Spent returns what the exchanges of a key, the ID, since a time come to: all that
	// have ended and are not charged to a budget in this process.
	Spent(ctx context.Context, key string, since time.Time) (llmproxy.USD, error)
}

// sum returns a + b, which stays within what a USD holds; neither is negative.
func sum(a, b llmproxy.USD) llmproxy.USD {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
