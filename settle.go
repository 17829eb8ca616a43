package llmproxy

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"
)

// ending says how an exchange came to its end.
type ending struct {
	whole   bool   // the answer arrived to its last byte
	gone    bool   // the client had left
	refused bool   // no provider was called
	failure *Error // what the client was told, where not the provider's answer
}

// settleTimeout bounds the recorder: a settlement outlives its request.
const settleTimeout = 10 * time.Second

// settle makes the record of the exchange and hands it over, once: later calls do
// nothing. It is called on every path.
func (e *run) settle(end ending) {
	if e.settled {
		return
	}
	e.settled = true
	if e.turn != nil {
		defer e.turn.ending.Store(true)
	}
	e.tries.close()
	// An interceptor may have read an answer and given another one, or none: what the
	// provider reported has been consumed all the same.
	switch t := e.tries.tap(); {
	case e.reply != nil && e.reply.tap == nil && e.reply.Tap != nil:
		e.meta = e.reply.Tap.Metadata()
	case t != nil:
		e.meta = t.extractor.Metadata()
	case e.reply != nil && e.reply.tap != nil: // a turn that nobody asked for
		e.meta = e.reply.tap.extractor.Metadata()
	}
	if end.failure != nil && end.failure.Code == "route_not_found" {
		return
	}
	e.rec = describe(e.served())
	r := &e.rec
	r.Duration = time.Since(e.x.Start)
	r.Attempts, r.ProviderRequestID = e.tries.list, e.tries.requestID
	e.judge(end)
	if e.turn != nil {
		r.ConnectionID, r.Lane, r.Transport = e.turn.s.id, e.turn.lane.name, TransportWebSocket
	}
	e.bill()
	e.tellSettled()
	if e.a.recorder == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(e.client), settleTimeout)
	defer cancel()
	defer e.contain("the recorder panicked")
	if err := e.a.recorder.Record(ctx, r); err != nil {
		e.a.log().Error("a record could not be kept", "id", r.ID, "error", err)
	}
}

