package llmproxy

import (
	"errors"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// USD is an amount of money in picodollars: 1 USD is 1e12. An int64 holds ±9.2 million
// dollars.
type USD int64

// ErrMoney means that a text is no amount of money, or one that a USD cannot hold.
var ErrMoney = errors.New("not an amount of money")

// ParseUSD reads a decimal number of dollars as JSON spells numbers ("0.01365",
// "1.2e-5"). Digits beyond the twelfth decimal are rounded half to even. Nothing passes
// through binary floating point.
func ParseUSD(text string) (USD, error) {
	digits, exponent, negative, ok := decimal(text)
	if !ok {
		return 0, ErrMoney
	}
	shift := exponent + 12 // digits × 10^shift picodollars
	for shift < 0 && len(digits) > 0 && digits[len(digits)-1] == '0' {
		digits, shift = digits[:len(digits)-1], shift+1
	}
	var dropped string
	if shift < 0 {
		keep := max(len(digits)+shift, 0)
		if len(digits)+shift < 0 {
			dropped = "0" // less than half of the last place
		} else {
			dropped = digits[keep:]
		}
		digits, shift = digits[:keep], 0
	}
	var n uint64
	most := uint64(math.MaxInt64)
	if negative {
		most++
	}
	for i := range len(digits) + shift {
		d := uint64(0)
		if i < len(digits) {
			d = uint64(digits[i] - '0')
		}
		hi, lo := bits.Mul64(n, 10)
		sum, carry := bits.Add64(lo, d, 0)
		if hi != 0 || carry != 0 || sum > most {
			return 0, ErrMoney
		}
		n = sum
	}
	if roundsUp(dropped, n) {
		if n == most {
			return 0, ErrMoney
		}
		n++
	}
	if negative {
		return -USD(n), nil
	}
	return USD(n), nil
}

// decimal splits a number into its significant digits and a power of ten.
func decimal(text string) (digits string, exponent int, negative, ok bool) {
	text, negative = strings.CutPrefix(text, "-")
	mantissa, power, scientific := strings.Cut(strings.ToLower(text), "e")
	if scientific {
		e, err := strconv.Atoi(power)
		if err != nil || e < -1000 || e > 1000 {
			return "", 0, false, false
		}
		exponent = e
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits = whole + fraction
	if whole == "" || len(digits) > 1000 || strings.Trim(digits, "0123456789") != "" {
		return "", 0, false, false
	}
	digits = strings.TrimLeft(digits, "0")
	if digits == "" {
		return "", 0, false, true
	}
	return digits, exponent - len(fraction), negative, true
}

// roundsUp reports whether the dropped digits round n up, half to even.
func roundsUp(dropped string, n uint64) bool {
	if dropped == "" || dropped[0] < '5' {
		return false
	}
	return dropped[0] > '5' || strings.Trim(dropped[1:], "0") != "" || n%2 == 1
}

// String returns the amount in dollars, as a decimal in its shortest form: "0.00208".
func (u USD) String() string {
	n, sign := uint64(u), ""
	if u < 0 {
		n, sign = -n, "-"
	}
	const one = 1_000_000_000_000
	s := sign + strconv.FormatUint(n/one, 10)
	if rest := n % one; rest > 0 {
		fraction := strconv.FormatUint(one+rest, 10)[1:]
		s += "." + strings.TrimRight(fraction, "0")
	}
	return s
}
