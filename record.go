package llmproxy

import (
	"context"
	"time"
)

// Outcome is how an exchange ended.
type Outcome string

// The outcomes.
const (
	OutcomeUnknown    Outcome = ""           // not ended yet
	OutcomeCompleted  Outcome = "completed"  // the answer is whole
	OutcomeIncomplete Outcome = "incomplete" // the provider ended the answer early and said so
	OutcomeFailed     Outcome = "failed"     // a terminal event that reports failure
	OutcomeError      Outcome = "error"      // 4xx or 5xx, or an answer cut by the provider
	OutcomeCancelled  Outcome = "cancelled"  // the client left
	OutcomeRejected   Outcome = "rejected"   // the gateway refused
	OutcomePending    Outcome = "pending"    // a background response that has not ended
)

// UsageSource says where the tokens of a record come from.
type UsageSource string

// The sources of usage.
const (
	UsageProvider  UsageSource = "provider"  // reported, final
	UsagePartial   UsageSource = "partial"   // reported, but the answer did not reach its end
	UsageEstimated UsageSource = "estimated" // computed here
	UsageNone      UsageSource = "none"      // nothing was consumed, or nothing is known
)

// CostState says how far the cost of a record can be relied on.
type CostState string

// The cost states.
const (
	CostExact     CostState = "exact"
	CostProvider  CostState = "provider"  // the provider stated the charge
	CostEstimated CostState = "estimated" // the usage is not final
	CostUnpriced  CostState = "unpriced"  // no price is known for the model
	CostFree      CostState = "free"      // nothing to charge
	CostPending   CostState = "pending"   // not known yet
)

// Record is what one exchange used and how it ended: the one durable row it leaves.
type Record struct {
	ID                string
	Time              time.Time // when the request arrived
	Provider          string
	API               APIType
	Transport         Transport
	ModelRequested    string // as the client wrote it
	ModelAsked        string // the one the provider was asked for
	Model             string // the one that answered; else ModelAsked
	ResponseID        string
	ProviderRequestID string // the provider's x-request-id
	Status            int    // as sent to the client; 499 for one that left; 0 for an intent
	Outcome           Outcome
	FinishReason      string
	ServiceTier       string
	Speed             string // served, where it has a price of its own ("fast")
	Region            string // that served, where it has a price of its own ("us")
	Usage             Usage
	UsageSource       UsageSource
	Items             []Item // parts served by other models, not in Usage
	Inconsistent      bool   // the provider's counters contradict each other
	Unread            bool   // a part of the answer was too large, or coded, to be read by the meter
	Cost              USD    // what is charged; 0 unless CostKnown
	CostKnown         bool
	CostState         CostState
	ListCost          USD // by our own price list, without a markup; 0 unless ListCostKnown
	ListCostKnown     bool
	PriceVersion      string // of the price list that ListCost is by; "" without one
	Duration          time.Duration
	TTFT              time.Duration // to the first byte of a stream; 0 elsewhere
	Key               string        // the id of the gateway key; "" without keys
	Tags              map[string]string
	Attempts          []Attempt
	Error             *RecordError

	// ConnectionID, Turn and Lane are those of a turn of a WebSocket. Turns of one
	// connection are numbered from 1 as they end; 0 is one that never began.
	ConnectionID string
	Turn         int
	Lane         string // "" is the default lane

	// Revision is 0, and 1 on the second record of the same ID, which replaces the
	// first: that of a background response whose usage has become known.
	Revision int
}

// Attempt is one call of a provider.
type Attempt struct {
	Provider string `json:"provider"`
	Model    string `json:"model"`
	Status   int    `json:"status"` // 0 if no answer came
	Error    string `json:"error"`  // an [Error] code, where no answer came
}

// RecordError says what went wrong. It holds no text that a provider wrote: providers
// quote prompts and keys in their messages.
type RecordError struct {
	Type    string `json:"type"`
	Code    string `json:"code"`
	Message string `json:"message"` // the gateway's own words; "" for a provider's error
}

// Recorder keeps records.
type Recorder interface {
	// Begin notes that the exchange r is about to reach a provider. An error keeps it
	// from being sent: the client gets a 503. The cost state of r is the one it has if its
	// end never becomes known: free, estimated or unpriced.
	Begin(ctx context.Context, r *Record) error
	// Record keeps r before it returns. Recording the same r.ID and r.Revision twice
	// counts once. The recorder must not keep r itself, or what it points to.
	Record(ctx context.Context, r *Record) error
}

// Settler is a [Recorder] that can complete the record of a background response, which is
// pending until a later exchange shows what the response has used.
type Settler interface {
	Recorder
	// Settle gives the pending record of the response its outcome, usage and cost: those of
	// r. It must not wait for a database. settled is false where the response is not pending,
	// or not any more, and where that is not known yet: then r is kept, and settles it later.
	Settle(ctx context.Context, provider, responseID string, r *Record) (settled bool, err error)
}