// contain, deferred, ends a panic of a callback. What it says may be a prompt: its type has
// to do.
func (e *run) contain(what string) {
	if p := recover(); p != nil {
		e.a.log().Error(what, "id", e.x.ID, "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
	}
}

// judge fills in how the exchange ended: the table of usage records.
func (e *run) judge(end ending) {
	r, m := &e.rec, &e.meta
	answered := e.reply != nil
	r.UsageSource, r.CostState = UsageNone, CostFree
	if answered {
		r.Status = e.reply.StatusCode
		r.Transport = TransportHTTP
		if t := e.reply.tap; t != nil {
			r.Transport = t.transport
		} else if isSSE(e.reply.Header.Get("Content-Type")) {
			r.Transport = TransportSSE
		}
		if e.streams() {
			r.TTFT = e.ttft
		}
		r.ResponseID, r.FinishReason = m.ID, m.FinishReason
		r.Speed, r.Region = m.Speed, m.Region
		if m.Model != "" {
			r.Model = m.Model
		}
		if m.ServiceTier != "" {
			r.ServiceTier = m.ServiceTier
		}
		r.Unread = e.reply.unread || e.reply.tap != nil && e.reply.tap.missed()
		if m.ErrorType != "" || m.ErrorCode != "" {
			r.Error = &RecordError{Type: m.ErrorType, Code: m.ErrorCode}
		}
	}
	if m.UsageReported {
		r.Usage, r.Items, r.Inconsistent = m.Usage, m.Items, m.Inconsistent
	}
	if f := end.failure; f != nil && !end.gone {
		r.Error = &RecordError{Type: f.Type, Code: f.Code, Message: f.Message}
		if !e.sink.begun() {
			r.Status = f.Status
		}
	}
	switch {
	case answered && e.served().Meta.Background && m.Outcome == OutcomeUnknown && m.ID != "" && r.Status < 300:
		// It goes on without us: a later request will show its end.
		r.Outcome, r.CostState, r.Error = OutcomePending, CostPending, nil
		if end.gone {
			r.Status = statusClientGone
		}
	case end.gone:
		r.Outcome, r.Status = OutcomeCancelled, statusClientGone
		e.charge(m.UsageReported && (m.Outcome != OutcomeUnknown || end.whole && answered && !e.streams()))
	case end.refused && (r.Status < 500 || r.Status == http.StatusServiceUnavailable):
		r.Outcome = OutcomeRejected
	case end.failure != nil:
		r.Outcome = OutcomeError
		// A provider that was at work when the gateway had to end has consumed something.
		ours := end.failure.Code == "shutting_down" && len(r.Attempts) > 0
		if answered || m.UsageReported || ours || end.failure.Status == http.StatusGatewayTimeout || end.failure.Code == "provider_broken" {
			e.charge(m.UsageReported && m.Outcome != OutcomeUnknown)
		}
	case r.Status >= 400:
		r.Outcome = OutcomeError
		if m.UsageReported {
			e.charge(true)
		}
	case e.reply.Tap == nil:
		r.Outcome = OutcomeCompleted
		if op := &e.served().Operation; r.Unread || e.a.metering && (op.Metered || op.Charged) {
			// Something was consumed; what, is known only where an interceptor got an
			// answer that it did not pass on.
			e.charge(m.UsageReported && m.Outcome != OutcomeUnknown)
		}
	case e.reply.tap != nil && e.reply.tap.cut(), m.Outcome == OutcomeUnknown && e.streams() && !r.Unread:
		// The bytes ended well, the answer did not: no terminal event came.
		r.Outcome = OutcomeError
		if r.Error == nil {
			r.Error = &RecordError{Type: "server_error", Code: "unfinished_answer", Message: "the answer ended without saying so"}
		}
		e.charge(false)
	case m.Outcome == OutcomeUnknown:
		r.Outcome = OutcomeCompleted
		e.charge(m.UsageReported && !r.Unread)
	default:
		r.Outcome = m.Outcome
		switch {
		case m.Outcome == OutcomePending:
			r.CostState = CostPending
		case m.Outcome == OutcomeFailed && !m.UsageReported:
		default:
			e.charge(m.UsageReported)
		}
	}
}

// charge says that tokens were consumed: how many, for certain where final is true, and
// what the provider itself says they cost.
func (e *run) charge(final bool) {
	r := &e.rec
	r.CostState = CostUnpriced
	switch {
	case final:
		r.UsageSource = UsageProvider
		if e.meta.CostReported {
			r.Cost, r.CostKnown, r.CostState = e.meta.ProviderCost, true, CostProvider
		}
	case e.meta.UsageReported:
		r.UsageSource = UsagePartial
	}
}

// foresee returns the state of intent's cost if its end never becomes known.
func (a *AutoRouter) foresee(x *Exchange, intent *Record) CostState {
	if !a.metering || !x.Operation.Metered && !x.Operation.Charged {
		return CostFree
	}
	r := *intent
	r.Outcome, r.UsageSource, r.CostState = OutcomeError, UsageNone, CostUnpriced
	return a.billing.Bill(&r).State
}

// bill prices the record.
func (e *run) bill() {
	r := &e.rec
	defer e.contain("billing panicked")
	e.billed = e.a.billing.Bill(r)
	b := &e.billed
	r.Cost, r.CostKnown, r.CostState = b.Cost, b.CostKnown, b.State
	r.ListCost, r.ListCostKnown, r.PriceVersion = b.ListCost, b.ListCostKnown, b.PriceVersion
	if t := e.turn; t != nil && e.tries.begun {
		defer t.s.number(r)()
		if e.a.onTurn != nil {
			billing := b
			if !b.CostKnown {
				billing = nil
			}
			e.a.onTurn(r.Turn, e.metadata(), billing)
		}
	}
	if e.a.onBilling != nil {
		e.a.onBilling(r, b)
	}
}

// tellSettled tells whoever asked to be told of the record.
func (e *run) tellSettled() {
	defer e.contain("a function that was to be told of a record panicked")
	e.x.settled.call(&e.rec)
}
