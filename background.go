package llmproxy

import "context"

// settleEarlier completes the record of an earlier exchange, a background response that
// this one's answer shows the end of. It does so once.
func (e *run) settleEarlier() {
	t := e.reply.shown
	if t == nil {
		return
	}
	m := t.extractor.Metadata()
	if m.ID == "" || m.Outcome == OutcomeUnknown || m.Outcome == OutcomePending {
		return
	}
	if !m.UsageReported && m.Outcome != OutcomeFailed {
		return // a cancellation says nothing of usage: a later answer may
	}
	e.reply.shown = nil
	r := describe(e.served())
	r.Status, r.ResponseID, r.Outcome, r.FinishReason = e.reply.StatusCode, m.ID, m.Outcome, m.FinishReason
	r.Model, r.ModelAsked, r.ServiceTier, r.Speed, r.Region = m.Model, m.Model, m.ServiceTier, m.Speed, m.Region
	r.UsageSource, r.CostState = UsageNone, CostFree
	if m.ErrorType != "" || m.ErrorCode != "" {
		r.Error = &RecordError{Type: m.ErrorType, Code: m.ErrorCode}
	}
	if m.UsageReported {
		r.Usage, r.Items, r.Inconsistent = m.Usage, m.Items, m.Inconsistent
		r.UsageSource, r.CostState = UsageProvider, CostUnpriced
		if m.CostReported {
			r.Cost, r.CostKnown, r.CostState = m.ProviderCost, true, CostProvider
		}
	}
	defer e.contain("settling a background response panicked")
	b := e.a.billing.Bill(&r)
	r.Cost, r.CostKnown, r.CostState = b.Cost, b.CostKnown, b.State
	r.ListCost, r.ListCostKnown, r.PriceVersion = b.ListCost, b.ListCostKnown, b.PriceVersion
	ctx, cancel := context.WithTimeout(context.WithoutCancel(e.client), settleTimeout)
	defer cancel()
	settled, err := e.a.settler.Settle(ctx, r.Provider, m.ID, &r)
	if err != nil {
		e.a.log().Error("the record of a background response could not be completed", "id", e.x.ID, "error", err)
	}
	if settled && e.a.onBilling != nil {
		r.Revision = 1
		e.a.onBilling(&r, &b)
	}
}
