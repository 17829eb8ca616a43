package interceptors

import (
	"net/http"
	"slices"
	"strings"

	"github.com/llmproxy/llmproxy/wire"
)

// OutOfQuota reports whether the provider refuses because the account has no quota or
// credit left, which no pause of ours mends: insufficient_quota and
// billing_hard_limit_reached of OpenAI, credit balances, daily quotas of Google's APIs.
//
// Of a 400 or 403, whose messages may quote what the client has sent, only whole codes and
// the beginning of the message count.
func (f *Failure) OutOfQuota() bool {
	switch f.Status {
	case http.StatusPaymentRequired:
		return true
	case http.StatusTooManyRequests, http.StatusForbidden, http.StatusBadRequest:
	default:
		return false
	}
	fault := faultOf(f.Body)
	if hasCode(fault, quotaCodes[:]) {
		return true
	}
	message := strings.ToLower(messageOf(fault))
	for _, beginning := range quotaBeginnings {
		if strings.HasPrefix(message, beginning) {
			return true
		}
	}
	if f.Status != http.StatusTooManyRequests {
		return false
	}
	violated := false
	for detail := range wire.Elements(wire.Member(fault, "details")) {
		for violation := range wire.Elements(wire.Member(detail, "violations")) {
			violated = true
			if id, _ := wire.String(wire.Member(violation, "quotaId")); strings.Contains(id, "PerDay") {
				return true
			}
		}
	}
	if !violated && strings.Contains(message, "plan and billing") {
		// Google says so of limits that last a minute too, and then which, or for how long.
		_, passes := bodyHint(f.Body)
		return !passes
	}
	return containsAny(message, quotaPhrases[:])
}

// ofAccount reports whether the provider refuses the account that the gateway has there:
// its credential is wrong, or has been withdrawn.
func (f *Failure) ofAccount() bool {
	switch f.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return hasCode(faultOf(f.Body), accountCodes[:])
	}
	return false
}

// hasCode reports whether the code, type or status of a fault is one of codes.
func hasCode(fault []byte, codes []string) bool {
	for _, name := range [...]string{"code", "type", "status"} {
		if s, ok := wire.String(wire.Member(fault, name)); ok && slices.Contains(codes, strings.ToLower(s)) {
			return true
		}
	}
	return false
}

// quotaCodes are the codes and types of providers' errors about quota and credit, in lower
// case. Whole ones: Throttling.RateQuota of DashScope is about a rate.
var quotaCodes = [...]string{
	"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "billing_error", // OpenAI, Anthropic
	"credit_balance_exhausted", "credit_balance_too_low", "insufficient_credits",
	"insufficient_balance", "insufficient_funds", "spending_limit_reached",
	"usage_limit_reached", "usage_not_included", // ChatGPT's plans
	"exceeded_current_quota_error",              // Moonshot
	"arrearage", "allocationquota.freetieronly", // DashScope
}

// accountCodes are the codes, types and statuses of errors about a credential, in lower
// case.
var accountCodes = [...]string{
	"invalid_api_key", "account_deactivated", "organization_deactivated", "key_disabled", // OpenAI
	"authentication_error", "invalid_authentication_error", // Anthropic, Moonshot
	"unauthenticated", // Google
	"invalidapikey",   // DashScope
}

// quotaBeginnings begin the messages, in lower case, of providers whose codes do not tell.
var quotaBeginnings = [...]string{
	"your credit balance is too low",                                                               // Anthropic
	"your team has used all available credits", "your newly created team doesn't have any credits", // xAI
}

// quotaPhrases are in messages of a 429, in lower case. That the quota was exceeded is
// none: Google says so of limits that last a minute.
var quotaPhrases = [...]string{
	"credit balance", "available credits", "insufficient balance", "insufficient credits",
	"spending limit", "billing hard limit",
}

func containsAny(s string, parts []string) bool {
	return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(s, p) })
}
