package dialect

import (
	"math"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/wire"
)

// A Charge reads what a provider says it charged for an answer, out of the answer's
// usage object. ok is false where it does not say, and where it names an amount that is
// not all there is to pay.
//
// It is a property of the provider: members of the same names mean other things
// elsewhere.
type Charge func(usage []byte) (amount llmproxy.USD, ok bool)

// Charging returns newReader with readers that look for what c reads. A nil c changes
// nothing; a reader without a method ReadCharges stays as it is.
func Charging(newReader func() llmproxy.ResponseExtractor, c Charge) func() llmproxy.ResponseExtractor {
	if c == nil {
		return newReader
	}
	return func() llmproxy.ResponseExtractor {
		r := newReader()
		if a, ok := r.(interface{ ReadCharges(Charge) }); ok {
			a.ReadCharges(c)
		}
		return r
	}
}

// ReadCharges makes a look for what c reads.
func (a *Answer) ReadCharges(c Charge) { a.charge = c }

// Ticks reads xAI's cost_in_usd_ticks: the whole charge, tools and discounts included, in
// units of 100 picodollars.
func Ticks(usage []byte) (amount llmproxy.USD, ok bool) {
	const tick = 100
	n, ok := wire.Int(wire.Member(usage, "cost_in_usd_ticks"))
	if !ok || n < 0 || n > math.MaxInt64/tick {
		return 0, false
	}
	return llmproxy.USD(n * tick), true
}

// Credits reads OpenRouter's cost: the dollars it took. Where the account at the model's
// own provider pays (is_byok), that is OpenRouter's fee alone and no charge; an answer
// that does not say so is taken for one of these if the model's provider cost more than
// OpenRouter took.
func Credits(usage []byte) (amount llmproxy.USD, ok bool) {
	var cost, byok, details []byte
	for name, value := range wire.Members(usage) {
		switch string(name) {
		case "cost":
			cost = value
		case "is_byok":
			byok = value
		case "cost_details":
			details = value
		}
	}
	if amount, ok = dollars(cost); !ok {
		return 0, false
	}
	if own, stated := wire.Bool(byok); stated {
		if own {
			return 0, false
		}
	} else if upstream, stated := dollars(wire.Member(details, "upstream_inference_cost")); stated && upstream > amount {
		return 0, false
	}
	return amount, true
}

// TotalCost reads Perplexity's cost.total_cost, in dollars: tokens, searches and the fee
// of the request.
func TotalCost(usage []byte) (amount llmproxy.USD, ok bool) {
	return dollars(wire.Member(wire.Member(usage, "cost"), "total_cost"))
}

// dollars reads an amount that is a number and not negative.
func dollars(value []byte) (amount llmproxy.USD, ok bool) {
	const longest = 64 // bytes of a number that is believed
	if wire.KindOf(value) != wire.Number || len(value) > longest {
		return 0, false
	}
	amount, err := llmproxy.ParseUSD(string(value))
	if err != nil || amount < 0 {
		return 0, false
	}
	return amount, true
}
