package llmproxy

import "time"

// CostQuery asks what one exchange, or one item of it, is charged by. All of it is what
// was served, not what was asked for.
type CostQuery struct {
	Provider string // as configured
	// Model is the one that answered, as the provider names it. Asked is the one that was
	// asked for there, for providers whose answers name a model that no list has; "" if it
	// is the same.
	Model, Asked string
	API          APIType
	Time         time.Time // of the request
	PromptTokens int64     // the whole prompt, cached parts included: chooses the context tier
	ServiceTier  string    // "priority", "flex", "batch" …; "" if the provider did not say
	Speed        string    // "fast"
	Region       string    // "us"
}

// CostInfo is the price of one model for one exchange: the column of its list that
// applies. Every rate is set; one that a list does not have is already replaced by the
// one it falls back on.
type CostInfo struct {
	Input, InputAudio, InputImage, InputVideo, InputTool, Citation Rate
	CacheRead, CacheReadAudio, CacheReadImage                      Rate
	CacheWrite, CacheWrite1h                                       Rate
	Output, Reasoning, OutputAudio, OutputImage                    Rate

	// Each call, or exchange.
	WebSearch, WebFetch, SearchUnit, Request USD

	// Multiplier applies to the tokens, not to what is charged by the call.
	Multiplier Ratio

	Source  string // where the price is from: "embedded", "models.dev", "config"
	Version string // names this very price list: stays on the record
}

// Cost returns the price of u, rounded once, half to even, to a picodollar. [ErrMoney]
// where u is not consistent or the amount cannot be held.
func (c *CostInfo) Cost(u Usage) (USD, error) {
	if !u.Consistent() {
		return 0, ErrMoney
	}
	var tokens, calls sum
	tokens.add(u.Input(), int64(c.Input))
	tokens.add(u.InputAudio, int64(c.InputAudio))
	tokens.add(u.InputImage, int64(c.InputImage))
	tokens.add(u.InputVideo, int64(c.InputVideo))
	tokens.add(u.InputTool, int64(c.InputTool))
	tokens.add(u.Citation, int64(c.Citation))
	tokens.add(u.CacheRead, int64(c.CacheRead))
	tokens.add(u.CacheReadAudio, int64(c.CacheReadAudio))
	tokens.add(u.CacheReadImage, int64(c.CacheReadImage))
	tokens.add(u.CacheWrite, int64(c.CacheWrite))
	tokens.add(u.CacheWrite1h, int64(c.CacheWrite1h))
	tokens.add(u.Output(), int64(c.Output))
	tokens.add(u.Reasoning, int64(c.Reasoning))
	tokens.add(u.OutputAudio, int64(c.OutputAudio))
	tokens.add(u.OutputImage, int64(c.OutputImage))
	cost, err := tokens.times(c.Multiplier)
	if err != nil {
		return 0, err
	}
	calls.add(int64(cost), 1)
	calls.add(u.WebSearches, int64(c.WebSearch))
	calls.add(u.WebFetches, int64(c.WebFetch))
	calls.add(u.SearchUnits, int64(c.SearchUnit))
	calls.add(1, int64(c.Request))
	return calls.times(Ratio{})
}

// CostLookup finds the price of an exchange; ok is false where none is known, which is
// not a price of zero. It is called by many goroutines at once.
type CostLookup func(q CostQuery) (c CostInfo, ok bool)

// BillingCalculator turns usage into cost. Its zero value knows no price.
type BillingCalculator struct {
	Lookup CostLookup
	// Markup is the factor between what the provider charges and what is charged on; nil
	// means 1 for all.
	Markup func(r *Record) Ratio
}

// BillingResult is what one exchange costs.
type BillingResult struct {
	// Cost is what is charged, and CostKnown whether that is known: the provider's own
	// statement where it made one, else ListCost; times the markup.
	Cost      USD
	CostKnown bool
	// ListCost is what our price list says, without a markup.
	ListCost      USD
	ListCostKnown bool

	State          CostState
	PriceSource    string // of ListCost
	PriceVersion   string
	Inconsistent   bool // the usage contradicts itself: no cost of ours
	ProviderStated bool // Cost is the provider's own figure
}

// Bill returns what r, whose usage and cost state are filled in, costs. A record that is
// free or pending costs what it did; of the others, what has no price is unpriced.
func (b *BillingCalculator) Bill(r *Record) BillingResult {
	res := BillingResult{State: r.CostState, Cost: r.Cost, CostKnown: r.CostKnown}
	switch r.CostState {
	case CostFree:
		res.Cost, res.CostKnown = 0, true
		return res
	case CostPending:
		return res
	}
	res.ProviderStated = r.CostState == CostProvider
	priced := b.list(r, &res)
	if !res.ProviderStated {
		res.Cost, res.CostKnown = res.ListCost, res.ListCostKnown
	}
	if res.CostKnown && b != nil && b.Markup != nil {
		marked, err := b.Markup(r).Of(res.Cost)
		res.Cost, res.CostKnown = marked, err == nil
	}
	switch {
	case res.ProviderStated && res.CostKnown:
	case r.UsageSource == UsageNone && priced && r.Outcome != OutcomeCompleted:
		res.State = CostEstimated // of nothing that is known
	case !res.CostKnown:
		res.State = CostUnpriced
	case r.UsageSource == UsageProvider && !r.Inconsistent:
		res.State = CostExact
	default:
		res.State = CostEstimated
	}
	return res
}

// list fills in what the price list says of r and its items. It reports whether the list
// has the model.
func (b *BillingCalculator) list(r *Record, res *BillingResult) (priced bool) {
	if b == nil || b.Lookup == nil {
		return false
	}
	q := CostQuery{
		Provider: r.Provider, Model: r.Model, Asked: r.ModelAsked, API: r.API, Time: r.Time,
		PromptTokens: r.Usage.PromptTokens, ServiceTier: r.ServiceTier, Speed: r.Speed, Region: r.Region,
	}
	c, ok := b.Lookup(q)
	if !ok {
		return false
	}
	if r.UsageSource == UsageNone {
		return true
	}
	res.PriceSource, res.PriceVersion = c.Source, c.Version
	cost, err := c.Cost(r.Usage)
	if err != nil {
		res.Inconsistent = true
		return true
	}
	var total sum
	total.add(int64(cost), 1)
	for _, i := range r.Items {
		q.Model, q.Asked, q.PromptTokens = i.Model, "", i.Usage.PromptTokens
		if c, ok = b.Lookup(q); !ok {
			return true
		}
		if cost, err = c.Cost(i.Usage); err != nil {
			res.Inconsistent = true
			return true
		}
		total.add(int64(cost), 1)
	}
	if cost, err = total.times(Ratio{}); err == nil {
		res.ListCost, res.ListCostKnown = cost, true
	}
	return true
}
