package interceptors

import (
	"net/http"
	"strings"

	"github.com/llmproxy/llmproxy/wire"
)

// OutOfQuota reports whether the provider refuses because the account has no quota or
// credit left, which no pause of ours mends: insufficient_quota and
// billing_hard_limit_reached of OpenAI, credit balances, daily quotas of Google's APIs.
func (f *Failure) OutOfQuota() bool {
	switch f.Status {
	case http.StatusPaymentRequired:
		return true
	case http.StatusTooManyRequests, http.StatusForbidden, http.StatusBadRequest:
	default:
		return false
	}
	fault := faultOf(f.Body)
	for _, name := range [...]string{"code", "type"} {
		if s, ok := wire.String(wire.Member(fault, name)); ok && containsAny(strings.ToLower(s), quotaCodes[:]) {
			return true
		}
	}
	for detail := range wire.Elements(wire.Member(fault, "details")) {
		for violation := range wire.Elements(wire.Member(detail, "violations")) {
			if id, _ := wire.String(wire.Member(violation, "quotaId")); strings.Contains(id, "PerDay") {
				return true
			}
		}
	}
	return containsAny(strings.ToLower(messageOf(fault)), quotaPhrases[:])
}

// quotaCodes are in the codes and types of providers' errors about quota and credit.
var quotaCodes = [...]string{
	"quota", "billing", "credit", "spending", "insufficient_balance", "insufficient_funds",
	"usage_limit_reached", "usage_not_included",
}

// quotaPhrases are in messages of providers whose codes do not tell. That the quota was
// exceeded is none: Google says so of limits that last a minute.
var quotaPhrases = [...]string{
	"credit balance", "available credits", "insufficient balance", "insufficient credits",
	"spending limit", "billing hard limit",
}

func containsAny(s string, parts []string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}
